"""One round of withdrawals: a worker that keeps dying and being started again, under some weather."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

from scripts.chain_drill.compare import Asked, Verdict
from scripts.chain_drill.faults import Fault, Injected
from scripts.chain_drill.lives import Life, Nursery
from scripts.chain_drill.payment_world import MAX_CONFIRMATIONS, PaymentWorld
from scripts.chain_drill.readings import PaymentLog, payment_logs
from scripts.chain_drill.worker import Plan

from exchange.core.commands import RequestWithdrawal

ROUND_TIMEOUT_S = 60.0
WEATHER_TIMEOUT_S = 3.0
KILLS_A_ROUND = 15
"""After so many the worker is left alone, so that the points are spread over many rounds."""
FEW_POINTS = 12
"""With no more of them armed a worker dies at the first that it passes."""
BLOCK_S = 0.03
LOOK_S = 0.01
TAKE_OVER_S = 10.0


class RoundFailed(Exception):
    """A round could not be brought to its end."""


class Kills:
    """How often the worker has died where, and how often it shall."""

    def __init__(self, points: tuple[str, ...], wanted: int) -> None:
        self._wanted = wanted
        self.counts = Counter(dict.fromkeys(points, 0))

    @property
    def total(self) -> int:
        return self.counts.total()

    def missing(self) -> list[str]:
        """Points at which it has not died often enough."""
        return [point for point, count in self.counts.items() if count < self._wanted]


class Round:
    """What a scenario plays on. From `up` to `down` a worker lives, and another when it has died."""

    def __init__(
        self,
        world: PaymentWorld,
        nurseries: tuple[Nursery, Nursery],
        kills: Kills,
        injected: Injected,
        random: Random,
        *,
        sabotaged: bool,
    ) -> None:
        self.world = world
        self.chain = world.chain
        self.injected = injected
        self.random = random
        self.asked: list[Asked] = []
        self.deadline_s = 0
        self.halted_by_replaced = 0
        self.judged = False
        self.confirmations = random.choice((2, 3, 3, MAX_CONFIRMATIONS))
        self._commands: list[RequestWithdrawal] = []
        self._nurseries = list(nurseries)
        self._kills = kills
        self._sabotaged = sabotaged
        self._life: Life | None = None
        self._killed = 0
        self._allowed = asyncio.Event()
        self._birth = asyncio.Lock()
        self._lossy = random.random() < 0.4

    # ---- the withdrawals

    async def ask(self, count: int, seconds: int = 3_600) -> None:
        """New withdrawals, each with a deadline so far off; some go to receivers that refuse."""
        random, world = self.random, self.world
        now_s = max((await self.chain.head()).time_s, int(time.time()))
        self.deadline_s = now_s + seconds
        for _ in range(count):
            symbol = random.choice(("ETH", "USDC", "WBTC"))
            amount_atoms = random.randrange(1_000, 1_000_000)
            asked, command = world.owners.request(symbol, amount_atoms, self.deadline_s)
            if symbol == "ETH" and random.random() < 0.4:
                await world.refuse_transfers(asked.destination)
            self.asked.append(asked)
            self._commands.append(command)
        world.asked += self.asked

    async def paid(self) -> list[PaymentLog]:
        """Payments of this round that are on the chain."""
        ids = {asked.withdrawal_id for asked in self.asked}
        return [
            log for log in await payment_logs(self.chain.rpc, self.world.vault) if log.withdrawal_id in ids
        ]

    async def is_final(self) -> bool:
        """Whether the ledger has an end for each withdrawal, and no nonce of the sender is open."""
        ends = {
            event.fields[0]
            for event in await self.world.read_journal()
            if event.name in ("WithdrawalSettled", "WithdrawalRefunded")
        }
        if any(asked.withdrawal_id not in ends for asked in self.asked):
            return False
        return await self.open_transactions() == 0

    async def open_transactions(self) -> int:
        return await self.world.count("SELECT count(*) FROM sent_transactions WHERE NOT done")

    async def has_state(self, state: str) -> bool:
        """Whether a payment of this round is stored in that state."""
        return (
            await self.world.count(
                "SELECT count(*) FROM payments WHERE state = $1 AND withdrawal_id = ANY($2::text[])",
                state,
                [asked.withdrawal_id for asked in self.asked],
            )
            > 0
        )

    # ---- time

    async def until(
        self,
        condition: Callable[[], Awaitable[bool]],
        timeout_s: float = WEATHER_TIMEOUT_S,
        *,
        mining: bool = False,
    ) -> bool:
        """Waits for something, for a while; whether it came about."""
        deadline = time.monotonic() + timeout_s
        while not await condition():
            if time.monotonic() > deadline:
                return False
            if mining:
                await self.chain.mine()
            await asyncio.sleep(BLOCK_S if mining else LOOK_S)
        return True

    async def in_pool(self, count: int = 1) -> bool:
        """Waits until the node's pool has so many transactions of the sender."""

        async def condition() -> bool:
            return len(await self.chain.pooled(self.world.sender)) >= count

        return await self.until(condition)

    async def finish(self) -> None:
        """Blocks come, until all is final. Raises RoundFailed."""
        if not await self.until(self.is_final, ROUND_TIMEOUT_S, mining=True):
            raise RoundFailed(await self.standing())

    async def standing(self) -> str:
        """Where the payments are, for a message."""
        rows = await self.world.pool.fetch(
            "SELECT withdrawal_id, state, note, tx_hash FROM payments"
            " WHERE state NOT IN ('settled', 'refunded')"
        )
        sent = await self.world.pool.fetch(
            "SELECT nonce, purpose, broadcast_ms,"
            " (SELECT count(*) FROM sent_attempts a WHERE a.nonce = t.nonce) AS attempts"
            " FROM sent_transactions t WHERE NOT done"
        )
        halts = await self.world.pool.fetch("SELECT kind, detail FROM halts WHERE lifted_ms IS NULL")
        return f"not final: {[dict(row) for row in [*rows, *sent, *halts]]}"

    # ---- the worker

    def up(self) -> None:
        """From now on a worker runs; when it has died, another."""
        self._allowed.set()

    async def down(self) -> None:
        """Kills the worker, and starts no other."""
        self._allowed.clear()
        async with self._birth:
            if self._life is not None:
                self._life.kill()
                await self._life.ended.wait()

    @contextlib.asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Starts workers as long as the body runs; what is wrong with one ends the body."""
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep())
            try:
                yield
                if self._life is not None and not self._life.ended.is_set():
                    self.injected.note(Fault.KILLED_AT_REST)
            finally:
                await self.down()
                keeper.cancel()

    async def _keep(self) -> None:
        while True:
            await self._allowed.wait()
            async with self._birth:
                if not self._allowed.is_set():
                    continue
                life = self._life
                if life is None or life.ended.is_set():
                    self._life = life = await self._nurseries[0].born(await self.plan())
            await life.ended.wait()
            if life.died_at is not None:
                self._kills.counts[life.died_at] += 1
                self._killed += 1
            await life.gone()

    async def take_over(self) -> bool:
        """Starts a second worker beside the first, which is killed when it does not end by itself.

        Whether both were alive at the same time.
        """
        async with self._birth:
            old = self._life
            if old is None or old.ended.is_set():
                return False
            self._life = new = await self._nurseries[1].born(await self.plan())
            self._nurseries.reverse()

        async def begun() -> bool:
            return new.ready.is_set() or new.ended.is_set()

        async def over() -> bool:
            return old.ended.is_set()

        await self.until(begun, TAKE_OVER_S)
        together = new.ready.is_set() and not old.ended.is_set()
        await self.until(over, self.random.uniform(0.0, 0.5), mining=True)
        old.kill()
        await old.ended.wait()
        return together

    async def plan(self) -> Plan:
        """The next life's. What the journal has already is not asked for again."""
        random, world = self.random, self.world
        armed = self._kills.missing() if self._killed < KILLS_A_ROUND else []
        events = await world.read_journal()
        known = {event.fields[0] for event in events if event.name == "WithdrawalRequested"}
        return Plan(
            database_url=world.database_url,
            rpc_url=self.chain.url,
            deployment=world.deployment,
            confirmations=self.confirmations,
            requests=[command for command in self._commands if command.withdrawal_id not in known],
            spread_s=random.choice((0.0, 0.0, 0.03)),
            armed=armed,
            nth=random.choice((1, 1, 1, 2, 3, random.randrange(1, 9))) if len(armed) > FEW_POINTS else 1,
            seed=random.randrange(2**31),
            request_lost=0.03 if self._lossy else 0.0,
            answer_lost=0.03 if self._lossy else 0.0,
            send_answer_lost=0.3 if self._lossy else 0.0,
            signer=world.signer,
            judged=self.judged,
            sabotaged=self._sabotaged,
        )

    async def verdict(self) -> Verdict:
        """What is wrong after the round."""
        verdict = await self.world.judge(self.asked)
        halted = await self.world.count("SELECT count(*) FROM halts WHERE lifted_ms IS NULL")
        if halted:
            verdict.wrong.append(f"withdrawals are halted: {await self.standing()}")
        return verdict
