"""Payments in flight of which the vault is asked: few in each pass, all when it matters."""

import asyncio
from typing import Any

import pytest
from tests.chain.test_reconcile import Venue, venue  # noqa: F401 - a fixture

from exchange.chain import used_ids
from exchange.chain.errors import RpcUnavailable
from exchange.chain.vault import used_call

USED = "0x" + used_call("0x" + "00" * 32)[:4].hex()


class Asked:
    """Ids about which the node was asked, in order; from a number on it gives no more answers."""

    def __init__(self, rpc: Any) -> None:
        self.ids: list[str] = []
        self.fails_after: int | None = None
        rpc.before = self._take

    def _take(self, method: str, params: tuple[Any, ...]) -> None:
        if method != "eth_call" or not params[0]["data"].startswith(USED):
            return
        if self.fails_after is not None and len(self.ids) >= self.fails_after:
            raise RpcUnavailable(method, "too many requests")
        self.ids.append("0x" + params[0]["data"][10:])

    def again(self) -> list[str]:
        ids, self.ids = self.ids, []
        return ids


@pytest.fixture
def asked(faulty_rpc: Any, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.setattr(used_ids, "NEVER_SIGNED_PER_PASS", 3)
    return Asked(faulty_rpc)


async def with_waiting(running: Venue, wallet: Any, count: int) -> list[str]:
    """Withdrawals that are requested, read and not signed; the books are not compared yet."""
    await wallet(0).deposit_native(100)
    await running.rpc.call("anvil_mine", hex(20))
    await running.watcher.poll()
    ids = [await running.withdraw(wallet(0).address, 1, nonce) for nonce in range(1, count + 1)]
    await running.worker.poll()
    assert {await running.state_of(one) for one in ids} == {"approved"}
    return ids


async def sign(running: Venue) -> set[str]:
    """Has the worker sign all that waits."""
    await running.pool.execute("UPDATE payments SET not_before_ms = 0")
    await running.worker.poll()
    return {row["withdrawal_id"] for row in await running.pool.fetch("SELECT * FROM payment_tries")}


async def test_before_the_gate_opens_for_the_first_time_the_vault_was_asked_about_all(venue, wallet, asked):  # noqa: F811
    running = venue()
    ids = await with_waiting(running, wallet, 10)
    asked.again()
    await running.reconciler.poll()
    assert running.reconciler.agrees
    assert set(asked.again()) == set(ids)


async def test_then_it_is_asked_about_a_few_of_those_that_wait_all_in_turn(venue, wallet, asked, mine):  # noqa: F811
    running = venue()
    ids = await with_waiting(running, wallet, 10)
    await running.reconciler.poll()
    asked.again()
    seen: set[str] = set()
    for _ in range(4):
        await mine(1)
        await running.compare()
        few = asked.again()
        assert len(few) == 3
        seen |= set(few)
        assert running.reconciler.agrees
    assert seen == set(ids)


async def test_what_is_signed_is_asked_about_each_time(venue, wallet, asked, rpc, mine):  # noqa: F811
    running = venue()
    ids = await with_waiting(running, wallet, 5)
    await running.reconciler.poll()
    await rpc.call("evm_setAutomine", False)
    assert await sign(running) == set(ids)
    for _ in range(2):
        asked.again()
        await running.reconciler.poll()
        assert set(asked.again()) == set(ids)
    await mine(1)
    await running.compare()
    assert running.reconciler.agrees


async def test_a_node_that_stops_answering_is_asked_about_the_rest_later_and_nothing_agrees_before(
    venue,  # noqa: F811
    wallet,
    asked,
    monkeypatch,
):
    monkeypatch.setattr("exchange.chain.reconcile.LOOKED_UP_AT_ONCE", 4)
    running = venue()
    ids = await with_waiting(running, wallet, 10)
    asked.again()
    asked.fails_after = 8
    with pytest.raises(RpcUnavailable):
        await running.reconciler.poll()
    assert not running.reconciler.agrees
    assert running.reconciler.status().block_number == 0  # nothing is compared before
    before = asked.again()
    assert len(before) == 8
    asked.fails_after = None
    await running.reconciler.poll()
    assert running.reconciler.agrees
    assert len(asked.again()) == 2 + 3  # what was missing, and the few of each pass
    assert set(before) < set(ids)


async def restore_to_before_it_was_signed(pool: Any) -> None:
    """The tables of a backup: nothing is known of any bytes."""
    await pool.execute("DELETE FROM payment_tries")
    await pool.execute("DELETE FROM sent_attempts")
    await pool.execute("DELETE FROM sent_transactions")
    await pool.execute(
        "UPDATE payments SET state = 'approved', tx_hash = NULL, block_number = NULL, block_hash = NULL,"
        " outcome = NULL"
    )


async def test_what_a_restored_database_has_forgotten_is_found_before_anything_is_compared(
    venue,  # noqa: F811
    wallet,
    asked,
    pool,
    mine,
):
    running = venue(confirmations=20)
    ids = await with_waiting(running, wallet, 10)
    await running.reconciler.poll()
    assert await sign(running) == set(ids)
    await running.watcher.poll()
    await restore_to_before_it_was_signed(pool)
    after = Venue(running.rpc, pool, running.deployment, running.exchange, 20)
    await after.watcher.poll()
    asked.again()
    await after.reconciler.poll()
    assert after.reconciler.agrees
    assert after.reconciler.status().mismatches == ()
    assert set(asked.again()) == set(ids)
    await after.reconciler.poll()
    assert set(asked.again()) == set(ids)  # they are made, and asked about each time from now on


async def test_forgotten_bytes_that_are_mined_later_are_no_loss(venue, wallet, asked, pool, rpc, mine):  # noqa: F811
    """Ten payments in the node's pool, of which the restored tables know nothing."""
    running = venue(confirmations=20)
    ids = await with_waiting(running, wallet, 10)
    await running.reconciler.poll()
    await rpc.call("evm_setAutomine", False)
    assert await sign(running) == set(ids)
    await restore_to_before_it_was_signed(pool)
    after = Venue(running.rpc, pool, running.deployment, running.exchange, 20)
    await after.compare()
    assert after.reconciler.agrees
    await mine(1)
    asked.again()
    await after.compare()
    assert after.reconciler.agrees
    assert after.reconciler.status().mismatches == ()
    assert set(asked.again()) == set(ids)


async def test_a_loss_is_believed_when_all_were_asked_about_and_they_are_not_asked_about_again(
    venue,  # noqa: F811
    wallet,
    asked,
    faulty_rpc,
    mine,
    deployment,
    rpc,
):
    running = venue()
    ids = await with_waiting(running, wallet, 10)
    await running.reconciler.poll()
    asked.again()
    faulty_rpc.after = lambda method, params, answer: (
        "0x" + (int(answer, 16) - 1).to_bytes(32).hex()
        if method == "eth_call" and int(answer, 16) == 100
        else answer
    )
    await mine(1)
    await running.compare()
    assert not running.reconciler.agrees
    assert [entry.difference_atoms for entry in running.reconciler.status().mismatches] == [-1]
    assert set(asked.again()) == set(ids)
    await running.reconciler.poll()
    assert len(asked.again()) == 3
    faulty_rpc.after = lambda method, params, answer: answer
    await running.reconciler.poll()
    assert running.reconciler.agrees


async def test_the_gate_is_closed_while_all_are_asked_about(venue, wallet, asked, faulty_rpc, mine):  # noqa: F811
    running = venue()
    await with_waiting(running, wallet, 10)
    await running.reconciler.poll()
    faulty_rpc.after = lambda method, params, answer: (
        "0x" + (99).to_bytes(32).hex() if method == "eth_call" and int(answer, 16) == 100 else answer
    )
    await mine(1)
    await running.watcher.poll()
    agreed: list[bool] = []
    take = faulty_rpc.before

    def look(method: str, params: tuple[Any, ...]) -> None:
        take(method, params)
        if len(asked.ids) > 3:
            agreed.append(running.reconciler.agrees)

    asked.again()
    faulty_rpc.before = look
    await asyncio.wait_for(running.reconciler.poll(), 10)
    assert agreed
    assert not any(agreed)
