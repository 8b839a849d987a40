"""Proofs for the tests of the browser's check, right and tampered with, judged by the reference.

    .venv/bin/python -m web.src.portfolio.proof.proof_vectors > web/src/portfolio/proof/proof-vectors.json

Run in the root of the repository. The trees are the exchange's own, the verdicts those of
scripts/verify_balance.py.
"""

import copy
import json
import sys
from typing import Any

from scripts import verify_balance

from exchange.proofs.tree import (
    NODE_BYTES,
    AssetCommitment,
    Commitment,
    Node,
    build_levels,
    empty_node,
    leaf_hash,
    siblings_of,
)

OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
NATIVE, USDC = "0x" + "00" * 20, "0x" + "5b" * 20
VAULT, GENESIS, BLOCK = "0x" + "5f" * 20, "0x" + "ab" * 32, "0x" + "cd" * 32
TREES = (
    ("ETH", NATIVE, 18, (3 * 10**18 + 7, 10**18, 0, 5, 2**100), 1, 11, 0),
    ("USDC", USDC, 6, (2_500_000, 17, 1), 0, -50_000, 3),
)
"""Symbol, token, decimals, balances, whose of them is the reader's, uncredited, unsettled."""


def right() -> dict[str, Any]:
    """A proof of the reader's two balances."""
    account = f"{OWNER.lower()}/0"
    assets, leaves, committed = [], [], []
    for symbol, token, decimals, balances, mine, uncredited, unsettled in TREES:
        salts = [bytes([number + 1]) * 32 for number in range(len(balances))]
        names = [account if number == mine else f"0x{number:040x}/0" for number in range(len(balances))]
        nodes = [
            Node(leaf_hash(token, salt, amount, name), amount)
            for salt, amount, name in zip(salts, balances, names, strict=True)
        ]
        levels = build_levels(b"".join(node.packed() for node in nodes))
        tree, depth = Node.unpacked(levels[-1]), len(levels) - 1
        committed.append(AssetCommitment(token, decimals, depth, tree, uncredited, unsettled))
        assets.append(
            {
                "asset": symbol,
                "token": token,
                "decimals": decimals,
                "depth": depth,
                "tree_hash": _hex(tree.hash),
                "total_atoms": str(tree.sum_atoms),
                "uncredited_atoms": str(uncredited),
                "unsettled_atoms": str(unsettled),
            }
        )
        path = []
        for height, place, is_left in siblings_of(mine, depth):
            packed = levels[height][place * NODE_BYTES : (place + 1) * NODE_BYTES]
            node = Node.unpacked(packed) if packed else empty_node(height)
            path.append(
                {
                    "hash": _hex(node.hash),
                    "sum_atoms": str(node.sum_atoms),
                    "side": "left" if is_left else "right",
                }
            )
        leaves.append(
            {
                "token": token,
                "amount_atoms": str(balances[mine]),
                "salt": _hex(salts[mine]),
                "path": path,
            }
        )
    commitment = Commitment(GENESIS, 31_337, VAULT, 1042, 120, BLOCK, tuple(committed))
    return {
        "seq": 1042,
        "format": verify_balance.FORMAT,
        "number": 3,
        "built_at_ms": 1_763_841_600_000,
        "genesis_id": GENESIS,
        "chain_id": 31_337,
        "vault": VAULT,
        "block_number": 120,
        "block_hash": BLOCK,
        "root": _hex(commitment.root()),
        "publication": {"contract": "0x" + "0c" * 20, "index": 0, "tx_hash": None},
        "assets": assets,
        "owner": OWNER,
        "sub_account": 0,
        "account_id": "7",
        "leaves": leaves,
    }


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"


def tampered(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """Every place of a proof with a value that looks as good as the one there."""
    if isinstance(value, dict):
        return [found for name in value for found in tampered(value[name], (*path, name))]
    if isinstance(value, list):
        changes = [found for index, item in enumerate(value) for found in tampered(item, (*path, index))]
        return [*changes, (path, [*value, value[-1]])]
    if isinstance(value, str) and value.startswith("0x"):
        return [(path, value[:-1] + format(int(value[-1], 16) ^ 1, "x")), (path, value[:-2])]
    if isinstance(value, str) and value.lstrip("-").isdigit():
        return [(path, str(int(value) + 1)), (path, f"-{value}"), (path, f"0{value}"), (path, str(2**128))]
    if isinstance(value, str):
        return [(path, {"left": "right", "right": "left"}.get(value, "other"))]
    if isinstance(value, int):
        return [(path, value + 1), (path, -1), (path, str(value))]
    return []


def with_change(proof: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A copy with another value at a place."""
    changed = copy.deepcopy(proof)
    within: Any = changed
    for name in path[:-1]:
        within = within[name]
    within[path[-1]] = value
    return changed


def judge(proof: dict[str, Any]) -> tuple[bool, str]:
    """Whether the reference takes it, and what it says if not."""
    try:
        verify_balance.check(proof, verify_balance.read_assets(proof))
    except verify_balance.Wrong as wrong:
        return False, str(wrong)
    return True, ""


def main() -> None:
    """Writes the vectors."""
    proof = right()
    assert judge(proof) == (True, "")
    changes = []
    for path, value in tampered(proof):
        is_right, says = judge(with_change(proof, path, value))
        changes.append({"path": list(path), "value": value, "right": is_right, "says": says})
    short = verify_balance.short(verify_balance.read_assets(proof), verify_balance.Fraction(1))
    vectors = {"right": proof, "short": [asset.symbol for asset in short], "changes": changes}
    json.dump(vectors, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
