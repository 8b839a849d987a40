from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core.markets import Market
from exchange.core.orders import OrderType, Side, TimeInForce
from exchange.core.units import MAX_PRICE_TICKS
from exchange.gateway.refusals import FieldRefused
from exchange.gateway.requests import (
    parse_amount_atoms,
    parse_place_order,
    parse_price_ticks,
    parse_size_lots,
)

NOW_NS = 1_763_841_600_000_000_000
NOW_MS = NOW_NS // 10**6

ETH_USDC = Market(
    market_id=1,
    symbol="ETH-USDC",
    base_asset_id=1,
    quote_asset_id=2,
    tick_mantissa=5,
    tick_decimals=2,
    lot_atoms=10**14,
    unit_atoms=5,
    base_decimals=18,
    quote_decimals=6,
    maker_fee_bps=0,
    taker_fee_bps=10,
)
MARKETS = {"ETH-USDC": ETH_USDC}
ORDER = {"market": "ETH-USDC", "side": "buy", "price": "3000.05", "size": "0.015"}


def refusal_of(**changes: Any) -> FieldRefused:
    body = {name: value for name, value in {**ORDER, **changes}.items() if value is not ...}
    with pytest.raises(FieldRefused) as caught:
        parse_place_order(body, 1000, MARKETS, NOW_NS)
    return caught.value


def test_an_order_becomes_ticks_and_lots_exactly():
    command = parse_place_order(ORDER, 1000, MARKETS, NOW_NS)
    assert (command.price_ticks, command.size_lots) == (60_001, 150)
    assert (command.side, command.order_type, command.time_in_force) == (
        Side.BUY,
        OrderType.LIMIT,
        TimeInForce.GTC,
    )
    assert command.expires_ns == NOW_NS + 30 * 10**9
    assert command.client_order_id is None


def test_a_market_order_is_immediate_or_cancel_unless_it_says_otherwise():
    command = parse_place_order({**ORDER, "type": "market"}, 1000, MARKETS, NOW_NS)
    assert command.time_in_force is TimeInForce.IOC


@pytest.mark.parametrize("field", ["price", "size"])
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.5, "not_a_decimal"),
        (3000, "not_a_decimal"),
        (True, "not_a_decimal"),
        (["1"], "not_a_decimal"),
        ({}, "not_a_decimal"),
        ("1e3", "not_a_decimal"),
        ("1E+999999", "not_a_decimal"),
        ("\uff13\uff10\uff10\uff10", "not_a_decimal"),
        ("1_000", "not_a_decimal"),
        ("1,000", "not_a_decimal"),
        (" 1", "not_a_decimal"),
        ("1\n", "not_a_decimal"),
        ("-1", "not_a_decimal"),
        ("-0", "not_a_decimal"),
        ("+1", "not_a_decimal"),
        ("01", "not_a_decimal"),
        (".5", "not_a_decimal"),
        ("5.", "not_a_decimal"),
        ("", "not_a_decimal"),
        ("NaN", "not_a_decimal"),
        ("Infinity", "not_a_decimal"),
        ("0x10", "not_a_decimal"),
        ("0", "must_be_positive"),
        ("0.000", "must_be_positive"),
        ("1" * 81, "too_many_digits"),
        (None, "field_missing"),
        (..., "field_missing"),
    ],
)
def test_a_number_that_is_not_a_plain_positive_decimal_is_refused_with_its_field(field, value, code):
    refusal = refusal_of(**{field: value})
    assert (refusal.code, refusal.field) == (code, field)


def test_a_price_off_the_tick_names_the_prices_below_and_above():
    refusal = refusal_of(price="3000.07")
    assert refusal.code == "price_off_tick"
    assert (refusal.field, refusal.value, refusal.nearest) == ("price", "3000.07", ("3000.05", "3000.1"))


def test_a_price_below_the_first_tick_names_only_the_first_tick():
    assert refusal_of(price="0.01").nearest == ("0.05",)


def test_a_size_off_the_lot_names_the_sizes_below_and_above():
    refusal = refusal_of(size="0.01505")
    assert refusal.code == "size_off_lot"
    assert (refusal.field, refusal.nearest) == ("size", ("0.015", "0.0151"))


@pytest.mark.parametrize("price", [str(2**128), "9" * 80, "461168601842738790.4"])
def test_a_price_beyond_the_largest_is_out_of_range(price):
    assert refusal_of(price=price).code == "price_out_of_range"


def test_the_largest_price_is_taken():
    largest = ETH_USDC.format_price(MAX_PRICE_TICKS)
    assert parse_price_ticks(largest, ETH_USDC) == MAX_PRICE_TICKS


@pytest.mark.parametrize("size", [str(2**128), "9" * 80])
def test_a_size_beyond_the_largest_is_out_of_range(size):
    assert refusal_of(size=size).code == "size_out_of_range"


@pytest.mark.parametrize("market", ["DOGE-USDC", "eth-usdc", "", "ETH-USDC ", 1, None.__class__, "\0"])
def test_an_unknown_market_is_refused(market):
    assert refusal_of(market=market).code == "unknown_market"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("side", "BUY"),
        ("side", "hold"),
        ("side", 1),
        ("type", "stop"),
        ("type", None),
        ("time_in_force", "day"),
        ("self_trade_prevention", "none"),
        ("client_order_id", ""),
        ("client_order_id", "a" * 37),
        ("client_order_id", "ä"),
        ("client_order_id", "a b"),
        ("client_order_id", "a\n"),
        ("client_order_id", 7),
        ("expires_at_ms", "soon"),
        ("expires_at_ms", 1.5),
        ("expires_at_ms", True),
    ],
)
def test_a_word_outside_its_grammar_is_refused(field, value):
    refusal = refusal_of(**{field: value})
    assert (refusal.code, refusal.field) == ("field_invalid", field)


def test_an_unknown_field_is_refused_by_name():
    refusal = refusal_of(quantity="1")
    assert (refusal.code, refusal.field) == ("field_unknown", "quantity")


def test_no_more_than_100_characters_of_what_was_sent_come_back():
    assert refusal_of(**{"x" * 60_000: 1}).field == "x" * 100
    assert refusal_of(market="x" * 60_000).value == "x" * 100


@pytest.mark.parametrize("field", ["market", "side", "price", "size"])
def test_a_missing_field_is_refused_by_name(field):
    refusal = refusal_of(**{field: ...})
    assert (refusal.code, refusal.field) == ("field_missing", field)


@pytest.mark.parametrize("expires_at_ms", [NOW_MS, NOW_MS - 1, 0, -1])
def test_a_request_whose_expiry_is_past_is_refused(expires_at_ms):
    assert refusal_of(expires_at_ms=expires_at_ms).code == "request_expired"


@pytest.mark.parametrize("expires_at_ms", [NOW_MS + 30_001, 2**70])
def test_a_request_that_would_live_longer_than_30_s_is_refused(expires_at_ms):
    refusal = refusal_of(expires_at_ms=expires_at_ms)
    assert (refusal.code, refusal.nearest) == ("expiry_too_far", (str(NOW_MS + 30_000),))


def test_a_request_may_live_for_exactly_30_s():
    command = parse_place_order({**ORDER, "expires_at_ms": NOW_MS + 30_000}, 1000, MARKETS, NOW_NS)
    assert command.expires_ns == (NOW_MS + 30_000) * 10**6


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("0.0000001", "too_many_decimals"),
        (str(2**128), "amount_too_large"),
        (str((2**128 - 1) // 10**6 + 1), "amount_too_large"),
        ("0", "must_be_positive"),
    ],
)
def test_an_amount_outside_the_asset_is_refused(value, code):
    with pytest.raises(FieldRefused) as caught:
        parse_amount_atoms(value, 6, "amount")
    assert (caught.value.code, caught.value.field) == (code, "amount")


def test_the_largest_amount_is_taken():
    assert parse_amount_atoms("340282366920938463463374607431768.211455", 6, "amount") == 2**128 - 1


@given(st.integers(min_value=1, max_value=MAX_PRICE_TICKS))
def test_every_price_on_the_tick_comes_back_as_its_ticks(price_ticks):
    assert parse_price_ticks(ETH_USDC.format_price(price_ticks), ETH_USDC) == price_ticks


@given(st.text(max_size=90))
def test_any_text_is_a_size_or_a_refusal(text):
    try:
        size_lots = parse_size_lots(text, ETH_USDC)
    except FieldRefused as refusal:
        for nearest in refusal.nearest:
            parse_size_lots(nearest, ETH_USDC)
    else:
        assert size_lots > 0
