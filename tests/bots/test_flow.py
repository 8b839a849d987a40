from decimal import Decimal
from statistics import mean

import pytest
from bots.flow import Flow, Takers
from bots.quoting import Funds
from tests.bots.markets import levels, market

BIDS = levels(("2999", "1"), ("2998", "1"), ("2900", "100"))
ASKS = levels(("3001", "1"), ("3002", "1"), ("3100", "100"))
EVEN = Funds(Decimal(100), Decimal(300_000))


def test_orders_come_at_the_rate_that_was_asked_for() -> None:
    takers = Takers(Flow(per_s=Decimal(4)), seed=1)
    assert mean(takers.wait_s() for _ in range(20_000)) == pytest.approx(0.25, rel=0.05)


def test_the_same_seed_takes_the_same() -> None:
    one, other = Takers(Flow(), 3), Takers(Flow(), 3)
    drawn = [one.take(market(), BIDS, ASKS, EVEN) for _ in range(50)]
    assert drawn == [other.take(market(), BIDS, ASKS, EVEN) for _ in range(50)]
    assert {take.side for take in drawn if take} == {"buy", "sell"}


def test_an_order_never_takes_more_than_its_share_of_what_is_near() -> None:
    takers = Takers(Flow(mean_share=Decimal("0.2")), seed=1)
    for _ in range(200):
        take = takers.take(market(), BIDS, ASKS, EVEN)
        assert take is not None
        assert take.size <= Decimal("0.5")  # a quarter of two; the hundred are out of reach
        assert take.worst_price in {Decimal(3016), Decimal("2984.01")}


def test_the_last_price_of_a_side_is_left_to_it() -> None:
    takers = Takers(Flow(), seed=1)
    for _ in range(50):
        assert takers.take(market(), BIDS[:1], ASKS[:1], EVEN) is None
        assert takers.take(market(), (), ASKS, EVEN) is None
        assert takers.take(market(), BIDS, (), EVEN) is None


def test_who_holds_only_one_asset_mostly_trades_it_for_the_other_and_never_more_than_there_is() -> None:
    takers = Takers(Flow(), seed=1)
    poor = Funds(Decimal(0), Decimal(50))
    takes = [takers.take(market(), BIDS, ASKS, poor) for _ in range(200)]
    sizes = [take.size for take in takes if take]
    assert len(sizes) > 150
    assert {take.side for take in takes if take} == {"buy"}
    assert max(sizes) * Decimal(3016) * Decimal("1.002") <= 50


def test_sizes_are_the_share_of_the_book_that_was_asked_for() -> None:
    takers = Takers(Flow(mean_share=Decimal("0.01"), most_share=Decimal("0.9")), seed=1)
    sizes = [take.size for _ in range(5_000) if (take := takers.take(market(), BIDS, ASKS, EVEN))]
    assert float(mean(sizes)) == pytest.approx(0.02, rel=0.1)


def test_flows_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        Flow(per_s=Decimal(0))
    with pytest.raises(ValueError, match="share"):
        Flow(most_share=Decimal(1))
