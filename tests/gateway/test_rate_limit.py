import pytest

from exchange.gateway.rate_limit import Left, TokenBuckets, client_key


class Clock:
    def __init__(self) -> None:
        self.now_ns = 5 * 10**9

    def __call__(self) -> int:
        return self.now_ns


def test_a_burst_is_taken_at_once_and_then_one_token_each_interval():
    clock = Clock()
    buckets = TokenBuckets(burst=3, per_s=2, clock_ns=clock)
    assert [buckets.take("a") for _ in range(5)] == [0, 0, 0, 1, 1]
    assert buckets.take("b") == 0
    clock.now_ns += 499_999_999
    assert buckets.take("a") == 1
    clock.now_ns += 1
    assert [buckets.take("a") for _ in range(2)] == [0, 1]
    clock.now_ns += 3600 * 10**9
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 1]


def test_who_was_refused_waits_no_longer_for_having_asked():
    clock = Clock()
    buckets = TokenBuckets(burst=1, per_s=1, clock_ns=clock)
    buckets.take("a")
    assert {buckets.take("a") for _ in range(1_000)} == {1}
    clock.now_ns += 10**9
    assert buckets.take("a") == 0


def test_several_tokens_are_taken_whole_or_not_at_all():
    clock = Clock()
    buckets = TokenBuckets(burst=10, per_s=4, clock_ns=clock)
    assert [buckets.take_all("a", 6), buckets.take_all("a", 6)] == [0, 500_000_000]
    assert buckets.left("a") == Left(4, 1_500_000_000)
    assert [buckets.take_all("a", 4), buckets.take_all("a", 1)] == [0, 250_000_000]


def test_what_costs_more_than_a_bucket_holds_takes_a_full_one():
    clock = Clock()
    buckets = TokenBuckets(burst=10, per_s=4, clock_ns=clock)
    assert buckets.take_all("a", 50) == 0
    assert buckets.left("a") == Left(0, 2_500_000_000)
    assert buckets.take_all("a", 50) == 2_500_000_000
    clock.now_ns += 2_500_000_000
    assert buckets.take_all("a", 50) == 0


def test_as_many_of_several_tokens_are_taken_as_there_are():
    clock = Clock()
    buckets = TokenBuckets(burst=5, per_s=2, clock_ns=clock)
    assert [buckets.take_some("a", 3) for _ in range(3)] == [3, 2, 0]
    assert buckets.wait_ns("a") == 500_000_000
    clock.now_ns += 1_400_000_000
    assert buckets.wait_ns("a") == 0
    assert [buckets.take_some("a", 3) for _ in range(2)] == [2, 0]
    clock.now_ns += 100_000_000
    assert buckets.take_some("a", 1) == 1, "what of a token had come in was kept"
    assert buckets.take_some("b", 0) == 0
    assert buckets.left("b") == Left(5, 0)


def test_the_least_recently_used_bucket_is_forgotten():
    buckets = TokenBuckets(burst=1, per_s=1, clock_ns=Clock(), max_clients=2)
    assert [buckets.take(key) for key in "abacab"] == [0, 0, 1, 0, 1, 0]


def test_who_is_refused_or_looked_at_takes_up_no_room():
    buckets = TokenBuckets(burst=1, per_s=1, clock_ns=Clock(), max_clients=2)
    for key in "ab":
        buckets.take_some(key, 1)
    for key in "cdef":
        assert buckets.take_some(key, 0) == 0
        assert buckets.left(key) == Left(1, 0)
        assert buckets.wait_ns(key) == 0
    assert [buckets.left(key).tokens for key in "ab"] == [0, 0]


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("", "unknown"),
        ("localhost", "unknown"),
    ],
)
def test_a_client_is_its_ipv4_address_or_its_ipv6_network(host, key):
    assert client_key(host) == key
