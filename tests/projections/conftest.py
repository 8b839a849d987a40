"""A small exchange that journals: the real core, the real journal, seeded random traffic."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncpg
import msgspec
import pytest

from exchange.core.apply import RULES_VERSION, apply
from exchange.core.commands import (
    CancelAll,
    CancelOrder,
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    RefundWithdrawal,
    RequestWithdrawal,
    SettleWithdrawal,
)
from exchange.core.events import Event, Trade
from exchange.core.orders import OrderType, Side, TimeInForce
from exchange.core.state import State
from exchange.journal.log import JournalLog
from exchange.journal.rows import encode_payload
from exchange.journal.tail import Tail

CHAIN_ID = 31_337
VAULT = "0x" + "aa" * 20
WETH = "0x" + "00" * 20
USDC = "0x" + "cc" * 20
START_NS = 1_750_000_000_000_000_000
MINUTE_NS = 60_000_000_000
ACCOUNTS = 6
FIRST_ACCOUNT = 1_000


def owner(number: int) -> str:
    return f"0x{number + 1:040x}"


def deposit(number: int, owner: str, token: str, amount_atoms: int) -> CreditDeposit:
    return CreditDeposit(
        CHAIN_ID, VAULT, number, owner, token, amount_atoms, f"0x{number:064x}", number % 7, 100 + number
    )


def place(
    account_id: int,
    side: Side,
    price_ticks: int,
    size_lots: int,
    *,
    time_in_force: TimeInForce = TimeInForce.GTC,
    client_order_id: str | None = None,
) -> PlaceOrder:
    return PlaceOrder(
        account_id=account_id,
        market_id=1,
        side=side,
        order_type=OrderType.LIMIT,
        time_in_force=time_in_force,
        price_ticks=price_ticks,
        size_lots=size_lots,
        client_order_id=client_order_id,
        expires_ns=0,  # set by `batch`
    )


def withdrawal(number: int, account_id: int, asset_id: int, amount_atoms: int, deadline_s: int) -> Command:
    withdrawal_id, destination = f"0x{number:064x}", "0x" + "dd" * 20
    return RequestWithdrawal(
        withdrawal_id,
        account_id,
        asset_id,
        amount_atoms,
        10**9,
        destination,
        2**255 + number,
        deadline_s,
        "0x",
    )


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
        first = self.state.seq + 1
        commands = tuple(
            msgspec.structs.replace(command, expires_ns=self.time_ns)
            if isinstance(command, PlaceOrder)
            else command
            for command in commands
        )
        events = [apply(self.state, first + n, self.time_ns, command) for n, command in enumerate(commands)]
        await self.log.append(
            self.state.seq,
            self.time_ns,
            RULES_VERSION,
            encode_payload(list(commands)),
            encode_payload(events),
        )
        self.events.extend((self.time_ns, each) for each in events)
        self.tail.notify()
        return events

    @property
    def trades(self) -> list[tuple[int, Trade]]:
        """(time_ns, trade) of every trade so far."""
        return [(time_ns, e) for time_ns, events in self.events for e in events if isinstance(e, Trade)]

    async def open(self) -> None:
        """Two assets, one market, some accounts with plenty of both."""
        await self.batch(
            ListAsset("ETH", 18, CHAIN_ID, VAULT, WETH),
            ListAsset("USDC", 6, CHAIN_ID, VAULT, USDC, 1_000),
            OpenMarket("ETH-USDC", "ETH", "USDC", 1, 2, 10**14, 2, 5),
            *(OpenAccount(owner(n)) for n in range(ACCOUNTS)),
        )
        funds = [
            deposit(2 * n + 1 + which, owner(n), token, amount)
            for n in range(ACCOUNTS)
            for which, (token, amount) in enumerate(((WETH, 10**22), (USDC, 10**14)))
        ]
        self.deposits = len(funds)
        await self.batch(*funds)

    async def random_batches(self, seed: int, batches: int, commands: int = 20) -> None:
        """Traffic of every kind, much of it trading, some of it refused."""
        rng = random.Random(seed)
        for _ in range(batches):
            self.time_ns += rng.randrange(0, MINUTE_NS // 3)
            await self.batch(*(self._random_command(rng) for _ in range(rng.randint(1, commands))))

    def _random_command(self, rng: random.Random) -> Command:
        account_id = rng.randrange(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS)
        dice = rng.random()
        if dice < 0.80:
            return place(
                account_id,
                rng.choice(list(Side)),
                rng.randint(199_000, 201_000),
                rng.randint(1, 500),
                time_in_force=rng.choice(
                    [TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]
                ),
                client_order_id=f"c{rng.randrange(50)}" if rng.random() < 0.2 else None,
            )
        if dice < 0.88:
            return CancelOrder(account_id, rng.choice(list(self.state.orders) or [1]))
        if dice < 0.89:
            return CancelAll(account_id, rng.choice([1, None]))
        if dice < 0.92:
            self.deposits += 1
            return deposit(self.deposits, owner(rng.randrange(ACCOUNTS)), rng.choice([WETH, USDC]), 10**6)
        if dice < 0.96:
            self.withdrawals += 1
            deadline_s = self.time_ns // 10**9 + 600
            return withdrawal(
                self.withdrawals, account_id, rng.randint(1, 2), rng.randint(1, 10**7), deadline_s
            )
        withdrawal_id = rng.choice(list(self.state.withdrawals) or ["0x"])
        if rng.random() < 0.5:
            return RefundWithdrawal(withdrawal_id, 7, self.time_ns // 10**9 + 900)
        outcome = "paid" if rng.random() < 0.7 else "claimable"
        return SettleWithdrawal(withdrawal_id, "0x" + "ee" * 32, 9, outcome)  # type: ignore[arg-type]


@pytest.fixture
async def journaled(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[JournaledExchange]:
    """An exchange with a market and funded accounts, journaling to this test's database."""
    async with await JournalLog.claim(database_url) as log:
        exchange = JournaledExchange(log, Tail(pool, poll_s=0.05))
        await exchange.open()
        yield exchange
