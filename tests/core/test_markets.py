from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.venue import Venue, refusal

from exchange.core.commands import ListAsset, OpenMarket
from exchange.core.events import MarketOpened
from exchange.core.markets import exact_unit_atoms
from exchange.core.rejects import RejectReason


@given(
    st.integers(1, 10**20), st.integers(0, 36), st.integers(1, 10**30), st.integers(0, 36), st.integers(0, 36)
)
def test_a_unit_is_exact_or_none(
    mantissa: int, tick_decimals: int, lot: int, base_decimals: int, quote_decimals: int
) -> None:
    exact = Fraction(mantissa, 10**tick_decimals) * Fraction(lot, 10**base_decimals) * 10**quote_decimals
    unit = exact_unit_atoms(mantissa, tick_decimals, lot, base_decimals, quote_decimals)
    assert unit == (exact.numerator if exact.denominator == 1 else None)


def test_eth_usdc_with_a_cent_tick_and_a_milli_lot_has_a_unit_of_ten_atoms() -> None:
    assert exact_unit_atoms(1, 2, 10**15, 18, 6) == 10


def test_a_lot_too_small_for_the_tick_has_no_unit() -> None:
    assert exact_unit_atoms(1, 2, 10**13, 18, 6) is None
    assert exact_unit_atoms(1, 2, 10**14, 18, 6) == 1


@pytest.fixture
def listed() -> Venue:
    venue = Venue()
    venue.list_asset("ETH", 18)
    venue.list_asset("USDC", 6)
    return venue


def opening(**changed: object) -> OpenMarket:
    fields: dict[str, object] = {
        "symbol": "ETH-USDC", "base": "ETH", "quote": "USDC", "tick_mantissa": 1, "tick_decimals": 2,
        "lot_atoms": 10**15, "maker_fee_bps": 10, "taker_fee_bps": 20,
    }  # fmt: skip
    return OpenMarket(**{**fields, **changed})  # type: ignore[arg-type]


def test_a_market_knows_its_tick_and_lot_as_decimals(listed: Venue) -> None:
    (event,) = listed.do(opening())
    assert isinstance(event, MarketOpened)
    market = listed.state.markets[event.market_id]
    assert (market.tick, market.lot) == ("0.01", "0.001")
    assert (market.format_price(123_456), market.format_size(1_500)) == ("1234.56", "1.5")
    assert market.notional_atoms(123_456, 1_500) == 1234_560000 * 3 // 2
    assert market.base_atoms(1_500) == 1_500_000_000_000_000_000


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"base": "DOGE"}, RejectReason.UNKNOWN_ASSET),
        ({"quote": "DOGE"}, RejectReason.UNKNOWN_ASSET),
        ({"quote": "ETH"}, RejectReason.MARKET_INVALID),
        ({"symbol": ""}, RejectReason.MARKET_INVALID),
        ({"tick_mantissa": 0}, RejectReason.MARKET_INVALID),
        ({"tick_mantissa": -1}, RejectReason.MARKET_INVALID),
        ({"tick_decimals": -1}, RejectReason.MARKET_INVALID),
        ({"tick_decimals": 37}, RejectReason.MARKET_INVALID),
        ({"lot_atoms": 0}, RejectReason.MARKET_INVALID),
        ({"maker_fee_bps": -21}, RejectReason.MARKET_INVALID),
        ({"maker_fee_bps": 10_001}, RejectReason.MARKET_INVALID),
        ({"taker_fee_bps": -1}, RejectReason.MARKET_INVALID),
        ({"taker_fee_bps": 10_001}, RejectReason.MARKET_INVALID),
        ({"lot_atoms": 10**13}, RejectReason.MARKET_NOT_DIVISIBLE),
        ({"tick_decimals": 6}, RejectReason.MARKET_NOT_DIVISIBLE),
    ],
)
def test_a_market_that_can_not_be_exact_is_refused(
    listed: Venue, changed: dict[str, object], reason: RejectReason
) -> None:
    assert refusal(listed.do(opening(**changed))) is reason
    assert not listed.state.markets


def test_a_market_symbol_is_taken_once(listed: Venue) -> None:
    listed.do(opening())
    assert refusal(listed.do(opening(lot_atoms=10**16))) is RejectReason.MARKET_EXISTS


def test_two_markets_may_share_their_assets(listed: Venue) -> None:
    listed.do(opening())
    (event,) = listed.do(opening(symbol="ETH-USDC-COARSE", lot_atoms=10**18))
    assert isinstance(event, MarketOpened)
    assert event.market_id == 2


@pytest.mark.parametrize("changed", [{"decimals": -1}, {"decimals": 37}])
def test_an_asset_with_impossible_decimals_is_refused(changed: dict[str, int]) -> None:
    assert refusal(Venue().list_asset("ETH", **changed)) is RejectReason.ASSET_INVALID


def test_an_asset_without_symbol_or_with_impossible_withdrawal_numbers_is_refused() -> None:
    venue = Venue()
    assert refusal(venue.list_asset("")) is RejectReason.ASSET_INVALID
    assert refusal(venue.list_asset("ETH", withdrawal_fee_atoms=-1)) is RejectReason.ASSET_INVALID
    assert refusal(venue.list_asset("ETH", min_withdrawal_atoms=0)) is RejectReason.ASSET_INVALID


def test_an_asset_is_listed_once_by_symbol_and_once_by_token(listed: Venue) -> None:
    assert refusal(listed.list_asset("ETH", 18)) is RejectReason.ASSET_EXISTS
    eth = listed.state.asset_by_symbol["ETH"]
    renamed = ListAsset("ETH2", 18, eth.chain_id, eth.vault, eth.token)
    assert refusal(listed.do(renamed)) is RejectReason.ASSET_EXISTS
