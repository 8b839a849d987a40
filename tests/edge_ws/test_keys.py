"""Agents' keys on a WebSocket: how they say who they are, what they may, and when they may no more."""

import asyncio

import pytest
from tests.edge.agents import Bot, Ed25519Key, Key, Secp256k1Key, approved
from tests.edge.harness import Trader
from tests.edge_ws.speaking import BOOK, ORDER, Client, connection_of, engine_standing_still, until

from exchange.core.commands import RevokeAgent, TransferFunds
from exchange.edge.ws import limits

PLENTY = {"USDC": 10**15, "ETH": 10**24}
PRIVATE = ("orders", "fills", "balances", "deposits", "withdrawals")


async def signed_in(client: Client, bot: Bot) -> None:
    reply = await client.answer_challenge(bot)
    assert reply["type"] == "authenticated", reply


async def revoke(trader: Trader, bot: Bot) -> None:
    response = await trader.request("DELETE", f"/v1/agents/{bot.key.text}")
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("key", [Ed25519Key(), Secp256k1Key()], ids=lambda key: key.kind)
async def test_a_key_that_answers_the_challenge_reads_and_trades_for_its_owner(streams, key: Key):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader, key)
    agent = streams.exchange.view.agent(bot.key.text)
    async with streams.client() as client:
        reply = await client.answer_challenge(bot)
        assert reply == {
            "type": "authenticated",
            "owner": trader.key.address,
            "expires_ms": agent.expires_ns // 10**6,
            "key": bot.key.text,
            "scopes": ["read", "trade"],
        }
        for channel in PRIVATE:
            await client.subscribe(channel=channel)
        await client.send(op="place", id="1", **ORDER)
        found = [await client.receive() for _ in range(3)]
        placed = next(message for message in found if message["type"] == "result")
        told = next(message for message in found if message.get("channel") == "orders")
        assert told["data"] == [placed["order"]]
        assert (await trader.get("/v1/orders", status="open")).json()["items"] == [placed["order"]]


async def test_each_connection_has_a_challenge_of_its_own_that_is_good_once(streams):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader)
    async with streams.client() as first, streams.client() as second:
        assert first.welcome["challenge"] != second.welcome["challenge"]
        signed = {"challenge": first.welcome["challenge"]}
        stolen = await second.answer_challenge(bot, signed=signed)
        assert stolen["code"] == "signature_wrong_signer"
        assert (await second.answer_challenge(bot))["code"] == "challenge_used"  # now that it is right
        await second.refused("unauthenticated", op="place", **ORDER)
        await signed_in(first, bot)
        assert (await first.answer_challenge(bot))["code"] == "challenge_used"
        assert (await first.ask(op="auth", token=trader.token))["type"] == "authenticated"


SIGNED_OTHERWISE = [
    ("genesis_id", "0x" + "11" * 32),
    ("host", "elsewhere:8000"),
    ("key", "0x" + "11" * 32),
    ("challenge", "0x" + "11" * 32),
    ("expires_ms", 1),
]


@pytest.mark.parametrize("key", [Ed25519Key(), Secp256k1Key()], ids=lambda key: key.kind)
async def test_a_signature_over_anything_else_is_refused_and_told_what_it_should_be_over(streams, key: Key):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader, key)
    for name, value in SIGNED_OTHERWISE:
        async with streams.client() as client:
            reply = await client.answer_challenge(bot, signed={name: value})
            assert (reply["type"], reply["code"], reply["field"]) == (
                "error",
                "signature_wrong_signer",
                "signature",
            ), name
            lines = reply["signed_text"].split("\n")
            assert lines[:4] == [
                "exchange-websocket-1",
                client.welcome["genesis_id"],
                "localhost:8000",
                bot.key.text,
            ]
            assert lines[4] == client.welcome["challenge"]
            assert ("recovered_key" in reply) == (key.kind == "secp256k1")
            assert reply.get("recovered_key") != bot.key.text
            await client.refused("unauthenticated", op="place", **ORDER)


async def test_a_key_that_is_not_as_it_should_be_opens_nothing(streams):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader)
    now_ms = streams.exchange.edge.clock_ns() // 10**6
    wrong = [
        ({"expires_ms": now_ms - 1}, "signature_expired", "expires_ms"),
        ({"expires_ms": now_ms + 70_000}, "signature_deadline_too_far", "expires_ms"),
        ({"sent": {"expires_ms": str(now_ms + 9_000)}}, "field_invalid", "expires_ms"),
        ({"sent": {"expires_ms": None}}, "field_missing", "expires_ms"),
        ({"sent": {"signature": "0x12"}}, "signature_invalid", "signature"),
        ({"sent": {"signature": 7}}, "signature_invalid", "signature"),
        ({"sent": {"signature": None}}, "field_missing", "signature"),
        ({"sent": {"key": bot.key.text.upper()}}, "field_invalid", "key"),
        ({"sent": {"key": 1}}, "field_invalid", "key"),
        ({"sent": {"key": None}}, "field_missing", "key"),
        ({"sent": {"key": "0x" + "22" * 32}}, "agent_unknown", "key"),
        ({"sent": {"token": trader.token}}, "field_unknown", "token"),
        ({"sent": {"nonce": "1"}}, "field_unknown", "nonce"),
    ]
    for changes, code, field in wrong:
        async with streams.client() as client:
            reply = await client.answer_challenge(bot, **changes)
            assert (reply["type"], reply["code"], reply.get("field")) == ("error", code, field), changes
            await client.refused("unauthenticated", op="subscribe", channel="orders")


async def test_keys_that_are_over_or_revoked_open_nothing(streams):
    trader = await streams.exchange.trader(**PLENTY)
    revoked = await approved(trader)
    now_s = streams.exchange.edge.clock_ns() // 10**9
    short = await approved(trader, nonce="2", expires_at_s=now_s + 600)
    await revoke(trader, revoked)
    streams.exchange.faults.clock_ahead_ns = 601 * 10**9
    for bot, code in ((revoked, "agent_revoked"), (short, "agent_expired")):
        async with streams.client() as client:
            assert (await client.answer_challenge(bot))["code"] == code


async def test_a_key_is_taken_from_its_addresses_only(streams):
    trader = await streams.exchange.trader(**PLENTY)
    elsewhere = await approved(trader, ip_ranges=["203.0.113.0/24"])
    here = await approved(trader, nonce="2", ip_ranges=["203.0.113.0/24", "127.0.0.0/8"])
    async with streams.client() as client:
        assert (await client.answer_challenge(elsewhere))["code"] == "ip_not_allowed"
        await client.refused("unauthenticated", op="place", **ORDER)
    async with streams.client() as client:
        await signed_in(client, here)
        await client.place()


async def test_who_may_only_read_trades_nothing(streams):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader, scopes=["read"])
    order_id = (await trader.order()).json()["order"]["order_id"]
    async with streams.client() as client:
        await signed_in(client, bot)
        assert (await client.subscribe(channel="orders"))["data"][0]["order_id"] == order_id
        await client.refused("scope_missing", op="place", **ORDER)
        await client.refused("scope_missing", op="amend", order_id=order_id, price="1")
        await client.refused("scope_missing", op="cancel", order_id=order_id)
        await client.refused("scope_missing", op="cancel_all")
        await client.refused("scope_missing", op="cancel_all_after", seconds=1)
        await client.refused("scope_missing", op="batch", operations=[{"op": "place", **ORDER}])
        await client.refused("scope_missing", op="cancel_on_disconnect", enabled=True)
        assert connection_of(streams.exchange).bounds is limits.STRANGERS
    assert len(streams.exchange.view.open_orders(trader.account_id)) == 1


async def test_who_may_only_trade_reads_nothing(streams):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader, scopes=["trade"])
    async with streams.client() as client:
        await signed_in(client, bot)
        for channel in PRIVATE:
            await client.refused("scope_missing", op="subscribe", channel=channel)
        await client.subscribe(**BOOK)
        placed = await client.place()
        assert placed["order"]["status"] == "open"  # what became of one's own order is always told


async def test_a_key_of_some_markets_trades_in_no_other(streams):
    trader = await streams.exchange.trader(USDC=10**15, ETH=10**24, WBTC=10**12)
    bot = await approved(trader, markets=["WBTC-USDC"])
    order_id = (await trader.order()).json()["order"]["order_id"]
    bitcoin = ORDER | {"market": "WBTC-USDC"}
    async with streams.client() as client:
        await signed_in(client, bot)
        await client.refused("market_not_allowed", "market", op="place", **ORDER)
        await client.refused("market_not_allowed", "order_id", op="amend", order_id=order_id, price="1")
        await client.refused("market_not_allowed", "order_id", op="cancel", order_id=order_id)
        await client.refused("market_not_allowed", "market", op="cancel_all", market="ETH-USDC")
        await client.refused("market_not_allowed", "market", op="cancel_all")
        await client.refused("market_not_allowed", "market", op="cancel_all_after", seconds=60)
        operations = [
            {"op": "place", **ORDER},
            {"op": "place", **bitcoin},
            {"op": "cancel", "order_id": order_id},
        ]
        results = (await client.done("batch", operations=operations))["results"]
        codes = [result.get("problem", {}).get("code") for result in results]
        assert codes == ["market_not_allowed", None, "market_not_allowed"]
        await client.place(**bitcoin)
        assert (await client.done("cancel_all", market="WBTC-USDC"))["count"] == 2
    assert len(streams.exchange.view.open_orders(trader.account_id)) == 1


async def test_a_key_of_some_sub_accounts_reads_and_trades_with_no_other(streams):
    trader = await streams.exchange.trader(USDC=10**15)
    soon_ns = streams.exchange.edge.clock_ns() + 20 * 10**9
    await streams.exchange.edge.submit(TransferFunds(trader.account_id, 1, 2, 10**12, "t1", soon_ns))
    bot = await approved(trader, sub_accounts=[1])
    order_id = (await trader.order()).json()["order"]["order_id"]
    async with streams.client() as client:
        await signed_in(client, bot)
        refused = ("sub_account_not_allowed", "sub_account")
        await client.refused(*refused, op="place", **ORDER)
        await client.refused(*refused, op="place", **ORDER, sub_account=0)
        await client.refused(*refused, op="cancel_all")
        await client.refused(*refused, op="cancel_all_after", seconds=60)
        await client.refused(*refused, op="subscribe", channel="balances")
        for channel in ("deposits", "withdrawals"):  # the main account's, and those of all
            await client.refused(*refused, op="subscribe", channel=channel)
        await client.refused("sub_account_not_allowed", "order_id", op="cancel", order_id=order_id)
        assert (await client.place(sub_account=1))["order"]["sub_account"] == 1
        orders = await client.subscribe(channel="orders", sub_account=1)
        assert [order["sub_account"] for order in orders["data"]] == [1]
    async with streams.client() as client:
        await signed_in(client, await approved(trader, nonce="2", sub_accounts=[0]))
        await client.refused(*refused, op="subscribe", channel="withdrawals")
        await client.subscribe(channel="deposits")


async def ended(client: Client, code: str) -> None:
    """All private streams end at once with this code."""
    found = [await client.receive() for _ in PRIVATE]
    assert {message["channel"] for message in found} == set(PRIVATE)
    assert {(message["type"], message["code"]) for message in found} == {("ended", code)}


async def test_a_revoked_key_is_cut_off_at_once_from_reading_and_trading_and_no_other_is(streams):
    trader = await streams.exchange.trader(**PLENTY)
    bot, another = await approved(trader), await approved(trader, nonce="2")
    async with streams.client() as client, streams.client() as untouched:
        await signed_in(client, bot)
        await signed_in(untouched, another)
        order_id = (await client.place())["order"]["order_id"]
        for channel in PRIVATE:
            await client.subscribe(channel=channel)
        await revoke(trader, bot)
        await ended(client, "agent_revoked")
        await client.refused("agent_revoked", op="place", **ORDER)
        await client.refused("agent_revoked", op="cancel", order_id=order_id)
        await client.refused("agent_revoked", op="batch", operations=[{"op": "cancel", "order_id": order_id}])
        await client.refused("unauthenticated", op="subscribe", channel="orders")
        assert connection_of(streams.exchange) is not None
        await untouched.place()
        assert (await client.ask(op="auth", token=trader.token))["type"] == "authenticated"
        await client.place()


async def test_a_revoked_key_trades_no_more_even_where_nobody_was_told(streams, monkeypatch):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader)
    async with streams.client() as client:
        await signed_in(client, bot)
        monkeypatch.setattr(streams.exchange.hub, "_sign_out", lambda *_: None)
        await revoke(trader, bot)
        await client.refused("agent_revoked", op="place", **ORDER)
        await client.refused("agent_revoked", op="cancel_all")


async def test_what_a_key_had_sent_before_its_revocation_was_done_is_all_that_is_done_of_it(streams):
    """Frames that wait behind something are looked at when their turn comes, and refused then."""
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader)
    hub = streams.exchange.hub
    may_open = asyncio.Event()
    open_topic = hub.open

    async def open_late(*given):
        await may_open.wait()
        return await open_topic(*given)

    async with streams.client() as client:
        await signed_in(client, bot)
        await client.send(op="place", id="before", **ORDER)
        hub.open = open_late
        await client.send(op="subscribe", id="slow", **BOOK)
        for number in range(5):
            await client.send(op="place", id=str(number), **ORDER)
        await until(lambda: connection_of(streams.exchange)._turns.weight >= 5)
        await streams.exchange.sequencer.submit(RevokeAgent(trader.owner, bot.key.text))
        may_open.set()
        found = [await client.receive() for _ in range(8)]
        hub.open = open_topic
    told = [(message["type"], message.get("id"), message.get("code")) for message in found]
    assert told[0] == ("result", "before", None)
    assert told[1:3] == [("subscribed", "slow", None), ("snapshot", None, None)]
    assert told[3:] == [("error", str(number), "agent_revoked") for number in range(5)]
    assert len(streams.exchange.view.open_orders(trader.account_id)) == 1


async def test_orders_in_the_engine_when_their_key_is_revoked_are_answered_for(streams):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader)
    async with streams.client() as client:
        await signed_in(client, bot)
        async with engine_standing_still(streams.exchange):
            for number in range(3):
                await client.send(op="place", id=str(number), **ORDER)
            await until(lambda: connection_of(streams.exchange)._turns.weight == 3)
            revoking = asyncio.create_task(
                streams.exchange.sequencer.submit(RevokeAgent(trader.owner, bot.key.text))
            )
            await asyncio.sleep(0)
        await revoking
        results = [await client.receive() for _ in range(3)]
        assert [result["type"] for result in results] == ["result"] * 3
        await client.refused("agent_revoked", op="place", **ORDER)


@pytest.mark.parametrize("many", [False, True], ids=["single", "batch"])
async def test_orders_that_come_in_behind_the_revocation_are_not_done(streams, many: bool):
    """It is not committed when they are looked at, and so is nothing that tells the edge of it."""
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader)
    order = {"operations": [{"op": "place", **ORDER}] * 2} if many else ORDER
    async with streams.client() as client:
        await signed_in(client, bot)
        async with engine_standing_still(streams.exchange):
            busy = asyncio.create_task(trader.order(price="1"))
            await until(lambda: streams.exchange.sequencer._stamped_ns is not None)
            revoking = asyncio.create_task(revoke(trader, bot))
            await until(lambda: streams.exchange.sequencer.waiting == 1)
            await client.send(op="batch" if many else "place", id="late", **order)
            await until(lambda: streams.exchange.sequencer.waiting > 1)
        await asyncio.gather(busy, revoking)
        refused = await client.receive()
        assert (refused["type"], refused["id"], refused["code"]) == ("error", "late", "agent_revoked")
    assert len(streams.exchange.view.open_orders(trader.account_id)) == 1


async def test_a_key_whose_time_is_over_is_cut_off(streams, monkeypatch):
    trader = await streams.exchange.trader(**PLENTY)
    now_s = streams.exchange.edge.clock_ns() // 10**9
    bot = await approved(trader, expires_at_s=now_s + 600)
    async with streams.client() as client:
        await signed_in(client, bot)
        for channel in PRIVATE:
            await client.subscribe(channel=channel)
        streams.exchange.faults.clock_ahead_ns = 601 * 10**9
        await ended(client, "agent_expired")
        await client.refused("agent_expired", op="place", **ORDER)
    async with streams.client() as client:
        streams.exchange.faults.clock_ahead_ns = 0
        await signed_in(client, bot)
        monkeypatch.setattr(streams.exchange.hub, "_tick", lambda: None)  # the next one is still to come
        streams.exchange.faults.clock_ahead_ns = 601 * 10**9
        await client.refused("agent_expired", op="place", **ORDER)
    assert streams.exchange.view.open_orders(trader.account_id) == []


async def test_a_session_that_is_ended_trades_no_more(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        await client.place()
        assert (await trader.request("POST", "/v1/auth/logout")).status_code == 204
        await client.refused("session_invalid", op="place", **ORDER)
        await client.refused("session_invalid", op="cancel_all")
        assert connection_of(streams.exchange).bounds is limits.STRANGERS
    assert len(streams.exchange.view.open_orders(trader.account_id)) == 1


async def test_a_key_does_nothing_over_the_socket_that_moves_money_or_rights(streams):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader)
    async with streams.client() as client:
        await signed_in(client, bot)
        for op in ("withdraw", "transfer", "approve", "revoke", "logout"):
            await client.refused("field_invalid", "op", op=op)


async def test_a_key_of_one_market_cancels_by_client_order_id_there_only(streams):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader, markets=["ETH-USDC"])
    await trader.order(client_order_id="theirs", market="WBTC-USDC", price="10", size="0.001")
    async with streams.client() as client:
        await signed_in(client, bot)
        await client.send(op="place", client_order_id="own", **ORDER)
        await client.send(op="cancel", client_order_id="own")
        await client.send(op="cancel", client_order_id="theirs")
        placed, gone, refused = [await client.receive() for _ in range(3)]
        assert gone["order"]["order_id"] == placed["order"]["order_id"]
        assert (refused["type"], refused["code"], refused["field"]) == (
            "error", "market_not_allowed", "client_order_id",
        )  # fmt: skip
    assert len(streams.exchange.view.open_orders(trader.account_id)) == 1
