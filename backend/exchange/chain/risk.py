"""The risk step: whether a requested withdrawal goes out by itself, waits, or is looked at by a person.

A ladder, the first that applies:

    destination not on the owner's allow-list, or not for long enough      review
    more than the asset's `review_above`                                   review
    more than fits into a velocity window even when that is empty          review
    the owner's window, or the asset's window, has no room now             wait, and ask again
    otherwise                                                              approve

The gateway refuses what the allow-list forbids before it is journaled; it is asked again here because a
destination may have been removed since. What is approved counts against both windows from that moment for
`window_s`, by whomever it was approved; what comes back to the owner (refunded) does not count.

Nobody is refused here: a withdrawal that is neither approved nor released by a person in time comes back to
its owner after the deadline that the owner signed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

import asyncpg

from exchange.chain.allow_list import Allowed, AllowList, NotListed
from exchange.chain.payment_rows import StoredPayment

WINDOW_S = 24 * 3_600
RETRY_S = 60


@dataclass(frozen=True, slots=True)
class AssetLimits:
    """Limits of one asset in atoms, None for none. The windows are rolling, `RiskPolicy.window_s` long."""

    review_above_atoms: int | None = None
    asset_window_atoms: int | None = None
    account_window_atoms: int | None = None
    """Of one owner, over all sub-accounts."""


@dataclass(frozen=True, slots=True)
class RiskPolicy:
    """What goes out without a person; `limits` by asset symbol. The default lets everything pass."""

    limits: Mapping[str, AssetLimits] = field(default_factory=dict)
    window_s: int = WINDOW_S

    def reviews(self, symbol: str, amount_atoms: int) -> str | None:
        """Why an amount is looked at by a person whatever else went out; None when it is not."""
        limits = self.limits.get(symbol, _NONE)
        if limits.review_above_atoms is not None and amount_atoms > limits.review_above_atoms:
            return "amount is reviewed by hand"
        for limit_atoms in (limits.asset_window_atoms, limits.account_window_atoms):
            if limit_atoms is not None and amount_atoms > limit_atoms:
                return "amount is above a velocity limit"
        return None


_NONE = AssetLimits()


class Verdict(Enum):
    """What happens to a requested withdrawal."""

    APPROVE = auto()
    WAIT = auto()
    REVIEW = auto()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and the reason unless it is to approve. The owner sees the reason."""

    verdict: Verdict
    reason: str = ""


class RiskStep:
    """Judges one vault's withdrawals, one at a time: each must be stored before the next is judged."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        policy: RiskPolicy,
        allow_list: AllowList,
        symbol_of: Callable[[int], str],
        *,
        chain_id: int,
        vault: str,
    ) -> None:
        self._pool = pool
        self._policy = policy
        self._allow_list = allow_list
        self._symbol_of = symbol_of
        self._key = (chain_id, vault)
        self._gone: dict[tuple[int, str | None], int] = {}
        """What has gone out within the window, by asset and owner (None: all), as of this pass."""

    def start_pass(self) -> None:
        """What has gone out is summed anew; within a pass each sum is made once and carried on."""
        self._gone.clear()

    async def judge(self, payment: StoredPayment, now_ms: int) -> Judgement:
        """Judges by what was stored when the pass began and what was approved since."""
        decision = await self._allow_list.check(payment.owner, payment.destination, now_ms)
        if not isinstance(decision, Allowed):
            missing = isinstance(decision, NotListed)
            return Judgement(
                Verdict.REVIEW,
                "destination is not on the allow-list" if missing else "destination is new on the allow-list",
            )
        symbol = self._symbol_of(payment.asset_id)
        if (reason := self._policy.reviews(symbol, payment.amount_atoms)) is not None:
            return Judgement(Verdict.REVIEW, reason)
        limits = self._policy.limits.get(symbol, _NONE)
        for limit_atoms, owner, words in (
            (limits.account_window_atoms, payment.owner, "velocity limit of the account"),
            (limits.asset_window_atoms, None, "velocity limit of the asset"),
        ):
            if limit_atoms is None:
                continue
            key = (payment.asset_id, owner)
            if key not in self._gone:
                self._gone[key] = await self._gone_atoms(payment.asset_id, owner, now_ms)
            if self._gone[key] + payment.amount_atoms > limit_atoms:
                return Judgement(Verdict.WAIT, words)
        for key in ((payment.asset_id, payment.owner), (payment.asset_id, None)):
            if key in self._gone:
                self._gone[key] += payment.amount_atoms
        return Judgement(Verdict.APPROVE)

    async def _gone_atoms(self, asset_id: int, owner: str | None, now_ms: int) -> int:
        """What was approved within the window, of one owner or (None) of all.

        So counts what the vault paid without an approval that we know of: our tables were lost.
        """
        return int(
            await self._pool.fetchval(
                """
                SELECT COALESCE(sum(amount_atoms), 0) FROM payments
                WHERE chain_id = $1 AND vault = $2 AND asset_id = $3 AND state <> 'refunded'
                    AND (approved_ms > $4 OR
                        (approved_ms IS NULL AND state IN ('mined', 'settled') AND updated_ms > $4))
                    AND ($5::text IS NULL OR owner = $5)
                """,
                *self._key,
                asset_id,
                now_ms - 1_000 * self._policy.window_s,
                owner,
            )
        )
