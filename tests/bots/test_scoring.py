from decimal import Decimal

import pytest
from bots.quoting import Funds
from bots.scoring import ScoringRule
from hypothesis import given
from hypothesis import strategies as st
from tests.bots.markets import market

LOT = Decimal("0.0001")
ATOM = Decimal("0.000001")
FUNDS = Funds(Decimal(10**9), Decimal(10**12))
NO_RESERVE = Decimal(0)

lots = st.integers(min_value=-3_000_000, max_value=3_000_000).map(lambda count: count * LOT)


def rule(first: str = "3000", depth: str = "10") -> ScoringRule:
    return ScoringRule(Decimal(2000), Decimal(4000), Decimal(first), Decimal(depth))


@st.composite
def rules(draw: st.DrawFn) -> ScoringRule:
    floor = draw(st.decimals(min_value=0, max_value=1_000, places=2))
    width = draw(st.decimals(min_value=1, max_value=5_000, places=2))
    share = draw(st.decimals(min_value="0.01", max_value="0.99", places=3))
    depth = draw(st.decimals(min_value="0.1", max_value=500, places=1))
    return ScoringRule(floor, floor + width, floor + width * share, depth)


def test_the_first_price_is_the_one_that_was_wanted() -> None:
    assert abs(rule("2500").price(Decimal(0)) - 2500) < Decimal("1e-40")


def test_the_price_rises_with_what_is_sold_and_never_leaves_its_range() -> None:
    sold = [Decimal(amount) for amount in (-(10**6), -100, -1, 0, 1, 100, 10**6)]
    prices = [rule().price(amount) for amount in sold]
    assert prices == sorted(prices)
    assert 2000 <= prices[0] < Decimal("2000.01")
    assert Decimal("3999.99") < prices[-1] <= 4000


def test_the_worst_loss_of_an_even_start_is_the_known_one() -> None:
    assert abs(rule().worst_loss - 2000 * 10 * Decimal(2).ln()) < Decimal("1e-20")


@given(scoring=rules(), sold=lots, more=lots.filter(lambda amount: amount > 0))
def test_the_cost_is_convex_and_its_slope_is_the_price(
    scoring: ScoringRule, sold: Decimal, more: Decimal
) -> None:
    slope = (scoring.cost(sold + more) - scoring.cost(sold)) / more
    assert scoring.price(sold) - ATOM <= slope <= scoring.price(sold + more) + ATOM


@given(scoring=rules(), sold=lots)
def test_however_much_is_sold_or_bought_the_cost_covers_all_but_the_worst_loss(
    scoring: ScoringRule, sold: Decimal
) -> None:
    taken = scoring.cost(sold) - scoring.cost(Decimal(0))
    for worth in (scoring.floor, scoring.first_price, scoring.cap):
        assert sold * worth - taken <= scoring.worst_loss + Decimal("1e-12")


@st.composite
def days(draw: st.DrawFn) -> list[tuple[bool, int, int]]:
    """Fills: whether new quotes were made before, which quote (of 8), how much of it, in thousandths."""
    fill = st.tuples(st.booleans(), st.integers(0, 7), st.integers(1, 1_000))
    return draw(st.lists(fill, max_size=60))


@given(
    scoring=rules(),
    day=days(),
    size=st.integers(1, 50_000).map(lambda count: count * LOT),
    fee_bps=st.integers(0, 50),
    tick=st.sampled_from(["0.01", "0.5", "10"]),
)
def test_whoever_trades_whatever_with_it_the_loss_is_bounded(
    scoring: ScoringRule,
    day: list[tuple[bool, int, int]],
    size: Decimal,
    fee_bps: int,
    tick: str,
) -> None:
    """Any quote is filled in any part, in any order, also quotes from before other fills, as in a race."""
    rules_of = market(tick=tick, maker_fee_bps=fee_bps)
    sold, cash, filled = Decimal(0), Decimal(0), 0
    left: dict[int, Decimal] = {}
    quotes = scoring.quotes(rules_of, sold, size, 4, FUNDS, NO_RESERVE)
    for is_new, which, thousandths in day:
        if is_new:
            quotes, left = scoring.quotes(rules_of, sold, size, 4, FUNDS, NO_RESERVE), {}
        if which >= len(quotes):
            continue
        quote = quotes[which]
        remaining = left.get(which, quote.size)
        taken = min(remaining, max(LOT, rules_of.round_size(quote.size * thousandths / 1_000)))
        if taken == 0:
            continue
        left[which] = remaining - taken
        notional = taken * quote.price
        fee = notional * fee_bps / 10_000
        cash += (notional if quote.side == "sell" else -notional) - fee
        sold += taken if quote.side == "sell" else -taken
        filled += 1
        assert cash >= scoring.cost(sold) - scoring.cost(Decimal(0)) - filled * ATOM
        for worth in (scoring.floor, scoring.first_price, scoring.cap):
            assert sold * worth - cash <= scoring.worst_loss + filled * ATOM


def test_quotes_are_in_whole_ticks_never_cross_and_keep_to_the_funds() -> None:
    quotes = rule().quotes(market(), Decimal(0), Decimal(2), 3, Funds(Decimal(3), Decimal(4_000)), NO_RESERVE)
    asks = [(q.price, q.size) for q in quotes if q.side == "sell"]
    bids = [(q.price, q.size) for q in quotes if q.side == "buy"]
    assert [size for _, size in asks] == [2, 1]
    assert [size for _, size in bids] == [Decimal("1.3558")]
    assert bids[0][0] < 3000 < asks[0][0] < asks[1][0]


@pytest.mark.parametrize(
    ("floor", "cap", "first", "depth"), [(-1, 2, 1, 1), (0, 2, 2, 1), (1, 2, 1, 1), (0, 2, 1, 0)]
)
def test_rules_that_make_no_sense_are_refused(floor: int, cap: int, first: int, depth: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        ScoringRule(Decimal(floor), Decimal(cap), Decimal(first), Decimal(depth))
