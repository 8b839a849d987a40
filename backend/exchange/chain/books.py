"""The books of one vault at one journal seq, held against the vault itself at one block.

Between ledger and vault there are two kinds of difference that are no error: a deposit that only one of them
has yet, and a payment that the vault has made and the ledger has still in flight (or, the vault being asked
about an earlier block, the other way round). So at one block

    accounted = in custody by the ledger + deposits not credited yet - payments made but not settled

where `in custody` is minus the balance of the ledger's chain account, that is credited deposits less settled
payments. Seq and block need not be of the same moment: whatever lies between them is counted with its sign.

Unlisted assets are left out: anybody can deposit worthless tokens, and they can not be withdrawn.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from exchange.chain.deposit_rows import Block, DepositRows
from exchange.chain.rpc import Rpc, together
from exchange.chain.vault import accounted_call, decode_word, used_call

VIEWS_AT_ONCE = 64

MadeAt = Callable[[Sequence["Outgoing"], Block], Awaitable[set[str]]]
"""Says which of some payments the vault has made at a block."""


@dataclass(frozen=True, slots=True)
class AssetBook:
    """One listed asset by the ledger."""

    asset_id: int
    symbol: str
    token: str
    in_custody_atoms: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A withdrawal: what the vault pays for it, the fee taken off.

    `tried` is whether a payment of it is or was signed, as far as is known; what is not was hardly made.
    """

    withdrawal_id: str
    asset_id: int
    amount_atoms: int
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger says at `seq`. `credited` is the number of its last deposit.

    `in_flight` are the withdrawals that the vault may have paid, `settled_later` those that are settled by a
    payment in a later block than the one that the books are to be compared at.
    """

    seq: int
    credited: int
    assets: tuple[AssetBook, ...]
    in_flight: tuple[Outgoing, ...]
    settled_later: tuple[Outgoing, ...]


@dataclass(frozen=True, slots=True)
class AssetPosition:
    """One asset at one block, all in atoms; `accounted_atoms` is the vault's word, the rest is ours.

    `uncredited_atoms` and `unsettled_atoms` are negative for what the ledger has and that block has not yet.
    """

    symbol: str
    token: str
    accounted_atoms: int
    in_custody_atoms: int
    uncredited_atoms: int
    unsettled_atoms: int

    @property
    def expected_atoms(self) -> int:
        """What the vault should hold."""
        return self.in_custody_atoms + self.uncredited_atoms - self.unsettled_atoms

    @property
    def difference_atoms(self) -> int:
        """What the vault has more than it should; 0 when all is well."""
        return self.accounted_atoms - self.expected_atoms

    def __str__(self) -> str:
        how = "more" if self.difference_atoms > 0 else "less"
        return f"the vault holds {abs(self.difference_atoms)} atoms of {self.symbol} {how} than the books say"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All listed assets of a vault at one block and one journal seq."""

    block_number: int
    block_hash: str
    seq: int
    positions: tuple[AssetPosition, ...]

    @property
    def mismatches(self) -> list[AssetPosition]:
        return [position for position in self.positions if position.difference_atoms != 0]


async def compare(
    rpc: Rpc,
    vault: str,
    deposits: DepositRows,
    books: Books,
    block: Block,
    made: Collection[str] | None = None,
) -> Reconciliation:
    """Holds the books against the vault at a block that the deposit watcher has scanned. Raises ChainError.

    The block must have been chosen before the books were read. `made` are ids of what the vault has made at
    that block of what is in flight; None: the vault is asked about each.
    """
    on_chain = (await deposits.last_at(block.number)).number
    uncredited = await _deposited(deposits, books.credited, on_chain)
    for token, atoms in (await _deposited(deposits, on_chain, books.credited)).items():
        uncredited[token] = uncredited.get(token, 0) - atoms
    if made is None:
        calls = [used_call(entry.withdrawal_id) for entry in books.in_flight]
        used = await views(rpc, vault, calls, block.hash)
        made = {entry.withdrawal_id for entry, one in zip(books.in_flight, used, strict=True) if one}
    unsettled: dict[int, int] = {}
    for entry in books.in_flight:
        if entry.withdrawal_id in made:
            unsettled[entry.asset_id] = unsettled.get(entry.asset_id, 0) + entry.amount_atoms
    for entry in books.settled_later:
        unsettled[entry.asset_id] = unsettled.get(entry.asset_id, 0) - entry.amount_atoms
    accounted = await views(rpc, vault, [accounted_call(asset.token) for asset in books.assets], block.hash)
    positions = [
        AssetPosition(
            symbol=asset.symbol,
            token=asset.token,
            accounted_atoms=accounted_atoms,
            in_custody_atoms=asset.in_custody_atoms,
            uncredited_atoms=uncredited.get(asset.token, 0),
            unsettled_atoms=unsettled.get(asset.asset_id, 0),
        )
        for asset, accounted_atoms in zip(books.assets, accounted, strict=True)
    ]
    return Reconciliation(block.number, block.hash, books.seq, tuple(positions))


async def _deposited(deposits: DepositRows, after: int, up_to: int) -> dict[str, int]:
    """Atoms by token of the deposits after a number and up to another; none when that is lower."""
    atoms: dict[str, int] = {}
    while rows := await deposits.between(after, up_to):
        after = rows[-1].number
        for deposit in rows:
            atoms[deposit.token] = atoms.get(deposit.token, 0) + deposit.amount_atoms
    return atoms


async def views(rpc: Rpc, vault: str, calls: Iterable[bytes], block_hash: str) -> list[int]:
    """The vault's answer of one word to each call, asked for in parallel but not without bound."""
    waiting, words = list(calls), list[int]()
    for start in range(0, len(waiting), VIEWS_AT_ONCE):
        some = waiting[start : start + VIEWS_AT_ONCE]
        words += map(decode_word, await together(*(rpc.view(vault, call, block_hash) for call in some)))
    return words
