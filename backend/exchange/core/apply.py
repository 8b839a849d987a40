"""The state machine: one command in, its events out.

`apply` is the only way to change a State. Each handler is a ladder: refusals first, each a value with a
stable code and nothing changed, then the change. It is deterministic: time and ids come from the stamp
(`seq`, `time_ns`), and nothing in the core reads a clock, a file or a random number.
"""

import heapq
from collections.abc import Callable
from typing import Any, Final

from exchange.core.amending import amend_order
from exchange.core.approving import approve_agent, revoke_agent, use_nonce
from exchange.core.cancelling import (
    cancel_all,
    cancel_all_after,
    cancel_client_order,
    cancel_order,
    set_account_state,
    tick,
)
from exchange.core.commands import (
    AmendOrder,
    ApproveAgent,
    CancelAll,
    CancelAllAfter,
    CancelClientOrder,
    CancelOrder,
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    RefundWithdrawal,
    RequestWithdrawal,
    RevokeAgent,
    SetAccountLimits,
    SetAccountState,
    SetFees,
    SetFeeTier,
    SetMarketState,
    SetPriceBands,
    SetRateClass,
    SetRules,
    SettleWithdrawal,
    SetWithdrawalTerms,
    Tick,
    TransferFunds,
    UseNonce,
)
from exchange.core.custody import (
    credit_deposit,
    open_account,
    refund_withdrawal,
    request_withdrawal,
    settle_withdrawal,
)
from exchange.core.events import Event
from exchange.core.listing import list_asset, open_market, set_market_state, set_price_bands
from exchange.core.placing import place_order
from exchange.core.state import State
from exchange.core.terms import (
    set_account_limits,
    set_fee_tier,
    set_fees,
    set_rate_class,
    set_rules,
    set_withdrawal_terms,
)
from exchange.core.transfers import transfer_funds

MAX_FORGOTTEN_PER_COMMAND: Final = 1_000

_HANDLERS: dict[type[Command], Callable[[State, Any], list[Event]]] = {
    ListAsset: list_asset,
    OpenMarket: open_market,
    SetMarketState: set_market_state,
    SetPriceBands: set_price_bands,
    SetFees: set_fees,
    SetFeeTier: set_fee_tier,
    SetAccountLimits: set_account_limits,
    SetRules: set_rules,
    OpenAccount: open_account,
    CreditDeposit: credit_deposit,
    PlaceOrder: place_order,
    AmendOrder: amend_order,
    CancelOrder: cancel_order,
    CancelClientOrder: cancel_client_order,
    CancelAll: cancel_all,
    CancelAllAfter: cancel_all_after,
    Tick: tick,
    TransferFunds: transfer_funds,
    RequestWithdrawal: request_withdrawal,
    SettleWithdrawal: settle_withdrawal,
    RefundWithdrawal: refund_withdrawal,
    SetAccountState: set_account_state,
    SetWithdrawalTerms: set_withdrawal_terms,
    ApproveAgent: approve_agent,
    RevokeAgent: revoke_agent,
    UseNonce: use_nonce,
    SetRateClass: set_rate_class,
}


def apply(state: State, seq: int, time_ns: int, command: Command) -> list[Event]:
    """Applies one command and returns what happened, refusals included. Raises only for a bug."""
    assert seq == state.seq + 1
    assert time_ns >= state.time_ns
    state.seq = seq
    state.time_ns = time_ns
    ended = state.ended_client_orders
    if (ended and ended[0].forget_ns <= time_ns) or state.made_transfers or state.final_by_deadline:
        _forget(state)
    events = _HANDLERS[type(command)](state, command)
    assert events
    return events


def _forget(state: State) -> None:
    """Drops what no replay can ask for any more: a request may still be taken at the instant it expires."""
    now_ns = state.time_ns
    due_ns = now_ns if state.rules_version < 2 else now_ns - 1
    orders = state.ended_client_orders
    for _ in range(MAX_FORGOTTEN_PER_COMMAND):
        if not orders or orders[0].forget_ns > due_ns:
            break
        order = orders.popleft()
        assert order.client_order_id is not None
        del order.account.client_orders[order.client_order_id]
    transfers = state.made_transfers
    for _ in range(MAX_FORGOTTEN_PER_COMMAND):
        if not transfers or transfers[0][0] > due_ns:
            break
        _, account_id, client_transfer_id = transfers.popleft()
        del state.accounts[account_id].client_transfers[client_transfer_id]
    heap = state.final_by_deadline
    for _ in range(MAX_FORGOTTEN_PER_COMMAND):
        if not heap or heap[0][0] * 1_000_000_000 >= now_ns:
            break
        _, withdrawal_id = heapq.heappop(heap)
        del state.final_withdrawals[withdrawal_id]
