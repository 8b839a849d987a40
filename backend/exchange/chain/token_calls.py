"""Calls of a token, as calldata. `mint` is what the test tokens of a development chain have beside."""

from eth_abi.abi import encode

from exchange.chain.vault import selector


def balance_of(holder: str) -> bytes:
    """How many atoms an address has; answered as one word."""
    return selector("balanceOf(address)") + encode(["address"], [holder])


def mint(holder: str, atoms: int) -> bytes:
    """So many new ones for an address."""
    return selector("mint(address,uint256)") + encode(["address", "uint256"], [holder, atoms])
