"""Fee tiers by volume: every owner is on the tier that the trading of the last 30 days has earned.

A follower with no memory of its own: volumes come from the read tables, the present tiers from the committed
view, and a journaled SetFeeTier is the only thing it can do. What it misses it finds at the next review.

A day is a day in UTC. Today counts from its beginning and so do the 30 days before it, so nobody loses a tier
for the hour of the day. All accounts of an owner count together, as maker and as taker, in markets that are
quoted in the one asset that the thresholds are in. Tiers above the highest threshold's are the operator's
to give: owners on one of them are left alone.
"""

import asyncio
from bisect import bisect_right
from dataclasses import dataclass

import asyncpg
import structlog

from exchange.core.commands import SetFeeTier
from exchange.core.events import FeeTierSet
from exchange.core.markets import MAX_FEE_TIERS
from exchange.projections.accounts import read_fee_tiers
from exchange.projections.postgres import PostgresProjection
from exchange.projections.volumes import DAY_NS, volumes_of_owners
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Overloaded, Submit

DAYS = 30
REVIEW_INTERVAL_S = 60.0
TABLES_WAIT_S = 5.0
SQL_TIMEOUT_S = 30.0
MAX_MOVES_PER_REVIEW = 1_000

_OUTAGES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, Overloaded)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeeTierSchedule:
    """`thresholds_atoms[k]` of the `quote` asset, traded in 30 days, earn tier k + 1. They increase."""

    quote: str
    thresholds_atoms: tuple[int, ...]

    def __post_init__(self) -> None:
        assert 0 < len(self.thresholds_atoms) < MAX_FEE_TIERS
        assert self.thresholds_atoms[0] > 0
        assert all(
            low < high for low, high in zip(self.thresholds_atoms, self.thresholds_atoms[1:], strict=False)
        )

    def tier(self, volume_atoms: int) -> int:
        """What a volume earns."""
        return bisect_right(self.thresholds_atoms, volume_atoms)


class FeeTierWorker:
    """Reviews the tiers of all owners again and again."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        read_tables: PostgresProjection,
        view: CommittedView,
        submit: Submit,
        schedule: FeeTierSchedule,
        *,
        interval_s: float = REVIEW_INTERVAL_S,
    ) -> None:
        self._pool = pool
        self._read_tables = read_tables
        self._view = view
        self._submit = submit
        self._schedule = schedule
        self._interval_s = interval_s

    async def run(self) -> None:
        """Reviews until cancelled, through every outage of the database. Raises EngineStopped."""
        while True:
            try:
                await self.review()
            except _OUTAGES as error:
                log.warning("fee_tiers_not_reviewed", error=repr(error))
            await asyncio.sleep(self._interval_s)

    async def review(self) -> int:
        """Moves the owners whose tier is not the one that they have earned; how many.

        Nobody while the read tables are behind: tables that are being filled again know of less than was
        traded. Raises OSError, TimeoutError, asyncpg's errors, Overloaded, EngineStopped.
        """
        if not await self._read_tables.reached(self._view.seq, TABLES_WAIT_S):
            log.warning("fee_tiers_wait_for_read_tables", seq=self._read_tables.seq)
            return 0
        earned = await self._earned()
        moved = 0
        for owner, tier in earned.items():
            present = self._view.fee_tier(owner)
            if present == tier or present > len(self._schedule.thresholds_atoms):
                continue
            if moved == MAX_MOVES_PER_REVIEW:
                break
            outcome = await self._submit(SetFeeTier(owner, tier))
            assert isinstance(outcome.events[0], FeeTierSet)
            log.info("fee_tier_changed", owner=owner, before=present, tier=tier)
            moved += 1
        return moved

    async def _earned(self) -> dict[str, int]:
        """The tier that each owner has earned, of those who have traded or are on a tier."""
        asset = self._view.asset_by_symbol.get(self._schedule.quote)
        market_ids = [
            market.market_id
            for market in self._view.markets.values()
            if asset is not None and market.quote_asset_id == asset.asset_id
        ]
        first_day = self._view.time_ns // DAY_NS - DAYS
        async with asyncio.timeout(SQL_TIMEOUT_S):
            volumes = await volumes_of_owners(self._pool, market_ids, first_day)
            on_tiers = await read_fee_tiers(self._pool)
        return {
            owner: self._schedule.tier(volumes.get(owner, 0)) for owner in sorted(volumes.keys() | on_tiers)
        }
