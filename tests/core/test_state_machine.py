"""Every command in any order, by several owners, on several markets: after each step all books balance.

The venue audits the state, folds the events' movements and compares the committed view after each command;
see tests/core/venue.py.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.strategies import COMMANDS, structs
from tests.core.test_codec import decode_events
from tests.core.venue import SECOND, Venue

from exchange.core.commands import CancelAll, CancelOrder, OpenMarket, PlaceOrder
from exchange.core.events import Rejected
from exchange.core.orders import OrderType, Side, TimeInForce
from exchange.core.units import MAX_ATOMS
from exchange.journal.rows import encode_payload

people = st.sampled_from(["alice", "bob", "carol"])
symbols = st.sampled_from(["APPLE", "COIN", "GOLD", "DOGE"])
fees = st.sampled_from([0, 1, 25, 9_999, 10_000])
prices = st.one_of(st.integers(1, 6), st.sampled_from([0, 1_000, 2**40, 2**63 - 1]))
sizes = st.one_of(st.integers(1, 9), st.sampled_from([0, 1_000, 2**40, 2**63 - 1]))
amounts = st.one_of(st.integers(1, 100), st.sampled_from([0, 10**6, 2**64, 2**127, MAX_ATOMS, MAX_ATOMS + 1]))
labels = st.sampled_from(["w1", "w2", "w3"])
in_force = st.sampled_from([TimeInForce.GTC] * 3 + list(TimeInForce))
traders = st.sampled_from([1_000, 1_001, 1_002])
placements = st.tuples(
    traders, st.integers(1, 3), st.sampled_from(Side), in_force, prices, sizes,
    st.sampled_from([None, None, "a", "b"]), st.booleans(),
)  # fmt: skip


class Exchange(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.venue = Venue()

    def do(self, command: Any) -> None:
        events = self.venue.do(command)
        assert events
        refused = [event for event in events if isinstance(event, Rejected)]
        assert len(refused) in (0, 1)
        assert not refused or len(events) == 1, "a refusal stands alone"

    @initialize(maker=fees, taker=fees, lot=st.sampled_from([1, 7, 2**64]))
    def begin(self, maker: int, taker: int, lot: int) -> None:
        venue = self.venue
        venue.open_market("APPLE", "COIN", maker_fee_bps=maker, taker_fee_bps=taker)
        venue.open_market("GOLD", "COIN", maker_fee_bps=taker, taker_fee_bps=maker, lot_atoms=lot)
        venue.open_market("APPLE", "GOLD", maker_fee_bps=5, taker_fee_bps=10, lot_atoms=lot)
        for name, means in (("alice", 500), ("bob", 10**6), ("carol", 2**126)):
            venue.give(name, apple=means, coin=means, gold=means)

    @rule(name=people, symbol=symbols, amount=amounts, skip=st.sampled_from([0, 0, 0, -1, 1]))
    def deposit(self, name: str, symbol: str, amount: int, skip: int) -> None:
        last = max(self.venue.state.last_deposit.values(), default=0)
        self.venue.deposit(name, symbol, amount, number=last + 1 + skip)

    @rule(symbol=symbols, decimals=st.integers(-1, 37), quote=symbols, maker=fees, taker=fees)
    def operate(self, symbol: str, decimals: int, quote: str, maker: int, taker: int) -> None:
        self.venue.list_asset(symbol, decimals)
        self.do(OpenMarket(f"{symbol}/{quote}", symbol, quote, 1, 0, 1, maker, taker))

    @rule(orders=st.lists(placements, min_size=1, max_size=8))
    def place(self, orders: list[tuple[Any, ...]]) -> None:
        for account, market, side, tif, price, size, cid, market_order in orders:
            takes = market_order and tif in (TimeInForce.IOC, TimeInForce.FOK)
            kind = OrderType.MARKET if takes else OrderType.LIMIT
            expires = self.venue.time_ns + 30 * SECOND
            self.do(PlaceOrder(account, market, side, kind, tif, price, size, cid, expires))

    @rule(orders=st.lists(placements, min_size=3, max_size=8), price=st.integers(1, 4))
    def trade(self, orders: list[tuple[Any, ...]], price: int) -> None:
        """Orders of several owners at one price of one market, so that most of them meet."""
        for account, _, side, _, _, size, _, _ in orders:
            expires = self.venue.time_ns
            self.do(
                PlaceOrder(
                    account, 1, side, OrderType.LIMIT, TimeInForce.GTC, price, min(size, 50), None, expires
                )
            )

    @rule(account=traders, price=prices, size=sizes, market=st.integers(1, 3))
    def cross(self, account: int, price: int, size: int, market: int) -> None:
        """Two orders of different owners that meet, when both can pay."""
        other = 1_000 + (account - 999) % 3
        for who, side in ((account, Side.SELL), (other, Side.BUY)):
            self.do(
                PlaceOrder(
                    who, market, side, OrderType.LIMIT, TimeInForce.GTC, price, size, None, self.venue.time_ns
                )
            )

    @rule(pick=st.integers(0, 10**6))
    def cancel(self, pick: int) -> None:
        orders = list(self.venue.state.orders.values())
        if orders:
            order = orders[pick % len(orders)]
            self.do(CancelOrder(order.account.account_id, order.order_id))

    @rule(account=st.sampled_from([1_000, 1_001, 1_002, 1]), market=st.sampled_from([None, 1, 2, 3, 9]))
    def cancel_all(self, account: int, market: int | None) -> None:
        self.do(CancelAll(account, market))

    @rule(name=people, symbol=st.sampled_from(["APPLE", "COIN", "GOLD"]), amount=amounts, label=labels)
    def withdraw(self, name: str, symbol: str, amount: int, label: str) -> None:
        self.venue.withdraw(name, symbol, amount, label)

    @rule(label=labels, outcome=st.sampled_from(["paid", "claimable"]))
    def settle(self, label: str, outcome: str) -> None:
        self.venue.settle(label, outcome)

    @rule(label=labels, late=st.sampled_from([0, 601]))
    def refund(self, label: str, late: int) -> None:
        self.venue.refund(label, self.venue.time_ns // SECOND + late)

    @rule(seconds=st.sampled_from([0.000000001, 1, 59, 61, 601, 90_000]))
    def wait(self, seconds: float) -> None:
        self.venue.pass_time(seconds)

    @rule(command=structs(COMMANDS))
    def anything_at_all(self, command: Any) -> None:
        """Fields of any size and sense: refused or taken, never a crash."""
        self.do(command)

    @invariant()
    def the_last_events_survive_the_journal(self) -> None:
        if self.venue.log:
            events = [self.venue.log[-1][2]]
            assert decode_events(encode_payload(events)) == events

    def teardown(self) -> None:
        """Nothing is stuck: when every order is cancelled, nobody holds anything."""
        for account_id in list(self.venue.state.accounts):
            self.do(CancelAll(account_id, None))
        for account in self.venue.state.accounts.values():
            assert all(entry.held_atoms == 0 for entry in account.balances.values())


TestExchange = Exchange.TestCase
TestExchange.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
