"""`exchange halts`, `accounts` and `withdrawals`: what an operator does on a running exchange.

All of it goes by the database. Halts are lifted in their table, and withdrawals in review are decided in
theirs. Accounts belong to the engine alone: what is asked for here is taken up by the exchange's own process
and journaled (`exchange.operator.inbox`). Whoever may write to the database may do all of it.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from rich.console import Console

from exchange.chain.halts import Halt, HaltKind, Halts
from exchange.chain.reviews import Reviews
from exchange.core.units import format_atoms
from exchange.core.words import AccountState, RateClass
from exchange.examine import DEFAULT_FOLDER, folder_url
from exchange.operator.requests import INTERRUPTED, MAX_AGE_S, OperatorRequests
from exchange.parts import CannotRun
from exchange.projections.accounts import read_rate_classes
from exchange.stores.errors import DatabaseUnreachable
from exchange.stores.postgres import open_connection, reaching_the_database

ANSWER_WAIT_S = 10.0
ANSWER_POLL_S = 0.1
MAX_SHOWN = 1_000
_OWNER = re.compile("0x[0-9a-fA-F]{40}")
NO_VAULT = "0x" + "00" * 20
"""Stands for the vault in a halt that an operator asked for: it is for all of them."""


class CannotOperate(CannotRun):
    """What was asked for was not done; the message says why."""


class OutcomeUnknown(CannotOperate):
    """The database went away before it said that a change was made."""

    def __init__(self, command: str, cause: DatabaseUnreachable) -> None:
        self.command = command
        super().__init__(
            "the database went away before it said that this was done, so it may have been: look at"
            f" `exchange {command}` once it answers, before you ask again ({cause.cause!r})"
        )


async def list_halts(database_url: str | None, data_dir: Path | None) -> None:
    """Prints the open halts. Raises CannotExamine, StoreError."""
    async with _connection(database_url, data_dir) as connection:
        halts = await Halts(connection).open()
    console = Console(highlight=False, soft_wrap=True)
    for halt in halts:
        console.print(_described(halt), markup=False)
    console.print(f"halts: open={len(halts)}")


async def raise_halt(database_url: str | None, data_dir: Path | None, by: str, note: str) -> None:
    """Halts the withdrawals of all chains. Raises CannotOperate without a note."""
    _need_note(note)
    async with _connection(database_url, data_dir) as connection:
        with _changing("halts"):
            await Halts(connection, lambda kind, detail: None).raise_(
                HaltKind.OPERATOR, f"{by}: {note}", 0, NO_VAULT
            )
    with _changing("halts"):
        await list_halts(database_url, data_dir)


async def lift_halt(
    database_url: str | None, data_dir: Path | None, halt_id: int, by: str, note: str
) -> None:
    """Ends one halt. Raises HaltNotOpen, CannotOperate without a note."""
    _need_note(note)
    async with _connection(database_url, data_dir) as connection:
        with _changing("halts"):
            await Halts(connection).lift(halt_id, by, note)
    with _changing("halts"):
        await list_halts(database_url, data_dir)


async def list_accounts(database_url: str | None, data_dir: Path | None) -> None:
    """Prints the accounts that are not active, and owners who may do more, as the read tables have them."""
    async with _connection(database_url, data_dir) as connection:
        rows = await connection.fetch(
            "SELECT account_id, owner, sub_account, state FROM accounts WHERE state <> 'active'"
            " ORDER BY account_id LIMIT $1",
            MAX_SHOWN,
        )
        classes = await read_rate_classes(connection, MAX_SHOWN)
    console = Console(highlight=False, soft_wrap=True)
    for owner, rate_class in classes.items():
        console.print(f"owner: address={owner} rate_class={rate_class}")
    for row in rows:
        console.print(
            f"account: id={row['account_id']} state={row['state']} sub_account={row['sub_account']}"
            f" owner={row['owner']}"
        )
    console.print(f"accounts: not_active={len(rows)}")


async def set_account_state(
    database_url: str | None, data_dir: Path | None, account_id: int, state: AccountState, by: str, note: str
) -> None:
    """Asks for an account's state and waits for the answer. Raises CannotOperate."""
    _need_note(note)
    async with _connection(database_url, data_dir) as connection:
        requests = OperatorRequests(connection)
        with _changing("accounts"):
            seq = await _answered(requests, await requests.add(account_id, state, by, note))
    Console(highlight=False).print(f"account: id={account_id} state={state} seq={seq}")


async def set_rate_class(
    database_url: str | None, data_dir: Path | None, owner: str, rate_class: RateClass, by: str, note: str
) -> None:
    """Asks for an owner's rate class and waits for the answer. Raises CannotOperate."""
    _need_note(note)
    if not _OWNER.fullmatch(owner):
        raise CannotOperate("an owner is a wallet's address: 0x and 40 hex digits")
    async with _connection(database_url, data_dir) as connection:
        requests = OperatorRequests(connection)
        with _changing("accounts"):
            request_id = await requests.add_rate_class(owner.lower(), rate_class, by, note)
            seq = await _answered(requests, request_id)
    Console(highlight=False, soft_wrap=True).print(
        f"owner: address={owner.lower()} rate_class={rate_class} seq={seq}"
    )


async def _answered(requests: OperatorRequests, request_id: int) -> int | None:
    """Waits for the running exchange to take a request up; the seq of its command. Raises CannotOperate."""
    deadline = time.monotonic() + ANSWER_WAIT_S
    while (answer := await requests.answer(request_id)) is None:
        if time.monotonic() > deadline:
            raise CannotOperate(
                f"request {request_id} waits: the exchange has not taken it up. If it does not, the"
                f" request expires after {MAX_AGE_S:g} s; look at `exchange accounts`, and ask again"
            )
        await asyncio.sleep(ANSWER_POLL_S)
    if answer.refusal == INTERRUPTED:
        raise CannotOperate(
            f"request {request_id} was interrupted; whether it took effect is unknown: look at"
            " `exchange accounts`"
        )
    if answer.refusal is not None:
        raise CannotOperate(f"request {request_id} was refused: {answer.refusal}")
    return answer.seq


async def list_reviews(database_url: str | None, data_dir: Path | None) -> None:
    """Prints the withdrawals that wait for a person, nearest deadline first."""
    async with _connection(database_url, data_dir) as connection:
        waiting = await Reviews(connection).waiting()
        assets = {
            row["asset_id"]: (row["symbol"], row["decimals"])
            for row in await connection.fetch("SELECT asset_id, symbol, decimals FROM assets")
        }
    console = Console(highlight=False, soft_wrap=True)
    for payment in waiting:
        symbol, decimals = assets[payment.asset_id]
        console.print(f"withdrawal: id={payment.withdrawal_id}", markup=False)
        console.print(f"  {format_atoms(payment.amount_atoms, decimals)} {symbol} to {payment.destination}")
        console.print(
            f"  of {payment.owner}, until {_utc(payment.deadline_s)}: {payment.reason}", markup=False
        )
    console.print(f"withdrawals: in_review={len(waiting)}")


async def approve_withdrawal(
    database_url: str | None, data_dir: Path | None, withdrawal_id: str, by: str
) -> None:
    """Lets a withdrawal out. Raises NotInReview."""
    async with _connection(database_url, data_dir) as connection:
        with _changing("withdrawals"):
            await Reviews(connection).approve(withdrawal_id, by)
    with _changing("withdrawals"):
        await list_reviews(database_url, data_dir)


async def reject_withdrawal(
    database_url: str | None, data_dir: Path | None, withdrawal_id: str, by: str, note: str
) -> None:
    """Keeps a withdrawal in; its owner is shown the note, and has it back after its deadline.

    Raises NotInReview, CannotOperate without a note.
    """
    _need_note(note)
    async with _connection(database_url, data_dir) as connection:
        with _changing("withdrawals"):
            await Reviews(connection).reject(withdrawal_id, by, note)
    with _changing("withdrawals"):
        await list_reviews(database_url, data_dir)


@contextlib.contextmanager
def _changing(command: str) -> Iterator[None]:
    """From where something is changed up to the end. Raises OutcomeUnknown when the database goes away.

    `command` shows whether it was done.
    """
    try:
        with reaching_the_database():
            yield
    except DatabaseUnreachable as error:
        raise OutcomeUnknown(command, error) from error


def _need_note(note: str) -> None:
    if not note.strip():
        raise CannotOperate('say why: --note "..." is kept with what you do')


def _utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds")


def _described(halt: Halt) -> str:
    raised = _utc(halt.raised_ms / 1_000)
    where = "" if halt.vault == NO_VAULT else f" chain={halt.chain_id} vault={halt.vault}"
    return f"halt: id={halt.id} kind={halt.kind} raised={raised}{where} detail={halt.detail}"


@contextlib.asynccontextmanager
async def _connection(database_url: str | None, data_dir: Path | None) -> AsyncIterator[asyncpg.Connection]:
    """Raises CannotExamine when there is no database."""
    async with contextlib.AsyncExitStack() as stack:
        if data_dir is not None or database_url is None:
            database_url = await folder_url(data_dir or DEFAULT_FOLDER, stack)
        with reaching_the_database():
            connection = await open_connection(database_url)
        stack.callback(connection.terminate)
        with reaching_the_database():
            if await connection.fetchval("SELECT to_regclass('operator_requests') IS NULL"):
                raise CannotOperate(
                    "the database is not that of this version: start the exchange once, "
                    "which brings it up to date"
                )
            yield connection
