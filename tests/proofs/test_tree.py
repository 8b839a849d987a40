"""The sum tree: every leaf leads to the root, nothing else does, and the totals are what was put in."""

from dataclasses import replace

import pytest
from Crypto.Hash import keccak as reference
from hypothesis import assume, given
from hypothesis import strategies as st

from exchange.core.units import MAX_ATOMS
from exchange.proofs.errors import SumOutOfRange
from exchange.proofs.tree import (
    NODE_BYTES,
    AssetCommitment,
    Commitment,
    Node,
    Sibling,
    build_levels,
    climb,
    depth_of,
    empty_node,
    leaf_hash,
    parent,
    siblings_of,
)

TOKEN = "0x" + "0c" * 20
SALT = bytes(range(32))

amounts = st.lists(st.integers(0, 2**100), min_size=1, max_size=70)
flips = st.tuples(st.integers(0, 10**6), st.integers(1, 255))


def keccak(data: bytes) -> bytes:
    return reference.new(data=data, digest_bits=256).digest()


def leaf(amount: int, number: int = 0) -> Node:
    return Node(leaf_hash(TOKEN, SALT, amount, f"0x{number:040x}/0"), amount)


def leaves_of(values: list[int]) -> list[Node]:
    return [leaf(amount, number) for number, amount in enumerate(values)]


def levels_of(nodes: list[Node]) -> list[bytes]:
    return build_levels(b"".join(node.packed() for node in nodes))


def path_of(levels: list[bytes], position: int) -> list[Sibling]:
    """As it is read from stored levels: what lies beyond the end of one is empty."""
    path = []
    for height, place, is_left in siblings_of(position, len(levels) - 1):
        packed = levels[height][place * NODE_BYTES : (place + 1) * NODE_BYTES]
        path.append(Sibling(Node.unpacked(packed) if packed else empty_node(height), is_left))
    return path


def by_definition(nodes: list[Node], depth: int) -> tuple[bytes, int]:
    """Hash and total of a tree, in the words of docs/proofs.md and with nothing of the product's."""
    if depth == 0:
        return (nodes[0].hash, nodes[0].sum_atoms) if nodes else (keccak(b"\x03"), 0)
    half = 2 ** (depth - 1)
    left, right = by_definition(nodes[:half], depth - 1), by_definition(nodes[half:], depth - 1)
    hashed = b"\x01" + left[0] + left[1].to_bytes(32) + right[0] + right[1].to_bytes(32)
    return keccak(hashed), left[1] + right[1]


@given(amounts)
def test_a_tree_is_what_its_definition_says_and_its_total_what_was_put_in(values):
    nodes = leaves_of(values)
    root = Node.unpacked(levels_of(nodes)[-1])
    assert (root.hash, root.sum_atoms) == by_definition(nodes, depth_of(len(nodes)))
    assert root.sum_atoms == sum(values)


@given(amounts)
def test_every_leaf_leads_to_the_root(values):
    nodes = leaves_of(values)
    levels = levels_of(nodes)
    root = Node.unpacked(levels[-1])
    for position, node in enumerate(nodes):
        path = path_of(levels, position)
        assert len(path) == depth_of(len(nodes))
        assert climb(node, path) == root


@given(amounts, st.data())
def test_no_leaf_but_its_own_leads_to_the_root(values, data):
    nodes = leaves_of(values)
    levels = levels_of(nodes)
    root = Node.unpacked(levels[-1])
    position = data.draw(st.integers(0, len(nodes) - 1))
    other = data.draw(st.integers(0, 2**100))
    path = path_of(levels, position)
    assert climb(leaf(values[position], 999), path) != root
    if other != values[position]:
        assert climb(leaf(other, position), path) != root
        # The most useful lie: one's own leaf's hash with another sum.
        assert climb(Node(nodes[position].hash, other), path) != root


@given(st.lists(st.integers(0, 2**100), min_size=2, max_size=70), st.data())
def test_nothing_of_a_path_can_be_changed(values, data):
    levels = levels_of(leaves_of(values))
    root = Node.unpacked(levels[-1])
    position = data.draw(st.integers(0, len(values) - 1))
    path = path_of(levels, position)
    at = data.draw(st.integers(0, len(path) - 1))
    sibling = path[at]
    change = data.draw(st.sampled_from(["hash", "sum", "side", "dropped", "doubled", "raised"]))
    if change == "hash":
        byte, bits = data.draw(flips)
        changed = bytearray(sibling.node.hash)
        changed[byte % 32] ^= bits
        path[at] = replace(sibling, node=replace(sibling.node, hash=bytes(changed)))
    elif change == "sum":
        other = data.draw(st.integers(0, 2**100))
        assume(other != sibling.node.sum_atoms)
        path[at] = replace(sibling, node=replace(sibling.node, sum_atoms=other))
    elif change == "side":
        path[at] = replace(sibling, is_left=not sibling.is_left)
    elif change == "dropped":
        del path[at]
    elif change == "doubled":
        path.insert(at, sibling)
    else:  # one atom from one branch to the next, the total staying the same
        assume(sibling.node.sum_atoms > 0)
        path[at] = replace(sibling, node=replace(sibling.node, sum_atoms=sibling.node.sum_atoms - 1))
        richer = leaf(values[position] + 1, position)
        assert climb(richer, path) != root
        return
    assert climb(leaf(values[position], position), path) != root


@given(st.lists(st.integers(0, MAX_ATOMS), min_size=2, max_size=9))
def test_sums_that_do_not_fit_in_128_bits_are_refused(values):
    nodes = leaves_of(values)
    if sum(values) <= MAX_ATOMS:
        assert Node.unpacked(levels_of(nodes)[-1]).sum_atoms == sum(values)
        return
    with pytest.raises(SumOutOfRange):
        levels_of(nodes)


@pytest.mark.parametrize("wrong", [-1, -(2**127), MAX_ATOMS + 1])
def test_a_sum_that_is_negative_or_too_large_is_met_with_a_refusal_anywhere(wrong):
    with pytest.raises(SumOutOfRange):
        leaf_hash(TOKEN, SALT, wrong, "0x00/0")
    with pytest.raises(SumOutOfRange):
        climb(leaf(5), [Sibling(Node(bytes(32), wrong), is_left=True)])
    with pytest.raises(SumOutOfRange):
        climb(Node(bytes(32), wrong), [Sibling(leaf(5), is_left=False)])


def test_two_siblings_that_only_together_are_too_large_are_refused():
    with pytest.raises(SumOutOfRange):
        parent(leaf(MAX_ATOMS), leaf(1))


def test_a_tree_of_nothing_is_one_empty_leaf():
    [level] = build_levels(b"")
    assert Node.unpacked(level) == empty_node(0) == Node(keccak(b"\x03"), 0)


@pytest.mark.parametrize(
    ("leaves", "depth"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (10**6, 20)]
)
def test_the_depth_is_the_smallest_that_holds_all_leaves(leaves, depth):
    assert depth_of(leaves) == depth


@given(st.integers(0, 2**128 - 1), st.binary(min_size=32, max_size=32), st.integers(0, 127))
def test_a_leaf_is_what_its_definition_says(amount, salt, sub_account):
    account = f"0x{'ab' * 20}/{sub_account}"
    defined = b"\x00" + bytes.fromhex(TOKEN[2:]) + salt + amount.to_bytes(32) + account.encode()
    assert leaf_hash(TOKEN, salt, amount, account) == keccak(defined)


def test_accounts_of_one_balance_and_salt_have_different_leaves():
    accounts = ["0x" + "ab" * 20 + "/0", "0x" + "ab" * 20 + "/1", "0x" + "ac" * 20 + "/0"]
    assert len({leaf_hash(TOKEN, SALT, 5, account) for account in accounts}) == 3


def test_a_node_can_not_be_passed_off_as_a_leaf_nor_a_leaf_as_a_node():
    """A leaf whose account text is made to continue like a node still begins with another byte."""
    inner = parent(leaf(2, 1), leaf(3, 2))
    content = (
        leaf(2, 1).hash + (2).to_bytes(32) + leaf(3, 2).hash + (3).to_bytes(32)
    )  # what was hashed after the first byte
    assert inner.hash == keccak(b"\x01" + content)
    assert keccak(b"\x00" + content) != inner.hash


COMMITMENT = Commitment(
    genesis_id="0x" + "ab" * 32,
    chain_id=31337,
    vault="0x" + "5f" * 20,
    seq=1042,
    block_number=120,
    block_hash="0x" + "cd" * 32,
    assets=(
        AssetCommitment("0x" + "00" * 20, 18, 3, Node(b"\x01" * 32, 10**18), -7, 0),
        AssetCommitment(TOKEN, 6, 20, Node(b"\x02" * 32, 2_500_000), 5, -3),
    ),
)


def test_the_root_is_what_its_definition_says():
    def number(value: int) -> bytes:
        return value.to_bytes(32, signed=True)

    defined = b"\x02" + b"\xab" * 32 + number(31337) + b"\x5f" * 20 + number(1042) + number(120)
    defined += b"\xcd" * 32 + number(2)
    defined += bytes(20) + number(18) + number(3) + b"\x01" * 32 + number(10**18) + number(-7) + number(0)
    defined += (
        b"\x0c" * 20 + number(6) + number(20) + b"\x02" * 32 + number(2_500_000) + number(5) + number(-3)
    )
    assert COMMITMENT.root() == keccak(defined)
    # The number that was published must stay computable for ever.
    assert COMMITMENT.root().hex() == "57f49f9a5f254338144a67820aa44b227f7398f7cf2b5a0333dd51b34a1980b4"


def test_the_root_binds_everything():
    first, second = COMMITMENT.assets
    others = [
        replace(COMMITMENT, genesis_id="0x" + "ac" * 32),
        replace(COMMITMENT, chain_id=1),
        replace(COMMITMENT, vault="0x" + "5e" * 20),
        replace(COMMITMENT, seq=1043),
        replace(COMMITMENT, block_number=121),
        replace(COMMITMENT, block_hash="0x" + "ce" * 32),
        replace(COMMITMENT, assets=(first,)),
        replace(COMMITMENT, assets=(second,)),
        replace(COMMITMENT, assets=(first, replace(second, token="0x" + "0d" * 20))),
        replace(COMMITMENT, assets=(first, replace(second, decimals=8))),
        replace(COMMITMENT, assets=(first, replace(second, depth=19))),
        replace(COMMITMENT, assets=(first, replace(second, tree=Node(b"\x03" * 32, 2_500_000)))),
        replace(COMMITMENT, assets=(first, replace(second, tree=Node(b"\x02" * 32, 2_500_001)))),
        replace(COMMITMENT, assets=(first, replace(second, uncredited_atoms=-5))),
        replace(COMMITMENT, assets=(first, replace(second, unsettled_atoms=3))),
        replace(COMMITMENT, assets=(first, replace(second, uncredited_atoms=-3, unsettled_atoms=5))),
    ]
    assert len({COMMITMENT.root(), *(other.root() for other in others)}) == len(others) + 1


def test_one_asset_can_not_have_two_trees_in_a_root():
    first, second = COMMITMENT.assets
    for assets in ((second, first), (first, first)):
        with pytest.raises(AssertionError):
            replace(COMMITMENT, assets=assets).root()
