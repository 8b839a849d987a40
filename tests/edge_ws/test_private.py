"""What an owner hears of its own: in the forms of REST, each thing once, on the chain as in the ledger."""

import asyncio
from contextlib import AsyncExitStack

from tests.edge.harness import USDC
from tests.edge.test_deposits import see_on_chain
from tests.edge.test_withdrawals import TX_HASH, store_payment

from exchange.core.commands import RefundWithdrawal, SettleWithdrawal
from exchange.edge.ws import chain_steps

USDC_ATOMS = 10**6
ETH_ATOMS = 10**18


async def test_an_order_its_fills_and_the_balances_are_told_as_rest_has_them(streams):
    buyer = await streams.exchange.trader(USDC=10**10)
    seller = await streams.exchange.trader(ETH=ETH_ATOMS)
    async with streams.signed_in(buyer) as client:
        for channel in ("orders", "fills", "balances"):
            await client.subscribe(channel=channel)
        order = (await buyer.order()).json()
        sale = (await seller.order(side="sell", size="0.4", time_in_force="ioc")).json()
        await buyer.request("DELETE", "/v1/orders")
        heard: dict[str, list] = {"orders": [], "fills": [], "balances": []}
        for _ in range(7):
            message = await client.receive()
            assert message["type"] == "update"
            assert message["sub_account"] == 0
            heard[message["channel"]].append(message)
    assert heard["orders"][0]["seq"] == order["seq"]
    assert heard["orders"][0]["data"] == [order["order"]]
    [filled] = heard["orders"][1]["data"]
    assert (heard["orders"][1]["seq"], filled["filled"], filled["status"]) == (sale["seq"], "0.4", "open")
    [cancelled] = heard["orders"][2]["data"]
    assert cancelled["status"] == "cancelled"
    stored = (await buyer.get("/v1/orders", status="all", min_seq=heard["orders"][2]["seq"])).json()["items"]
    assert [cancelled] == stored
    assert heard["fills"][0]["data"] == (await buyer.get("/v1/fills")).json()["items"]
    held = {item["asset"]: (item["available"], item["held"]) for m in heard["balances"] for item in m["data"]}
    now = await buyer.balances()
    assert held == {asset: now[asset] for asset in ("ETH", "USDC")}


async def test_a_subscription_to_a_sub_account_hears_of_that_one_only(streams):
    trader = await streams.exchange.trader(USDC=10 * USDC_ATOMS)
    transfer = {
        "from_sub_account": 0,
        "asset": "USDC",
        "amount": "4",
        "to_sub_account": 3,
        "client_transfer_id": "t-1",
    }
    async with streams.signed_in(trader) as client:
        await client.refused(
            "unknown_account", "sub_account", op="subscribe", channel="orders", sub_account=3
        )
        assert (await trader.request("POST", "/v1/transfers", json=transfer)).status_code in {200, 201}
        snapshot = await client.subscribe(channel="balances", sub_account=3)
        assert snapshot["sub_account"] == 3
        assert snapshot["data"] == [{"asset": "USDC", "available": "4", "held": "0"}]
        await client.subscribe(channel="orders", sub_account=3)
        await trader.order(price="1")
        order = (await trader.order(price="2", sub_account=3)).json()
        found = {message["channel"]: message for message in [await client.receive(), await client.receive()]}
        assert found["orders"]["data"] == [order["order"]]
        assert found["orders"]["data"][0]["sub_account"] == 3


async def test_who_comes_back_resumes_where_it_was(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.signed_in(trader) as client:
        snapshot = await client.subscribe(channel="orders")
    placed = [(await trader.order(price=str(price))).json()["order"] for price in (1, 2, 3)]
    async with streams.signed_in(trader) as client:
        reply = await client.ask(op="subscribe", channel="orders", resume_seq=snapshot["seq"])
        assert (reply["resumed"], reply["seq"]) == (True, snapshot["seq"])
        held = snapshot["seq"]
        for order in placed:
            update = await client.receive()
            assert (update["type"], update["prev_seq"], update["data"]) == ("update", held, [order])
            held = update["seq"]
        reply = await client.ask(op="subscribe", channel="orders", resume_seq=held)
        assert reply["resumed"]
        for never in (0, held + 1_000_000):
            reply = await client.ask(op="subscribe", channel="orders", resume_seq=never)
            assert not reply["resumed"]
            whole = await client.receive()
            assert (whole["type"], whole["seq"]) == ("snapshot", reply["seq"])
            assert [item["order_id"] for item in whole["data"]] == [o["order_id"] for o in placed]


async def test_a_deposit_is_told_from_the_first_confirmation_to_its_credit(streams):
    exchange = streams.exchange
    trader = await exchange.trader(USDC=5 * USDC_ATOMS)
    await see_on_chain(exchange, trader.owner, 2)
    exchange.faults.chain_head = 102
    async with streams.signed_in(trader) as client, streams.signed_in(trader) as second:
        snapshot = await client.subscribe(channel="deposits")
        shown = (await trader.get("/v1/deposits")).json()["items"]
        assert snapshot["data"] == [item for item in shown if item["status"] == "pending"]
        exchange.faults.chain_head = 103
        update = await client.receive()
        assert update["prev_seq"] == update["seq"] == snapshot["seq"]
        assert [(item["number"], item["confirmations"]) for item in update["data"]] == [("2", 2)]
        assert (await second.subscribe(channel="deposits"))["data"] == update["data"]
        await exchange.deposit(trader.owner, USDC, 7 * USDC_ATOMS)
        for reader in (client, second):
            credited = await reader.receive()
            assert credited["seq"] > credited["prev_seq"] == snapshot["seq"]
            [item] = credited["data"]
            assert (item["number"], item["amount"], item["status"]) == ("2", "7", "credited")
        shown = (await trader.get("/v1/deposits", min_seq=credited["seq"])).json()["items"]
        assert item | {"tx_hash": None, "block_number": None} in [
            other | {"tx_hash": None, "block_number": None} for other in shown
        ]
        await see_on_chain(exchange, trader.owner, 3)
        first = await client.receive()
        assert [item["number"] for item in first["data"]] == ["3"]  # nothing of number 2 between
        reply = await second.ask(op="subscribe", channel="deposits", resume_seq=snapshot["seq"])
        while reply["type"] != "subscribed":
            reply = await second.receive()
        assert reply["resumed"]
        since = [await second.receive(), await second.receive()]
        assert [item["number"] for message in since for item in message["data"]] == ["2", "3"]


async def test_a_withdrawal_is_told_from_the_request_over_the_chain_to_its_end(streams):
    exchange = streams.exchange
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)

    async def ask(nonce: int) -> dict:
        answer = await trader.request("POST", "/v1/withdrawals", json=trader.withdrawal(signed_nonce=nonce))
        item: dict = answer.json()["withdrawal"]
        return item

    before = await ask(1)
    assert await exchange.projection.reached(exchange.view.seq, 5)
    async with streams.signed_in(trader) as client:
        snapshot = await client.subscribe(channel="withdrawals")
        assert snapshot["data"] == [before]
        asked = await ask(2)
        update = await client.receive()
        assert update["data"] == [asked]
        assert await exchange.projection.reached(exchange.view.seq, 5)
        await store_payment(exchange, asked["withdrawal_id"], "requested")  # nothing new
        await store_payment(exchange, before["withdrawal_id"], "broadcast", tx_hash=TX_HASH)
        step = await client.receive()
        assert step["prev_seq"] == step["seq"] == update["seq"]
        assert step["data"] == [before | {"status": "broadcast", "tx_hash": TX_HASH}]
        await exchange.edge.pool.execute(
            "UPDATE payments SET state = 'review', note = 'looked at by hand' WHERE withdrawal_id = $1",
            asked["withdrawal_id"],
        )
        step = await client.receive()
        assert step["data"] == [asked | {"status": "review", "reason": "looked at by hand"}]
        settled = await exchange.sequencer.submit(
            SettleWithdrawal(before["withdrawal_id"], TX_HASH, 9, "paid")
        )
        refunded = await exchange.sequencer.submit(
            RefundWithdrawal(asked["withdrawal_id"], 10, asked["deadline_s"] + 1)
        )
        ends = [await client.receive(), await client.receive()]
        assert [message["seq"] for message in ends] == [settled.seq, refunded.seq]
        shown = (await trader.get("/v1/withdrawals", min_seq=refunded.seq)).json()["items"]
        assert [item for message in ends for item in message["data"]] == shown[::-1]
        assert (await client.subscribe(channel="withdrawals"))["data"] == []


async def test_a_withdrawal_that_was_rejected_comes_back_with_what_the_reviewer_said(streams):
    exchange = streams.exchange
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    answer = await trader.request("POST", "/v1/withdrawals", json=trader.withdrawal())
    asked: dict = answer.json()["withdrawal"]
    assert await exchange.projection.reached(exchange.view.seq, 20)
    await store_payment(exchange, asked["withdrawal_id"], "rejected", note="a known thief's")
    async with streams.signed_in(trader) as client:
        [shown] = (await client.subscribe(channel="withdrawals"))["data"]
        assert shown == asked | {"status": "rejected", "reason": "a known thief's"}
        command = RefundWithdrawal(asked["withdrawal_id"], 10, asked["deadline_s"] + 1)
        await exchange.sequencer.submit(command)
        [ended] = (await client.receive())["data"]
        assert (ended["status"], ended["reason"]) == ("refunded", "a known thief's")


async def test_the_chains_steps_are_looked_up_only_while_somebody_asks_for_them(streams, monkeypatch):
    exchange = streams.exchange
    trader = await exchange.trader(USDC=5 * USDC_ATOMS)
    looked = asyncio.Event()

    async def reading(pool):
        looked.set()
        return set()

    monkeypatch.setattr("exchange.edge.ws.chain_steps.owners_with_pending", reading)
    async with streams.signed_in(trader) as client:
        await client.subscribe(channel="deposits")
        looked.clear()
        async with asyncio.timeout(10):
            await looked.wait()
        await client.ask(op="unsubscribe", channel="deposits")
        looked.clear()
        await client.subscribe(channel="orders")
        ticks = exchange.hub._tick_s * 4
        await asyncio.sleep(ticks)
        assert not looked.is_set()


async def test_owners_with_nothing_under_way_cost_one_look_together(streams, monkeypatch):
    looks, owners_with_pending = 0, chain_steps.owners_with_pending

    async def counted(pool):
        nonlocal looks
        looks += 1
        return await owners_with_pending(pool)

    async def unneeded(*_):
        raise AssertionError("there is nothing to look up")

    async with AsyncExitStack() as stack:
        for _ in range(3):
            trader = await streams.exchange.trader(USDC=5 * USDC_ATOMS)
            client = await stack.enter_async_context(streams.signed_in(trader))
            for channel in ("deposits", "withdrawals"):
                await client.subscribe(channel=channel)
        with monkeypatch.context() as counting:
            counting.setattr(chain_steps, "owners_with_pending", counted)
            counting.setattr(chain_steps, "pending_deposits", unneeded)
            counting.setattr(chain_steps, "payment_status", unneeded)
            async with asyncio.timeout(10):
                while looks < 3:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.01)
        assert (await client.ask(op="ping"))["type"] == "pong"
        await see_on_chain(streams.exchange, trader.owner, 4)
        assert (await client.receive())["channel"] == "deposits"


async def test_a_database_that_does_not_answer_costs_a_step_not_the_streams(streams, monkeypatch):
    trader = await streams.exchange.trader(USDC=5 * USDC_ATOMS)
    async with streams.signed_in(trader) as client:
        await client.subscribe(channel="deposits")
        await client.subscribe(channel="orders")
        failed = asyncio.Event()

        async def failing(pool, owner=None):
            failed.set()
            raise OSError("no database")

        with monkeypatch.context() as broken:
            broken.setattr("exchange.edge.ws.chain_steps.owners_with_pending", failing)
            broken.setattr("exchange.edge.ws.chain_steps.pending_deposits", failing)
            async with asyncio.timeout(10):
                await failed.wait()
            await client.refused("unavailable", op="subscribe", channel="deposits")
            order = (await trader.order(price="1")).json()
            assert (await client.receive())["data"] == [order["order"]]
        await see_on_chain(streams.exchange, trader.owner, 2)
        assert (await client.receive())["channel"] == "deposits"
