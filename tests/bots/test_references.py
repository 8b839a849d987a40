import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from bots.references import Cross, RandomWalk, Recording, RecordingInvalid

HOUR_MS = 3_600_000


def walk(seed: int = 7, **options: Decimal) -> RandomWalk:
    return RandomWalk(Decimal(3000), seed, **options)  # type: ignore[arg-type]


def test_the_same_seed_walks_the_same_way_however_often_it_is_asked() -> None:
    often, seldom = walk(), walk()
    for second in range(600):
        often.price(second * 1_000)
    assert often.price(600_000) == seldom.price(600_000) != Decimal(3000)
    assert walk(8).price(600_000) != seldom.price(600_000)


def test_a_walk_stays_above_zero_and_comes_back() -> None:
    wild = walk(step_bps=Decimal(1_000), pull=Decimal("0.1"))
    prices = [wild.price(second * 1_000) for second in range(5_000)]
    assert min(prices) > 0
    assert min(prices) < 3000 < max(prices)
    assert any(price > 3000 for price in prices[-1_000:])


def test_a_walk_strays_as_far_as_it_is_told() -> None:
    steps = walk(step_bps=Decimal(10), pull=Decimal(0))
    prices = [steps.price(second * 1_000) for second in range(5_000)]
    strays = [(later / earlier - 1) * 10_000 for earlier, later in pairwise(prices)]
    deviation = (sum(stray * stray for stray in strays) / len(strays)).sqrt()
    assert 9 < deviation < 11


def test_a_walk_of_very_large_prices_goes_on() -> None:
    assert RandomWalk(Decimal("9e18"), 1).price(60_000) > 0


POINTS = [(1_000, Decimal(10)), (2_000, Decimal(11)), (3_000, Decimal(12)), (9_000, Decimal(13))]


def test_a_recording_is_played_forwards_and_backwards() -> None:
    recording = Recording(POINTS, stale_ms=10_000)
    assert [recording.price(ms) for ms in (0, 999, 1_000, 2_500, 8_000)] == [10, 10, 11, 12, 13]
    assert [recording.price(ms) for ms in (8_001, 14_000, 14_001, 15_000, 16_000, 16_500)] == [
        13, 12, 12, 11, 10, 10,
    ]  # fmt: skip


def test_where_a_recording_has_a_gap_there_is_no_price() -> None:
    recording = Recording(POINTS, stale_ms=1_500)
    assert recording.price(3_500) == 12
    assert recording.price(3_501) is None
    assert recording.price(8_000) == 13
    assert recording.price(9_501) is None  # backwards it is the other end of the gap


def test_a_recording_can_be_played_faster() -> None:
    assert Recording(POINTS, stale_ms=10_000, speed=4).price(500) == 12


@pytest.mark.parametrize(
    "points",
    [
        [],
        POINTS[:1],
        [*POINTS, (9_000, Decimal(1))],
        [*POINTS, (9_001, Decimal(0))],
        [*POINTS, (9_001, Decimal("NaN"))],
        [*POINTS, (9_001, Decimal("Infinity"))],
        [*POINTS, (9_001, Decimal("1e999999"))],
    ],
    ids=["none", "one", "time stands still", "no price", "no number", "no end", "too large"],
)
def test_recordings_that_make_no_sense_are_refused(points: list[tuple[int, Decimal]]) -> None:
    with pytest.raises(RecordingInvalid):
        Recording(points, stale_ms=1)


def test_a_recording_does_not_stand_still() -> None:
    with pytest.raises(RecordingInvalid, match="speed"):
        Recording(POINTS, stale_ms=1, speed=0)


def test_a_file_is_read_and_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("# where it is from\ntime_ms,price\n0,10.5\n60000,11\n")
    assert Recording.read(path, stale_ms=60_000).price(60_000) == 11
    path.write_text("time_ms,price\n0,10\n60000,dear\n")
    with pytest.raises(RecordingInvalid, match="price 2"):
        Recording.read(path, stale_ms=60_000)


def test_a_cross_has_a_price_when_both_sides_have_one() -> None:
    gapped = Recording(POINTS, stale_ms=1_500)
    cross = Cross(gapped, RandomWalk(Decimal(2), 1, step_bps=Decimal(0)))
    assert cross.price(0) == 5
    assert cross.price(5_000) is None
    assert HOUR_MS  # a walk takes an hour in one go
    assert RandomWalk(Decimal(2), 1).price(HOUR_MS) > 0


def test_the_recording_that_comes_with_the_bots_can_be_played_and_tells_where_it_is_from() -> None:
    path = Path(__file__).parents[2] / "bots" / "recorded" / "eth-usdc.csv"
    assert "Source:" in path.read_text()
    recording = Recording.read(path, stale_ms=60_000)
    prices = [recording.price(second * 1_000) for second in range(1_800)]
    assert all(price is not None and 2_900 < price < 3_100 for price in prices)
    assert len(set(prices)) > 100


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"time_ms,price\n0,1\x00,\n1,2"])
def test_a_recording_that_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    with pytest.raises(RecordingInvalid, match=re.escape(str(path))):
        Recording.read(path, stale_ms=1)
