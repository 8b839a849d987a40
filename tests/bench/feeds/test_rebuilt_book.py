"""The book that some of the benchmark's subscribers rebuild from what they are sent."""

import json
import zlib

import pytest
from scripts.bench.feeds.rebuilt_book import BookDiffers, RebuiltBook


def message(bids: list[list[str]], asks: list[list[str]], text: str) -> bytes:
    data = {"bids": bids, "asks": asks, "checksum": zlib.crc32(text.encode())}
    return json.dumps({"type": "update", "data": data}).encode()


def test_levels_come_change_and_go() -> None:
    book = RebuiltBook()
    bids = [["3000.01", "1.5"], ["3000", "2"]]
    book.take_snapshot(message(bids, [["3001", "0.25"]], "3000.01:1.5,3000:2,3001:0.25"))
    book.take_update(message([["3000.01", "0"], ["999.9", "4"]], [["3001", "3"]], "3000:2,999.9:4,3001:3"))
    assert book.levels() == ([("3000", "2"), ("999.9", "4")], [("3001", "3")])


def test_a_snapshot_replaces_everything() -> None:
    book = RebuiltBook()
    book.take_snapshot(message([["1", "1"]], [["2", "1"]], "1:1,2:1"))
    book.take_snapshot(message([], [["3", "1"]], "3:1"))
    assert book.levels() == ([], [("3", "1")])


def test_only_the_best_levels_are_in_the_checksum() -> None:
    bids = [[str(price), "1"] for price in range(100, 60, -1)]
    asks = [[str(price), "1"] for price in range(101, 141)]
    best = [f"{price}:1" for price in [*range(100, 75, -1), *range(101, 126)]]
    book = RebuiltBook()
    book.take_snapshot(message(bids, asks, ",".join(best)))
    assert [len(side) for side in book.levels()] == [40, 40]


def test_a_missed_level_is_found_by_the_checksum() -> None:
    book = RebuiltBook()
    book.take_snapshot(message([["1", "1"]], [], "1:1"))
    with pytest.raises(BookDiffers):
        book.take_update(message([["1", "2"]], [], "1:2,3:1"))
