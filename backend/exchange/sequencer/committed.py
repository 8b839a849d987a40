"""The committed view: what the edges read. It advances only when a batch is durable.

It is a fold over the journal's events, kept in memory, and knows nothing of the engine's working state, so
nobody can ever see an effect that a crash could take back. All reads are synchronous, and nothing that a read
hands out changes later.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

from exchange.core.accounts import Balance
from exchange.core.events import (
    AccountKnown,
    AccountLimitsSet,
    AccountOpened,
    AccountStateSet,
    AgentApproved,
    AgentKnown,
    AgentRevoked,
    AllCancelled,
    AssetListed,
    CancelAllAfterFired,
    CancelAllAfterSet,
    DepositCredited,
    Event,
    FeesSet,
    FeeTierSet,
    FundsTransferred,
    MarketOpened,
    MarketStateSet,
    NonceUsed,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderKnown,
    OrderRested,
    OrderTriggered,
    PriceBandsSet,
    RateClassSet,
    Rejected,
    RulesSet,
    SelfTradePrevented,
    Ticked,
    Trade,
    TransferKnown,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
    WithdrawalTermsSet,
)
from exchange.core.markets import Asset, Market
from exchange.core.state import State
from exchange.core.words import AccountState, RateClass, Side
from exchange.journal.progress import Progress
from exchange.sequencer.accounts import AccountLimits, Accounts
from exchange.sequencer.agents import Agent, Agents
from exchange.sequencer.open_orders import OpenOrder, OpenOrders

__all__ = ["AccountLimits", "CommittedView", "OpenOrder"]

_Fold = Callable[[Any], None]


class CommittedView:
    """Assets, markets, accounts, agents, balances, open orders, depth, withdrawals in flight, as of `seq`."""

    def __init__(self, genesis_id: str) -> None:
        self.genesis_id = genesis_id
        self.time_ns = 0
        self.rules_version = 1
        self.assets: dict[int, Asset] = {}
        self.asset_by_symbol: dict[str, Asset] = {}
        """Listed ones only."""
        self.markets: dict[int, Market] = {}
        self.market_by_symbol: dict[str, Market] = {}
        self._progress = Progress()
        self._accounts = Accounts(self.markets)
        self._agents = Agents()
        self._orders = OpenOrders()
        self._last_deposit: dict[tuple[int, str], int] = {}
        self._withdrawals: dict[str, WithdrawalRequested] = {}
        self._folds = self._folds_by_type()

    @classmethod
    def from_state(cls, genesis_id: str, state: State) -> Self:
        """What the fold of all events would give, from the core's state, all of which must be committed."""
        view = cls(genesis_id)
        view.time_ns = state.time_ns
        view.rules_version = state.rules_version
        view._progress.set(state.seq)
        for asset in state.assets.values():
            view._set_asset(replace(asset))
        for market in state.markets.values():
            view._set_market(replace(market))
        view._accounts.load(state)
        view._agents.load(state)
        view._orders.load(state)
        view._last_deposit = dict(state.last_deposit)
        view._withdrawals = dict(state.withdrawals)
        return view

    # ---- reads

    @property
    def seq(self) -> int:
        """The last command taken in."""
        return self._progress.seq

    def account_id(self, owner: str, sub_account: int = 0) -> int | None:
        return self._accounts.find(owner, sub_account)

    def sub_accounts(self, owner: str) -> list[tuple[int, int]]:
        """(number, account id) of each of the owner's accounts that exists, by number; the main one is 0."""
        return self._accounts.of_owner(owner)

    def owner(self, account_id: int) -> str:
        """Raises KeyError, as the next four do, for an account that does not exist."""
        return self._accounts.owner(account_id)

    def sub_account(self, account_id: int) -> int:
        """The account's number among those of its owner."""
        return self._accounts.sub_account(account_id)

    def account_limits(self, account_id: int) -> AccountLimits:
        return self._accounts.limits(account_id)

    def account_state(self, account_id: int) -> AccountState:
        return self._accounts.state(account_id)

    def cancel_all_ns(self, account_id: int) -> int:
        """When the account's dead man's switch fires; 0 for never."""
        return self._accounts.cancel_all_ns(account_id)

    def fee_tier(self, owner: str) -> int:
        return self._accounts.fee_tier(owner)

    def rate_class(self, owner: str) -> RateClass:
        return self._agents.rate_class(owner)

    def agent(self, key: str) -> Agent | None:
        """The key as it was approved, expired and revoked ones too."""
        return self._agents.get(key)

    def agents_of(self, owner: str) -> list[Agent]:
        """Every key that the owner ever approved, the newest first."""
        return self._agents.of_owner(owner)

    def watch_revoked(self, on_revoked: Callable[[str], None]) -> None:
        """From now on `on_revoked` is called with each key that is revoked, when the view has it.

        It must not raise: the engine's task calls it.
        """
        self._agents.watch_revoked(on_revoked)

    def balance(self, account_id: int, asset_id: int) -> Balance:
        return self._accounts.balance(account_id, asset_id)

    def balances(self, account_id: int) -> dict[int, Balance]:
        """All of the account's balances that are not empty, by asset id."""
        return self._accounts.balances(account_id)

    def open_order(self, order_id: int) -> OpenOrder | None:
        return self._orders.get(order_id)

    def ended_order(self, order_id: int) -> OpenOrder | None:
        """An order that ended in the newest batch, as it was right before; for who answers for that batch."""
        return self._orders.ended(order_id)

    def open_orders(self, account_id: int) -> list[OpenOrder]:
        """The account's orders in books and awaiting triggers, oldest first."""
        return self._orders.of_account(account_id)

    def depth(
        self, market_id: int, levels: int | None
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks as (price_ticks, size_lots), the best first, at most `levels` (None: all) a side."""
        return self._orders.depth(market_id, levels)

    def grouped_depth(
        self, market_id: int, step_ticks: int, groups: int, max_levels: int
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids, rounded down, and asks, rounded up, to multiples of `step_ticks`; at most `groups` a side.

        Reads at most `max_levels` price levels a side; groups that need more are left out, the worst first.
        Raises GroupTooWide when that leaves none.
        """
        return self._orders.grouped_depth(market_id, step_ticks, groups, max_levels)

    def size_at(self, market_id: int, side: Side, price_ticks: int) -> int:
        """Lots at one price of one side of a book."""
        return self._orders.size_at(market_id, side, price_ticks)

    def watch_depth(self, market_id: int) -> None:
        """From now on `take_touched` tells what changes in this market's depth. For one reader only."""
        self._orders.watch_depth(market_id)

    def unwatch_depth(self, market_id: int) -> None:
        self._orders.unwatch_depth(market_id)

    def take_touched(self, market_id: int) -> tuple[set[int], set[int]]:
        """Prices of bids and of asks where the size may have changed since the last call."""
        return self._orders.take_touched(market_id)

    def last_ticks(self, market_id: int) -> int | None:
        """Price of the market's last trade, None before the first."""
        return self._orders.last_ticks(market_id)

    def last_deposit(self, chain_id: int, vault: str) -> int:
        """Number of the vault's last credited deposit, 0 before the first."""
        return self._last_deposit.get((chain_id, vault), 0)

    def open_withdrawal(self, withdrawal_id: str) -> WithdrawalRequested | None:
        return self._withdrawals.get(withdrawal_id)

    def open_withdrawals(self, owner: str) -> list[WithdrawalRequested]:
        """The owner's, from whichever account, oldest first; reads all that are in flight."""
        return [request for request in self._withdrawals.values() if request.owner == owner]

    async def reached(self, seq: int, timeout_s: float) -> bool:
        """Waits until the view is at `seq` or later; False when that takes longer than `timeout_s`."""
        return await self._progress.reached(seq, timeout_s)

    # ---- the fold

    def advance(self, seq_last: int, time_ns: int, batch: Sequence[Sequence[Event]]) -> None:
        """Takes in the events of one committed batch."""
        assert seq_last == self.seq + len(batch)
        self.time_ns = self._agents.time_ns = time_ns
        self._orders.begin(time_ns)
        folds = self._folds
        for events in batch:
            for event in events:
                for fold in folds[type(event)]:
                    fold(event)
        self._progress.set(seq_last)
        self._agents.tell_revoked()

    def _folds_by_type(self) -> dict[type[Event], tuple[_Fold, ...]]:
        """What each event changes here. By its type, because this runs for every event between two commits;
        with every type there is, because one that nobody thought of is a bug.
        """
        accounts, orders, agents = self._accounts, self._orders, self._agents
        return {
            OrderAccepted: (accounts.hold, orders.accept),
            OrderTriggered: (orders.trigger,),
            OrderAmended: (accounts.move, orders.amend),
            OrderRested: (orders.rest,),
            Trade: (accounts.exchange, orders.fill),
            SelfTradePrevented: (accounts.move, orders.prevent),
            OrderEnded: (accounts.release, orders.end),
            AccountOpened: (accounts.open,),
            AccountLimitsSet: (accounts.set_limits,),
            AccountStateSet: (accounts.set_state,),
            CancelAllAfterSet: (accounts.set_switch,),
            CancelAllAfterFired: (accounts.fire_switch,),
            FeeTierSet: (accounts.set_fee_tier,),
            FundsTransferred: (accounts.move,),
            DepositCredited: (accounts.move, self._count_deposit),
            WithdrawalRequested: (accounts.move, self._begin_withdrawal),
            WithdrawalSettled: (accounts.move, self._finish_withdrawal),
            WithdrawalRefunded: (accounts.move, self._finish_withdrawal),
            AssetListed: (self._list_asset,),
            WithdrawalTermsSet: (self._change_asset,),
            MarketOpened: (self._open_market,),
            MarketStateSet: (self._change_market,),
            FeesSet: (self._change_market,),
            PriceBandsSet: (self._change_market,),
            RulesSet: (self._set_rules,),
            AgentApproved: (agents.approve,),
            AgentRevoked: (agents.revoke,),
            RateClassSet: (agents.set_rate_class,),
            NonceUsed: (),
            AgentKnown: (),
            Rejected: (),
            AccountKnown: (),
            OrderKnown: (),
            AllCancelled: (),
            Ticked: (),
            TransferKnown: (),
        }

    def _count_deposit(self, event: DepositCredited) -> None:
        self._last_deposit[event.chain_id, event.vault] = event.number

    def _begin_withdrawal(self, event: WithdrawalRequested) -> None:
        self._withdrawals[event.withdrawal_id] = event

    def _finish_withdrawal(self, event: WithdrawalSettled | WithdrawalRefunded) -> None:
        del self._withdrawals[event.withdrawal_id]

    def _list_asset(self, event: AssetListed) -> None:
        self._set_asset(Asset(**_fields(event)))

    def _change_asset(self, event: WithdrawalTermsSet) -> None:
        """Its fields are named as the asset's own."""
        self._set_asset(replace(self.assets[event.asset_id], **_fields(event)))

    def _open_market(self, event: MarketOpened) -> None:
        self._set_market(Market(**_fields(event)))

    def _change_market(self, event: MarketStateSet | FeesSet | PriceBandsSet) -> None:
        """Their fields are named as the market's own."""
        self._set_market(replace(self.markets[event.market_id], **_fields(event)))

    def _set_rules(self, event: RulesSet) -> None:
        self.rules_version = event.version

    def _set_asset(self, asset: Asset) -> None:
        self.assets[asset.asset_id] = asset
        if asset.listed:
            self.asset_by_symbol[asset.symbol] = asset

    def _set_market(self, market: Market) -> None:
        self.markets[market.market_id] = market
        self.market_by_symbol[market.symbol] = market


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}
