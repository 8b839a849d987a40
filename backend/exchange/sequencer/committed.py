"""The committed view: what the edges read. It advances only when a batch is durable.

It is a fold over the journal's events, kept in memory, and knows nothing of the engine's working state, so
nobody can ever see an effect that a crash could take back. All reads are synchronous.
"""

from copy import copy
from dataclasses import dataclass

from exchange.core.accounts import Balance
from exchange.core.events import (
    AccountOpened,
    AssetListed,
    DepositCredited,
    Event,
    MarketOpened,
    OrderAccepted,
    OrderEnded,
    OrderRested,
    Trade,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
)
from exchange.core.markets import Asset, Market
from exchange.core.movements import movements
from exchange.core.orders import OrderType, Side, TimeInForce
from exchange.journal.progress import Progress
from exchange.sequencer.depth import DepthSide


@dataclass(slots=True)
class OpenOrder:
    """An order in the book, as committed."""

    order_id: int
    account_id: int
    market_id: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price_ticks: int
    size_lots: int
    remaining_lots: int
    client_order_id: str | None
    created_ns: int


class CommittedView:
    """Assets, markets, accounts, balances, open orders, depth and withdrawals in flight, as of `seq`."""

    def __init__(self, genesis_id: str) -> None:
        self.genesis_id = genesis_id
        self.time_ns = 0
        self.assets: dict[int, Asset] = {}
        self.asset_by_symbol: dict[str, Asset] = {}
        self.markets: dict[int, Market] = {}
        self.market_by_symbol: dict[str, Market] = {}
        self._progress = Progress()
        self._accounts: dict[int, AccountOpened] = {}
        self._account_ids: dict[tuple[str, int], int] = {}
        self._balances: dict[int, dict[int, Balance]] = {}
        self._orders: dict[int, OpenOrder] = {}
        self._orders_of: dict[int, dict[int, OpenOrder]] = {}
        self._depth: dict[tuple[int, Side], DepthSide] = {}
        self._last_deposit: dict[tuple[int, str], int] = {}
        self._withdrawals: dict[str, WithdrawalRequested] = {}

    # ---- reads

    @property
    def seq(self) -> int:
        """The last command taken in."""
        return self._progress.seq

    def account_id(self, owner: str, sub_account: int = 0) -> int | None:
        return self._account_ids.get((owner, sub_account))

    def owner(self, account_id: int) -> str:
        return self._accounts[account_id].owner

    def balance(self, account_id: int, asset_id: int) -> Balance:
        """A copy, as of now: the view's own goes on changing."""
        entry = self._balances.get(account_id, {}).get(asset_id)
        return Balance() if entry is None else copy(entry)

    def balances(self, account_id: int) -> dict[int, Balance]:
        """Copies of all the account's balances, by asset id."""
        return {asset_id: copy(entry) for asset_id, entry in self._balances.get(account_id, {}).items()}

    def open_order(self, order_id: int) -> OpenOrder | None:
        return self._orders.get(order_id)

    def open_orders(self, account_id: int) -> list[OpenOrder]:
        """The account's orders in books, oldest first."""
        return list(self._orders_of.get(account_id, {}).values())

    def depth(self, market_id: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks as (price_ticks, size_lots), the best first, at most `levels` a side."""
        bids, asks = self._depth.get((market_id, Side.BUY)), self._depth.get((market_id, Side.SELL))
        return bids.best(levels) if bids else [], asks.best(levels) if asks else []

    def last_deposit(self, chain_id: int, vault: str) -> int:
        """Number of the vault's last credited deposit, 0 before the first."""
        return self._last_deposit.get((chain_id, vault), 0)

    def open_withdrawal(self, withdrawal_id: str) -> WithdrawalRequested | None:
        return self._withdrawals.get(withdrawal_id)

    async def reached(self, seq: int, timeout_s: float) -> bool:
        """Waits until the view is at `seq` or later; False when that takes longer than `timeout_s`."""
        return await self._progress.reached(seq, timeout_s)

    # ---- the fold

    def advance(self, seq_last: int, time_ns: int, batch: list[list[Event]]) -> None:
        """Takes in the events of one committed batch."""
        assert seq_last == self.seq + len(batch)
        self.time_ns = time_ns
        for events in batch:
            accepted: OrderAccepted | None = None
            for event in events:
                if type(event) is OrderAccepted:
                    accepted = event
                elif type(event) is OrderRested:
                    assert accepted is not None
                    self._rest(accepted, event)
                else:
                    self._take_in(event)
                for account_id, asset_id, available_atoms, held_atoms in movements(event, self.markets):
                    entry = self._balances.setdefault(account_id, {}).setdefault(asset_id, Balance())
                    entry.available_atoms += available_atoms
                    entry.held_atoms += held_atoms
        self._progress.set(seq_last)

    def _take_in(self, event: Event) -> None:
        match event:
            case Trade():
                self._fill_maker(event)
            case OrderEnded():
                if event.was_resting:
                    self._end(event)
            case DepositCredited():
                self._last_deposit[event.chain_id, event.vault] = event.number
            case WithdrawalRequested():
                self._withdrawals[event.withdrawal_id] = event
            case WithdrawalSettled() | WithdrawalRefunded():
                del self._withdrawals[event.withdrawal_id]
            case AccountOpened():
                self._accounts[event.account_id] = event
                self._account_ids[event.owner, event.sub_account] = event.account_id
            case AssetListed():
                self._list(event)
            case MarketOpened():
                market = Market(**{name: getattr(event, name) for name in event.__struct_fields__})
                self.markets[market.market_id] = market
                self.market_by_symbol[market.symbol] = market
            case _:
                pass

    def _list(self, event: AssetListed) -> None:
        asset = Asset(**{name: getattr(event, name) for name in event.__struct_fields__})
        self.assets[asset.asset_id] = asset
        if asset.listed:
            self.asset_by_symbol[asset.symbol] = asset

    def _rest(self, accepted: OrderAccepted, rested: OrderRested) -> None:
        order = OpenOrder(
            order_id=accepted.order_id,
            account_id=accepted.account_id,
            market_id=accepted.market_id,
            side=accepted.side,
            order_type=accepted.order_type,
            time_in_force=accepted.time_in_force,
            price_ticks=accepted.price_ticks,
            size_lots=accepted.size_lots,
            remaining_lots=rested.remaining_lots,
            client_order_id=accepted.client_order_id,
            created_ns=self.time_ns,
        )
        self._orders[order.order_id] = order
        self._orders_of.setdefault(order.account_id, {})[order.order_id] = order
        self._add_depth(order.market_id, order.side, order.price_ticks, order.remaining_lots)

    def _fill_maker(self, trade: Trade) -> None:
        maker = self._orders[trade.maker_order_id]
        maker.remaining_lots = trade.maker_remaining_lots
        self._add_depth(maker.market_id, maker.side, maker.price_ticks, -trade.size_lots)

    def _end(self, ended: OrderEnded) -> None:
        del self._orders[ended.order_id]
        del self._orders_of[ended.account_id][ended.order_id]
        self._add_depth(ended.market_id, ended.side, ended.price_ticks, -ended.remaining_lots)

    def _add_depth(self, market_id: int, side: Side, price_ticks: int, size_lots: int) -> None:
        depth = self._depth.get((market_id, side))
        if depth is None:
            depth = self._depth[market_id, side] = DepthSide(side)
        depth.add(price_ticks, size_lots)
