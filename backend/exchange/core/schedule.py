"""Work that comes due by itself: expiries, dead man's switches, met triggers.

A Tick does it, a bounded part at a time; until it is done nothing new may trade. The lists keep what is next
at their end, so that the usual short-lived entries come and go there without moving the others.
"""

from bisect import bisect_left, insort

from exchange.core.accounts import Account
from exchange.core.orders import Order
from exchange.core.state import NEVER_NS, State
from exchange.core.words import MarketState


def work_is_due(state: State, time_ns: int) -> bool:
    """Whether a Tick at `time_ns` would find something to do."""
    return state.work_due_ns <= time_ns


def expire_later(state: State, order: Order) -> None:
    """Enters an order that is good till a time."""
    insort(state.expiries, (-order.good_till_ns, -order.order_id))
    find_next(state)


def forget_expiry(state: State, order: Order) -> None:
    """Takes out an order that has ended."""
    entry = (-order.good_till_ns, -order.order_id)
    index = bisect_left(state.expiries, entry)
    assert state.expiries[index] == entry
    del state.expiries[index]
    find_next(state)


def set_switch(state: State, account: Account, fires_ns: int) -> None:
    """Sets an account's dead man's switch, instead of the one it has; 0 for none."""
    if account.cancel_all_ns:
        entry = (-account.cancel_all_ns, -account.account_id)
        index = bisect_left(state.switches, entry)
        assert state.switches[index] == entry
        del state.switches[index]
    account.cancel_all_ns = fires_ns
    if fires_ns:
        insort(state.switches, (-fires_ns, -account.account_id))
    find_next(state)


def watch_triggers(state: State, market_id: int) -> None:
    """Queues the market for Ticks when a trigger is met there, takes it off the queue when none is."""
    book = state.books[market_id]
    if state.markets[market_id].state is MarketState.OPEN and book.trigger_is_met():
        if market_id not in state.met_markets:
            state.met_markets.append(market_id)
            state.work_due_ns = 0
    else:
        book.forget_range()
        leave_triggers(state, market_id)


def leave_triggers(state: State, market_id: int) -> None:
    """Takes the market off the queue: its triggers wait."""
    if market_id in state.met_markets:
        state.met_markets.remove(market_id)
        find_next(state)


def find_next(state: State) -> None:
    """Works out `work_due_ns` again."""
    if state.met_markets:
        state.work_due_ns = 0
        return
    due_ns = -state.expiries[-1][0] if state.expiries else NEVER_NS
    if state.switches and -state.switches[-1][0] < due_ns:
        due_ns = -state.switches[-1][0]
    state.work_due_ns = due_ns
