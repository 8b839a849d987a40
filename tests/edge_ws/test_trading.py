"""Orders over the WebSocket: each does what it does over HTTP, in the order of the frames."""

import asyncio
import json
import random
from typing import Any

import pytest
from tests.edge.harness import Exchange, Trader
from tests.edge_ws.speaking import (
    BOOK,
    ORDER,
    Client,
    Streams,
    connection_of,
    engine_standing_still,
    until,
)

from exchange.core.commands import SetMarketState
from exchange.core.words import MarketState
from exchange.edge import order_requests
from exchange.sequencer.sequencer import EngineStopped, Overloaded

PLENTY = {"USDC": 10**15, "ETH": 10**24}


async def open_ids(trader: Trader) -> list[str]:
    exchange = trader.exchange
    items = (await trader.get("/v1/orders", status="open", limit=500, min_seq=exchange.view.seq)).json()[
        "items"
    ]
    return sorted(item["order_id"] for item in items)


async def test_an_order_is_placed_amended_and_cancelled_as_over_http(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        placed = await client.place(id="7", client_order_id="mine", price="2999.99", size="0.5")
        assert (placed["id"], placed["status"], placed["seq"]) == ("7", 201, streams.exchange.view.seq)
        assert placed["fills"] == []
        order = placed["order"]
        assert (order["client_order_id"], order["price"], order["status"]) == ("mine", "2999.99", "open")
        assert (await trader.get(f"/v1/orders/{order['order_id']}")).json()["order"] == order

        again = await client.place(client_order_id="mine", price="2999.99", size="0.5")
        assert (again["status"], again["order"]["order_id"]) == (200, order["order_id"])
        amended = await client.done("amend", order_id=order["order_id"], size="0.25")
        assert (amended["status"], amended["order"]["size"]) == (200, "0.25")
        cancelled = await client.done("cancel", order_id=order["order_id"], id="x")
        assert (cancelled["id"], cancelled["order"]["status"]) == ("x", "cancelled")
        assert await open_ids(trader) == []


async def test_what_was_just_sent_is_cancelled_by_its_client_order_id_without_waiting(streams):
    """Placed, cancelled, cancelled again and placed again, all on their way before the first is answered."""
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        for number in range(20):
            name = f"n{number}"
            await client.send(op="place", id="p", client_order_id=name, **ORDER)
            await client.send(op="cancel", id="c", client_order_id=name)
            await client.send(op="cancel", id="d", client_order_id=name, sub_account=0)
            await client.send(op="place", id="q", client_order_id=name, **ORDER)
        for _ in range(20):
            placed, gone, again, known = [await client.receive() for _ in range(4)]
            assert [message["id"] for message in (placed, gone, again, known)] == ["p", "c", "d", "q"]
            order = placed["order"]
            assert gone["order"] == order | {"status": "cancelled", "ended_ms": gone["order"]["ended_ms"]}
            assert (again["type"], again["code"]) == ("error", "unknown_order")
            assert (known["status"], known["order"]["order_id"]) == (200, order["order_id"])
            assert known["order"]["status"] == "cancelled"
        assert await open_ids(trader) == []


async def test_while_the_engine_stands_still_a_cancel_keeps_its_place_behind_its_order(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        async with engine_standing_still(streams.exchange):
            await client.send(op="place", client_order_id="before", **ORDER)
            sequencer = streams.exchange.sequencer
            await until(
                lambda: sequencer._stamped_ns is not None and not sequencer.waiting
            )  # it has that one
            await client.send(op="cancel", client_order_id="mine")
            await client.send(op="place", client_order_id="mine", **ORDER)
            await client.send(op="cancel", client_order_id="mine")
            await until(lambda: sequencer.waiting == 3)
        answers = [await client.receive() for _ in range(4)]
        told = [answer.get("status", answer.get("code")) for answer in answers]
        assert told == [201, "unknown_order", 201, 200]
        assert answers[3]["order"]["order_id"] == answers[2]["order"]["order_id"]
        assert await open_ids(trader) == [answers[0]["order"]["order_id"]]


async def test_fills_are_told_with_the_order(streams):
    maker = await streams.exchange.trader(**PLENTY)
    taker = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(maker) as first, streams.signed_in(taker) as second:
        resting = await first.place(side="sell", price="2500", size="1")
        taken = await second.place(type="market", price=None, size="0.4")
        assert [fill["price"] for fill in taken["fills"]] == ["2500"]
        assert taken["order"]["status"] == "filled"
        orders = await first.subscribe(channel="orders")
        assert orders["data"][0]["order_id"] == resting["order"]["order_id"]
        assert orders["data"][0]["remaining"] == "0.6"


async def test_all_orders_of_a_market_a_side_or_an_account_are_cancelled_at_once(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        bids = [(await client.place(price=str(price)))["order"]["order_id"] for price in (10, 11)]
        asks = [
            (await client.place(side="sell", price=str(price)))["order"]["order_id"] for price in (90, 91)
        ]
        other = (await client.place(market="WBTC-USDC", price="100"))["order"]["order_id"]
        gone = await client.done("cancel_all", market="ETH-USDC", side="buy")
        assert (gone["count"], gone["order_ids"]) == (2, bids)
        assert (await client.done("cancel_all", market="ETH-USDC"))["order_ids"] == asks
        assert (await client.done("cancel_all", sub_account=0))["order_ids"] == [other]
        assert (await client.done("cancel_all"))["count"] == 0


async def test_the_dead_mans_switch_is_set_and_switched_off(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        switched = await client.done("cancel_all_after", seconds=60)
        assert switched["sub_account"] == 0
        assert switched["cancel_all_at_ms"] == streams.exchange.view.cancel_all_ns(trader.account_id) // 10**6
        assert (await client.done("cancel_all_after", seconds=0))["cancel_all_at_ms"] is None


async def test_a_batch_has_a_result_for_each_operation_and_a_bad_one_leaves_the_others_standing(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        known = (await client.place(price="1000"))["order"]["order_id"]
        operations = [
            {"op": "place", **ORDER, "price": "1001"},
            {"op": "place", **ORDER, "price": "1000.001"},
            {"op": "amend", "order_id": known, "size": "2"},
            {"op": "cancel", "order_id": "1"},
            {"op": "cancel", "order_id": known},
        ]
        done = await client.done("batch", id="b1", operations=operations)
        assert (done["id"], done["status"]) == ("b1", 200)
        assert [result["status"] for result in done["results"]] == [201, 422, 200, 404, 200]
        refused = done["results"][1]["problem"]
        assert (refused["code"], refused["nearest"]) == ("price_off_tick", ["1000", "1000.01"])
        assert refused["request_id"] == "b1"
        assert done["results"][4]["order"]["size"] == "2"

        nothing = await client.done("batch", operations=[{"op": "cancel", "order_id": "1"}])
        assert nothing["results"][0]["problem"]["code"] == "unknown_order"
        await client.refused("field_invalid", "operations", op="batch", operations=[{}] * 101)
        await client.refused("field_invalid", "operations", op="batch", operations=[])


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"op": "place", **ORDER, "price": "1.001"}, "price_off_tick", "price"),
    ({"op": "place", **ORDER, "price": 3000}, "not_a_decimal", "price"),
    ({"op": "place", **ORDER, "price": "1e3"}, "not_a_decimal", "price"),
    ({"op": "place", **ORDER, "size": None}, "field_missing", "size"),
    ({"op": "place", **ORDER, "size": "0"}, "must_be_positive", "size"),
    ({"op": "place", **ORDER, "market": "DOGE-USDC"}, "unknown_market", "market"),
    ({"op": "place", **ORDER, "token": "x"}, "field_unknown", "token"),
    ({"op": "place", **ORDER, "order_id": "1"}, "field_unknown", "order_id"),
    ({"op": "place", **ORDER, "sub_account": 5}, "unknown_account", "sub_account"),
    ({"op": "place", **ORDER, "sub_account": 128}, "field_invalid", "sub_account"),
    ({"op": "place", **ORDER, "expires_at_ms": 1}, "request_expired", "expires_at_ms"),
    ({"op": "place", **ORDER, "price": "1000000", "size": "1000"}, "insufficient_funds", None),
    ({"op": "amend", "price": "1"}, "field_missing", "order_id"),
    ({"op": "amend", "order_id": "99"}, "unknown_order", None),
    ({"op": "amend", "order_id": 99, "price": "1"}, "unknown_order", "order_id"),
    ({"op": "cancel"}, "field_missing", "order_id"),
    ({"op": "cancel", "order_id": "99"}, "unknown_order", None),
    ({"op": "cancel", "order_id": "99", "market": "ETH-USDC"}, "field_unknown", "market"),
    ({"op": "cancel", "client_order_id": "nobody"}, "unknown_order", None),
    ({"op": "cancel", "client_order_id": "no body"}, "field_invalid", "client_order_id"),
    ({"op": "cancel", "client_order_id": "a", "order_id": "1"}, "invalid_combination", "client_order_id"),
    ({"op": "cancel", "client_order_id": "a", "sub_account": 5}, "unknown_account", "sub_account"),
    ({"op": "cancel", "order_id": "1", "sub_account": 0}, "invalid_combination", "sub_account"),
    ({"op": "cancel_all", "market": "DOGE-USDC"}, "unknown_market", "market"),
    ({"op": "cancel_all", "side": "both"}, "field_invalid", "side"),
    ({"op": "cancel_all", "sub_account": "0"}, "field_invalid", "sub_account"),
    ({"op": "cancel_all", "order_id": "1"}, "field_unknown", "order_id"),
    ({"op": "cancel_all_after"}, "field_missing", "seconds"),
    ({"op": "cancel_all_after", "seconds": "60"}, "field_invalid", "seconds"),
    ({"op": "cancel_all_after", "seconds": 86_401}, "field_invalid", "seconds"),
    ({"op": "cancel_all_after", "seconds": True}, "field_invalid", "seconds"),
    ({"op": "cancel_on_disconnect"}, "field_missing", "enabled"),
    ({"op": "cancel_on_disconnect", "enabled": 1}, "field_invalid", "enabled"),
    ({"op": "cancel_on_disconnect", "enabled": True, "sub_account": 0}, "field_unknown", "sub_account"),
    ({"op": "batch"}, "field_missing", "operations"),
    ({"op": "batch", "operations": {}}, "field_invalid", "operations"),
    ({"op": "batch", "operations": [{}], "market": "ETH-USDC"}, "field_unknown", "market"),
]


async def test_what_is_refused_is_told_why_and_the_connection_goes_on(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.signed_in(trader) as client:
        for request, code, field in REFUSED:
            answer = await client.refused(code, field, id="r", **request)
            assert answer["id"] == "r", request
        assert streams.exchange.view.open_orders(trader.account_id) == []
        off_tick = await client.refused("price_off_tick", "price", op="place", **ORDER | {"price": "1.001"})
        assert (off_tick["value"], off_tick["nearest"]) == ("1.001", ["1", "1.01"])
        await client.place()


async def test_who_has_not_said_who_it_is_trades_nothing(streams):
    trader = await streams.exchange.trader(**PLENTY)
    order_id = (await trader.order()).json()["order"]["order_id"]
    async with streams.client() as client:
        await client.refused("unauthenticated", op="place", **ORDER)
        await client.refused("unauthenticated", op="cancel", order_id=order_id)
        await client.refused("unauthenticated", op="cancel_all")
        await client.refused("unauthenticated", op="cancel_all_after", seconds=1)
        await client.refused("unauthenticated", op="batch", operations=[{"op": "place", **ORDER}])
        await client.refused("unauthenticated", op="cancel_on_disconnect", enabled=True)
    assert await open_ids(trader) == [order_id]


async def test_nobody_touches_another_owners_orders(streams):
    owner = await streams.exchange.trader(**PLENTY)
    other = await streams.exchange.trader(**PLENTY)
    order_id = (await owner.order()).json()["order"]["order_id"]
    async with streams.signed_in(other) as client:
        await client.refused("unknown_order", op="cancel", order_id=order_id)
        await client.refused("unknown_order", op="amend", order_id=order_id, price="1")
        result = await client.done("batch", operations=[{"op": "cancel", "order_id": order_id}])
        assert result["results"][0]["problem"]["code"] == "unknown_order"
        assert (await client.done("cancel_all"))["count"] == 0
    assert await open_ids(owner) == [order_id]


async def test_orders_sent_behind_an_auth_wait_for_it(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.client() as client:
        await client.send(op="place", id="early", **ORDER)
        await client.send(op="auth", id="auth", token=trader.token)
        await client.send(op="place", id="late", **ORDER)
        await client.send(op="auth", id="wrong", token="x" * 43)
        await client.send(op="place", id="still", **ORDER)
        found = [await client.receive() for _ in range(5)]
    assert [(message["type"], message["id"]) for message in found] == [
        ("error", "early"),
        ("authenticated", "auth"),
        ("result", "late"),
        ("error", "wrong"),
        ("result", "still"),
    ]


async def test_the_engine_has_all_of_a_connections_orders_before_it_has_answered_the_first(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        async with engine_standing_still(streams.exchange):
            for number in range(300):
                await client.send(op="place", id=str(number), **ORDER | {"price": str(1_000 + number)})
            connection = connection_of(streams.exchange)
            await until(lambda: connection._turns.weight == 300)
            assert len(connection._turns._due) == 300
        results = [await client.receive() for _ in range(300)]
    assert [result["id"] for result in results] == [str(number) for number in range(300)]
    seqs = [result["seq"] for result in results]
    assert seqs == list(range(seqs[0], seqs[0] + 300)), "in the order in which they were sent"


async def test_an_amendment_behind_one_on_its_way_says_all_of_the_order(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        order_id = (await client.place(size="2"))["order"]["order_id"]
        async with engine_standing_still(streams.exchange):
            await client.send(op="amend", id="1", order_id=order_id, price="2000")
            await client.send(op="amend", id="2", order_id=order_id, size="1")
            await client.send(op="amend", id="3", order_id=order_id, size="1", price="1500")
            batch = [{"op": "amend", "order_id": order_id, "price": "1"}]
            await client.send(op="batch", id="4", operations=batch)
            await until(lambda: len(connection_of(streams.exchange)._turns._due) == 4)
        first, second, third, fourth = [await client.receive() for _ in range(4)]
        assert (first["order"]["price"], first["order"]["size"]) == ("2000", "2")
        assert (second["code"], second["field"]) == ("field_missing", "price")
        assert (third["order"]["price"], third["order"]["size"]) == ("1500", "1")
        assert fourth["results"][0]["problem"]["code"] == "field_missing"
        late = await client.done("amend", order_id=order_id, size="0.5")  # nothing is on its way any more
        assert (late["order"]["price"], late["order"]["size"]) == ("1500", "0.5")


async def test_an_engine_that_is_full_or_stopped_is_told_of_as_over_http(streams):
    trader = await streams.exchange.trader(**PLENTY)
    faults = streams.exchange.faults
    async with streams.signed_in(trader) as client:
        faults.refuse = Overloaded(7)
        answer = await client.refused("overloaded", op="place", id="1", **ORDER)
        assert (answer["id"], answer["retry_after_s"]) == ("1", 7)
        faults.refuse = EngineStopped()
        answer = await client.refused("outcome_unknown", op="place", id="2", **ORDER)
        assert answer["retry_after_s"] == 1
        faults.refuse = None
        await client.place()


async def test_orders_under_way_when_the_engine_stops_have_an_unknown_outcome(streams, monkeypatch):
    trader = await streams.exchange.trader(**PLENTY)

    async def fail(*_: object) -> None:
        raise OSError("the database is gone")

    async with streams.signed_in(trader) as client:
        monkeypatch.setattr(streams.exchange.sequencer._log, "append", fail)
        for number in range(20):
            await client.send(op="place", id=str(number), **ORDER)
        answers = [await client.receive() for _ in range(20)]
        assert [answer["id"] for answer in answers] == [str(number) for number in range(20)]
        assert {answer["code"] for answer in answers} == {"outcome_unknown"}
        assert (await client.ask(op="ping"))["type"] == "pong"


async def test_a_market_that_takes_no_orders_says_so(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        await streams.exchange.sequencer.submit(SetMarketState(1, MarketState.HALTED))
        await client.refused("market_halted", op="place", **ORDER)


async def test_an_error_of_ours_in_a_result_costs_one_connection(streams, monkeypatch):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as other, streams.signed_in(trader) as client:
        with monkeypatch.context() as broken:
            broken.setattr(order_requests, "placed", lambda *_: 1 / 0)
            await client.send(op="place", **ORDER)
            assert await client.closed() == (1011, "internal_error")
        assert len(streams.exchange.view.open_orders(trader.account_id)) == 1
        await other.place()


async def test_results_are_told_plain_to_who_takes_compressed_frames_too(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader, compression="deflate") as client:
        assert client.socket.protocol.extensions
        placed = await client.place()
        batch = [{"op": "place", **ORDER}] * 50
        assert len((await client.done("batch", operations=batch))["results"]) == 50
        snapshot = await client.subscribe(channel="orders")
        assert snapshot["data"][0] == placed["order"]


# ---- everything at once, by chance


class Expected:
    """What the replies to random requests must be, by a model that does one request after the other."""

    def __init__(self, exchange: Exchange, draw: random.Random) -> None:
        self._exchange = exchange
        self._draw = draw
        self.requests: list[dict[str, Any]] = []
        self.kinds: list[str] = []
        self.subscribed = False

    def add(self) -> None:
        kind = self._draw.choices(
            ["place", "bad", "unknown", "ping", "book", "batch", "nonsense", "cancel_all"],
            [12, 2, 2, 2, 2, 2, 1, 1],
        )[0]
        request: dict[str, Any]
        match kind:
            case "place":
                request = {"op": "place", **ORDER, "price": str(self._draw.randint(1, 900))}
            case "bad":
                request = {"op": "place", **ORDER, "price": "0.001"}
            case "unknown":
                request = {"op": "cancel", "order_id": "1"}
            case "ping":
                request = {"op": "ping"}
            case "book":
                request = {"op": "unsubscribe" if self.subscribed else "subscribe", **BOOK}
                self.subscribed = not self.subscribed
            case "batch":
                request = {"op": "batch", "operations": [{"op": "place", **ORDER, "price": "5"}] * 3}
            case "cancel_all":
                request = {"op": "cancel_all", "side": "buy"}
            case _:
                request = {"op": "nonsense"}
        self.kinds.append(request["op"] if kind == "book" else kind)
        self.requests.append(request | {"id": str(len(self.requests))})


REPLIES = {
    "place": ("result", None),
    "bad": ("error", "price_off_tick"),
    "unknown": ("error", "unknown_order"),
    "ping": ("pong", None),
    "subscribe": ("subscribed", None),
    "unsubscribe": ("unsubscribed", None),
    "batch": ("result", None),
    "cancel_all": ("result", None),
    "nonsense": ("error", "field_invalid"),
}


async def replies_of(client: Client, number: int) -> list[dict[str, Any]]:
    """The next replies; what the subscriptions say is passed over."""
    found: list[dict[str, Any]] = []
    while len(found) < number:
        message = await client.receive()
        if message["type"] not in {"snapshot", "update"}:
            found.append(message)
    return found


@pytest.mark.parametrize("seed", range(8))
async def test_random_requests_are_done_and_answered_in_their_order(streams: Streams, seed: int) -> None:
    draw = random.Random(seed)
    traders = [await streams.exchange.trader(**PLENTY) for _ in range(2)]
    async with streams.signed_in(traders[0]) as first, streams.signed_in(traders[1]) as second:
        expected = [Expected(streams.exchange, draw) for _ in range(2)]
        for _ in range(90):  # of requests that do not trade a connection may send a hundred at once
            for client, each in zip((first, second), expected, strict=True):
                each.add()
                await client.socket.send(json.dumps(each.requests[-1]))
            if draw.random() < 0.1:
                await asyncio.sleep(0)
        for client, each, trader in zip((first, second), expected, traders, strict=True):
            replies = await replies_of(client, len(each.requests))
            open_orders: list[str] = []
            seq = 0
            for request, kind, reply in zip(each.requests, each.kinds, replies, strict=True):
                wanted, code = REPLIES[kind]
                assert (reply["type"], reply.get("code"), reply["id"]) == (wanted, code, request["id"])
                if wanted == "result":
                    assert reply["seq"] > seq, "the engine did them in another order"
                    seq = reply["seq"]
                    open_orders = after(open_orders, reply)
            assert await open_ids(trader) == sorted(open_orders)


def after(open_orders: list[str], result: dict[str, Any]) -> list[str]:
    """An account's open orders after a result, if it was the next thing that happened to them."""
    match result["op"]:
        case "place":
            return [*open_orders, result["order"]["order_id"]]
        case "batch":
            return [*open_orders, *(each["order"]["order_id"] for each in result["results"])]
        case _:
            assert sorted(result["order_ids"]) == sorted(open_orders)
            return []
