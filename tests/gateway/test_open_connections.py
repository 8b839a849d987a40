"""How many connections an address may have open, without any."""

from collections import Counter

from exchange.gateway.open_connections import BOUND_NAME, SPARE_CONNECTIONS, OpenConnections


def opened(connections: OpenConnections, host: str, number: int) -> list:
    return [connections.open(host) for _ in range(number)]


def test_connections_beyond_the_bound_are_refused_and_those_far_beyond_not_even_told():
    refused = Counter()
    connections = OpenConnections(2, refused)
    first, second, *spare, last = opened(connections, "192.0.2.1", 2 + SPARE_CONNECTIONS + 1)
    assert (first.refusal, second.refusal) == (None, None)
    assert {connection.refusal.code for connection in spare} == {"rate_limited"}
    assert last is None
    assert refused == {BOUND_NAME: SPARE_CONNECTIONS + 1}
    assert len(connections) == 2 + SPARE_CONNECTIONS


def test_a_closed_one_makes_room_and_none_of_an_address_is_remembered():
    connections = OpenConnections(1, Counter())
    for _ in range(1_000):
        (connection,) = opened(connections, "192.0.2.1", 1)
        assert connection.refusal is None
        connection.close()
    assert len(connections) == 0
    assert not connections._by_client


def test_what_is_refused_counts_until_it_is_closed_and_keeps_its_refusal():
    connections = OpenConnections(1, Counter())
    kept, over = opened(connections, "192.0.2.1", 2)
    kept.close()
    assert over.refusal is not None
    assert connections.open("192.0.2.1").refusal is not None
    over.close()
    assert len(connections) == 1


def test_an_address_takes_nothing_from_another_and_ipv6_counts_by_64():
    connections = OpenConnections(1, Counter())
    assert connections.open("192.0.2.1").refusal is None
    assert connections.open("192.0.2.2").refusal is None
    assert connections.open("::ffff:192.0.2.2").refusal is not None
    assert connections.open("2001:db8::1").refusal is None
    assert connections.open("2001:db8::ffff:1").refusal is not None
    assert connections.open("2001:db8:0:1::1").refusal is None
