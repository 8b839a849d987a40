"""Bugs: who is concerned is closed with 1011 and can come again; the exchange goes on."""

import asyncio

from tests.edge_ws.speaking import BOOK, Client, connection_of

from exchange.edge.ws import messages
from exchange.edge.ws.chain_steps import DepositsFanOut


async def is_served(client: Client) -> None:
    assert (await client.ask(op="ping"))["type"] == "pong"


async def test_an_error_of_ours_closes_with_1011_and_the_streams_begin_anew(streams, monkeypatch):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.client() as client:
        await client.subscribe(**BOOK)
        with monkeypatch.context() as broken:
            broken.setattr(streams.exchange.feeds, "advance", lambda: 1 / 0)
            assert await client.closed() == (1011, "internal_error")
    async with streams.client() as client:
        await client.subscribe(**BOOK)
        await trader.order()
        assert (await client.receive())["data"]["bids"] == [["3000", "1"]]


async def test_an_error_behind_a_request_that_had_to_wait_costs_one_connection(streams, monkeypatch):
    hub = streams.exchange.hub
    async with streams.client() as other, streams.client() as client:
        connection, open_topic = connection_of(streams.exchange), hub.open

        async def open_late(*given):
            while not connection._turns.weight:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0)
            return await open_topic(*given)

        with monkeypatch.context() as broken:
            broken.setattr(hub, "open", open_late)
            broken.setattr(messages, "pong", lambda *_: 1 / 0)
            await client.send(op="subscribe", **BOOK)
            await client.send(op="ping")
            assert await client.closed() == (1011, "internal_error")
        await is_served(other)
    async with streams.client() as client:
        await client.subscribe(**BOOK)


async def test_an_error_while_what_waited_is_written_costs_one_connection(streams, monkeypatch):
    async with streams.client() as other, streams.client() as client:
        connection = connection_of(streams.exchange)
        connection.writable = False  # as while nobody reads
        await client.send(op="ping")
        async with asyncio.timeout(10):
            while not connection._turns.weight:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.01)
        with monkeypatch.context() as broken:
            broken.setattr(messages, "pong", lambda *_: 1 / 0)
            connection.writable = True
            connection.on_writable()
            assert await client.closed() == (1011, "internal_error")
        await is_served(other)


async def test_a_connection_that_can_not_be_closed_keeps_no_other_from_beginning_anew(streams, monkeypatch):
    async with streams.client() as stuck, streams.client() as client:
        close = (first := next(iter(streams.exchange.hub._clients)))._close
        first._close = lambda _: 1 / 0
        await client.subscribe(**BOOK)
        with monkeypatch.context() as broken:
            broken.setattr(streams.exchange.feeds, "advance", lambda: 1 / 0)
            assert await client.closed() == (1011, "internal_error")
        first._close = close
        async with streams.client() as again:
            await again.subscribe(**BOOK)
        await stuck.socket.close()


async def test_steps_on_the_chain_that_can_not_be_told_are_no_silence(streams, monkeypatch):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.signed_in(trader) as client:
        await client.subscribe(channel="deposits")
        with monkeypatch.context() as broken:
            broken.setattr(DepositsFanOut, "_has_steps", lambda *_: 1 / 0)
            assert await client.closed() == (1011, "internal_error")
    async with streams.signed_in(trader) as client:
        await client.subscribe(channel="deposits")
