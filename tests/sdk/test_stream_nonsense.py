"""What comes over a stream's connection and is no message, and what a proxy says in the exchange's place."""

import asyncio
from typing import Any

import pytest
from tests.sdk.market import Market
from tests.sdk.watching import until
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from exchange.edge.ws import limits
from exchange_sdk import Exchange
from exchange_sdk.connection import LONGEST_ASKED_S, _not_opened
from exchange_sdk.errors import UnexpectedAnswer
from exchange_sdk.stream import Stream

MARKET = "ETH-USDC"
QUICK = {"first_delay_s": 0.01, "longest_delay_s": 0.05}


@pytest.fixture(autouse=True)
def many_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)


def next_comes(stream: Stream, content: bytes) -> None:
    """Instead of the next message but one, this comes."""
    assert stream.connection is not None
    websocket = stream.connection._websocket
    real = websocket.recv

    async def recv(*_: Any, **__: Any) -> Any:
        websocket.recv = real  # type: ignore[method-assign]
        return content

    websocket.recv = recv  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("content", [b"<html>Bad Gateway</html>", b"\xff", b'{"type": 1}', b""])
async def test_what_is_no_message_costs_the_connection_and_not_the_stream(
    market: Market, content: bytes
) -> None:
    await market.quote()
    async with Exchange(market.url) as exchange, exchange.stream(**QUICK) as stream:
        book = await stream.book(MARKET)
        next_comes(stream, content)
        await until(lambda: stream.connects == 2 and book.is_live, "it is connected again")
        assert "can not be read" in stream.why_lost


async def test_a_book_of_what_are_no_numbers_ends_the_book_only(market: Market) -> None:
    await market.quote()
    async with Exchange(market.url) as exchange, exchange.stream(**QUICK) as stream:
        book, bbo = await stream.book(MARKET), await stream.bbo(MARKET)
        seq = book.seq or 0
        next_comes(
            stream,
            b'{"type":"update","channel":"book","market":"ETH-USDC","prev_seq":%d,"seq":%d,"time_ms":1,'
            b'"data":{"bids":[["dear","1"]],"asks":[],"checksum":1}}' % (seq, seq + 1),
        )
        await until(lambda: not book.is_live, "the book has ended")
        with pytest.raises(UnexpectedAnswer):
            book.require_live()
        assert bbo.is_live
        assert stream.connects == 1


@pytest.mark.parametrize(
    ("asked", "waits_s"), [("2", 2.0), ("3600", LONGEST_ASKED_S), ("²", None), ("", None)]
)
def test_a_proxy_does_not_send_a_stream_away_for_an_hour(asked: str, waits_s: float | None) -> None:
    refused = InvalidStatus(Response(503, "Service Unavailable", Headers({"Retry-After": asked}), b"<html>"))
    assert _not_opened(refused).retry_after_s == waits_s


async def test_a_stream_whose_closing_is_interrupted_is_closed_all_the_same(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Exchange(market.url) as exchange, exchange.stream(**QUICK) as stream:
        assert stream.connection is not None
        begun = asyncio.Event()

        async def hang() -> None:
            begun.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(stream.connection, "close", hang)
        closing = asyncio.create_task(stream.close())
        await begun.wait()
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        assert stream._work is not None
        assert stream._work.done(), "nothing goes on connecting"
        assert not stream.is_connected


async def test_a_feed_that_has_less_than_its_state_is_behind(market: Market) -> None:
    async with market.owner() as exchange, exchange.stream(**QUICK) as stream:
        orders = await stream.orders()
        assert not orders.is_behind
        orders._seq = (orders.seq or 0) - 1  # as after a recovery, when what follows is still on its way
        assert orders.is_behind
        await until(lambda: not orders.is_behind, "a heartbeat says that nothing more was on its way")
