"""Readers that do not read, pings that nobody answers, and the server's own end."""

import asyncio
import json
import random
import socket
import time
import zlib
from collections.abc import Iterable
from contextlib import asynccontextmanager

import pytest
from tests.edge.harness import Exchange, Trader, served
from tests.edge_ws.speaking import BOOK, ORDERS, Client, Streams

from exchange.core.commands import CancelAll, PlaceOrder
from exchange.core.events import OrderAccepted
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.edge.app import create_app
from exchange.edge.ws import hub, limits, protocol
from exchange.edge.ws.fan_out import MESSAGES_AT_ONCE, FanOut
from exchange.edge.ws.frames import Frames
from exchange.edge.ws.limits import MAX_WAITING_MESSAGES
from exchange.feeds.updates import Update
from exchange.sequencer.sequencer import MAX_GROUP


@pytest.fixture(autouse=True)
def little_room(monkeypatch):
    """Little is kept for who does not read, so that a test need not send much."""
    monkeypatch.setattr(protocol, "UNSENT_BYTES", 2_048)


def small_socket(port: int) -> socket.socket:
    """Takes little in while nobody reads."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    opened.connect(("127.0.0.1", port))
    opened.setblocking(False)
    return opened


@asynccontextmanager
async def stalling(streams, **options):
    """A client that takes in almost nothing while it does not read; in the end it is gone without a word.

    A close would wait ten seconds for an answer, for which it would have to read all that is before it.
    """
    quiet = {"max_queue": 1, "ping_interval": None}
    async with streams.client(sock=small_socket(streams.port), **quiet, **options) as client:
        try:
            yield client
        finally:
            client.socket.transport.abort()


async def stalled(streams, client: Client, until):
    """Does something again and again until the server can not write to the client any more, and more."""
    connection = list(streams.exchange.hub._clients)[-1]
    client.socket.transport.pause_reading()
    stuck = 0
    async with asyncio.timeout(60):
        while stuck < 5:  # the system may still take a little
            await until()
            stuck = 0 if connection.writable else stuck + 1
    return connection


async def place(exchange: Exchange, trader: Trader, prices_ticks: Iterable[int]) -> list[str]:
    """Places many orders at once; their ids."""
    soon_ns = time.time_ns() + 20 * 10**9
    orders = [
        PlaceOrder(
            trader.account_id, 1, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, price_ticks, 100, None, soon_ns
        )
        for price_ticks in prices_ticks
    ]
    outcomes = [
        outcome
        for start in range(0, len(orders), MAX_GROUP)
        for outcome in await exchange.edge.submit_batch(orders[start : start + MAX_GROUP])
    ]
    accepted = [outcome.events[0] for outcome in outcomes]
    assert {type(event) for event in accepted} == {OrderAccepted}
    return [str(event.order_id) for event in accepted]


async def churn(exchange: Exchange, trader: Trader) -> list[str]:
    """Many orders, then all of them cancelled; their ids."""
    ids = await place(exchange, trader, (random.randint(10_000, 60_000) for _ in range(100)))
    await exchange.edge.submit(CancelAll(trader.account_id, None))
    return ids


def checksum(book: dict[str, dict[str, str]]) -> int:
    bids = sorted(book["bids"].items(), key=lambda level: -float(level[0]))[:25]
    asks = sorted(book["asks"].items(), key=lambda level: float(level[0]))[:25]
    return zlib.crc32(",".join(f"{price}:{size}" for price, size in [*bids, *asks]).encode())


def apply(book: dict[str, dict[str, str]], message: dict) -> None:
    for side in ("bids", "asks"):
        if message["type"] == "snapshot":
            book[side].clear()
        for price, size in message["data"][side]:
            if size == "0":
                book[side].pop(price, None)
            else:
                book[side][price] = size
    assert checksum(book) == message["data"]["checksum"]


def opened(message: dict) -> list[str]:
    return [item["order_id"] for item in message["data"] if item["status"] == "open"]


async def test_a_stalled_public_reader_gets_what_it_missed_merged_into_little(streams):
    trader = await streams.exchange.trader(USDC=10**14)

    async def order() -> None:
        await churn(streams.exchange, trader)

    async with stalling(streams) as slow, streams.client() as quick:
        book: dict = {"bids": {}, "asks": {}}
        apply(book, await slow.subscribe(**BOOK))
        snapshot = await quick.subscribe(**BOOK)
        connection = await stalled(streams, slow, order)
        for _ in range(10):
            await order()
        seq = streams.exchange.view.seq
        updates = [snapshot]
        while updates[-1]["seq"] < seq:
            updates.append(await quick.receive())
        slow.socket.transport.resume_reading()
        heard = 0
        while True:
            message = await slow.receive()
            heard += 1
            apply(book, message)
            if message["seq"] >= seq:
                break
        assert heard < len(updates)
        assert not connection.behind
    depth = streams.exchange.view.depth(1, 10_000)[0]
    assert len(book["bids"]) == len(depth)
    assert streams.exchange.streams.conflated["book"] > 0


async def test_a_stalled_private_reader_is_cut_off_with_4000_and_resumes_without_loss(streams):
    trader = await streams.exchange.trader(USDC=10**14)
    placed: list[str] = []

    async def order() -> None:
        placed.extend(await churn(streams.exchange, trader))

    async with stalling(streams) as client:
        await client.sign_in(trader)
        snapshot = await client.subscribe(channel="orders")
        connection = await stalled(streams, client, order)
        for _ in range(MAX_WAITING_MESSAGES // 101 + 1):
            await order()
        assert not connection._is_open
        client.socket.transport.resume_reading()
        heard, held = [], snapshot["seq"]
        try:
            while True:
                message = json.loads(await client.socket.recv())
                if message["type"] == "update":
                    assert message["prev_seq"] <= held < message["seq"]
                    held = message["seq"]
                    heard += opened(message)
        except Exception:
            assert await client.closed() == (4000, "slow_reader")
    assert 0 < len(heard) < len(placed)
    async with streams.signed_in(trader) as again:
        reply = await again.ask(op="subscribe", channel="orders", resume_seq=held)
        assert (reply["resumed"], reply["seq"]) == (True, held)
        while len(heard) < len(placed):
            message = await again.receive()
            assert message["type"] == "update"
            heard += opened(message)
    assert heard == placed
    assert streams.exchange.streams.cuts["slow_reader"] == 1


async def test_who_resumes_is_given_a_little_in_each_turn_and_in_the_end_all(streams, monkeypatch):
    trader = await streams.exchange.trader(USDC=10**14)
    made = 0
    make = FanOut._message

    def count(fan_out: FanOut, update: Update) -> bytes:
        nonlocal made
        made += 1
        return make(fan_out, update)

    async with streams.signed_in(trader) as other, streams.signed_in(trader) as client:
        before = (await other.subscribe(**ORDERS))["seq"]
        placed = [each for _ in range(10) for each in await churn(streams.exchange, trader)]
        seq = streams.exchange.view.seq
        while (await other.receive())["seq"] < seq:
            pass
        with monkeypatch.context() as counting:
            counting.setattr(FanOut, "_message", count)
            counting.setattr(hub, "SERVE_S", -1)  # others take all the time there is
            for number in range(20):
                await client.send(op="subscribe", id=str(number), resume_seq=before, **ORDERS)
            replies, first = [], 0
            while len(replies) < 20 or first < MESSAGES_AT_ONCE:
                message = await client.receive()
                if message["type"] == "subscribed":
                    assert (message["resumed"], message["seq"]) == (True, before)
                    replies.append(message["id"])
                    heard, held, first = [], before, 0
                else:
                    assert message["prev_seq"] <= held < message["seq"]
                    held, first = message["seq"], first + 1
                    heard += opened(message)
            assert replies == [str(number) for number in range(20)]
            assert made == 20 * MESSAGES_AT_ONCE
        while held < seq:
            message = await client.receive()
            assert message["prev_seq"] <= held < message["seq"]
            held = message["seq"]
            heard += opened(message)
        assert heard == placed
        placed = await place(streams.exchange, trader, [20_000])
        assert opened(await client.receive()) == placed


async def test_who_asks_again_and_again_for_a_long_book_and_reads_nothing_gets_one(streams):
    trader = await streams.exchange.trader(USDC=10**14)
    await place(streams.exchange, trader, range(10_000, 11_000))
    async with stalling(streams) as client:
        connection = list(streams.exchange.hub._clients)[-1]
        client.socket.transport.pause_reading()
        for number in range(50):
            await client.send(op="subscribe", id=str(number), **BOOK)
        async with asyncio.timeout(10):
            while connection.writable:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.01)
        buffered = connection._write.__self__.get_write_buffer_size()
        assert 0 < buffered < 1_000 * len(b'["100.01","0.01"],') + 1_000
        client.socket.transport.resume_reading()
        replies = []
        while len(replies) < 50:
            message = await client.receive()
            if message["type"] == "subscribed":
                replies.append(message["id"])
        assert replies == [str(number) for number in range(50)]


async def test_who_answers_no_ping_is_closed_with_4001(streams, monkeypatch):
    monkeypatch.setattr(limits, "PING_S", 0.1)
    monkeypatch.setattr(limits, "PONG_S", 0.3)
    async with streams.client() as client, streams.client() as alive:
        silent = client.socket.protocol
        monkeypatch.setattr(silent, "send_frame", lambda frame: None)  # also no pong
        assert await client.closed() == (4001, "ping_timeout")
        assert (await alive.ask(op="ping"))["type"] == "pong"
    assert streams.exchange.streams.cuts["ping_timeout"] == 1


async def test_who_reads_slowly_but_on_and_on_is_not_taken_for_dead(streams, monkeypatch):
    monkeypatch.setattr(streams.exchange.hub, "_tick", lambda: None)  # the clock is the test's
    for first_ticks in range(10_000, 20_000, 1_000):
        trader = await streams.exchange.trader(USDC=10**14)
        await place(streams.exchange, trader, range(first_ticks, first_ticks + 1_000))
    no_beat, now_s, looks = Frames([]), asyncio.get_running_loop().time(), 0
    async with stalling(streams) as client:
        connection = list(streams.exchange.hub._clients)[-1]
        unsent_bytes = connection._unsent_bytes
        client.socket.transport.pause_reading()
        await client.send(op="subscribe", **BOOK)
        async with asyncio.timeout(10):
            while connection.writable:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.01)
        while unsent_bytes() > 20_000:
            now_s += limits.PING_S
            connection.tick(now_s, 0, no_beat)
            looks, before = looks + 1, unsent_bytes()
            client.socket.transport.resume_reading()
            async with asyncio.timeout(10):
                while unsent_bytes() >= before:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0)
            client.socket.transport.pause_reading()
            assert connection._is_open
        assert looks * limits.PING_S > 2 * limits.PONG_S
        for _ in range(4):
            now_s += limits.PING_S
            connection.tick(now_s, 0, no_beat)
        assert not connection._is_open
    assert streams.exchange.streams.cuts["ping_timeout"] == 1


async def test_who_takes_a_little_and_is_full_again_is_not_taken_for_dead(streams, monkeypatch):
    monkeypatch.setattr(streams.exchange.hub, "_tick", streams.exchange.hub._flush)  # no pings but the test's
    trader = await streams.exchange.trader(USDC=10**14)
    no_beat = Frames([])

    async def order() -> None:
        await churn(streams.exchange, trader)

    async with stalling(streams) as client:
        await client.subscribe(**BOOK)
        connection = await stalled(streams, client, order)
        for _ in range(6):
            loop_s = asyncio.get_running_loop().time()
            connection._ping_due_s = loop_s
            connection.tick(loop_s, 0, no_beat)
            assert connection._pinged_s is not None
            connection._pinged_s -= limits.PONG_S - 1  # so long ago that this is its last moment
            full_bytes = connection._unsent_bytes()
            client.socket.transport.resume_reading()
            async with asyncio.timeout(10):
                while not connection.writable:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0)
            connection = await stalled(streams, client, order)
            connection._unsent_then = min(full_bytes, connection._unsent_bytes())  # as full as it was
            connection.tick(asyncio.get_running_loop().time() + 2, 0, no_beat)
            assert connection._is_open


async def test_heartbeats_say_how_far_everything_is(streams, monkeypatch):
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.1)
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.client() as client:
        await client.subscribe(**BOOK)
        first = await client.heard()
        while first["type"] != "heartbeat":
            first = await client.heard()
        order = (await trader.order()).json()
        update = await client.receive()
        assert update["seq"] == order["seq"] > first["seq"]
        beat = await client.heard()
        assert beat["type"] == "heartbeat"
        assert beat["seq"] >= update["seq"]
        await client.ask(op="unsubscribe", **BOOK)
        reply = await client.ask(op="subscribe", **BOOK, resume_seq=beat["seq"])
        assert reply["resumed"]
        assert reply["seq"] == beat["seq"]


async def test_who_is_behind_is_told_how_far_everything_is_only_when_it_has_it(streams, monkeypatch):
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0)
    trader = await streams.exchange.trader(USDC=10**14)

    async def order() -> None:
        await churn(streams.exchange, trader)

    async with stalling(streams) as client:
        await client.subscribe(**BOOK)
        connection = await stalled(streams, client, order)
        streams.exchange.hub._tick()  # all else is sent
        (subscription,) = connection.behind
        seq = streams.exchange.view.seq
        assert subscription.seq < seq
        with monkeypatch.context() as busy:
            busy.setattr(hub, "SERVE_S", -1)  # others take all the time there is
            client.socket.transport.resume_reading()
            async with asyncio.timeout(10):
                while not connection.writable:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.01)
            streams.exchange.hub._tick()
            assert connection.behind
            behind_at = subscription.seq
        held, beats = 0, []
        while held < seq:
            message = await client.heard()
            if message["type"] == "heartbeat":
                beats.append(message["seq"])
            else:
                held = message["seq"]
        assert max(beats, default=0) <= behind_at
        while (await client.heard())["type"] != "heartbeat":
            pass


async def test_a_server_that_stops_says_so_with_1001(exchange: Exchange):
    async with served(create_app(exchange.edge, exchange.hub)) as url:
        streams = Streams(exchange, url)
        opened = [streams.client(), streams.client()]
        clients = [await client.__aenter__() for client in opened]
        await clients[0].subscribe(**BOOK)
    for client in clients:
        assert await client.closed() == (1001, "going_away")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82\x00\x00\x00\x00\xc3\x28", 1007),  # text that is not UTF-8
        (b"\x81\x02{}", 1002),  # not masked
        (b"\xf1\x82\x00\x00\x00\x00{}", 1002),  # reserved bits
        (b"\x83\x82\x00\x00\x00\x00{}", 1002),  # no such opcode
        (b"\x80\x82\x00\x00\x00\x00{}", 1002),  # continues nothing
        (b"\x81\xfe\x40\x01\x00\x00\x00\x00", 1009),  # announces 16,385 bytes
    ],
)
async def test_what_is_no_websocket_is_closed_with_the_standards_code(streams, frame, code):
    async with streams.client() as client, streams.client() as other:
        client.socket.transport.write(frame)
        assert (await client.closed())[0] == code
        assert (await other.ask(op="ping"))["type"] == "pong"


async def test_a_message_over_16_kib_in_fragments_or_when_inflated_is_closed_with_1009(streams):
    async with streams.client() as client:
        await client.socket.send("x" * 4_000 for _ in range(5))
        assert (await client.closed())[0] == 1009
    async with streams.client(compression="deflate") as client:
        await client.socket.send(" " * 16_385)
        assert (await client.closed())[0] == 1009
    async with streams.client(compression="deflate") as client:
        assert (await client.say(" " * 16_384))["code"] == "message_too_large"
