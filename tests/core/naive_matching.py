"""The naive exchange's trading: one maker at a time, the book sorted anew for each."""

from fractions import Fraction
from math import ceil

from tests.core.naive_world import FEES, WORK_LIMIT, NaiveOrder, World

from exchange.core import events as e
from exchange.core.words import EndReason, SelfTradePrevention


def go(world: World, taker: NaiveOrder, out: list[e.Event]) -> None:
    """Trades an accepted order as far as it goes; then it rests or ends."""
    for _ in range(WORK_LIMIT):
        makers = world.makers_for(taker)
        if taker.left == 0 or not makers:
            break
        if makers[0].owner == taker.owner:
            prevent(world, makers[0], taker, out)
        else:
            trade(world, makers[0], taker, out)
        if taker.ended:
            return
    makers = world.makers_for(taker)
    if taker.left == 0:
        world.finish(taker, EndReason.FILLED, out)
    elif makers and gives_way(taker, makers[0]):
        world.finish(taker, EndReason.SELF_TRADE, out)
    elif makers:
        world.finish(taker, EndReason.WORK_LIMIT, out)
    elif taker.may_rest:
        taker.where, taker.place = "book", world.seq
        out.append(
            e.OrderRested(
                taker.id, taker.account, taker.market.id, taker.command.side, taker.price, taker.left
            )
        )
    else:
        world.finish(taker, EndReason.UNFILLED, out)


def gives_way(taker: NaiveOrder, maker: NaiveOrder) -> bool:
    """This is no work: after 1,000 units too the taker ends for this reason."""
    mode = taker.command.self_trade_prevention
    return maker.owner == taker.owner and mode == SelfTradePrevention.CANCEL_NEWEST


def reachable(world: World, taker: NaiveOrder) -> list[NaiveOrder]:
    """The orders that the taker can trade with, by self-trade prevention and within the work limit."""
    found = []
    for maker in world.makers_for(taker)[:WORK_LIMIT]:
        if maker.owner != taker.owner:
            found.append(maker)
        elif not taker.passes_own:
            break
    return found


def fills_whole(world: World, taker: NaiveOrder) -> bool:
    return sum(maker.left for maker in reachable(world, taker)) >= taker.left


def lots_for_amount(world: World, taker: NaiveOrder) -> int:
    """How much a market buy by amount gets, its fee included in the amount."""
    rest = int(taker.command.quote_atoms / (1 + Fraction(taker.taker, 10_000)))
    lots = 0
    for maker in reachable(world, taker):
        lot_price = maker.price * taker.market.unit
        taken = min(maker.left, rest // lot_price)
        lots += taken
        rest -= taken * lot_price
        if taken < maker.left:
            break
    return min(lots, 2**63 - 1)


def trade(world: World, maker: NaiveOrder, taker: NaiveOrder, out: list[e.Event]) -> None:
    market = taker.market
    buyer, seller = (taker, maker) if taker.buys else (maker, taker)
    size, price = min(maker.left, taker.left), maker.price
    quote, base = price * size * market.unit, size * market.lot
    hold_before = buyer.hold
    fees = []
    for order, rate in ((maker, maker.maker), (taker, taker.taker)):
        order.left -= size
        order.spent += quote
        order.owed += Fraction(quote * rate, 10_000)
        fees.append(ceil(order.owed) - order.paid)
        order.paid += fees[-1]
        world.move(order.account, FEES, market.quote, fees[-1])
    world.move(buyer.account, seller.account, market.quote, quote)
    world.move(seller.account, buyer.account, market.base, base)
    released = hold_before - quote - (fees[1] if taker.buys else fees[0]) - buyer.hold
    world.trade_count += 1
    out.append(
        e.Trade(
            world.trade_count, market.id, maker.id, taker.id, maker.account, taker.account,
            taker.command.side, price, size, base, quote, fees[0], fees[1], released, maker.left, taker.left,
        )
    )  # fmt: skip
    market.last = price
    market.counting.append(price)
    if maker.left == 0:
        world.finish(maker, EndReason.FILLED, out)


def prevent(world: World, maker: NaiveOrder, taker: NaiveOrder, out: list[e.Event]) -> None:
    mode = taker.command.self_trade_prevention
    if mode == SelfTradePrevention.DECREMENT:
        decrement(world, maker, taker, out)
        return
    if mode in (SelfTradePrevention.CANCEL_OLDEST, SelfTradePrevention.CANCEL_BOTH):
        world.finish(maker, EndReason.SELF_TRADE, out)
    if mode in (SelfTradePrevention.CANCEL_NEWEST, SelfTradePrevention.CANCEL_BOTH):
        world.finish(taker, EndReason.SELF_TRADE, out)


def decrement(world: World, maker: NaiveOrder, taker: NaiveOrder, out: list[e.Event]) -> None:
    lost = min(maker.left, taker.left)
    released = []
    for order in (maker, taker):
        hold_before = order.hold
        order.size -= lost
        order.left -= lost
        released.append(hold_before - order.hold)
    out.append(
        e.SelfTradePrevented(
            taker.market.id, maker.id, taker.id, maker.account, taker.account, taker.command.side,
            maker.price, lost, released[0], released[1], maker.left, taker.left,
        )
    )  # fmt: skip
    for order in (maker, taker):
        if order.left == 0:
            world.finish(order, EndReason.SELF_TRADE, out)
