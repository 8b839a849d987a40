from decimal import Decimal

from bots.ladder import Tolerance, changes
from bots.quoting import Quote
from hypothesis import given
from hypothesis import strategies as st
from tests.bots.markets import order

from exchange_sdk.models import Order
from exchange_sdk.orders import Amend, Cancel, Operation, Place

EXACT = Tolerance(price_bps=Decimal(0), missing=Decimal(0), excess=Decimal(0))


def quote(side: str, price: str, size: str = "1") -> Quote:
    return Quote("buy" if side == "buy" else "sell", Decimal(price), Decimal(size))


def told(operations: list[Operation]) -> list[tuple[str, ...]]:
    """The operations in short."""
    short: list[tuple[str, ...]] = []
    for operation in operations:
        match operation:
            case Place():
                assert operation.time_in_force == "post_only"
                short.append(("place", operation.side, str(operation.price), str(operation.size)))
            case Amend():
                short.append(("amend", operation.order_id, str(operation.price), str(operation.size)))
            case Cancel():
                short.append(("cancel", operation.order_id))
    return short


def test_an_empty_book_gets_every_quote() -> None:
    wanted = [quote("buy", "99"), quote("sell", "101", "2")]
    assert told(changes("ETH-USDC", [], wanted, EXACT)) == [
        ("place", "buy", "99", "1"),
        ("place", "sell", "101", "2"),
    ]


def test_what_stands_right_is_left_alone() -> None:
    standing = [order(1, "buy", "99", "1"), order(2, "sell", "101", "1")]
    assert changes("ETH-USDC", standing, [quote("buy", "99"), quote("sell", "101")], EXACT) == []


def test_orders_are_amended_best_to_best_and_what_is_too_many_is_cancelled_first() -> None:
    standing = [order(1, "buy", "97", "1"), order(2, "buy", "99", "1"), order(3, "buy", "98", "1")]
    wanted = [quote("buy", "98.5"), quote("buy", "98")]
    assert told(changes("ETH-USDC", standing, wanted, EXACT)) == [
        ("cancel", "1"),
        ("amend", "2", "98.5", "1"),
    ]


def test_a_partly_filled_order_is_filled_up_again_by_its_total() -> None:
    standing = [order(1, "buy", "99", "5", filled="3")]
    [amend] = told(changes("ETH-USDC", standing, [quote("buy", "99", "4")], EXACT))
    assert amend == ("amend", "1", "99", "7")


def test_no_quotes_mean_no_orders() -> None:
    standing = [order(1, "buy", "99", "1"), order(2, "sell", "101", "1")]
    assert told(changes("ETH-USDC", standing, [], EXACT)) == [("cancel", "1"), ("cancel", "2")]


def test_what_is_nearly_right_is_left_alone() -> None:
    standing = [order(1, "buy", "99.99", "1", filled="0.4")]
    assert changes("ETH-USDC", standing, [quote("buy", "100")], Tolerance()) == []
    assert changes("ETH-USDC", standing, [quote("buy", "100.02")], Tolerance()) != []
    assert changes("ETH-USDC", [order(1, "buy", "100", "1.21")], [quote("buy", "100")], Tolerance()) != []
    assert changes(
        "ETH-USDC", [order(1, "buy", "100", "1", filled="0.51")], [quote("buy", "100")], Tolerance()
    )


def test_when_the_price_rises_asks_get_out_of_the_way_of_bids() -> None:
    standing = [order(1, "buy", "99", "1"), order(2, "sell", "101", "1")]
    rising = told(changes("ETH-USDC", standing, [quote("buy", "102"), quote("sell", "104")], EXACT))
    assert [operation[1] for operation in rising] == ["2", "1"]
    falling = told(changes("ETH-USDC", standing, [quote("buy", "96"), quote("sell", "98")], EXACT))
    assert [operation[1] for operation in falling] == ["1", "2"]


prices = st.integers(min_value=1, max_value=60)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[list[Order], list[Quote]]:
    """Standing orders and wanted quotes, neither of which crosses itself."""

    def split(split_at: int, drawn: set[int]) -> tuple[list[int], list[int]]:
        return sorted(p for p in drawn if p < split_at), sorted(p for p in drawn if p > split_at)

    bids, asks = split(draw(prices), draw(st.sets(prices, max_size=8)))
    standing = [order(n, "buy", str(p), "2") for n, p in enumerate(bids, 1)]
    standing += [order(n, "sell", str(p), "2") for n, p in enumerate(asks, 100)]
    bids, asks = split(draw(prices), draw(st.sets(prices, max_size=8)))
    wanted = [quote("buy", str(p)) for p in reversed(bids)] + [quote("sell", str(p)) for p in asks]
    return draw(st.permutations(standing)), wanted


@given(ladders())
def test_done_one_by_one_no_order_ever_meets_another_of_ours_and_the_quotes_stand_at_the_end(
    drawn: tuple[list[Order], list[Quote]],
) -> None:
    standing, wanted = drawn
    book = {one.order_id: (one.side, one.price, one.remaining) for one in standing}
    for operation in changes("ETH-USDC", standing, wanted, EXACT):
        match operation:
            case Cancel():
                del book[operation.order_id]
            case Amend():
                side = book[operation.order_id][0]
                book[operation.order_id] = (side, operation.price, operation.size)  # type: ignore[assignment]
            case Place():
                book[operation.client_order_id] = (operation.side, operation.price, operation.size)  # type: ignore[assignment]
        best_bid = max((price for side, price, _ in book.values() if side == "buy"), default=None)
        best_ask = min((price for side, price, _ in book.values() if side == "sell"), default=None)
        assert best_bid is None or best_ask is None or best_bid < best_ask
    assert sorted(book.values()) == sorted((one.side, one.price, one.size) for one in wanted)
