"""Fee tiers by volume: every owner is on the tier that the trading of the last 30 days has earned.

A follower with no memory of its own: volumes come from ClickHouse, owners and present tiers from the
committed view, and a journaled SetFeeTier is the only thing it can do. What it misses it finds at the next
review. There is none unless ClickHouse is as new as the view and whole: an outage, a rebuild, or a server
that came back without its newest rows moves nobody.

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
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.errors import TradesLost
from exchange.projections.postgres import ReadTables
from exchange.projections.volumes import DAY_NS, volumes_of_accounts
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Overloaded, Submit
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.errors import OUTAGES, ClickHouseError

DAYS = 30
REVIEW_INTERVAL_S = 60.0
FOLLOWERS_WAIT_S = 5.0
SQL_TIMEOUT_S = 30.0
MAX_MOVES_PER_REVIEW = 1_000

_PASSING = (*OUTAGES, ClickHouseError, Overloaded)

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
        read_tables: ReadTables,
        clickhouse: ClickHouse,
        trades: ClickHouseProjection,
        view: CommittedView,
        submit: Submit,
        schedule: FeeTierSchedule,
        *,
        interval_s: float = REVIEW_INTERVAL_S,
    ) -> None:
        self._pool = pool
        self._read_tables = read_tables
        self._clickhouse = clickhouse
        self._trades = trades
        self._view = view
        self._submit = submit
        self._schedule = schedule
        self._interval_s = interval_s

    async def run(self) -> None:
        """Reviews until cancelled, through every outage of the database. Raises EngineStopped."""
        while True:
            try:
                await self.review()
            except _PASSING as error:
                log.warning("fee_tiers_not_reviewed", error=repr(error))
            await asyncio.sleep(self._interval_s)

    async def review(self) -> int:
        """Moves the owners whose tier is not the one that they have earned; how many.

        Nobody while ClickHouse or the read tables are behind, nor when ClickHouse is found to have lost some
        of what was inserted: it knows of less than was traded. Raises OSError, TimeoutError, asyncpg's
        errors, ClickHouseError, Overloaded and EngineStopped.
        """
        seq = self._view.seq
        if not await self._followed(seq):
            return 0
        filling = self._trades.fillings
        earned = await self._earned()
        if not await self._was_whole(filling):
            return 0
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

    async def _followed(self, seq: int) -> bool:
        """Whether the read tables and ClickHouse have come to `seq`, waiting a little for them."""
        for name, follower in (("read_tables", self._read_tables), ("trades", self._trades)):
            if not await follower.reached(seq, FOLLOWERS_WAIT_S):
                log.warning(f"fee_tiers_wait_for_{name}", seq=follower.seq)
                return False
        return True

    async def _was_whole(self, filling: int) -> bool:
        """Whether nothing was missing from ClickHouse while it was read, which began with this filling."""
        lost = None
        try:
            if self._trades.fillings == filling:
                await self._trades.require_whole()
        except TradesLost as error:
            lost = str(error)
        if lost is None and self._trades.fillings == filling:
            return True
        log.warning("fee_tiers_wait_for_trades", seq=self._trades.seq, lost=lost)
        return False

    async def _earned(self) -> dict[str, int]:
        """The tier that each owner has earned, of those who have traded or are on a tier."""
        asset = self._view.asset_by_symbol.get(self._schedule.quote)
        market_ids = [
            market.market_id
            for market in self._view.markets.values()
            if asset is not None and market.quote_asset_id == asset.asset_id
        ]
        first_day = self._view.time_ns // DAY_NS - DAYS
        of_accounts = await volumes_of_accounts(self._clickhouse, market_ids, first_day)
        async with asyncio.timeout(SQL_TIMEOUT_S):
            on_tiers = await read_fee_tiers(self._pool)
        volumes: dict[str, int] = {}
        for account_id, atoms in of_accounts.items():
            owner = self._view.owner(account_id)
            volumes[owner] = volumes.get(owner, 0) + atoms
        return {
            owner: self._schedule.tier(volumes.get(owner, 0)) for owner in sorted(volumes.keys() | on_tiers)
        }
