"""Amending an open order: in its place when it only gets smaller, from the end of the queue otherwise."""

from exchange.core import ledger
from exchange.core.admission import closed_reason, is_too_large, refuse_lifetime, restricted_reason
from exchange.core.commands import AmendOrder
from exchange.core.events import Event, OrderAmended, rejected
from exchange.core.markets import Market
from exchange.core.matching import held_asset_id, required_hold_atoms
from exchange.core.orders import Order
from exchange.core.prices import is_outside_band, reference_ticks
from exchange.core.rejects import RejectReason
from exchange.core.state import State, user_account
from exchange.core.trading import trade
from exchange.core.units import MAX_PRICE_TICKS, MAX_SIZE_LOTS
from exchange.core.words import AccountState, MarketState, TimeInForce


def amend_order(state: State, command: AmendOrder) -> list[Event]:
    """Gives an open order another price or size, in its place or at the end of the queue."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    refused = refuse_lifetime(state, command.expires_ns)
    if refused is not None:
        return rejected(refused)
    order = state.orders.get(command.order_id)
    if order is None or order.account is not account:
        return rejected(RejectReason.UNKNOWN_ORDER)
    if not 0 < command.price_ticks <= MAX_PRICE_TICKS:
        return rejected(RejectReason.PRICE_OUT_OF_RANGE)
    if not 0 < command.size_lots <= MAX_SIZE_LOTS:
        return rejected(RejectReason.SIZE_OUT_OF_RANGE)
    remaining_lots = command.size_lots - (order.size_lots - order.remaining_lots)
    if remaining_lots <= 0:
        return rejected(RejectReason.AMEND_BELOW_FILLED)
    if state.work_due_ns <= state.time_ns:
        return rejected(RejectReason.WORK_QUEUED)
    market = state.markets[order.market_id]
    book = state.books[order.market_id]
    same_price = command.price_ticks == order.price_ticks
    only_smaller = same_price and remaining_lots <= order.remaining_lots
    keeps_place = only_smaller or order.awaiting_trigger
    if account.state is not AccountState.ACTIVE and not only_smaller:
        return rejected(restricted_reason(account.state))
    refused = _refuse_amending(market, order, only_smaller=only_smaller)
    if refused is not None:
        return rejected(refused)
    if not same_price and is_outside_band(
        market,
        order.side,
        command.price_ticks,
        order.trigger_ticks if order.awaiting_trigger else reference_ticks(book),
    ):
        return rejected(RejectReason.PRICE_OUTSIDE_BAND)

    before = (order.price_ticks, order.size_lots, order.remaining_lots)
    order.price_ticks, order.size_lots, order.remaining_lots = (
        command.price_ticks,
        command.size_lots,
        remaining_lots,
    )
    hold_atoms = required_hold_atoms(market, order)
    hold_asset_id = held_asset_id(market, order.side)
    change_atoms = hold_atoms - order.held_atoms
    refused = None
    if is_too_large(market, order, hold_atoms):
        refused = RejectReason.AMOUNT_TOO_LARGE
    elif change_atoms > ledger.available_atoms(account, hold_asset_id):
        refused = RejectReason.INSUFFICIENT_FUNDS
    elif (
        not keeps_place
        and _must_not_cross(market, order)
        and book.opposite(order.side).reaches(order.price_ticks)
    ):
        refused = RejectReason.POST_ONLY_WOULD_CROSS
    if refused is not None:
        order.price_ticks, order.size_lots, order.remaining_lots = before
        return rejected(refused)

    if change_atoms > 0:
        ledger.hold(account, hold_asset_id, change_atoms)
    else:
        ledger.release(account, hold_asset_id, -change_atoms)
    order.held_atoms = hold_atoms
    events: list[Event] = [
        OrderAmended(
            order.order_id,
            account.account_id,
            order.market_id,
            order.side,
            order.price_ticks,
            order.size_lots,
            remaining_lots,
            hold_asset_id,
            change_atoms,
            keeps_place,
        )
    ]
    if not keeps_place:
        book.own(order.side).remove(order)
        trade(state, market, book, order, events)
    return events


def _refuse_amending(market: Market, order: Order, *, only_smaller: bool) -> RejectReason | None:
    if market.state is MarketState.OPEN or market.state is MarketState.PRE_OPEN:
        return None
    if market.state is not MarketState.HALTED and only_smaller:
        return None
    if market.state is MarketState.POST_ONLY and (
        order.time_in_force is TimeInForce.POST_ONLY and not order.awaiting_trigger
    ):
        return None
    return closed_reason(market.state)


def _must_not_cross(market: Market, order: Order) -> bool:
    return order.time_in_force is TimeInForce.POST_ONLY or market.state is not MarketState.OPEN
