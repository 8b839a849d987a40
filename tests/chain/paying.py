"""What the tests of withdrawals share: a clock to turn, a crash, and how a payment is followed to its end."""

from tests.chain.conftest import mined

from exchange.chain.deployment import ADMIN_DELAY_S
from exchange.chain.dev_keys import ADMIN_KEY, dev_address
from exchange.chain.vault import SET_OUTFLOW_LIMIT, selector
from exchange.chain.withdrawals import WithdrawalWorker, payment_status
from exchange.core.events import WithdrawalRequested


class Crash(BaseException):
    """The process ends here."""


async def state_of(pool, requested: WithdrawalRequested) -> str:
    status = await payment_status(pool, [requested.withdrawal_id])
    return str(status[requested.withdrawal_id].state)


async def finish(
    worker: WithdrawalWorker, mine, pool, requested: WithdrawalRequested, passes: int = 30
) -> str:
    """Polls and mines until the payment is final."""
    for _ in range(passes):
        await worker.poll()
        if (state := await state_of(pool, requested)) in ("settled", "refunded"):
            return state
        await mine(1)
    raise AssertionError(f"not final but {state}: {worker.status()}")


async def lose_payment_rows(pool) -> None:
    await pool.execute(
        "TRUNCATE payments, payment_cursors, payment_tries, sent_transactions, sent_attempts CASCADE"
    )


async def note_of(pool, requested: WithdrawalRequested) -> str:
    return str(
        await pool.fetchval("SELECT note FROM payments WHERE withdrawal_id = $1", requested.withdrawal_id)
    )


async def limit_outflow(rpc, deployment, atoms: int) -> None:
    """Limits the native token; 0 lifts the limit."""
    window_s = 1_000_000 if atoms else 0
    await as_admin(
        rpc, deployment, SET_OUTFLOW_LIMIT + bytes(32) + atoms.to_bytes(32) + window_s.to_bytes(32)
    )


async def as_admin(rpc, deployment, data: bytes) -> None:
    """Schedules a call by the admin, lets the delay pass, and executes it."""
    admin = dev_address(ADMIN_KEY)
    padded = data + bytes(-len(data) % 32)
    target = bytes(12) + bytes.fromhex(deployment.vault[2:])
    schedule = (
        selector("schedule(address,bytes,uint48)")
        + target
        + (96).to_bytes(32)
        + bytes(32)
        + len(data).to_bytes(32)
        + padded
    )
    execute = (
        selector("execute(address,bytes)") + target + (64).to_bytes(32) + len(data).to_bytes(32) + padded
    )
    for call, wait_s in ((schedule, ADMIN_DELAY_S), (execute, 0)):
        tx_hash = await rpc.call(
            "eth_sendTransaction",
            {"from": admin, "to": deployment.access_manager, "data": "0x" + call.hex(), "gas": "0x7a120"},
        )
        await mined(rpc, tx_hash)
        await rpc.call("evm_increaseTime", wait_s)
        await rpc.call("evm_mine")
