"""An exchange without its API: claimed journal, recovered engine, and the parts that deal with the chain.

Wired as `exchange.custody` wires them, with short pauses so that a drill is quick.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

from exchange.chain.books import Reconciliation
from exchange.chain.deployment import Deployment
from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID
from exchange.chain.displacement import Safeguard
from exchange.chain.finality import Finality
from exchange.chain.halts import HaltKind, Halts
from exchange.chain.reconcile import Reconciler
from exchange.chain.rpc import Rpc
from exchange.core.commands import Command, ListAsset, OpenAccount, SetRules
from exchange.core.events import Rejected
from exchange.core.markets import NATIVE_TOKEN
from exchange.core.terms import RULES_VERSION
from exchange.journal.log import JournalLog, ensure_genesis
from exchange.journal.recovery import recover
from exchange.journal.tail import Tail
from exchange.parts import running
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Sequencer
from exchange.stores.postgres import open_connection, open_pool

POLL_S = 0.05
"""Pause of the watcher and the reconciler between two passes."""
POOL_CONNECTIONS = 4


class SetUpRefused(Exception):
    """The engine did not take a command that a drill begins with."""

    def __init__(self, command: Command, events: tuple[object, ...]) -> None:
        super().__init__(f"{command}: {events}")


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine."""

    pool: asyncpg.Pool
    tail: Tail
    committed: CommittedView
    sequencer: Sequencer


@dataclass(frozen=True, slots=True)
class Custody:
    """The parts that watch one vault; not running by themselves."""

    watcher: DepositWatcher
    reconciler: Reconciler
    halts: Halts


@contextlib.asynccontextmanager
async def open_engine(database_url: str) -> AsyncIterator[Engine]:
    """Claims the journal, recovers, and runs the engine as long as the body does."""
    async with contextlib.AsyncExitStack() as stack:
        pool = await open_pool(database_url, min_size=1, max_size=POOL_CONNECTIONS)
        stack.callback(pool.terminate)
        log = await stack.enter_async_context(await JournalLog.claim(database_url))
        tail = Tail(pool, poll_s=POLL_S)
        connection = await open_connection(database_url)
        try:
            genesis_id = await ensure_genesis(connection)
            state = (await recover(connection, genesis_id, log.head)).state
        finally:
            await connection.close()
        committed = CommittedView.from_state(f"0x{genesis_id.hex()}", state)
        sequencer = Sequencer(state, committed, log, Clock(state.time_ns), on_commit=lambda _: tail.notify())
        await stack.enter_async_context(running("engine", sequencer.run()))
        yield Engine(pool, tail, committed, sequencer)


async def set_up(
    engine: Engine, deployment: Deployment, fees_atoms: dict[str, int], owners: list[str]
) -> None:
    """The newest rules, the assets named in `fees_atoms` with their withdrawal fees, accounts for `owners`.

    Raises SetUpRefused.
    """
    tokens = {"ETH": (18, NATIVE_TOKEN)} | {
        token.symbol: (token.decimals, token.address) for token in deployment.tokens
    }
    commands: list[Command] = [
        SetRules(version) for version in range(engine.committed.rules_version + 1, RULES_VERSION + 1)
    ]
    for symbol, fee_atoms in fees_atoms.items():
        decimals, token = tokens[symbol]
        commands.append(
            ListAsset(symbol, decimals, DEV_CHAIN_ID, deployment.vault, token, withdrawal_fee_atoms=fee_atoms)
        )
    commands += [OpenAccount(owner) for owner in owners]
    for command in commands:
        outcome = await engine.sequencer.submit(command)
        if any(isinstance(event, Rejected) for event in outcome.events):
            raise SetUpRefused(command, outcome.events)


def custody(
    engine: Engine, rpc: Rpc, deployment: Deployment, finality: Finality, *, poll_s: float = POLL_S
) -> Custody:
    """Watcher, safeguard, halts and reconciler of the deployment's vault."""
    halts = Halts(engine.pool, _to_nobody, poll_s=poll_s)
    watcher = DepositWatcher(
        rpc,
        engine.pool,
        engine.sequencer.submit_batch,
        engine.committed,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        finality=finality,
        on_displaced=Safeguard(halts, _to_nobody, engine.committed, engine.sequencer.submit),
        alert=_to_nobody,
        poll_s=poll_s,
    )

    async def halt(found: Reconciliation) -> None:
        differing = "; ".join(map(str, found.mismatches))
        await halts.raise_(HaltKind.BOOKS_DIFFER, differing, DEV_CHAIN_ID, deployment.vault)

    reconciler = Reconciler(
        rpc,
        engine.pool,
        engine.committed,
        watcher,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        poll_s=poll_s,
        on_mismatch=halt,
    )
    return Custody(watcher, reconciler, halts)


def _to_nobody(kind: str, detail: str) -> None:
    """The drill asks the halts themselves; nobody is to be woken."""
