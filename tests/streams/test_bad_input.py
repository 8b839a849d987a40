"""The socket in the hands of somebody who means it badly, or whose program is broken.

Whatever comes: a coded error or the documented close code, no traceback in the log, nobody else disturbed.
"""

import asyncio
import json
import logging
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tests.streams.hostile import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Hostile,
    deflated,
    frame,
)
from tests.streams.serving import MARKET, Streams
from tests.streams.spec import Frame
from websockets.server import ServerProtocol

from exchange.edge.problems import STATUS_AND_TITLE
from exchange.edge.ws.limits import MAX_REFUSED, REQUESTS_AT_ONCE, STRANGERS
from exchange.edge.ws.requests import TradingOp

DEFLATE = "permessage-deflate; client_no_context_takeover; server_no_context_takeover; client_max_window_bits"
KIB = 1024
AT_ONCE = 60
"""Fewer than the requests that a connection may send at once."""

BOOK = {"op": "subscribe", "channel": "book", "market": MARKET}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["book", "orders", "subscribe", MARKET, "1m", "\u0000", "\ud800", "ETH-USDC'; --"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["op", "id", "channel"]), inner, max_size=4)
    ),
    max_leaves=12,
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["subscribe", "unsubscribe", "auth", "ping", "SUBSCRIBE", "place", ""])
        | json_values,
        "channel": st.sampled_from(["book", "trades", "candles", "orders", "deposits", "depth", "*"])
        | json_values,
        "market": st.sampled_from([MARKET, "eth-usdc", "ETH-USDC' OR 1=1 --", "\u0000", "x" * 3_000])
        | json_values,
        "interval": st.sampled_from(["1m", "1s", "1M", "2m", "60"]) | json_values,
        "sub_account": st.integers(-2, 200) | json_values,
        "resume_seq": st.sampled_from([0, -1, 2**63 - 1, 2**63, 10**30, 1.0, "1"]) | json_values,
        "id": st.sampled_from(["1", "", "x" * 36, "x" * 37, "a b", 7, None]) | json_values,
        "token": st.text(max_size=50) | json_values,
        "extra": json_values,
    },
)
texts = (
    st.text(max_size=60)
    | json_values.map(json.dumps)
    | requests.map(json.dumps)
    | requests.map(json.dumps).map(lambda text: text[:-1])
)
decimals = st.sampled_from(["3000", "0.001", "1e3", "-1", "0", "9" * 40, "\u0663", "1_000", ""]) | json_values
TRADING_OPS = list(TradingOp)
ORDER_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "market": st.sampled_from([MARKET, MARKET, "eth-usdc"]) | json_values,
    "side": st.sampled_from(["buy", "sell", "both"]) | json_values,
    "price": decimals,
    "size": decimals,
    "amount": decimals,
    "type": st.sampled_from(["limit", "market"]) | json_values,
    "time_in_force": st.sampled_from(["gtc", "ioc", "fok", "post_only", "gtt"]) | json_values,
    "trigger": st.fixed_dictionaries({}, optional={"type": json_values, "price": decimals}) | json_values,
    "good_till_ms": st.integers(-(2**70), 2**70) | json_values,
    "expires_at_ms": st.integers(-(2**70), 2**70) | json_values,
    "client_order_id": st.sampled_from(["a", "b", ""]) | json_values,
    "sub_account": st.integers(-2, 200) | json_values,
    "order_id": st.sampled_from(["1", "99", "x", "9" * 30, "-1"]) | json_values,
    "seconds": st.sampled_from([0, 60, -1, 10**9]) | json_values,
    "enabled": st.booleans() | json_values,
}
operations = st.fixed_dictionaries(
    {}, optional={"op": st.sampled_from(TRADING_OPS) | json_values} | ORDER_FIELDS
)
trades = st.fixed_dictionaries(
    {"op": st.sampled_from(TRADING_OPS)},
    optional=ORDER_FIELDS
    | {
        "operations": st.lists(operations | json_values, max_size=5) | json_values,
        "id": st.sampled_from(["1", "", 7]) | json_values,
    },
).map(json.dumps)
raw_bytes = st.binary(max_size=200)


def examples(strategy: st.SearchStrategy[Any], count: int, seed_number: int = 20261129) -> list[Any]:
    """So many different values, always the same ones."""
    drawn: list[Any] = []

    @seed(seed_number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: Any) -> None:
        drawn.append(value)

    draw()
    return drawn


@pytest.fixture(autouse=True)
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing in the log is an error of ours: no traceback, nothing that asyncio had to report."""
    with structlog.testing.capture_logs() as entries:
        yield
    for entry in entries:
        assert "traceback" not in entry, entry
        assert "exc_info" not in entry, entry
    for record in caplog.records:
        assert record.exc_info is None, record.exc_text
        assert record.levelno < logging.ERROR, record.getMessage()


@asynccontextmanager
async def undisturbed(streams: Streams) -> AsyncIterator[None]:
    """Another client has its book, before and after, and is not disconnected."""
    async with streams.client() as client:
        held = await client.subscribe("book", market=MARKET)
        await streams.trade(3)
        yield
        await streams.trade(3)
        book = (await streams.http.get(f"/v1/markets/{MARKET}/book?depth=500")).json()
        await client.until(lambda: held.seq is not None and held.seq >= streams.record.book_changed_seq)
        assert [list(map(list, side)) for side in held.fold.sides()] == [book["bids"], book["asks"]]
        assert client.close_code is None


def assert_coded(replies: list[Frame] | None) -> None:
    assert replies is not None, "the connection was closed"
    for reply in replies:
        if reply["type"] == "error":
            assert reply["code"] in STATUS_AND_TITLE, reply
            assert len(json.dumps(reply)) < 1_000, "what was sent comes back at length"


@pytest.mark.parametrize("is_signed_in", [False, True])
async def test_any_text_has_one_coded_reply_and_the_connection_is_kept(streams: Streams, is_signed_in: bool):
    async with undisturbed(streams):
        found = [
            text for pair in zip(examples(texts, 500), examples(trades, 500), strict=True) for text in pair
        ]
        for start in range(0, len(found), AT_ONCE):
            async with await Hostile.connect(streams.url) as client:
                if is_signed_in:
                    await client.send_json({"op": "auth", "token": streams.traders[0].token})
                    assert await client.settle() is not None
                sent = [text for text in found[start : start + AT_ONCE] if _is_utf8(text)]
                await client.send(b"".join(frame(TEXT, text.encode()) for text in sent))
                replies = await client.settle()
                assert_coded(replies)
                assert replies is not None
                assert len(replies) == len(sent)


WRONG_REQUESTS = (
    ("", "malformed_json"),
    ("{", "malformed_json"),
    ("nonsense", "malformed_json"),
    ("NaN", "malformed_json"),
    ('{"op": "ping"} {"op": "ping"}', "malformed_json"),
    ('\ufeff{"op": "ping"}', "malformed_json"),
    ('{"op": "ping", "op": "ping"}', "duplicate_key"),
    ("[" * 2_000 + "]" * 2_000, "nesting_too_deep"),
    ('{"op": ' + "9" * 3_000 + "}", "number_too_large"),
    ('{"op": "ping", "id": "\\ud800"}', "invalid_utf8"),
    ('{"op": "ping", "id": "\\u0000"}', "field_invalid"),
    ('{"op": "ping", "id": "' + "x" * 37 + '"}', "field_invalid"),
    ('{"op": "ping", "id": null}', "field_invalid"),
    ('{"op": "ping", "now": 1}', "field_unknown"),
    ("{}", "field_missing"),
    ('{"op": "subscribe"}', "field_missing"),
    ('{"op": "subscribe", "channel": "depth", "market": "ETH-USDC"}', "field_invalid"),
    ('{"op": "subscribe", "channel": "book"}', "field_missing"),
    ('{"op": "subscribe", "channel": "book", "market": 7}', "field_invalid"),
    ('{"op": "subscribe", "channel": "book", "market": "ETH-DAI"}', "unknown_market"),
    ('{"op": "subscribe", "channel": "book", "market": "ETH-USDC\' OR 1=1 --"}', "unknown_market"),
    ('{"op": "subscribe", "channel": "book", "market": "ETH-USDC", "sub_account": 0}', "field_unknown"),
    ('{"op": "subscribe", "channel": "candles", "market": "ETH-USDC"}', "field_missing"),
    (
        '{"op": "subscribe", "channel": "candles", "market": "ETH-USDC", "interval": "2m"}',
        "field_invalid",
    ),
    ('{"op": "subscribe", "channel": "book", "market": "ETH-USDC", "resume_seq": -1}', "field_invalid"),
    ('{"op": "subscribe", "channel": "book", "market": "ETH-USDC", "resume_seq": 1e3}', "field_invalid"),
    (
        '{"op": "subscribe", "channel": "book", "market": "ETH-USDC", "resume_seq": 9223372036854775808}',
        "field_invalid",
    ),
    ('{"op": "subscribe", "channel": "orders"}', "unauthenticated"),
    ('{"op": "subscribe", "channel": "orders", "sub_account": 128}', "field_invalid"),
    ('{"op": "subscribe", "channel": "orders", "sub_account": true}', "field_invalid"),
    ('{"op": "subscribe", "channel": "orders", "market": "ETH-USDC"}', "field_unknown"),
    ('{"op": "unsubscribe", "channel": "book", "market": "ETH-USDC"}', "not_subscribed"),
    ('{"op": "unsubscribe", "channel": "book", "market": "ETH-USDC", "resume_seq": 1}', "field_unknown"),
    ('{"op": "auth"}', "unauthenticated"),
    ('{"op": "auth", "token": "x"}', "session_invalid"),
    ('{"op": "auth", "token": 1}', "field_invalid"),
    ('{"op": "ping", "id": "' + " " * 4_100 + '"}', "message_too_large"),
)


async def test_what_is_wrong_with_a_request_is_told_by_its_code(streams: Streams):
    for text, code in WRONG_REQUESTS:
        async with await Hostile.connect(streams.url) as client:
            await client.send_text(text)
            replies = await client.settle()
            assert replies is not None, text
            assert [(reply["type"], reply["code"]) for reply in replies] == [("error", code)], text


async def test_the_id_comes_back_with_an_error_as_soon_as_it_can_be_read(streams: Streams):
    async with await Hostile.connect(streams.url) as client:
        await client.send_json({"op": "fly", "id": "q-1"})
        await client.send_json({"op": "fly"})
        replies = await client.settle()
        assert replies is not None
        assert [reply.get("id") for reply in replies] == ["q-1", None]


NO_WEBSOCKET = (
    (frame(TEXT, b'{"op": "ping"}', masked=False), 1002),
    (frame(TEXT, b'{"op": "ping"}', reserved=0b100), 1002),
    (frame(TEXT, b'{"op": "ping"}', reserved=0b010), 1002),
    (frame(TEXT, b'{"op": "ping"}', reserved=0b001), 1002),
    (frame(3), 1002),
    (frame(7, b"x"), 1002),
    (frame(11), 1002),
    (frame(15, b"x" * 10), 1002),
    (frame(PING, b"x" * 126), 1002),
    (frame(PING, b"x", final=False), 1002),
    (frame(CLOSE, b"x"), 1002),
    (frame(CLOSE, b"\x03\xed"), 1002),
    (frame(CLOSE, b"\x00\x00"), 1002),
    (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    (frame(CONTINUATION, b"x"), 1002),
    (frame(TEXT, b"x", final=False) + frame(TEXT, b"x"), 1002),
    (frame(TEXT, b"x", final=False) + frame(BINARY, b"x"), 1002),
    (frame(TEXT, b'{"op": "\xff"}'), 1007),
    (frame(TEXT, b"\xed\xa0\x80"), 1007),
    (frame(TEXT, b'"\xc3', final=False) + frame(CONTINUATION, b'"'), 1007),
    (frame(TEXT, b" " * (16 * KIB + 1)), 1009),
    (frame(BINARY, b" " * (16 * KIB + 1)), 1009),
    (frame(TEXT, length=2**63 - 1), 1009),
    (frame(TEXT, length=2**64 - 1), 1009),
    (frame(TEXT, b" " * 10 * KIB, final=False) + frame(CONTINUATION, b" " * 10 * KIB), 1009),
    (b"\x00" * 100, 1002),
    (b"GET / HTTP/1.1\r\n\r\n", 1002),
)


async def test_what_is_no_websocket_is_closed_with_its_code(streams: Streams):
    async with undisturbed(streams):
        for wrong, code in NO_WEBSOCKET:
            async with await Hostile.connect(streams.url) as client:
                await client.send(wrong)
                assert await client.read_until_closed() == code, wrong[:100]


async def test_a_frame_length_that_is_not_minimal_or_has_its_top_bit_is_not_waited_for(streams: Streams):
    async with await Hostile.connect(streams.url) as client:
        await client.send(bytes((0x81, 0xFF)) + (2**63 + 5).to_bytes(8) + b"mask")
        assert await client.read_until_closed() in {1002, 1009}


async def test_random_bytes_end_in_a_close_code(streams: Streams):
    async with undisturbed(streams):
        for data in examples(raw_bytes, 150):
            async with await Hostile.connect(streams.url) as client:
                await client.send(data)
                client.writer.write_eof()
                assert await client.read_until_closed() in {None, 1000, 1002, 1005, 1007, 1009}


async def test_a_message_may_come_in_fragments_with_control_frames_between(streams: Streams):
    text = json.dumps({"op": "ping", "id": "in-parts"}).encode()
    pieces = [frame(TEXT, text[:1], final=False)]
    for number, byte in enumerate(text[1:-1]):
        pieces += [frame(CONTINUATION, bytes((byte,)), final=False)]
        if number % 7 == 0:
            pieces += [frame(PING, b"%d" % number), frame(PONG, b"never asked for")]
    pieces += [frame(CONTINUATION, b"", final=False), frame(CONTINUATION, text[-1:])]
    async with await Hostile.connect(streams.url) as client:
        for piece in pieces:
            await client.send(piece)
        replies = await client.settle()
        assert replies is not None
        assert [(reply["type"], reply["id"]) for reply in replies] == [("pong", "in-parts")]
        await client.settle()  # a pong may come after what was answered in the same breath
        assert client.pongs == [b"%d" % number for number in range(0, len(text) - 2, 7)]


async def test_bytes_that_come_one_by_one_are_a_request_like_any_other(streams: Streams):
    async with await Hostile.connect(streams.url) as client:
        client.writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(TEXT, b'{"op": "ping", "id": "slow"}'):
            await client.send(bytes((byte,)))
            await asyncio.sleep(0)
        replies = await client.settle()
        assert replies is not None
        assert replies[0]["id"] == "slow"


async def test_binary_frames_are_refused_and_the_connection_is_kept(streams: Streams):
    async with await Hostile.connect(streams.url) as client:
        await client.send(frame(BINARY, b"\x00\xff") + frame(BINARY) + frame(BINARY, b"x" * 16 * KIB))
        replies = await client.settle()
        assert replies is not None
        assert [reply["code"] for reply in replies] == ["binary_not_supported"] * 3


async def test_what_is_small_compressed_and_large_after_closes_at_the_limit(streams: Streams):
    async with undisturbed(streams):
        for size, code in ((16 * KIB + 1, 1009), (2**20, 1009), (2**28, 1009)):
            async with await Hostile.connect(streams.url, extensions=DEFLATE) as client:
                assert "permessage-deflate" in client.headers["sec-websocket-extensions"]
                before_kib = streams.memory_kib()
                await client.send(frame(TEXT, deflated(b" " * size), reserved=0b100))
                assert await client.read_until_closed() == code
                assert streams.memory_kib() - before_kib < 16 * KIB, "inflated before it was refused"


async def test_a_bomb_in_fragments_closes_at_the_limit(streams: Streams):
    bomb = deflated(b" " * 2**24)
    async with await Hostile.connect(streams.url, extensions=DEFLATE) as client:
        await client.send(frame(TEXT, bomb[:1], final=False, reserved=0b100))
        for start in range(1, len(bomb), 64):
            await client.send(frame(CONTINUATION, bomb[start : start + 64], final=False))
        assert await client.read_until_closed() == 1009


async def test_what_does_not_inflate_is_refused(streams: Streams):
    async with undisturbed(streams):
        for wrong in (b"\xff\xff\xff", b"nonsense", deflated(b'{"op": "ping"}')[:-3], b""):
            async with await Hostile.connect(streams.url, extensions=DEFLATE) as client:
                await client.send(frame(TEXT, wrong, reserved=0b100))
                replies = await client.settle()
                if replies is None:
                    assert client.close_code in {1002, 1007}, wrong
                else:
                    assert_coded(replies)


async def test_compressed_requests_are_requests(streams: Streams):
    async with await Hostile.connect(streams.url, extensions=DEFLATE) as client:
        for number in range(5):
            await client.send(frame(TEXT, deflated(b'{"op": "ping", "id": "%d"}' % number), reserved=0b100))
        replies = await client.settle()
        assert replies is not None
        assert [reply["id"] for reply in replies] == [str(number) for number in range(5)]


OFFERS = (
    "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=99",
    "permessage-deflate; nonsense",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "x-webkit-deflate-frame, bogus; a=b",
    "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=9, permessage-deflate",
    "permessage-deflate",
)


async def test_whatever_extension_is_offered_the_stream_can_be_read(streams: Streams):
    for extensions in OFFERS:
        async with await Hostile.connect(streams.url, extensions=extensions) as client:
            if client.status != 101:
                assert client.status == 400, extensions
                continue
            await client.send_json(BOOK | {"id": "1"})
            await streams.trade(3)
            replies = await client.settle()
            assert replies is not None
            assert replies[0]["type"] == "subscribed"


WRONG_UPGRADES: tuple[tuple[dict[str, str], set[int]], ...] = (
    ({"Sec_WebSocket_Version": "12"}, {400, 426}),
    ({"Sec_WebSocket_Version": ""}, {400, 426}),
    ({"Sec_WebSocket_Key": ""}, {400}),
    ({"Sec_WebSocket_Key": "short"}, {400}),
    ({"Origin": "https://evil.example"}, {403}),
    ({"Origin": "null"}, {403}),
    ({"path": "/v1/ws?channel=book"}, {400, 422}),
    ({"path": "/v1/WS"}, {404}),
    ({"path": "/v1/ws/../ws"}, {404}),
    ({"path": "/v1/ws/"}, {404}),
)


async def test_an_upgrade_that_is_not_right_is_answered_in_http(streams: Streams):
    for changes, status in WRONG_UPGRADES:
        async with await Hostile.connect(streams.url, **changes) as client:  # type: ignore[arg-type]
            assert client.status in status, changes
            length = int(client.headers["content-length"])
            body = json.loads(await asyncio.wait_for(client.reader.readexactly(length), 10))
            assert body["code"] in STATUS_AND_TITLE
            assert client.headers["content-type"] == "application/problem+json"


async def test_a_flood_of_requests_is_refused_and_then_closed(streams: Streams):
    async with undisturbed(streams), await Hostile.connect(streams.url) as client:
        ping = frame(TEXT, b'{"op": "ping"}')
        await client.send(ping * 5_000)
        assert await client.read_until_closed() == 4002
        kinds = [reply.get("code", reply["type"]) for reply in client.replies]
        assert kinds.count("pong") >= 100
        assert kinds.count("rate_limited") == 200
        assert len(kinds) < 400


async def test_a_flood_of_pings_and_empty_fragments_costs_nobody_else(streams: Streams):
    async with undisturbed(streams), await Hostile.connect(streams.url) as client:
        flood = frame(PING, b"x" * 125) * 200 + frame(TEXT, final=False)
        flood += frame(CONTINUATION, final=False) * 3_000
        await client.send(flood)
        await client.settle()
        assert client.close_code in {None, 4002, 1002}


@pytest.mark.parametrize(
    "flood",
    [
        frame(PING, b"x" * 125) * 20_000,
        frame(PING) * 100_000,
        frame(TEXT, final=False) + frame(CONTINUATION, final=False) * 100_000,
        frame(TEXT, b"{}") * 50_000,
    ],
    ids=["pings", "empty pings", "fragments", "requests"],
)
async def test_of_a_flood_little_is_looked_at_in_one_turn_and_nothing_after_the_cut(
    streams: Streams, monkeypatch: pytest.MonkeyPatch, flood: bytes
):
    loop, turns, take = asyncio.get_running_loop(), [0], ServerProtocol.recv_frame

    def next_turn() -> None:
        turns.append(0)
        nonlocal handle
        handle = loop.call_soon(next_turn)

    def count(protocol: ServerProtocol, received: Any) -> None:
        turns[-1] += 1
        take(protocol, received)

    handle = loop.call_soon(next_turn)
    async with undisturbed(streams), await Hostile.connect(streams.url) as client:
        with monkeypatch.context() as counting:
            counting.setattr(ServerProtocol, "recv_frame", count)
            sending = asyncio.create_task(client.send(flood))
            assert await client.read_until_closed() == 4002
            sending.cancel()
        handle.cancel()
    a_piece = STRANGERS.piece_bytes // 6 + 1
    assert max(turns) <= a_piece
    assert sum(turns) <= REQUESTS_AT_ONCE + MAX_REFUSED + 100 + a_piece, "it was looked at after the cut"
    assert len(client.pongs) + len(client.replies) <= sum(turns)


async def test_subscriptions_end_at_the_limit_and_refusals_keep_the_connection(streams: Streams):
    async with undisturbed(streams), await Hostile.connect(streams.url) as client:
        for _ in range(AT_ONCE // 2):
            await client.send_json(BOOK)
            await client.send_json({"op": "subscribe", "channel": "trades", "market": "WBTC-USDC"})
        replies = await client.settle()
        if replies is not None:  # else it was a flood, which is one too
            assert {reply["type"] for reply in replies} <= {"subscribed", "error"}
            assert_coded(replies)


async def test_connections_that_come_and_go_in_the_middle_of_everything_leave_nothing_behind(
    streams: Streams,
):
    rng = random.Random(7)
    async with undisturbed(streams):
        for _ in range(150):
            extensions = rng.choice(["", DEFLATE])
            async with await Hostile.connect(streams.url, extensions=extensions) as client:
                whole = frame(TEXT, json.dumps(BOOK).encode()) * rng.randint(0, 3)
                match rng.randrange(4):
                    case 0:
                        await client.send(whole[: rng.randint(0, len(whole))])
                    case 1:
                        await client.send(whole[: rng.randint(0, len(whole))])
                        client.writer.write_eof()
                    case 2:
                        await client.send(whole + frame(CLOSE, b"\x03\xe8"))
                        assert await client.read_until_closed() == 1000
                    case 3:
                        await client.send(whole)
                        client.writer.close()
        await streams.until_connections(1)


async def test_half_open_connections_are_served_until_they_are_closed(streams: Streams):
    async with undisturbed(streams), await Hostile.connect(streams.url) as client:
        await client.send_json(BOOK)
        client.writer.write_eof()
        await client.read_until_closed()  # the server may serve on or close, but not hang or fail


async def test_a_stranger_gets_nothing_private_whatever_is_asked(streams: Streams):
    async with await Hostile.connect(streams.url) as client:
        for channel in ("orders", "fills", "balances", "deposits", "withdrawals"):
            await client.send_json({"op": "subscribe", "channel": channel})
        replies = await client.settle()
        assert replies is not None
        assert {reply.get("code") for reply in replies} == {"unauthenticated"}


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
