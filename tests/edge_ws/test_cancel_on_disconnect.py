"""Orders that are cancelled when the connection over which they were placed is lost."""

import asyncio

import pytest
from tests.edge.agents import approved
from tests.edge.harness import Trader, served
from tests.edge_ws.speaking import (
    ORDER,
    Client,
    Streams,
    connection_of,
    engine_standing_still,
    until,
)

from exchange.core.commands import RevokeAgent
from exchange.core.events import OrderAccepted, OrderEnded, OrderKnown, OrderRested
from exchange.core.words import EndReason, Side
from exchange.edge.app import create_app
from exchange.edge.ws import placed_orders
from exchange.edge.ws.placed_orders import PlacedOrders
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import EngineStopped, Outcome, Overloaded

PLENTY = {"USDC": 10**15, "ETH": 10**24}


def open_ids(trader: Trader) -> list[int]:
    return [order.order_id for order in trader.exchange.view.open_orders(trader.account_id)]


async def enable(client: Client, enabled: bool = True) -> None:
    assert (await client.done("cancel_on_disconnect", enabled=enabled))["enabled"] is enabled


async def lose(streams: Streams, client: Client) -> None:
    """As a cable that is cut; until the server knows."""
    client.socket.transport.abort()
    await until(lambda: streams.exchange.streams.connections == 0)


@pytest.mark.parametrize("abruptly", [True, False])
async def test_orders_placed_over_a_connection_are_cancelled_when_it_is_lost(streams, abruptly):
    trader = await streams.exchange.trader(**PLENTY)
    kept = (await trader.order(price="100")).json()["order"]["order_id"]
    async with streams.signed_in(trader) as client:
        first = await client.place(price="101")  # before it was asked for: this one too
        await enable(client)
        await client.place(price="102", client_order_id="mine")
        batch = [{"op": "place", **ORDER, "price": "103"}] * 60
        for _ in range(2):
            await client.done("batch", operations=batch)
        await client.done("cancel", order_id=first["order"]["order_id"])
        assert len(open_ids(trader)) == 122
        if abruptly:
            client.socket.transport.abort()
    await until(lambda: open_ids(trader) == [int(kept)])


async def test_orders_on_their_way_are_cancelled_too(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        await enable(client)
        async with engine_standing_still(streams.exchange):
            for number in range(250):
                await client.send(op="place", id=str(number), **ORDER | {"price": str(100 + number)})
            await until(lambda: connection_of(streams.exchange)._turns.weight == 250)
            await lose(streams, client)
            seq = streams.exchange.view.seq
        await until(lambda: streams.exchange.view.seq == seq + 500)  # each was placed, and cancelled
        assert open_ids(trader) == []


async def test_nothing_is_cancelled_unless_it_was_asked_for(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        await client.place()
        await enable(client)
        await enable(client, enabled=False)
        await client.place()
        await lose(streams, client)
    assert not await something_is_running(streams)
    assert len(open_ids(trader)) == 2


async def something_is_running(streams: Streams) -> bool:
    """Whether the hub still does something for a connection that is gone."""
    tasks = streams.exchange.hub._tasks
    assert tasks is not None
    return len(tasks._tasks) > 2  # it ticks, and looks at the chain


async def test_another_connections_orders_stay(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as other, streams.signed_in(trader) as client:
        await enable(other)
        await enable(client)
        kept = (await other.place(client_order_id="kept"))["order"]["order_id"]
        await client.place()
        again = await other.place(client_order_id="kept")
        assert again["status"] == 200
        client.socket.transport.abort()
        await until(lambda: open_ids(trader) == [int(kept)])
        await other.place()
        assert len(open_ids(trader)) == 2


async def test_an_order_that_is_sent_again_belongs_to_that_connection_too(streams):
    """As after a disconnect during which nobody knew what had become of it."""
    trader = await streams.exchange.trader(**PLENTY)
    await trader.order(client_order_id="again")
    async with streams.signed_in(trader) as client:
        await enable(client)
        assert (await client.place(client_order_id="again", type="limit", time_in_force="gtc"))[
            "status"
        ] == 200
        client.socket.transport.abort()
        await until(lambda: open_ids(trader) == [])


async def test_orders_of_a_key_that_was_revoked_meanwhile_are_cancelled(streams):
    trader = await streams.exchange.trader(**PLENTY)
    bot = await approved(trader)
    async with streams.client() as client:
        await client.answer_challenge(bot)
        await enable(client)
        await client.place()
        await streams.exchange.sequencer.submit(RevokeAgent(trader.owner, bot.key.text))
        await client.refused("agent_revoked", op="cancel_on_disconnect", enabled=False)
        assert len(open_ids(trader)) == 1
        client.socket.transport.abort()
        await until(lambda: open_ids(trader) == [])


async def test_orders_of_several_owners_over_one_connection_are_all_cancelled(streams):
    traders = [await streams.exchange.trader(**PLENTY) for _ in range(2)]
    async with streams.client() as client:
        for trader in traders:
            await client.sign_in(trader)
            await enable(client)
            await client.place()
        client.socket.transport.abort()
        for trader in traders:
            await until(lambda trader=trader: open_ids(trader) == [])


async def test_what_a_full_inbox_refuses_is_tried_again(streams):
    trader = await streams.exchange.trader(**PLENTY)
    faults = streams.exchange.faults
    async with streams.signed_in(trader) as client:
        await enable(client)
        await client.place()
        faults.refuse = Overloaded(0)
        await lose(streams, client)
        await asyncio.sleep(0.01)
        assert len(open_ids(trader)) == 1
        faults.refuse = None
        await until(lambda: open_ids(trader) == [])
    await until(lambda: len(streams.exchange.hub._tasks._tasks) == 2)


async def test_an_engine_that_has_stopped_is_asked_no_more(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        await enable(client)
        await client.place()
        streams.exchange.faults.refuse = EngineStopped()
        await lose(streams, client)
        await until(lambda: len(streams.exchange.hub._tasks._tasks) == 2)
        streams.exchange.faults.refuse = None
    assert len(open_ids(trader)) == 1


async def test_a_server_that_stops_leaves_the_orders_to_the_dead_mans_switch(exchange):
    trader = await exchange.trader(**PLENTY)
    async with served(create_app(exchange.edge, exchange.hub)) as url:
        streams = Streams(exchange, url)
        connecting = streams.signed_in(trader)
        client = await connecting.__aenter__()
        await enable(client)
        await client.place()
    assert await client.closed() == (1001, "going_away")
    await until(lambda: exchange.streams.connections == 0)
    assert not await something_is_running(streams)
    assert len(open_ids(trader)) == 1


async def test_who_is_cut_off_by_the_server_has_lost_its_connection(streams, monkeypatch):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        await enable(client)
        await client.place()
        for _ in range(400):
            await client.socket.send("{")
        assert await client.closed() == (4002, "flood")
    await until(lambda: open_ids(trader) == [])


def ended(order_id: int) -> OrderEnded:
    return OrderEnded(order_id, 1, 1, Side.BUY, 1, EndReason.CANCELLED, 0, 1, 0, was_resting=True)


class View(CommittedView):
    """Where these orders are open."""

    def __init__(self, open_orders: set[int]) -> None:
        self._open = open_orders

    def open_order(self, order_id: int):
        return placed(order_id) if order_id in self._open else None


def placed(order_id: int) -> OrderAccepted:
    return OrderAccepted(order_id, 1, 1, "buy", "limit", "gtc", "cancel_newest", 1, 1, 2, 1, 0, 0, None)


def test_of_orders_that_have_ended_no_more_are_remembered_than_are_open(monkeypatch):
    monkeypatch.setattr(placed_orders, "LEAST_SWEPT", 10)
    open_orders: set[int] = set()
    remembered = PlacedOrders(View(open_orders))
    most = 0
    for number in range(1, 1_000):
        open_orders.add(number)
        if len(open_orders) > 20:
            open_orders.remove(min(open_orders))
        remembered.add(Outcome(number, 1, (placed(number),)))
        most = max(most, len(remembered))
    assert most <= 2 * 20 + 10
    assert {order.order_id for order in remembered.open()} == open_orders


def test_only_orders_that_were_placed_are_remembered():
    open_orders = {7, 8}
    remembered = PlacedOrders(View(open_orders))
    remembered.add(Outcome(1, 1, (OrderKnown(8, 1, 1, "open", 1, 1),)))
    remembered.add(Outcome(1, 1, (OrderRested(7, 1, 1, "buy", 1, 1),)))
    assert [order.order_id for order in remembered.open()] == [8]


def test_an_order_that_is_told_to_have_ended_is_not_remembered():
    remembered = PlacedOrders(View({1, 2}))
    remembered.add(Outcome(1, 1, (placed(1),)))
    remembered.add(Outcome(2, 1, (placed(2), ended(2))))
    assert len(remembered) == 1
    remembered.add(Outcome(3, 1, (placed(3), ended(1))))  # its maker's end is not its own
    assert len(remembered) == 2
    remembered.add(Outcome(4, 1, (ended(3),)))
    remembered.add(Outcome(5, 1, (ended(4),)))  # of another connection
    assert [order.order_id for order in remembered.open()] == [1]
