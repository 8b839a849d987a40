"""The naive exchange's placing and amending, each a ladder in the order of docs/trading.md."""

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

import msgspec
from tests.core.naive_matching import fills_whole, go, lots_for_amount
from tests.core.naive_world import LARGEST, SECOND, NaiveMarket, NaiveOrder, World

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.rejects import RejectReason as R
from exchange.core.words import AccountState, MarketState, OrderType, SelfTradePrevention, Side, TimeInForce

Answer = R | list[e.Event]
NOT_NOW = {
    MarketState.PRE_OPEN: R.MARKET_PRE_OPEN,
    MarketState.POST_ONLY: R.MARKET_POST_ONLY,
    MarketState.CANCEL_ONLY: R.MARKET_CANCEL_ONLY,
    MarketState.HALTED: R.MARKET_HALTED,
}
NOT_YOU = {AccountState.CANCEL_ONLY: R.ACCOUNT_CANCEL_ONLY, AccountState.FROZEN: R.ACCOUNT_FROZEN}


def place_order(world: World, p: c.PlaceOrder) -> Answer:
    refused = early_refusal(world, p.account_id, p.expires_ns)
    if refused is None and p.market_id not in world.markets:
        refused = R.UNKNOWN_MARKET
    if refused is None:
        refused = malformed(world, p)
    if refused is not None:
        return refused
    old = world.known_orders.get((p.account_id, p.client_order_id)) if p.client_order_id is not None else None
    if old is not None:
        if same_content(old.command, p):
            status = old.ended or "open"
            return [e.OrderKnown(old.id, p.account_id, p.market_id, status, old.size, old.left)]
        return R.CLIENT_ORDER_ID_REUSED

    market = world.markets[p.market_id]
    maker, taker = market.tiers[
        min(world.tier_of.get(world.owners[p.account_id][0], 0), len(market.tiers) - 1)
    ]
    order = NaiveOrder(
        world.seq,
        p,
        world.owners[p.account_id][0],
        market,
        p.price_ticks,
        p.size_lots,
        p.size_lots,
        maker,
        taker,
    )
    refused = untimely(world, order) or off_price(world, order)
    if refused is not None:
        return refused
    if p.quote_atoms:
        order.size = order.left = lots_for_amount(world, order)
        if order.size == 0:
            return R.AMOUNT_BUYS_NOTHING
    if max(order.hold, order.base, 0 if p.quote_atoms else order.notional) > LARGEST:
        return R.AMOUNT_TOO_LARGE
    if order.hold > world.available(order.account, order.asset):
        return R.INSUFFICIENT_FUNDS
    if p.trigger is None:
        if (order.post_only or market.state != MarketState.OPEN) and world.makers_for(order):
            return R.POST_ONLY_WOULD_CROSS
        if p.time_in_force == TimeInForce.FOK and not fills_whole(world, order):
            return R.FILL_OR_KILL_UNFILLABLE

    world.open.append(order)
    if p.client_order_id is not None:
        world.known_orders[p.account_id, p.client_order_id] = order
    out: list[e.Event] = [
        e.OrderAccepted(
            order.id, p.account_id, p.market_id, p.side, p.order_type, p.time_in_force,
            p.self_trade_prevention, order.price, order.size, order.asset, order.hold, maker, taker,
            p.client_order_id, p.good_till_ns, p.trigger, p.trigger_ticks, p.quote_atoms,
        )
    ]  # fmt: skip
    if p.trigger is None:
        go(world, order, out)
    else:
        order.where = "waiting"
    return out


def early_refusal(world: World, account: int, expires_ns: int) -> R | None:
    if account not in world.owners:
        return R.UNKNOWN_ACCOUNT
    if world.now > expires_ns:
        return R.REQUEST_EXPIRED
    if expires_ns > world.now + 60 * SECOND:
        return R.REQUEST_EXPIRY_TOO_FAR
    return None


def malformed(world: World, p: c.PlaceOrder) -> R | None:
    """What is wrong with the order by itself."""
    by_default = p.price_ticks == 0 and p.order_type == OrderType.MARKET and world.rules > 1
    if p.price_ticks not in range(1, 2**63) and not by_default:
        return R.PRICE_OUT_OF_RANGE
    if p.quote_atoms != 0:
        if p.quote_atoms not in range(1, 2**128):
            return R.AMOUNT_TOO_LARGE
        market_buy = (p.order_type, p.side, p.time_in_force) == (OrderType.MARKET, Side.BUY, TimeInForce.IOC)
        odd = p.trigger is not None or p.self_trade_prevention == SelfTradePrevention.DECREMENT
        if not market_buy or p.size_lots != 0 or odd:
            return R.INVALID_COMBINATION
    elif p.size_lots not in range(1, 2**63):
        return R.SIZE_OUT_OF_RANGE
    if p.order_type == OrderType.MARKET and p.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK):
        return R.INVALID_COMBINATION
    if (p.time_in_force == TimeInForce.GTT) != (p.good_till_ns != 0):
        return R.INVALID_COMBINATION
    if p.trigger is None and p.trigger_ticks != 0:
        return R.INVALID_COMBINATION
    if p.trigger is not None and p.trigger_ticks not in range(1, 2**63):
        return R.TRIGGER_INVALID
    return None


def same_content(one: c.PlaceOrder, other: c.PlaceOrder) -> bool:
    return msgspec.structs.replace(one, expires_ns=0) == msgspec.structs.replace(other, expires_ns=0)


def untimely(world: World, order: NaiveOrder) -> R | None:
    """Why the order may not come now."""
    p, market = order.command, order.market
    if world.work_is_due():
        return R.WORK_QUEUED
    if order.account in world.restricted:
        return NOT_YOU[world.restricted[order.account]]
    rests_plainly = order.may_rest and p.trigger is None
    if market.state == MarketState.PRE_OPEN and not rests_plainly:
        return R.MARKET_PRE_OPEN
    if market.state == MarketState.POST_ONLY and not (rests_plainly and order.post_only):
        return R.MARKET_POST_ONLY
    if market.state in (MarketState.CANCEL_ONLY, MarketState.HALTED):
        return NOT_NOW[market.state]
    if order.may_rest or p.trigger is not None:
        mine = world.orders_of(order.account)
        in_all, per_market = world.limits[order.account]
        if len(mine) >= in_all:
            return R.TOO_MANY_OPEN_ORDERS
        if sum(o.market is market for o in mine) >= per_market:
            return R.TOO_MANY_ORDERS_IN_MARKET
    if p.good_till_ns != 0 and not world.now < p.good_till_ns < 2**63:
        return R.GOOD_TILL_INVALID
    return None


def off_price(world: World, order: NaiveOrder) -> R | None:
    """Finds the worst price when none is given, and why the price or the trigger can not be."""
    p, market = order.command, order.market
    reference = p.trigger_ticks if p.trigger is not None else world.reference(market)
    if order.price == 0:
        if reference is None:
            return R.NO_REFERENCE_PRICE
        order.price = worst_price(reference, market.market_band, buys=order.buys)
    if outside_band(market, order, reference):
        return R.PRICE_OUTSIDE_BAND
    if p.trigger is None or market.last is None:
        return None
    met = p.trigger_ticks <= market.last if order.awaits_rise else p.trigger_ticks >= market.last
    return R.TRIGGER_ALREADY_MET if met else None


def worst_price(reference: int, bps: int, *, buys: bool) -> int:
    if buys:
        return min(floor(Fraction(reference * (10_000 + bps), 10_000)), 2**63 - 1)
    return max(ceil(Fraction(reference * (10_000 - bps), 10_000)), 1)


def outside_band(market: NaiveMarket, order: NaiveOrder, reference: int | None) -> bool:
    if market.band == 0 or reference is None:
        return False
    worst = worst_price(reference, market.band, buys=order.buys)
    return order.price > worst if order.buys else order.price < worst


def amend_order(world: World, a: c.AmendOrder) -> Answer:
    refused = early_refusal(world, a.account_id, a.expires_ns)
    if refused is not None:
        return refused
    found = [o for o in world.open if (o.id, o.account) == (a.order_id, a.account_id)]
    if not found:
        return R.UNKNOWN_ORDER
    if a.price_ticks not in range(1, 2**63):
        return R.PRICE_OUT_OF_RANGE
    if a.size_lots not in range(1, 2**63):
        return R.SIZE_OUT_OF_RANGE
    order, market = found[0], found[0].market
    changed = replace(
        order, price=a.price_ticks, size=a.size_lots, left=a.size_lots - (order.size - order.left)
    )
    if changed.left <= 0:
        return R.AMEND_BELOW_FILLED
    if world.work_is_due():
        return R.WORK_QUEUED
    waiting = order.where == "waiting"
    not_larger = changed.price == order.price and changed.left <= order.left
    keeps_place = waiting or not_larger
    if a.account_id in world.restricted and not not_larger:
        return NOT_YOU[world.restricted[a.account_id]]
    welcome = {
        MarketState.OPEN: True,
        MarketState.PRE_OPEN: True,
        MarketState.POST_ONLY: not_larger or (order.post_only and not waiting),
        MarketState.CANCEL_ONLY: not_larger,
        MarketState.HALTED: False,
    }
    if not welcome[market.state]:
        return NOT_NOW[market.state]
    if changed.price != order.price:
        reference = order.command.trigger_ticks if waiting else world.reference(market)
        if outside_band(market, changed, reference):
            return R.PRICE_OUTSIDE_BAND
    whole = replace(changed, left=changed.size)
    if max(changed.hold, whole.base, whole.notional) > LARGEST:
        return R.AMOUNT_TOO_LARGE
    more = changed.hold - order.hold
    if more > world.available(order.account, order.asset):
        return R.INSUFFICIENT_FUNDS
    passive = order.post_only or market.state != MarketState.OPEN
    if passive and not keeps_place and world.makers_for(changed):
        return R.POST_ONLY_WOULD_CROSS

    order.price, order.size, order.left = changed.price, changed.size, changed.left
    out: list[e.Event] = [
        e.OrderAmended(
            order.id, order.account, market.id, order.command.side, order.price, order.size, order.left,
            order.asset, more, keeps_place,
        )
    ]  # fmt: skip
    if not keeps_place:
        order.where = "taking"
        go(world, order, out)
    return out
