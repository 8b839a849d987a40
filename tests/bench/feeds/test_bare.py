"""The benchmark's subscribers on its bare loop: real processes and sockets, and a tape that we wrote."""

import zlib
from pathlib import Path

import msgspec
import pytest
from scripts.bench.children import Child, ChildFailed
from scripts.bench.feeds import bare, subscribers
from scripts.bench.feeds.commit_times import CommitTimes
from scripts.bench.feeds.subscribers import Taped

READERS = 7


def update(prev_seq: int, seq: int) -> bytes:
    return b'{"type":"update","channel":"book","prev_seq":%d,"seq":%d,"data":{}}' % (prev_seq, seq)


async def played(folder: Path, tape: list[Taped], *, checked: int = 0) -> subscribers.Figures:
    """What so many subscribers have seen of a tape."""
    (folder / "tape").write_bytes(msgspec.msgpack.encode(tape))
    CommitTimes.create(folder / "commits", 1_000)
    commits = str(folder / "commits")
    server = await Child.start("feeds.bare", bare.Settings(tape=str(folder / "tape"), commit_times=commits))
    try:
        settings = subscribers.Settings(
            port=await server.ask("listen", int),
            market="ETH-USDC",
            books=READERS,
            checked=checked,
            tokens=[],
            deflate=False,
            commit_times=commits,
            tape=None,
        )
        readers = await Child.start("feeds.subscribers", settings)
        try:
            await readers.ask("connect", type(None))
            await readers.ask("begin", type(None))
            await server.ask("play", type(None))
            return await readers.ask("finish", subscribers.Figures)
        finally:
            await readers.stop()
    finally:
        await server.stop()


async def test_every_subscriber_reads_every_frame_and_how_old_it_is(tmp_path: Path) -> None:
    tape = [
        Taped(number * 10**6, 10 * number, 10 * number + 10, update(10 * number, 10 * number + 10))
        for number in range(20)
    ]
    seen = await played(tmp_path, tape)
    assert (seen.messages, seen.gaps, seen.unfit) == (20 * READERS, 0, 0)
    assert (seen.lowest_seq, seen.highest_seq) == (200, 200)
    assert seen.received_bytes > 20 * READERS * len(tape[0].message)
    assert seen.newest is not None
    assert 0 < seen.newest.p50_ms <= seen.newest.longest_ms < 60_000


async def test_a_missing_update_is_counted_as_a_gap_by_everybody(tmp_path: Path) -> None:
    seen = await played(tmp_path, [Taped(0, 5, 6, update(5, 6)), Taped(0, 7, 8, update(7, 8))])
    assert seen.gaps == READERS


async def test_an_update_that_was_read_before_is_no_gap_but_does_not_fit(tmp_path: Path) -> None:
    seen = await played(tmp_path, [Taped(0, 5, 6, update(5, 6)), Taped(0, 5, 6, update(5, 6))])
    assert (seen.gaps, seen.unfit) == (0, READERS)


async def test_a_book_that_is_not_what_its_checksum_says_is_told(tmp_path: Path) -> None:
    text = b'{"type":"update","prev_seq":%d,"seq":%d,"data":{"bids":[["7","1"]],"asks":[],"checksum":%d}}'
    right, wrong = zlib.crc32(b"7:1"), zlib.crc32(b"7:2")
    tape = [Taped(0, 0, 1, text % (0, 1, right)), Taped(0, 1, 2, text % (1, 2, wrong))]
    seen = await played(tmp_path, tape, checked=2)
    assert len(seen.wrong_books) == 2
    assert seen.checked_messages == 6, "two readers, a snapshot and two updates each"
    assert seen.bids == [("7", "1")]


async def test_a_child_that_can_not_do_what_it_is_told_says_so(tmp_path: Path) -> None:
    CommitTimes.create(tmp_path / "commits", 10)
    server = await Child.start(
        "feeds.bare", bare.Settings(tape="nowhere", commit_times=str(tmp_path / "commits"))
    )
    try:
        with pytest.raises(ChildFailed):
            await server.ask("listen", int)
    finally:
        await server.stop()
