"""What was true at each committed seq, in the words of the public API, to compare with what clients hold."""

from collections.abc import Sequence
from typing import Any

from exchange.core.events import Event, OrderEnded, Trade
from exchange.core.markets import Market
from exchange.core.units import format_atoms
from exchange.core.words import Side
from exchange.edge.rest.order_json import fill_json, open_order_json
from exchange.edge.values import time_ms
from exchange.sequencer.committed import CommittedView

Json = dict[str, Any]
Levels = list[tuple[str, str]]

ALL = 10**9


class Record:
    """Follows one market and some accounts of a committed view, from now on.

    It grows with each batch; unless `keeps_all`, it only knows when the book last changed.
    """

    def __init__(
        self, view: CommittedView, market: str, account_ids: Sequence[int], *, keeps_all: bool = True
    ) -> None:
        self._view = view
        self._keeps_all = keeps_all
        self._market_id = view.market_by_symbol[market].market_id
        self._account_ids = account_ids
        self.book_changed_seq = 0
        """When the book last changed."""
        self._newest_depth: tuple[Levels, Levels] = ([], [])
        self.depth: dict[int, tuple[Levels, Levels]] = {}
        self.trades: list[tuple[int, Json]] = []
        """With the seq of its command, oldest first."""
        self.fills: dict[int, list[tuple[int, Json]]] = {account_id: [] for account_id in account_ids}
        self.orders: dict[int, dict[int, dict[str, Json]]] = {account_id: {} for account_id in account_ids}
        self.balances: dict[int, dict[int, Json]] = {account_id: {} for account_id in account_ids}
        self.ended: dict[str, str] = {}
        """Why each order has ended."""
        self._record()
        advance = view.advance

        def recorded(seq_last: int, time_ns: int, batch: Sequence[Sequence[Event]]) -> None:
            advance(seq_last, time_ns, batch)
            for seq, events in enumerate(batch, seq_last - len(batch) + 1):
                for event in events if keeps_all else ():
                    self._happened(seq, time_ns, event)
            self._record()

        view.advance = recorded  # type: ignore[method-assign]

    @property
    def market(self) -> Market:
        return self._view.markets[self._market_id]

    def trades_until(self, seq: int) -> list[Json]:
        return [trade for at, trade in self.trades if at <= seq]

    def fills_of(self, account_id: int, seq: int) -> list[Json]:
        return [fill for at, fill in self.fills[account_id] if at <= seq]

    def _happened(self, seq: int, time_ns: int, event: Event) -> None:
        if isinstance(event, OrderEnded):
            self.ended[str(event.order_id)] = event.reason
        if not isinstance(event, Trade) or event.market_id != self._market_id:
            return
        market = self.market
        quote = self._view.assets[market.quote_asset_id]
        public = {
            "trade_id": str(event.trade_id),
            "price": market.format_price(event.price_ticks),
            "size": market.format_size(event.size_lots),
            "amount": format_atoms(event.quote_atoms, quote.decimals),
            "taker_side": str(event.taker_side),
            "time_ms": time_ms(time_ns),
        }
        self.trades.append((seq, public))
        other = Side.SELL if event.taker_side is Side.BUY else Side.BUY
        for role, account_id, order_id, side, fee_atoms in (
            ("maker", event.maker_account_id, event.maker_order_id, other, event.maker_fee_atoms),
            ("taker", event.taker_account_id, event.taker_order_id, event.taker_side, event.taker_fee_atoms),
        ):
            if account_id in self.fills:
                fill = fill_json(
                    market,
                    quote.symbol,
                    trade_id=event.trade_id,
                    order_id=order_id,
                    side=side,
                    role=role,
                    price_ticks=event.price_ticks,
                    size_lots=event.size_lots,
                    quote_atoms=event.quote_atoms,
                    fee_atoms=fee_atoms,
                    time_ns=time_ns,
                )
                self.fills[account_id].append((seq, fill))

    def _record(self) -> None:
        view, market = self._view, self.market
        bids, asks = (
            [(market.format_price(price), market.format_size(size)) for price, size in side]
            for side in view.depth(self._market_id, ALL)
        )
        if (bids, asks) != self._newest_depth:
            self._newest_depth, self.book_changed_seq = (bids, asks), view.seq
        if not self._keeps_all:
            return
        self.depth[view.seq] = (bids, asks)
        for account_id in self._account_ids:
            self.orders[account_id][view.seq] = {
                str(order.order_id): open_order_json(
                    view.markets[order.market_id], order, view.sub_account(account_id)
                )
                for order in view.open_orders(account_id)
            }
            self.balances[account_id][view.seq] = {
                view.assets[asset_id].symbol: (
                    format_atoms(balance.available_atoms, view.assets[asset_id].decimals),
                    format_atoms(balance.held_atoms, view.assets[asset_id].decimals),
                )
                for asset_id, balance in view.balances(account_id).items()
            }
