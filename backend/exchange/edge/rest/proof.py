"""Proofs: what the vault holds beside what the ledger owes, and that a balance is counted in it."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from exchange.chain.books import AssetPosition
from exchange.core.units import format_atoms
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.errors import unavailable
from exchange.edge.identity import AGENTS_TOO, ReaderOf
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.reads import (
    MAX_SEQ,
    AccountQuery,
    PageAnswer,
    PageQuery,
    ReadQuery,
    SeqAnswer,
    WholeNumber,
    decode_cursor,
    encode_cursor,
    require_as_new,
    require_view,
)
from exchange.edge.values import AddressText, AmountText, AssetSymbol, Hash, IdText, TimeMs
from exchange.gateway.accounts import account_id_to_read
from exchange.gateway.addresses import checksummed
from exchange.gateway.refusals import GatewayCode
from exchange.proofs.inclusion import Inclusion, inclusions
from exchange.proofs.liabilities import account_name
from exchange.proofs.rows import (
    ProofState,
    StoredAsset,
    StoredProof,
    assets_of,
    has_trees,
    newest_proof,
    newest_proof_between,
    proof_by_number,
    proofs_before,
)

router = APIRouter(tags=["proof"])

FORMAT = "exchange-balance-proof-1"
_LISTING = "roots"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DAY_MS = 86_400_000

SignedText = Annotated[str, Field(pattern=r"^-?[0-9]+$", description="Atoms.", examples=["-5000000"])]
AtomsText = Annotated[str, Field(pattern=r"^[0-9]+$", description="Atoms.", examples=["2500000"])]


class SolvencyItem(BaseModel):
    """One asset. `difference` is `vault` less `expected`, and `expected` is
    `ledger` + `uncredited` - `unsettled`."""

    asset: AssetSymbol
    token: AddressText
    vault: AmountText = Field(description="What the vault holds for accounts: its `accounted`, at the block.")
    ledger: AmountText = Field(description="What the ledger owes: all balances, withdrawals in flight, fees.")
    uncredited: AmountText = Field(
        description="Deposits that the vault has at the block and the ledger has not credited; negative: the "
        "ledger has credited them and they came in later blocks."
    )
    unsettled: AmountText = Field(
        description="Payments that the vault has made at the block and the ledger has not settled; negative: "
        "settled, and made in later blocks."
    )
    expected: AmountText
    difference: AmountText
    claimable: AmountText = Field(
        description="What the vault owes besides, on chain: payments that could not be delivered, which "
        "their owners claim."
    )


class SolvencyAnswer(SeqAnswer):
    """The vault at a finalized block beside the ledger at `seq`, as they were compared last."""

    status: Literal["agrees", "differs"] = Field(
        description="Whether every difference is zero. While one is not, no withdrawal is signed.",
        examples=["agrees"],
    )
    chain_id: int = Field(examples=[31337])
    vault: AddressText
    block_number: int = Field(examples=[120])
    block_hash: Hash
    block_time_ms: TimeMs
    compared_at_ms: TimeMs
    assets: list[SolvencyItem]


class PublicationItem(BaseModel):
    """Where a root is on the chain: `rootAt(index)` of the contract."""

    contract: AddressText
    index: int = Field(examples=[0])
    tx_hash: Hash | None = Field(description="Null when it is not known which transaction it was.")


class RootItem(BaseModel):
    """A proof of all balances: its root and what that binds."""

    number: int = Field(examples=[12])
    seq: int = Field(description="Of the balances.", examples=[1042])
    built_at_ms: TimeMs
    block_number: int = Field(examples=[120])
    block_hash: Hash
    block_time_ms: TimeMs
    root: Hash
    state: ProofState = Field(
        description="built, sent; published; unpublishable: it can never be on the chain.",
        examples=["published"],
    )
    publication: PublicationItem | None = Field(description="Null while the root is not on the chain.")
    totals: dict[AssetSymbol, AmountText] = Field(
        description="What was owed of each asset, fees of the exchange's own included.",
        examples=[{"USDC": "2500000"}],
    )


class RootsAnswer(PageAnswer):
    """Proofs, the newest first."""

    items: list[RootItem]


class ProofQuery(AccountQuery):
    """Which account, and which proof: the newest unless `number` or `day` says otherwise."""

    number: Annotated[WholeNumber, Field(ge=1, le=MAX_SEQ)] | None = Field(
        default=None, description="`number` of `/v1/proof/roots`.", examples=[12]
    )
    day: Annotated[str, Field(max_length=10)] | None = Field(
        default=None, description="UTC day, the newest proof of it.", examples=["2026-11-29"]
    )


class CommittedAsset(BaseModel):
    """One asset of the root, in the root's order. Amounts are in atoms, as they are hashed."""

    asset: AssetSymbol
    token: AddressText
    decimals: int = Field(examples=[6])
    depth: int = Field(description="Steps from a leaf to the tree's hash.", examples=[20])
    tree_hash: Hash
    total_atoms: AtomsText
    uncredited_atoms: SignedText
    unsettled_atoms: SignedText


class SiblingItem(BaseModel):
    """The other branch at a step up."""

    hash: Hash
    sum_atoms: AtomsText
    side: Literal["left", "right"] = Field(description="Of the sibling.", examples=["left"])


class LeafItem(BaseModel):
    """What the account was owed of an asset; the lowest sibling is the first."""

    token: AddressText
    amount_atoms: AtomsText
    salt: Hash
    path: list[SiblingItem]


class BalanceProofAnswer(SeqAnswer):
    """All that a verifier needs. `seq` is that of the balances. The format: docs/proofs.md."""

    format: Literal["exchange-balance-proof-1"] = Field(examples=[FORMAT])
    number: int = Field(examples=[12])
    built_at_ms: TimeMs
    genesis_id: Hash
    chain_id: int = Field(examples=[31337])
    vault: AddressText
    block_number: int = Field(examples=[120])
    block_hash: Hash
    root: Hash
    publication: PublicationItem | None = Field(description="Null while the root is not on the chain.")
    assets: list[CommittedAsset]
    owner: AddressText
    sub_account: int = Field(examples=[0])
    account_id: IdText
    leaves: list[LeafItem] = Field(description="One for each asset of which the account was owed something.")


@router.get("/v1/proof/solvency")
async def get_solvency(request: Request, query: Annotated[ReadQuery, Query()]) -> SolvencyAnswer:
    """What the vault holds and the ledger owes, per asset at a finalized block, whether they agree or not."""
    edge = edge_of(request)
    found = edge.solvency()
    if found is None:
        raise unavailable(EdgeCode.NOT_COMPARED_YET)
    at = found.reconciliation
    if query.min_seq is not None:
        require_as_new(at.seq, query.min_seq)
    return SolvencyAnswer(
        seq=at.seq,
        status="differs" if at.mismatches else "agrees",
        chain_id=edge.config.chain_id,
        vault=checksummed(edge.config.vault),
        block_number=at.block_number,
        block_hash=at.block_hash,
        block_time_ms=found.block_time_s * 1_000,
        compared_at_ms=found.compared_at_ms,
        assets=[
            _solvency_item(edge, position, found.claimable_atoms[position.token]) for position in at.positions
        ],
    )


@router.get("/v1/proof/roots")
async def get_roots(request: Request, query: Annotated[PageQuery, Query()]) -> RootsAnswer:
    """The proofs of all balances, newest first, with their roots and where these are on the chain."""
    edge = edge_of(request)
    before = decode_cursor(query.cursor, _LISTING, 1)
    await require_view(edge, query.min_seq)
    proofs = await proofs_before(edge.pool, None if before is None else before[0], query.limit + 1)
    page = proofs[: query.limit]
    assets = await assets_of(edge.pool, [proof.number for proof in page])
    next_key = (page[-1].number,) if len(proofs) > query.limit else None
    return RootsAnswer(
        seq=edge.view.seq,
        items=[_root_item(proof, assets[proof.number]) for proof in page],
        next_cursor=encode_cursor(_LISTING, next_key),
    )


@router.get("/v1/proof/balance", openapi_extra=AGENTS_TOO)
async def get_balance_proof(
    request: Request, caller: ReaderOf, query: Annotated[ProofQuery, Query()]
) -> BalanceProofAnswer:
    """That an account's balances are counted in a root: its leaves and the way from them to the root."""
    edge = edge_of(request)
    proof = await _wanted(edge, query)
    if query.min_seq is not None:
        require_as_new(proof.seq, query.min_seq)
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    name = account_name(caller.owner, query.sub_account)
    assets = (await assets_of(edge.pool, [proof.number]))[proof.number]
    found = await inclusions(edge.pool, proof, assets, account_id, name)
    if not found:
        if not await has_trees(edge.pool, proof.number):
            raise Problem(EdgeCode.PROOF_NOT_FOUND, "the trees of this proof are not kept any more")
        raise Problem(EdgeCode.NOT_IN_PROOF, f"the account was owed nothing at seq {proof.seq}")
    return BalanceProofAnswer(
        seq=proof.seq,
        format=FORMAT,
        number=proof.number,
        built_at_ms=proof.built_ms,
        genesis_id=proof.genesis_id,
        chain_id=proof.chain_id,
        vault=checksummed(proof.vault),
        block_number=proof.block_number,
        block_hash=proof.block_hash,
        root=f"0x{proof.root.hex()}",
        publication=_publication(proof),
        assets=[_committed_asset(asset) for asset in assets],
        owner=checksummed(caller.owner),
        sub_account=query.sub_account,
        account_id=str(account_id),
        leaves=[_leaf(inclusion) for inclusion in found],
    )


async def _wanted(edge: Edge, query: ProofQuery) -> StoredProof:
    """The proof that was asked for. Raises Problem (no_proof_yet, proof_not_found, field_invalid)."""
    if query.number is not None and query.day is not None:
        raise Problem(GatewayCode.FIELD_INVALID, "either a number or a day", field="day", value=query.day)
    newest = await newest_proof(edge.pool)
    if newest is None:
        raise Problem(EdgeCode.NO_PROOF_YET)
    if query.number is not None:
        found = await proof_by_number(edge.pool, query.number)
    elif query.day is not None:
        from_ms = _day_ms(query.day)
        found = await newest_proof_between(edge.pool, from_ms, from_ms + _DAY_MS)
    else:
        found = newest
    if found is None:
        raise Problem(EdgeCode.PROOF_NOT_FOUND)
    return found


def _day_ms(day: str) -> int:
    """When a UTC day begins."""
    try:
        if not _DAY.fullmatch(day):
            raise ValueError(day)  # noqa: TRY301 - as strptime does for other nonsense
        begins = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Problem(GatewayCode.FIELD_INVALID, "a day like 2026-11-29", field="day", value=day) from None
    return int(begins.timestamp()) * 1_000


def _solvency_item(edge: Edge, position: AssetPosition, claimable_atoms: int) -> SolvencyItem:
    decimals = edge.view.asset_by_symbol[position.symbol].decimals
    return SolvencyItem(
        asset=position.symbol,
        token=checksummed(position.token),
        vault=format_atoms(position.accounted_atoms, decimals),
        ledger=format_atoms(position.in_custody_atoms, decimals),
        uncredited=format_atoms(position.uncredited_atoms, decimals),
        unsettled=format_atoms(position.unsettled_atoms, decimals),
        expected=format_atoms(position.expected_atoms, decimals),
        difference=format_atoms(position.difference_atoms, decimals),
        claimable=format_atoms(claimable_atoms, decimals),
    )


def _root_item(proof: StoredProof, assets: list[StoredAsset]) -> RootItem:
    return RootItem(
        number=proof.number,
        seq=proof.seq,
        built_at_ms=proof.built_ms,
        block_number=proof.block_number,
        block_hash=proof.block_hash,
        block_time_ms=proof.block_time_s * 1_000,
        root=f"0x{proof.root.hex()}",
        state=proof.state,
        publication=_publication(proof),
        totals={
            asset.symbol: format_atoms(asset.commitment.tree.sum_atoms, asset.commitment.decimals)
            for asset in assets
        },
    )


def _publication(proof: StoredProof) -> PublicationItem | None:
    if proof.contract is None or proof.chain_index is None:
        return None
    return PublicationItem(
        contract=checksummed(proof.contract), index=proof.chain_index, tx_hash=proof.tx_hash
    )


def _committed_asset(asset: StoredAsset) -> CommittedAsset:
    commitment = asset.commitment
    return CommittedAsset(
        asset=asset.symbol,
        token=checksummed(commitment.token),
        decimals=commitment.decimals,
        depth=commitment.depth,
        tree_hash=f"0x{commitment.tree.hash.hex()}",
        total_atoms=str(commitment.tree.sum_atoms),
        uncredited_atoms=str(commitment.uncredited_atoms),
        unsettled_atoms=str(commitment.unsettled_atoms),
    )


def _leaf(inclusion: Inclusion) -> LeafItem:
    return LeafItem(
        token=checksummed(inclusion.asset.commitment.token),
        amount_atoms=str(inclusion.amount_atoms),
        salt=f"0x{inclusion.salt.hex()}",
        path=[
            SiblingItem(
                hash=f"0x{sibling.node.hash.hex()}",
                sum_atoms=str(sibling.node.sum_atoms),
                side="left" if sibling.is_left else "right",
            )
            for sibling in inclusion.path
        ],
    )
