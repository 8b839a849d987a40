"""The benchmarks' generator: the mix, the determinism and the promises that the contenders rely on."""

from collections import Counter

import pytest
from scripts.bench.workload import (
    ADD,
    CANCEL,
    CROSS,
    LEVELS_PER_SIDE,
    MAX_OPEN_PER_ACCOUNT,
    MIDDLE_TICKS,
    TOUCH_LEVELS,
    Operation,
    Workload,
)

ACCOUNTS = 50
LOADED = 2_000


class PlainBook:
    """Follows the operations in the most obvious way and complains about every broken promise."""

    def __init__(self) -> None:
        self.open: dict[int, list[int]] = {}
        self.orders: dict[int, Operation] = {}
        self.fills = 0

    def follow(self, index: int, operation: Operation) -> None:
        if operation.kind == ADD:
            assert not self._crossed(operation), "a passive add would trade"
            self.open[index] = [operation.size_lots]
            self.orders[index] = operation
        elif operation.kind == CANCEL:
            assert operation.target in self.open, "a cancel of an order that is not open"
            assert self.orders[operation.target].account == operation.account
            del self.open[operation.target]
        else:
            self._cross(operation)

    def _crossed(self, taker: Operation) -> list[int]:
        """Open orders that the taker may trade with, in their order of price, then time."""
        sign = 1 if taker.is_buy else -1
        return sorted(
            (
                index
                for index in self.open
                if self.orders[index].is_buy != taker.is_buy
                and (taker.price_ticks - self.orders[index].price_ticks) * sign >= 0
            ),
            key=lambda index: (self.orders[index].price_ticks * sign, index),
        )

    def _cross(self, taker: Operation) -> None:
        remaining_lots = taker.size_lots
        for index in self._crossed(taker):
            assert self.orders[index].account != taker.account, "a taker meets its own account"
            lots = min(remaining_lots, self.open[index][0])
            remaining_lots -= lots
            self.open[index][0] -= lots
            self.fills += 1
            if not self.open[index][0]:
                del self.open[index]
            if not remaining_lots:
                return
        pytest.fail("a crossing order is not filled completely")

    def depth(self) -> tuple[dict[int, int], dict[int, int]]:
        sides: tuple[dict[int, int], dict[int, int]] = {}, {}
        for index, (lots,) in self.open.items():
            order = self.orders[index]
            side = sides[not order.is_buy]
            side[order.price_ticks] = side.get(order.price_ticks, 0) + lots
        return sides


def drawn(seed: int, count: int = 3_000) -> list[Operation]:
    workload = Workload(seed, ACCOUNTS)
    return workload.load(LOADED) + workload.mixed(count)


def test_the_mix_is_60_30_10_in_every_ten_operations() -> None:
    workload = Workload(1, ACCOUNTS)
    workload.load(LOADED)
    mixed = workload.mixed(3_000)
    for start in range(0, len(mixed), 10):
        kinds = Counter(operation.kind for operation in mixed[start : start + 10])
        assert kinds == {ADD: 6, CANCEL: 3, CROSS: 1}


def test_the_same_seed_gives_the_same_operations() -> None:
    assert drawn(7) == drawn(7)


def test_another_seed_gives_other_operations() -> None:
    assert drawn(7) != drawn(8)


def test_drawing_in_parts_gives_the_same_operations_as_drawing_at_once() -> None:
    parts = Workload(3, ACCOUNTS)
    operations = [*parts.load(LOADED), *parts.mixed(1_000), *parts.mixed(2_000)]
    assert operations == drawn(3)


def test_operations_keep_what_the_contenders_rely_on() -> None:
    workload, book = Workload(2, ACCOUNTS), PlainBook()
    for index, operation in enumerate(workload.load(500) + workload.mixed(2_000)):
        book.follow(index, operation)
    assert book.fills > 200
    assert book.depth() == workload.depth()
    assert len(book.open) == workload.open_orders


def test_the_number_of_open_orders_stays_where_it_was_loaded() -> None:
    workload = Workload(4, ACCOUNTS)
    workload.load(LOADED)
    for _ in range(20):
        workload.mixed(2_000)
        assert workload.open_orders == pytest.approx(LOADED, rel=0.15)


ALL_PRICES = {
    *range(MIDDLE_TICKS - LEVELS_PER_SIDE, MIDDLE_TICKS),
    *range(MIDDLE_TICKS + 1, MIDDLE_TICKS + LEVELS_PER_SIDE + 1),
}


def test_loading_uses_all_two_hundred_levels() -> None:
    assert {operation.price_ticks for operation in Workload(5, ACCOUNTS).load(LOADED)} == ALL_PRICES


def test_half_of_the_adds_are_anywhere_and_half_are_near_the_middle() -> None:
    workload = Workload(5, ACCOUNTS)
    workload.load(LOADED)
    prices = [operation.price_ticks for operation in workload.mixed(20_000) if operation.kind == ADD]
    near = sum(abs(price - MIDDLE_TICKS) <= TOUCH_LEVELS for price in prices)
    assert set(prices) == ALL_PRICES
    assert near / len(prices) == pytest.approx(0.5 + 0.5 * TOUCH_LEVELS / LEVELS_PER_SIDE, abs=0.03)


def test_no_account_has_more_open_orders_than_the_core_allows() -> None:
    workload = Workload(6, 2)
    operations = workload.load(2 * MAX_OPEN_PER_ACCOUNT)
    per_account = Counter(operation.account for operation in operations)
    assert per_account == {0: MAX_OPEN_PER_ACCOUNT, 1: MAX_OPEN_PER_ACCOUNT}
