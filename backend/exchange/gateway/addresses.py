"""Wallet addresses: lower case inside, EIP-55 checksummed outside.

Taken in lower case, in upper case, or in mixed case with a right checksum; a wrong checksum is a typing
error and is refused. Source: EIP-55.
"""

import re
from functools import lru_cache

from eth_hash.auto import keccak

from exchange.gateway.refusals import FieldRefused, GatewayCode

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


@lru_cache(maxsize=10_000)
def checksummed(address: str) -> str:
    """EIP-55 form of a lower-case address."""
    digits = address[2:]
    digest = keccak(digits.encode()).hex()
    return "0x" + "".join(
        char.upper() if int(nibble, 16) >= 8 else char for char, nibble in zip(digits, digest, strict=False)
    )


def parse_address(value: object, field: str) -> str:
    """Lower-case address of a field. Raises FieldRefused (address_invalid)."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise FieldRefused(
            GatewayCode.ADDRESS_INVALID,
            "not an address: 0x and 40 hexadecimal digits",
            field=field,
            value=value,
        )
    lower = value.lower()
    digits = value[2:]
    if digits not in (lower[2:], lower[2:].upper()) and checksummed(lower) != value:
        raise FieldRefused(
            GatewayCode.ADDRESS_INVALID,
            "the capital letters of this address do not match its checksum (EIP-55)",
            field=field,
            value=value,
            nearest=(checksummed(lower),),
        )
    return lower
