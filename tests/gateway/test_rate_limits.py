"""Budgets by address, key and account, and how cancellations keep theirs."""

import pytest

from exchange.core.words import RateClass
from exchange.gateway.rate_limits import MAX_KEYS, Charge, LimitLeft, RateLimited, RateLimits, RequestKind
from exchange.gateway.rate_policy import (
    AccountClasses,
    AccountRates,
    IpRates,
    KeyRates,
    Rate,
    RateLimitPolicy,
)

POLICY = RateLimitPolicy(
    ip=IpRates(Rate(8, 4)),
    key=KeyRates(Rate(6, 3)),
    account=AccountClasses(AccountRates(Rate(4, 2)), AccountRates(Rate(40, 20))),
)
OWNER = "0x" + "0a" * 20
IP = "203.0.113.7"
KEY = "0x" + "0e" * 32


class World:
    """Limits with a clock and classes of the test's own."""

    def __init__(self, policy: RateLimitPolicy = POLICY) -> None:
        self.now_ns = 5 * 10**9
        self.classes: dict[str, RateClass] = {}
        self.limits = RateLimits(
            policy,
            lambda owner: self.classes.get(owner, RateClass.STANDARD),
            clock_ns=lambda: self.now_ns,
            wall_ns=lambda: 1_700_000_000 * 10**9 + self.now_ns,
        )

    def charge(self, kind: RequestKind = RequestKind.ANY, weight: int = 1, client: str = IP) -> Charge:
        """One request that has come as far as its owner."""
        charge = self.limits.charge(client, kind, weight)
        charge.take_address()
        charge.take_credential(KEY)
        return charge

    def use_up(self, kind: RequestKind) -> int:
        """Sends such requests until one is refused; how many were not."""
        for count in range(1_000):
            try:
                self.charge(kind)
            except RateLimited:
                return count
        raise AssertionError("there is no limit")


def headers(charge: Charge) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in charge.headers()}


def test_requests_are_limited_by_key_and_by_address():
    world = World()
    assert world.use_up(RequestKind.ANY) == 6
    with pytest.raises(RateLimited, match=r"^rate_limited: key-requests are used up: 6 at once, then 3 a"):
        world.charge()
    with pytest.raises(RateLimited, match=r"^rate_limited: ip-requests are used up: 8 at once, then 4 a"):
        world.charge()
    other = world.limits.charge("203.0.113.8", RequestKind.ANY)
    other.take_address()
    other.take_credential(b"another key")


def test_a_refusal_says_when_to_come_again():
    world = World()
    world.use_up(RequestKind.ANY)
    world.now_ns += 50_000_001
    with pytest.raises(RateLimited) as refused:
        world.charge()
    assert refused.value.retry_after_s == 1
    assert refused.value.retry_at_ms == 1_700_000_005_334, "a third of a second after the bucket was empty"
    world.now_ns += 283_333_333
    world.charge()


def test_cancellations_take_from_nothing_else():
    world = World()
    before = world.limits.left(IP, KEY, OWNER)
    charge = world.charge(RequestKind.CANCEL)
    assert charge.take_cancels(OWNER) == 1
    for limit, now in zip(before, world.limits.left(IP, KEY, OWNER), strict=True):
        assert limit.remaining - now.remaining == (1 if limit.name == "cancels" else 0)


def test_cancellations_pass_when_everything_else_is_used_up():
    world = World()
    while world.limits.take_orders(OWNER):
        pass
    world.use_up(RequestKind.ANY)
    for _ in range(2):
        with pytest.raises(RateLimited):
            world.charge()
    assert [limit.remaining for limit in world.limits.left(IP, KEY, OWNER) if limit.name != "cancels"] == [
        0,
        0,
        0,
    ]
    charge = world.charge(RequestKind.CANCEL)
    assert charge.only_cancels is None
    assert charge.take_cancels(OWNER) == 1


def test_cancellations_have_an_end_too():
    world = World()
    assert world.use_up(RequestKind.CANCEL) == 12, "twice the requests"
    assert [world.limits.take_cancels(OWNER, 5) for _ in range(3)] == [5, 3, 0], "twice the orders"
    assert world.charge().take_orders(OWNER) == 1


def test_a_batch_comes_in_by_the_cancels_budget_when_requests_are_used_up_and_then_places_nothing():
    world = World()
    world.use_up(RequestKind.ANY)
    charge = world.charge(RequestKind.BATCH)
    assert (charge.take_orders(OWNER, 3), charge.take_cancels(OWNER, 3)) == (0, 3)
    assert str(charge.orders_refused(OWNER)).startswith("rate_limited: key-requests are used up")
    assert world.limits.take_orders(OWNER, 9) == 4, "nothing was taken of the orders"


def test_a_batch_that_came_in_by_the_addresss_cancels_takes_the_keys_too():
    world = World()
    for _ in range(8):
        world.limits.take_address(IP)
    charge = world.charge(RequestKind.BATCH)
    assert str(charge.orders_refused(OWNER)).startswith("rate_limited: ip-requests are used up")
    left = {(limit.scope, limit.name): limit.remaining for limit in world.limits.left(IP, KEY, OWNER)}
    assert left["key", "requests"] == 6
    assert left["key", "cancels"] == 11


def test_a_batch_is_refused_when_there_is_neither():
    world = World()
    world.use_up(RequestKind.ANY)
    assert world.use_up(RequestKind.BATCH) == 12
    with pytest.raises(RateLimited, match="key-cancels are used up"):
        world.charge(RequestKind.BATCH)


def test_a_batch_takes_one_request_while_there_are_any():
    world = World()
    charge = world.charge(RequestKind.BATCH)
    assert charge.only_cancels is None
    assert (charge.take_orders(OWNER, 3), charge.take_orders(OWNER, 3)) == (3, 1)
    assert str(charge.orders_refused(OWNER)).startswith("rate_limited: account-orders are used up")
    assert charge.orders_refused(OWNER).retry_at_ms == 1_700_000_005_500
    assert charge.cancels_refused(OWNER).retry_at_ms == 1_700_000_005_000, "there are some"


def test_a_class_counts_from_the_next_look_on_and_begins_with_full_budgets():
    world = World()
    assert world.limits.take_orders(OWNER, 100) == 4
    world.classes[OWNER] = RateClass.MARKET_MAKER
    assert world.limits.take_orders(OWNER, 100) == 40
    assert world.limits.take_cancels(OWNER, 100) == 80
    world.classes[OWNER] = RateClass.STANDARD
    assert world.limits.take_orders(OWNER) == 0


def test_an_answer_tells_of_the_budget_that_is_nearest_to_empty():
    world = World()
    charge = world.limits.charge(IP, RequestKind.ANY)
    assert charge.headers() == [], "of nothing was taken"
    charge.take_address()
    assert headers(charge) == {
        "ratelimit-limit": "8",
        "ratelimit-remaining": "7",
        "ratelimit-reset": "1",
        "ratelimit-policy": '4;w=1;burst=8;name="ip-requests"',
    }
    charge.take_credential(KEY)
    assert charge.take_orders(OWNER, 3) == 3
    assert headers(charge) == {
        "ratelimit-limit": "4",
        "ratelimit-remaining": "1",
        "ratelimit-reset": "2",
        "ratelimit-policy": '4;w=1;burst=8;name="ip-requests", 3;w=1;burst=6;name="key-requests", '
        '2;w=1;burst=4;name="account-orders"',
    }


def test_a_refused_requests_answer_tells_of_the_budget_that_is_empty():
    world = World()
    world.use_up(RequestKind.ANY)
    charge = world.limits.charge("203.0.113.8", RequestKind.ANY)
    charge.take_address()
    with pytest.raises(RateLimited):
        charge.take_credential(KEY)
    assert headers(charge)["ratelimit-limit"] == "6"
    assert headers(charge)["ratelimit-remaining"] == "0"
    assert headers(charge)["ratelimit-reset"] == "2"


def test_what_costs_more_takes_more_of_the_requests_and_no_more_of_the_cancels():
    world = World()
    world.charge(weight=5)
    with pytest.raises(RateLimited):
        world.charge(weight=4)
    assert world.charge(RequestKind.BATCH, weight=5).only_cancels is not None
    left = {(limit.scope, limit.name): limit.remaining for limit in world.limits.left(IP, KEY, OWNER)}
    assert left["ip", "cancels"] == 15


def test_what_is_left_is_told_for_every_budget_and_takes_nothing():
    world = World()
    world.charge().take_orders(OWNER, 2)
    expected = [
        LimitLeft("requests", "ip", 8, 4, remaining=7, full_in_ms=250),
        LimitLeft("cancels", "ip", 16, 8, remaining=16, full_in_ms=0),
        LimitLeft("requests", "key", 6, 3, remaining=5, full_in_ms=334),
        LimitLeft("cancels", "key", 12, 6, remaining=12, full_in_ms=0),
        LimitLeft("orders", "account", 4, 2, remaining=2, full_in_ms=1000),
        LimitLeft("cancels", "account", 8, 4, remaining=8, full_in_ms=0),
    ]
    assert world.limits.left(IP, KEY, OWNER) == expected
    assert world.limits.left(IP, KEY, OWNER) == expected


def test_refusals_are_counted_by_budget():
    world = World()
    world.use_up(RequestKind.ANY)
    world.limits.take_orders(OWNER, 7)
    world.limits.take_cancels(OWNER, 10)
    world.limits.take_address(IP)
    with pytest.raises(RateLimited):
        world.limits.take_address(IP)
    assert world.limits.refused == {
        "key-requests": 1,
        "ip-requests": 1,
        "account-orders": 3,
        "account-cancels": 2,
    }


def test_strangers_take_up_no_more_room_however_many_there_are():
    world = World()
    for number in range(MAX_KEYS + 100):
        world.limits.take_address(f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64")
    assert len(world.limits.ip.ordinary.buckets) == MAX_KEYS
    assert len(world.limits.key.ordinary.buckets) == 0, "a key that was not found to be good has none"
