"""Which withdrawals in flight the vault has made; asked of the chain, but not of each one each time.

Most of what is in flight may be waiting: for a person, for room in a limit, for the books to agree. Tens of
thousands of those would make each comparison take minutes, and nothing is signed without one. The vault can
have made such a payment only by bytes that our tables know nothing of: they were lost, or restored from a
backup. So in each pass, at the newest block,

- what is or was signed by us is asked about, and what was made by the newest answer;
- of what was never signed, a bounded number, those that were not asked about for longest.

Why that is safe. What is not asked about counts as not made. If the vault did make it, it holds less than
the books say, and nothing is signed: leaving one out closes the gate and never opens it. Only beside a second
error of exactly the opposite amount would it go unnoticed. Therefore all of them are asked about once before
the gate opens for the first time after a start, which is when a backup may have been restored; and all of
them again when the books begin to differ, so that a forgotten payment is not taken for a loss.
"""

from collections.abc import Iterable, Sequence
from heapq import nsmallest

from exchange.chain.books import Outgoing, views
from exchange.chain.deposit_rows import Block
from exchange.chain.rpc import Rpc
from exchange.chain.vault import used_call

NEVER_SIGNED_PER_PASS = 256

_NOT_ASKED = 0


class UsedIds:
    """What the vault said about the ids of withdrawals in flight since the process began.

    An ask is stamped with its turn, not with its block: after a reorganization a lower block may be newer.
    """

    def __init__(self, rpc: Rpc, vault: str) -> None:
        self._rpc = rpc
        self._vault = vault
        self._turn = 1
        self._demanded = 1
        self._asked: dict[str, int] = {}
        """In which turn, by id."""
        self._made: set[str] = set()
        """By the newest answer at the newest block."""

    async def at_tip(self, in_flight: Sequence[Outgoing], block: Block) -> set[str]:
        """Ids of payments that are made at the newest block, and takes a turn. Raises ChainError."""
        ids = {entry.withdrawal_id for entry in in_flight}
        self._made &= ids
        self._asked = {one: turn for one, turn in self._asked.items() if one in ids}
        self._turn += 1
        others = [entry for entry in in_flight if not self._is_asked_each_time(entry)]
        some = nsmallest(NEVER_SIGNED_PER_PASS, others, key=self._turn_of)
        return await self.ask([*filter(self._is_asked_each_time, in_flight), *some], block)

    async def at(self, in_flight: Sequence[Outgoing], block: Block) -> set[str]:
        """Ids of payments that are made at an earlier block, among those that may be. Raises ChainError."""
        return await self._made_at(list(filter(self._is_asked_each_time, in_flight)), block)

    def demand(self) -> None:
        """From now on all count as not asked about that are not asked in this turn or a later one."""
        self._demanded = self._turn

    def missing(self, in_flight: Iterable[Outgoing]) -> list[Outgoing]:
        """Those that are not asked about since the start, or since the last demand."""
        return [entry for entry in in_flight if self._turn_of(entry) < self._demanded]

    async def ask(self, entries: Sequence[Outgoing], block: Block) -> set[str]:
        """Ids of those that are made at the newest block; all of them are then asked. Raises ChainError."""
        made = await self._made_at(entries, block)
        ids = {entry.withdrawal_id for entry in entries}
        self._made = (self._made - ids) | made
        self._asked |= dict.fromkeys(ids, self._turn)
        return made

    def _turn_of(self, entry: Outgoing) -> int:
        return self._asked.get(entry.withdrawal_id, _NOT_ASKED)

    def _is_asked_each_time(self, entry: Outgoing) -> bool:
        return entry.tried or entry.withdrawal_id in self._made

    async def _made_at(self, entries: Sequence[Outgoing], block: Block) -> set[str]:
        calls = [used_call(entry.withdrawal_id) for entry in entries]
        answers = await views(self._rpc, self._vault, calls, block.hash)
        return {entry.withdrawal_id for entry, used in zip(entries, answers, strict=True) if used}
