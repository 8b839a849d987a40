"""What the chain does to withdrawals while their worker is being killed: one scenario a round.

Each scenario asks for withdrawals, lets the worker up, brings its trouble about, and ends when everything is
final. Trouble is waited for only a while: a worker that is killed often may not get there, and then the round
ends without; what did happen is noted when it has been seen to happen.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scripts.chain_drill.chain import GWEI, SAVED_AFTER_S
from scripts.chain_drill.faults import Fault
from scripts.chain_drill.node import TIMEOUT_S
from scripts.chain_drill.payment_world import MAX_CONFIRMATIONS, send
from scripts.chain_drill.points import Step
from scripts.chain_drill.rounds import BLOCK_S, Round
from scripts.chain_drill.worker import DEADLINE_ROOM_S, MAX_FEE_WEI

from exchange.chain.reviews import Reviews

LATE_S = DEADLINE_ROOM_S + 5
"""A deadline so near that it passes soon, and so far that there is time to sign."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`brings` is the trouble that it is about, `reaches` the steps that do not come up in every round."""

    play: Callable[[Round], Awaitable[None]]
    brings: Fault
    reaches: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        return self.play.__name__.replace("_", " ")


async def all_is_well(play: Round) -> None:
    """The node works and blocks come."""
    await _begin(play)
    await play.finish()


async def hanging_node(play: Round) -> None:
    """The node stands still for longer than anybody waits, some times."""
    await _begin(play)
    for _ in range(2):
        await play.until(play.is_final, play.random.uniform(0.0, 0.3), mining=True)
        await play.chain.hang(2 * TIMEOUT_S)
    await play.finish()


async def dropped(play: Round) -> None:
    """The pool forgets transactions, and all behind them."""
    await _begin(play)
    for _ in range(play.random.randint(1, 3)):
        if await play.in_pool():
            await _drop_all(play)
    await play.finish()


async def stuck(play: Round) -> None:
    """No block for so long that the fee is raised; sometimes the first, cheap try is mined all the same."""
    await _begin(play)
    if await play.until(lambda: _replaced(play, cancelled=False)):
        play.injected.note(Fault.TRANSACTION_STUCK)
        if play.random.random() < 0.5:
            await _drop_all(play)
            await _send_first_attempt(play)
    await play.finish()


async def fee_spike(play: Round) -> None:
    """The base fee rises above what is offered: the pool is evicted, and higher fees must be offered."""
    await _begin(play)
    if await play.in_pool():
        before = await play.chain.pooled(play.world.sender)
        await play.chain.base_fee(20 * GWEI)
        await play.chain.mine(1)
        if before and not await play.paid():
            play.injected.note(Fault.FEE_SPIKE)
    await play.finish()


async def fee_above_cap(play: Round) -> None:
    """For a while no fee that may be offered is enough."""
    await play.chain.base_fee(3 * MAX_FEE_WEI)
    await play.chain.mine(1)
    await _begin(play)
    for _ in range(play.random.randint(10, 30)):
        await play.chain.base_fee(3 * MAX_FEE_WEI)
        await play.chain.mine(1)
        await asyncio.sleep(0.02)
    if await play.has_state("approved") or await play.open_transactions():
        play.injected.note(Fault.FEE_ABOVE_CAP)
    await play.chain.base_fee(GWEI)
    await play.finish()


async def late(play: Round) -> None:
    """A transaction is lost until its payments are too late: it is cancelled, they are refunded."""
    await _begin(play, seconds=LATE_S)
    if await play.in_pool():
        await _drop_all(play)
        await _let_deadline_pass(play)
        if await play.until(lambda: _replaced(play, cancelled=True)):
            play.injected.note(Fault.CANCELLED)
            if play.random.random() < 0.3:  # what was signed first gets through after all, too late
                await _drop_all(play)
                await _send_first_attempt(play)
    else:
        await _let_deadline_pass(play)
    await play.finish()


async def expired(play: Round) -> None:
    """A transaction is mined after the deadline of its payments: the vault skips them.

    With two confirmations that is known a block before the refund, and they are postponed in between.
    """
    if play.random.random() < 0.6:
        play.confirmations = 2
    await _begin(play, seconds=LATE_S)
    await play.in_pool()
    await _let_deadline_pass(play)
    if await play.until(lambda: _skipped(play), mining=True):
        play.injected.note(Fault.PAYMENT_SKIPPED)
    await play.finish()


async def seen_late(play: Round) -> None:
    """Payments are made in time, while nobody looks until their deadline is long past."""
    await _begin(play, seconds=LATE_S)
    if await play.in_pool():
        await play.down()
        await play.chain.mine(1)
        play.injected.note(Fault.SEEN_LATE, len(await play.paid()))
        await _let_deadline_pass(play)
        await play.chain.mine(2 * MAX_CONFIRMATIONS)
        if play.random.random() < 0.3:
            await play.world.lose_tables()
        play.up()
    else:
        await _let_deadline_pass(play)
    await play.finish()


async def reorganized(play: Round) -> None:
    """A mined payment is taken from the chain before it is confirmed, once or twice."""
    await _begin(play)
    for _ in range(play.random.randint(1, 2)):
        if not await play.in_pool():
            break
        await play.chain.mine(1)
        if play.random.random() < 0.8:
            await play.until(lambda: play.has_state("mined"), 1.0)
        deeper = play.random.randrange(play.confirmations - 1)
        await play.chain.mine(deeper)
        before = len(await play.paid())
        await play.chain.reorganize(1 + deeper)
        play.injected.note(Fault.PAYMENT_REORGED, max(0, before - len(await play.paid())))
    await play.finish()


async def settled_reorganized(play: Round) -> None:
    """Payments that are settled are taken from the chain: the next start sends their bytes again.

    In half of the rounds somebody used a nonce of the sender before, and that is gone too. Withdrawals halt
    while books and chain differ; at the end an operator lifts that.
    """
    await play.ask(play.random.randint(1, 4))
    first, snapshot = await play.chain.head(), await play.chain.snapshot()
    if play.random.random() < 0.5:
        await _use_nonce(play, None)
    play.up()
    await play.finish()
    before = len(await play.paid())
    await play.down()
    blocks = (await play.chain.head()).number - first.number
    await play.chain.revert(snapshot)
    await play.chain.mine(blocks)
    lost = before - len(await play.paid())
    play.injected.note(Fault.SETTLED_REORGED, lost)
    play.up()
    if lost:
        await play.in_pool(await play.open_transactions())
    await play.until(lambda: _all_paid(play, before), 30.0, mining=True)
    await play.finish()
    await play.chain.mine(2 * MAX_CONFIRMATIONS)
    await play.world.lift_halts()


async def judged(play: Round) -> None:
    """Large withdrawals are held for a person, others wait for room; what is rejected is refunded."""
    play.judged = True
    await _begin(play, seconds=LATE_S)
    reviews = Reviews(play.world.pool)
    deadline = time.monotonic() + LATE_S - DEADLINE_ROOM_S
    while time.monotonic() < deadline and not await play.is_final():
        for waiting in await reviews.waiting():
            if play.random.random() < 0.5:
                await reviews.approve(waiting.withdrawal_id, "drill")
            else:
                await reviews.reject(waiting.withdrawal_id, "drill", "for practice")
            play.injected.note(Fault.REVIEWED)
        await play.chain.mine(1)
        await asyncio.sleep(BLOCK_S)
    await _let_deadline_pass(play)
    await play.finish()


async def stolen_nonce(play: Round) -> None:
    """Somebody else who has the sender's key uses the nonce of a transaction in the pool."""
    await _begin(play)
    if await play.in_pool():
        nonce = int((await play.chain.pooled(play.world.sender))[0]["nonce"], 16)
        await _drop_all(play)
        await _use_nonce(play, nonce)
        play.injected.note(Fault.NONCE_STOLEN)
    await play.finish()


async def forgotten(play: Round) -> None:
    """The worker's tables are lost, while payments are under way or made and not settled."""
    await _begin(play)
    if await play.in_pool():
        if play.random.random() < 0.7:
            await play.chain.mine(1)
        await play.down()
        await play.world.lose_tables()
        play.injected.note(Fault.TABLES_LOST)
        play.up()
    await play.finish()


async def chain_killed(play: Round) -> None:
    """The node is killed, and comes back without its pool and its last blocks."""
    await asyncio.sleep(SAVED_AFTER_S)
    await _begin(play)
    if await play.in_pool():
        await play.chain.mine(play.random.randrange(play.confirmations))
        before = (await play.chain.head()).number, len(await play.chain.pooled(play.world.sender))
        await play.chain.kill()
        after = (await play.chain.head()).number, len(await play.chain.pooled(play.world.sender))
        if after != before:
            play.injected.note(Fault.CHAIN_KILLED)
    await play.finish()


async def taken_over(play: Round) -> None:
    """A second worker starts while the first still works; only one of them can write.

    The first learns that it is replaced when it next writes to the journal. Until then it compares the chain
    with a ledger that stands still, and may halt withdrawals for it; an operator lifts that.
    """
    await _begin(play)
    await play.until(play.is_final, play.random.uniform(0.1, 0.5), mining=True)
    if await play.take_over():
        play.injected.note(Fault.TAKEN_OVER)
    play.halted_by_replaced = await play.world.lift_halts()
    await play.finish()


SCENARIOS = (
    Scenario(all_is_well, Fault.KILLED_AT_REST),
    Scenario(hanging_node, Fault.NODE_HUNG, (Step.SEND_AGAIN,)),
    Scenario(dropped, Fault.TRANSACTION_DROPPED, (Step.SEND_AGAIN, Step.REOPEN_ALL)),
    Scenario(stuck, Fault.TRANSACTION_STUCK, (Step.RECORD_REPLACEMENT, Step.SEND_REPLACEMENT)),
    Scenario(fee_spike, Fault.FEE_SPIKE, (Step.RECORD_REPLACEMENT, Step.SEND_REPLACEMENT)),
    Scenario(fee_above_cap, Fault.FEE_ABOVE_CAP),
    Scenario(
        late,
        Fault.CANCELLED,
        (
            Step.RECORD_CANCELLATION,
            Step.SEND_CANCELLATION,
            Step.START_AGAIN,
            Step.REFUND,
            Step.TAKE_IN_REFUND,
        ),
    ),
    Scenario(expired, Fault.PAYMENT_SKIPPED, (Step.POSTPONE, Step.REFUND, Step.TAKE_IN_REFUND)),
    Scenario(seen_late, Fault.SEEN_LATE, (Step.SEARCH_LOGS,)),
    Scenario(reorganized, Fault.PAYMENT_REORGED, (Step.REOPEN, Step.STORE_UNMINED, Step.SEND_AGAIN)),
    Scenario(settled_reorganized, Fault.SETTLED_REORGED, (Step.FILL_NONCE, Step.REOPEN_ALL, Step.SEND_AGAIN)),
    Scenario(judged, Fault.REVIEWED, (Step.HOLD, Step.WAIT, Step.REFUND, Step.TAKE_IN_REFUND)),
    Scenario(stolen_nonce, Fault.NONCE_STOLEN, (Step.START_AGAIN,)),
    Scenario(forgotten, Fault.TABLES_LOST, (Step.SEARCH_LOGS,)),
    Scenario(chain_killed, Fault.CHAIN_KILLED, (Step.SEND_AGAIN, Step.REOPEN_ALL)),
    Scenario(taken_over, Fault.TAKEN_OVER),
)

# ---------------------------------------------------------------------------------------- details


async def _begin(play: Round, seconds: int = 3_600) -> None:
    await play.ask(play.random.randint(1, 5), seconds)
    if play.random.random() < 0.3:
        await play.world.deposit(play.random)
    play.up()


async def _drop_all(play: Round) -> None:
    for entry in reversed(await play.chain.pooled(play.world.sender)):
        if await play.chain.drop(entry["hash"]):
            play.injected.note(Fault.TRANSACTION_DROPPED)


async def _replaced(play: Round, *, cancelled: bool) -> bool:
    """Whether an open transaction has a later attempt, one that cancels or one that does not."""
    return (
        await play.world.count(
            """
            SELECT count(*) FROM sent_attempts a JOIN sent_transactions t USING (chain_id, sender, nonce)
            WHERE NOT t.done AND a.cancels = $1 AND ($1 OR EXISTS (SELECT 1 FROM sent_attempts b
                WHERE b.nonce = a.nonce AND b.sender = a.sender AND b.tx_hash <> a.tx_hash))
            """,
            cancelled,
        )
        > 0
    )


async def _send_first_attempt(play: Round) -> None:
    """Somewhere a node still had the first bytes of the lowest open transaction."""
    raw = await play.world.pool.fetchval(
        """
        SELECT a.raw FROM sent_attempts a JOIN sent_transactions t USING (chain_id, sender, nonce)
        WHERE NOT t.done ORDER BY a.nonce, a.signed_ms, a.max_fee_wei LIMIT 1
        """
    )
    if raw is not None:
        await play.chain.hand_in(raw)


async def _let_deadline_pass(play: Round) -> None:
    head = await play.chain.head()
    wait_s = play.deadline_s + 2 - max(head.time_s, int(time.time()))
    await play.chain.later(max(1, wait_s))
    await play.chain.mine(1)


async def _skipped(play: Round) -> bool:
    """Whether the vault has skipped a payment of this round."""
    return (
        await play.world.count(
            "SELECT count(*) FROM payments WHERE outcome = 'skipped' AND withdrawal_id = ANY($1::text[])",
            [asked.withdrawal_id for asked in play.asked],
        )
        > 0
    )


async def _all_paid(play: Round, count: int) -> bool:
    return len(await play.paid()) >= count


async def _use_nonce(play: Round, nonce: int | None) -> None:
    """Somebody sends a transaction with the sender's key, and it is mined."""
    sender = play.world.sender
    fee = {"maxFeePerGas": hex(MAX_FEE_WEI), "maxPriorityFeePerGas": hex(5 * GWEI)}
    more = fee if nonce is None else fee | {"nonce": hex(nonce)}
    await send(play.chain, sender, sender, b"", 0, **more)
    await play.chain.mine(1)
