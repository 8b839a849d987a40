"""Full collections never start by themselves; they are made when nothing waits."""

import asyncio
import gc
from collections.abc import Iterator

import pytest
from tests.sequencer.engine import GatedLog, account_of, running

from exchange.sequencer import garbage
from exchange.sequencer.garbage import IdleCollector


@pytest.fixture(autouse=True)
def collector_as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Collections:
    """Which generations were collected."""

    def __init__(self) -> None:
        self.generations: list[int] = []

    def _heed(self, phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            self.generations.append(info["generation"])

    def __enter__(self) -> "Collections":
        gc.callbacks.append(self._heed)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._heed)


async def load(commands: int) -> list[object]:
    """Commands by many callers, each of whom keeps some objects for good."""
    log = GatedLog()
    log.let_through.set()
    kept: list[object] = []
    async with running(log) as engine:
        for start in range(0, commands, 500):
            outcomes = await asyncio.gather(
                *engine.hand_in(*(account_of(f"p{n}") for n in range(start, start + 500)))
            )
            kept += [[outcome, [n] * 3, {n: []}] for n, outcome in enumerate(outcomes)]
    return kept


async def test_only_young_collections_start_by_themselves_under_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "YOUNG", 100)  # so that a small load is a large one
    gc.set_threshold(garbage.YOUNG, 10, 1)
    gc.freeze()
    gc.collect()  # after freezing: what this process ran before must not count as having survived it
    with Collections() as without_us:
        kept = await load(4_000)
    assert 2 in without_us.generations, "else this load is too small to show anything"
    garbage.take_over()
    with Collections() as ours:
        kept += await load(4_000)
    assert set(ours.generations) == {0}
    assert len(kept) == 8_000


def test_the_young_are_collected_as_before() -> None:
    garbage.take_over()
    with Collections() as seen:
        kept = [[number] for number in range(3 * garbage.YOUNG)]
    assert seen.generations.count(0) >= 2
    assert len(kept) == 3 * garbage.YOUNG


def test_what_was_loaded_is_out_of_the_collectors_sight() -> None:
    loaded = [[number] for number in range(1_000)]
    garbage.freeze_loaded()
    assert gc.get_freeze_count() >= len(loaded)
    in_sight = {id(found) for found in gc.get_objects()}
    assert not any(id(each) in in_sight for each in loaded)


def test_garbage_of_the_load_is_gone_before_it_is_frozen() -> None:
    """Frozen garbage would stay for ever."""

    class Node:
        other: "Node"

    one, two = Node(), Node()
    one.other, two.other = two, one
    del one, two
    garbage.freeze_loaded()
    gc.unfreeze()
    assert not any(isinstance(found, Node) for found in gc.get_objects())


class Idler:
    """An IdleCollector on a clock set by hand, and how often it collected."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_000.0
        self.collected = 0
        self.young_collections = 1
        monkeypatch.setattr(garbage.gc, "collect", self._collect)
        monkeypatch.setattr(garbage.gc, "get_count", lambda: (0, self.young_collections, 0))
        self.collector = IdleCollector(lambda: self.now_s)

    def _collect(self) -> None:
        self.collected += 1

    def after(self, seconds: float, *, idle_s: float) -> int:
        """How often it has collected when so much has passed and nothing has waited for that long."""
        self.now_s += seconds
        self.collector.when_idle(idle_s)
        return self.collected


def test_a_quiet_moment_is_used_but_not_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    idler = Idler(monkeypatch)
    assert idler.after(1, idle_s=1) == 0, "it has only begun"
    assert idler.after(garbage.MIN_INTERVAL_S, idle_s=1) == 1
    assert idler.after(1, idle_s=2) == 1
    assert idler.after(garbage.MIN_INTERVAL_S, idle_s=garbage.QUIET_S) == 2


def test_a_moment_between_two_commands_is_not_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    idler = Idler(monkeypatch)
    assert idler.after(100, idle_s=0.001) == 0


def test_on_a_day_without_rest_it_is_done_between_two_commands_after_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    idler = Idler(monkeypatch)
    assert idler.after(garbage.OVERDUE_S - 1, idle_s=0.001) == 0
    assert idler.after(1, idle_s=0.001) == 1
    assert idler.after(1, idle_s=0.001) == 1


def test_nothing_is_done_when_nothing_has_grown_old(monkeypatch: pytest.MonkeyPatch) -> None:
    idler = Idler(monkeypatch)
    idler.young_collections = 0
    assert idler.after(10_000, idle_s=100) == 0


async def test_the_engine_tells_when_nothing_waits_and_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.sequencer.sequencer.IDLE_CHECK_S", 0.01)
    idle_s: asyncio.Queue[float] = asyncio.Queue()
    log = GatedLog()
    async with asyncio.timeout(10), running(log, on_idle=idle_s.put_nowait) as engine:
        told_s = [await idle_s.get() for _ in range(4)]
        assert told_s == sorted(told_s)
        assert told_s[-1] > told_s[0]
        caller = engine.hand_in(account_of("alice"))[0]
        await log.until_asked()
        while not idle_s.empty():
            idle_s.get_nowait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert idle_s.empty(), "a commit is under way"
        log.let_through.set()
        await caller
        assert await idle_s.get() < told_s[-1], "something has just been done"
