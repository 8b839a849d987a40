"""Bands around the reference price: how much worse than the market an order may be priced."""

import pytest
from tests.core.venue import Venue, refusal, trades

from exchange.core.commands import OpenMarket, SetPriceBands
from exchange.core.events import MarketOpened, OrderAccepted, OrderAmended, PriceBandsSet
from exchange.core.markets import DEFAULT_MARKET_BAND_BPS
from exchange.core.prices import is_outside_band
from exchange.core.rejects import RejectReason
from exchange.core.units import MAX_PRICE_TICKS
from exchange.core.words import MarketState, Side, TimeInForce


@pytest.fixture
def banded(fair: Venue) -> Venue:
    """The last price is 1,000; 10 % band, 5 % for market orders."""
    fair.trade_at(1_000)
    fair.set_bands(1_000, 500)
    return fair


def test_the_band_allows_up_to_its_edge(banded: Venue) -> None:
    assert isinstance(banded.buy("bob", 1, at=1_100)[0], OrderAccepted)
    banded.cancel_all("bob")
    assert refusal(banded.buy("bob", 1, at=1_101)) is RejectReason.PRICE_OUTSIDE_BAND
    assert isinstance(banded.sell("bob", 1, at=900)[0], OrderAccepted)
    banded.cancel_all("bob")
    assert refusal(banded.sell("bob", 1, at=899)) is RejectReason.PRICE_OUTSIDE_BAND


def test_better_prices_are_never_refused(banded: Venue) -> None:
    assert isinstance(banded.buy("bob", 1, at=1)[0], OrderAccepted)
    assert isinstance(banded.sell("bob", 1, at=MAX_PRICE_TICKS)[0], OrderAccepted)


def test_without_a_reference_there_is_no_band(fair: Venue) -> None:
    fair.set_bands(1, 1)
    assert isinstance(fair.buy("bob", 1, at=900_000)[0], OrderAccepted)
    assert refusal(fair.sell("alice", 1, at=1)) is RejectReason.PRICE_OUTSIDE_BAND, "now there is"


def test_no_band_is_no_limit(fair: Venue) -> None:
    fair.trade_at(1_000)
    assert isinstance(fair.buy("bob", 1, at=900_000)[0], OrderAccepted)


def test_quotes_move_the_band_with_the_reference(banded: Venue) -> None:
    banded.buy("alice", 1, at=1_100)
    assert isinstance(banded.buy("bob", 1, at=1_210)[0], OrderAccepted)
    assert refusal(banded.buy("ben", 1, at=1_332)) is RejectReason.PRICE_OUTSIDE_BAND


def test_market_orders_are_banded_by_their_worst_price(banded: Venue) -> None:
    assert refusal(banded.market_buy("bob", 1, worst=1_101)) is RejectReason.PRICE_OUTSIDE_BAND
    assert isinstance(banded.market_buy("bob", 1, worst=1_100)[0], OrderAccepted)
    assert refusal(banded.spend("bob", 500, worst=1_101)) is RejectReason.PRICE_OUTSIDE_BAND
    event = banded.market_buy("bob", 1)[0]
    assert isinstance(event, OrderAccepted)
    assert event.price_ticks == 1_050


def test_a_triggers_band_is_around_the_trigger(banded: Venue) -> None:
    assert isinstance(banded.buy("bob", 1, at=2_200, stop=2_000)[0], OrderAccepted)
    assert refusal(banded.buy("bob", 1, at=2_201, stop=2_000)) is RejectReason.PRICE_OUTSIDE_BAND
    assert refusal(banded.sell("bob", 1, at=449, stop=500)) is RejectReason.PRICE_OUTSIDE_BAND
    assert isinstance(banded.sell("bob", 1, at=450, stop=500)[0], OrderAccepted)


def test_a_triggered_order_is_not_asked_again(banded: Venue) -> None:
    banded.buy("bob", 1, at=1_150, stop=1_050)
    banded.trade_at(1_050)
    banded.ticking = False
    banded.set_bands(1, 1)
    banded.tick()
    assert banded.depth() == ([(1_150, 1)], [])


def test_amending_the_price_is_banded_and_amending_the_size_is_not(banded: Venue) -> None:
    banded.buy("bob", 5, at=1_000)
    bid = banded.last_order_id
    assert refusal(banded.amend("bob", bid, 5, at=1_101)) is RejectReason.PRICE_OUTSIDE_BAND
    assert isinstance(banded.amend("bob", bid, 5, at=1_100)[0], OrderAmended)
    banded.set_bands(1, 1)
    assert isinstance(banded.amend("bob", bid, 9, at=1_100)[0], OrderAmended)
    assert refusal(banded.amend("bob", bid, 9, at=1_112)) is RejectReason.PRICE_OUTSIDE_BAND


def test_amending_what_has_a_trigger_is_banded_around_the_trigger(banded: Venue) -> None:
    banded.buy("bob", 1, at=2_000, stop=2_000)
    stop = banded.last_order_id
    assert refusal(banded.amend("bob", stop, 1, at=2_201)) is RejectReason.PRICE_OUTSIDE_BAND
    assert isinstance(banded.amend("bob", stop, 1, at=2_200)[0], OrderAmended)


def test_an_order_in_the_book_may_stay_where_the_band_has_left_it(banded: Venue) -> None:
    banded.buy("bob", 1, at=1_100)
    banded.set_bands(1, 1)
    assert trades(banded.sell("alice", 1, at=1_100)) == [(1_100, 1)]


@pytest.mark.parametrize("state", [MarketState.PRE_OPEN, MarketState.POST_ONLY])
def test_bands_hold_before_the_market_is_open_too(banded: Venue, state: MarketState) -> None:
    banded.set_state(state)
    events = banded.buy("bob", 1, at=1_101, tif=TimeInForce.POST_ONLY)
    assert refusal(events) is RejectReason.PRICE_OUTSIDE_BAND


def test_the_edge_of_a_band_is_rounded_towards_the_reference(fair: Venue) -> None:
    fair.set_bands(33, 1)
    market = fair.state.markets[1]
    assert not is_outside_band(market, Side.BUY, 100, 100)
    assert is_outside_band(market, Side.BUY, 101, 100), "100.33"
    assert not is_outside_band(market, Side.SELL, 100, 100)
    assert is_outside_band(market, Side.SELL, 99, 100), "99.67"
    assert is_outside_band(market, Side.BUY, 304, 303), "303.9999"
    assert not is_outside_band(market, Side.SELL, 303, 304), "302.9968"
    assert is_outside_band(market, Side.SELL, 302, 304)


@pytest.mark.parametrize("reference", [2**62, MAX_PRICE_TICKS])
def test_a_band_reaches_no_farther_than_prices_do(fair: Venue, reference: int) -> None:
    fair.set_bands(10_000, 10_000)
    market = fair.state.markets[1]
    assert not is_outside_band(market, Side.BUY, MAX_PRICE_TICKS, reference)
    assert not is_outside_band(market, Side.SELL, 1, reference)


@pytest.mark.parametrize("bands", [(0, 1), (0, 10_000), (1, 1), (10_000, 10_000), (500, 500), (9_999, 1)])
def test_bands_are_set_and_answered(fair: Venue, bands: tuple[int, int]) -> None:
    assert fair.set_bands(*bands) == [PriceBandsSet(1, *bands)]


WRONG_BANDS = [
    (-1, 1),
    (10_001, 1),
    (0, 0),
    (0, -1),
    (0, 10_001),
    (500, 501),
    (1, 2),
    (2**64, 1),
    (0, 2**128),
]


@pytest.mark.parametrize("bands", WRONG_BANDS)
def test_impossible_bands_are_refused(fair: Venue, bands: tuple[int, int]) -> None:
    assert refusal(fair.set_bands(*bands)) is RejectReason.PRICE_BANDS_INVALID
    market = fair.state.markets[1]
    assert (market.price_band_bps, market.market_band_bps) == (0, DEFAULT_MARKET_BAND_BPS)


@pytest.mark.parametrize("bands", WRONG_BANDS)
def test_a_market_with_impossible_bands_is_not_opened(fair: Venue, bands: tuple[int, int]) -> None:
    opening = OpenMarket("X", "APPLE", "COIN", 1, 0, 1, 0, 0, MarketState.OPEN, *bands)
    assert refusal(fair.do(opening)) is RejectReason.PRICE_BANDS_INVALID


def test_a_market_may_open_with_bands(fair: Venue) -> None:
    (event,) = fair.do(OpenMarket("X", "APPLE", "COIN", 1, 0, 1, 0, 0, MarketState.OPEN, 300, 200))
    assert isinstance(event, MarketOpened)
    assert (event.price_band_bps, event.market_band_bps) == (300, 200)


def test_a_market_that_is_not_there_has_no_bands(fair: Venue) -> None:
    for market_id in (0, 2, -1, 2**64):
        assert refusal(fair.do(SetPriceBands(market_id, 0, 1))) is RejectReason.UNKNOWN_MARKET
