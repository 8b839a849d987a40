"""`from` and `to`: what is a time, what is a range, and what each refusal says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.edge.harness import problem

from exchange.edge.times import MAX_TIME_MS, parse_time_ms
from exchange.edge.values import rfc3339

NOT_TIMES = [
    "",
    " ",
    "-1",
    "+1",
    "1.5",
    "1e3",
    "1_000",
    "0x10",
    "NaN",
    "inf",
    "now",
    "\uff11\uff12",
    "\u0661",
    "\u00b2",
    "9" * 14,
    "9" * 5000,
    str(MAX_TIME_MS + 1),
    "2026-11-29",
    "2026-11-29T10:00Z",
    "2026-11-29T10:00:00",
    "2026-11-29T10:00:00z",
    "2026-11-29t10:00:00Z",
    "2026-11-29 10:00:00Z",
    "2026-11-29T10:00:00+00:00",
    "2026-11-29T10:00:00+01:00",
    "2026-11-29T10:00:00.Z",
    "2026-11-29T10:00:00.0001Z",
    "2026-11-29T10:00:00,5Z",
    "2026-02-30T10:00:00Z",
    "2026-11-29T24:00:00Z",
    "2016-12-31T23:59:60Z",
    "2026-11-29T10:00:00Z\n",
    "0000-01-01T00:00:00Z",
    "1969-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59Z",
    "\uff12\uff10\uff12\uff16-11-29T10:00:00Z",
    "1; DROP TABLE trades --",
]


@pytest.mark.parametrize("text", NOT_TIMES)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="must be"):
        parse_time_ms(text)


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("0", 0),
        ("1795950000000", 1_795_950_000_000),
        (str(MAX_TIME_MS), MAX_TIME_MS),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01T00:00:00.5Z", 500),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("2026-11-29T10:00:00.25Z", 1_795_946_400_250),
    ],
)
def test_a_time_is_epoch_milliseconds_or_rfc_3339_in_utc(text, time_ms):
    assert parse_time_ms(text) == time_ms


@given(st.integers(0, MAX_TIME_MS // 1000))
def test_both_forms_of_a_second_are_the_same_time(second):
    assert parse_time_ms(rfc3339(second * 1000)) == parse_time_ms(str(second * 1000)) == second * 1000


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text):
    try:
        time_ms = parse_time_ms(text)
    except ValueError:
        return
    assert 0 <= time_ms <= MAX_TIME_MS


async def test_a_range_that_ends_before_it_begins_is_refused(exchange):
    for params in (
        {"from": "2", "to": "1"},
        {"from": "2026-11-29T10:00:00Z", "to": "2026-11-29T09:59:59.999Z"},
    ):
        response = await exchange.client.get("/v1/markets/ETH-USDC/candles", params=params)
        told = problem(response, 422, "range_invalid")
        assert (told["field"], told["value"]) == ("to", params["to"])


async def test_a_bad_time_is_refused_under_its_public_name(exchange):
    for name in ("from", "to"):
        for text in NOT_TIMES:
            response = await exchange.client.get("/v1/markets/ETH-USDC/candles", params={name: text})
            told: dict[str, Any] = problem(response, 422, "field_invalid")
            assert told["field"] == name
    response = await exchange.client.get("/v1/markets/ETH-USDC/candles", params={"from_ms": "1"})
    assert problem(response, 422, "field_unknown")["field"] == "from_ms"
