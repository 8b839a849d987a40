"""Matching: price-time priority, continuous, one taker at a time.

A taker trades at each maker's price, best level first and oldest order first, until it is filled, its
limit is reached, it meets an order of its own owner, or it has made `MAX_FILLS` fills. What a taker may do
with its rest (stand in the book or end) is its caller's affair.
"""

from exchange.core import fees, ledger
from exchange.core.accounts import FEES_ACCOUNT
from exchange.core.book import BookSide
from exchange.core.events import Event, OrderEnded, Trade
from exchange.core.markets import Market
from exchange.core.orders import EndReason, Order, Side
from exchange.core.state import State

MAX_FILLS = 1_000
"""Most fills of one command; the rest of the taker then ends, so that the work of a command is bounded."""

CLIENT_ORDER_MEMORY_NS = 60_000_000_000
"""How long after its end a client order id still answers for its order, in command time.

No order request may live longer, or a replay of it could outlive the memory.
"""


def would_trade(makers: BookSide, price_ticks: int) -> bool:
    """Whether an order of the other side at this price would cross the book."""
    best = makers.best()
    return best is not None and makers.reaches(best, price_ticks)


def can_fill(makers: BookSide, taker: Order) -> bool:
    """Whether `match` would fill the taker completely: for fill-or-kill, before anything is changed."""
    wanted_lots = taker.remaining_lots
    fills = 0
    for level in makers.levels():
        if not makers.reaches(level, taker.price_ticks):
            return False
        for maker in level.orders.values():
            if maker.account.owner == taker.account.owner or fills == MAX_FILLS:
                return False
            wanted_lots -= maker.remaining_lots
            fills += 1
            if wanted_lots <= 0:
                return True
    return False


def match(state: State, market: Market, taker: Order, events: list[Event]) -> EndReason | None:
    """Trades the taker against the book and appends the events.

    Returns why the taker can not go on, or None when its rest is free to rest or to end unfilled.
    """
    makers = state.books[market.market_id].opposite(taker.side)
    fills = 0
    while True:
        if taker.remaining_lots == 0:
            return EndReason.FILLED
        level = makers.best()
        if level is None or not makers.reaches(level, taker.price_ticks):
            return None
        maker = next(iter(level.orders.values()))
        if maker.account.owner == taker.account.owner:
            return EndReason.SELF_TRADE
        if fills == MAX_FILLS:
            return EndReason.WORK_LIMIT
        size_lots = min(taker.remaining_lots, maker.remaining_lots)
        makers.fill(level, maker, size_lots)
        taker.remaining_lots -= size_lots
        events.append(_settle(state, market, maker, taker, size_lots))
        fills += 1
        if maker.remaining_lots == 0:
            end(state, market, maker, EndReason.FILLED, events, was_resting=True)


def end(
    state: State, market: Market, order: Order, reason: EndReason, events: list[Event], *, was_resting: bool
) -> None:
    """Ends an order that is no longer in the book: what it still holds is available again."""
    asset_id = held_asset_id(market, order.side)
    released_atoms = order.held_atoms
    ledger.release(order.account, asset_id, released_atoms)
    order.held_atoms = 0
    if was_resting:
        del state.orders[order.order_id]
        del order.account.open_orders[order.order_id]
    if order.client_order_id is not None:
        known = order.account.client_orders[order.client_order_id]
        known.remaining_lots = order.remaining_lots
        known.ended = reason
        forget_ns = state.time_ns + CLIENT_ORDER_MEMORY_NS
        state.ended_client_orders.append((forget_ns, order.account.account_id, order.client_order_id))
    events.append(
        OrderEnded(
            order_id=order.order_id,
            account_id=order.account.account_id,
            market_id=order.market_id,
            side=order.side,
            price_ticks=order.price_ticks,
            reason=reason,
            remaining_lots=order.remaining_lots,
            released_asset_id=asset_id,
            released_atoms=released_atoms,
            was_resting=was_resting,
        )
    )


def held_asset_id(market: Market, side: Side) -> int:
    """The asset that an order of this side gives."""
    return market.quote_asset_id if side is Side.BUY else market.base_asset_id


def required_hold_atoms(market: Market, order: Order) -> int:
    """What the rest of the order may cost at worst: base for a sell, notional and fee for a buy."""
    if order.side is Side.SELL:
        return market.base_atoms(order.remaining_lots)
    if order.remaining_lots == 0:
        return 0
    notional_atoms = market.notional_atoms(order.price_ticks, order.remaining_lots)
    return notional_atoms + fees.reserve_atoms(order, notional_atoms)


def _settle(state: State, market: Market, maker: Order, taker: Order, size_lots: int) -> Trade:
    """Exchanges base for quote, charges both fees, and releases the buyer's price improvement."""
    price_ticks = maker.price_ticks
    base_atoms = market.base_atoms(size_lots)
    quote_atoms = market.notional_atoms(price_ticks, size_lots)
    maker_fee_atoms = fees.next_fee_atoms(maker, quote_atoms, maker.maker_fee_bps)
    taker_fee_atoms = fees.next_fee_atoms(taker, quote_atoms, taker.taker_fee_bps)
    fees.charge(maker, quote_atoms, maker.maker_fee_bps, maker_fee_atoms)
    fees.charge(taker, quote_atoms, taker.taker_fee_bps, taker_fee_atoms)

    if taker.side is Side.BUY:
        buyer, buyer_fee_atoms, seller, seller_fee_atoms = taker, taker_fee_atoms, maker, maker_fee_atoms
    else:
        buyer, buyer_fee_atoms, seller, seller_fee_atoms = maker, maker_fee_atoms, taker, taker_fee_atoms
    assert seller_fee_atoms <= quote_atoms

    buyer.held_atoms -= quote_atoms + buyer_fee_atoms
    released_atoms = buyer.held_atoms - required_hold_atoms(market, buyer)
    assert released_atoms >= 0
    buyer.held_atoms -= released_atoms
    seller.held_atoms -= base_atoms
    assert seller.held_atoms == required_hold_atoms(market, seller)

    fee_account = state.accounts[FEES_ACCOUNT]
    quote_asset_id = market.quote_asset_id
    ledger.spend_held(buyer.account, quote_asset_id, quote_atoms - seller_fee_atoms, seller.account)
    ledger.spend_held(buyer.account, quote_asset_id, buyer_fee_atoms + seller_fee_atoms, fee_account)
    ledger.release(buyer.account, quote_asset_id, released_atoms)
    ledger.spend_held(seller.account, market.base_asset_id, base_atoms, buyer.account)

    trade_id = state.next_trade_id
    state.next_trade_id += 1
    return Trade(
        trade_id=trade_id,
        market_id=market.market_id,
        maker_order_id=maker.order_id,
        taker_order_id=taker.order_id,
        maker_account_id=maker.account.account_id,
        taker_account_id=taker.account.account_id,
        taker_side=taker.side,
        price_ticks=price_ticks,
        size_lots=size_lots,
        base_atoms=base_atoms,
        quote_atoms=quote_atoms,
        maker_fee_atoms=maker_fee_atoms,
        taker_fee_atoms=taker_fee_atoms,
        buyer_released_atoms=released_atoms,
        maker_remaining_lots=maker.remaining_lots,
        taker_remaining_lots=taker.remaining_lots,
    )
