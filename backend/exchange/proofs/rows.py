"""Tables `proofs`, `proof_assets`, `proof_levels` and `proof_places`: what was committed to, and the trees.

A tree is stored as one run of nodes per level, and of a level only the wanted node is read. Accounts are
found by id in runs of places, for the leaves are in another order. The trees of old proofs are forgotten;
what they committed to is kept for ever.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from exchange.proofs.tree import NODE_BYTES, AssetCommitment, Commitment, Node
from exchange.stores.postgres import Connection

PLACES_PER_ROW = 1_000
_PLACE_BYTES = 12
"""A stored place: the account's id in 8 bytes, its leaf's position in 4."""

_COLUMNS = (
    "number, genesis_id, chain_id, vault, seq, block_number, block_hash, block_time_s, built_ms, root,"
    " salt_key, state, sender, nonce, contract, chain_index, tx_hash"
)


class ProofState(StrEnum):
    """How far the root is on its way to the chain."""

    BUILT = "built"
    SENT = "sent"
    """A transaction with it is signed, and its nonce stored."""
    PUBLISHED = "published"
    UNPUBLISHABLE = "unpublishable"
    """The chain has another root of this seq, or one of a later seq or block, or this block is too old."""


@dataclass(frozen=True, slots=True)
class StoredProof:
    """One row of `proofs`, without the secret in its printed form."""

    number: int
    genesis_id: str
    chain_id: int
    vault: str
    seq: int
    block_number: int
    block_hash: str
    block_time_s: int
    built_ms: int
    root: bytes
    salt_key: bytes
    state: ProofState
    sender: str | None
    nonce: int | None
    contract: str | None
    chain_index: int | None
    tx_hash: str | None

    def __repr__(self) -> str:
        return f"StoredProof(number={self.number}, seq={self.seq}, root=0x{self.root.hex()}, {self.state})"


@dataclass(frozen=True, slots=True)
class StoredAsset:
    """One asset of a proof. `accounted_atoms` is what the vault held at the proof's block."""

    asset_id: int
    symbol: str
    accounted_atoms: int
    commitment: AssetCommitment


# ---- reading


async def newest_proof(pool: asyncpg.Pool) -> StoredProof | None:
    """The last one that was built."""
    return await _one(pool, "TRUE ORDER BY number DESC LIMIT 1")


async def proof_by_number(pool: asyncpg.Pool, number: int) -> StoredProof | None:
    """One proof, whether its trees are kept or not."""
    return await _one(pool, "number = $1", number)


async def newest_proof_between(pool: asyncpg.Pool, from_ms: int, before_ms: int) -> StoredProof | None:
    """The newest that was built in a span of time."""
    return await _one(
        pool, "built_ms >= $1 AND built_ms < $2 ORDER BY number DESC LIMIT 1", from_ms, before_ms
    )


async def oldest_waiting(pool: asyncpg.Pool) -> StoredProof | None:
    """The oldest proof whose root is not on the chain and may still get there."""
    return await _one(pool, "state IN ('built', 'sent') ORDER BY number LIMIT 1")


async def proofs_before(pool: asyncpg.Pool, before: int | None, limit: int) -> list[StoredProof]:
    """Proofs with lower numbers than `before`, the newest first."""
    rows = await pool.fetch(
        f"SELECT {_COLUMNS} FROM proofs WHERE number < $1 ORDER BY number DESC LIMIT $2",  # noqa: S608
        2**63 - 1 if before is None else before,
        limit,
    )
    return [_proof(row) for row in rows]


async def assets_of(pool: asyncpg.Pool, numbers: Sequence[int]) -> dict[int, list[StoredAsset]]:
    """The assets of some proofs, by ascending token as in the root."""
    rows = await pool.fetch(
        """
        SELECT number, asset_id, symbol, accounted_atoms, token, decimals, depth, tree_hash, total_atoms,
            uncredited_atoms, unsettled_atoms
        FROM proof_assets WHERE number = ANY($1::BIGINT[]) ORDER BY number, token COLLATE "C"
        """,
        list(numbers),
    )
    found: dict[int, list[StoredAsset]] = {number: [] for number in numbers}
    for number, asset_id, symbol, accounted, token, decimals, depth, tree_hash, total, *moving in rows:
        commitment = AssetCommitment(token, decimals, depth, Node(tree_hash, total), *moving)
        found[number].append(StoredAsset(asset_id, symbol, accounted, commitment))
    return found


async def place_of(pool: asyncpg.Pool, number: int, asset_id: int, account_id: int) -> int | None:
    """Position of an account's leaf in a tree; None when it has none, or the tree is not kept any more."""
    places: bytes | None = await pool.fetchval(
        "SELECT places FROM proof_places WHERE number = $1 AND asset_id = $2 AND first_account_id <= $3"
        " ORDER BY first_account_id DESC LIMIT 1",
        number,
        asset_id,
        account_id,
    )
    if places is None:
        return None
    wanted, starts = account_id.to_bytes(8), range(0, len(places), _PLACE_BYTES)
    index = bisect_left(starts, wanted, key=lambda start: places[start : start + 8])
    if index == len(starts):
        return None
    found = places[starts[index] : starts[index] + _PLACE_BYTES]
    return int.from_bytes(found[8:]) if found[:8] == wanted else None


async def nodes_of(
    pool: asyncpg.Pool, number: int, asset_id: int, wanted: Sequence[tuple[int, int]]
) -> list[Node | None]:
    """The nodes at (height, place); None for one beyond the end of its level: it is empty."""
    rows = await pool.fetch(
        """
        SELECT substring(l.nodes FROM (w.place * $5 + 1)::INTEGER FOR $5::INTEGER)
        FROM unnest($3::INTEGER[], $4::BIGINT[]) WITH ORDINALITY AS w (height, place, ordinal)
        JOIN proof_levels AS l ON l.number = $1 AND l.asset_id = $2 AND l.height = w.height
        ORDER BY w.ordinal
        """,
        number,
        asset_id,
        [height for height, _ in wanted],
        [place for _, place in wanted],
        NODE_BYTES,
    )
    return [Node.unpacked(packed) if packed else None for (packed,) in rows]


async def has_trees(pool: asyncpg.Pool, number: int) -> bool:
    """Whether the proof's trees are kept."""
    found: bool = await pool.fetchval("SELECT EXISTS (SELECT 1 FROM proof_levels WHERE number = $1)", number)
    return found


# ---- building


async def next_number(connection: Connection) -> int:
    """What the next proof is called: 1, 2, 3, ..."""
    number: int = await connection.fetchval("SELECT coalesce(max(number), 0) + 1 FROM proofs")
    return number


async def store_tree(
    connection: Connection,
    number: int,
    asset: StoredAsset,
    levels: Sequence[bytes],
    places: Iterable[tuple[int, bytes]],
) -> None:
    """Stores an asset's commitment and its tree. `places` are runs of them with their first account's id."""
    commitment = asset.commitment
    await connection.execute(
        """
        INSERT INTO proof_assets (number, asset_id, symbol, token, decimals, depth, tree_hash, total_atoms,
            accounted_atoms, uncredited_atoms, unsettled_atoms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        number,
        asset.asset_id,
        asset.symbol,
        commitment.token,
        commitment.decimals,
        commitment.depth,
        commitment.tree.hash,
        commitment.tree.sum_atoms,
        asset.accounted_atoms,
        commitment.uncredited_atoms,
        commitment.unsettled_atoms,
    )
    for height, nodes in enumerate(levels):  # one by one: the lowest may have 50 MB
        await connection.execute(
            "INSERT INTO proof_levels (number, asset_id, height, nodes) VALUES ($1, $2, $3, $4)",
            number,
            asset.asset_id,
            height,
            nodes,
        )
    await connection.copy_records_to_table(
        "proof_places",
        columns=("number", "asset_id", "first_account_id", "places"),
        records=[(number, asset.asset_id, first, run) for first, run in places],
    )


def runs_of_places(account_ids_by_position: Sequence[int]) -> Iterable[tuple[int, bytes]]:
    """Runs of places by ascending account id, each with its first id, from the ids in the leaves' order."""
    ordered = sorted(
        range(len(account_ids_by_position)), key=lambda position: account_ids_by_position[position]
    )
    for start in range(0, len(ordered), PLACES_PER_ROW):
        some = ordered[start : start + PLACES_PER_ROW]
        run = b"".join(
            account_ids_by_position[position].to_bytes(8) + position.to_bytes(4) for position in some
        )
        yield account_ids_by_position[some[0]], run


async def store_proof(
    connection: Connection,
    number: int,
    commitment: Commitment,
    *,
    block_time_s: int,
    built_ms: int,
    salt_key: bytes,
) -> None:
    """Stores what was committed to, when all its trees are stored."""
    await connection.execute(
        """
        INSERT INTO proofs (number, genesis_id, chain_id, vault, seq, block_number, block_hash, block_time_s,
            built_ms, root, salt_key, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'built')
        """,
        number,
        commitment.genesis_id,
        commitment.chain_id,
        commitment.vault,
        commitment.seq,
        commitment.block_number,
        commitment.block_hash,
        block_time_s,
        built_ms,
        commitment.root(),
        salt_key,
    )


async def forget_trees(connection: Connection, up_to: int) -> None:
    """Forgets the trees of the proofs up to a number."""
    await connection.execute("DELETE FROM proof_levels WHERE number <= $1", up_to)
    await connection.execute("DELETE FROM proof_places WHERE number <= $1", up_to)


# ---- publishing


async def mark_sent(connection: Connection, number: int, sender: str, nonce: int) -> bool:
    """A transaction with the root is about to be sent; False when the proof does not wait for one."""
    status = await connection.execute(
        "UPDATE proofs SET state = 'sent', sender = $2, nonce = $3 WHERE number = $1 AND state = 'built'",
        number,
        sender,
        nonce,
    )
    return status == "UPDATE 1"


async def mark_unsent(pool: asyncpg.Pool, number: int) -> None:
    """Its transaction can not publish it any more: another one is needed."""
    await pool.execute("UPDATE proofs SET state = 'built' WHERE number = $1 AND state = 'sent'", number)


async def mark_published(
    pool: asyncpg.Pool, number: int, contract: str, index: int, tx_hash: str | None
) -> None:
    """Its root is on the chain, deep enough; the transaction is None when it is not known."""
    await pool.execute(
        "UPDATE proofs SET state = 'published', contract = $2, chain_index = $3, tx_hash = $4"
        " WHERE number = $1 AND state IN ('built', 'sent')",
        number,
        contract,
        index,
        tx_hash,
    )


async def mark_unpublishable(pool: asyncpg.Pool, number: int) -> None:
    """Its root can never be on the chain any more."""
    await pool.execute(
        "UPDATE proofs SET state = 'unpublishable' WHERE number = $1 AND state IN ('built', 'sent')", number
    )


async def attempts_of(pool: asyncpg.Pool, proof: StoredProof) -> list[str]:
    """Hashes of all transactions that were signed to publish a root."""
    rows = await pool.fetch(
        "SELECT tx_hash FROM sent_attempts WHERE chain_id = $1 AND sender = $2 AND nonce = $3",
        proof.chain_id,
        proof.sender,
        proof.nonce,
    )
    return [row["tx_hash"] for row in rows]


async def _one(pool: asyncpg.Pool, condition: str, *values: object) -> StoredProof | None:
    row = await pool.fetchrow(f"SELECT {_COLUMNS} FROM proofs WHERE {condition}", *values)  # noqa: S608
    return None if row is None else _proof(row)


def _proof(row: asyncpg.Record) -> StoredProof:
    return StoredProof(**dict(row) | {"state": ProofState(row["state"])})
