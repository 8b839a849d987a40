"""One process of the exchange in the simulation: the product's parts, put together as `exchange.main` does.

Claim the journal, recover, engine, listing, followers; whatever ends one part ends the process. What is
missing is the API: callers come in through `receive`. Snapshots are made beside it (see `tests.sim.standby`).
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.sim.chain import CHAIN_ID, DEPLOY_BLOCK, FINALITY, VAULT, SimSender, SimSigner
from tests.sim.clickhouse import SimClickHouse
from tests.sim.loop import Host
from tests.sim.node import SimRpc
from tests.sim.oracle import require

from exchange.chain.allow_list import AllowList
from exchange.chain.deposits import DepositWatcher
from exchange.chain.displacement import DisplacedDeposits
from exchange.chain.errors import RpcUnavailable
from exchange.chain.finality import Finality
from exchange.chain.outbox import SendPolicy
from exchange.chain.risk import RiskPolicy, RiskStep
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker
from exchange.core.commands import Command, ListAsset, OpenMarket, SetRules, UseNonce
from exchange.core.state import State
from exchange.core.terms import RULES_VERSION
from exchange.journal.log import JournalLog, ensure_genesis
from exchange.journal.recovery import recover
from exchange.journal.tail import Tail
from exchange.parts import running
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.cursor import check_cursors
from exchange.projections.postgres import PostgresProjection
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Outcome, Sequencer

if TYPE_CHECKING:
    from tests.sim.world import World

CONFIRMATIONS = FINALITY
POLL_S = 2.0
MAX_SKEW_NS = 900_000_000
"""How far two machines' clocks may be apart, nobody having done anything wrong."""


class ExchangeProcess:
    """A process from its start to its end. `on_end` is told the exceptions that ended it, None for a
    crash.
    """

    def __init__(self, world: "World", number: int) -> None:
        self.number = number
        self.host = Host(world.loop, f"exchange {number}")
        self.host.on_crash.append(lambda: self._ended(None))
        self.host.wall_offset_ns = round((world.random.random() - 0.5) * MAX_SKEW_NS)
        self.serving = False
        self.has_served = False
        self.epoch = 0
        """Under which it may write; 0 before it has claimed the journal."""
        self.replaced_s = 0.0
        """For how long another has had a later one."""
        self.over = asyncio.Event()
        self.errors: list[BaseException] | None = None
        """What ended it; None while it lives, and for a crash."""
        self.sequencer: Sequencer | None = None
        self.state: State | None = None
        self.projection: PostgresProjection | None = None
        self.trades: ClickHouseProjection | None = None
        self._world = world
        self._pending: dict[asyncio.Future[list[Outcome]], None] = {}
        self._task: asyncio.Task[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether requests are under way, or would be if the process were not frozen."""
        return self.host.frozen or bool(self._pending)

    # ---- life

    def start(self) -> None:
        self._task = self.host.spawn(self._live(), self.host.name)
        self._task.add_done_callback(self._done, context=self._world.loop.world.context)

    def stop(self) -> None:
        """Asks it to end in an orderly way, as SIGTERM does."""
        assert self._task is not None
        self.serving = False
        self._world.loop.call_soon(self._task.cancel, context=self.host.context)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self.host.alive = False
        if task.cancelled():
            self._ended([])
        else:
            error = task.exception()
            assert error is not None
            self._ended(leaves(error))

    def _ended(self, errors: list[BaseException] | None) -> None:
        self.errors = errors
        self.serving = False
        self.over.set()
        self._world.on_end(self)
        for reply in self._pending:
            if not reply.done():
                reply.set_exception(ConnectionResetError("the exchange has gone"))
        self._pending.clear()

    async def _live(self) -> None:
        world, host = self._world, self.host
        async with contextlib.AsyncExitStack() as stack:
            pool = world.wire.pool(host, "followers")
            stack.callback(pool.terminate)

            async def connect(url: str, *, timeout: float) -> Any:
                return await world.wire.connect(host, "journal", timeout=timeout)

            log = await stack.enter_async_context(await JournalLog.claim("simulated", connect=connect))
            self.epoch = log.epoch
            tail = Tail(pool)  # type: ignore[arg-type]
            sequencer = self.sequencer = await self._recover(log, tail)
            committed = sequencer.committed
            rpc = SimRpc(host, world.chain, world.random, world.faults)
            self.projection = PostgresProjection(pool, tail)  # type: ignore[arg-type]
            clickhouse = SimClickHouse(world.clickhouse, host, world.random, world.faults)
            self.trades = ClickHouseProjection(pool, tail, clickhouse)  # type: ignore[arg-type]
            deposits = DepositWatcher(
                rpc, pool, world.batch_delivery(sequencer.submit_batch), committed,  # type: ignore[arg-type]
                chain_id=CHAIN_ID, vault=VAULT, deploy_block=DEPLOY_BLOCK, finality=Finality(CONFIRMATIONS),
                on_displaced=self._displaced, poll_s=POLL_S, now=lambda: world.loop.wall_ns() / 1e9,
            )  # fmt: skip
            risk = RiskStep(
                pool, RiskPolicy(), AllowList(pool, 0), lambda asset_id: committed.assets[asset_id].symbol,  # type: ignore[arg-type]
                chain_id=CHAIN_ID, vault=VAULT,
            )  # fmt: skip
            withdrawals = WithdrawalWorker(
                rpc, pool, world.delivery(sequencer.submit), committed, tail, SimSigner(), SimSender(), risk,  # type: ignore[arg-type]
                chain_id=CHAIN_ID, vault=VAULT, deploy_block=DEPLOY_BLOCK,
                policy=WithdrawalPolicy(
                    finality=Finality(CONFIRMATIONS), deadline_room_s=5, retry_s=2.0, retry_cap_s=10.0,
                    send=SendPolicy(rebroadcast_s=5.0, bump_after_s=15.0),
                ),
                may_sign=lambda: True, epoch=log.epoch, poll_s=POLL_S, now=lambda: world.loop.wall_ns() / 1e9,
            )  # fmt: skip
            await stack.enter_async_context(running("engine", sequencer.run()))
            await self._switch_on_rules(sequencer)
            await self._list(sequencer)
            with contextlib.suppress(RpcUnavailable):
                await withdrawals.prepare()
            for name, work in (
                ("read tables", self.projection.run()),
                ("trades", self.trades.run()),
                ("deposit watcher", deposits.run()),
                ("withdrawal worker", withdrawals.run()),
            ):
                await stack.enter_async_context(running(name, work))
            self.serving = self.has_served = True
            world.trace.note("serving", self.number, committed.seq, log.epoch)
            try:
                await asyncio.Event().wait()
            finally:
                self.serving = False  # the API goes first

    async def _recover(self, log: JournalLog, tail: Tail) -> Sequencer:
        world = self._world
        connection = await world.wire.connect(self.host, "recovery", command_timeout=30.0)
        try:
            genesis_id = await ensure_genesis(connection)  # type: ignore[arg-type]
            recovered = await recover(connection, genesis_id, log.head)  # type: ignore[arg-type]
            state = recovered.state
            await check_cursors(connection, state.seq)  # type: ignore[arg-type]
        finally:
            await connection.close()
        self.state = state
        committed = CommittedView.from_state(f"0x{genesis_id.hex()}", state)
        world.trace.note("recovered", self.number, state.seq, recovered.snapshot_seq, log.epoch)
        world.promised(lambda: world.oracle.check_state(state, "a replayed state", thoroughly=True))
        clock = Clock(state.time_ns, world.loop.wall_ns, world.loop.now_ns)
        return Sequencer(
            state, committed, log, clock, on_commit=lambda seq: self._committed(tail),
            inbox_capacity=world.inbox_capacity, max_batch=world.max_batch,
        )  # fmt: skip

    async def _displaced(self, displaced: DisplacedDeposits) -> None:
        """No reorganization here is deeper than the confirmations, so no credited deposit is ever gone."""
        self._world.promised(lambda: require(False, "what is credited stays in the chain", displaced))

    async def _switch_on_rules(self, sequencer: Sequencer) -> None:
        while sequencer.committed.rules_version < RULES_VERSION:
            await self._answer([SetRules(sequencer.committed.rules_version + 1)])

    async def _list(self, sequencer: Sequencer) -> None:
        committed = sequencer.committed
        for command in self._world.listing:
            assert isinstance(command, ListAsset | OpenMarket)
            known = (
                committed.asset_by_symbol if isinstance(command, ListAsset) else committed.market_by_symbol
            )
            if command.symbol not in known:
                await self._answer([command])

    def _committed(self, tail: Tail) -> None:
        tail.notify()
        assert self.sequencer is not None
        assert self.state is not None
        self._world.engine_committed(self.state, self.sequencer.committed)

    # ---- callers

    def receive(
        self, commands: Sequence[Command], nonce: UseNonce | None = None
    ) -> "asyncio.Future[list[Outcome]]":
        """A request has arrived over the network; the future is its reply, or the end of the connection."""
        reply: asyncio.Future[list[Outcome]] = self._world.loop.create_future()
        self._pending[reply] = None
        self.host.spawn(self._reply(commands, nonce, reply))
        return reply

    async def _reply(
        self, commands: Sequence[Command], nonce: UseNonce | None, reply: "asyncio.Future[list[Outcome]]"
    ) -> None:
        try:
            outcomes = await self._answer(commands, nonce)
        except Exception as error:
            if not reply.done():
                reply.set_exception(error)
        else:
            if not reply.done():
                reply.set_result(outcomes)
        self._pending.pop(reply, None)

    async def _answer(self, commands: Sequence[Command], nonce: UseNonce | None = None) -> list[Outcome]:
        sequencer = self.sequencer
        assert sequencer is not None
        if len(commands) == 1:
            outcomes = [await sequencer.submit(commands[0], nonce)]
        else:
            outcomes = await sequencer.submit_batch(commands, nonce)
        self._world.answered(commands, outcomes, nonce)
        require(
            sequencer.committed.seq >= outcomes[-1].seq,
            "a view shows what was acknowledged",
            outcomes[-1].seq,
        )
        for outcome in outcomes:
            self._world.trace.note("answered", self.number, outcome.seq, type(outcome.events[0]).__name__)
        return outcomes


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]
