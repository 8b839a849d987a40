"""The book over REST: levels, groups of them, and every way to ask wrongly."""

import asyncio
import random
from collections import Counter
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from tests.edge.harness import problem

from exchange.core.units import MAX_PRICE_TICKS
from exchange.edge.rest import markets
from exchange.edge.rest.markets import MAX_DEPTH

BOOK = "/v1/markets/ETH-USDC/book"


async def test_a_group_rounds_bids_down_and_asks_up_and_adds_their_sizes(exchange):
    trader = await exchange.trader(USDC=10**11, ETH=10**19)
    for price in ("2999.99", "2999.5", "2999.49", "2999"):
        await trader.order(price=price, size="0.1")
    for price in ("3000", "3000.01", "3000.5", "3000.51"):
        await trader.order(side="sell", price=price, size="0.1")
    book = (await exchange.client.get(BOOK, params={"group": "0.5"})).json()
    assert book["bids"] == [["2999.5", "0.2"], ["2999", "0.2"]]
    assert book["asks"] == [["3000", "0.1"], ["3000.5", "0.2"], ["3001", "0.1"]]
    assert (book["seq"], book["group"]) == (exchange.view.seq, "0.5")
    cut = (await exchange.client.get(BOOK, params={"group": "0.50", "depth": 1})).json()
    assert (cut["bids"], cut["asks"]) == (book["bids"][:1], book["asks"][:1])
    wide = (await exchange.client.get(BOOK, params={"group": "10000"})).json()
    assert (wide["bids"], wide["asks"]) == ([["0", "0.4"]], [["10000", "0.4"]])


async def test_groups_of_a_random_book_are_the_sums_of_its_levels(exchange):
    trader = await exchange.trader(USDC=10**13, ETH=10**21)
    rng = random.Random(20261129)
    for _ in range(60):
        buys = rng.random() < 0.5
        price = Decimal(rng.randrange(1, 400) if buys else rng.randrange(400, 900)) / 100
        await trader.order(
            side="buy" if buys else "sell", price=str(price), size=f"0.{rng.randrange(1, 999)}"
        )
    levels = (await exchange.client.get(BOOK, params={"depth": MAX_DEPTH})).json()
    assert levels["group"] is None
    for step in map(Decimal, ("0.01", "0.03", "0.1", "1", "2.5", "100")):
        grouped = (await exchange.client.get(BOOK, params={"group": str(step), "depth": MAX_DEPTH})).json()
        assert grouped["seq"] == levels["seq"]
        for side, rounding in (("bids", ROUND_FLOOR), ("asks", ROUND_CEILING)):
            sums: Counter[Decimal] = Counter()
            for price, size in levels[side]:
                steps = (Decimal(price) / step).to_integral_value(rounding)
                sums[steps * step] += Decimal(size)
            found = {Decimal(price): Decimal(size) for price, size in grouped[side]}
            assert found == sums
            assert list(found) == sorted(found, reverse=side == "bids")


async def test_a_group_that_is_no_step_of_price_is_refused_with_the_nearest_that_are(exchange, subtests):
    for group, code, nearest in [
        ("0.015", "price_off_tick", ["0.01", "0.02"]),
        ("0.005", "price_off_tick", ["0.01"]),
        ("0", "must_be_positive", None),
        ("0.00", "must_be_positive", None),
        ("", "not_a_decimal", None),
        ("-1", "not_a_decimal", None),
        ("+1", "not_a_decimal", None),
        ("1e3", "not_a_decimal", None),
        ("NaN", "not_a_decimal", None),
        ("Infinity", "not_a_decimal", None),
        ("1_0", "not_a_decimal", None),
        ("01", "not_a_decimal", None),
        ("\uff11", "not_a_decimal", None),
        ("1; DROP TABLE trades --", "not_a_decimal", None),
        ("9" * 81, "too_many_digits", None),
        ("0." + "0" * 78 + "1", "too_many_digits", None),
        ("9" * 80, "price_out_of_range", None),
        (str(MAX_PRICE_TICKS), "price_out_of_range", None),
    ]:
        with subtests.test(group[:20]):
            told = problem(await exchange.client.get(BOOK, params={"group": group}), 422, code)
            assert told["field"] == "group"
            assert told.get("nearest") == nearest


async def test_a_group_of_more_levels_than_are_read_is_refused_as_long_as_that_is_so(exchange, monkeypatch):
    monkeypatch.setattr(markets, "MAX_GROUPED_LEVELS", 3)
    trader = await exchange.trader(USDC=10**11)
    await asyncio.gather(*(trader.order(price=price, size="0.1") for price in ("10", "11", "12", "13")))
    assert (await exchange.client.get(BOOK, params={"group": "1"})).json()["bids"] == [
        ["13", "0.1"],
        ["12", "0.1"],
        ["11", "0.1"],
    ]
    told = problem(await exchange.client.get(BOOK, params={"group": "100"}), 409, "group_too_wide")
    assert (told["field"], told["value"]) == ("group", "100")


@pytest.mark.parametrize("group", [None, "5"])
async def test_a_book_without_orders_is_empty(exchange, group):
    params = {} if group is None else {"group": group}
    book = (await exchange.client.get(BOOK, params=params)).json()
    assert (book["bids"], book["asks"]) == ([], [])
