"""Builds one proof: reads what is owed, holds it against the vault, makes the trees, stores them.

All or nothing: whatever does not add up, in the read tables or against the vault, and nothing is stored. The
vault is asked about the block that the caller names, a finalized one; the books are of the read tables' seq,
whatever that is by now. What lies between the two is part of the root, asset by asset.
"""

import hmac
import secrets
import time
from collections.abc import Iterable
from typing import NamedTuple

import asyncpg
import msgspec

from exchange.chain.books import AssetBook, AssetPosition, compare
from exchange.chain.deposit_rows import Block, DepositRows
from exchange.chain.rpc import Rpc
from exchange.proofs.errors import ReadTablesDisagree, VaultDiffers
from exchange.proofs.liabilities import read_books, read_owed, snapshot
from exchange.proofs.rows import (
    StoredAsset,
    forget_trees,
    newest_proof,
    next_number,
    runs_of_places,
    store_proof,
    store_tree,
)
from exchange.proofs.tree import (
    NODE_BYTES,
    AssetCommitment,
    Commitment,
    Node,
    build_levels,
    checked_sum,
    depth_of,
    leaf_hash,
)
from exchange.stores.postgres import Connection

_BUILD_LOCK = 0x70726F6F  # "proo"


class BuildRequest(msgspec.Struct, frozen=True):
    """A proof of which deployment, at which finalized block. The trees of the newest `kept` proofs stay.

    None is built when the vault held less than `least_held_bps` of what is owed of an asset.
    """

    genesis_id: str
    chain_id: int
    vault: str
    block_number: int
    block_hash: str
    block_time_s: int
    kept: int
    least_held_bps: int = 0


class ProofBuilt(msgspec.Struct, frozen=True, tag="built"):
    """A proof that is stored now, all assets' leaves together."""

    number: int
    seq: int
    root: str
    leaves: int
    seconds: float


class NothingNew(msgspec.Struct, frozen=True, tag="nothing_new"):
    """The newest proof is of this seq already, or nobody is owed anything."""

    seq: int


class SeemsShort(msgspec.Struct, frozen=True, tag="seems_short"):
    """At the block the vault held too little of this asset: readers would take it for a lack of money."""

    symbol: str


BuildAnswer = ProofBuilt | NothingNew | SeemsShort


def seems_short(positions: Iterable[AssetPosition], least_held_bps: int) -> AssetPosition | None:
    """The first asset of which the vault held less than that part of what is owed.

    Deposits after the block, and payments that were made and are not settled yet, make it so for a moment.
    """
    for position in positions:
        if position.accounted_atoms * 10_000 < position.in_custody_atoms * least_held_bps:
            return position
    return None


async def build_proof(pool: asyncpg.Pool, rpc: Rpc, request: BuildRequest) -> BuildAnswer:
    """Builds and stores a proof. Raises ProofError, ChainError and what the database raises.

    Needs two connections of the pool.
    """
    started_at = time.monotonic()
    newest = await newest_proof(pool)
    async with snapshot(pool) as reading:
        books = await read_books(reading, request.chain_id, request.vault, request.block_number)
        if newest is not None and books.seq <= newest.seq:
            return NothingNew(books.seq)
        if not any(asset.in_custody_atoms for asset in books.assets):
            return NothingNew(books.seq)
        rows = DepositRows(pool, request.chain_id, request.vault)
        block = Block(request.block_number, request.block_hash)
        found = await compare(rpc, request.vault, rows, books, block)
        if found.mismatches:
            raise VaultDiffers(found.mismatches)
        short = seems_short(found.positions, request.least_held_bps)
        if short is not None:
            return SeemsShort(short.symbol)
        records = await reading.fetch("SELECT asset_id, decimals FROM assets")
        decimals = {record["asset_id"]: record["decimals"] for record in records}
        salt_key = secrets.token_bytes(32)
        commitments: list[AssetCommitment] = []
        leaves = 0
        async with pool.acquire() as writing, writing.transaction():
            await writing.execute("SELECT pg_advisory_xact_lock($1)", _BUILD_LOCK)
            number = await next_number(writing)
            for book, position in zip(books.assets, found.positions, strict=True):
                packed, account_ids = await _leaves(reading, book, salt_key)
                leaves += len(account_ids)
                stored = _StoredAs(number, book, decimals[book.asset_id], position)
                commitments.append(await _store(writing, stored, packed, account_ids))
            commitment = Commitment(
                genesis_id=request.genesis_id,
                chain_id=request.chain_id,
                vault=request.vault,
                seq=books.seq,
                block_number=request.block_number,
                block_hash=request.block_hash,
                assets=tuple(commitments),
            )
            await store_proof(
                writing,
                number,
                commitment,
                block_time_s=request.block_time_s,
                built_ms=time.time_ns() // 1_000_000,
                salt_key=salt_key,
            )
            await forget_trees(writing, number - request.kept)
    root = f"0x{commitment.root().hex()}"
    return ProofBuilt(number, books.seq, root, leaves, time.monotonic() - started_at)


def leaf_salt(salt_key: bytes, token: str, account: str) -> bytes:
    """32 bytes that only who has the proof's secret, or was told, can know."""
    return hmac.digest(salt_key, f"{token}/{account}".encode(), "sha256")


async def _leaves(reading: Connection, book: AssetBook, salt_key: bytes) -> tuple[bytes, list[int]]:
    """The packed leaves of an asset in the order of their hashes, and whose they are. Raises ProofError."""
    entries: list[bytes] = []
    total_atoms = 0
    async for owed in read_owed(reading, book.asset_id):
        for entry in owed:
            total_atoms += checked_sum(entry.atoms)
            hashed = leaf_hash(
                book.token, leaf_salt(salt_key, book.token, entry.name), entry.atoms, entry.name
            )
            entries.append(Node(hashed, entry.atoms).packed() + entry.account_id.to_bytes(8))
    if total_atoms != book.in_custody_atoms:
        raise ReadTablesDisagree(book.symbol, "all accounts", total_atoms, book.in_custody_atoms)
    entries.sort()
    packed = b"".join([entry[:NODE_BYTES] for entry in entries])
    return packed, [int.from_bytes(entry[NODE_BYTES:]) for entry in entries]


class _StoredAs(NamedTuple):
    number: int
    book: AssetBook
    decimals: int
    position: AssetPosition


async def _store(
    writing: Connection, asset: _StoredAs, packed: bytes, account_ids: list[int]
) -> AssetCommitment:
    number, book, decimals, position = asset
    levels = build_levels(packed)
    tree = Node.unpacked(levels[-1])
    assert tree.sum_atoms == book.in_custody_atoms
    commitment = AssetCommitment(
        token=book.token,
        decimals=decimals,
        depth=depth_of(len(account_ids)),
        tree=tree,
        uncredited_atoms=position.uncredited_atoms,
        unsettled_atoms=position.unsettled_atoms,
    )
    stored = StoredAsset(book.asset_id, book.symbol, position.accounted_atoms, commitment)
    await store_tree(writing, number, stored, levels, runs_of_places(account_ids))
    return commitment
