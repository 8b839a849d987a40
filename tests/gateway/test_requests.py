from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core.commands import PlaceOrder
from exchange.core.markets import Market
from exchange.core.units import MAX_ATOMS, MAX_PRICE_TICKS, MAX_TIME_NS
from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce, TriggerKind
from exchange.gateway.fields import parse_amount_atoms, parse_price_ticks, parse_size_lots
from exchange.gateway.refusals import FieldRefused
from exchange.gateway.requests import PLACE_FIELDS, parse_amend_order, parse_place_order
from exchange.sequencer.open_orders import OpenOrder

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


def command_of(**changes: Any) -> PlaceOrder:
    body = {name: value for name, value in {**ORDER, **changes}.items() if value is not ...}
    return parse_place_order(body, 1000, MARKETS, NOW_NS)


def test_null_is_the_same_as_a_field_that_is_not_there():
    nothing = dict.fromkeys(PLACE_FIELDS - ORDER.keys(), None)
    assert command_of(**nothing) == command_of()


def test_every_term_of_an_order_becomes_the_engines():
    command = command_of(
        time_in_force="gtt",
        good_till_ms=NOW_MS + 1,
        self_trade_prevention="decrement",
        trigger={"type": "take_profit", "price": "2900"},
        client_order_id="mine",
    )
    assert (command.time_in_force, command.good_till_ns) == (TimeInForce.GTT, (NOW_MS + 1) * 10**6)
    assert command.self_trade_prevention is SelfTradePrevention.DECREMENT
    assert (command.trigger, command.trigger_ticks) == (TriggerKind.TAKE_PROFIT, 58_000)
    assert (command.client_order_id, command.quote_atoms) == ("mine", 0)


def test_a_market_order_without_a_price_leaves_it_to_the_band():
    assert command_of(type="market", price=...).price_ticks == 0
    assert command_of(type="market").price_ticks == 60_001
    assert refusal_of(type="market", price="0").code == "must_be_positive"
    assert refusal_of(price=...).code == "field_missing"


def test_a_market_buy_by_amount_has_no_size():
    command = command_of(type="market", price=..., size=..., amount="250.000001")
    assert (command.size_lots, command.quote_atoms) == (0, 250_000_001)
    assert (command.order_type, command.time_in_force) == (OrderType.MARKET, TimeInForce.IOC)
    largest = command_of(type="market", size=..., amount="340282366920938463463374607431768.211455")
    assert largest.quote_atoms == MAX_ATOMS


BY_AMOUNT = {"type": "market", "size": ..., "amount": "250"}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"type": "market", "time_in_force": "gtc"}, "invalid_combination", "time_in_force"),
        ({"type": "market", "time_in_force": "post_only"}, "invalid_combination", "time_in_force"),
        ({"type": "market", "time_in_force": "gtt"}, "invalid_combination", "time_in_force"),
        ({"time_in_force": "gtt"}, "field_missing", "good_till_ms"),
        ({"good_till_ms": NOW_MS + 1}, "invalid_combination", "good_till_ms"),
        (BY_AMOUNT | {"size": "1"}, "invalid_combination", "amount"),
        (BY_AMOUNT | {"type": "limit"}, "invalid_combination", "amount"),
        (BY_AMOUNT | {"side": "sell"}, "invalid_combination", "amount"),
        (BY_AMOUNT | {"time_in_force": "fok"}, "invalid_combination", "amount"),
        (BY_AMOUNT | {"trigger": {"type": "stop", "price": "1"}}, "invalid_combination", "trigger"),
        (
            BY_AMOUNT | {"self_trade_prevention": "decrement"},
            "invalid_combination",
            "self_trade_prevention",
        ),
        (BY_AMOUNT | {"amount": "0"}, "must_be_positive", "amount"),
        (BY_AMOUNT | {"amount": "0.0000001"}, "too_many_decimals", "amount"),
        (BY_AMOUNT | {"amount": str(2**128)}, "amount_too_large", "amount"),
        (BY_AMOUNT | {"amount": 250}, "not_a_decimal", "amount"),
    ],
)
def test_what_does_not_go_together_is_refused_by_the_field_that_does_not(changes, code, field):
    refusal = refusal_of(**changes)
    assert (refusal.code, refusal.field) == (code, field)


@pytest.mark.parametrize("good_till_ms", [0, -1, MAX_TIME_NS // 10**6 + 1, 2**70])
def test_a_good_till_time_before_or_beyond_time_is_refused(good_till_ms):
    refusal = refusal_of(time_in_force="gtt", good_till_ms=good_till_ms)
    assert (refusal.code, refusal.field) == ("good_till_invalid", "good_till_ms")


def test_a_good_till_time_that_is_past_is_left_to_the_engine_which_may_know_the_order():
    assert command_of(time_in_force="gtt", good_till_ms=NOW_MS).good_till_ns == NOW_MS * 10**6


@pytest.mark.parametrize("good_till_ms", ["1", True, 1.5, []])
def test_a_good_till_time_that_is_no_number_is_refused(good_till_ms):
    refusal = refusal_of(time_in_force="gtt", good_till_ms=good_till_ms)
    assert (refusal.code, refusal.field) == ("field_invalid", "good_till_ms")


@pytest.mark.parametrize(
    ("trigger", "code", "field"),
    [
        ("stop", "field_invalid", "trigger"),
        ([], "field_invalid", "trigger"),
        ({}, "field_missing", "trigger.type"),
        ({"type": "stop"}, "field_missing", "trigger.price"),
        ({"type": "trailing", "price": "1"}, "field_invalid", "trigger.type"),
        ({"type": "stop", "price": "1", "size": "1"}, "field_unknown", "trigger.size"),
        ({"type": "stop", "price": 1}, "not_a_decimal", "trigger.price"),
        ({"type": "stop", "price": "0"}, "must_be_positive", "trigger.price"),
        ({"type": "stop", "price": "0.01"}, "price_off_tick", "trigger.price"),
        ({"type": "stop", "price": "9" * 60}, "price_out_of_range", "trigger.price"),
    ],
)
def test_a_trigger_is_read_as_strictly_as_the_order(trigger, code, field):
    refusal = refusal_of(trigger=trigger)
    assert (refusal.code, refusal.field) == (code, field)


RESTING = OpenOrder(
    order_id=9,
    account_id=1000,
    market_id=1,
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    time_in_force=TimeInForce.GTC,
    self_trade_prevention=SelfTradePrevention.CANCEL_NEWEST,
    price_ticks=100,
    size_lots=10,
    remaining_lots=4,
    client_order_id=None,
    created_ns=0,
    good_till_ns=0,
    trigger=None,
    trigger_ticks=0,
    awaiting_trigger=False,
)


@pytest.mark.parametrize(
    ("body", "price_ticks", "size_lots"),
    [
        ({"price": "10"}, 200, 10),
        ({"size": "0.0008"}, 100, 8),
        ({"price": "10", "size": "0.0008"}, 200, 8),
        ({"price": None, "size": "0.0008"}, 100, 8),
    ],
)
def test_what_an_amendment_does_not_give_stays_as_it_is(body, price_ticks, size_lots):
    command = parse_amend_order(body, RESTING, ETH_USDC, NOW_NS)
    assert (command.price_ticks, command.size_lots) == (price_ticks, size_lots)
    assert (command.account_id, command.order_id) == (1000, 9)
    assert command.expires_ns == NOW_NS + 30 * 10**9


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "field_missing", "price"),
        ({"price": None, "size": None}, "field_missing", "price"),
        ({"price": "10", "side": "sell"}, "field_unknown", "side"),
        ({"price": 10}, "not_a_decimal", "price"),
        ({"size": "0.00015"}, "size_off_lot", "size"),
        ({"size": "1", "expires_at_ms": NOW_MS}, "request_expired", "expires_at_ms"),
    ],
)
def test_an_amendment_is_read_as_strictly_as_an_order(body, code, field):
    with pytest.raises(FieldRefused) as caught:
        parse_amend_order(body, RESTING, ETH_USDC, NOW_NS)
    assert (caught.value.code, caught.value.field) == (code, field)


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
