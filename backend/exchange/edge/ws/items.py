"""The `data` of what the streams say, in the forms that REST has for the same things."""

from typing import Any

from exchange.core.events import WithdrawalSettled
from exchange.core.markets import Market
from exchange.core.units import format_atoms
from exchange.core.words import Side
from exchange.edge.dependencies import Edge
from exchange.edge.rest.deposits import credited_item
from exchange.edge.rest.market_data import candle_json, trade_json
from exchange.edge.rest.order_json import ended_order_json, fill_json, open_order_json
from exchange.edge.rest.tickers import ticker_item
from exchange.edge.rest.withdrawals import REFUNDED, REQUESTED, SETTLED, withdrawal_item
from exchange.feeds.updates import (
    AssetBalance,
    BalancesData,
    BboData,
    BookData,
    CandlesData,
    DepositsData,
    Fill,
    FillsData,
    Level,
    OrderChange,
    OrdersData,
    TickerData,
    TradesData,
    Update,
    WithdrawalChange,
    WithdrawalsData,
)
from exchange.projections.deposits import DepositRow


def data_json(edge: Edge, update: Update) -> object:
    """An object for books, best prices and tickers, else a list of items."""
    data = update.data
    if not update.key.is_private:
        return _market_data(edge.view.markets[update.key.market_id], data)
    match data:
        case OrdersData():
            return [_order(edge, change) for change in data.orders]
        case FillsData():
            return [_fill(edge, fill, update.time_ns) for fill in data.fills]
        case BalancesData():
            return [_balance(edge, balance) for balance in data.balances]
        case DepositsData():
            rows = [
                DepositRow(
                    **{name: getattr(event, name) for name in event.__struct_fields__},
                    seq=update.seq,
                    event_index=0,
                    time_ns=update.time_ns,
                )
                for event in data.deposits
            ]
            return [credited_item(edge, row).model_dump() for row in rows]
        case WithdrawalsData():
            return [withdrawal_json(edge, change, None, update.time_ns) for change in data.withdrawals]
    raise AssertionError(f"no private channel has {data!r}")


def withdrawal_json(
    edge: Edge, change: WithdrawalChange, known_requested_ns: int | None, now_ns: int
) -> dict[str, Any]:
    """A withdrawal as the ledger has it, at a command of `now_ns`; what the chain says of it is left out.

    `known_requested_ns` is used where the change itself does not say when it was requested.
    """
    requested_ns = change.requested_ns or known_requested_ns or now_ns
    asked, ended = change.requested, change.ended
    if ended is None:
        return withdrawal_item(edge, asked, REQUESTED, requested_ns, requested_ns).model_dump()
    if isinstance(ended, WithdrawalSettled):
        return withdrawal_item(
            edge, asked, SETTLED, requested_ns, now_ns, outcome=ended.outcome, tx_hash=ended.tx_hash
        ).model_dump()
    return withdrawal_item(edge, asked, REFUNDED, requested_ns, now_ns).model_dump()


def _market_data(market: Market, data: object) -> object:
    match data:
        case BookData():
            return {
                "bids": [_level(market, level) for level in data.bids],
                "asks": [_level(market, level) for level in data.asks],
                "checksum": data.checksum,
            }
        case BboData():
            return {
                "bid": None if data.bid is None else _level(market, data.bid),
                "ask": None if data.ask is None else _level(market, data.ask),
            }
        case TradesData():
            return [trade_json(market, trade) for trade in data.trades]
        case CandlesData():
            return [candle_json(market, live.candle) | {"closed": live.closed} for live in data.candles]
        case TickerData():
            return _ticker(market, data)
    raise AssertionError(f"no public channel has {data!r}")


def _level(market: Market, level: Level) -> tuple[str, str]:
    return market.format_price(level[0]), market.format_size(level[1])


def _ticker(market: Market, data: TickerData) -> dict[str, Any]:
    window = (data.open_ms, data.close_ms)
    return ticker_item(market, data.row, window, (data.bid, data.ask)).model_dump()


def _order(edge: Edge, change: OrderChange) -> dict[str, object]:
    order = change.order
    market, sub_account = edge.view.markets[order.market_id], edge.view.sub_account(order.account_id)
    if change.ended is None:
        return open_order_json(market, order, sub_account)
    return ended_order_json(
        market, order, change.ended, change.time_ns, sub_account, quote_atoms=change.quote_atoms
    )


def _fill(edge: Edge, fill: Fill, time_ns: int) -> dict[str, object]:
    trade = fill.trade
    market = edge.view.markets[trade.market_id]
    side = _other(trade.taker_side) if fill.is_maker else trade.taker_side
    return fill_json(
        market,
        edge.view.assets[market.quote_asset_id].symbol,
        trade_id=trade.trade_id,
        order_id=trade.maker_order_id if fill.is_maker else trade.taker_order_id,
        side=side,
        role="maker" if fill.is_maker else "taker",
        price_ticks=trade.price_ticks,
        size_lots=trade.size_lots,
        quote_atoms=trade.quote_atoms,
        fee_atoms=trade.maker_fee_atoms if fill.is_maker else trade.taker_fee_atoms,
        time_ns=time_ns,
    )


def _other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def _balance(edge: Edge, balance: AssetBalance) -> dict[str, str]:
    asset = edge.view.assets[balance.asset_id]
    return {
        "asset": asset.symbol,
        "available": format_atoms(balance.available_atoms, asset.decimals),
        "held": format_atoms(balance.held_atoms, asset.decimals),
    }
