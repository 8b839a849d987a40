"""The language of the list of balance roots: what its functions take and answer. Pure.

Source: contracts/src/BalanceRoots.sol.
"""

from dataclasses import dataclass

from eth_abi.abi import encode

from exchange.chain.vault import decode_words, selector

PUBLISHER_ROLE = 4

PUBLISH = selector("publish(bytes32,uint64,uint64)")
COUNT_CALL = selector("count()")
LATEST_CALL = selector("latest()")
ROOT_AT = selector("rootAt(uint256)")

BLOCK_TOO_OLD = selector("BlockTooOld(uint64,uint256)")
"""Begins the revert data of a publication that came too late: that root can never be published."""


@dataclass(frozen=True, slots=True)
class PublishedRoot:
    """A root on the chain. `seq` is the command after which the balances were these, `block_number` the block
    at which the vault was compared with them, `published_at_s` the block time of the publication."""

    root: bytes
    seq: int
    block_number: int
    published_at_s: int


def publish_call(root: bytes, seq: int, block_number: int) -> bytes:
    """Calldata of `publish`. It reverts unless `seq` is above the newest root's, and the block not below,
    not ahead of the chain, and not further back than the contract's `maxAgeBlocks`."""
    assert len(root) == 32
    return PUBLISH + encode(["bytes32", "uint64", "uint64"], [root, seq, block_number])


def root_at_call(index: int) -> bytes:
    """Calldata of `rootAt`: the root at a place of the list, from 0. It reverts beyond the end."""
    return ROOT_AT + encode(["uint256"], [index])


def decode_root(answer: bytes) -> PublishedRoot:
    """The answer to `rootAt` or `latest`. Raises RpcAnswerInvalid."""
    root, seq, block_number, published_at_s = decode_words(answer, 4)
    return PublishedRoot(root.to_bytes(32), seq, block_number, published_at_s)
