"""The tree of what the exchange owes: a Merkle tree in which every node also carries a sum. Pure.

Theory of operation. One tree per asset; a leaf is what one account is owed, a node is two subtrees and what
they add up to. Whoever is given the other branch at each node on the way up can compute root and total from
his own leaf alone. All nodes and all leaves begin with a byte that no other kind begins with:

    leaf   = keccak(0x00 || token || salt || amount || account)
    node   = keccak(0x01 || left hash || left sum || right hash || right sum)
    root   = keccak(0x02 || genesis id || chain id || vault || seq || block number || block hash
                    || number of assets || for each asset, by ascending token:
                       token || decimals || depth || tree hash || total || uncredited || unsettled)
    empty  = keccak(0x03)

Addresses are 20 bytes, hashes and salts 32, numbers 32 (big-endian; `uncredited` and `unsettled` in two's
complement), `account` is the text `owner/sub-account` in UTF-8 and comes last, so nothing can be shifted from
one field to the next. A tree is filled up with empty leaves of sum 0 to a power of two. docs/proofs.md has
the same as a specification.

What makes the total trustworthy. Every sum that a verifier meets, his amount, the siblings', and what he
adds up, must be in 0 .. 2^128 - 1, and a parent's sum is computed, never taken: so no branch can be negative
and none can wrap around. Both child sums are hashed, not only what they add up to: so the operator can not
split a node's sum one way for one customer and another way for the next. The first byte keeps a node from
being passed off as a leaf; the depth is part of the root, so a path can be neither longer nor shorter. A leaf
names its owner, so that two customers with equal balances can not be shown one leaf. Tokens ascend, so that
there is one tree per asset, whose total is the one in the root.

What it gives away. The salt, unknown to all but the account, keeps a sibling's hash from being guessed. The
sums of the siblings are seen: the lowest is what one other account has (whose, is not to be seen), the others
are sums over 2, 4, 8, ... accounts. Leaves are in the order of their hashes, which the salts shuffle anew for
every proof, so one sees another stranger each time. The depth tells the number of accounts, rounded up to a
power of two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from exchange.core.units import MAX_ATOMS
from exchange.proofs.errors import SumOutOfRange

NODE_BYTES = 48
"""A stored node: its hash, then its sum in 16 bytes."""

_LEAF, _NODE, _ROOT, _EMPTY = b"\x00", b"\x01", b"\x02", b"\x03"
_PAD = bytes(16)


@dataclass(frozen=True, slots=True)
class Node:
    """A leaf, or a subtree. Its sum is in atoms."""

    hash: bytes
    sum_atoms: int

    def packed(self) -> bytes:
        """As it is stored. Raises SumOutOfRange."""
        return self.hash + checked_sum(self.sum_atoms).to_bytes(16)

    @classmethod
    def unpacked(cls, stored: bytes) -> "Node":
        assert len(stored) == NODE_BYTES
        return cls(stored[:32], int.from_bytes(stored[32:]))


@dataclass(frozen=True, slots=True)
class Sibling:
    """The other branch at a node on the way from a leaf to the root."""

    node: Node
    is_left: bool


@dataclass(frozen=True, slots=True)
class AssetCommitment:
    """One asset in a root. The last two are the difference between ledger and vault at the root's block.

    `uncredited_atoms` are in the vault and not in the ledger yet, `unsettled_atoms` out of the vault and not
    out of the ledger yet; negative for the opposite. The vault's `accounted` must be
    `total + uncredited - unsettled`.
    """

    token: str
    decimals: int
    depth: int
    tree: Node
    uncredited_atoms: int
    unsettled_atoms: int


@dataclass(frozen=True, slots=True)
class Commitment:
    """Everything that a root binds."""

    genesis_id: str
    chain_id: int
    vault: str
    seq: int
    block_number: int
    block_hash: str
    assets: tuple[AssetCommitment, ...]

    def root(self) -> bytes:
        """The 32 bytes that go on the chain. The assets must be by ascending token."""
        tokens = [asset.token for asset in self.assets]
        assert tokens == sorted(set(tokens))
        parts = [
            _ROOT,
            _bytes(self.genesis_id, 32),
            self.chain_id.to_bytes(32),
            _bytes(self.vault, 20),
            self.seq.to_bytes(32),
            self.block_number.to_bytes(32),
            _bytes(self.block_hash, 32),
            len(self.assets).to_bytes(32),
        ]
        for asset in self.assets:
            parts += [
                _bytes(asset.token, 20),
                asset.decimals.to_bytes(32),
                asset.depth.to_bytes(32),
                asset.tree.hash,
                checked_sum(asset.tree.sum_atoms).to_bytes(32),
                asset.uncredited_atoms.to_bytes(32, signed=True),
                asset.unsettled_atoms.to_bytes(32, signed=True),
            ]
        return keccak(b"".join(parts))


def leaf_hash(token: str, salt: bytes, amount_atoms: int, account: str) -> bytes:
    """Hash of what an account is owed in an asset. Raises SumOutOfRange."""
    assert len(salt) == 32
    amount = checked_sum(amount_atoms).to_bytes(32)
    return keccak(b"".join((_LEAF, _bytes(token, 20), salt, amount, account.encode())))


def parent(left: Node, right: Node) -> Node:
    """The node above two. Raises SumOutOfRange."""
    hashed = keccak(_NODE + _wide(left.packed()) + _wide(right.packed()))
    return Node(hashed, checked_sum(left.sum_atoms + right.sum_atoms))


def climb(leaf: Node, path: Sequence[Sibling]) -> Node:
    """The tree's hash and total, from a leaf and its siblings, the lowest first. Raises SumOutOfRange."""
    node = leaf
    for sibling in path:
        node = parent(sibling.node, node) if sibling.is_left else parent(node, sibling.node)
    return node


# ---- the whole tree


def depth_of(leaves: int) -> int:
    """Levels between the leaves of a tree of so many and its root."""
    return max(leaves - 1, 0).bit_length()


def build_levels(leaves: bytes | bytearray | memoryview) -> list[bytes]:
    """All levels of the tree over packed leaves, the leaves first, each as one run of packed nodes.

    Empty nodes at the right are left out: whoever needs one makes it (`empty_node`). Raises SumOutOfRange.
    """
    assert len(leaves) % NODE_BYTES == 0
    count = len(leaves) // NODE_BYTES
    level = bytes(leaves) if count else empty_node(0).packed()
    levels = [level]
    for height in range(depth_of(count)):
        if len(level) // NODE_BYTES % 2:
            level += empty_node(height).packed()
        level = b"".join(_parents(level))
        levels.append(level)
    assert len(levels[-1]) == NODE_BYTES
    return levels


def _parents(level: bytes) -> Iterator[bytes]:
    """The packed nodes above an even number of them. Nothing but bytes: this runs millions of times."""
    for start in range(0, len(level), 2 * NODE_BYTES):
        middle, end = start + NODE_BYTES, start + 2 * NODE_BYTES
        left_hash, left_sum = level[start : start + 32], level[start + 32 : middle]
        right_hash, right_sum = level[middle : middle + 32], level[middle + 32 : end]
        total = int.from_bytes(left_sum) + int.from_bytes(right_sum)
        if total > MAX_ATOMS:
            raise SumOutOfRange(total)
        yield keccak(b"".join((_NODE, left_hash, _PAD, left_sum, right_hash, _PAD, right_sum)))
        yield total.to_bytes(16)


def empty_node(height: int) -> Node:
    """A subtree of that height with nothing in it."""
    node = Node(keccak(_EMPTY), 0)
    for _ in range(height):
        node = parent(node, node)
    return node


def siblings_of(position: int, depth: int) -> list[tuple[int, int, bool]]:
    """Height, place at that height and side (whether left) of each sibling on the way up from a leaf."""
    return [(height, (position >> height) ^ 1, bool(position >> height & 1)) for height in range(depth)]


def checked_sum(atoms: int) -> int:
    """The same number. Raises SumOutOfRange when it is negative or does not fit in 128 bits."""
    if not 0 <= atoms <= MAX_ATOMS:
        raise SumOutOfRange(atoms)
    return atoms


def _wide(packed: bytes) -> bytes:
    """A packed node as it is hashed: the sum in 32 bytes."""
    return packed[:32] + _PAD + packed[32:]


def _bytes(text: str, length: int) -> bytes:
    value = bytes.fromhex(text.removeprefix("0x"))
    assert len(value) == length
    return value
