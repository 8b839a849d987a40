"""Withdrawals through crashes of the worker and reorganizations of the chain."""

import asyncio
from typing import Any

import pytest
from tests.chain.conftest import CONFIRMATIONS, DESTINATION
from tests.chain.paying import Crash, finish, state_of

from exchange.chain.withdrawals import payment_status
from exchange.core.commands import SettleWithdrawal

# ------------------------------------------------------------------------------------------ crashes


async def test_a_worker_killed_at_any_request_to_the_node_pays_once(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    paid = 0
    crashes = 0
    for when in ("before", "after"):
        for step in range(80):
            requested = await request_withdrawal(100)
            paid += 100
            countdown = step

            def crash(*arguments: Any) -> Any:
                nonlocal countdown
                countdown -= 1
                if countdown < 0:
                    raise Crash
                return arguments[-1]

            setattr(faulty_rpc, when, crash)
            worker = work()
            survived = False
            try:
                for _ in range(CONFIRMATIONS + 2):
                    await worker.poll()
                    await mine(1)
                survived = True
            except Crash:
                crashes += 1
            faulty_rpc.heal()
            assert await finish(work(), mine, pool, requested) == "settled"
            assert await rpc.balance(DESTINATION) == paid
            if survived:
                break
    assert crashes > 30
    assert await pool.fetchval("SELECT max(try) FROM payment_tries") == 1


class CrashingPool:
    """The real pool; ends the process before or after the database work of one number."""

    def __init__(self, pool: Any, countdown: int, when: str) -> None:
        self._pool = pool
        self._countdown = countdown
        self._when = when

    def _tick(self, when: str) -> None:
        if when == self._when:
            self._countdown -= 1
            if self._countdown < 0:
                raise Crash

    def acquire(self, **arguments: Any) -> Any:
        crashing = self
        context = self._pool.acquire(**arguments)

        class Acquired:
            async def __aenter__(self) -> Any:
                crashing._tick("before")
                return await context.__aenter__()

            async def __aexit__(self, *error: Any) -> Any:
                await context.__aexit__(*error)
                crashing._tick("after")

        return Acquired()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._pool, name)

        async def call(*arguments: Any) -> Any:
            self._tick("before")
            result = await method(*arguments)
            self._tick("after")
            return result

        return call


async def test_a_worker_killed_at_any_statement_pays_once(work, request_withdrawal, mine, pool, rpc):
    paid = 0
    for when in ("before", "after"):
        for step in range(80):
            requested = await request_withdrawal(100)
            paid += 100
            worker = work()
            crashing = CrashingPool(pool, step, when)
            worker._rows._pool = crashing
            worker._outbox.rows._pool = crashing
            survived = False
            try:
                for _ in range(CONFIRMATIONS + 2):
                    await worker.poll()
                    await mine(1)
                survived = True
            except Crash:
                pass
            assert await finish(work(), mine, pool, requested) == "settled"
            assert await rpc.balance(DESTINATION) == paid
            if survived:
                break
        else:
            pytest.fail("the worker never got through")
    assert await pool.fetchval("SELECT max(try) FROM payment_tries") == 1


async def test_a_crash_around_the_settlement_settles_once(work, request_withdrawal, mine, pool, funded):
    requested = await request_withdrawal(5)
    worker = work()
    await worker.poll()
    await mine(CONFIRMATIONS)

    async def submit_and_crash(command: Any) -> None:
        await funded.submit(command)
        raise Crash

    worker._submit = submit_and_crash
    with pytest.raises(Crash):
        await worker.poll()
    assert await finish(work(), mine, pool, requested) == "settled"
    assert len(funded.submitted(SettleWithdrawal)) == 1


async def test_a_refused_second_settlement_is_tolerated(
    work, request_withdrawal, mine, pool, funded, monkeypatch
):
    requested = await request_withdrawal(5)
    worker = work()
    await worker.poll()
    await worker.poll()
    await mine(CONFIRMATIONS)
    status = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id]
    await worker._read_journal()
    await funded.submit(
        SettleWithdrawal(requested.withdrawal_id, status.tx_hash, status.block_number, "paid")
    )
    monkeypatch.setattr(funded.committed, "open_withdrawal", lambda _: requested)  # a view that lags
    monkeypatch.setattr(worker, "_read_journal", lambda: asyncio.sleep(0))
    await worker.poll()
    assert worker.status().conditions == {}
    assert len(funded.submitted(SettleWithdrawal)) == 2


async def test_reading_the_journal_again_from_the_start_is_harmless(
    work, request_withdrawal, mine, pool, rpc
):
    requested = await request_withdrawal(5)
    await finish(work(), mine, pool, requested)
    await pool.execute("UPDATE payment_cursors SET seq = 0")
    worker = work()
    for _ in range(3):
        await worker.poll()
        await mine(1)
    assert await state_of(pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5


async def test_with_all_tables_lost_nothing_is_paid_twice(work, request_withdrawal, mine, pool, rpc, funded):
    settled = await request_withdrawal(5)
    await finish(work(), mine, pool, settled)
    in_flight = await request_withdrawal(6)
    await work().poll()
    assert await rpc.balance(DESTINATION) == 11
    await pool.execute("TRUNCATE payments, payment_cursors, payment_tries, sent_transactions, sent_attempts")
    assert await finish(work(), mine, pool, in_flight) == "settled"
    assert await state_of(pool, settled) == "settled"
    assert await rpc.balance(DESTINATION) == 11
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
    another = await request_withdrawal(7)
    assert await finish(work(), mine, pool, another) == "settled"
    assert await rpc.balance(DESTINATION) == 18


# ----------------------------------------------------------------------------------- reorganizations


async def test_a_payment_reorganized_away_is_sent_again_and_paid_once(
    work, request_withdrawal, mine, pool, rpc
):
    requested = await request_withdrawal(5)
    worker = work()
    snapshot = await rpc.call("evm_snapshot")
    await worker.poll()
    await worker.poll()
    assert await state_of(pool, requested) == "mined"
    await rpc.call("evm_revert", snapshot)
    await mine(2)
    assert await rpc.balance(DESTINATION) == 0
    await worker.poll()
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5
    assert await pool.fetchval("SELECT count(*) FROM sent_attempts") == 1


async def test_settled_payments_that_a_deep_reorganization_removed_are_sent_again_at_the_next_start(
    work, request_withdrawal, mine, pool, rpc
):
    requested = await request_withdrawal(5)
    snapshot = await rpc.call("evm_snapshot")
    assert await finish(work(), mine, pool, requested) == "settled"
    await rpc.call("evm_revert", snapshot)
    await mine(10)
    assert await rpc.balance(DESTINATION) == 0
    worker = work()
    await worker.poll()
    assert await rpc.balance(DESTINATION) == 5
