"""Where a maker's price comes from: a seeded walk, recorded prices played again, or two of them crossed.

A reference is asked for its price at a time since the start, in milliseconds, and says None when it has none
that is fresh enough to be quoted on. No I/O but reading the file, no clock, Decimal only.
"""

import csv
import random
from bisect import bisect_right
from collections.abc import Sequence
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol

from bots.quoting import Unreasonable

MAX_STEP_BPS = Decimal(1_000)
_ONE = Decimal(1)
_BPS = Decimal(10_000)
_DIGITS = Decimal("1e-12")
_WIDE = Context(prec=60)
_DICE = 12
_FACES = 1_000
_MOST_PLACES = 18


class Reference(Protocol):
    """A price over time."""

    def price(self, elapsed_ms: int) -> Decimal | None:
        """The price at that time, None when there is none. Times must not go back."""
        ...


class RandomWalk:
    """A price that strays a little each step and is pulled back to where it began. One seed, one walk.

    `step_bps` is the standard deviation of a step; `pull` the share of the way back that a step goes.
    """

    def __init__(
        self,
        start: Decimal,
        seed: int,
        *,
        step_ms: int = 1_000,
        step_bps: Decimal = _ONE,
        pull: Decimal = Decimal("0.0005"),
    ) -> None:
        if start <= 0 or step_ms <= 0:
            raise Unreasonable("a walk starts above zero and takes time")
        if not 0 <= step_bps <= MAX_STEP_BPS or not 0 <= pull <= Decimal("0.1"):
            raise Unreasonable(f"a step is 0 to {MAX_STEP_BPS} bps, a pull 0 to 0.1")
        self._start = start
        self._price = start
        self._random = random.Random(seed)  # noqa: S311 - a market's noise, no secret
        self._step_ms = step_ms
        self._step_bps = step_bps
        self._pull = pull
        self._steps = 0

    def price(self, elapsed_ms: int) -> Decimal:
        while self._steps < elapsed_ms // self._step_ms:
            self._steps += 1
            self._step()
        return self._price

    def _step(self) -> None:
        # Twelve dice of 1,000 faces either way: a bell of deviation 2,000, without a float in it.
        thrown = sum(self._random.randint(-_FACES, _FACES) for _ in range(_DICE))
        stray = self._step_bps / _BPS * Decimal(thrown) / (2 * _FACES)
        back = self._pull * (self._start - self._price) / max(self._start, self._price)
        self._price = (self._price * (_ONE + stray + back)).quantize(_DIGITS, context=_WIDE)


class RecordingInvalid(Exception):
    """A file of prices can not be used; the message says where."""


class Recording:
    """Recorded prices, played again: forwards, then backwards, and so on, so that there is never a jump.

    Where the record has a gap of more than `stale_ms` there is no price until it goes on.
    """

    def __init__(self, points: Sequence[tuple[int, Decimal]], *, stale_ms: int, speed: int = 1) -> None:
        if len(points) < 2:
            raise RecordingInvalid("at least two prices are needed")
        first_ms = points[0][0]
        self._times = [time_ms - first_ms for time_ms, _ in points]
        self._prices = [price for _, price in points]
        if any(later <= earlier for earlier, later in zip(self._times, self._times[1:], strict=False)):
            raise RecordingInvalid("the times must rise")
        if not all(price.is_finite() and price > 0 for price in self._prices):
            raise RecordingInvalid("the prices must be above zero")
        if not all(abs(price.adjusted()) <= _MOST_PLACES for price in self._prices):
            raise RecordingInvalid("a price is too large or too small")
        if speed < 1:
            raise RecordingInvalid("a recording is played at speed 1 at least")
        self._stale_ms = stale_ms
        self._speed = speed

    @classmethod
    def read(cls, path: Path, *, stale_ms: int, speed: int = 1) -> "Recording":
        """From a CSV file with the columns time_ms and price; lines that begin with # say what it is."""
        points: list[tuple[int, Decimal]] = []
        try:
            lines = path.read_text("utf-8").splitlines(keepends=True)
            rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
        except (UnicodeDecodeError, csv.Error) as error:
            raise RecordingInvalid(f"{path} is no CSV file: {error}") from error
        for number, row in enumerate(rows, 1):
            try:
                points.append((int(row["time_ms"]), Decimal(row["price"])))
            except (KeyError, TypeError, ValueError, InvalidOperation) as error:
                raise RecordingInvalid(f"{path}, price {number}: {row}") from error
        return cls(points, stale_ms=stale_ms, speed=speed)

    def price(self, elapsed_ms: int) -> Decimal | None:
        length_ms = self._times[-1]
        turns, place_ms = divmod(elapsed_ms * self._speed, length_ms)
        is_backwards = turns % 2 == 1
        if is_backwards:
            place_ms = length_ms - place_ms
        before = bisect_right(self._times, place_ms) - 1
        if self._times[before] == place_ms:
            return self._prices[before]
        last = min(before + 1, len(self._times) - 1) if is_backwards else before
        age_ms = abs(place_ms - self._times[last])
        return None if age_ms > self._stale_ms else self._prices[last]


class Cross:
    """The price of one thing in another, from the prices of both in a third."""

    def __init__(self, base: Reference, quote: Reference) -> None:
        self._base = base
        self._quote = quote

    def price(self, elapsed_ms: int) -> Decimal | None:
        base, quote = self._base.price(elapsed_ms), self._quote.price(elapsed_ms)
        return None if base is None or quote is None else base / quote
