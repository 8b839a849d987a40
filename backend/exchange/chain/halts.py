"""Halts: while one is open, no withdrawal of any chain is signed. They survive restarts.

A halt is raised by what must never happen (a credited deposit that the chain no longer has, books that
differ), and only a person lifts it, with a note that says why. Raising is idempotent: while a halt of a kind
is open for a vault, a second one of that kind is not made.

`halted` is asked before everything that is signed, so it reads memory only; `refresh` brings it up to date.
It fails closed: before the first refresh, when the last one is too old, and from the raising of a halt until
it is stored and was read, everything is halted.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import asyncpg
import structlog

from exchange.chain.backoff import repeat
from exchange.chain.errors import HaltNotOpen

POLL_S = 1.0
MAX_AGE_S = 15.0
"""Seconds after which what is known of the halts is no longer believed."""
ACQUIRE_TIMEOUT_S = 10.0
MAX_DETAIL_CHARS = 1_000

_COLUMNS = "id, kind, chain_id, vault, detail, raised_ms, lifted_ms, lifted_by, note"

log = structlog.get_logger(__name__)

_Key = tuple["HaltKind", int, str]

Alert = Callable[[str, str], None]
"""Tells people: a kind and a detail. Never blocks, never fails."""


class HaltKind(StrEnum):
    """Why withdrawals are halted. Everybody is shown these words."""

    REORGED_AFTER_CREDIT = "reorged_after_credit"
    """The chain no longer has a deposit that is credited."""
    BOOKS_DIFFER = "books_differ"
    """Vault and ledger do not hold the same."""
    OPERATOR = "operator"
    """An operator asked for it."""


@dataclass(frozen=True, slots=True)
class Halt:
    """One halt; the last three are None while it is open."""

    id: int
    kind: HaltKind
    chain_id: int
    vault: str
    detail: str
    raised_ms: int
    lifted_ms: int | None
    lifted_by: str | None
    note: str | None


def only_logged(kind: str, detail: str) -> None:
    """An alert for whoever reads the log."""
    log.critical("alert", kind=kind, detail=detail)


class Halts:
    """The halts of a deployment. Any number of these may look at one database."""

    def __init__(
        self,
        pool: "asyncpg.Pool | asyncpg.Connection",
        alert: Alert = only_logged,
        *,
        poll_s: float = POLL_S,
        max_age_s: float = MAX_AGE_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._alert = alert
        self._poll_s = poll_s
        self._max_age_s = max_age_s
        self._reading = asyncio.Lock()
        self._now_s = now_s
        self._open: tuple[Halt, ...] = ()
        self._read_at_s: float | None = None
        self._unstored: set[_Key] = set()
        self._unread: set[_Key] = set()
        """Stored, and no reading has begun since: only the next one tells whether they are still open."""
        self._alerted: set[int] = set()

    # ---- what is known

    @property
    def halted(self) -> bool:
        """Whether nothing may be signed."""
        return bool(self._open or self._unstored or self._unread) or not self._is_fresh

    @property
    def known(self) -> tuple[Halt, ...]:
        """The open halts as of the last refresh, oldest first."""
        return self._open

    @property
    def problem(self) -> str | None:
        """Why withdrawals are halted, in words for everybody; None when they are not."""
        raised = {kind for kind, _, _ in self._unstored | self._unread}
        kinds = sorted({halt.kind for halt in self._open} | raised)
        if kinds:
            return f"withdrawals halted: {', '.join(kinds)}"
        return None if self._is_fresh else "withdrawals halted: the table of halts was not read"

    @property
    def _is_fresh(self) -> bool:
        return self._read_at_s is not None and self._now_s() - self._read_at_s <= self._max_age_s

    async def run(self) -> None:
        """Refreshes until cancelled."""
        await repeat(
            "halts", self.refresh, lambda: asyncio.sleep(self._poll_s), first_fault_pause_s=self._poll_s
        )

    async def refresh(self) -> None:
        """Reads which halts are open, and alerts about those that this process has not seen before.

        Raises what the database raises, TimeoutError.
        """
        async with self._reading:
            started_s = self._now_s()
            self._open = tuple(await self.open())
            self._read_at_s = started_s
            self._unread.clear()
        for halt in self._open:
            if halt.id not in self._alerted:
                self._alerted.add(halt.id)
                self._alert(
                    "withdrawals_halted",
                    f"halt {halt.id}, {halt.kind}, chain {halt.chain_id}, vault {halt.vault}: {halt.detail}",
                )

    # ---- the table

    async def open(self) -> list[Halt]:
        """The open halts, oldest first."""
        rows = await self._pool.fetch(
            f"SELECT {_COLUMNS} FROM halts WHERE lifted_ms IS NULL ORDER BY id",  # noqa: S608
            timeout=ACQUIRE_TIMEOUT_S,
        )
        return [_halt(row) for row in rows]

    async def raise_(self, kind: HaltKind, detail: str, chain_id: int, vault: str) -> None:
        """Halts the withdrawals of all chains; does nothing when such a halt is open already.

        From the call on `halted` holds, also when this raises what the database raises: call it again.
        """
        key = (kind, chain_id, vault)
        self._unstored.add(key)
        async with self._reading:  # a reading begun before must not end after, and know nothing of it
            await self._pool.execute(
                """
                INSERT INTO halts (kind, chain_id, vault, detail, raised_ms) SELECT $1, $2, $3, $4, $5
                WHERE NOT EXISTS (SELECT 1 FROM halts
                    WHERE kind = $1 AND chain_id = $2 AND vault = $3 AND lifted_ms IS NULL)
                ON CONFLICT (kind, chain_id, vault) WHERE lifted_ms IS NULL DO NOTHING
                """,
                kind,
                chain_id,
                vault,
                detail[:MAX_DETAIL_CHARS],
                _now_ms(),
                timeout=ACQUIRE_TIMEOUT_S,
            )
            self._unread.add(key)
            self._unstored.discard(key)
        await self.refresh()

    async def lift(self, halt_id: int, by: str, note: str) -> Halt:
        """Ends a halt; each process knows of it after its next refresh. Raises HaltNotOpen.

        Whatever raised it may raise another one.
        """
        row = await self._pool.fetchrow(
            "UPDATE halts SET lifted_ms = $2, lifted_by = $3, note = $4"  # noqa: S608
            f" WHERE id = $1 AND lifted_ms IS NULL RETURNING {_COLUMNS}",
            halt_id,
            _now_ms(),
            by,
            note,
            timeout=ACQUIRE_TIMEOUT_S,
        )
        if row is None:
            raise HaltNotOpen(halt_id)
        log.warning("halt_lifted", id=halt_id, kind=row["kind"], by=by, note=note)
        return _halt(row)


def _halt(row: asyncpg.Record) -> Halt:
    number, kind, *rest = row
    return Halt(number, HaltKind(kind), *rest)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
