"""From where an agent may come: ranges of addresses (CIDR), in the one way in which each is written.

A range is compared with the address of the connection, never with what a header says. An IPv4 client of an
IPv6 socket (`::ffff:192.0.2.1`) counts as what it is, IPv4.
"""

import ipaddress
from functools import lru_cache

from exchange.gateway.refusals import FieldRefused, GatewayCode

MAX_RANGES = 16
MAX_RANGE_CHARS = 43
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def parse_ip_ranges(values: list[str], field: str = "ip_ranges") -> tuple[str, ...]:
    """The ranges as they are, if all are. Raises FieldRefused (field_invalid)."""
    if len(values) > MAX_RANGES:
        raise FieldRefused(GatewayCode.FIELD_INVALID, f"at most {MAX_RANGES} ranges", field=field)
    for value in values:
        _require_range(value, field)
    if len(set(values)) < len(values):
        raise FieldRefused(GatewayCode.FIELD_INVALID, "names a range twice", field=field, value=values)
    return tuple(values)


def is_within(ranges: tuple[str, ...], host: str | None) -> bool:
    """Whether a connection's address is in one of the ranges. One that is unknown is in none."""
    address = _address(host or "")
    return address is not None and any(address in network for network in _networks(ranges))


def _require_range(value: str, field: str) -> None:
    try:
        network: _Network | None = ipaddress.ip_network(value, strict=False)
    except ValueError:
        network = None
    if len(value) > MAX_RANGE_CHARS or "%" in value or network is None:
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            'must be ranges like "203.0.113.0/24" or "2001:db8::/32"',
            field=field,
            value=value,
        )
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            "IPv4 addresses are written as such, also for IPv6 sockets",
            field=field,
            value=value,
            nearest=(str(_unmapped(network)),),
        )
    if str(network) != value:
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            "a range is written in its one form: its first address, its length, no leading zeros",
            field=field,
            value=value,
            nearest=(str(network),),
        )


def _unmapped(network: ipaddress.IPv6Network) -> ipaddress.IPv4Network:
    address = network.network_address.ipv4_mapped
    assert address is not None
    return ipaddress.IPv4Network((address, network.prefixlen - _MAPPED.prefixlen))


@lru_cache(maxsize=10_000)
def _networks(ranges: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in ranges)


@lru_cache(maxsize=10_000)
def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None  # a local socket has none
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped
