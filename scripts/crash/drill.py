"""The drill: load, kill, restart, compare, and again.

What a cycle does is drawn from its seed (the drill's seed plus the cycle's number): whom it kills, when, how
many clients there are and what they ask for, and whether it kills once more while the exchange comes back.
Seconds are real ones, so the same seed gives the same plan, not the same interleaving.
"""

import asyncio
import math
import time
from dataclasses import dataclass, field
from random import Random
from typing import Self

import aiohttp
import asyncpg
from scripts.crash.compare import Finding, Kind, compare, compare_journal, compare_money, wrong
from scripts.crash.history import History, read_on
from scripts.crash.promises import Outcome, Placement, Promises
from scripts.crash.public_api import Trader, listing, open_session, sign_in
from scripts.crash.recovered import compare_account, compare_market_data, compare_tables
from scripts.crash.traffic import Traffic
from scripts.crash.venue import DEPOSITS_EACH, Target, Venue

from exchange.chain import dev_keys
from exchange.core.markets import Market
from exchange.stores.postgres import open_connection

TRADERS = 4
MARKET = "ETH-USDC"
FUNDING_TIMEOUT_S = 120.0
FIRST_ANSWER_TIMEOUT_S = 30.0
EXPIRY_TIMEOUT_S = 30.0
SENT_AGAIN = 40
REMEMBERED_S = 50.0
"""For so long a client order id surely means the same order: a little less than the promised minute."""
EXAMINATIONS = (("replay", "--verify"), ("audit",))
"""What the exchange has to find out for itself, besides our own comparison."""
MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """One cycle, as drawn from its seed."""

    target: Target
    load_s: float
    clients: int
    second_target: Target | None
    """Killed once more while the engine starts."""
    second_after: float
    """When, as a share of the time that the start before took."""

    @classmethod
    def draw(cls, seed: int, random: Random) -> Self:
        targets = list(Target)
        return cls(
            target=targets[seed % len(targets)],  # in turn: each gets its share of a short drill too
            load_s=random.uniform(0.1, 2.0),
            clients=random.randint(4, 16),
            second_target=random.choice(targets) if random.random() < 0.15 else None,
            second_after=random.uniform(0.1, 1.1),
        )


@dataclass(slots=True)
class Figures:
    """The sums of the last line."""

    cycles: int = 0
    acknowledged: int = 0
    restarts_s: list[float] = field(default_factory=list)
    slowest_end_s: float = 0.0
    """The longest that an engine took to end without its database."""
    _found: set[tuple[Kind, str]] = field(default_factory=set)

    def add(self, findings: list[Finding]) -> None:
        self._found |= {(finding.kind, finding.subject) for finding in findings}

    def count(self, kind: Kind) -> int:
        """How much of this kind was found, each thing once."""
        return sum(found is kind for found, _ in self._found)

    @property
    def good(self) -> bool:
        return not self._found

    @property
    def restart_p99_s(self) -> float:
        """99th percentile of the restarts, by nearest rank."""
        ranked = sorted(self.restarts_s)
        return ranked[math.ceil(0.99 * len(ranked)) - 1] if ranked else 0.0

    def last_line(self) -> str:
        return (
            f"crash: cycles={self.cycles} acked={self.acknowledged} lost={self.count(Kind.LOST)}"
            f" duplicated={self.count(Kind.DUPLICATED)} restart_p99_s={self.restart_p99_s:.2f}"
        )


class Drill:
    """Runs cycles on one venue. Everything ever promised stays to be compared again at the end."""

    def __init__(self, venue: Venue, seed: int) -> None:
        self.figures = Figures()
        self._venue = venue
        self._seed = seed
        self._start_s = 1.0
        """How long the engine's last start took."""
        self._traders: list[Trader] = []
        self._history = History()
        self._all: list[Promises] = []
        self._sent: set[tuple[int, str]] = set()

    async def prepare(self) -> None:
        """Signs the traders in and waits until what they have deposited is theirs."""
        keys = [dev_keys.dev_account(index) for index in range(TRADERS)]
        async with open_session(self._venue.url) as http:
            self._traders = [await sign_in(http, key) for key in keys]
            await self._venue.fund([trader.address for trader in self._traders])
            async with asyncio.timeout(FUNDING_TIMEOUT_S):
                for trader in self._traders:
                    while not await _is_funded(http, trader):  # noqa: ASYNC110 - asks a server
                        await asyncio.sleep(0.2)
        await self._read_journal(self._history)

    async def cycle(self, number: int) -> str:
        """One cycle; a line about it. Raises VenueFailed when the exchange does not come back."""
        seed = self._seed + number
        random = Random(seed)
        plan = Plan.draw(seed, random)
        promises = Promises()
        self._all.append(promises)
        since_seq = self._history.seq
        findings = await self._load_and_kill(number, plan, promises, random)
        unknown = len(promises.unknown)
        postgres_s, restart_s = await self._revive(plan, random, findings)
        never_answered = await self._ask_again(number, promises)
        self._sent |= {(sent.account_id, sent.client_order_id) for sent in promises.placements}
        findings += await self._wait_for_expiries()
        findings += compare(promises, self._history, self._market)
        findings += await self._compare_recovered(self._history, since_seq)
        self.figures.restarts_s.append(restart_s)
        self.figures.cycles += 1
        self.figures.acknowledged += promises.acknowledged_orders + promises.acknowledged_cancels
        self.figures.add(findings)
        again = f" and {plan.second_target.value} while starting" if plan.second_target else ""
        for_ever = f" ({never_answered} for ever)" if never_answered else ""
        line = (
            f"cycle {number + 1:>3}  seed={seed}  killed {plan.target.value}{again} after {plan.load_s:.2f} s"
            f"  orders={promises.acknowledged_orders} cancels={promises.acknowledged_cancels}"
            f" unanswered={unknown}{for_ever}"
            f"  restart {restart_s:.2f} s (Postgres {postgres_s:.2f} s)"
        )
        return f"{line}  {_verdict(findings)}"

    async def finish(self) -> str:
        """Compares every promise of every cycle once more, with the whole journal read anew; a line about it.

        Then has the exchange examine itself, and stops it.
        """
        history = History()
        await self._read_journal(history)
        findings = [finding for promises in self._all for finding in compare(promises, history, self._market)]
        findings += await self._compare_recovered(history, 0)
        if self.figures.good and not findings:  # else there is nothing for these to agree with
            findings += await self._examine(history)
        code = await self._venue.stop()
        if code != 0:
            findings.append(wrong(f"the engine ended with {code} on SIGTERM:\n{self._venue.words()}"))
        self.figures.add(findings)
        return (
            f"at the end: seq {history.seq}, {len(history.orders)} orders, {len(history.trades)} trades"
            f"  {_verdict(findings)}"
        )

    async def _examine(self, history: History) -> list[Finding]:
        """What follows on its own (market data), and what the exchange finds out about itself."""
        async with open_session(self._venue.url) as http:
            findings = await compare_market_data(http, history, self._market)
        for command in EXAMINATIONS:
            if fault := await self._venue.examine(*command):
                findings.append(wrong(f"exchange {' '.join(command)} finds fault: {fault}"))
        return findings

    # ---- the parts of a cycle

    async def _load_and_kill(
        self, number: int, plan: Plan, promises: Promises, random: Random
    ) -> list[Finding]:
        findings: list[Finding] = []
        async with open_session(self._venue.url) as http, asyncio.TaskGroup() as clients:
            accounts = [trader.account_id for trader in self._traders]
            open_orders = {account_id: self._history.open_orders(account_id) for account_id in accounts}
            prefix = f"{self._seed}-{number}"
            traffic = Traffic(http, self._traders, self._market, promises, prefix, open_orders)
            for client in range(plan.clients):
                clients.create_task(traffic.client(accounts[client % TRADERS], Random(random.random())))
            await asyncio.sleep(plan.load_s)  # the random moment; nothing waits for it
            async with asyncio.timeout(FIRST_ANSWER_TIMEOUT_S):
                while not promises.acknowledged_orders:  # noqa: ASYNC110 - counts, no event
                    await asyncio.sleep(0.01)
            await self._venue.kill(plan.target, random)
            if plan.target is Target.POSTGRES:
                traffic.dead_from_s = time.monotonic()
                findings = await self._own_end()
            traffic.stop()
        return findings

    async def _own_end(self) -> list[Finding]:
        """The engine without its database: it must end, say why in a line, and not with success."""
        end = await self._venue.engine_end()
        self.figures.slowest_end_s = max(self.figures.slowest_end_s, end.seconds)
        findings: list[Finding] = []
        if end.code <= 0:
            findings.append(wrong(f"without its database the engine ended with {end.code}:\n{end.words}"))
        if not end.last_line.startswith("error: ") or "Traceback" in end.words:
            findings.append(wrong(f"without its database the engine had no clear last word:\n{end.words}"))
        return findings

    async def _revive(self, plan: Plan, random: Random, findings: list[Finding]) -> tuple[float, float]:
        """Brings everything back; seconds of Postgres' start, and of all until the exchange served."""
        if plan.second_target is not None:
            await self._venue.revive_postgres()
            await self._venue.revive_engine(wait=False)
            await asyncio.sleep(plan.second_after * self._start_s)  # another random moment
            await self._venue.kill(plan.second_target, random)
            if plan.second_target is Target.POSTGRES:
                findings += await self._own_end()
        findings += [wrong(f"left behind by the dead: {stray}") for stray in await self._venue.strays()]
        started_s = time.monotonic()
        postgres_s = await self._venue.revive_postgres()
        await self._venue.revive_engine()
        restart_s = time.monotonic() - started_s
        self._start_s = restart_s - postgres_s
        return postgres_s, restart_s

    async def _ask_again(self, number: int, promises: Promises) -> int:
        """Sends again what had no answer, and some of what had: each must be the order that it was.

        Only while the exchange must remember the client order id. How many orders stay without an answer.
        """
        async with open_session(self._venue.url) as http:
            traffic = Traffic(http, self._traders, self._market, promises, f"{self._seed}-{number}-again")
            for batch in promises.batches:
                if batch.is_unknown and all(map(_is_remembered, batch.placements)):
                    await traffic.send_batch(batch)
            for placement in filter(_is_remembered, promises.unknown):
                await asyncio.gather(traffic.place(placement), traffic.place(placement))
                if placement.outcome is Outcome.UNKNOWN:
                    promises.oddities.append(f"{placement.client_order_id} had no answer when sent again")
            for cancellation in promises.cancellations:
                if cancellation.outcome is Outcome.UNKNOWN:
                    await traffic.cancel(cancellation)
            for placement in filter(_is_remembered, promises.placements[-SENT_AGAIN:]):
                await traffic.send_again(placement)
        return len(promises.unknown)

    async def _wait_for_expiries(self) -> list[Finding]:
        """Reads the journal on until no order is open that will end by itself."""
        deadline = time.monotonic() + EXPIRY_TIMEOUT_S
        while True:
            await self._read_journal(self._history)
            left = [
                order_id
                for trader in self._traders
                for order_id, order in self._history.open_orders(trader.account_id).items()
                if order.accepted.good_till_ns
            ]
            if not left:
                return []
            if time.monotonic() > deadline:
                return [wrong(f"orders are open beyond their time: {left}")]
            await asyncio.sleep(0.1)

    async def _compare_recovered(self, history: History, since_seq: int) -> list[Finding]:
        findings = compare_journal(history, self._sent) + compare_money(history)
        async with open_session(self._venue.url) as http:
            for trader in self._traders:
                findings += await compare_account(http, trader, history, self._market, since_seq)
        connection = await open_connection(self._venue.database_url)
        try:
            findings += await compare_tables(connection, history)
        finally:
            await connection.close(timeout=10)
        return findings

    async def _read_journal(self, history: History) -> None:
        connection: asyncpg.Connection = await open_connection(self._venue.database_url)
        try:
            await read_on(connection, history)
        finally:
            await connection.close(timeout=10)

    @property
    def _market(self) -> Market:
        return next(market for market in self._history.markets.values() if market.symbol == MARKET)


def _is_remembered(placement: Placement) -> bool:
    return time.monotonic() - placement.sent_s < REMEMBERED_S


async def _is_funded(http: aiohttp.ClientSession, trader: Trader) -> bool:
    deposits = await listing(http, "/v1/deposits", trader, 0)
    return [item["status"] for item in deposits] == ["credited"] * DEPOSITS_EACH


def _verdict(findings: list[Finding]) -> str:
    if not findings:
        return "ok"
    shown = [f"    {finding}" for finding in findings[:MAX_SHOWN]]
    if len(findings) > MAX_SHOWN:
        shown.append(f"    and {len(findings) - MAX_SHOWN} more")
    return "\n".join(["FAILED", *shown])
