"""Orders: placing them and cancelling them."""

from exchange.core import ledger
from exchange.core.accounts import MAX_OPEN_ORDERS, Account, ClientOrder
from exchange.core.commands import CancelAll, CancelOrder, PlaceOrder
from exchange.core.events import AllCancelled, Event, OrderAccepted, OrderKnown, OrderRested, rejected
from exchange.core.matching import (
    CLIENT_ORDER_MEMORY_NS,
    can_fill,
    end,
    held_asset_id,
    match,
    required_hold_atoms,
    would_trade,
)
from exchange.core.orders import EndReason, Order, OrderType, TimeInForce
from exchange.core.rejects import RejectReason
from exchange.core.state import State, user_account
from exchange.core.units import MAX_ATOMS, MAX_PRICE_TICKS, MAX_SIZE_LOTS


def place_order(state: State, command: PlaceOrder) -> list[Event]:
    """Checks, holds the funds, matches, and rests or ends the rest."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    if state.time_ns > command.expires_ns:
        return rejected(RejectReason.REQUEST_EXPIRED)
    if command.expires_ns - state.time_ns > CLIENT_ORDER_MEMORY_NS:
        return rejected(RejectReason.REQUEST_EXPIRY_TOO_FAR)
    market = state.markets.get(command.market_id)
    if market is None:
        return rejected(RejectReason.UNKNOWN_MARKET)
    if not 0 < command.price_ticks <= MAX_PRICE_TICKS:
        return rejected(RejectReason.PRICE_OUT_OF_RANGE)
    if not 0 < command.size_lots <= MAX_SIZE_LOTS:
        return rejected(RejectReason.SIZE_OUT_OF_RANGE)
    may_rest = command.time_in_force in {TimeInForce.GTC, TimeInForce.POST_ONLY}
    if command.order_type is OrderType.MARKET and may_rest:
        return rejected(RejectReason.INVALID_COMBINATION)
    if command.client_order_id is not None:
        known = account.client_orders.get(command.client_order_id)
        if known is not None:
            return _sent_again(account, command, known)
    if may_rest and len(account.open_orders) >= MAX_OPEN_ORDERS:
        return rejected(RejectReason.TOO_MANY_OPEN_ORDERS)

    order = Order(
        order_id=state.seq,
        account=account,
        market_id=market.market_id,
        side=command.side,
        price_ticks=command.price_ticks,
        size_lots=command.size_lots,
        remaining_lots=command.size_lots,
        held_atoms=0,
        maker_fee_bps=market.maker_fee_bps,
        taker_fee_bps=market.taker_fee_bps,
        client_order_id=command.client_order_id,
    )
    hold_asset_id = held_asset_id(market, order.side)
    hold_atoms = required_hold_atoms(market, order)
    notional_atoms = market.notional_atoms(order.price_ticks, order.size_lots)
    if max(hold_atoms, notional_atoms, market.base_atoms(order.size_lots)) > MAX_ATOMS:
        return rejected(RejectReason.AMOUNT_TOO_LARGE)
    if hold_atoms > ledger.available_atoms(account, hold_asset_id):
        return rejected(RejectReason.INSUFFICIENT_FUNDS)
    makers = state.books[market.market_id].opposite(order.side)
    if command.time_in_force is TimeInForce.POST_ONLY and would_trade(makers, order.price_ticks):
        return rejected(RejectReason.POST_ONLY_WOULD_CROSS)
    if command.time_in_force is TimeInForce.FOK and not can_fill(makers, order):
        return rejected(RejectReason.FILL_OR_KILL_UNFILLABLE)

    ledger.hold(account, hold_asset_id, hold_atoms)
    order.held_atoms = hold_atoms
    events: list[Event] = [_accepted(command, order, hold_asset_id)]
    if order.client_order_id is not None:
        account.client_orders[order.client_order_id] = ClientOrder(
            content=_content(command),
            order_id=order.order_id,
            size_lots=order.size_lots,
            remaining_lots=order.size_lots,
            ended="",
        )
    reason = match(state, market, order, events)
    if reason is None and may_rest:
        _rest(state, order, events)
    else:
        end(state, market, order, reason or EndReason.UNFILLED, events, was_resting=False)
    return events


def _content(command: PlaceOrder) -> tuple[object, ...]:
    """What must be equal for two requests to be the same order; the expiry may differ."""
    return (
        command.market_id,
        command.side,
        command.order_type,
        command.time_in_force,
        command.price_ticks,
        command.size_lots,
        command.self_trade_prevention,
    )


def _sent_again(account: Account, command: PlaceOrder, known: ClientOrder) -> list[Event]:
    if known.content != _content(command):
        return rejected(RejectReason.CLIENT_ORDER_ID_REUSED)
    is_open = account.open_orders.get(known.order_id)
    return [
        OrderKnown(
            order_id=known.order_id,
            account_id=account.account_id,
            market_id=command.market_id,
            status=known.ended or "open",
            size_lots=known.size_lots,
            remaining_lots=known.remaining_lots if is_open is None else is_open.remaining_lots,
        )
    ]


def _accepted(command: PlaceOrder, order: Order, hold_asset_id: int) -> OrderAccepted:
    return OrderAccepted(
        order_id=order.order_id,
        account_id=order.account.account_id,
        market_id=order.market_id,
        side=order.side,
        order_type=command.order_type,
        time_in_force=command.time_in_force,
        self_trade_prevention=command.self_trade_prevention,
        price_ticks=order.price_ticks,
        size_lots=order.size_lots,
        hold_asset_id=hold_asset_id,
        hold_atoms=order.held_atoms,
        maker_fee_bps=order.maker_fee_bps,
        taker_fee_bps=order.taker_fee_bps,
        client_order_id=order.client_order_id,
    )


def _rest(state: State, order: Order, events: list[Event]) -> None:
    state.books[order.market_id].own(order.side).add(order)
    state.orders[order.order_id] = order
    order.account.open_orders[order.order_id] = order
    events.append(
        OrderRested(
            order_id=order.order_id,
            account_id=order.account.account_id,
            market_id=order.market_id,
            side=order.side,
            price_ticks=order.price_ticks,
            remaining_lots=order.remaining_lots,
        )
    )


def cancel_order(state: State, command: CancelOrder) -> list[Event]:
    """Ends one open order of the account's own."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    order = account.open_orders.get(command.order_id)
    if order is None:
        return rejected(RejectReason.UNKNOWN_ORDER)
    events: list[Event] = []
    _cancel(state, order, events)
    return events


def cancel_all(state: State, command: CancelAll) -> list[Event]:
    """Ends all of the account's open orders, or those of one market."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    if command.market_id is not None and command.market_id not in state.markets:
        return rejected(RejectReason.UNKNOWN_MARKET)
    orders = [
        order
        for order in account.open_orders.values()
        if command.market_id is None or order.market_id == command.market_id
    ]
    events: list[Event] = []
    for order in orders:
        _cancel(state, order, events)
    events.append(AllCancelled(account.account_id, command.market_id, len(orders)))
    return events


def _cancel(state: State, order: Order, events: list[Event]) -> None:
    state.books[order.market_id].own(order.side).remove(order)
    end(state, state.markets[order.market_id], order, EndReason.CANCELLED, events, was_resting=True)
