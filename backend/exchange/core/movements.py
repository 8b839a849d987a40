"""The ledger's side of every event: which amounts moved between which accounts.

A pure function of the event (and its market), separate from the code that matches. The committed view,
the balance and ledger-entry tables and the audit all fold these movements; that the result equals the
engine's own balances is what the tests prove. Per asset the movements of one event sum to zero.
"""

from collections.abc import Mapping
from typing import NamedTuple

from exchange.core.accounts import (
    CHAIN_ACCOUNT,
    FEES_ACCOUNT,
    WITHDRAWALS_ACCOUNT,
)
from exchange.core.events import (
    DepositCredited,
    Event,
    FundsTransferred,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    SelfTradePrevented,
    Trade,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
)
from exchange.core.markets import Market
from exchange.core.words import Side


class Movement(NamedTuple):
    """A change of one account's balance of one asset, in atoms; the total changes by the sum of both."""

    account_id: int
    asset_id: int
    available_atoms: int
    held_atoms: int


def movements(event: Event, markets: Mapping[int, Market]) -> list[Movement]:
    """Movements of one event, in a fixed order; empty for an event that moves nothing."""
    match event:
        case Trade():
            return _trade(event, markets[event.market_id])
        case OrderAccepted(account_id=account, hold_asset_id=asset, hold_atoms=hold):
            return [Movement(account, asset, -hold, hold)]
        case OrderEnded(account_id=account, released_asset_id=asset, released_atoms=released):
            return [Movement(account, asset, released, -released)] if released else []
        case OrderAmended(account_id=account, hold_asset_id=asset, hold_change_atoms=change):
            return [Movement(account, asset, -change, change)] if change else []
        case SelfTradePrevented():
            return _prevented(event, markets[event.market_id])
        case FundsTransferred(
            from_account_id=giver, to_account_id=receiver, asset_id=asset, amount_atoms=amount
        ):
            return [Movement(giver, asset, -amount, 0), Movement(receiver, asset, amount, 0)]
        case DepositCredited(account_id=account, asset_id=asset, amount_atoms=amount):
            return [Movement(CHAIN_ACCOUNT, asset, -amount, 0), Movement(account, asset, amount, 0)]
        case WithdrawalRequested(account_id=account, asset_id=asset, amount_atoms=amount):
            return [Movement(account, asset, -amount, 0), Movement(WITHDRAWALS_ACCOUNT, asset, amount, 0)]
        case WithdrawalSettled(asset_id=asset, amount_atoms=amount, fee_atoms=fee):
            settled = [
                Movement(WITHDRAWALS_ACCOUNT, asset, -amount, 0),
                Movement(CHAIN_ACCOUNT, asset, amount - fee, 0),
            ]
            return [*settled, Movement(FEES_ACCOUNT, asset, fee, 0)] if fee else settled
        case WithdrawalRefunded(account_id=account, asset_id=asset, amount_atoms=amount):
            return [Movement(WITHDRAWALS_ACCOUNT, asset, -amount, 0), Movement(account, asset, amount, 0)]
        case _:
            return []


def _trade(trade: Trade, market: Market) -> list[Movement]:
    base, quote = market.base_asset_id, market.quote_asset_id
    if trade.taker_side is Side.BUY:
        buyer, buyer_fee = trade.taker_account_id, trade.taker_fee_atoms
        seller, seller_fee = trade.maker_account_id, trade.maker_fee_atoms
    else:
        buyer, buyer_fee = trade.maker_account_id, trade.maker_fee_atoms
        seller, seller_fee = trade.taker_account_id, trade.taker_fee_atoms
    released = trade.buyer_released_atoms
    result = [
        Movement(buyer, quote, released, -(trade.quote_atoms + buyer_fee + released)),
        Movement(buyer, base, trade.base_atoms, 0),
        Movement(seller, base, 0, -trade.base_atoms),
        Movement(seller, quote, trade.quote_atoms - seller_fee, 0),
    ]
    if buyer_fee + seller_fee:
        result.append(Movement(FEES_ACCOUNT, quote, buyer_fee + seller_fee, 0))
    return result


def _prevented(event: SelfTradePrevented, market: Market) -> list[Movement]:
    taker_gives, maker_gives = market.quote_asset_id, market.base_asset_id
    if event.taker_side is Side.SELL:
        taker_gives, maker_gives = maker_gives, taker_gives
    both = (
        (event.maker_account_id, maker_gives, event.maker_released_atoms),
        (event.taker_account_id, taker_gives, event.taker_released_atoms),
    )
    return [Movement(account, asset, released, -released) for account, asset, released in both if released]
