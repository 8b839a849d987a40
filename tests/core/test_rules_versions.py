"""Rules are switched on by a command, so that an old journal replays by the rules of its time."""

import pytest
from tests.core.venue import Venue, refusal

from exchange.core.commands import OpenMarket, SetRules
from exchange.core.events import OrderAccepted, OrderKnown, RulesSet
from exchange.core.rejects import RejectReason
from exchange.core.state import State
from exchange.core.terms import RULES_VERSION
from exchange.core.words import OrderType, TimeInForce


@pytest.fixture
def old() -> Venue:
    """A venue by the first rules, with something to trade."""
    venue = Venue(rules=1)
    venue.open_market()
    venue.give("alice", apple=1_000)
    venue.give("bob", coin=100_000)
    venue.sell("alice", 10, at=100)
    return venue


def test_a_journal_begins_with_the_first_rules() -> None:
    assert State().rules_version == 1


def test_switching_on_the_next_rules_answers_with_them(old: Venue) -> None:
    assert old.do(SetRules(2)) == [RulesSet(2)]
    assert old.state.rules_version == 2


@pytest.mark.parametrize("version", [1, 0, -1, 3, RULES_VERSION + 1, 2**64, 2**128])
def test_versions_come_one_after_the_other_and_none_that_is_not_known(old: Venue, version: int) -> None:
    assert refusal(old.do(SetRules(version))) is RejectReason.RULES_INVALID
    assert old.state.rules_version == 1


def test_there_is_no_way_back_and_no_version_beyond_the_newest() -> None:
    venue = Venue(rules=RULES_VERSION)
    assert venue.state.rules_version == RULES_VERSION
    for version in (1, RULES_VERSION, RULES_VERSION + 1):
        assert refusal(venue.do(SetRules(version))) is RejectReason.RULES_INVALID


def test_a_market_order_may_leave_its_worst_price_open_from_version_2_on(old: Venue) -> None:
    assert refusal(old.market_buy("bob", 1)) is RejectReason.PRICE_OUT_OF_RANGE
    assert refusal(old.spend("bob", 100)) is RejectReason.PRICE_OUT_OF_RANGE
    old.do(SetRules(2))
    event = old.market_buy("bob", 1)[0]
    assert isinstance(event, OrderAccepted)
    assert event.price_ticks == 105


def test_a_limit_order_needs_its_price_in_every_version(old: Venue) -> None:
    for _ in range(2):
        assert refusal(old.buy("bob", 1, at=0)) is RejectReason.PRICE_OUT_OF_RANGE
        old.do(SetRules(2))


def test_a_market_may_open_with_a_rebate_from_version_2_on(old: Venue) -> None:
    rebate = OpenMarket("X", "APPLE", "COIN", 1, 0, 1, -1, 10)
    assert refusal(old.do(rebate)) is RejectReason.MARKET_INVALID
    old.do(SetRules(2))
    assert old.do(rebate)


@pytest.mark.parametrize("version", [1, 2])
def test_an_id_is_forgotten_at_60_s_in_version_1_and_after_60_s_from_version_2_on(version: int) -> None:
    venue = Venue(rules=version)
    venue.open_market()
    venue.give("bob", coin=100)
    venue.buy("bob", 1, at=10, tif=TimeInForce.IOC, cid="mine")
    venue.pass_time(60)
    kinds = [type(event) for event in venue.buy("bob", 1, at=10, tif=TimeInForce.IOC, cid="mine")]
    assert (OrderKnown in kinds) == (version == 2)


def test_what_version_1_refused_stays_refused_after_the_switch(old: Venue) -> None:
    """A refusal is not remembered, but what was accepted before the switch goes on unchanged."""
    ask = next(iter(old.state.orders))
    old.do(SetRules(2))
    assert old.queue(100) == [(ask, 10)]
    events = old.buy("bob", 1, at=100, kind=OrderType.MARKET, tif=TimeInForce.GTC)
    assert refusal(events) is RejectReason.INVALID_COMBINATION
