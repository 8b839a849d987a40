"""The naive exchange's cancels, switches and freezes, and the Tick, which ends or triggers what is due."""

from tests.core.naive_matching import fills_whole, go
from tests.core.naive_orders import Answer
from tests.core.naive_world import SECOND, NaiveOrder, World

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.rejects import RejectReason as R
from exchange.core.words import AccountState, EndReason, MarketState, TimeInForce


def cancel_order(world: World, k: c.CancelOrder) -> Answer:
    if k.account_id not in world.owners:
        return R.UNKNOWN_ACCOUNT
    return cancel_one(world, [o for o in world.open if (o.id, o.account) == (k.order_id, k.account_id)])


def cancel_client_order(world: World, k: c.CancelClientOrder) -> Answer:
    if k.account_id not in world.owners:
        return R.UNKNOWN_ACCOUNT
    wanted = (k.account_id, k.client_order_id)
    mine = [o for o in world.open if (o.account, o.command.client_order_id) == wanted]
    return cancel_one(world, [o for o in mine if not k.market_ids or o.market.id in k.market_ids])


def cancel_one(world: World, mine: list[NaiveOrder]) -> Answer:
    if not mine:
        return R.UNKNOWN_ORDER
    if mine[0].market.state == MarketState.HALTED:
        return R.MARKET_HALTED
    out: list[e.Event] = []
    world.finish(mine[0], EndReason.CANCELLED, out)
    return out


def cancel_all(world: World, k: c.CancelAll) -> Answer:
    if k.account_id not in world.owners:
        return R.UNKNOWN_ACCOUNT
    if k.market_id is not None:
        if k.market_id not in world.markets:
            return R.UNKNOWN_MARKET
        if world.markets[k.market_id].state == MarketState.HALTED:
            return R.MARKET_HALTED
    out: list[e.Event] = []
    for order in world.orders_of(k.account_id):
        named = k.market_id in (None, order.market.id) and k.side in (None, order.command.side)
        if named and order.market.state != MarketState.HALTED:
            world.finish(order, EndReason.CANCELLED, out)
    return [*out, e.AllCancelled(k.account_id, k.market_id, len(out), k.side)]


def cancel_all_after(world: World, k: c.CancelAllAfter) -> Answer:
    if k.account_id not in world.owners:
        return R.UNKNOWN_ACCOUNT
    if k.fires_ns != 0 and not world.now < k.fires_ns <= world.now + 86_400 * SECOND:
        return R.CANCEL_ALL_AFTER_INVALID
    world.switches.pop(k.account_id, None)
    if k.fires_ns:
        world.switches[k.account_id] = k.fires_ns
    return [e.CancelAllAfterSet(k.account_id, k.fires_ns)]


def set_account_state(world: World, s: c.SetAccountState) -> Answer:
    if s.account_id not in world.owners:
        return R.UNKNOWN_ACCOUNT
    out: list[e.Event] = []
    world.restricted.pop(s.account_id, None)
    if s.state != AccountState.ACTIVE:
        world.restricted[s.account_id] = s.state
    for order in world.orders_of(s.account_id) if world.frozen(s.account_id) else []:
        world.finish(order, EndReason.ACCOUNT_FROZEN, out)
    return [*out, e.AccountStateSet(s.account_id, s.state)]


def tick(world: World, _: c.Tick) -> Answer:
    out: list[e.Event] = []
    expired = world.expired_orders()[:1_000]
    switches = world.fired_switches()
    if expired:
        for order in expired:
            world.finish(order, EndReason.EXPIRED, out)
    elif switches:
        for order in world.orders_of(switches[0]):
            world.finish(order, EndReason.CANCEL_ALL_AFTER, out)
        out.append(e.CancelAllAfterFired(switches[0], len(out)))
        del world.switches[switches[0]]
    elif world.met:
        trigger(world, world.met_orders(world.met[0])[0], out)
    return [*out, e.Ticked(len(expired))]


def trigger(world: World, order: NaiveOrder, out: list[e.Event]) -> None:
    assert order.market.last is not None
    out.append(e.OrderTriggered(order.id, order.account, order.market.id, order.market.last))
    order.where = "taking"
    if order.post_only and world.makers_for(order):
        world.finish(order, EndReason.POST_ONLY_WOULD_CROSS, out)
    elif order.command.time_in_force == TimeInForce.FOK and not fills_whole(world, order):
        world.finish(order, EndReason.UNFILLED, out)
    else:
        go(world, order, out)
