"""Withdrawal fees that follow the network's: what a payment costs the exchange, in the asset withdrawn.

    fee = cost of one payment x 3/2, in the asset's atoms, rounded up to two digits, at most its maximum

A token's worth in the chain's own coin is the last price of a market between the two; while there is none the
fee stays as it is. A last price can be made by whoever pays for one trade, and the chain's fees by nobody
here: the maximum bounds what either may do to those who withdraw. (What is withdrawn too cheaply costs the
exchange gas, no more.)

A follower with no memory of its own, like `fee_tiers`: the present fee comes from the committed view, and a
journaled SetWithdrawalTerms is the only thing it can do. A small change is not worth a command, nor a new
figure before the eyes of somebody who is about to sign: more than a fifth is, and at most once a minute.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from exchange.core.commands import SetWithdrawalTerms
from exchange.core.events import WithdrawalTermsSet
from exchange.core.markets import NATIVE_TOKEN, Asset
from exchange.core.units import div_ceil
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Overloaded, Submit

MARKUP_NUMERATOR, MARKUP_DENOMINATOR = 3, 2
"""Room for a base fee that rises, for replacements of stuck transactions, and for payments that revert."""
CHANGE_NUMERATOR, CHANGE_DENOMINATOR = 1, 5
REVIEW_INTERVAL_S = 5.0
SUBMIT_INTERVAL_S = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """What wei are worth in an asset: `atoms` of it for `wei`, exactly, both positive."""

    atoms: int
    wei: int


def network_fee_atoms(payment_wei: int, rate: Rate, most_atoms: int) -> int:
    """The fee for a payment that costs so much. Never less than cost and markup, but for the maximum."""
    marked_up = div_ceil(payment_wei * MARKUP_NUMERATOR * rate.atoms, MARKUP_DENOMINATOR * rate.wei)
    return min(two_digits_up(marked_up), most_atoms)


def two_digits_up(number: int) -> int:
    """The least number that is not below this one and has at most two digits that are not trailing zeros."""
    assert number >= 0
    step: int = 10 ** max(0, len(str(number)) - 2)
    return div_ceil(number, step) * step


def is_worth_changing(fee_atoms: int, wanted_atoms: int) -> bool:
    """Whether two fees differ by more than a fifth of the first."""
    return abs(wanted_atoms - fee_atoms) * CHANGE_DENOMINATOR > fee_atoms * CHANGE_NUMERATOR


def rate_of(view: CommittedView, asset: Asset) -> Rate | None:
    """An asset's rate by the last trade between it and its chain's own coin; None when there was none."""
    if asset.token == NATIVE_TOKEN:
        return Rate(1, 1)
    for market in view.markets.values():
        last_ticks = view.last_ticks(market.market_id)
        if last_ticks is None:
            continue
        base, quote = view.assets[market.base_asset_id], view.assets[market.quote_asset_id]
        quote_atoms = market.notional_atoms(last_ticks, 1)  # what one lot of the base is worth
        if base is asset and _is_native(quote, asset):
            return Rate(atoms=market.lot_atoms, wei=quote_atoms)
        if quote is asset and _is_native(base, asset):
            return Rate(atoms=quote_atoms, wei=market.lot_atoms)
    return None


def _is_native(coin: Asset, asset: Asset) -> bool:
    return coin.token == NATIVE_TOKEN and (coin.chain_id, coin.vault) == (asset.chain_id, asset.vault)


class NetworkFeeWorker:
    """Looks at the fees of some assets again and again."""

    def __init__(
        self,
        view: CommittedView,
        submit: Submit,
        payment_wei: Callable[[], int | None],
        most_atoms: Mapping[str, int],
        *,
        interval_s: float = REVIEW_INTERVAL_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`payment_wei`: what one payment costs now, None when that is not known. `most_atoms`: by symbol."""
        self._view = view
        self._submit = submit
        self._payment_wei = payment_wei
        self._most_atoms = dict(most_atoms)
        self._interval_s = interval_s
        self._now_s = now_s
        self._submitted_s: dict[str, float] = {}

    async def run(self) -> None:
        """Reviews until cancelled. Raises EngineStopped."""
        while True:
            try:
                await self.review()
            except Overloaded as error:
                log.warning("network_fees_not_reviewed", error=repr(error))
            await asyncio.sleep(self._interval_s)

    async def review(self) -> int:
        """Changes the fees that are worth changing; how many. Raises Overloaded, EngineStopped."""
        payment_wei = self._payment_wei()
        if payment_wei is None:
            return 0
        changed = 0
        for symbol, most_atoms in self._most_atoms.items():
            asset = self._view.asset_by_symbol.get(symbol)
            rate = None if asset is None else rate_of(self._view, asset)
            if asset is None or rate is None or not self._may_submit(symbol):
                continue
            fee_atoms = network_fee_atoms(payment_wei, rate, most_atoms)
            if is_worth_changing(asset.withdrawal_fee_atoms, fee_atoms):
                changed += await self._change(asset, fee_atoms)
        return changed

    def _may_submit(self, symbol: str) -> bool:
        last_s = self._submitted_s.get(symbol)
        return last_s is None or self._now_s() - last_s >= SUBMIT_INTERVAL_S

    async def _change(self, asset: Asset, fee_atoms: int) -> bool:
        before_atoms = asset.withdrawal_fee_atoms
        outcome = await self._submit(
            SetWithdrawalTerms(asset.asset_id, fee_atoms, asset.min_withdrawal_atoms)
        )
        self._submitted_s[asset.symbol] = self._now_s()
        event = outcome.events[0]
        if not isinstance(event, WithdrawalTermsSet):
            log.error("network_fee_refused", asset=asset.symbol, fee_atoms=fee_atoms, answer=repr(event))
            return False
        log.info("network_fee_changed", asset=asset.symbol, before=before_atoms, after=fee_atoms)
        return True
