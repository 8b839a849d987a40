"""Seeded random traffic of every kind, for a market and a few accounts that have plenty."""

import random

from exchange.core.commands import (
    AmendOrder,
    CancelAll,
    CancelAllAfter,
    CancelClientOrder,
    CancelOrder,
    Command,
    CreditDeposit,
    PlaceOrder,
    RefundWithdrawal,
    RequestWithdrawal,
    SetAccountLimits,
    SetAccountState,
    SetFees,
    SetFeeTier,
    SetMarketState,
    SetPriceBands,
    SettleWithdrawal,
    SetWithdrawalTerms,
    TransferFunds,
)
from exchange.core.state import State
from exchange.core.words import (
    AccountState,
    MarketState,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerKind,
)

CHAIN_ID = 31_337
VAULT = "0x" + "aa" * 20
WETH = "0x" + "00" * 20
USDC = "0x" + "cc" * 20
OWNERS = 4
FIRST_ACCOUNT = 1_000
ACCOUNTS = OWNERS + 2
"""One each, and a second one for each of the first two owners."""

SECOND_NS = 10**9


def owner(number: int) -> str:
    return f"0x{number + 1:040x}"


def deposit(number: int, owner: str, token: str, amount_atoms: int) -> CreditDeposit:
    return CreditDeposit(
        CHAIN_ID, VAULT, number, owner, token, amount_atoms, f"0x{number:064x}", number % 7, 100 + number
    )


def place(
    account_id: int,
    side: Side,
    price_ticks: int,
    size_lots: int,
    *,
    order_type: OrderType = OrderType.LIMIT,
    time_in_force: TimeInForce = TimeInForce.GTC,
    client_order_id: str | None = None,
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.CANCEL_NEWEST,
    good_till_ns: int = 0,
    trigger: TriggerKind | None = None,
    trigger_ticks: int = 0,
    quote_atoms: int = 0,
) -> PlaceOrder:
    """An order in the first market; who journals it says until when it may be taken."""
    return PlaceOrder(
        account_id=account_id,
        market_id=1,
        side=side,
        order_type=order_type,
        time_in_force=time_in_force,
        price_ticks=price_ticks,
        size_lots=size_lots,
        client_order_id=client_order_id,
        expires_ns=0,
        self_trade_prevention=self_trade_prevention,
        good_till_ns=good_till_ns,
        trigger=trigger,
        trigger_ticks=trigger_ticks,
        quote_atoms=quote_atoms,
    )


def withdrawal(number: int, account_id: int, asset_id: int, amount_atoms: int, deadline_s: int) -> Command:
    withdrawal_id, destination = f"0x{number:064x}", "0x" + "dd" * 20
    return RequestWithdrawal(
        withdrawal_id,
        account_id,
        asset_id,
        amount_atoms,
        10**9,
        destination,
        2**255 + number,
        deadline_s,
        "0x",
    )


class Traffic:
    """Makes commands that mostly trade, and some of every other kind; the engine refuses a part of them."""

    def __init__(self, state: State, rng: random.Random, *, deposits: int, withdrawals: int) -> None:
        self._state = state
        self._random = rng
        self.deposits = deposits
        self.withdrawals = withdrawals
        self._named: list[PlaceOrder] = []

    def next(self, time_ns: int) -> Command:
        """A command for this time."""
        rng = self._random
        account_id = rng.randrange(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS)
        dice = rng.random()
        if self._state.markets[1].state is not MarketState.OPEN and dice < 0.2:
            return SetMarketState(1, MarketState.OPEN)
        if dice < 0.02 and self._named:
            return self._named[-1]
        if dice < 0.68:
            order = self._order(account_id, time_ns)
            if order.client_order_id is not None:
                self._named.append(order)
            return order
        if dice < 0.76:
            return self._amendment(account_id)
        if dice < 0.82:
            order_id = rng.choice(sorted(self._state.orders) or [1])
            order = self._state.orders.get(order_id)
            holder_id = account_id if order is None else order.account.account_id
            if order is not None and order.client_order_id is not None:
                return CancelClientOrder(holder_id, order.client_order_id)
            return CancelOrder(holder_id, order_id)
        if dice < 0.84:
            return CancelAll(account_id, rng.choice([1, None]), rng.choice([None, None, *Side]))
        if dice < 0.86:
            ahead_ns = rng.choice([0, rng.randrange(1, 100) * SECOND_NS, 25 * 3600 * SECOND_NS])
            return CancelAllAfter(account_id, ahead_ns and time_ns + ahead_ns)
        if dice < 0.90:
            return TransferFunds(
                account_id,
                rng.choice([0, 1, 1, 2]),
                rng.randint(1, 2),
                rng.choice([1, 10**6, 10**30]),
                f"t{rng.randrange(20)}",
                0,
            )
        if dice < 0.94:
            return self._operator(account_id)
        return self._chain(account_id, time_ns)

    def _order(self, account_id: int, time_ns: int) -> PlaceOrder:
        rng = self._random
        side = rng.choice(list(Side))
        client_order_id = f"c{rng.randrange(50)}" if rng.random() < 0.2 else None
        mode = rng.choice(list(SelfTradePrevention))
        price_ticks, size_lots = rng.randint(199_000, 201_000), rng.randint(1, 500)
        match rng.choice(
            ["gtc"] * 8 + ["gtt", "gtt", "now", "now", "market", "amount", "trigger", "trigger"]
        ):
            case "gtt":
                good_till_ns = time_ns + rng.randrange(1, 60) * SECOND_NS
                tif = TimeInForce.GTT
                return place(
                    account_id, side, price_ticks, size_lots, time_in_force=tif, good_till_ns=good_till_ns
                )
            case "now":
                tif = rng.choice([TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY])
                return place(
                    account_id, side, price_ticks, size_lots, time_in_force=tif, self_trade_prevention=mode
                )
            case "market":
                tif, kind = TimeInForce.IOC, OrderType.MARKET
                return place(account_id, side, 0, size_lots, order_type=kind, time_in_force=tif)
            case "amount":
                return place(
                    account_id,
                    Side.BUY,
                    rng.choice([0, price_ticks]),
                    0,
                    order_type=OrderType.MARKET,
                    time_in_force=TimeInForce.IOC,
                    quote_atoms=rng.randrange(1, 10**9),
                )
            case "trigger":
                return place(
                    account_id,
                    side,
                    price_ticks,
                    size_lots,
                    time_in_force=rng.choice([TimeInForce.GTC, TimeInForce.FOK, TimeInForce.POST_ONLY]),
                    trigger=rng.choice(list(TriggerKind)),
                    trigger_ticks=rng.randint(199_000, 201_000),
                    client_order_id=client_order_id,
                )
            case _:
                return place(
                    account_id,
                    side,
                    price_ticks,
                    size_lots,
                    client_order_id=client_order_id,
                    self_trade_prevention=mode,
                )

    def _amendment(self, account_id: int) -> AmendOrder:
        rng = self._random
        order = self._state.orders.get(rng.choice(sorted(self._state.orders) or [1]))
        if order is None:
            return AmendOrder(account_id, 1, 200_000, 1, 0)
        price_ticks = rng.choice([order.price_ticks, rng.randint(199_000, 201_000)])
        size_lots = rng.choice([order.size_lots, max(1, order.size_lots - 3), rng.randint(1, 600)])
        return AmendOrder(order.account.account_id, order.order_id, price_ticks, size_lots, 0)

    def _operator(self, account_id: int) -> Command:
        rng = self._random
        match rng.choice(["state", "fees", "tier", "bands", "limits", "restrict", "terms"]):
            case "state":
                return SetMarketState(1, rng.choice(list(MarketState)))
            case "fees":
                return SetFees(1, rng.choice([((2, 5),), ((1, 5), (-1, 4)), ((-1, 5), (-2, 3), (-3, 3))]))
            case "tier":
                return SetFeeTier(owner(rng.randrange(OWNERS + 1)), rng.randrange(4))
            case "bands":
                return SetPriceBands(1, rng.choice([0, 1_000]), rng.choice([10, 500]))
            case "restrict":
                restricted = [a for a in self._state.accounts.values() if a.state != AccountState.ACTIVE]
                if restricted:
                    return SetAccountState(restricted[0].account_id, AccountState.ACTIVE)
                return SetAccountState(account_id, rng.choice(list(AccountState)))
            case "terms":
                return SetWithdrawalTerms(rng.randint(1, 2), rng.choice([0, 10, 40]), rng.choice([1, 5]))
            case _:
                return SetAccountLimits(account_id, 1_000, rng.choice([2, 400, 1_000]))

    def _chain(self, account_id: int, time_ns: int) -> Command:
        rng = self._random
        withdrawal_id = rng.choice(list(self._state.withdrawals) or ["0x"])
        match rng.choice(["deposit", "request", "request", "refund", "settle"]):
            case "deposit":
                self.deposits += 1
                token = rng.choice([WETH, USDC])
                return deposit(self.deposits, owner(rng.randrange(OWNERS)), token, 10**6)
            case "request":
                self.withdrawals += 1
                deadline_s = time_ns // SECOND_NS + 600
                amount_atoms = rng.randint(1, 10**7)
                return withdrawal(self.withdrawals, account_id, rng.randint(1, 2), amount_atoms, deadline_s)
            case "refund":
                return RefundWithdrawal(withdrawal_id, 7, time_ns // SECOND_NS + 900)
            case _:
                outcome = "paid" if rng.random() < 0.7 else "claimable"
                return SettleWithdrawal(withdrawal_id, "0x" + "ee" * 32, 9, outcome)  # type: ignore[arg-type]
