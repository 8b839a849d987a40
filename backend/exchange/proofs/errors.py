"""What can go wrong with proofs of balances, one class per cause, with its data."""

from collections.abc import Sequence

from exchange.chain.books import AssetPosition


class ProofError(Exception):
    """Root of the package's errors."""


class SumOutOfRange(ProofError):
    """A sum of atoms is negative or does not fit in 128 bits."""

    def __init__(self, atoms: int) -> None:
        self.atoms = atoms
        super().__init__(f"a sum of balances is out of range: {atoms}")


class ReadTablesDisagree(ProofError):
    """The read tables do not add up to what the ledger has in custody. Nothing is published from them."""

    def __init__(self, symbol: str, what: str, found_atoms: int, expected_atoms: int) -> None:
        self.symbol = symbol
        self.found_atoms = found_atoms
        self.expected_atoms = expected_atoms
        super().__init__(f"{symbol}: {what} add up to {found_atoms} atoms, the books say {expected_atoms}")


class VaultDiffers(ProofError):
    """The vault does not hold what the read tables' books say, at the block of the proof."""

    def __init__(self, mismatches: Sequence[AssetPosition]) -> None:
        self.mismatches = tuple(mismatches)
        super().__init__("; ".join(map(str, mismatches)))


class AccountMissing(ProofError):
    """A balance of an account that the table of accounts does not have."""

    def __init__(self, account_id: int) -> None:
        self.account_id = account_id
        super().__init__(f"account {account_id} has a balance and no owner")


class BuildFailed(ProofError):
    """The process that was to build a proof has ended without one."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"no proof was built: {problem}")


class StoredProofDamaged(ProofError):
    """A stored tree does not lead from a leaf to its root."""

    def __init__(self, number: int, symbol: str) -> None:
        self.number = number
        self.symbol = symbol
        super().__init__(f"proof {number}: the stored tree of {symbol} is damaged")


class PublishRefused(ProofError):
    """The contract would refuse the root."""

    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        self.reason = reason
        super().__init__(f"the root of proof {number} can not be published: {reason}")


class RootDiffers(ProofError):
    """The chain has another root for the same seq."""

    def __init__(self, number: int, index: int) -> None:
        self.number = number
        self.index = index
        super().__init__(f"the root at index {index} of the chain has the seq of proof {number} and differs")


class RootsAhead(ProofError):
    """The chain has a root of a later seq than this one, so this one can never be published."""

    def __init__(self, number: int, seq: int, latest_seq: int) -> None:
        self.number = number
        self.seq = seq
        self.latest_seq = latest_seq
        super().__init__(f"proof {number} is of seq {seq}, the chain has a root of seq {latest_seq} already")


class ProofsLost(ProofError):
    """The chain has a root of a later seq than any proof that is stored: the database was restored."""

    def __init__(self, newest_seq: int, latest_seq: int) -> None:
        self.newest_seq = newest_seq
        self.latest_seq = latest_seq
        super().__init__(f"the newest proof is of seq {newest_seq}, the chain has a root of seq {latest_seq}")


class ForeignRoot(ProofError):
    """The chain's newest root is about a later block than any that we could prove, and is none of ours."""

    def __init__(self, seq: int, block_number: int) -> None:
        self.seq = seq
        self.block_number = block_number
        super().__init__(
            f"the chain's newest root, of seq {seq} and block {block_number}, is none of ours;"
            " no proof is made about an earlier block"
        )


class BlockPassed(ProofError):
    """The chain has a root about a later block than this one, so this one can never be published."""

    def __init__(self, number: int, block_number: int, latest_block: int) -> None:
        self.number = number
        self.block_number = block_number
        self.latest_block = latest_block
        super().__init__(
            f"proof {number} is about block {block_number}, the chain has a root about block {latest_block}"
        )


class RootTooOld(ProofError):
    """The contract takes no root any more about a block that long ago, so this one can never be published."""

    def __init__(self, number: int, block_number: int) -> None:
        self.number = number
        self.block_number = block_number
        super().__init__(f"proof {number} is about block {block_number}, which is too old to be published")


class ProofOverdue(ProofError):
    """No proof was made for long, though something happened or may have: the books do not agree, or worse."""

    def __init__(self, hours: int) -> None:
        self.hours = hours
        super().__init__(f"no proof of balances was made for {hours} hours")
