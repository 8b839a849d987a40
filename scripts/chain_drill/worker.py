"""The process that is killed: a whole exchange but for its API, which ends itself with SIGKILL where told.

    python -m scripts.chain_drill.worker

imports everything once and then waits for plans, one line of JSON each on its standard input. For each it
forks a child, which claims the journal, recovers and works as any exchange does, until it dies. What happens
is told on the standard output, a line of JSON each. The end of the input ends it all.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
import traceback
from random import Random
from typing import Any, NoReturn

import msgspec
import structlog
from scripts.chain_drill.exchange import custody, open_engine
from scripts.chain_drill.faults import Fault
from scripts.chain_drill.node import TIMEOUT_S, Mood
from scripts.chain_drill.points import (
    DeadlyNode,
    DeadlySender,
    DeadlySigner,
    SentBytes,
    Step,
    Trigger,
    deadly_submit,
    wrap_tables,
)

from exchange.chain.allow_list import AllowList
from exchange.chain.deployment import Deployment
from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, SIGNER_KEY, dev_key
from exchange.chain.errors import RpcUnavailable
from exchange.chain.finality import Finality
from exchange.chain.outbox import SendPolicy
from exchange.chain.remote_signer import PolicySignerAt, RemoteSigner
from exchange.chain.risk import AssetLimits, RiskPolicy, RiskStep
from exchange.chain.rpc import Rpc
from exchange.chain.signer import LocalSender, LocalSigner, Signer
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker
from exchange.core.commands import RequestWithdrawal
from exchange.journal.errors import Fenced
from exchange.parts import running

LOG_LEVEL = "DRILL_LOG_LEVEL"
FENCED = 3
"""Exit code of a process that found that another one has taken over."""
PR_SET_PDEATHSIG = 1
POLL_S = 0.01
RETRY_S = 0.1
REBROADCAST_S = 0.1
BUMP_AFTER_S = 0.25
MAX_FEE_WEI = 100 * 10**9
DEADLINE_ROOM_S = 2
RISK = RiskPolicy(
    dict.fromkeys(
        ("ETH", "USDC", "WBTC"), AssetLimits(review_above_atoms=600_000, asset_window_atoms=800_000)
    ),
    window_s=1,
)
LOSSY_S = 1.5
"""The node loses things in the beginning of a life only: pauses double with each one in a row."""


class SignerPlace(msgspec.Struct, frozen=True):
    """Where a policy signer is."""

    url: str
    token: str
    address: str


class Plan(msgspec.Struct, frozen=True):
    """One life. `armed` and `nth`: see points.Trigger. `requests` come in `spread_s` apart."""

    database_url: str
    rpc_url: str
    deployment: Deployment
    confirmations: int
    requests: list[RequestWithdrawal]
    spread_s: float
    armed: list[str]
    nth: int
    seed: int
    request_lost: float
    answer_lost: float
    send_answer_lost: float
    signer: SignerPlace | None
    judged: bool
    sabotaged: bool


class Report(msgspec.Struct, frozen=True):
    """What is told of a life: `what` is one of started, ready, fault, died, ended."""

    what: str
    detail: str


def tell(what: str, detail: str) -> None:
    """One line at once, so that nothing can come between it and a SIGKILL."""
    os.write(1, msgspec.json.encode(Report(what, detail)) + b"\n")


def die(point: str) -> NoReturn:
    """Ends the process here and now, as a loss of power would."""
    tell("died", point)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL was survived")


def note(fault: Fault) -> None:
    """Tells the drill of a fault that has happened."""
    tell("fault", fault.value)


class SlowNode(DeadlyNode):
    """Tells also of timeouts that are real: of a node that hangs; and of the chain's own time.

    The drill lets the chain's time jump ahead, so that deadlines pass; `now` goes with it, as clocks do.

    `sabotaged`: once something was sent it says of each id that it is not used, long after the deadline; so
    the worker gives back what it also pays. The drill must notice.
    """

    sabotaged = False
    _has_sent = False
    _ahead_s = 0.0

    def now(self) -> float:
        return time.time() + self._ahead_s

    async def call(self, method: str, *params: Any) -> Any:
        try:
            answer = await super().call(method, *params)
        except RpcUnavailable as error:
            if error.cause == "TimeoutError":
                note(Fault.NODE_HUNG)
            raise
        if method == "eth_getBlockByNumber" and params[0] == "latest":
            self._ahead_s = max(self._ahead_s, int(answer["timestamp"], 16) - time.time())
        return self._sabotage(method, params, answer) if self.sabotaged else answer

    def _sabotage(self, method: str, params: tuple[Any, ...], answer: Any) -> Any:
        self._has_sent = self._has_sent or method == "eth_sendRawTransaction"
        if self._has_sent and self._step(method, params) is Step.ASK_USED:
            return "0x" + "00" * 32
        if self._has_sent and method == "eth_getBlockByNumber" and params[0] == "finalized":
            return answer | {"timestamp": hex(2**40)}
        return answer


async def live(plan: Plan) -> None:
    """An exchange until it is killed. Raises what ended it."""
    trigger, sent = Trigger(frozenset(plan.armed), plan.nth, die, Random(plan.seed)), SentBytes()
    wrap_tables(trigger, sent)
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(plan.database_url))
        eye = await stack.enter_async_context(Rpc(plan.rpc_url, timeout_s=2.0))
        node = await stack.enter_async_context(SlowNode(plan.rpc_url, Random(plan.seed), note, TIMEOUT_S))
        node.trigger, node.sent = trigger, sent
        node.sabotaged = plan.sabotaged
        node.mood = Mood(plan.request_lost, plan.answer_lost, plan.send_answer_lost)
        asyncio.get_running_loop().call_later(LOSSY_S, setattr, node, "mood", Mood())
        watching = custody(engine, eye, plan.deployment, Finality(plan.confirmations))
        chain_id, vault = DEV_CHAIN_ID, plan.deployment.vault
        withdrawals = WithdrawalWorker(
            node,
            engine.pool,
            deadly_submit(engine.sequencer.submit, trigger),
            engine.committed,
            engine.tail,
            DeadlySigner(await _signer(plan, stack), trigger),
            DeadlySender(LocalSender(dev_key(SENDER_KEY), chain_id), trigger),
            RiskStep(
                engine.pool,
                RISK if plan.judged else RiskPolicy(),
                AllowList(engine.pool, 0),
                lambda asset_id: engine.committed.assets[asset_id].symbol,
                chain_id=chain_id,
                vault=vault,
            ),
            chain_id=chain_id,
            vault=vault,
            deploy_block=plan.deployment.deploy_block,
            policy=WithdrawalPolicy(
                finality=Finality(plan.confirmations),
                deadline_room_s=DEADLINE_ROOM_S,
                retry_s=RETRY_S,
                retry_cap_s=1.0,
                send=SendPolicy(
                    rebroadcast_s=REBROADCAST_S, bump_after_s=BUMP_AFTER_S, max_fee_wei=MAX_FEE_WEI
                ),
            ),
            may_sign=lambda: watching.reconciler.agrees and not watching.halts.halted,
            poll_s=POLL_S,
            now=node.now,
        )
        with contextlib.suppress(RpcUnavailable):  # as in a real start: it is done again by the first pass
            await withdrawals.prepare()
        for name, work in (
            ("halts", watching.halts.run()),
            ("deposit watcher", watching.watcher.run()),
            ("reconciler", watching.reconciler.run()),
            ("withdrawal worker", withdrawals.run()),
        ):
            await stack.enter_async_context(running(name, work))
        tell("ready", "")
        for request in plan.requests:
            await engine.sequencer.submit(request)
            await asyncio.sleep(plan.spread_s)
        await asyncio.Event().wait()


async def _signer(plan: Plan, stack: contextlib.AsyncExitStack) -> Signer:
    place = plan.signer
    if place is None:
        return LocalSigner(dev_key(SIGNER_KEY), DEV_CHAIN_ID, plan.deployment.vault)
    where = PolicySignerAt(place.url, place.token, place.address)
    return await stack.enter_async_context(RemoteSigner(where, DEV_CHAIN_ID, plan.deployment.vault))


# --------------------------------------------------------------------------------------- processes


def _born(plan: Plan) -> NoReturn:
    """The child's whole life."""
    die_with_parent()
    code = 1
    try:
        try:
            asyncio.run(live(plan))
        except* Fenced:
            code = FENCED
    except BaseException:  # whatever it is: a child must never get back into its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def die_with_parent() -> None:
    """Linux ends this process when its parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Forks a child for each plan and waits for its end."""
    die_with_parent()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(os.environ.get(LOG_LEVEL, "info")),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    for line in sys.stdin.buffer:
        plan = msgspec.json.decode(line, type=Plan)
        child = os.fork()
        if child == 0:
            _born(plan)
        tell("started", str(child))
        _, status = os.waitpid(child, 0)
        tell("ended", str(os.waitstatus_to_exitcode(status)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
