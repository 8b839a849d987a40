"""Random commands that the exchange has something to say to: mostly orders that meet, now and then anything.

They are drawn with a look at the naive exchange, which knows what is open, near and due.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from tests.core.naive import Naive
from tests.core.venue import CHAIN_ID, SECOND, START_NS, VAULT, address, approval, key_of, token

from exchange.core.commands import (
    AmendOrder,
    ApproveAgent,
    CancelAll,
    CancelAllAfter,
    CancelClientOrder,
    CancelOrder,
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    RefundWithdrawal,
    RequestWithdrawal,
    RevokeAgent,
    SetAccountLimits,
    SetAccountState,
    SetFees,
    SetFeeTier,
    SetMarketState,
    SetPriceBands,
    SetRateClass,
    SetRules,
    SettleWithdrawal,
    SetWithdrawalTerms,
    Tick,
    TransferFunds,
    UseNonce,
)
from exchange.core.words import (
    AccountState,
    MarketState,
    OrderType,
    RateClass,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerKind,
)

OWNERS = ("alice", "bob", "carol", "dan")
HUGE = 2**127
DAY = 86_400 * SECOND
EXPIRIES = [30] * 120 + [-1, 60, 61]
"""Seconds after the time of the command, see `timed`."""


class Chooser(Protocol):
    """What both a seeded random generator and a Hypothesis draw can do: pick one of a list."""

    def __call__(self, options: Sequence[Any], /) -> Any: ...


def make_command(pick: Chooser, naive: Naive) -> tuple[int, Any]:
    """(seconds to wait, a command). Its `expires_ns`, if it has one, counts from the time it is sent at."""
    if naive.work_is_due() and pick(range(8)):
        return 0, Tick()
    wait_s = pick([0] * 120 + [1, 1, 1, 2, 3, 29, 60, 60, 61, 400])
    sent_ns = max(naive.now, START_NS) + wait_s * SECOND
    return wait_s, pick(KINDS)(pick, naive, sent_ns)


def timed(command: Command, time_ns: int) -> Command:
    """The command as it is sent at a time: `expires_ns` is absolute now."""
    if isinstance(command, PlaceOrder | AmendOrder | TransferFunds):
        return msgspec.structs.replace(command, expires_ns=time_ns + command.expires_ns)
    return command


def some_account(pick: Chooser, naive: Naive) -> int:
    account: int = pick([*naive.owners][:6] * 8 + [*naive.owners] * 4 + [7, 2])
    return account


def some_market(pick: Chooser, naive: Naive) -> int:
    """The market that was opened last is mostly left alone: it stays without a price."""
    market: int = pick([1] * 32 + [4] * 24 + [2] * 16 + [*naive.markets][:-1] * 5 + [9])
    return market


# ---- orders


def prices_of(market_id: int) -> list[int]:
    return [*range(92, 109)] if market_id == 4 else [*range(1, 9)]


def place(pick: Chooser, naive: Naive, sent_ns: int) -> Command:
    market_id = some_market(pick, naive)
    kind = pick([OrderType.LIMIT] * 5 + [OrderType.MARKET])
    brief, resting = [TimeInForce.IOC, TimeInForce.FOK], [TimeInForce.GTC, TimeInForce.GTT]
    if kind == OrderType.MARKET:
        tif = pick(brief * 10 + [*TimeInForce])
    else:
        tif = pick(resting * 5 + [TimeInForce.GTC] * 10 + [TimeInForce.POST_ONLY] * 3 + brief * 2)
    price = pick(prices_of(market_id) * 40 + [0, -1, 150, 2**40, 2**62, 2**63 - 1, 2**63])
    order = PlaceOrder(
        some_account(pick, naive),
        market_id,
        pick(list(Side)),
        kind,
        tif,
        pick([price, 0]) if kind == OrderType.MARKET else price,
        pick([*range(1, 13)] * 30 + [0, -1, 37, 3_000, 2**40, 2**60, 2**63 - 1, 2**63]),
        pick([None] * 16 + ["a", "b", ""]),
        pick(EXPIRIES) * SECOND,
        pick([SelfTradePrevention.CANCEL_NEWEST, *SelfTradePrevention]),
        sent_ns + pick([1, 2, 3, 30, 500] * 5 + [0, -1]) * SECOND if tif == TimeInForce.GTT else 0,
    )
    formed: PlaceOrder = pick([plain] * 28 + [triggered] * 10 + [by_amount, odd] * 2)(pick, naive, order)
    return formed


def plain(_pick: Chooser, _naive: Naive, order: PlaceOrder) -> PlaceOrder:
    return order


def triggered(pick: Chooser, naive: Naive, order: PlaceOrder) -> PlaceOrder:
    """It waits for a price that is near."""
    market = naive.markets.get(order.market_id)
    near = pick(prices_of(order.market_id)) if market is None or market.last is None else market.last
    kind = pick(list(TriggerKind))
    away = 1 if (kind == TriggerKind.STOP) == (order.side == Side.BUY) else -1
    ticks = near + pick([away, 2 * away, 3 * away] * 20 + [-away, 0, 1 - near, -near, 2**63 - near])
    tif = order.time_in_force
    if tif == TimeInForce.GTC:
        tif = pick([tif, tif, TimeInForce.POST_ONLY])
    return msgspec.structs.replace(order, trigger=kind, trigger_ticks=ticks, time_in_force=tif)


def by_amount(pick: Chooser, naive: Naive, order: PlaceOrder) -> PlaceOrder:
    market = naive.markets.get(order.market_id)
    unit = market.unit if market else 1
    amounts = [unit * lots * price for lots in (1, 5, 20) for price in prices_of(order.market_id)]
    amount = pick(amounts * 2 + [-1, unit - 1, 2**64, 2**100, 2**128 - 1, 2**128]) + pick([0, 0, 1, 7])
    changes: dict[str, Any] = {
        "side": Side.BUY, "order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC,
        "size_lots": pick([0] * 12 + [1]), "good_till_ns": 0, "quote_atoms": amount,
    }  # fmt: skip
    return msgspec.structs.replace(order, **changes)


def odd(pick: Chooser, naive: Naive, order: PlaceOrder) -> PlaceOrder:
    """One field that may not fit to the others."""
    unpriced = {
        "market_id": max(naive.markets), "order_type": OrderType.MARKET, "price_ticks": 0,
        "time_in_force": TimeInForce.IOC, "good_till_ns": 0,
    }  # fmt: skip
    changes: dict[str, Any] = pick([
        unpriced, unpriced, unpriced,
        {"good_till_ns": 5}, {"good_till_ns": 0}, {"good_till_ns": 2**63}, {"trigger_ticks": 4},
        {"trigger": TriggerKind.STOP}, {"quote_atoms": 9}, {"size_lots": 0},
        {"self_trade_prevention": SelfTradePrevention.DECREMENT},
    ])  # fmt: skip
    base: PlaceOrder = pick([order, by_amount(pick, naive, order)])
    return msgspec.structs.replace(base, **changes)


def again(pick: Chooser, naive: Naive, sent_ns: int) -> Command:
    """Something sent before under an id, perhaps with one change."""
    sent: list[PlaceOrder] = [order.command for order in [*naive.known_orders.values()][-3:]]
    if not sent:
        return place(pick, naive, sent_ns)
    change = pick([{}, {}, {"price_ticks": 3}, {"good_till_ns": sent_ns + SECOND}])
    same: PlaceOrder = pick(sent)
    return msgspec.structs.replace(same, expires_ns=30 * SECOND, **change)


def amend(pick: Chooser, naive: Naive, sent_ns: int) -> Command:
    if not naive.open:
        return place(pick, naive, sent_ns)
    begun = [order for order in naive.open if order.left < order.size]
    order = pick(pick([naive.open, naive.open, begun or naive.open]))
    price = order.price + pick([0] * 12 + [-2, -1, 1, 2] * 4 + [-order.price, 40, 2**62])
    size = order.size + pick([0, 0, -3, -2, -1, 1, 2, 3] * 6 + [-order.size, 40, 2**62] + [-order.left] * 3)
    account = pick([order.account] * 20 + [some_account(pick, naive)])
    return AmendOrder(account, pick([order.id] * 20 + [0]), price, size, pick(EXPIRIES) * SECOND)


def cancel(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    real = [(order.account, order.id) for order in naive.open]
    return CancelOrder(*pick([*real, (some_account(pick, naive), pick([naive.seq - 3, 0]))]))


def cancel_by_client(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    """Mostly of an order that is open; or of one that has ended, of nobody's, or of another's id."""
    named = [(order.account, order.command.client_order_id) for order in naive.open]
    real = [pair for pair in named if pair[1] is not None]
    account, name = pick(
        [*real * 4, *naive.known_orders, (some_account(pick, naive), pick(["a", "b", "z", ""]))]
    )
    return CancelClientOrder(account, name, pick([()] * 6 + [(1,), (4, 2), (1, 2, 4), (9,)]))


def cancel_all(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    market_id = pick([None, None, None, some_market(pick, naive)])
    return CancelAll(some_account(pick, naive), market_id, pick([None, None, *Side]))


def cancel_all_after(pick: Chooser, naive: Naive, sent_ns: int) -> Command:
    account = some_account(pick, naive)
    ahead = pick([1, SECOND, 2 * SECOND, 40 * SECOND] * 2 + [0, -1, DAY, DAY + 1])
    return CancelAllAfter(account, pick([0, sent_ns + ahead, sent_ns + ahead]))


# ---- funds


def transfer(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    known = [t for t in [*naive.known_transfers.values()][-2:] if pick(range(2))]
    if known:
        change = pick([{}, {"amount_atoms": 3}])
        same: TransferFunds = pick(known)
        return msgspec.structs.replace(same, expires_ns=30 * SECOND, **change)
    account, asset = some_account(pick, naive), pick([1, 2, 3] * 8 + [4, 9])
    most = max(0, naive.available(account, asset))
    amount = pick([1, most // 3, most // 2] * 6 + [most, most + 1, 0, -1, 2**128])
    sub_account = pick([0, 1, 2] * 6 + [127, 128, -1])
    label = pick(["t1", "t2", "t3"] * 6 + [""])
    return TransferFunds(account, sub_account, asset, amount, label, pick(EXPIRIES) * SECOND)


def deposit(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    number = naive.deposits.get((CHAIN_ID, VAULT), 0) + pick([1] * 8 + [0, 2])
    owner = pick([address(name) for name in OWNERS] * 5 + [""])
    amount = pick([10, 400, 5_000, 10**20] * 6 + [0, HUGE, 2**128 - 1, 2**128])
    symbol = pick(["APPLE", "COIN", "GOLD"] * 4 + ["DOGE", "DUST"])
    return CreditDeposit(CHAIN_ID, VAULT, number, owner, token(symbol), amount, "0xd", 1, 77)


def withdraw(pick: Chooser, naive: Naive, sent_ns: int) -> Command:
    label = f"0xw{pick(range(80))}"
    amount = pick([3, 4, 50] * 4 + [1, 2, -1, 0, 10**6, HUGE, 2**128])
    deadline_s = sent_ns // SECOND + pick([600, 5_000, 80_000] * 6 + [0, 0, 60, 86_400, 90_000, 90_000])
    account = pick([1_002] * 12 + [some_account(pick, naive)])
    asset, most_fee = pick([1, 2, 2, 3] * 4 + [4, 9]), pick([2] * 5 + [1])
    return RequestWithdrawal(label, account, asset, amount, most_fee, "0xd", 1, deadline_s, "0xs")


def land(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    """What became of a withdrawal."""
    label = pick([pick([*naive.flying, "0x"]), pick([*naive.landed, "0x"]), "0xw"])
    if pick([True, False]):
        return SettleWithdrawal(label, "0xt", 9, pick(["paid", "claimable"]))
    deadline_s = naive.flying[label].deadline_s if label in naive.flying else 0
    return RefundWithdrawal(label, 9, deadline_s + pick([-1, 0, 1, 600]))


# ---- the operator


def set_state(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    closed = [m.id for m in naive.markets.values() if m.state != MarketState.OPEN]
    if closed and pick(range(6)):
        return SetMarketState(pick(closed), MarketState.OPEN)
    return SetMarketState(some_market(pick, naive), pick([MarketState.OPEN, *MarketState]))


def set_fees(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    tables = [
        ((0, 0),), ((7, 33),), ((-3, 20), (-8, 12), (-10, 10)), ((10, 20), (-12, 12)), ((-20, 20),),
        ((10_000, 10_000),), ((-9, 8),), ((-5, 30), (0, 4)), (), ((1, 10_001),), ((10_001, 1),), ((0, -1),),
        ((1, 2),) * 17,
    ]  # fmt: skip
    return SetFees(some_market(pick, naive), pick(tables[:4] * 6 + tables))


def set_tier(pick: Chooser, _naive: Naive, _sent_ns: int) -> Command:
    return SetFeeTier(address(pick(OWNERS)), pick([0, 1, 2] * 3 + [15, 16, -1]))


def set_bands(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    market_id = some_market(pick, naive)
    bands = [(800, 300), (500, 500)] if market_id == 4 else [(0, 500), (0, 3_000), (10_000, 2_000)]
    wrong = [(300, 301), (-1, 5), (0, 0), (10_001, 5), (0, 10_001)]
    return SetPriceBands(market_id, *pick(bands * 5 + [(300, 1), *wrong]))


def set_limits(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    limited = [account for account, limits in naive.limits.items() if limits != (1_000, 1_000)]
    if limited and pick(range(6)):
        return SetAccountLimits(pick(limited), 1_000, 1_000)
    limits = [(9, 3), (9, 3), (4, 2), (1_000, 1), (2, 1), (0, 0), (1_001, 5), (3, 4), (5, -1)]
    return SetAccountLimits(some_account(pick, naive), *pick(limits))


def set_account_state(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    if naive.restricted and pick(range(6)):
        return SetAccountState(pick([*naive.restricted]), AccountState.ACTIVE)
    return SetAccountState(some_account(pick, naive), pick([*AccountState, AccountState.FROZEN]))


def set_withdrawal_terms(pick: Chooser, _naive: Naive, _sent_ns: int) -> Command:
    terms = [(2, 1), (0, 1), (1, 2), (3, 4)] * 5 + [(-1, 1), (0, 0), (2**128, 1), (0, 2**128)]
    return SetWithdrawalTerms(pick([1, 2, 2, 3] * 4 + [4, 9]), *pick(terms))


def set_rules(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    """Never the next version: which one a run plays by is its own choice."""
    return SetRules(pick([0, naive.rules, 3]))


def open_account(pick: Chooser, _naive: Naive, _sent_ns: int) -> Command:
    return OpenAccount(pick([address(name) for name in OWNERS] * 5 + [""]), pick([0, 1, 2] * 5 + [128, -1]))


def list_asset(pick: Chooser, _naive: Naive, _sent_ns: int) -> Command:
    symbol = pick(["APPLE", "DOGE", "DOGE", ""])
    return ListAsset(symbol, pick([0, 8, 8, 37]), CHAIN_ID, VAULT, token(symbol), 0, pick([1, 1, 0]))


def open_market(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    """Five new ones in all, then no more."""
    number = len(naive.markets)
    market = OpenMarket(f"NEW-{number}", "APPLE", "COIN", 1, 0, 1, 0, 5, pick(list(MarketState)))
    wrong: list[dict[str, Any]] = [
        {"symbol": "APPLE-COIN"}, {"symbol": ""}, {"base": "COIN"}, {"base": "NONE"}, {"tick_mantissa": 0},
        {"tick_decimals": 1}, {"tick_decimals": 1}, {"tick_decimals": 37}, {"lot_atoms": 0},
        {"maker_fee_bps": 10_001}, {"maker_fee_bps": -6}, {"taker_fee_bps": 10_001}, {"price_band_bps": 300},
    ]  # fmt: skip
    good = {"symbol": f"NEW-{min(number, 8)}"}
    return msgspec.structs.replace(market, **pick([good] * 3 + wrong))


# ---- agents


def approve(pick: Chooser, naive: Naive, sent_ns: int) -> Command:
    """Mostly a new key, now and then one that is known, as it was or otherwise."""
    if naive.approvals and pick(range(3)) == 0:
        known = naive.approvals[pick([*naive.approvals][-8:])]
        names = known.__struct_fields__
        same = ApproveAgent(*(getattr(known, name) for name in names), 1, "0xs")
        change = pick([{}, {}, {"name": "other"}, {"owner": address("dan")}, {"nonce": 2}])
        return msgspec.structs.replace(same, **change)
    wrong: list[dict[str, Any]] = [
        {"owner": ""}, {"key": "0x12"}, {"key": key_of("A").upper()}, {"name": ""}, {"name": "x" * 65},
        {"scopes": ()}, {"market_ids": (1, 1)}, {"market_ids": (1, 9)}, {"sub_accounts": (0, 128)},
        {"sub_accounts": (-1,)}, {"sub_accounts": (1, 1)}, {"ip_ranges": ("",)}, {"ip_ranges": ("x" * 44,)},
        {"ip_ranges": tuple(f"10.0.0.{n}/32" for n in range(17))}, {"nonce": -1}, {"nonce": 2**63},
    ]  # fmt: skip
    good: list[dict[str, Any]] = [
        {"market_ids": (2, 1)}, {"sub_accounts": (1, 0)}, {"ip_ranges": ("10.0.0.0/8", "::1/128")},
        {"nonce": 2**63 - 1}, {"key": address(f"key {pick(range(400))}")}, {"owner": address("dan")},
    ]  # fmt: skip
    ahead_ns = pick([1, 9 * SECOND, *[30 * DAY] * 5, 366 * DAY] * 4 + [0, -1, 366 * DAY + 1])
    owner, bot = pick([*OWNERS, "dan", "dan"]), f"bot {pick(range(400))}"
    return approval(owner, bot, sent_ns + ahead_ns, **pick([{}] * 16 + good * 2 + wrong))


def revoke(pick: Chooser, naive: Naive, _sent_ns: int) -> Command:
    """Of a key approved lately: those that were there at first go on."""
    key = pick([*[*naive.approvals][-6:] * 4, key_of("nobody's")])
    owner = naive.approvals[key].owner if key in naive.approvals else address("alice")
    return RevokeAgent(pick([owner] * 5 + [address("dan")]), key)


def use_nonce(pick: Chooser, naive: Naive, sent_ns: int) -> Command:
    keys, minute_us = [*naive.approvals], 60_000_000
    key = pick([*keys[:1] * 16, *keys[1:3] * 2, *keys[-6:] * 2, key_of("nobody's")])
    used = naive.nonces.get(key, [])[-2:]
    off_us = [*range(-2, 3)] * 4 + [minute_us - 1, minute_us, minute_us + 1, -minute_us, -minute_us - 1]
    return UseNonce(key, pick(used + [sent_ns // 1_000 + pick(off_us)] * 3))


def set_rate_class(pick: Chooser, _naive: Naive, _sent_ns: int) -> Command:
    return SetRateClass(pick([address(name) for name in OWNERS] * 3 + [""]), pick(list(RateClass)))


Kind = Callable[[Chooser, Naive, int], Command]
KINDS: list[Kind] = [
    *[place] * 140,
    *[cancel] * 7,
    *[cancel_by_client] * 3,
    *[amend] * 24,
    *[withdraw, use_nonce] * 8,
    *[again, transfer] * 6,
    *[set_state, deposit, land, approve] * 4,
    *[cancel_all_after, set_fees, set_limits, set_account_state] * 3,
    *[set_withdrawal_terms, cancel_all, set_tier, set_bands, open_account, open_market, list_asset] * 2,
    *[set_rules, revoke, set_rate_class],
]
