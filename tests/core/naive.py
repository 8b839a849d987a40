"""The same exchange written a second time, as slowly and plainly as possible, to compare with the real one.

One list of open orders, sorted anew for every single fill. Fees are exact fractions, rounded up per order.
Holds are never remembered but worked out from the open orders whenever they are asked for. It is written
from docs/trading.md and shares only the vocabulary (commands, events, reasons) with the core, none of its
code: `naive_world` is what it knows, `naive_orders`, `naive_matching`, `naive_endings`, `naive_operator`,
`naive_custody` and `naive_agents` are what it does.
"""

from typing import Any

from tests.core import naive_agents, naive_custody, naive_endings, naive_operator, naive_orders
from tests.core.naive_world import World

from exchange.core import commands as c
from exchange.core import events as e

ANSWERS: dict[type[c.Command], Any] = {
    c.ListAsset: naive_operator.list_asset,
    c.OpenMarket: naive_operator.open_market,
    c.SetMarketState: naive_operator.set_market_state,
    c.SetFees: naive_operator.set_fees,
    c.SetFeeTier: naive_operator.set_fee_tier,
    c.SetPriceBands: naive_operator.set_price_bands,
    c.SetAccountLimits: naive_operator.set_account_limits,
    c.SetAccountState: naive_endings.set_account_state,
    c.SetWithdrawalTerms: naive_operator.set_withdrawal_terms,
    c.SetRules: naive_operator.set_rules,
    c.OpenAccount: naive_operator.open_account,
    c.TransferFunds: naive_operator.transfer_funds,
    c.CreditDeposit: naive_custody.credit_deposit,
    c.RequestWithdrawal: naive_custody.request_withdrawal,
    c.SettleWithdrawal: naive_custody.settle_withdrawal,
    c.RefundWithdrawal: naive_custody.refund_withdrawal,
    c.PlaceOrder: naive_orders.place_order,
    c.AmendOrder: naive_orders.amend_order,
    c.CancelOrder: naive_endings.cancel_order,
    c.CancelClientOrder: naive_endings.cancel_client_order,
    c.CancelAll: naive_endings.cancel_all,
    c.CancelAllAfter: naive_endings.cancel_all_after,
    c.Tick: naive_endings.tick,
    c.ApproveAgent: naive_agents.approve_agent,
    c.RevokeAgent: naive_agents.revoke_agent,
    c.UseNonce: naive_agents.use_nonce,
    c.SetRateClass: naive_agents.set_rate_class,
}


class Naive(World):
    """Answers one command after the other with the events that the core should answer with."""

    def apply(self, now: int, command: c.Command) -> list[e.Event]:
        self.seq += 1
        self.now = now
        self.forget()
        answer = ANSWERS[type(command)](self, command)
        self.settle_down()
        return answer if isinstance(answer, list) else [e.Rejected(answer)]
