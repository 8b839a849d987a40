"""What the naive exchange knows: assets, markets, accounts, money and open orders, all in plain lists.

Nothing that can be worked out is remembered: holds, places in a queue and limits are counted anew from the
open orders each time somebody asks.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.words import (
    AccountState,
    EndReason,
    MarketState,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerKind,
)

LARGEST = 2**128 - 1
SECOND = 10**9
WORK_LIMIT = 1_000
CHAIN, FEES, FLYING, SUSPENSE = 1, 2, 3, 4
SYSTEM = {CHAIN, FEES, FLYING, SUSPENSE}


@dataclass
class NaiveAsset:
    id: int
    symbol: str
    decimals: int
    route: tuple[int, str, str]
    fee: int = 0
    least: int = 1
    listed: bool = False


@dataclass
class NaiveMarket:
    id: int
    symbol: str
    base: int
    quote: int
    lot: int
    unit: int
    tiers: list[tuple[int, int]]
    """(maker, taker) for tier 0, 1, ..."""
    state: MarketState
    band: int
    market_band: int
    last: int | None = None
    counting: list[int] = field(default_factory=list)
    """Trade prices that count for triggers; empty once no trigger is met."""
    in_force: list[tuple[int, int]] = field(default_factory=list)
    """All rates there were since the last change that found the market without open orders."""


@dataclass
class NaiveOrder:
    id: int
    command: c.PlaceOrder
    owner: str
    market: NaiveMarket
    price: int
    size: int
    left: int
    maker: int
    taker: int
    place: int = 0
    """The command that put it into the book; of two at one price the lower goes first."""
    where: str = "taking"
    """Or "book", "waiting" for its trigger, "gone"."""
    owed: Fraction = Fraction(0)
    paid: int = 0
    spent: int = 0
    ended: str = ""

    @property
    def account(self) -> int:
        return self.command.account_id

    @property
    def buys(self) -> bool:
        return self.command.side == Side.BUY

    @property
    def may_rest(self) -> bool:
        return self.command.time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY, TimeInForce.GTT)

    @property
    def post_only(self) -> bool:
        return self.command.time_in_force == TimeInForce.POST_ONLY

    @property
    def passes_own(self) -> bool:
        return self.command.self_trade_prevention == SelfTradePrevention.CANCEL_OLDEST

    @property
    def awaits_rise(self) -> bool:
        return self.buys == (self.command.trigger == TriggerKind.STOP)

    @property
    def asset(self) -> int:
        return self.market.quote if self.buys else self.market.base

    @property
    def base(self) -> int:
        return self.left * self.market.lot

    @property
    def notional(self) -> int:
        return self.price * self.left * self.market.unit

    @property
    def hold(self) -> int:
        """What must be held for the rest of it."""
        if not self.buys:
            return self.base
        if self.command.quote_atoms:
            return self.command.quote_atoms - self.spent - self.paid
        dearest = max(self.maker, self.taker)
        return self.notional + ceil(self.owed + Fraction(self.notional * dearest, 10_000)) - self.paid


@dataclass
class World:
    seq: int = 0
    now: int = 0
    rules: int = 1
    assets: dict[int, NaiveAsset] = field(default_factory=dict)
    markets: dict[int, NaiveMarket] = field(default_factory=dict)
    owners: dict[int, tuple[str, int]] = field(default_factory=dict)
    """(owner, sub-account) of each account."""
    limits: dict[int, tuple[int, int]] = field(default_factory=dict)
    restricted: dict[int, AccountState] = field(default_factory=dict)
    """Accounts that are not active."""
    tier_of: dict[str, int] = field(default_factory=dict)
    total: dict[tuple[int, int], int] = field(default_factory=dict)
    """What each (account, asset) has, held or not."""
    open: list[NaiveOrder] = field(default_factory=list)
    trade_count: int = 0
    known_orders: dict[tuple[int, str], NaiveOrder] = field(default_factory=dict)
    known_transfers: dict[tuple[int, str], c.TransferFunds] = field(default_factory=dict)
    leaving_orders: list[tuple[int, tuple[int, str]]] = field(default_factory=list)
    """(when to forget, what), oldest first; likewise for transfers."""
    leaving_transfers: list[tuple[int, tuple[int, str]]] = field(default_factory=list)
    switches: dict[int, int] = field(default_factory=dict)
    """Account to the time at which all its orders are cancelled."""
    met: list[NaiveMarket] = field(default_factory=list)
    """Markets with an order whose trigger is met, in the order in which that happened."""
    deposits: dict[tuple[int, str], int] = field(default_factory=dict)
    flying: dict[str, e.WithdrawalRequested] = field(default_factory=dict)
    landed: dict[str, int] = field(default_factory=dict)
    approvals: dict[str, e.AgentApproved] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    nonces: dict[str, list[int]] = field(default_factory=dict)
    """All that a key ever used."""

    def frozen(self, account: int) -> bool:
        return self.restricted.get(account) == AccountState.FROZEN

    # ---- money

    def move(self, giver: int, receiver: int, asset: int, amount: int) -> None:
        self.total[giver, asset] = self.total.get((giver, asset), 0) - amount
        self.total[receiver, asset] = self.total.get((receiver, asset), 0) + amount

    def held(self, account: int, asset: int) -> int:
        return sum(o.hold for o in self.open if o.account == account and o.asset == asset)

    def available(self, account: int, asset: int) -> int:
        return self.total.get((account, asset), 0) - self.held(account, asset)

    # ---- orders

    def orders_of(self, account: int) -> list[NaiveOrder]:
        """The oldest first."""
        return sorted((o for o in self.open if o.account == account), key=lambda o: o.id)

    def makers_for(self, taker: NaiveOrder) -> list[NaiveOrder]:
        """The orders that the taker's price reaches, in price-time priority."""
        sign = 1 if taker.buys else -1
        others = [o for o in self.open if o.market is taker.market and o.where == "book"]
        reach = [o for o in others if o.buys != taker.buys and sign * o.price <= sign * taker.price]
        return sorted(reach, key=lambda o: (sign * o.price, o.place))

    def reference(self, market: NaiveMarket) -> int | None:
        """The last price, pulled between the best quotes."""
        book = [o for o in self.open if o.market is market and o.where == "book"]
        bid = max((o.price for o in book if o.buys), default=None)
        ask = min((o.price for o in book if not o.buys), default=None)
        if market.last is None:
            quotes = [price for price in (bid, ask) if price is not None]
            return sum(quotes) // len(quotes) if quotes else None
        reference = market.last
        if bid is not None and bid > reference:
            reference = bid
        if ask is not None and ask < reference:
            reference = ask
        return reference

    def met_orders(self, market: NaiveMarket) -> list[NaiveOrder]:
        """Waiting orders whose trigger the counting prices meet, the next to go first."""
        if market.state != MarketState.OPEN or not market.counting:
            return []
        low, high = min(market.counting), max(market.counting)
        waiting = [o for o in self.open if o.market is market and o.where == "waiting"]
        rises = [o for o in waiting if o.awaits_rise and o.command.trigger_ticks <= high]
        falls = [o for o in waiting if not o.awaits_rise and o.command.trigger_ticks >= low]
        rises.sort(key=lambda o: (o.command.trigger_ticks, o.id))
        falls.sort(key=lambda o: (-o.command.trigger_ticks, o.id))
        return rises + falls

    # ---- work for a Tick

    def expired_orders(self) -> list[NaiveOrder]:
        due = [o for o in self.open if 0 < o.command.good_till_ns <= self.now]
        return sorted(due, key=lambda o: (o.command.good_till_ns, o.id))

    def fired_switches(self) -> list[int]:
        due = [account for account, fires in self.switches.items() if fires <= self.now]
        return sorted(due, key=lambda account: (self.switches[account], account))

    def work_is_due(self) -> bool:
        return bool(self.expired_orders() or self.fired_switches() or self.met)

    # ---- ends

    def finish(self, order: NaiveOrder, reason: EndReason, out: list[e.Event]) -> None:
        p = order.command
        out.append(
            e.OrderEnded(
                order.id, order.account, order.market.id, p.side, order.price, reason, order.left,
                order.asset, order.hold, order.where == "book",
            )
        )  # fmt: skip
        self.open.remove(order)
        order.where, order.ended = "gone", reason.value
        if p.client_order_id is not None:
            self.leaving_orders.append((self.now + 60 * SECOND, (order.account, p.client_order_id)))

    def forget(self) -> None:
        """Before each command: what is past its time, at most 1,000 orders and as many transfers."""
        for leaving, known in (
            (self.leaving_orders, self.known_orders),
            (self.leaving_transfers, self.known_transfers),
        ):
            for when, key in leaving[:1_000]:
                if when < self.now or (self.rules == 1 and when == self.now):
                    leaving.remove((when, key))
                    del known[key]
        for label, deadline_s in list(self.landed.items()):
            if self.now > deadline_s * SECOND:
                del self.landed[label]

    def settle_down(self) -> None:
        """After each command: which triggers are met now."""
        for market in self.markets.values():
            if not self.met_orders(market):
                market.counting = []
                if market in self.met:
                    self.met.remove(market)
            elif market not in self.met:
                self.met.append(market)
