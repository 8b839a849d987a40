"""The core and the naive exchange agree where a command meets a limit of work, memory or numbers."""

from collections import Counter
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any

import pytest
from tests.core.naive import Naive
from tests.core.test_naive_reference import compare, compare_balances, stage
from tests.core.venue import SECOND, Venue, approval, ends, fills, key_of, refusal

from exchange.core.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    PlaceOrder,
    SetMarketState,
    Tick,
    UseNonce,
)
from exchange.core.events import (
    Event,
    OrderAccepted,
    OrderAmended,
    OrderKnown,
    OrderTriggered,
    Rejected,
    Ticked,
)
from exchange.core.rejects import RejectReason
from exchange.core.words import (
    EndReason,
    MarketState,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerKind,
)

BOB, CAROL, DAN = 1_001, 1_002, 1_003
BOTH_OF_CAROL = (CAROL, 1_005)
"""An account may have 1,000 open orders, so more take two."""


class Pair:
    """Both exchanges on one stage. Everybody is rich enough; market 1 has lots and ticks of one atom."""

    def __init__(self, venue: Venue, naive: Naive) -> None:
        self.venue, self.naive = venue, naive

    def copy(self) -> "Pair":
        venue = Venue(checking=False, ticking=False, rules=1)
        for time_ns, command, _ in self.venue.log:
            venue.time_ns = time_ns
            venue.do(command)
        return Pair(venue, deepcopy(self.naive))

    def do(self, command: Any, wait_s: int = 0) -> list[Event]:
        return compare(self.venue, self.naive, wait_s, command)

    def place(self, account: int, side: Side, size: int, at: int, **more: Any) -> list[Event]:
        fields: dict[str, Any] = {
            "account_id": account, "market_id": 1, "side": side, "order_type": OrderType.LIMIT,
            "time_in_force": TimeInForce.GTC, "price_ticks": at, "size_lots": size, "client_order_id": None,
            "expires_ns": 30 * SECOND, **more,
        }  # fmt: skip
        return self.do(PlaceOrder(**fields))

    def sell(self, count: int, **more: Any) -> None:
        """Orders of one lot, spread over three prices and both accounts."""
        for number in range(count):
            self.place(BOTH_OF_CAROL[number % 2], Side.SELL, 1, 5 + number % 3, **more)

    def taken(self, account: int = DAN, size: int = 1_001, **more: Any) -> list[Event]:
        return self.place(account, Side.BUY, size, 9, **more)


@pytest.fixture
def pair() -> Pair:
    return Pair(*stage())


@cache
def crowd() -> Pair:
    pair = Pair(*stage())
    pair.sell(1_000)
    return pair


@pytest.fixture
def crowded() -> Pair:
    """There are 1,000 asks of one lot."""
    return crowd().copy()


def last_end(events: list[Event]) -> tuple[int, str]:
    return ends(events)[-1]


@pytest.mark.parametrize("tif", [TimeInForce.GTC, TimeInForce.IOC])
def test_a_taker_that_needs_more_than_a_thousand_fills_ends(crowded: Pair, tif: TimeInForce) -> None:
    crowded.sell(1)
    events = crowded.taken(size=2_000, time_in_force=tif)
    assert len(fills(events)) == 1_000
    assert last_end(events) == (crowded.naive.seq, EndReason.WORK_LIMIT)
    assert len(crowded.naive.open) == 1
    compare_balances(crowded.venue, crowded.naive)


def test_after_a_thousand_fills_the_rest_may_rest_when_nothing_is_left_to_take(crowded: Pair) -> None:
    events = crowded.taken(size=1_002)
    assert len(fills(events)) == 1_000
    (resting,) = crowded.naive.open
    assert resting.left == 2


def test_fill_or_kill_and_a_buy_by_amount_count_only_what_a_thousand_fills_give(crowded: Pair) -> None:
    crowded.sell(1)
    whole = crowded.taken(size=1_001, time_in_force=TimeInForce.FOK)
    assert refusal(whole) == RejectReason.FILL_OR_KILL_UNFILLABLE
    by_amount: dict[str, Any] = {
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.IOC,
        "quote_atoms": 10**9,
    }
    events = crowded.taken(size=0, **by_amount)
    assert last_end(events) == (crowded.naive.seq, EndReason.FILLED)
    assert len(fills(events)) == 1_000
    compare_balances(crowded.venue, crowded.naive)


def test_fill_or_kill_may_take_a_thousand_fills(crowded: Pair) -> None:
    events = crowded.taken(size=1_000, time_in_force=TimeInForce.FOK)
    assert last_end(events) == (crowded.naive.seq, EndReason.FILLED)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (SelfTradePrevention.CANCEL_NEWEST, EndReason.SELF_TRADE),
        (SelfTradePrevention.CANCEL_OLDEST, EndReason.WORK_LIMIT),
        (SelfTradePrevention.CANCEL_BOTH, EndReason.WORK_LIMIT),
        (SelfTradePrevention.DECREMENT, EndReason.WORK_LIMIT),
    ],
)
def test_after_a_thousand_fills_giving_way_is_no_work_and_anything_else_is(
    crowded: Pair, mode: SelfTradePrevention, reason: EndReason
) -> None:
    crowded.place(DAN, Side.SELL, 3, 8)
    events = crowded.taken(self_trade_prevention=mode)
    assert last_end(events) == (crowded.naive.seq, reason)
    assert len(crowded.naive.open) == 1, "the own order stands"


def test_at_most_a_thousand_own_orders_give_way(crowded: Pair) -> None:
    crowded.sell(1)
    events = crowded.taken(CAROL, self_trade_prevention=SelfTradePrevention.CANCEL_OLDEST)
    assert Counter(reason for _, reason in ends(events)) == {"self_trade": 1_000, "work_limit": 1}
    assert len(crowded.naive.open) == 1


def test_own_orders_that_are_passed_over_count_as_work_for_fill_or_kill(crowded: Pair) -> None:
    crowded.place(DAN, Side.SELL, 5, 9)
    more = {"self_trade_prevention": SelfTradePrevention.CANCEL_OLDEST, "time_in_force": TimeInForce.FOK}
    assert refusal(crowded.taken(CAROL, 5, **more)) == RejectReason.FILL_OR_KILL_UNFILLABLE
    cancelled, *_ = crowded.naive.open
    crowded.do(CancelOrder(cancelled.account, cancelled.id))
    events = crowded.taken(CAROL, 5, **more)
    assert last_end(events) == (crowded.naive.seq, EndReason.FILLED)
    assert len(ends(events)) == 1_001


def test_an_account_has_a_thousand_open_orders_at_most(pair: Pair) -> None:
    for _ in range(1_000):
        pair.place(CAROL, Side.SELL, 1, 5)
    assert refusal(pair.place(CAROL, Side.SELL, 1, 5)) == RejectReason.TOO_MANY_OPEN_ORDERS
    assert len(ends(pair.do(CancelAll(CAROL, None)))) == 1_000


def test_a_thousand_orders_expire_per_tick(pair: Pair) -> None:
    till = {"time_in_force": TimeInForce.GTT, "good_till_ns": pair.venue.time_ns + SECOND}
    pair.sell(1_001, **till)
    first = pair.do(Tick(), wait_s=1)
    assert first[-1] == Ticked(1_000)
    assert refusal(pair.taken()) == RejectReason.WORK_QUEUED
    assert pair.do(Tick())[-1] == Ticked(1)
    assert pair.naive.open == []


def test_a_thousand_ids_are_forgotten_per_command(pair: Pair) -> None:
    brief = {"time_in_force": TimeInForce.IOC}
    for number in range(1_001):
        pair.place(DAN, Side.BUY, 1, 9, client_order_id=f"id {number}", **brief)
    pair.venue.pass_time(61)
    (known,) = pair.place(DAN, Side.BUY, 1, 9, client_order_id="id 1000", **brief)
    assert isinstance(known, OrderKnown)
    accepted, _ = pair.place(DAN, Side.BUY, 1, 9, client_order_id="id 1000", **brief)
    assert isinstance(accepted, OrderAccepted), "the command before found a thousand older ones to forget"


def test_a_buy_by_amount_is_of_no_more_lots_than_an_order_may_have(pair: Pair) -> None:
    for _ in range(2):
        pair.place(CAROL, Side.SELL, 2**63 - 1, 1)
    by_amount: dict[str, Any] = {
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.IOC,
        "quote_atoms": 2**65,
    }
    accepted, *_ = pair.taken(size=0, **by_amount)
    assert isinstance(accepted, OrderAccepted)
    assert accepted.size_lots == 2**63 - 1
    compare_balances(pair.venue, pair.naive)


def test_the_whole_size_of_an_amended_order_must_fit_in_128_bits(pair: Pair) -> None:
    """In market 3 a lot at a price of one tick is about 2^101 atoms; one lot of 64 is left to sell."""
    pair.place(CAROL, Side.SELL, 64, 1, market_id=3)
    order_id = pair.naive.seq
    pair.place(DAN, Side.BUY, 63, 1, market_id=3)
    too_large = AmendOrder(CAROL, order_id, 2**22, 64, 30 * SECOND)
    assert refusal(pair.do(too_large)) == RejectReason.AMOUNT_TOO_LARGE
    (amended, _) = pair.do(AmendOrder(CAROL, order_id, 2**20, 64, 30 * SECOND))
    assert isinstance(amended, OrderAmended)
    assert amended.remaining_lots == 1
    compare_balances(pair.venue, pair.naive)


def test_of_a_minute_of_nonces_an_agent_remembers_the_highest(pair: Pair) -> None:
    """In any order, with waits so short that all stay near the time, and a key that is used beside it."""
    random = Random(2)
    keys = [key_of("dan's 1"), key_of("dan's 2")]
    now_us = pair.venue.time_ns // 1_000
    nonces = [now_us + random.randrange(-300, 300) for _ in range(1_500)]
    reasons = Counter(
        event.reason if isinstance(event, Rejected) else "taken"
        for nonce in nonces
        for event in pair.do(UseNonce(random.choice(keys), nonce))
    )
    assert reasons["taken"] > 400
    assert reasons[RejectReason.NONCE_USED] > 100
    assert reasons[RejectReason.NONCE_TOO_OLD] > 100
    assert [len(pair.venue.state.agents[key].nonces) for key in keys] == [128, 128]


def test_an_owner_may_approve_a_thousand_keys_ever(pair: Pair) -> None:
    for number in range(951):
        pair.do(approval("dan", f"new {number}", pair.venue.time_ns + 1))
        pair.venue.time_ns += 1
    refused = pair.do(approval("dan", "one more", pair.venue.time_ns + 1))
    assert refusal(refused) == RejectReason.TOO_MANY_AGENTS
    assert pair.do(approval("carol", "one more", pair.venue.time_ns + 1))


STOP = {"trigger": TriggerKind.STOP, "order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC}


def sweep_from_five_to_eight(pair: Pair) -> list[int]:
    """The ids of sell stops at 4 and 5 and of a buy stop at 8, waiting while a buyer goes from 5 to 8."""
    pair.place(CAROL, Side.SELL, 1, 7)
    pair.taken(size=1)
    stops = []
    for side, account, ticks in ((Side.SELL, DAN, 4), (Side.SELL, DAN, 5), (Side.BUY, BOB, 8)):
        pair.place(account, side, 2, 1 if side == Side.SELL else 9, trigger_ticks=ticks, **STOP)
        stops.append(pair.naive.seq)
    for price in (5, 6, 8):
        pair.place(CAROL, Side.SELL, 1, price)
    pair.taken(size=3)
    return stops


def triggered_by(events: list[Event]) -> list[int]:
    return [event.order_id for event in events if isinstance(event, OrderTriggered)]


def test_a_stop_inside_a_sweep_is_met_though_the_last_price_is_beyond_it(pair: Pair) -> None:
    _, fall, rise = sweep_from_five_to_eight(pair)
    assert [triggered_by(pair.do(Tick())) for _ in range(3)] == [[rise], [fall], []]


def test_when_a_market_opens_again_only_the_last_price_counts(pair: Pair) -> None:
    *_, rise = sweep_from_five_to_eight(pair)
    pair.do(SetMarketState(1, MarketState.HALTED))
    assert pair.do(Tick()) == [Ticked(0)]
    pair.do(SetMarketState(1, MarketState.OPEN))
    assert [triggered_by(pair.do(Tick())) for _ in range(2)] == [[rise], []]


def test_of_two_markets_the_one_whose_trigger_was_met_first_goes_first(pair: Pair) -> None:
    """The fourth market is halted before its met trigger had its turn, and opened again after the first's."""
    for market_id, price in ((4, 100), (1, 5)):
        pair.place(CAROL, Side.SELL, 2, price, market_id=market_id)
        pair.place(BOB, Side.BUY, 1, price, market_id=market_id, trigger_ticks=price, **STOP)
    first, second = pair.naive.seq - 2, pair.naive.seq
    pair.place(DAN, Side.BUY, 1, 100, market_id=4)
    pair.do(SetMarketState(4, MarketState.HALTED))
    assert pair.do(Tick()) == [Ticked(0)]
    pair.place(DAN, Side.BUY, 1, 5)
    pair.do(SetMarketState(4, MarketState.OPEN))
    assert [triggered_by(pair.do(Tick())) for _ in range(2)] == [[second], [first]]
