"""Owners move between fee tiers by what they trade: a real engine, journal, read tables and ClickHouse."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from tests.sequencer.engine import HandClock, Running, running

from exchange.core.commands import (
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    SetFees,
    SetFeeTier,
    TransferFunds,
)
from exchange.core.events import FeeTierSet, OrderAccepted, Rejected
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.journal.log import JournalLog
from exchange.journal.tail import Tail
from exchange.operator import fee_tiers
from exchange.operator.fee_tiers import FeeTierSchedule, FeeTierWorker
from exchange.projections import clickhouse as projection_module
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.postgres import PostgresProjection
from exchange.projections.trades import TABLES
from exchange.projections.volumes import volumes_of_accounts
from exchange.sequencer.sequencer import Outcome, Overloaded
from exchange.stores.clickhouse import ClickHouse

DAY_NS = 86_400 * 10**9
VAULT, APPLE, COIN, GOLD = ("0x" + digit * 40 for digit in "abcd")
ALICE, BOB = "0x" + "01" * 20, "0x" + "02" * 20
ALICES, BOBS, ALICES_SECOND = 1_000, 1_001, 1_002
SCHEDULE = FeeTierSchedule("COIN", (100, 1_000))


@dataclass
class Stage:
    """Alice and Bob with plenty, a market in COIN and one in GOLD, and a worker to be told to review."""

    engine: Running
    clock: HandClock
    worker: FeeTierWorker
    tables: PostgresProjection
    clickhouse: ClickHouse
    trades: ClickHouseProjection
    pool: asyncpg.Pool

    async def do(self, *commands: Command) -> list[Outcome]:
        outcomes = [await self.engine.sequencer.submit(command) for command in commands]
        assert not any(isinstance(outcome.events[0], Rejected) for outcome in outcomes)
        return outcomes

    async def trade(self, volume: int, *, seller: int = ALICES, market_id: int = 1) -> None:
        """Bob buys `volume` at a price of 1."""
        expires_ns = self.clock.wall_ns + 10**9
        for account_id, side in ((seller, Side.SELL), (BOBS, Side.BUY)):
            await self.do(
                PlaceOrder(
                    account_id,
                    market_id,
                    side,
                    OrderType.LIMIT,
                    TimeInForce.GTC,
                    1,
                    volume,
                    None,
                    expires_ns,
                )
            )

    def tiers(self) -> tuple[int, int]:
        """Alice's and Bob's."""
        view = self.engine.sequencer.committed
        return view.fee_tier(ALICE), view.fee_tier(BOB)


@pytest.fixture
async def stage(database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse) -> AsyncIterator[Stage]:
    clock = HandClock()
    tail = Tail(pool, poll_s=0.05)
    async with (
        await JournalLog.claim(database_url) as log,
        running(log, clock=clock, on_commit=lambda _: tail.notify()) as engine,
    ):
        tables = PostgresProjection(pool, tail)
        trades = ClickHouseProjection(pool, tail, clickhouse, insert_interval_s=0.0)
        following = [asyncio.create_task(follower.run()) for follower in (tables, trades)]
        sequencer = engine.sequencer
        worker = FeeTierWorker(
            pool,
            tables,
            clickhouse,
            trades,
            sequencer.committed,
            sequencer.submit,
            SCHEDULE,
            interval_s=0.01,
        )
        stage = Stage(engine, clock, worker, tables, clickhouse, trades, pool)
        await stage.do(
            *(
                ListAsset(name, 0, 1, VAULT, token)
                for name, token in (("APPLE", APPLE), ("COIN", COIN), ("GOLD", GOLD))
            ),
            OpenMarket("APPLE-COIN", "APPLE", "COIN", 1, 0, 1, 0, 10),
            OpenMarket("APPLE-GOLD", "APPLE", "GOLD", 1, 0, 1, 0, 10),
            OpenAccount(ALICE),
            OpenAccount(BOB),
            OpenAccount(ALICE, 1),
            *(
                CreditDeposit(1, VAULT, number, owner, token, 10**9, "0x", 0, 1)
                for number, (owner, token) in enumerate(
                    ((owner, token) for owner in (ALICE, BOB) for token in (APPLE, COIN, GOLD)), start=1
                )
            ),
            TransferFunds(ALICES, 1, 1, 10**6, "half", clock.wall_ns + 10**9),
        )
        yield stage
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


def test_a_volume_earns_the_highest_tier_whose_threshold_it_reaches() -> None:
    assert [SCHEDULE.tier(volume) for volume in (0, 99, 100, 999, 1_000, 10**30)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("thresholds", [(), (0,), (2, 1), (1, 1), tuple(range(1, 17))])
def test_a_schedule_that_makes_no_sense_is_a_bug(thresholds: tuple[int, ...]) -> None:
    with pytest.raises(AssertionError):
        FeeTierSchedule("COIN", thresholds)


async def test_both_sides_of_a_trade_move_up_by_journaled_commands_and_only_once(stage: Stage) -> None:
    await stage.trade(99)
    assert await stage.worker.review() == 0
    await stage.trade(1)
    seq = stage.engine.sequencer.committed.seq
    assert await stage.worker.review() == 2
    assert stage.tiers() == (1, 1)
    assert stage.engine.sequencer.committed.seq == seq + 2
    assert await stage.worker.review() == 0
    await stage.trade(900)
    await stage.worker.review()
    assert stage.tiers() == (2, 2)


async def test_orders_of_an_owner_who_moved_up_have_the_rates_of_the_tier(stage: Stage) -> None:
    await stage.do(SetFees(1, ((0, 10), (0, 7))))
    await stage.trade(100)
    await stage.worker.review()
    order = PlaceOrder(
        BOBS, 1, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 1, 1, None, stage.clock.wall_ns + 10**9
    )
    [outcome] = await stage.do(order)
    accepted = outcome.events[0]
    assert isinstance(accepted, OrderAccepted)
    assert accepted.taker_fee_bps == 7


async def test_all_accounts_of_an_owner_count_together(stage: Stage) -> None:
    await stage.trade(60)
    await stage.trade(40, seller=ALICES_SECOND)
    await stage.worker.review()
    assert stage.tiers() == (1, 1)


async def test_only_markets_in_the_named_asset_count(stage: Stage) -> None:
    await stage.trade(10_000, market_id=2)
    assert await stage.worker.review() == 0
    assert stage.tiers() == (0, 0)


async def test_a_tier_is_lost_when_the_trading_is_more_than_30_days_ago(stage: Stage) -> None:
    await stage.trade(1_000)
    stage.clock.pass_time(30 * DAY_NS)
    await stage.trade(100)
    await stage.worker.review()
    assert stage.tiers() == (2, 2)
    stage.clock.pass_time(DAY_NS)
    await stage.trade(1, market_id=2)  # nothing else happens on this day
    await stage.worker.review()
    assert stage.tiers() == (1, 1)
    stage.clock.pass_time(30 * DAY_NS)
    await stage.trade(1, market_id=2)
    await stage.worker.review()
    assert stage.tiers() == (0, 0)


async def test_a_tier_above_all_thresholds_is_the_operators_to_give_and_to_take(stage: Stage) -> None:
    await stage.do(SetFeeTier(ALICE, 3), SetFeeTier(BOB, 2))
    await stage.trade(100)
    await stage.worker.review()
    assert stage.tiers() == (3, 1)


async def test_nobody_is_moved_while_the_read_tables_are_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.trade(100)
    await stage.worker.review()
    monkeypatch.setattr(fee_tiers, "FOLLOWERS_WAIT_S", 0.01)
    async with stage.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE projection_cursors IN EXCLUSIVE MODE")
        await stage.trade(1_000)
        assert await stage.worker.review() == 0
    assert stage.tiers() == (1, 1)
    assert await stage.tables.reached(stage.engine.sequencer.committed.seq, 10)
    assert await stage.trades.reached(stage.engine.sequencer.committed.seq, 10)
    assert await stage.worker.review() == 2


async def test_an_outage_and_a_rebuild_of_clickhouse_move_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.trade(1_000)
    await stage.worker.review()
    assert stage.tiers() == (2, 2)
    seq = stage.engine.sequencer.committed.seq
    assert await stage.trades.reached(seq, 10)
    monkeypatch.setattr(fee_tiers, "FOLLOWERS_WAIT_S", 0.01)
    away = asyncio.Event()

    async def insert_nothing(*_: object) -> None:
        await away.wait()

    with monkeypatch.context() as patch:
        patch.setattr(projection_module, "insert_trades", insert_nothing)
        await stage.trades.reset()
        assert await volumes_of_accounts(stage.clickhouse, [1], 0) == {}
        assert await stage.worker.review() == 0
        # It empties while a review has begun.
        stage.trades._progress.set(seq)
        reading = asyncio.Event()

        async def read_then_empty(*arguments: Any) -> dict[int, int]:
            volumes = await volumes_of_accounts(*arguments)
            await stage.trades.reset()
            reading.set()
            return volumes

        patch.setattr(fee_tiers, "volumes_of_accounts", read_then_empty)
        assert await stage.worker.review() == 0
        assert reading.is_set()
    assert stage.tiers() == (2, 2)


@pytest.mark.parametrize("lost", [TABLES, ["account_volumes_daily"]], ids=["all tables", "the volumes alone"])
async def test_what_clickhouse_has_lost_costs_nobody_a_tier(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, lost: Sequence[str]
) -> None:
    """A server that came back without its newest rows, before anybody has noticed."""
    await stage.trade(1_000)
    await stage.worker.review()
    assert stage.tiers() == (2, 2)
    await stage.trade(500)
    assert await stage.trades.reached(stage.engine.sequencer.committed.seq, 10)
    monkeypatch.setattr(fee_tiers, "FOLLOWERS_WAIT_S", 0.01)
    async with stage.trades._inserting:  # nobody finds it, nor fills it again, before the review
        for table in lost:
            await stage.clickhouse.truncate(table)
        assert await volumes_of_accounts(stage.clickhouse, [1], 0) == {}
        reviewing = asyncio.create_task(stage.worker.review())
        await asyncio.sleep(0)
    assert await reviewing == 0
    assert stage.tiers() == (2, 2)
    async with asyncio.timeout(20):  # and what was found wrong is filled again
        while await volumes_of_accounts(stage.clickhouse, [1], 0) != {ALICES: 1_500, BOBS: 1_500}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await stage.trades.reached(stage.engine.sequencer.committed.seq, 10)
    assert await stage.worker.review() == 0
    assert stage.tiers() == (2, 2)


async def test_a_clickhouse_that_was_emptied_and_filled_again_while_it_was_read_moves_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.trade(1_000)
    await stage.worker.review()
    seq = stage.engine.sequencer.committed.seq

    async def read_half(*_: Any) -> dict[int, int]:
        await stage.trades.reset()
        assert await stage.trades.reached(seq, 20)
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(fee_tiers, "volumes_of_accounts", read_half)
        assert await stage.worker.review() == 0
    assert stage.tiers() == (2, 2)


async def test_a_review_moves_a_bounded_number_and_the_next_one_the_rest(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fee_tiers, "MAX_MOVES_PER_REVIEW", 1)
    await stage.trade(100)
    assert await stage.worker.review() == 1
    assert stage.tiers() == (1, 0)
    assert await stage.worker.review() == 1
    assert stage.tiers() == (1, 1)


async def test_it_goes_on_after_the_engine_was_overloaded_and_the_database_away(stage: Stage) -> None:
    faults: list[Exception] = [Overloaded(1), ConnectionResetError()]
    done = asyncio.Event()

    async def submit(command: Command) -> Outcome:
        if faults:
            raise faults.pop()
        outcome = await stage.engine.sequencer.submit(command)
        assert isinstance(outcome.events[0], FeeTierSet)
        if stage.tiers() == (1, 1):
            done.set()
        return outcome

    view = stage.engine.sequencer.committed
    worker = FeeTierWorker(
        stage.pool, stage.tables, stage.clickhouse, stage.trades, view, submit, SCHEDULE, interval_s=0.01
    )
    await stage.trade(100)
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(20):
            await done.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not faults
