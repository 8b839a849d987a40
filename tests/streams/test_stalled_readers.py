"""A thousand clients that subscribe and read nothing: each costs bounded memory, and nobody's time.

STALLED=5000 and BURSTS=2000 make it larger.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.edge.harness import Trader
from tests.streams.client import Held, StreamClient
from tests.streams.folds import Book, Orders
from tests.streams.hostile import CLOSE, TEXT, Hostile
from tests.streams.server_process import ServerProcess, allow_files
from tests.streams.serving import MARKET, Streams, as_rest, until

from exchange.core.commands import CancelAll, PlaceOrder
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.edge.ws import hub, limits

STALLED = int(os.environ.get("STALLED", "1000"))
BURSTS = int(os.environ.get("BURSTS", "100"))
STRICT = 15
"""So many of the stalled are clients that check everything; the others are cheap."""
KIB_EACH = 32
"""What one stalled reader may cost: its connection, and the rest of what was written to it last."""
KIB_MORE = 8 * 1024
"""What any further traffic may cost in all, when that is paid."""
_SEQS = re.compile(rb'"(?:prev_)?seq": ?(\d+)')


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[ServerProcess]:
    started = await ServerProcess.start(database_url)
    try:
        yield started
        assert await started.stop() == 0
    finally:
        await started.stop()


async def stalled(url: str) -> Hostile:
    """A client that has subscribed to the book and reads no more."""
    client = await Hostile.connect(url, receive_buffer=4096)
    await client.send_json({"op": "subscribe", "channel": "book", "market": MARKET})
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    return client


async def read_to(client: Hostile, seq: int) -> int:
    """Reads until the book is at `seq`; how many messages that took. Each must fit the one before."""
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    held, messages = 0, 0
    async with asyncio.timeout(30):
        while held < seq:
            found = await client.read_frame()
            assert found is not None, "cut off"
            opcode, payload = found
            assert opcode != CLOSE
            if opcode != TEXT or b'"channel"' not in payload[:200] or b'"subscribed"' in payload[:200]:
                continue
            seqs = [int(number) for number in _SEQS.findall(payload[:300])]
            if b'"snapshot"' in payload[:200]:
                held = seqs[0]
            else:
                before, after = min(seqs), max(seqs)
                assert before <= held < after
                held = after
            messages += 1
    assert held == seq
    return messages


async def until_all_are_stalled(server: ServerProcess, number: int, bursts: int, rest_s: float) -> int:
    """Trades until nothing more can be written to them; the server's memory then, in KiB."""
    async with asyncio.timeout(60):
        told = await server.trade(bursts)
        while told["stalled"] < number:
            await asyncio.sleep(rest_s)
            told = await server.trade(bursts)
    return told["memory_kib"]


async def book_of(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url) as http:
        answer = (await http.get(f"/v1/markets/{MARKET}/book", params={"depth": 500})).json()
    return {"bids": answer["bids"], "asks": answer["asks"]}


def has(held: Held, book: dict[str, Any]) -> bool:
    assert isinstance(held.fold, Book)
    return as_rest(held.fold) == book


@pytest.mark.skipif(allow_files() < STALLED + 200, reason="too few open files are allowed here")
@pytest.mark.parametrize(
    ("bursts", "rest_s"), [(BURSTS, 0.0), (2, 0.05)], ids=["much at once", "little by little"]
)
async def test_a_thousand_stalled_readers_cost_bounded_memory_and_are_right_afterwards(
    server: ServerProcess, bursts: int, rest_s: float
):
    strict = [StreamClient(server.url, receive_buffer=4096) for _ in range(STRICT)]
    reading = StreamClient(server.url)
    cheap: list[Hostile] = []
    try:
        await reading.connect()
        read = await reading.subscribe("book", market=MARKET)
        for client in strict:
            await client.connect()
            await client.subscribe("book", market=MARKET)
            client.stall()
        while len(cheap) < STALLED - STRICT:
            cheap += await asyncio.gather(*(stalled(server.url) for _ in range(50)))
        before_kib = (await server.trade(1))["memory_kib"]
        full_kib = await until_all_are_stalled(server, len(strict) + len(cheap), bursts, rest_s)
        assert full_kib - before_kib < STALLED * KIB_EACH
        for _ in range(3):
            last = await server.trade(BURSTS)
            await reading.until(lambda seq=last["last_book_seq"]: (read.seq or 0) >= seq)
        assert last["memory_kib"] - full_kib < KIB_MORE
        book = await book_of(server.url)
        assert has(read, book), "who reads is served on"
        assert read.snapshots == 1

        seq = last["last_book_seq"]
        catching_up = [asyncio.create_task(read_to(client, seq)) for client in cheap]
        for client in strict:
            await asyncio.sleep(0.01)  # so that they come amid the others
            client.resume_reading()
        read_again = await asyncio.gather(*catching_up)
        assert max(read_again) < read.updates, "nothing was merged: nobody was stalled"
        for client in strict:
            (held,) = client.held.values()
            await client.until(lambda held=held: (held.seq or 0) >= seq)
            assert has(held, book)
    finally:
        for client in cheap:
            client.writer.transport.abort()
        for client in [*strict, reading]:
            await client.drop(abruptly=True)
    gone = await server.trade(1)
    assert gone["seq"] > last["seq"], "it trades on"


async def test_who_is_behind_hears_no_heartbeat_for_it_would_resume_from_there(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.02)
    async with streams.client(receive_buffer=4096) as client, streams.client() as other:
        held = await client.subscribe("book", market=MARKET)
        await other.subscribe("book", market=MARKET)
        slow = next(iter(streams.exchange.hub._clients))
        client.stall()
        while not slow.behind:
            await streams.trade(1)
        await streams.settled(other)
        with monkeypatch.context() as busy:
            busy.setattr(hub, "SERVE_S", 0)  # so many catch up that its turn has not come
            client.resume_reading()
            await until(lambda: slow.writable)
            assert slow.behind
            await client.request({"op": "ping"})
            heard, beats = client.heartbeats, other.heartbeats
            await other.until(lambda: other.heartbeats >= beats + 5)
            await client.request({"op": "ping"})
            assert client.heartbeats == heard
            assert (held.seq or 0) < streams.record.book_changed_seq
        await streams.settled(client)
        heard = client.heartbeats
        await client.until(lambda: client.heartbeats > heard)


async def test_a_private_stream_that_is_not_read_is_cut_off_with_a_code_and_resumes(streams: Streams):
    trader = streams.traders[0]
    cuts = streams.exchange.streams.cuts
    async with (
        streams.client(trader, receive_buffer=4096) as client,
        streams.client(trader) as other,
    ):
        orders, read = await client.subscribe("orders"), await other.subscribe("orders")
        assert isinstance(orders.fold, Orders)
        assert isinstance(read.fold, Orders)
        client.stall()
        orders_placed = 0
        while not cuts["slow_reader"]:
            assert orders_placed < 200 * 25
            await place_and_cancel(streams, trader)
            orders_placed += 25
        client.resume_reading()
        assert await client.closed() == 4000
        assert len(orders.fold.ended) < len(read.fold.ended) - 500, "it was behind"
        await client.connect()
        for reader, held in ((client, orders), (other, read)):
            await reader.until(lambda held=held: len(held.fold.ended) >= orders_placed)
        assert orders.resumed == 1
        assert orders.fold.ended == read.fold.ended, "nothing private is ever left out"


async def test_who_stays_away_for_too_long_begins_anew_and_is_told_so(streams: Streams):
    trader = streams.traders[0]
    async with streams.client(trader) as client:
        orders, fills = await client.subscribe("orders"), await client.subscribe("fills")
        await place_and_cancel(streams, trader)
        await streams.settled(client)
        await client.drop(abruptly=True)
        for _ in range(120):
            await place_and_cancel(streams, trader)
        await client.connect()
        await streams.settled(client)
        assert (orders.resumed, orders.snapshots) == (0, 2)
        assert (fills.resumed, fills.snapshots) == (1, 1)


async def place_and_cancel(streams: Streams, trader: Trader) -> None:
    """25 orders of this trader, and their end."""
    place = PlaceOrder(
        account_id=trader.account_id,
        market_id=1,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price_ticks=200_000,
        size_lots=10_000,
        client_order_id=None,
        expires_ns=streams.exchange.edge.clock_ns() + 20 * 10**9,
    )
    await streams.exchange.edge.submit_batch([place] * 25 + [CancelAll(trader.account_id, 1)])
