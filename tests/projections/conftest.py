"""A small exchange that journals: the real core, the real journal, seeded random traffic."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncpg
import msgspec
import pytest
from tests.projections.traffic import (
    ACCOUNTS,
    CHAIN_ID,
    FIRST_ACCOUNT,
    OWNERS,
    USDC,
    VAULT,
    WETH,
    Traffic,
    deposit,
    owner,
)

from exchange.core.apply import apply
from exchange.core.commands import (
    AmendOrder,
    Command,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    SetRules,
    Tick,
    TransferFunds,
)
from exchange.core.events import Event, Rejected, Trade
from exchange.core.state import State
from exchange.journal.log import JournalLog
from exchange.journal.rows import encode_payload
from exchange.journal.tail import Tail

START_NS = 1_750_000_000_000_000_000
MINUTE_NS = 60_000_000_000


@dataclass
class JournaledExchange:
    """Applies commands to the core and appends them, one row per batch."""

    log: JournalLog
    tail: Tail
    state: State = field(default_factory=State)
    time_ns: int = START_NS
    events: list[tuple[int, list[Event]]] = field(default_factory=list)
    """(time_ns, events) of every command, by seq - 1."""
    deposits: int = 0
    withdrawals: int = 0

    async def batch(self, *commands: Command) -> list[list[Event]]:
        """Journals the commands as one row and gives their events."""
        return await self._journal([self._apply(command) for command in commands])

    async def _journal(self, applied: list[tuple[Command, list[Event]]]) -> list[list[Event]]:
        events = [of_command for _, of_command in applied]
        await self.log.append(
            self.state.seq,
            self.time_ns,
            self.state.rules_version,
            encode_payload([command for command, _ in applied]),
            encode_payload(events),
        )
        self.events.extend((self.time_ns, each) for each in events)
        self.tail.notify()
        return events

    def _apply(self, command: Command) -> tuple[Command, list[Event]]:
        if isinstance(command, PlaceOrder | AmendOrder | TransferFunds):
            command = msgspec.structs.replace(command, expires_ns=self.time_ns)
        return command, apply(self.state, self.state.seq + 1, self.time_ns, command)

    @property
    def trades(self) -> list[tuple[int, Trade]]:
        """(time_ns, trade) of every trade so far."""
        return [(time_ns, e) for time_ns, events in self.events for e in events if isinstance(e, Trade)]

    async def open(self) -> None:
        """Two assets, one market, some accounts with plenty of both."""
        await self.batch(
            SetRules(2),
            ListAsset("ETH", 18, CHAIN_ID, VAULT, WETH),
            ListAsset("USDC", 6, CHAIN_ID, VAULT, USDC, 1_000),
            OpenMarket("ETH-USDC", "ETH", "USDC", 1, 2, 10**14, 2, 5),
            *(OpenAccount(owner(n)) for n in range(OWNERS)),
            *(OpenAccount(owner(n), 1) for n in range(ACCOUNTS - OWNERS)),
        )
        assert set(range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS)) < self.state.accounts.keys()
        funds = [
            deposit(2 * n + 1 + which, owner(n), token, amount)
            for n in range(OWNERS)
            for which, (token, amount) in enumerate(((WETH, 10**22), (USDC, 10**14)))
        ]
        self.deposits = len(funds)
        await self.batch(*funds)
        await self.batch(
            *(
                TransferFunds(FIRST_ACCOUNT + n, 1, asset_id, amount, f"half-{asset_id}", 0)
                for n in range(ACCOUNTS - OWNERS)
                for asset_id, amount in ((1, 10**22 // 2), (2, 10**14 // 2))
            )
        )
        assert not any(isinstance(event, Rejected) for _, events in self.events for event in events)

    async def random_batches(self, seed: int, batches: int, commands: int = 20) -> None:
        """Traffic of every kind, much of it trading, some of it refused, with the Ticks it needs."""
        rng = random.Random(seed)
        traffic = Traffic(self.state, rng, deposits=self.deposits, withdrawals=self.withdrawals)
        for _ in range(batches):
            self.time_ns += rng.randrange(0, MINUTE_NS // 3)
            applied: list[tuple[Command, list[Event]]] = []
            for _ in range(rng.randint(1, commands)):
                while self.state.work_due_ns <= self.time_ns:
                    applied.append(self._apply(Tick()))
                applied.append(self._apply(traffic.next(self.time_ns)))
            await self._journal(applied)
        self.deposits, self.withdrawals = traffic.deposits, traffic.withdrawals


@pytest.fixture
async def journaled(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[JournaledExchange]:
    """An exchange with a market and funded accounts, journaling to this test's database."""
    async with await JournalLog.claim(database_url) as log:
        exchange = JournaledExchange(log, Tail(pool, poll_s=0.05))
        await exchange.open()
        yield exchange
