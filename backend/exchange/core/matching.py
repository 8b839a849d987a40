"""Matching: price-time priority, continuous, one taker at a time.

A taker trades at each maker's price, best level first and the first of its queue first, until it is filled,
its limit is reached, it gives way to an order of its own owner, or it has done `MAX_WORK`. What a taker may
do with its rest (stand in the book or end) is its caller's affair.
"""

from typing import Final

from exchange.core import fees, ledger
from exchange.core.accounts import FEES_ACCOUNT
from exchange.core.book import Book, BookSide
from exchange.core.events import Event, OrderEnded, SelfTradePrevented, Trade
from exchange.core.markets import Market
from exchange.core.orders import Order
from exchange.core.schedule import forget_expiry, watch_triggers
from exchange.core.state import State
from exchange.core.words import EndReason, SelfTradePrevention, Side

_BUY: Final = Side.BUY
_SELL: Final = Side.SELL
_FILLED: Final = EndReason.FILLED
_CANCEL_NEWEST: Final = SelfTradePrevention.CANCEL_NEWEST

MAX_WORK: Final = 1_000
"""Most fills, prevented self-trades or expiries of one command: the work of a command is bounded."""

CLIENT_ORDER_MEMORY_NS: Final = 60_000_000_000
"""How long after its end a client order id still answers for its order, in command time.

No order request may live longer, or a replay of it could outlive the memory.
"""


def can_fill(makers: BookSide, taker: Order) -> bool:
    """Whether `match` would fill the taker completely: for fill-or-kill, before anything is changed."""
    passes_own = taker.self_trade_prevention is SelfTradePrevention.CANCEL_OLDEST
    wanted_lots = taker.remaining_lots
    work = 0
    for price_ticks, level in makers.levels_from_best():
        if (price_ticks - taker.price_ticks) * makers.sign < 0:
            return False
        for maker in level:
            if work == MAX_WORK:
                return False
            work += 1
            if maker.account.owner != taker.account.owner:
                wanted_lots -= maker.remaining_lots
                if wanted_lots <= 0:
                    return True
            elif not passes_own:
                return False
    return False


def lots_for_amount(makers: BookSide, taker: Order, unit_atoms: int) -> int:
    """Whole lots that `match` would buy for the taker's `quote_atoms`, fee included."""
    passes_own = taker.self_trade_prevention is SelfTradePrevention.CANCEL_OLDEST
    spendable_atoms = fees.spendable_atoms(taker.quote_atoms, taker.taker_fee_bps)
    lots = 0
    work = 0
    for price_ticks, level in makers.levels_from_best():
        if (price_ticks - taker.price_ticks) * makers.sign < 0:
            return lots
        lot_price_atoms = price_ticks * unit_atoms
        for maker in level:
            if work == MAX_WORK:
                return lots
            work += 1
            if maker.account.owner != taker.account.owner:
                affordable_lots = spendable_atoms // lot_price_atoms
                if affordable_lots <= maker.remaining_lots:
                    return lots + affordable_lots
                lots += maker.remaining_lots
                spendable_atoms -= maker.remaining_lots * lot_price_atoms
            elif not passes_own:
                return lots
    return lots


def match(state: State, market: Market, book: Book, taker: Order, events: list[Event]) -> EndReason | None:
    """Trades the taker against the book and appends the events.

    Returns why the taker can not go on, or None when its rest is free to rest or to end unfilled.
    """
    makers = book.asks if taker.side is _BUY else book.bids
    keys, levels = makers.keys, makers.levels
    limit_key = taker.price_ticks * makers.sign
    if taker.remaining_lots and (not keys or keys[-1] < limit_key):
        return None  # nothing to trade with: most orders rest at once
    owner = taker.account.owner
    first_ticks = last_ticks = 0
    work = 0
    reason: EndReason | None = _FILLED
    while taker.remaining_lots:
        if not keys or keys[-1] < limit_key:
            reason = None
            break
        maker = levels[keys[-1]].first
        assert maker is not None
        is_own = maker.account.owner == owner
        if is_own and taker.self_trade_prevention is _CANCEL_NEWEST:
            reason = EndReason.SELF_TRADE
            break
        if work == MAX_WORK:
            reason = EndReason.WORK_LIMIT
            break
        work += 1
        if is_own:
            if _prevent(state, market, makers, maker, taker, events):
                reason = EndReason.SELF_TRADE
                break
            continue
        last_ticks = maker.price_ticks
        first_ticks = first_ticks or last_ticks
        events.append(_trade(state, market, maker, taker))
        if maker.remaining_lots == 0:
            makers.remove(maker)
            end(state, market, maker, _FILLED, events, was_resting=True)
    if last_ticks:
        book.last_ticks = last_ticks
        if book.rises.keys or book.falls.keys:
            book.widen_range(first_ticks, last_ticks)
            watch_triggers(state, market.market_id)
    return reason


def _prevent(
    state: State, market: Market, makers: BookSide, maker: Order, taker: Order, events: list[Event]
) -> bool:
    """Keeps an owner's two orders from trading, by the taker's mode. Whether the taker ends."""
    mode = taker.self_trade_prevention
    if mode is SelfTradePrevention.DECREMENT:
        events.append(_decrement(market, maker, taker))
    if mode is not SelfTradePrevention.DECREMENT or maker.remaining_lots == 0:
        makers.remove(maker)
        end(state, market, maker, EndReason.SELF_TRADE, events, was_resting=True)
    return mode is SelfTradePrevention.CANCEL_BOTH or taker.remaining_lots == 0


def _decrement(market: Market, maker: Order, taker: Order) -> SelfTradePrevented:
    size_lots = min(maker.remaining_lots, taker.remaining_lots)
    maker_released_atoms = _shrink(market, maker, size_lots)
    taker_released_atoms = _shrink(market, taker, size_lots)
    return SelfTradePrevented(
        market.market_id,
        maker.order_id,
        taker.order_id,
        maker.account.account_id,
        taker.account.account_id,
        taker.side,
        maker.price_ticks,
        size_lots,
        maker_released_atoms,
        taker_released_atoms,
        maker.remaining_lots,
        taker.remaining_lots,
    )


def _shrink(market: Market, order: Order, size_lots: int) -> int:
    """Takes lots off an order as if it had never had them; the atoms that it need not hold any more."""
    order.size_lots -= size_lots
    order.remaining_lots -= size_lots
    needed_atoms = required_hold_atoms(market, order)
    released_atoms = order.held_atoms - needed_atoms
    ledger.release(order.account, held_asset_id(market, order.side), released_atoms)
    order.held_atoms = needed_atoms
    return released_atoms


def _trade(state: State, market: Market, maker: Order, taker: Order) -> Trade:
    """Exchanges base for quote, charges both fees, and releases the buyer's price improvement."""
    price_ticks = maker.price_ticks
    maker_lots, taker_lots = maker.remaining_lots, taker.remaining_lots
    size_lots = maker_lots if maker_lots < taker_lots else taker_lots  # noqa: FURB136 - min() is slow
    maker.remaining_lots = maker_lots = maker_lots - size_lots
    taker.remaining_lots = taker_lots = taker_lots - size_lots
    base_atoms = size_lots * market.lot_atoms
    quote_atoms = price_ticks * size_lots * market.unit_atoms
    maker_fee_atoms = fees.charge(maker, quote_atoms, maker.maker_fee_bps)
    taker_fee_atoms = fees.charge(taker, quote_atoms, taker.taker_fee_bps)

    maker_account, taker_account, taker_side = maker.account, taker.account, taker.side
    if taker_side is _BUY:
        buyer, buyer_account, buyer_fee_atoms = taker, taker_account, taker_fee_atoms
        seller, seller_account, seller_fee_atoms = maker, maker_account, maker_fee_atoms
    else:
        buyer, buyer_account, buyer_fee_atoms = maker, maker_account, maker_fee_atoms
        seller, seller_account, seller_fee_atoms = taker, taker_account, taker_fee_atoms
    seller_held_atoms = seller.held_atoms - base_atoms
    assert seller_held_atoms == seller.remaining_lots * market.lot_atoms
    seller.held_atoms = seller_held_atoms
    held_atoms = buyer.held_atoms - quote_atoms - buyer_fee_atoms
    needed_atoms = held_atoms if buyer.quote_atoms else required_hold_atoms(market, buyer)
    assert needed_atoms >= 0
    released_atoms = held_atoms - needed_atoms
    buyer.held_atoms = needed_atoms
    ledger.exchange(
        buyer_account,
        seller_account,
        state.accounts[FEES_ACCOUNT],
        market,
        base_atoms,
        quote_atoms,
        buyer_fee_atoms,
        seller_fee_atoms,
        released_atoms,
    )
    trade_id = state.next_trade_id
    state.next_trade_id = trade_id + 1
    return Trade(
        trade_id,
        market.market_id,
        maker.order_id,
        taker.order_id,
        maker_account.account_id,
        taker_account.account_id,
        taker_side,
        price_ticks,
        size_lots,
        base_atoms,
        quote_atoms,
        maker_fee_atoms,
        taker_fee_atoms,
        released_atoms,
        maker_lots,
        taker_lots,
    )


def end(
    state: State, market: Market, order: Order, reason: EndReason, events: list[Event], *, was_resting: bool
) -> None:
    """Ends an order that is not, or no more, in the book: what it still holds is available again."""
    account = order.account
    side = order.side
    asset_id = market.quote_asset_id if side is _BUY else market.base_asset_id
    released_atoms = order.held_atoms
    if released_atoms:
        ledger.release(account, asset_id, released_atoms)
        order.held_atoms = 0
    order.ended = reason
    order_id = order.order_id
    if state.orders.pop(order_id) is not None:
        del account.orders[order_id]
        if order.good_till_ns:
            forget_expiry(state, order)
    if order.client_order_id is not None:
        order.forget_ns = state.time_ns + CLIENT_ORDER_MEMORY_NS
        state.ended_client_orders.append(order)
    events.append(
        OrderEnded(
            order_id,
            account.account_id,
            order.market_id,
            side,
            order.price_ticks,
            reason,
            order.remaining_lots,
            asset_id,
            released_atoms,
            was_resting,
        )
    )


def held_asset_id(market: Market, side: Side) -> int:
    """The asset that an order of this side gives."""
    return market.quote_asset_id if side is _BUY else market.base_asset_id


def required_hold_atoms(market: Market, order: Order) -> int:
    """What the rest of the order may cost at worst: base for a sell, notional and fee for a buy."""
    remaining_lots = order.remaining_lots
    if order.side is _SELL:
        return remaining_lots * market.lot_atoms
    if remaining_lots == 0:
        return 0
    notional_atoms = order.price_ticks * remaining_lots * market.unit_atoms
    return notional_atoms + fees.reserve_atoms(order, notional_atoms)
