"""The same exchange written a second time, as slowly and plainly as possible, to compare with the real one.

One list of open orders, sorted anew for every single fill. Fees are exact fractions, rounded up per order.
Holds are never remembered but worked out from the open orders whenever they are asked for. It shares only the
vocabulary (commands, events, reasons) with the core, none of its code.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.orders import EndReason, OrderType, SelfTradePrevention, Side, TimeInForce
from exchange.core.rejects import RejectReason as R

LARGEST = 2**128 - 1
SYSTEM = {1, 2, 3, 4}


@dataclass
class NaiveMarket:
    base: int
    quote: int
    lot: int
    unit: int
    maker: int
    taker: int


@dataclass
class NaiveOrder:
    id: int
    command: c.PlaceOrder
    owner: str
    left: int
    owed: Fraction = Fraction(0)
    paid: int = 0
    ended: str = ""
    ended_at: int = 0

    @property
    def buys(self) -> bool:
        return self.command.side == Side.BUY


@dataclass
class Naive:
    markets: dict[int, NaiveMarket]
    fee_of_withdrawal: dict[int, int]
    owners: dict[int, str]
    total: dict[tuple[int, int], int] = field(default_factory=dict)
    orders: list[NaiveOrder] = field(default_factory=list)
    resting: list[NaiveOrder] = field(default_factory=list)
    trade_count: int = 0
    seq: int = 0
    now: int = 0
    flying: dict[str, e.WithdrawalRequested] = field(default_factory=dict)
    landed: dict[str, int] = field(default_factory=dict)

    # ---- money

    def add(self, account: int, asset: int, amount: int) -> None:
        self.total[account, asset] = self.total.get((account, asset), 0) + amount

    def hold_of(self, order: NaiveOrder) -> tuple[int, int]:
        """(asset, atoms) that the order needs for what is left of it."""
        market = self.markets[order.command.market_id]
        if not order.buys:
            return market.base, order.left * market.lot
        notional = order.command.price_ticks * order.left * market.unit
        if notional == 0:
            return market.quote, 0
        worst = ceil(order.owed + Fraction(notional * max(market.maker, market.taker), 10_000))
        return market.quote, notional + worst - order.paid

    def held(self, account: int, asset: int) -> int:
        mine = [self.hold_of(o) for o in self.resting if o.command.account_id == account]
        return sum(amount for held_asset, amount in mine if held_asset == asset)

    def available(self, account: int, asset: int) -> int:
        return self.total.get((account, asset), 0) - self.held(account, asset)

    # ---- commands

    def apply(self, now: int, command: c.Command) -> list[e.Event]:
        self.seq += 1
        self.now = now
        for label, deadline in list(self.landed.items()):
            if now > deadline * 10**9:
                del self.landed[label]
        answer = getattr(self, type(command).__name__)(command)
        return [e.Rejected(answer)] if isinstance(answer, R) else answer

    def PlaceOrder(self, p: c.PlaceOrder) -> Any:  # noqa: C901, N802
        if p.account_id not in self.owners:
            return R.UNKNOWN_ACCOUNT
        if self.now > p.expires_ns:
            return R.REQUEST_EXPIRED
        if p.expires_ns > self.now + 60 * 10**9:
            return R.REQUEST_EXPIRY_TOO_FAR
        if p.market_id not in self.markets:
            return R.UNKNOWN_MARKET
        if p.price_ticks not in range(1, 2**63):
            return R.PRICE_OUT_OF_RANGE
        if p.size_lots not in range(1, 2**63):
            return R.SIZE_OUT_OF_RANGE
        may_rest = p.time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY)
        if may_rest and p.order_type == OrderType.MARKET:
            return R.INVALID_COMBINATION
        for old in self.orders if p.client_order_id is not None else []:
            forgotten = old.ended and self.now >= old.ended_at + 60 * 10**9
            if (old.command.account_id, old.command.client_order_id) == (p.account_id, p.client_order_id):
                if forgotten:
                    continue
                if self.without_expiry(old.command) != self.without_expiry(p):
                    return R.CLIENT_ORDER_ID_REUSED
                return [
                    e.OrderKnown(
                        old.id, p.account_id, p.market_id, old.ended or "open", p.size_lots, old.left
                    )
                ]
        if may_rest and sum(o.command.account_id == p.account_id for o in self.resting) >= 1_000:
            return R.TOO_MANY_OPEN_ORDERS
        market = self.markets[p.market_id]
        order = NaiveOrder(self.seq, p, self.owners[p.account_id], p.size_lots)
        asset, hold = self.hold_of(order)
        if max(hold, p.price_ticks * p.size_lots * market.unit, p.size_lots * market.lot) > LARGEST:
            return R.AMOUNT_TOO_LARGE
        if hold > self.available(p.account_id, asset):
            return R.INSUFFICIENT_FUNDS
        if p.time_in_force == TimeInForce.POST_ONLY and self.makers_for(order):
            return R.POST_ONLY_WOULD_CROSS
        if p.time_in_force == TimeInForce.FOK and not self.fills_whole(order):
            return R.FILL_OR_KILL_UNFILLABLE

        self.orders.append(order)
        out: list[e.Event] = [
            e.OrderAccepted(
                order.id, p.account_id, p.market_id, p.side, p.order_type, p.time_in_force,
                SelfTradePrevention.CANCEL_NEWEST, p.price_ticks, p.size_lots, asset, hold,
                market.maker, market.taker, p.client_order_id,
            )
        ]  # fmt: skip
        fills = 0
        while True:
            makers = self.makers_for(order)
            if order.left == 0:
                self.finish(order, EndReason.FILLED, out, rested=False)
            elif not makers and may_rest:
                self.resting.append(order)
                out.append(
                    e.OrderRested(order.id, p.account_id, p.market_id, p.side, p.price_ticks, order.left)
                )
            elif not makers:
                self.finish(order, EndReason.UNFILLED, out, rested=False)
            elif makers[0].owner == order.owner:
                self.finish(order, EndReason.SELF_TRADE, out, rested=False)
            elif fills == 1_000:
                self.finish(order, EndReason.WORK_LIMIT, out, rested=False)
            else:
                self.trade(makers[0], order, out)
                fills += 1
                continue
            return out

    def CancelOrder(self, k: c.CancelOrder) -> Any:  # noqa: N802
        if k.account_id not in self.owners:
            return R.UNKNOWN_ACCOUNT
        mine = [o for o in self.resting if (o.id, o.command.account_id) == (k.order_id, k.account_id)]
        if not mine:
            return R.UNKNOWN_ORDER
        out: list[e.Event] = []
        self.finish(mine[0], EndReason.CANCELLED, out, rested=True)
        return out

    def CancelAll(self, k: c.CancelAll) -> Any:  # noqa: N802
        if k.account_id not in self.owners:
            return R.UNKNOWN_ACCOUNT
        if k.market_id is not None and k.market_id not in self.markets:
            return R.UNKNOWN_MARKET
        out: list[e.Event] = []
        mine = [o for o in self.resting if o.command.account_id == k.account_id]
        mine = [o for o in mine if k.market_id in (None, o.command.market_id)]
        for order in mine:
            self.finish(order, EndReason.CANCELLED, out, rested=True)
        return [*out, e.AllCancelled(k.account_id, k.market_id, len(mine))]

    def RequestWithdrawal(self, w: c.RequestWithdrawal) -> Any:  # noqa: N802
        if w.account_id not in self.owners:
            return R.UNKNOWN_ACCOUNT
        if w.asset_id not in self.fee_of_withdrawal:
            return R.UNKNOWN_ASSET
        if w.withdrawal_id in self.flying or w.withdrawal_id in self.landed:
            return R.WITHDRAWAL_REPLAYED
        if w.deadline_s * 10**9 <= self.now:
            return R.WITHDRAWAL_DEADLINE_PASSED
        if w.deadline_s * 10**9 > self.now + 86_400 * 10**9:
            return R.WITHDRAWAL_DEADLINE_TOO_FAR
        fee = self.fee_of_withdrawal[w.asset_id]
        if w.max_fee_atoms < fee:
            return R.WITHDRAWAL_FEE_ABOVE_MAXIMUM
        if w.amount_atoms <= fee:
            return R.WITHDRAWAL_TOO_SMALL
        if w.amount_atoms > LARGEST:
            return R.AMOUNT_TOO_LARGE
        if sum(flying.account_id == w.account_id for flying in self.flying.values()) >= 20:
            return R.TOO_MANY_WITHDRAWALS
        if w.amount_atoms > self.available(w.account_id, w.asset_id):
            return R.INSUFFICIENT_FUNDS
        self.add(w.account_id, w.asset_id, -w.amount_atoms)
        self.flying[w.withdrawal_id] = e.WithdrawalRequested(
            w.withdrawal_id, w.account_id, w.asset_id, w.amount_atoms, fee, w.destination, w.nonce,
            w.deadline_s, self.owners[w.account_id], 0, "", "",
        )  # fmt: skip
        return [self.flying[w.withdrawal_id]]

    def SettleWithdrawal(self, s: c.SettleWithdrawal) -> Any:  # noqa: N802
        w = self.flying.pop(s.withdrawal_id, None)
        if w is None:
            return R.WITHDRAWAL_ALREADY_FINAL if s.withdrawal_id in self.landed else R.UNKNOWN_WITHDRAWAL
        self.landed[s.withdrawal_id] = w.deadline_s
        return [
            e.WithdrawalSettled(
                w.withdrawal_id, w.account_id, w.asset_id, w.amount_atoms, w.fee_atoms, s.tx_hash,
                s.block_number, s.outcome,
            )
        ]  # fmt: skip

    def RefundWithdrawal(self, s: c.RefundWithdrawal) -> Any:  # noqa: N802
        w = self.flying.get(s.withdrawal_id)
        if w is None:
            return R.WITHDRAWAL_ALREADY_FINAL if s.withdrawal_id in self.landed else R.UNKNOWN_WITHDRAWAL
        if s.block_time_s <= w.deadline_s:
            return R.WITHDRAWAL_NOT_REFUNDABLE
        del self.flying[s.withdrawal_id]
        self.landed[s.withdrawal_id] = w.deadline_s
        self.add(w.account_id, w.asset_id, w.amount_atoms)
        return [
            e.WithdrawalRefunded(w.withdrawal_id, w.account_id, w.asset_id, w.amount_atoms, s.block_number)
        ]

    # ---- matching

    @staticmethod
    def without_expiry(p: c.PlaceOrder) -> tuple[object, ...]:
        return (p.market_id, p.side, p.order_type, p.time_in_force, p.price_ticks, p.size_lots)

    def makers_for(self, taker: NaiveOrder) -> list[NaiveOrder]:
        """The orders that the taker may trade with, in price-time priority."""
        market, limit = taker.command.market_id, taker.command.price_ticks
        others = [o for o in self.resting if o.command.market_id == market and o.buys != taker.buys]
        if taker.buys:
            reach = [o for o in others if o.command.price_ticks <= limit]
            return sorted(reach, key=lambda o: (o.command.price_ticks, o.id))
        reach = [o for o in others if o.command.price_ticks >= limit]
        return sorted(reach, key=lambda o: (-o.command.price_ticks, o.id))

    def fills_whole(self, taker: NaiveOrder) -> bool:
        found = 0
        for maker in self.makers_for(taker)[:1_000]:
            if maker.owner == taker.owner:
                break
            found += maker.left
        return found >= taker.left

    def trade(self, maker: NaiveOrder, taker: NaiveOrder, out: list[e.Event]) -> None:
        market = self.markets[taker.command.market_id]
        buyer, seller = (taker, maker) if taker.buys else (maker, taker)
        size, price = min(maker.left, taker.left), maker.command.price_ticks
        quote, base = price * size * market.unit, size * market.lot
        buyer_hold_before = self.hold_of(buyer)[1]
        fees = []
        for order, rate in ((maker, market.maker), (taker, market.taker)):
            order.left -= size
            order.owed += Fraction(quote * rate, 10_000)
            fees.append(ceil(order.owed) - order.paid)
            order.paid += fees[-1]
        maker_fee, taker_fee = fees
        buyer_fee, seller_fee = (taker_fee, maker_fee) if taker.buys else (maker_fee, taker_fee)
        self.add(buyer.command.account_id, market.quote, -quote - buyer_fee)
        self.add(buyer.command.account_id, market.base, base)
        self.add(seller.command.account_id, market.base, -base)
        self.add(seller.command.account_id, market.quote, quote - seller_fee)
        released = buyer_hold_before - quote - buyer_fee - self.hold_of(buyer)[1]
        self.trade_count += 1
        out.append(
            e.Trade(
                self.trade_count, taker.command.market_id, maker.id, taker.id, maker.command.account_id,
                taker.command.account_id, taker.command.side, price, size, base, quote, maker_fee, taker_fee,
                released, maker.left, taker.left,
            )
        )  # fmt: skip
        if maker.left == 0:
            self.finish(maker, EndReason.FILLED, out, rested=True)

    def finish(self, order: NaiveOrder, reason: EndReason, out: list[e.Event], *, rested: bool) -> None:
        asset, released = self.hold_of(order)
        if rested:
            self.resting.remove(order)
        order.ended, order.ended_at = reason.value, self.now
        p = order.command
        out.append(
            e.OrderEnded(
                order.id, p.account_id, p.market_id, p.side, p.price_ticks, reason, order.left, asset,
                released, rested,
            )
        )  # fmt: skip
