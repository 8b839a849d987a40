"""Books to mirror: only such as can be quoted after, and none that may be another by now."""

import asyncio
from pathlib import Path

import pytest
from bots.feeds import ExchangeFeed, FeedInvalid, FileFeed
from bots.mirroring import OtherBook
from tests.sdk.chaos_proxy import chaos_proxy
from tests.sdk.market import Market
from tests.sdk.watching import until

from exchange.edge.ws import limits
from exchange_sdk.errors import UnknownMarket

GOOD = '{"at_ms": 0, "bids": [["10", "1"]], "asks": [["11", "1"]]}\n'


@pytest.mark.parametrize(
    "line",
    [
        '{"at_ms": 1, "bids": [["NaN", "1"]], "asks": [["11", "1"]]}',
        '{"at_ms": 1, "bids": [["10", "1"]], "asks": [["Infinity", "1"]]}',
        '{"at_ms": Infinity, "bids": [["10", "1"]], "asks": [["11", "1"]]}',
        '{"at_ms": 1, "bids": [["10", "-1"]], "asks": [["11", "1"]]}',
        '{"at_ms": 1, "bids": [["9", "1"], ["10", "1"]], "asks": [["11", "1"]]}',
        '{"at_ms": 1, "bids": [["10", "1"]], "asks": [["12", "1"], ["11", "1"]]}',
        GOOD,
        "[" * 100_000,
    ],
    ids=[
        "no number",
        "no end",
        "no time",
        "no size",
        "bids upside down",
        "asks upside down",
        "time stands still",
        "no end of brackets",
    ],
)
async def test_books_that_can_not_be_are_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    path.write_text(GOOD + line)
    with pytest.raises(FeedInvalid):
        await FileFeed(path, stale_ms=1).__aenter__()


def is_known(feed: ExchangeFeed) -> bool:
    return isinstance(feed.latest(0), OtherBook)


async def is_said(feed: ExchangeFeed) -> None:
    """Waits until it says something."""
    async with asyncio.timeout(20):
        while feed.latest(0) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_market_that_the_other_exchange_does_not_have_is_told(market: Market) -> None:
    async with ExchangeFeed(market.url, "ETH-EUR") as feed:
        with pytest.raises(UnknownMarket):
            await is_said(feed)


async def test_a_book_of_which_nothing_is_heard_is_none(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.feeds.SILENCE_S", 0.5)
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)
    await market.quote()
    async with chaos_proxy(market.url) as proxy, ExchangeFeed(proxy.url, "ETH-USDC") as feed:
        await until(lambda: is_known(feed), "the book is known")
        proxy.freeze()
        await until(lambda: not is_known(feed), "it is not known any more", timeout_s=5)


async def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FeedInvalid, match="no text"):
        await FileFeed(path, stale_ms=1).__aenter__()
