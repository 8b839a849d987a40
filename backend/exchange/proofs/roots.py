"""Where a root is in the contract's list, read at one block. The list is by ascending seq."""

from dataclasses import dataclass

from exchange.chain.balance_roots import (
    COUNT_CALL,
    PublishedRoot,
    decode_root,
    root_at_call,
)
from exchange.chain.rpc import Rpc
from exchange.chain.vault import decode_word


@dataclass(frozen=True, slots=True)
class PlacedRoot:
    """A root and its place in the list."""

    index: int
    published: PublishedRoot


async def first_root_from(rpc: Rpc, contract: str, seq: int, block_hash: str | None) -> PlacedRoot | None:
    """The first root of this seq or a later one, at a block (None: the newest). Raises ChainError.

    Asks for few of them: mostly the newest root is the one, or there is none yet.
    """
    low, high = 0, decode_word(await rpc.view(contract, COUNT_CALL, block_hash))
    found: PlacedRoot | None = None
    at = high - 1
    while low < high:
        entry = decode_root(await rpc.view(contract, root_at_call(at), block_hash))
        if entry.seq == seq:
            return PlacedRoot(at, entry)
        if entry.seq > seq:
            found, high = PlacedRoot(at, entry), at
        else:
            low = at + 1
        at = (low + high) // 2
    return found


async def root_at(rpc: Rpc, contract: str, index: int, block_hash: str | None = None) -> PublishedRoot | None:
    """The root at a place, None when the list is not that long. Raises ChainError."""
    if index >= decode_word(await rpc.view(contract, COUNT_CALL, block_hash)):
        return None
    return decode_root(await rpc.view(contract, root_at_call(index), block_hash))


async def newest_root(rpc: Rpc, contract: str, block_hash: str | None = None) -> PublishedRoot | None:
    """The newest root of the list, None while there is none. Raises ChainError."""
    count = decode_word(await rpc.view(contract, COUNT_CALL, block_hash))
    return await root_at(rpc, contract, count - 1, block_hash) if count else None
