"""What the signer knows of the ledger: read from the journal row by row, and believed once.

It begins at the genesis id of its own settings and takes each row only if its hash is that of its content and
chains it to the row before. So every row since genesis has been seen once, and a history that is changed
afterwards no longer fits what was remembered: the place (seq and hash) up to which rows were taken, and the
hash of each row that a withdrawal was requested in. Nothing is executed: whether the account had the funds is
the engine's word (docs/decisions/0019).

Of the rows it keeps which accounts are frozen, and the withdrawals of its own vault, with whether the ledger
calls them final, until an hour after their deadlines.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import structlog

from exchange.core.commands import RequestWithdrawal
from exchange.core.events import (
    AccountStateSet,
    Event,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
)
from exchange.core.words import AccountState
from exchange.gateway.withdrawals import MAX_DEADLINE_S, MAX_NONCE
from exchange.journal.chain import verified_row
from exchange.journal.errors import JournalCorrupt
from exchange.journal.rows import READ_ROWS, JournalRow
from exchange.policy_signer.refusals import RefusalCode, Refused
from exchange.policy_signer.settings import Identity
from exchange.policy_signer.state_file import StateFile
from exchange.stores.errors import OUTAGES

ROWS_PER_READ = 128
"""Of up to 500 commands each, in one durable transaction: that is what costs, not the hashing."""
CATCH_UP_S = 10.0
KEPT_S = 3_600
MAX_ACCOUNT_ID = 2**63 - 1

_KNOWN = """
SELECT withdrawal_id, seq, row_hash, owner, token, amount_atoms, max_fee_atoms, fee_atoms, destination, nonce,
    deadline_s, signature, final, account_id IN (SELECT account_id FROM frozen_accounts)
FROM requests WHERE withdrawal_id = ?
"""
_HASH_AT_AND_LAST = """
SELECT (SELECT hash FROM journal WHERE seq_last = $1), (SELECT max(seq_last) FROM journal)
"""
"""Both as of one moment: a replica goes on between two statements."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JournaledRequest:
    """A withdrawal as the journal has it. `final`: settled or refunded, None while in flight.

    `is_frozen` is its account, as of all rows taken.
    """

    withdrawal_id: str
    seq: int
    row_hash: bytes
    owner: str
    token: str
    amount_atoms: int
    max_fee_atoms: int
    fee_atoms: int
    destination: str
    nonce: int
    deadline_s: int
    signature: str
    final: str | None
    is_frozen: bool


class JournalWatch:
    """Follows one deployment's journal. Raises Refused with a journal's code whenever it can not."""

    def __init__(self, pool: asyncpg.Pool, state: StateFile, identity: Identity) -> None:
        self._pool = pool
        self._state = state
        self._vault = (identity.chain_id, identity.vault)
        self._lock = asyncio.Lock()

    @property
    def place(self) -> tuple[int, bytes]:
        """The last row taken: its last seq and its hash; 0 and the genesis id before the first."""
        seq, digest = self._state.connection.execute("SELECT seq, hash FROM journal_place").fetchone()
        return int(seq), bytes(digest)

    async def catch_up(self) -> None:
        """Takes all rows that there are by now. After Refused everything taken before is kept."""
        with _refusing():
            async with self._lock:
                last = await self._check_place()
                while self.place[0] < last:
                    await self._take_some()

    async def check(self) -> None:
        """That the journal can be read and is still the one that was seen, without reading on."""
        with _refusing():
            await self._check_place()

    async def requested(self, withdrawal_id: str, seq: int) -> JournaledRequest:
        """The request that the journal has at `seq`, its row being there still as it was when it was taken.

        Raises Refused: request_not_journaled, and the journal's own codes.
        """
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self.catch_up()
                with _refusing():
                    row = await self._row_of(seq)
        except TimeoutError as error:
            raise Refused(RefusalCode.JOURNAL_BEHIND, "there is much of the journal to read yet") from error
        request = self._known(withdrawal_id)
        if request is None or request.seq != seq:
            raise Refused(
                RefusalCode.REQUEST_NOT_JOURNALED,
                f"the journal has no request of this withdrawal at seq {seq}",
            )
        if row.hash != request.row_hash:
            raise _rewritten(seq, request.row_hash, row.hash)
        return request

    def _known(self, withdrawal_id: str) -> JournaledRequest | None:
        found = self._state.connection.execute(_KNOWN, (withdrawal_id,)).fetchone()
        if found is None:
            return None
        (known_id, seq, row_hash, owner, token, amount, max_fee, fee, *more) = found
        destination, nonce, deadline_s, signature, final, is_frozen = more
        return JournaledRequest(
            withdrawal_id=known_id,
            seq=seq,
            row_hash=row_hash,
            owner=owner,
            token=token,
            amount_atoms=int(amount),
            max_fee_atoms=int(max_fee),
            fee_atoms=int(fee),
            destination=destination,
            nonce=nonce,
            deadline_s=deadline_s,
            signature=signature,
            final=final,
            is_frozen=bool(is_frozen),
        )

    # ---- reading

    async def _check_place(self) -> int:
        """The journal's last seq, if the row up to which everything was taken is still there, unchanged."""
        seq, digest = self.place
        record = await self._pool.fetchrow(_HASH_AT_AND_LAST, seq)
        assert record is not None
        found, last = record[0], record[1] or 0
        if last < seq:
            raise Refused(
                RefusalCode.JOURNAL_BEHIND, f"the journal ends at seq {last}, seq {seq} was seen before"
            )
        if seq > 0 and found != digest:
            raise _rewritten(seq, digest, found)
        return int(last)

    async def _take_some(self) -> None:
        """Takes the next few rows, all or none of them."""
        seq, digest = self.place
        records = await self._pool.fetch(READ_ROWS, seq, ROWS_PER_READ)
        if not records:
            raise Refused(RefusalCode.JOURNAL_BEHIND, f"nothing is left of the journal after seq {seq}")
        rows = []
        for record in records:
            row = verified_row(record)
            if (row.seq_first, row.hash_prev) != (seq + 1, digest):
                raise JournalCorrupt(seq + 1, "not chained to the row before")
            rows.append(row)
            seq, digest = row.seq_last, row.hash
            await asyncio.sleep(0)  # requests are answered in between
        with self._state.transaction() as connection:
            for row in rows:
                for offset, (command, events) in enumerate(zip(row.commands, row.events, strict=True)):
                    if isinstance(command, RequestWithdrawal):
                        self._keep(row, row.seq_first + offset, command, events)
                    for event in events:
                        self._note(event)
            connection.execute("UPDATE journal_place SET seq = ?, hash = ?", (seq, digest))
            connection.execute(
                "DELETE FROM requests WHERE deadline_s < ?", (rows[-1].time_ns // 10**9 - KEPT_S,)
            )

    def _note(self, event: Event) -> None:
        """What an event says of withdrawals and accounts that are known."""
        connection = self._state.connection
        if isinstance(event, WithdrawalSettled | WithdrawalRefunded):
            final = "settled" if isinstance(event, WithdrawalSettled) else "refunded"
            connection.execute(
                "UPDATE requests SET final = ? WHERE withdrawal_id = ?", (final, event.withdrawal_id)
            )
        elif isinstance(event, AccountStateSet) and 0 <= event.account_id <= MAX_ACCOUNT_ID:
            if event.state is AccountState.FROZEN:
                connection.execute("INSERT OR IGNORE INTO frozen_accounts VALUES (?)", (event.account_id,))
            else:
                connection.execute("DELETE FROM frozen_accounts WHERE account_id = ?", (event.account_id,))

    def _keep(self, row: JournalRow, seq: int, command: RequestWithdrawal, events: list[Event]) -> None:
        for event in events:
            if not isinstance(event, WithdrawalRequested) or event.withdrawal_id != command.withdrawal_id:
                continue
            if (event.chain_id, event.vault) != self._vault:
                continue
            if not (0 <= event.nonce <= MAX_NONCE and 0 <= event.deadline_s <= MAX_DEADLINE_S):
                continue  # by no writer of ours
            if not 0 <= event.account_id <= MAX_ACCOUNT_ID:
                continue
            self._state.connection.execute(
                "INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    event.withdrawal_id,
                    event.account_id,
                    seq,
                    row.hash,
                    event.owner,
                    event.token,
                    str(event.amount_atoms),
                    str(command.max_fee_atoms),
                    str(event.fee_atoms),
                    event.destination,
                    event.nonce,
                    event.deadline_s,
                    command.signature,
                ),
            )

    async def _row_of(self, seq: int) -> JournalRow:
        """The row that holds `seq`, read anew. Raises JournalCorrupt, Refused (journal_behind)."""
        records = await self._pool.fetch(READ_ROWS, seq - 1, 1)
        if not records:
            raise Refused(RefusalCode.JOURNAL_BEHIND, f"the journal does not reach seq {seq} here yet")
        return verified_row(records[0])


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Makes refusals of what can go wrong with reading the journal."""
    try:
        yield
    except JournalCorrupt as error:
        log.critical("journal_corrupt", seq=error.seq, problem=error.what)
        raise Refused(RefusalCode.JOURNAL_CORRUPT, str(error)) from error
    except OUTAGES as error:  # its text may name the database
        raise Refused(RefusalCode.JOURNAL_UNAVAILABLE, type(error).__name__) from error


def _rewritten(seq: int, before: bytes, now: bytes | None) -> Refused:
    """History was changed after it was seen. Somebody has to look at this before anything is signed."""
    found = "gone" if now is None else f"0x{now.hex()}"
    log.critical("journal_rewritten", seq=seq, hash_before=f"0x{before.hex()}", hash_now=found)
    return Refused(RefusalCode.JOURNAL_REWRITTEN, f"the row at seq {seq} is no longer the one that was seen")
