"""Placing an order: checked, paid for, and then traded or left to await its trigger."""

from typing import Final

from exchange.core import ledger
from exchange.core.accounts import Account
from exchange.core.admission import (
    is_too_large,
    refuse_content,
    refuse_for_now,
    refuse_lifetime,
)
from exchange.core.book import Book
from exchange.core.commands import PlaceOrder
from exchange.core.events import Event, OrderAccepted, OrderKnown, rejected
from exchange.core.markets import Market
from exchange.core.matching import can_fill, held_asset_id, lots_for_amount, required_hold_atoms
from exchange.core.orders import Order
from exchange.core.prices import is_outside_band, reference_ticks, worst_ticks
from exchange.core.rejects import RejectReason
from exchange.core.state import State, user_account
from exchange.core.trading import await_trigger, trade, waits_for_rise
from exchange.core.units import MAX_SIZE_LOTS
from exchange.core.words import MarketState, TimeInForce

_GTC: Final = TimeInForce.GTC
_FOK: Final = TimeInForce.FOK
_POST_ONLY: Final = TimeInForce.POST_ONLY
_OPEN: Final = MarketState.OPEN


def place_order(state: State, command: PlaceOrder) -> list[Event]:
    """Checks, holds the funds, matches, and rests or ends the rest; or lets the order await its trigger."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    refused = refuse_lifetime(state, command.expires_ns)
    if refused is not None:
        return rejected(refused)
    market = state.markets.get(command.market_id)
    if market is None:
        return rejected(RejectReason.UNKNOWN_MARKET)
    refused = refuse_content(state, command)
    if refused is not None:
        return rejected(refused)
    if command.client_order_id is not None:
        known = account.client_orders.get(command.client_order_id)
        if known is not None:
            return _sent_again(account, command, known)
    refused = refuse_for_now(state, account, market, command)
    if refused is not None:
        return rejected(refused)

    book = state.books[market.market_id]
    price_ticks = command.price_ticks or _default_price_ticks(market, book, command)
    if price_ticks is None:
        return rejected(RejectReason.NO_REFERENCE_PRICE)
    if market.price_band_bps or command.trigger is not None:
        refused = _refuse_price(market, book, command, price_ticks)
        if refused is not None:
            return rejected(refused)
    order = _new_order(state, market, account, command, price_ticks)
    if command.quote_atoms:
        lots = min(lots_for_amount(book.opposite(order.side), order, market.unit_atoms), MAX_SIZE_LOTS)
        order.size_lots = order.remaining_lots = lots
        if order.size_lots == 0:
            return rejected(RejectReason.AMOUNT_BUYS_NOTHING)
    hold_atoms = command.quote_atoms or required_hold_atoms(market, order)
    hold_asset_id = held_asset_id(market, order.side)
    if is_too_large(market, order, hold_atoms):
        return rejected(RejectReason.AMOUNT_TOO_LARGE)
    if hold_atoms > ledger.available_atoms(account, hold_asset_id):
        return rejected(RejectReason.INSUFFICIENT_FUNDS)
    refused = _refuse_crossing(market, book, order)
    if refused is not None:
        return rejected(refused)

    ledger.hold(account, hold_asset_id, hold_atoms)
    order.held_atoms = hold_atoms
    events: list[Event] = [_accepted(order, hold_asset_id)]
    if command.client_order_id is not None:
        order.asked_price_ticks = command.price_ticks
        order.asked_size_lots = command.size_lots
        order.asked_expires_ns = command.expires_ns
        account.client_orders[command.client_order_id] = order
    if command.trigger is None:
        trade(state, market, book, order, events)
    else:
        await_trigger(state, book, order)
    return events


def _default_price_ticks(market: Market, book: Book, command: PlaceOrder) -> int | None:
    """How far a market order goes that does not say it."""
    reference = command.trigger_ticks or reference_ticks(book)
    return None if reference is None else worst_ticks(command.side, reference, market.market_band_bps)


def _refuse_price(market: Market, book: Book, command: PlaceOrder, price_ticks: int) -> RejectReason | None:
    if market.price_band_bps:
        reference = command.trigger_ticks or reference_ticks(book)
        if is_outside_band(market, command.side, price_ticks, reference):
            return RejectReason.PRICE_OUTSIDE_BAND
    if command.trigger is not None and book.last_ticks and _is_met(command, book.last_ticks):
        return RejectReason.TRIGGER_ALREADY_MET
    return None


def _refuse_crossing(market: Market, book: Book, order: Order) -> RejectReason | None:
    is_free = order.time_in_force is _GTC and market.state is _OPEN
    if is_free or order.trigger is not None:
        return None
    makers = book.opposite(order.side)
    must_rest = order.time_in_force is _POST_ONLY or market.state is not _OPEN
    if must_rest and makers.reaches(order.price_ticks):
        return RejectReason.POST_ONLY_WOULD_CROSS
    if order.time_in_force is _FOK and not can_fill(makers, order):
        return RejectReason.FILL_OR_KILL_UNFILLABLE
    return None


def _sent_again(account: Account, command: PlaceOrder, known: Order) -> list[Event]:
    if not _is_same_order(command, known):
        return rejected(RejectReason.CLIENT_ORDER_ID_REUSED)
    return [
        OrderKnown(
            known.order_id,
            account.account_id,
            command.market_id,
            known.ended or "open",
            known.size_lots,
            known.remaining_lots,
        )
    ]


def _is_same_order(command: PlaceOrder, known: Order) -> bool:
    """Whether the request asks for just this order; the expiry of the request may differ."""
    return (
        command.market_id == known.market_id
        and command.side is known.side
        and command.order_type is known.order_type
        and command.time_in_force is known.time_in_force
        and command.price_ticks == known.asked_price_ticks
        and command.size_lots == known.asked_size_lots
        and command.self_trade_prevention is known.self_trade_prevention
        and command.good_till_ns == known.good_till_ns
        and command.trigger is known.trigger
        and command.trigger_ticks == known.trigger_ticks
        and command.quote_atoms == known.quote_atoms
    )


def _new_order(
    state: State, market: Market, account: Account, command: PlaceOrder, price_ticks: int
) -> Order:
    maker_fee_bps, taker_fee_bps = market.rates_bps(account.fee_tier)
    return Order(
        state.seq,
        account,
        market.market_id,
        command.side,
        command.order_type,
        command.time_in_force,
        command.self_trade_prevention,
        price_ticks,
        command.size_lots,
        command.size_lots,
        0,
        maker_fee_bps,
        taker_fee_bps,
        command.client_order_id,
        state.time_ns,
        command.good_till_ns,
        command.trigger,
        command.trigger_ticks,
        command.quote_atoms,
    )


def _is_met(command: PlaceOrder, last_ticks: int) -> bool:
    if waits_for_rise(command.trigger, command.side):
        return last_ticks >= command.trigger_ticks
    return last_ticks <= command.trigger_ticks


def _accepted(order: Order, hold_asset_id: int) -> OrderAccepted:
    return OrderAccepted(
        order.order_id,
        order.account.account_id,
        order.market_id,
        order.side,
        order.order_type,
        order.time_in_force,
        order.self_trade_prevention,
        order.price_ticks,
        order.size_lots,
        hold_asset_id,
        order.held_atoms,
        order.maker_fee_bps,
        order.taker_fee_bps,
        order.client_order_id,
        order.good_till_ns,
        order.trigger,
        order.trigger_ticks,
        order.quote_atoms,
    )
