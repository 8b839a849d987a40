from decimal import Decimal
from itertools import pairwise

import pytest
from bots.quoting import Funds, Layers, Quote, affordable, layered, lean
from hypothesis import given
from hypothesis import strategies as st
from tests.bots.markets import market

PRICE = Decimal(3000)
EVEN = Funds(base=Decimal(10), quote=Decimal(30_000))
amounts = st.decimals(min_value=0, max_value=1_000_000, places=4)


def side(quotes: list[Quote], name: str) -> list[Quote]:
    return [quote for quote in quotes if quote.side == name]


def test_layers_lie_evenly_around_the_price_when_both_assets_are_worth_the_same() -> None:
    layers = Layers(count=2, half_spread_bps=Decimal(10), step_bps=Decimal(10), share=Decimal("0.005"))
    assert layered(market(), PRICE, EVEN, layers) == [
        Quote("buy", Decimal(2997), Decimal("0.1")),
        Quote("buy", Decimal(2994), Decimal("0.14")),
        Quote("sell", Decimal(3003), Decimal("0.1")),
        Quote("sell", Decimal(3006), Decimal("0.14")),
    ]


def test_prices_are_rounded_away_from_the_other_side() -> None:
    layers = Layers(count=1, half_spread_bps=Decimal(1))
    [bid, ask] = layered(market(tick="1"), Decimal("100.5"), EVEN, layers)
    assert (bid.price, ask.price) == (100, 101)


def test_too_much_base_lowers_all_quotes_and_makes_bids_smaller() -> None:
    rich = Funds(base=Decimal(15), quote=Decimal(15_000))
    layers = Layers(count=1)
    [bid, ask] = layered(market(), PRICE, EVEN, layers)
    [low_bid, low_ask] = layered(market(), PRICE, rich, layers)
    assert low_bid.price < bid.price
    assert low_ask.price < ask.price
    assert low_bid.size < bid.size
    assert low_ask.size == ask.size


def test_who_holds_nothing_of_an_asset_does_not_quote_that_side() -> None:
    assert not side(layered(market(), PRICE, Funds(Decimal(0), Decimal(30_000)), Layers()), "sell")
    assert not side(layered(market(), PRICE, Funds(Decimal(10), Decimal(0)), Layers()), "buy")
    assert layered(market(), PRICE, Funds(Decimal(0), Decimal(0)), Layers()) == []


def test_layers_that_fall_on_one_tick_are_one_quote() -> None:
    layers = Layers(count=5, half_spread_bps=Decimal(1), step_bps=Decimal(1))
    quotes = layered(market(tick="10"), PRICE, EVEN, layers)
    assert [quote.price for quote in quotes] == [2990, 3010]


@given(base=amounts, quote=amounts, price=st.decimals(min_value=1, max_value=100_000, places=2))
def test_quotes_never_cross_never_cost_more_than_there_is_and_fit_the_market(
    base: Decimal, quote: Decimal, price: Decimal
) -> None:
    rules = market()
    quotes = layered(rules, price, Funds(base, quote), Layers())
    bids, asks = side(quotes, "buy"), side(quotes, "sell")
    assert all(better.price > worse.price for better, worse in pairwise(bids))
    assert all(better.price < worse.price for better, worse in pairwise(asks))
    if bids and asks:
        assert bids[0].price < asks[0].price
    assert sum(ask.size for ask in asks) <= base
    cost = sum(bid.size * bid.price for bid in bids)
    assert cost * (1 + Decimal(rules.taker_fee_bps) / 10_000) <= quote
    for one in quotes:
        assert one.size > 0
        assert rules.round_price(one.price) == one.price
        assert rules.round_size(one.size) == one.size


def test_the_last_quote_that_the_funds_pay_for_is_made_smaller() -> None:
    wanted = [Quote("buy", Decimal(100), Decimal(1)), Quote("buy", Decimal(50), Decimal(1))]
    assert affordable(market(), wanted, Decimal(125)) == [
        wanted[0],
        Quote("buy", Decimal(50), Decimal("0.5")),
    ]


@pytest.mark.parametrize(
    ("base", "quote", "expected"), [("10", "30000", 0), ("10", "0", 1), ("0", "30000", -1), ("0", "0", 0)]
)
def test_lean_tells_how_one_sided_holdings_are(base: str, quote: str, expected: int) -> None:
    assert lean(PRICE, Funds(Decimal(base), Decimal(quote))) == expected


def test_lean_is_measured_from_the_target() -> None:
    assert lean(Decimal(1), Funds(Decimal(25), Decimal(75)), target_share=Decimal("0.25")) == 0
    assert lean(Decimal(1), Funds(Decimal(0), Decimal(1)), target_share=Decimal("0.25")) == -1


def test_layers_that_make_no_sense_are_refused() -> None:
    for wrong in ({"count": 0}, {"share": Decimal(0)}, {"reserve": Decimal(1)}, {"skew_bps": Decimal(-1)}):
        with pytest.raises(ValueError, match=r"must|needed|reserve"):
            Layers(**wrong)  # type: ignore[arg-type]
