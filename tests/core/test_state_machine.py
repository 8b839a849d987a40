"""Every command in any order, by several owners, on several markets: after each step all books balance.

The venue audits the state, folds the events and compares the committed view after each command; see
tests/core/checked.py.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.strategies import COMMANDS, structs
from tests.core.test_codec import decode_commands, decode_events
from tests.core.test_determinism import day
from tests.core.venue import SECOND, Venue, address

from exchange.core.commands import (
    AmendOrder,
    CancelAll,
    CancelAllAfter,
    CancelClientOrder,
    CancelOrder,
    OpenMarket,
    PlaceOrder,
    SetAccountLimits,
    SetAccountState,
    SetFees,
    SetFeeTier,
    SetMarketState,
    SetPriceBands,
    SetRules,
    SetWithdrawalTerms,
    Tick,
    TransferFunds,
)
from exchange.core.events import NonceUsed, Rejected
from exchange.core.image import decode_state, encode_state
from exchange.core.orders import Order
from exchange.core.units import MAX_ATOMS
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
from exchange.journal.rows import encode_payload

people = st.sampled_from(["alice", "bob", "carol"])
symbols = st.sampled_from(["APPLE", "COIN", "GOLD", "DOGE"])
fees = st.sampled_from([0, 1, 25, 9_999, 10_000])
rebates = st.sampled_from([0, -1, -25, -10_000, 30])
prices = st.one_of(st.integers(1, 6), st.sampled_from([0, 1_000, 2**40, 2**63 - 1]))
sizes = st.one_of(st.integers(1, 9), st.sampled_from([0, 1_000, 2**40, 2**63 - 1]))
amounts = st.one_of(st.integers(1, 100), st.sampled_from([0, 10**6, 2**64, 2**127, MAX_ATOMS, MAX_ATOMS + 1]))
labels = st.sampled_from(["w1", "w2", "w3"])
in_force = st.sampled_from([TimeInForce.GTC] * 3 + list(TimeInForce))
modes = st.sampled_from(SelfTradePrevention)
traders = st.sampled_from([1_000, 1_001, 1_002])
"""Alice, Bob and Carol."""
accounts = st.sampled_from([1_000, 1_001, 1_002, 1_003, 1_004])
"""And sub-accounts of Alice and Bob."""
markets = st.sampled_from([1, 1, 1, 2, 3])
client_ids = st.sampled_from([None, None, "a", "b"])
placements = st.fixed_dictionaries(
    {
        "account_id": accounts, "market_id": markets, "side": st.sampled_from(Side),
        "time_in_force": in_force, "price_ticks": prices, "size_lots": sizes, "client_order_id": client_ids,
        "self_trade_prevention": modes,
    }
)  # fmt: skip
bots = st.sampled_from(["b1", "b2", "b3", "b4", "b5"])
agent_bounds = st.fixed_dictionaries(
    {
        "market_ids": st.sampled_from([(), (1,), (1, 1), (9,)]),
        "sub_accounts": st.sampled_from([(), (0, 1), (128,)]),
        "nonce": st.integers(1, 3),
    }
)
AWAY_US = [sign * 60_000_000 + off for sign in (-1, 1) for off in (-1, 0, 1)]
triggers = st.tuples(st.sampled_from(TriggerKind), st.integers(1, 7))


class Exchange(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.venue = Venue(rules=1)
        self.used: set[tuple[str, int]] = set()
        """Nonces."""

    def do(self, command: Any) -> None:
        events = self.venue.do(command)
        assert events
        refused = [event for event in events if isinstance(event, Rejected)]
        assert len(refused) in (0, 1)
        assert not refused or len(events) == 1, "a refusal stands alone"

    def place(self, **fields: Any) -> None:
        order: dict[str, Any] = {
            "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "client_order_id": None,
            "expires_ns": self.venue.time_ns + 30 * SECOND, **fields,
        }  # fmt: skip
        self.do(PlaceOrder(**order))

    def pick(self, number: int) -> Order | None:
        orders = list(self.venue.state.orders.values())
        return orders[number % len(orders)] if orders else None

    @initialize(
        maker=fees, taker=fees, lot=st.sampled_from([1, 7, 2**64]), rules=st.sampled_from([1, 2, 2, 2])
    )
    def begin(self, maker: int, taker: int, lot: int, rules: int) -> None:
        venue = self.venue
        for version in range(2, rules + 1):
            self.do(SetRules(version))
        venue.open_market("APPLE", "COIN", maker_fee_bps=maker, taker_fee_bps=taker)
        venue.open_market("GOLD", "COIN", maker_fee_bps=taker, taker_fee_bps=maker, lot_atoms=lot)
        venue.open_market("APPLE", "GOLD", maker_fee_bps=5, taker_fee_bps=10, lot_atoms=lot)
        for name, means in (("alice", 500), ("bob", 10**6), ("carol", 2**126)):
            venue.give(name, apple=means, coin=means, gold=means)
        for name in ("alice", "bob"):
            for symbol in ("APPLE", "COIN", "GOLD"):
                venue.transfer(name, symbol, 100, to=1, cid=symbol)

    # ---- orders

    @rule(orders=st.lists(placements, min_size=1, max_size=8), market_orders=st.booleans())
    def place_some(self, orders: list[dict[str, Any]], market_orders: bool) -> None:
        for order in orders:
            takes = market_orders and order["time_in_force"] in (TimeInForce.IOC, TimeInForce.FOK)
            till_ns = self.venue.time_ns + SECOND if order["time_in_force"] is TimeInForce.GTT else 0
            self.place(
                order_type=OrderType.MARKET if takes else OrderType.LIMIT, good_till_ns=till_ns, **order
            )

    @rule(orders=st.lists(placements, min_size=3, max_size=8), price=st.integers(1, 4))
    def trade(self, orders: list[dict[str, Any]], price: int) -> None:
        """Orders of several owners at one price of one market, so that most of them meet."""
        for order in orders:
            rest = {"market_id": 1, "price_ticks": price, "size_lots": min(order["size_lots"], 50)}
            self.place(**{**order, "time_in_force": TimeInForce.GTC, "client_order_id": None, **rest})

    @rule(account=traders, price=prices, size=sizes, market=st.integers(1, 3))
    def cross(self, account: int, price: int, size: int, market: int) -> None:
        """Two orders of different owners that meet, when both can pay."""
        other = 1_000 + (account - 999) % 3
        for who, side in ((account, Side.SELL), (other, Side.BUY)):
            self.place(account_id=who, market_id=market, side=side, price_ticks=price, size_lots=size)

    @rule(
        orders=st.lists(st.tuples(placements, triggers, st.integers(1, 9)), max_size=4),
        walk=st.lists(st.integers(1, 7), max_size=4),
    )
    def wait_for_prices(
        self, orders: list[tuple[dict[str, Any], tuple[TriggerKind, int], int]], walk: list[int]
    ) -> None:
        """Orders with triggers; then Bob and Carol trade a little at one price after the other."""
        for order, (trigger, trigger_ticks), price in orders:
            waiting = {**order, "price_ticks": price, "size_lots": min(order["size_lots"], 20)}
            till_ns = self.venue.time_ns + SECOND if order["time_in_force"] is TimeInForce.GTT else 0
            self.place(**waiting, trigger=trigger, trigger_ticks=trigger_ticks, good_till_ns=till_ns)
        for price in walk:
            for account_id, side in ((1_002, Side.SELL), (1_001, Side.BUY)):
                self.place(account_id=account_id, market_id=1, side=side, price_ticks=price, size_lots=2)

    @rule(order=placements, seconds=st.sampled_from([0.000000001, 1, 30, 2**40]))
    def place_for_a_time(self, order: dict[str, Any], seconds: float) -> None:
        good_till_ns = self.venue.time_ns + int(seconds * SECOND)
        self.place(**{**order, "time_in_force": TimeInForce.GTT, "good_till_ns": good_till_ns})

    @rule(account=accounts, market=markets, amount=amounts, worst=prices, mode=modes)
    def spend(self, account: int, market: int, amount: int, worst: int, mode: SelfTradePrevention) -> None:
        self.place(
            account_id=account, market_id=market, side=Side.BUY, order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC, price_ticks=worst, size_lots=0, quote_atoms=amount,
            self_trade_prevention=mode,
        )  # fmt: skip

    @rule(number=st.integers(0, 10**6), price=st.one_of(prices, st.none()), size=st.integers(-3, 9))
    def amend(self, number: int, price: int | None, size: int) -> None:
        order = self.pick(number)
        if order is not None:
            at = order.price_ticks if price is None else price
            account_id = order.account.account_id
            self.do(AmendOrder(account_id, order.order_id, at, order.size_lots + size, self.venue.time_ns))

    @rule(number=st.integers(0, 10**6))
    def cancel(self, number: int) -> None:
        order = self.pick(number)
        if order is not None:
            self.do(CancelOrder(order.account.account_id, order.order_id))

    @rule(
        account=st.sampled_from([1_000, 1_001, 1_002, 1_003, 1]),
        name=st.sampled_from(["a", "b", ""]),
        only=st.sampled_from([(), (), (1,), (2, 9)]),
    )
    def cancel_by_client(self, account: int, name: str, only: tuple[int, ...]) -> None:
        self.do(CancelClientOrder(account, name, only))

    @rule(
        account=st.sampled_from([1_000, 1_001, 1_002, 1_003, 1]),
        market=st.sampled_from([None, 1, 2, 3, 9]),
        side=st.sampled_from([None, *Side]),
    )
    def cancel_all(self, account: int, market: int | None, side: Side | None) -> None:
        self.do(CancelAll(account, market, side))

    @rule(account=accounts, seconds=st.sampled_from([0, 1, 59, 90_000]))
    def set_switch(self, account: int, seconds: int) -> None:
        self.do(CancelAllAfter(account, self.venue.time_ns + seconds * SECOND if seconds else 0))

    @rule(seconds=st.sampled_from([0, 0.000000001, 1, 59, 61, 601, 90_000]), ticks=st.integers(0, 3))
    def wait(self, seconds: float, ticks: int) -> None:
        self.venue.pass_time(seconds)
        for _ in range(ticks):
            self.do(Tick())

    @rule()
    def let_work_queue(self) -> None:
        """From now on no Ticks come by themselves."""
        self.venue.ticking = False

    @rule()
    def let_ticks_come(self) -> None:
        self.venue.ticking = True

    # ---- funds

    @rule(name=people, symbol=symbols, amount=amounts, skip=st.sampled_from([0, 0, 0, -1, 1]))
    def deposit(self, name: str, symbol: str, amount: int, skip: int) -> None:
        last = max(self.venue.state.last_deposit.values(), default=0)
        self.venue.deposit(name, symbol, amount, number=last + 1 + skip)

    @rule(account=accounts, to=st.integers(0, 2), asset=st.integers(1, 4), amount=amounts, label=labels)
    def transfer(self, account: int, to: int, asset: int, amount: int, label: str) -> None:
        expires_ns = self.venue.time_ns + 60 * SECOND
        self.do(TransferFunds(account, to, asset, amount, label, expires_ns))

    @rule(name=people, symbol=st.sampled_from(["APPLE", "COIN", "GOLD"]), amount=amounts, label=labels)
    def withdraw(self, name: str, symbol: str, amount: int, label: str) -> None:
        self.venue.withdraw(name, symbol, amount, label)

    @rule(label=labels, outcome=st.sampled_from(["paid", "claimable"]))
    def settle(self, label: str, outcome: str) -> None:
        self.venue.settle(label, outcome)

    @rule(label=labels, late=st.sampled_from([0, 601]))
    def refund(self, label: str, late: int) -> None:
        self.venue.refund(label, self.venue.time_ns // SECOND + late)

    # ---- the operator

    @rule(symbol=symbols, decimals=st.integers(-1, 37), quote=symbols, maker=rebates, taker=fees)
    def operate(self, symbol: str, decimals: int, quote: str, maker: int, taker: int) -> None:
        self.venue.list_asset(symbol, decimals)
        self.do(OpenMarket(f"{symbol}/{quote}", symbol, quote, 1, 0, 1, maker, taker))

    @rule(market=markets, state=st.sampled_from([*[MarketState.OPEN] * 5, *MarketState]))
    def set_state(self, market: int, state: MarketState) -> None:
        self.do(SetMarketState(market, state))

    @rule(market=markets, tiers=st.lists(st.tuples(rebates, fees), min_size=1, max_size=3))
    def set_fees(self, market: int, tiers: list[tuple[int, int]]) -> None:
        self.do(SetFees(market, tuple(tiers)))

    @rule(name=people, tier=st.integers(0, 3))
    def set_tier(self, name: str, tier: int) -> None:
        self.do(SetFeeTier(address(name), tier))

    @rule(
        market=markets,
        band=st.sampled_from([0, 0, 500, 10_000]),
        market_band=st.sampled_from([1, 500, 10_000]),
    )
    def set_bands(self, market: int, band: int, market_band: int) -> None:
        self.do(SetPriceBands(market, band, market_band))

    @rule(account=accounts, limits=st.sampled_from([(1_000, 1_000), (1_000, 3), (3, 2), (0, 0), (2, 3)]))
    def set_limits(self, account: int, limits: tuple[int, int]) -> None:
        self.do(SetAccountLimits(account, *limits))

    @rule(account=accounts, state=st.sampled_from([AccountState.ACTIVE, *AccountState]))
    def restrict(self, account: int, state: AccountState) -> None:
        self.do(SetAccountState(account, state))

    @rule(asset=st.integers(1, 4), fee=st.sampled_from([-1, 0, 3, MAX_ATOMS]), least=st.integers(0, 5))
    def set_withdrawal_terms(self, asset: int, fee: int, least: int) -> None:
        self.do(SetWithdrawalTerms(asset, fee, least))

    @rule(version=st.integers(0, 3))
    def set_rules(self, version: int) -> None:
        self.do(SetRules(version))

    # ---- agents

    @rule(name=people, bot=bots, days=st.sampled_from([0, 1e-6, 0.001, 30, 366, 367]), bounds=agent_bounds)
    def approve(self, name: str, bot: str, days: float, bounds: dict[str, Any]) -> None:
        self.venue.approve(name, bot, days=days, **bounds)

    @rule(name=people, bot=bots)
    def revoke(self, name: str, bot: str) -> None:
        self.venue.revoke(name, bot)

    @rule(
        bot=bots, ahead_us=st.lists(st.one_of(st.integers(-70, 70), st.sampled_from(AWAY_US)), max_size=150)
    )
    def sign(self, bot: str, ahead_us: list[int]) -> None:
        """No nonce is ever taken twice, whatever was forgotten, and whatever the machine went through."""
        for ahead in ahead_us:
            (event,) = self.venue.sign(bot, ahead_us=ahead)
            if isinstance(event, NonceUsed):
                assert (event.key, event.nonce) not in self.used
                self.used.add((event.key, event.nonce))

    @rule(name=people, rate_class=st.sampled_from(RateClass))
    def set_rate_class(self, name: str, rate_class: RateClass) -> None:
        self.venue.set_rate_class(name, rate_class)

    # ---- anything

    @rule(command=structs(COMMANDS))
    def anything_at_all(self, command: Any) -> None:
        """Fields of any size and sense: refused or taken, never a crash."""
        self.do(command)

    @rule()
    def go_on_from_the_image(self) -> None:
        """As after a restart from a snapshot."""
        image = encode_state(self.venue.state)
        self.venue.state = decode_state(image)
        assert encode_state(self.venue.state) == image
        self.venue.check()

    @invariant()
    def the_last_command_and_events_survive_the_journal(self) -> None:
        if self.venue.log:
            _, command, events = self.venue.log[-1]
            assert decode_commands(encode_payload([command])) == [command]
            assert decode_events(encode_payload([events])) == [events]

    def teardown(self) -> None:
        """Nothing is stuck: when every order is cancelled, nobody holds anything and no work is left."""
        venue = self.venue
        venue.ticking = True
        for market_id in list(venue.state.markets):
            self.do(SetMarketState(market_id, MarketState.CANCEL_ONLY))
        for account_id in list(venue.state.accounts):
            self.do(CancelAll(account_id, None))
            self.do(CancelAllAfter(account_id, 0))
        state = venue.state
        for account in state.accounts.values():
            assert all(entry.held_atoms == 0 for entry in account.balances.values())
        assert (list(state.orders), venue.told, state.expiries, state.switches, state.met_markets) == (
            [],
            {},
            [],
            [],
            [],
        )
        assert all(book.is_empty() for book in state.books.values())


TestExchange = Exchange.TestCase
TestExchange.settings = settings(
    max_examples=40, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_long_day_of_all_commands_balances_after_each(seed: int) -> None:
    """Deeper than the machine above gets: books that are full, cascades of triggers, many states."""
    venue = Venue(rules=1, ticking=False)
    for time_ns, command, events in day(seed, 500).log:
        venue.time_ns = time_ns
        assert venue.do(command) == events
