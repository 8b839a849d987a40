from decimal import Decimal

import msgspec
from bots.standing import Standing
from tests.bots.markets import order

from exchange_sdk.models import Order


def ended(one: Order, filled: str | None = None) -> Order:
    filled_size = one.filled if filled is None else Decimal(filled)
    status = "filled" if filled_size == one.size else "cancelled"
    return msgspec.structs.replace(one, status=status, filled=filled_size, remaining=one.size - filled_size)


def test_a_placed_order_stands_once_the_stream_has_said_so() -> None:
    standing = Standing()
    standing.expect(order(7, "buy", "99", "1"))
    assert not standing.is_as_expected
    assert standing.in_market("ETH-USDC") == []
    standing.take(order(7, "buy", "99", "1"))
    assert standing.is_as_expected
    assert [one.order_id for one in standing.in_market("ETH-USDC")] == ["7"]


def test_the_stream_may_be_before_the_reply() -> None:
    standing = Standing()
    standing.take(order(7, "buy", "99", "1"))
    standing.expect(order(7, "buy", "99", "1"))
    assert standing.is_as_expected
    standing.take(ended(order(7, "buy", "99", "1"), "1"))
    standing.expect(order(7, "buy", "99", "1"))  # filled before its own placement was answered
    assert standing.is_as_expected


def test_an_amendment_is_awaited_with_its_price_and_size() -> None:
    standing = Standing([order(7, "buy", "99", "1")])
    standing.expect(order(7, "buy", "98", "1"))
    assert not standing.is_as_expected
    standing.take(order(7, "buy", "98", "1", filled="0.5"))
    assert standing.is_as_expected


def test_a_cancel_is_awaited_until_the_order_has_ended() -> None:
    standing = Standing([order(7, "buy", "99", "1")])
    standing.expect(ended(order(7, "buy", "99", "1")))
    assert not standing.is_as_expected
    standing.take(ended(order(7, "buy", "99", "1")))
    assert standing.is_as_expected
    assert standing.in_market("ETH-USDC") == []


def test_what_was_sold_is_counted_once_whichever_order_sold_it() -> None:
    standing = Standing([order(7, "sell", "101", "2", filled="1")])
    standing.take(order(7, "sell", "101", "2", filled="1.5"))
    standing.take(ended(order(7, "sell", "101", "2"), "2"))
    standing.take(ended(order(7, "sell", "101", "2"), "2"))  # said once more
    assert standing.sold("ETH-USDC") == 1
    standing.take(order(8, "buy", "99", "3", filled="3"))
    assert standing.sold("ETH-USDC") == -2
    assert standing.sold("WBTC-USDC") == 0


def test_a_new_beginning_expects_nothing() -> None:
    standing = Standing()
    standing.expect(order(7, "buy", "99", "1"))
    standing.forget_expected()
    assert standing.is_as_expected
