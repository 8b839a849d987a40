"""Everything of one run: loop, chance, database, chain, processes, oracle; and what the seed does to them."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Any

from tests.sim.chain import CHAIN_ID, VAULT, SimChain
from tests.sim.clickhouse import ClickHouseServer
from tests.sim.database import Database
from tests.sim.exchange_process import ExchangeProcess
from tests.sim.faults import Faults, Trace
from tests.sim.loop import SimLoop
from tests.sim.oracle import Oracle
from tests.sim.wire import SimWire

from exchange.core.commands import Command, ListAsset, OpenMarket, SettleWithdrawal, UseNonce
from exchange.core.state import State
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Outcome, Submit, SubmitBatch

MAX_S = 4 * 3600.0
THOROUGH_CHECKS = 50
"""About so many times in a run everything is audited, beside the quick check at every commit."""

TOKENS = {symbol: "0x" + symbol.encode().hex().rjust(40, "e") for symbol in ("APPLE", "COIN")}


def listing() -> tuple[Command, ...]:
    """Two assets and their market, as an operator's settings have them."""
    return (
        ListAsset("APPLE", 0, CHAIN_ID, VAULT, TOKENS["APPLE"]),
        ListAsset("COIN", 0, CHAIN_ID, VAULT, TOKENS["COIN"], withdrawal_fee_atoms=2),
        OpenMarket("APPLE-COIN", "APPLE", "COIN", 1, 0, 1, 7, 33),
    )


class Unreachable(Exception):
    """No exchange answers: nothing was handed in."""


class World:
    """One simulated world."""

    def __init__(
        self,
        seed: int,
        commands: int,
        *,
        show: Callable[[str], None] | None = None,
        only: Collection[str] | None = None,
        crash_at_step: int | None = None,
    ) -> None:
        """`only`: the faults that there are. `crash_at_step`: when the first exchange crashes, besides."""
        self.seed = seed
        self.commands = commands
        self.crash_at_step = crash_at_step
        self.random = Random(seed)
        self.loop = SimLoop(
            self.random, shuffled=self.random.random() < 0.5, max_steps=20_000 * (commands + 50), max_s=MAX_S
        )
        self.trace = Trace(self.loop.now_ns, show)
        self.faults = Faults(self.random, self.trace, only)
        self.database = Database(self.loop, self.random)
        self.wire = SimWire(self.loop, self.random, self.faults, self.trace, self.database)
        self.wire.on_append = self._appended
        self.chain = SimChain(self.loop, self.random)
        self.clickhouse = ClickHouseServer(self.random)
        self.oracle = Oracle(self.database.tables["journal"])
        self.processes: list[ExchangeProcess] = []
        self.on_end: Callable[[ExchangeProcess], None] = lambda process: None
        self.damaged = False
        """The journal is not what was committed: a disk has lied."""
        self._thorough_share = min(1.0, THOROUGH_CHECKS / commands)
        self.listing = listing()
        self.inbox_capacity = self.random.choice((6, 20, 100))
        self.max_batch = self.random.choice((1, 4, 16, 500))
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.loop.on_fault = self.fail

    def fail(self, error: BaseException) -> None:
        """A promise is broken: the run ends with it."""
        if self.failure is None:
            self.failure = error
            self.failed.set()

    def promised(self, check: Callable[[], object]) -> None:
        """Runs a check; its failure ends the run, whatever becomes of the exception."""
        try:
            check()
        except BaseException as error:
            self.fail(error)
            raise

    # ---- told by the parts

    def _appended(self) -> None:
        self.promised(lambda: self.oracle.committed(self.loop.now_ns()))

    def engine_committed(self, state: State, committed: CommittedView) -> None:
        thoroughly = self.random.random() < self._thorough_share
        self.promised(lambda: self.oracle.check_state(state, "the engine's state", thoroughly=thoroughly))
        if thoroughly:
            self.promised(lambda: self.oracle.check_view(committed, state))

    def standby_applied(self, state: State) -> None:
        if self.oracle.knows_hash(state.seq) or state.seq == self.oracle.seq:
            self.promised(lambda: self.oracle.check_state(state, "a standby's state", thoroughly=True))

    def answered(
        self, commands: Sequence[Command], outcomes: Sequence[Outcome], nonce: UseNonce | None = None
    ) -> None:
        self.promised(lambda: self.oracle.answered(commands, outcomes, nonce))

    def delivery(self, submit: Submit) -> Submit:
        """Hands in what comes from the chain: now and then late, or a second time."""

        async def deliver(command: Command) -> Outcome:
            if self.faults.happens("delivery_late", 0.05):
                self.faults.note("delivery_late", type(command).__name__)
                await asyncio.sleep(self.random.random() * 5)
            twice = self.faults.happens("delivery_doubled", 0.1)
            outcome = await self._answered(submit, command)
            if twice:
                self.faults.note("delivery_doubled", type(command).__name__)
                if self.random.random() < 0.5:
                    await asyncio.sleep(self.random.random() * 3)
                if isinstance(command, SettleWithdrawal) or self.random.random() < 0.5:
                    outcome = await self._answered(submit, command)
                else:
                    await self._answered(submit, command)
            return outcome

        return deliver

    def batch_delivery(self, submit_batch: SubmitBatch) -> SubmitBatch:
        """The same for several commands at once."""

        async def deliver(commands: Sequence[Command]) -> list[Outcome]:
            if self.faults.happens("delivery_late", 0.05):
                self.faults.note("delivery_late", type(commands[0]).__name__)
                await asyncio.sleep(self.random.random() * 5)
            twice = self.faults.happens("delivery_doubled", 0.1)
            outcomes = await submit_batch(commands)
            self.answered(commands, outcomes)
            if twice:
                self.faults.note("delivery_doubled", type(commands[0]).__name__)
                if self.random.random() < 0.5:
                    await asyncio.sleep(self.random.random() * 3)
                again = await submit_batch(commands)
                self.answered(commands, again)
                if self.random.random() < 0.5:
                    return again
            return outcomes

        return deliver

    async def _answered(self, submit: Submit, command: Command) -> Outcome:
        outcome = await submit(command)
        self.answered([command], [outcome])
        return outcome

    # ---- processes

    @property
    def living(self) -> list[ExchangeProcess]:
        return [process for process in self.processes if not process.over.is_set()]

    @property
    def serving(self) -> list[ExchangeProcess]:
        return [process for process in self.processes if process.serving]

    # ---- the way of a request

    async def call(
        self, commands: Sequence[Command], timeout_s: float, nonce: UseNonce | None = None
    ) -> list[Outcome]:
        """From a client to an exchange and back; several commands are one batch, with a nonce it is signed.

        Raises Unreachable when it was surely not handed in, OSError, TimeoutError, EngineStopped when nobody
        knows, Overloaded.
        """
        random, faults = self.random, self.faults
        await asyncio.sleep(random.random() * 0.02)
        serving = self.serving
        if not serving:
            raise Unreachable
        process = random.choice(serving)
        if faults.happens("request_lost", 0.01):
            faults.note("request_lost")
            await asyncio.sleep(timeout_s)
            raise TimeoutError
        if faults.happens("request_doubled", 0.02):
            faults.note("request_doubled")
            process.receive(commands, nonce).add_done_callback(_ignored)
        async with asyncio.timeout(timeout_s):
            outcomes = await process.receive(commands, nonce)
            if faults.happens("reply_lost", 0.02):
                faults.note("reply_lost")
                raise ConnectionResetError("the reply was lost")
            if faults.happens("reply_late", 0.01):
                faults.note("reply_late")
                await asyncio.sleep(timeout_s)
            await asyncio.sleep(random.random() * 0.02)
        return outcomes


def _ignored(reply: "asyncio.Future[Any]") -> None:
    if not reply.cancelled():
        reply.exception()
