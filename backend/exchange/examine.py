"""`exchange replay` and `exchange audit`: the books of an exchange, examined from outside.

They only read, beside a running exchange or without one. The database is that of EXCHANGE_DATABASE_URL or the
one in a devnet's folder; when no devnet runs on the folder, its server is started for as long as this takes.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from exchange.core.units import format_atoms
from exchange.journal.verification import Replayed, rehearse, verify
from exchange.projections.audit import AssetTotals, Audited, audit_books
from exchange.stores.errors import DataFolderInUse
from exchange.stores.postgres import EmbeddedPostgres, open_connection, reaching_the_database

STATEMENT_TIMEOUT_S = 600.0
PROGRESS_S = 2.0
MAX_DIFFERENCES_SHOWN = 20
MAX_SYMBOL = 24
MAX_WIDTH = 1_000
DEFAULT_FOLDER = Path(".data")


class CannotExamine(Exception):
    """There is nothing to examine; the message says what to do."""


class BooksDiffer(Exception):
    """The examination has found something; what it is has been printed."""


async def run_replay(database_url: str | None, data_dir: Path | None, *, verifying: bool) -> None:
    """Executes the journal again and prints how that went. Raises BooksDiffer and every JournalError."""
    console = Console(highlight=False, soft_wrap=True)
    async with _connection(database_url, data_dir) as connection:
        progress = _Progress()
        replayed = await (verify if verifying else rehearse)(connection, progress)
    for problem in replayed.problems:
        console.print(f"[bold red]error:[/] {escape(str(problem))}")
    console.print(_replay_line(replayed))
    if replayed.problems:
        raise BooksDiffer(_found(len(replayed.problems)))


async def run_audit(database_url: str | None, data_dir: Path | None) -> None:
    """Compares all the books and prints the totals. Raises BooksDiffer and every JournalError."""
    console = Console(highlight=False, soft_wrap=True)
    async with _connection(database_url, data_dir) as connection:
        audited = await audit_books(connection, _Progress())
    table = _totals_table(audited)
    unbounded = console.options.update(max_width=MAX_WIDTH)
    console.width = max(console.width, Measurement.get(console, unbounded, table).maximum)
    console.print(table)  # amounts are to be read: better wrapped than cut
    for difference in audited.differences[:MAX_DIFFERENCES_SHOWN]:
        console.print(f"[bold red]error:[/] {escape(difference.what)}")
    hidden = len(audited.differences) - MAX_DIFFERENCES_SHOWN
    if hidden > 0:
        console.print(f"... and {hidden} more")
    console.print(
        f"audit: accounts={audited.accounts} assets={len(audited.totals)} entries={audited.entries} "
        f"difference_atoms={audited.difference_atoms}"
    )
    if audited.differences:
        raise BooksDiffer(_found(len(audited.differences)))


# ---- the database


@contextlib.asynccontextmanager
async def _connection(database_url: str | None, data_dir: Path | None) -> AsyncIterator[asyncpg.Connection]:
    """A connection that can not write. Raises CannotExamine when there is no database."""
    async with contextlib.AsyncExitStack() as stack:
        if data_dir is not None or database_url is None:
            database_url = await folder_url(data_dir or DEFAULT_FOLDER, stack)
        with reaching_the_database():
            connection = await open_connection(database_url, command_timeout_s=STATEMENT_TIMEOUT_S)
        stack.callback(connection.terminate)
        with reaching_the_database():
            await connection.execute("SET default_transaction_read_only = on")
            if await connection.fetchval("SELECT to_regclass('snapshots') IS NULL"):
                raise CannotExamine(
                    "the database is not that of this version: start the exchange once, "
                    "which brings it up to date"
                )
            yield connection


async def folder_url(data_dir: Path, stack: contextlib.AsyncExitStack) -> str:
    """The database of a devnet's folder, its server started when it does not run."""
    postgres = EmbeddedPostgres(data_dir / "postgres")
    if not await asyncio.to_thread((postgres.data_dir / "PG_VERSION").exists):
        raise CannotExamine(
            f"there is no devnet in {data_dir}: give its folder with --data-dir, "
            "or set EXCHANGE_DATABASE_URL to the database of an exchange"
        )
    # When it is in use, a devnet runs on the folder, and its server answers us too.
    with contextlib.suppress(DataFolderInUse):
        await postgres.start()
        stack.push_async_callback(postgres.stop)
    return postgres.url


# ---- what is printed


class _Progress:
    """Prints a line now and then, so that nobody wonders whether anything happens."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._printed_at = time.monotonic()

    def __call__(self, seq: int, head_seq: int) -> None:
        now = time.monotonic()
        if now - self._printed_at < PROGRESS_S:
            return
        self._printed_at = now
        self._console.print(f"  seq {seq:,} of {head_seq:,}, {100 * seq // head_seq} %", style="dim")


def _replay_line(replayed: Replayed) -> str:
    return (
        f"replay: commands={replayed.commands} rows={replayed.rows} snapshots={replayed.snapshots} "
        f"seconds={replayed.seconds:.2f} commands_per_s={replayed.commands_per_s} "
        f"state_hash={replayed.state_hash.hex()}"
    )


def _totals_table(audited: Audited) -> Table:
    table = Table(title=f"the books at seq {audited.seq:,}", title_justify="left", box=box.SIMPLE_HEAD)
    for title in (
        "asset",
        "accounts",
        "available",
        "held",
        "withdrawals",
        "fees",
        "suspense",
        "chain",
        "sum",
    ):
        table.add_column(title, justify="left" if title == "asset" else "right", no_wrap=True)
    for each in audited.totals:
        table.add_row(_name(each), str(each.accounts), *_amounts(each))
    behind = audited.seq - audited.tables_seq
    table.caption = (
        f"read tables compared at seq {audited.tables_seq:,}"
        + (f", {behind:,} commands behind the journal" if behind else "")
        + "; chain is what the vault holds, as the other side of all the rest"
    )
    table.caption_justify = "left"
    return table


def _name(totals: AssetTotals) -> str:
    symbol = totals.asset.symbol
    return symbol if len(symbol) <= MAX_SYMBOL else f"...{symbol[3 - MAX_SYMBOL :]}"


def _amounts(totals: AssetTotals) -> list[str]:
    amounts = (
        totals.available,
        totals.held,
        totals.withdrawals,
        totals.fees,
        totals.suspense,
        totals.chain,
        totals.total,
    )
    return [format_atoms(atoms, totals.asset.decimals) for atoms in amounts]


def _found(count: int) -> str:
    return (
        "the examination has found a difference"
        if count == 1
        else (f"the examination has found {count} differences")
    )
