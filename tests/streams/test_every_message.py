"""Each kind of message of the AsyncAPI document, really sent; and what is in the rarer ones."""

import asyncio
import time

import pytest
from tests.edge.harness import USDC, Trader
from tests.edge.test_deposits import see_on_chain
from tests.streams.client import Held, StreamClient
from tests.streams.folds import Candles, Keyed, Newest
from tests.streams.serving import MARKET, Streams
from tests.streams.spec import SHAPES

from exchange.core.commands import SettleWithdrawal
from exchange.edge.ws import limits

PUBLIC = ("book", "bbo", "trades", "ticker")
PRIVATE = ("orders", "fills", "balances", "deposits", "withdrawals")


@pytest.fixture(autouse=True)
def many_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.1)


async def withdraw(trader: Trader) -> str:
    """Asks for a withdrawal; its id."""
    answer = await trader.request("POST", "/v1/withdrawals", json=trader.withdrawal())
    assert answer.status_code == 201, answer.text
    withdrawal_id: str = answer.json()["withdrawal"]["withdrawal_id"]
    return withdrawal_id


async def settle(streams: Streams, withdrawal_id: str) -> None:
    command = SettleWithdrawal(withdrawal_id, "0x" + "77" * 32, 120, "paid")
    outcome = await streams.exchange.edge.submit(command)
    assert type(outcome.events[0]).__name__ == "WithdrawalSettled", outcome


async def trade_in_every_way(client: StreamClient) -> None:
    """Each request that trades, of which some refuse a part."""
    order = {"market": MARKET, "side": "buy", "price": "1", "size": "0.5"}
    placed = await client.request({"op": "place", **order})
    order_id = placed["order"]["order_id"]
    await client.request({"op": "amend", "order_id": order_id, "size": "0.25"})
    operations = [{"op": "place", **order}, {"op": "place", **order, "price": "0.001"}]
    await client.request({"op": "batch", "operations": operations})
    await client.request({"op": "cancel", "order_id": order_id})
    await client.request({"op": "place", **order, "type": "market", "price": None, "trigger": None})
    await client.request({"op": "cancel_all", "market": MARKET})
    await client.request({"op": "cancel_all_after", "seconds": 60})
    await client.request({"op": "cancel_all_after", "seconds": 0})
    await client.request({"op": "cancel_on_disconnect", "enabled": False})


def items(held: Held) -> list[dict[str, object]]:
    assert isinstance(held.fold, Keyed)
    return list(held.fold.by_key.values())


async def test_every_documented_message_is_said_as_documented(streams_with_clickhouse: Streams):
    streams = streams_with_clickhouse
    trader = streams.traders[0]
    SHAPES.seen.clear()
    await streams.trade(3)
    async with streams.client(trader) as client:
        for channel in PUBLIC:
            await client.subscribe(channel, market=MARKET)
        await client.subscribe("candles", market=MARKET, interval="1s")
        for channel in PRIVATE:
            await client.subscribe(channel)
        await streams.trade(10)
        await streams.exchange.deposit(trader.owner, USDC, 5)
        withdrawal_id = await withdraw(trader)
        await settle(streams, withdrawal_id)
        await client.until(lambda: all(held.updates for held in client.held.values()))
        await client.until(lambda: client.heartbeats > 0)

        await trade_in_every_way(client)
        refused = await client.request({"op": "subscribe", "channel": "depth"})
        assert (refused["type"], refused["code"], refused["field"]) == ("error", "field_invalid", "channel")
        assert (await client.request({"op": "ping"}))["type"] == "pong"
        for channel in PUBLIC:
            await client.unsubscribe(channel, market=MARKET)
        await client.unsubscribe("candles", market=MARKET, interval="1s")
        for channel in PRIVATE:
            parameters = {} if channel in {"deposits", "withdrawals"} else {"sub_account": 0}
            await client.unsubscribe(channel, **parameters)
        assert client.held == {}

        for channel in PRIVATE:
            await client.subscribe(channel)
        assert (await trader.request("POST", "/v1/auth/logout")).status_code == 204
        await client.until(lambda: client.held == {})
        assert (await client.request({"op": "subscribe", "channel": "orders"}))["code"] == "unauthenticated"
    assert SHAPES.seen == SHAPES.kinds


async def test_deposits_are_those_of_the_http_api_from_the_first_sight_to_the_credit(streams: Streams):
    trader, exchange = streams.traders[0], streams.exchange
    async with streams.client(trader) as client:
        deposits = await client.subscribe("deposits")
        number = exchange.deposits + 1
        await see_on_chain(exchange, trader.owner, number)
        await client.until(lambda: [item["status"] for item in items(deposits)] == ["pending"])
        shown = (await streams.rest("/v1/deposits", trader))["items"]
        assert items(deposits)[0] == shown[0]

        exchange.faults.chain_head = 100 + number + 1
        await client.until(lambda: items(deposits)[0]["confirmations"] == 2)
        await client.drop(abruptly=True)
        await exchange.deposit(trader.owner, USDC, 7_000_000)
        await client.connect()
        await client.until(lambda: [item["status"] for item in items(deposits)] == ["credited"])
        shown = (await streams.rest("/v1/deposits", trader, min_seq=exchange.view.seq))["items"]
        assert items(deposits)[0] == shown[0]
        assert (deposits.resumed, deposits.snapshots) == (1, 1)


async def test_withdrawals_are_those_of_the_http_api_over_disconnects(streams: Streams):
    trader = streams.traders[0]
    async with streams.client(trader) as client:
        withdrawals = await client.subscribe("withdrawals")
        withdrawal_id = await withdraw(trader)
        await client.until(lambda: [item["status"] for item in items(withdrawals)] == ["requested"])
        seq = streams.exchange.view.seq
        assert items(withdrawals) == (await streams.rest("/v1/withdrawals", trader, min_seq=seq))["items"]

        await client.drop(abruptly=True)
        await settle(streams, withdrawal_id)
        await client.connect()
        await client.until(lambda: [item["status"] for item in items(withdrawals)] == ["settled"])
        seq = streams.exchange.view.seq
        assert items(withdrawals) == (await streams.rest("/v1/withdrawals", trader, min_seq=seq))["items"]
        assert (withdrawals.resumed, withdrawals.snapshots) == (1, 1)


async def test_a_ticker_is_that_of_the_http_api(streams_with_clickhouse: Streams):
    streams = streams_with_clickhouse
    async with streams.client() as client:
        ticker = await client.subscribe("ticker", market=MARKET)
        for _ in range(5):
            await streams.trade(5)
            answer = await streams.rest(f"/v1/markets/{MARKET}/ticker", min_seq=streams.exchange.view.seq)
            seq = answer.pop("seq")
            assert isinstance(ticker.fold, Newest)
            await client.until(lambda answer=answer: _but_window(ticker.fold.value) == _but_window(answer))
            assert seq == streams.exchange.view.seq
            await client.drop()
            await streams.trade(1)
            await client.connect()


async def test_a_candle_that_is_over_is_closed_without_a_further_trade(streams_with_clickhouse: Streams):
    streams = streams_with_clickhouse
    async with streams.client() as client:
        await streams.trade(5)
        held = await client.subscribe("candles", market=MARKET, interval="1s")
        assert isinstance(held.fold, Candles)
        by_open_ms = held.fold.by_open_ms
        await client.until(lambda: bool(by_open_ms) and by_open_ms[max(by_open_ms)]["closed"])
        last_ms = max(by_open_ms)
        answer = await streams.rest(
            f"/v1/markets/{MARKET}/candles", interval="1s", min_seq=streams.exchange.view.seq
        )
        assert answer["items"][-1] | {"closed": True} == by_open_ms[last_ms]
        assert time.time() * 1_000 >= last_ms + 1_000


async def test_two_sessions_of_one_owner_hear_the_same_and_others_nothing(streams: Streams):
    trader, other = streams.traders[0], streams.traders[1]
    clients: list[StreamClient] = []
    async with (
        streams.client(trader) as first,
        streams.client(trader, compressed=True) as second,
        streams.client(other) as third,
    ):
        clients += [first, second, third]
        for client in clients:
            for channel in PRIVATE:
                await client.subscribe(channel)
        assert (await trader.order(price="1", size="0.5")).status_code == 201
        for client in (first, second):
            await client.until(lambda client=client: sum(held.updates for held in client.held.values()) >= 2)
        await asyncio.gather(*(client.request({"op": "ping"}) for client in clients))
        heard = [{subject: held.updates for subject, held in client.held.items()} for client in clients]
        assert heard[0] == heard[1]
        assert sum(heard[0].values()) == 2  # the order and what it holds
        assert sum(heard[2].values()) == 0


def _but_window(ticker: dict[str, object] | None) -> dict[str, object]:
    """The window may have slid between two looks."""
    return {name: value for name, value in (ticker or {}).items() if name not in {"open_ms", "close_ms"}}
