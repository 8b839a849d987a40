"""What one account is shown of a proof: its leaf in each asset's tree, and the way from there to the root."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from exchange.proofs.build import leaf_salt
from exchange.proofs.errors import StoredProofDamaged
from exchange.proofs.rows import StoredAsset, StoredProof, nodes_of, place_of
from exchange.proofs.tree import Node, Sibling, climb, empty_node, leaf_hash, siblings_of


@dataclass(frozen=True, slots=True)
class Inclusion:
    """An account's leaf of one asset; the lowest sibling comes first."""

    asset: StoredAsset
    amount_atoms: int
    salt: bytes
    path: tuple[Sibling, ...]


async def inclusions(
    pool: asyncpg.Pool, proof: StoredProof, assets: Sequence[StoredAsset], account_id: int, account: str
) -> list[Inclusion]:
    """The account's leaf of every asset of which it was owed something. `account` is its name in leaves.

    Raises StoredProofDamaged when a leaf does not lead to its tree's root: nothing wrong is given out.
    """
    found = [await _inclusion(pool, proof, asset, account_id, account) for asset in assets]
    return [inclusion for inclusion in found if inclusion is not None]


async def _inclusion(
    pool: asyncpg.Pool, proof: StoredProof, asset: StoredAsset, account_id: int, account: str
) -> Inclusion | None:
    position = await place_of(pool, proof.number, asset.asset_id, account_id)
    if position is None:
        return None
    commitment = asset.commitment
    steps = siblings_of(position, commitment.depth)
    wanted = [(0, position), *((height, place) for height, place, _ in steps)]
    leaf, *others = await nodes_of(pool, proof.number, asset.asset_id, wanted)
    salt = leaf_salt(proof.salt_key, commitment.token, account)
    if leaf is None or len(others) != len(steps):
        raise StoredProofDamaged(proof.number, asset.symbol)
    path = tuple(
        Sibling(node or empty_node(height), is_left)
        for (height, _, is_left), node in zip(steps, others, strict=True)
    )
    made = Node(leaf_hash(commitment.token, salt, leaf.sum_atoms, account), leaf.sum_atoms)
    if climb(made, path) != commitment.tree:
        raise StoredProofDamaged(proof.number, asset.symbol)
    return Inclusion(asset, leaf.sum_atoms, salt, path)
