import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.gateway.ip_ranges import MAX_RANGE_CHARS, MAX_RANGES, is_within, parse_ip_ranges
from exchange.gateway.refusals import FieldRefused

networks = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
).map(lambda pair: ipaddress.ip_network(pair, strict=False))


@given(networks)
def test_every_range_in_its_own_form_is_taken_and_has_its_addresses(network):
    if network.version == 6 and network.subnet_of(ipaddress.IPv6Network("::ffff:0:0/96")):
        return
    ranges = parse_ip_ranges([str(network)])
    assert ranges == (str(network),)
    assert len(ranges[0]) <= MAX_RANGE_CHARS
    for address in (network[0], network[-1]):
        if getattr(address, "ipv4_mapped", None) is None:
            assert is_within(ranges, str(address))


@pytest.mark.parametrize(
    ("value", "nearest"),
    [
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8:0::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("::ffff:cb00:7107/128", "203.0.113.7/32"),
    ],
)
def test_another_form_is_refused_with_the_one_that_is_taken(value, nearest):
    with pytest.raises(FieldRefused) as caught:
        parse_ip_ranges(["198.51.100.0/24", value])
    assert (caught.value.code, caught.value.field) == ("field_invalid", "ip_ranges")
    assert caught.value.value == value
    assert caught.value.nearest == (nearest,)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "localhost",
        "203.0.113.0/33",
        "203.0.113",
        "203.0.113.0/-1",
        "203.0.113.0/+24",
        "203.0.113.00/24",
        "fe80::1%eth0/128",
        "fe80::%eth0/64",
        "10.0.0.0/8 ",
        "10.0.0.0/8\n",
        "1" * 500,
        "0x0a.0.0.0/8",
        "\u0663.0.0.0/8",
        "10.0.0.0/8/8",
        "1/8",
        "::/129",
        "*",
    ],
)
def test_what_is_no_range_is_refused(value):
    with pytest.raises(FieldRefused) as caught:
        parse_ip_ranges([value])
    assert caught.value.code == "field_invalid"


def test_ranges_are_bounded_and_named_once():
    many = [f"10.0.{number}.0/24" for number in range(MAX_RANGES + 1)]
    assert len(parse_ip_ranges(many[:-1])) == MAX_RANGES
    for values in (many, [many[0], many[0]]):
        with pytest.raises(FieldRefused):
            parse_ip_ranges(values)
    assert parse_ip_ranges([]) == ()


@pytest.mark.parametrize(
    ("host", "is_in"),
    [
        ("203.0.113.0", True),
        ("203.0.113.255", True),
        ("203.0.114.0", False),
        ("::ffff:203.0.113.7", True),
        ("::ffff:203.0.114.7", False),
        ("2001:db8:1::7", True),
        ("2001:db9::7", False),
        ("::1", False),
        ("", False),
        (None, False),
        ("unknown", False),
        ("203.0.113.7:443", False),
    ],
)
def test_an_address_is_in_a_range_or_not(host, is_in):
    ranges = ("203.0.113.0/24", "2001:db8::/32")
    assert is_within(ranges, host) is is_in
    assert not is_within((), host)
