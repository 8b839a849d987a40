import pytest

from exchange.gateway.rate_limit import TokenBuckets, client_key


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


def test_the_least_recently_used_bucket_is_forgotten():
    buckets = TokenBuckets(burst=1, per_s=1, clock_ns=Clock(), max_clients=2)
    assert [buckets.take(key) for key in "abacab"] == [0, 0, 1, 0, 1, 0]


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
