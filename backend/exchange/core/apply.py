"""The state machine: one command in, its events out.

`apply` is the only way to change a State. Each handler is a ladder: refusals first, each a value with a
stable code and nothing changed, then the change. It is deterministic: time and ids come from the stamp
(`seq`, `time_ns`), and nothing in the core reads a clock, a file or a random number.
"""

import heapq
from collections.abc import Callable
from typing import Any

from exchange.core.commands import (
    CancelAll,
    CancelOrder,
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    RefundWithdrawal,
    RequestWithdrawal,
    SettleWithdrawal,
)
from exchange.core.custody import (
    credit_deposit,
    open_account,
    refund_withdrawal,
    request_withdrawal,
    settle_withdrawal,
)
from exchange.core.events import Event
from exchange.core.listing import list_asset, open_market
from exchange.core.state import State
from exchange.core.trading import cancel_all, cancel_order, place_order

RULES_VERSION = 1
"""Version of the behaviour below; recorded in every journal row."""

MAX_FORGOTTEN_PER_COMMAND = 1_000

_HANDLERS: dict[type[Command], Callable[[State, Any], list[Event]]] = {
    ListAsset: list_asset,
    OpenMarket: open_market,
    OpenAccount: open_account,
    CreditDeposit: credit_deposit,
    PlaceOrder: place_order,
    CancelOrder: cancel_order,
    CancelAll: cancel_all,
    RequestWithdrawal: request_withdrawal,
    SettleWithdrawal: settle_withdrawal,
    RefundWithdrawal: refund_withdrawal,
}


def apply(state: State, seq: int, time_ns: int, command: Command) -> list[Event]:
    """Applies one command and returns what happened, refusals included. Raises only for a bug."""
    assert seq == state.seq + 1
    assert time_ns >= state.time_ns
    state.seq = seq
    state.time_ns = time_ns
    _forget(state)
    events = _HANDLERS[type(command)](state, command)
    assert events
    return events


def _forget(state: State) -> None:
    """Drops what no replay can ask for any more."""
    queue = state.ended_client_orders
    for _ in range(MAX_FORGOTTEN_PER_COMMAND):
        if not queue or queue[0][0] > state.time_ns:
            break
        _, account_id, client_order_id = queue.popleft()
        del state.accounts[account_id].client_orders[client_order_id]
    heap = state.final_by_deadline
    for _ in range(MAX_FORGOTTEN_PER_COMMAND):
        if not heap or heap[0][0] * 1_000_000_000 >= state.time_ns:
            break
        _, withdrawal_id = heapq.heappop(heap)
        del state.final_withdrawals[withdrawal_id]
