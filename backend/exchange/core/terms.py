"""On which terms people trade and withdraw: fees and tiers, limits, rate classes, the rules."""

from typing import Final

from exchange.core.accounts import MAX_OPEN_ORDERS, MAX_SUB_ACCOUNT
from exchange.core.commands import (
    SetAccountLimits,
    SetFees,
    SetFeeTier,
    SetRateClass,
    SetRules,
    SetWithdrawalTerms,
)
from exchange.core.events import (
    AccountLimitsSet,
    Event,
    FeesSet,
    FeeTierSet,
    RateClassSet,
    RulesSet,
    WithdrawalTermsSet,
    rejected,
)
from exchange.core.markets import MAX_FEE_TIERS
from exchange.core.rejects import RejectReason
from exchange.core.state import State, user_account
from exchange.core.units import BPS_PER_ONE, MAX_ATOMS
from exchange.core.words import RateClass

RULES_VERSION: Final = 2
"""The newest version of the rules that this code knows.

1: the first. 2: a market order may leave its worst price to the market's band; maker rates may be negative;
ids of clients are remembered through, not until, the last instant of a possible replay.
Everything else that came after version 1 shows in commands or fields that no older journal has.
"""


def set_rules(state: State, command: SetRules) -> list[Event]:
    """Switches on the next version, never one that this code does not know."""
    if command.version != state.rules_version + 1 or command.version > RULES_VERSION:
        return rejected(RejectReason.RULES_INVALID)
    state.rules_version = command.version
    return [RulesSet(command.version)]


def set_fees(state: State, command: SetFees) -> list[Event]:
    """Changes a market's rates.

    A rebate must be covered by what the taker of the same trade pays, and orders keep the rates that they
    were accepted at. So while the market has open orders, every new rebate is held against the lowest
    taker rate that an open order may have, and the other way round.
    """
    market = state.markets.get(command.market_id)
    if market is None:
        return rejected(RejectReason.UNKNOWN_MARKET)
    if not 1 <= len(command.tiers) <= MAX_FEE_TIERS:
        return rejected(RejectReason.FEES_INVALID)
    for maker_bps, taker_bps in command.tiers:
        if not -BPS_PER_ONE <= maker_bps <= BPS_PER_ONE or not 0 <= taker_bps <= BPS_PER_ONE:
            return rejected(RejectReason.FEES_INVALID)
    book = state.books[market.market_id]
    lowest_taker_bps = min(taker_bps for _, taker_bps in command.tiers)
    highest_rebate_bps = max(0, *(-maker_bps for maker_bps, _ in command.tiers))
    if not book.is_empty():
        lowest_taker_bps = min(lowest_taker_bps, book.lowest_taker_bps)
        highest_rebate_bps = max(highest_rebate_bps, book.highest_rebate_bps)
    if highest_rebate_bps > lowest_taker_bps:
        return rejected(RejectReason.FEES_INVALID)
    book.lowest_taker_bps = lowest_taker_bps
    book.highest_rebate_bps = highest_rebate_bps
    (market.maker_fee_bps, market.taker_fee_bps), *higher = command.tiers
    market.fee_tiers = tuple(higher)
    return [FeesSet(market.market_id, market.maker_fee_bps, market.taker_fee_bps, market.fee_tiers)]


def set_fee_tier(state: State, command: SetFeeTier) -> list[Event]:
    """Moves an owner, with all sub-accounts, to another fee tier."""
    if not command.owner:
        return rejected(RejectReason.ACCOUNT_INVALID)
    if not 0 <= command.tier < MAX_FEE_TIERS:
        return rejected(RejectReason.FEES_INVALID)
    if command.tier:
        state.fee_tiers[command.owner] = command.tier
    else:
        state.fee_tiers.pop(command.owner, None)
    for sub_account in range(MAX_SUB_ACCOUNT + 1):
        account = state.account_by_owner.get((command.owner, sub_account))
        if account is not None:
            account.fee_tier = command.tier
    return [FeeTierSet(command.owner, command.tier)]


def set_rate_class(state: State, command: SetRateClass) -> list[Event]:
    """Lets an owner ask for more in a time, or for as much as others again."""
    if (command.owner, 0) not in state.account_by_owner:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    if command.rate_class is RateClass.STANDARD:
        state.rate_classes.pop(command.owner, None)
    else:
        state.rate_classes[command.owner] = command.rate_class
    return [RateClassSet(command.owner, command.rate_class)]


def set_account_limits(state: State, command: SetAccountLimits) -> list[Event]:
    """Changes how many orders an account may have open. Orders beyond a lower limit stay."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    if not 0 <= command.max_orders_per_market <= command.max_open_orders <= MAX_OPEN_ORDERS:
        return rejected(RejectReason.ACCOUNT_LIMITS_INVALID)
    account.max_open_orders = command.max_open_orders
    account.max_orders_per_market = command.max_orders_per_market
    return [AccountLimitsSet(account.account_id, account.max_open_orders, account.max_orders_per_market)]


def set_withdrawal_terms(state: State, command: SetWithdrawalTerms) -> list[Event]:
    """Changes an asset's withdrawal fee and minimum, for requests from now on."""
    asset = state.assets.get(command.asset_id)
    if asset is None or not asset.listed:
        return rejected(RejectReason.UNKNOWN_ASSET)
    if not 0 <= command.fee_atoms <= MAX_ATOMS or not 1 <= command.min_atoms <= MAX_ATOMS:
        return rejected(RejectReason.ASSET_INVALID)
    asset.withdrawal_fee_atoms = command.fee_atoms
    asset.min_withdrawal_atoms = command.min_atoms
    return [WithdrawalTermsSet(asset.asset_id, asset.withdrawal_fee_atoms, asset.min_withdrawal_atoms)]
