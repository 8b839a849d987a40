"""Ending orders early, by their owner, a dead man's switch, a freeze or their own time; and the Tick."""

from typing import Final

from exchange.core.accounts import Account
from exchange.core.commands import (
    CancelAll,
    CancelAllAfter,
    CancelClientOrder,
    CancelOrder,
    SetAccountState,
    Tick,
)
from exchange.core.events import (
    AccountStateSet,
    AllCancelled,
    CancelAllAfterFired,
    CancelAllAfterSet,
    Event,
    Ticked,
    rejected,
)
from exchange.core.matching import MAX_WORK, end
from exchange.core.orders import Order
from exchange.core.rejects import RejectReason
from exchange.core.schedule import set_switch, watch_triggers
from exchange.core.state import State, user_account
from exchange.core.trading import fire_trigger, leave_book
from exchange.core.words import AccountState, EndReason, MarketState

_HALTED: Final = MarketState.HALTED
_CANCELLED: Final = EndReason.CANCELLED

MAX_CANCEL_ALL_AFTER_NS: Final = 24 * 3600 * 1_000_000_000
"""How far ahead a dead man's switch may be set."""


def cancel_order(state: State, command: CancelOrder) -> list[Event]:
    """Ends one open order of the account's own."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    order = state.orders.get(command.order_id)
    if order is None or order.account is not account:
        return rejected(RejectReason.UNKNOWN_ORDER)
    return _cancel(state, order)


def cancel_client_order(state: State, command: CancelClientOrder) -> list[Event]:
    """Ends one open order of the account's own, by the id that its sender gave it.

    At most one open order has it. One that has ended is remembered under it for a while, and is not open.
    """
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    order = account.client_orders.get(command.client_order_id)
    if order is None or order.ended:
        return rejected(RejectReason.UNKNOWN_ORDER)
    if command.market_ids and order.market_id not in command.market_ids:
        return rejected(RejectReason.UNKNOWN_ORDER)
    return _cancel(state, order)


def _cancel(state: State, order: Order) -> list[Event]:
    """Unless its market is halted."""
    if state.markets[order.market_id].state is _HALTED:
        return rejected(RejectReason.MARKET_HALTED)
    events: list[Event] = []
    _end_early(state, order, _CANCELLED, events)
    return events


def cancel_all(state: State, command: CancelAll) -> list[Event]:
    """Ends the account's open orders of one market or of all, of one side or of both, the oldest first.

    Orders in halted markets stay, unless that market alone was asked for: then the command is refused.
    """
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    market_id = command.market_id
    if market_id is not None:
        market = state.markets.get(market_id)
        if market is None:
            return rejected(RejectReason.UNKNOWN_MARKET)
        if market.state is _HALTED:
            return rejected(RejectReason.MARKET_HALTED)
    orders = [
        order
        for order in _orders_of(account)
        if (market_id is None or order.market_id == market_id)
        and (command.side is None or order.side is command.side)
        and state.markets[order.market_id].state is not _HALTED
    ]
    events: list[Event] = []
    for order in orders:
        _end_early(state, order, _CANCELLED, events)
    events.append(AllCancelled(account.account_id, market_id, len(orders), command.side))
    return events


def cancel_all_after(state: State, command: CancelAllAfter) -> list[Event]:
    """Sets, renews or switches off the account's dead man's switch."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    fires_ns = command.fires_ns
    if fires_ns != 0 and not 0 < fires_ns - state.time_ns <= MAX_CANCEL_ALL_AFTER_NS:
        return rejected(RejectReason.CANCEL_ALL_AFTER_INVALID)
    set_switch(state, account, fires_ns)
    return [CancelAllAfterSet(account.account_id, fires_ns)]


def set_account_state(state: State, command: SetAccountState) -> list[Event]:
    """Changes what an account may do.

    Frozen, it loses all its open orders, those in halted markets too: what stands behind them may not exist,
    so none of them may trade once its market goes on.
    """
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    account.state = command.state
    events: list[Event] = []
    if command.state is AccountState.FROZEN:
        for order in _orders_of(account):
            _end_early(state, order, EndReason.ACCOUNT_FROZEN, events)
    events.append(AccountStateSet(account.account_id, account.state))
    return events


def tick(state: State, _: Tick) -> list[Event]:
    """Does the next part of the work that is due.

    Up to `MAX_WORK` expired orders, the soonest first; or else one account's dead man's switch; or else one
    order whose trigger is met: the trigger nearest to where the price came from, the first in its queue.
    """
    events: list[Event] = []
    expired = _expire(state, events)
    if not expired and not _fire_switch(state, events):
        _fire_one_trigger(state, events)
    events.append(Ticked(expired))
    return events


def _expire(state: State, events: list[Event]) -> int:
    expired = 0
    while expired < MAX_WORK and state.expiries and -state.expiries[-1][0] <= state.time_ns:
        order = state.orders[-state.expiries[-1][1]]
        _end_early(state, order, EndReason.EXPIRED, events)
        expired += 1
    return expired


def _fire_switch(state: State, events: list[Event]) -> bool:
    if not state.switches or -state.switches[-1][0] > state.time_ns:
        return False
    account = state.accounts[-state.switches[-1][1]]
    set_switch(state, account, 0)
    orders = _orders_of(account)
    for order in orders:
        _end_early(state, order, EndReason.CANCEL_ALL_AFTER, events)
    events.append(CancelAllAfterFired(account.account_id, len(orders)))
    return True


def _fire_one_trigger(state: State, events: list[Event]) -> None:
    if not state.met_markets:
        return
    market = state.markets[state.met_markets[0]]
    book = state.books[market.market_id]
    waiting = book.rises if book.rises.reaches(book.high_ticks) else book.falls
    order = waiting.levels[waiting.keys[-1]].first
    assert order is not None
    fire_trigger(state, market, book, order, events)
    watch_triggers(state, market.market_id)


def _orders_of(account: Account) -> list[Order]:
    """The account's open orders, the oldest first."""
    return list(account.orders.values())


def _end_early(state: State, order: Order, reason: EndReason, events: list[Event]) -> None:
    book = state.books[order.market_id]
    leave_book(book, order)
    end(state, state.markets[order.market_id], order, reason, events, was_resting=not order.awaiting_trigger)
    if order.awaiting_trigger:
        watch_triggers(state, order.market_id)
