"""Writes a real journal, batch by batch, from a core state."""

import asyncpg
from tests.core.venue import CHAIN_ID, START_NS, VAULT, address, token

from exchange.core.apply import apply
from exchange.core.commands import Command, CreditDeposit, ListAsset, OpenAccount
from exchange.core.events import Event
from exchange.core.state import State
from exchange.journal.log import JournalLog
from exchange.journal.recovery import replay
from exchange.journal.rows import JournalRow, encode_payload


class Scribe:
    """One writer: applies commands to its state and appends them as one row."""

    def __init__(self, log: JournalLog, state: State) -> None:
        self.log = log
        self.state = state
        self.rows: list[tuple[tuple[Command, ...], list[list[Event]]]] = []

    @classmethod
    async def start(cls, url: str) -> "Scribe":
        log = await JournalLog.claim(url)
        return cls(log, State(seq=log.head.seq, time_ns=START_NS if log.head.seq else 0))

    async def write(self, *commands: Command, time_ns: int = START_NS) -> None:
        events = [apply(self.state, self.state.seq + 1, time_ns, command) for command in commands]
        await self.log.append(
            self.state.seq,
            time_ns,
            self.state.rules_version,
            encode_payload(list(commands)),
            encode_payload(events),
        )
        self.rows.append((commands, events))


def open_account(name: str) -> OpenAccount:
    return OpenAccount(address(name))


def deposit(name: str, number: int, amount: int) -> CreditDeposit:
    return CreditDeposit(
        CHAIN_ID, VAULT, number, address(name), token("APPLE"), amount, "0x" + "ab" * 32, 0, number
    )


LIST_APPLE = ListAsset("APPLE", 0, CHAIN_ID, VAULT, token("APPLE"))


async def write_a_day(scribe: Scribe, rows: int = 6) -> None:
    """A listing, then `rows - 1` rows of an account and its deposit, each at a later time."""
    await scribe.write(LIST_APPLE)
    for number in range(1, rows):
        await scribe.write(
            open_account(f"person{number}"),
            deposit(f"person{number}", number, 10**30),
            time_ns=START_NS + number,
        )


async def recover(url: str) -> tuple[State, list[JournalRow]]:
    """Takes the journal over, replays it and lets go of it; answers with the state and the verified rows."""
    rows: list[JournalRow] = []
    async with await JournalLog.claim(url) as log:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            genesis_id = await connection.fetchval("SELECT genesis_id FROM genesis")
            return await replay(connection, genesis_id, log.head, rows.append), rows
        finally:
            await connection.close(timeout=10)
