"""Proofs that can never be published, must not be made yet, or are not made for days."""

import pytest
from tests.proofs.publishing import compare, publish_another, roots_on_chain, sent, something_happens
from tests.proofs.venue import ETHER, Venue

from exchange.chain.balance_roots import BLOCK_TOO_OLD
from exchange.chain.dev_keys import SENDER_KEY
from exchange.chain.errors import RpcError
from exchange.chain.finality import Finality
from exchange.proofs.errors import BlockPassed, ForeignRoot, ProofOverdue, PublishRefused, RootTooOld
from exchange.proofs.overdue import OVERDUE_GRACE_S
from exchange.proofs.publisher import DAY_S, ProofPolicy
from exchange.proofs.rows import ProofState, newest_proof, proof_by_number


async def states(venue: Venue, *numbers: int) -> list[ProofState]:
    return [(await proof_by_number(venue.pool, number)).state for number in numbers]


# ---- overtaken on the chain


async def test_a_root_that_the_chain_has_gone_past_is_given_up_and_later_ones_go_out(
    venue, publish, clock, alerts
):
    """Somebody with the publisher's key published a lower seq with a later block: this one fits nowhere."""
    await compare(venue)
    await publish(has_contract=False).poll()
    first = await newest_proof(venue.pool)
    head = await venue.rpc.head()
    await publish_another(venue, b"\x66" * 32, first.seq - 1, head.number)
    publisher = publish()
    await publisher.poll()
    assert await states(venue, 1) == [ProofState.UNPUBLISHABLE]
    assert isinstance(publisher.problem, BlockPassed)
    assert alerts == [("balance_roots", str(publisher.problem))]
    await publisher.poll()
    assert len(alerts) == 1

    for day in range(1, 3):
        await something_happens(venue)
        await something_happens(venue)
        clock.ahead_s = day * DAY_S
        await publisher.poll()
        await publisher.poll()
    assert await states(venue, 2, 3) == [ProofState.PUBLISHED] * 2
    assert await roots_on_chain(venue) == 3
    assert publisher.problem is None


async def test_a_root_is_not_given_up_for_one_that_may_be_taken_back(venue, publish, alerts):
    await compare(venue)
    await publish(has_contract=False).poll()
    first = await newest_proof(venue.pool)
    await publish_another(venue, b"\x66" * 32, first.seq - 1, (await venue.rpc.head()).number)
    publisher = publish(policy=ProofPolicy(finality=Finality(4)))
    for _ in range(3):
        await publisher.poll()
        assert await states(venue, 1) == [ProofState.BUILT]
        await venue.mine(1)
    await publisher.poll()
    assert await states(venue, 1) == [ProofState.UNPUBLISHABLE]
    assert len(alerts) == 1


async def test_no_proof_is_made_of_an_older_block_than_the_contracts_newest(venue, publish, alerts):
    await compare(venue)
    head = await venue.rpc.head()
    await publish_another(venue, b"\x66" * 32, 1, head.number)
    publisher = publish()
    for _ in range(2):
        await publisher.poll()
        assert await newest_proof(venue.pool) is None
    assert isinstance(publisher.problem, ForeignRoot)
    assert alerts.count(("balance_roots", str(publisher.problem))) == 1
    assert len(alerts) == 2  # and that the chain knows more than the tables
    await venue.mine(2)
    await compare(venue)
    await publisher.poll()
    await publisher.poll()
    proof = await newest_proof(venue.pool)
    assert (proof.state, proof.chain_index) == (ProofState.PUBLISHED, 1)
    assert proof.block_number >= head.number


async def test_no_proof_is_made_of_an_older_block_than_the_newest_proof(venue, publish, clock):
    """Without a contract too: a node may be behind another one that was asked before."""
    await compare(venue)
    await publish(has_contract=False).poll()
    newer = (await newest_proof(venue.pool)).block_number + 10
    await venue.pool.execute("UPDATE proofs SET block_number = $1", newer)
    clock.ahead_s = DAY_S
    await something_happens(venue)
    await publish(has_contract=False).poll()
    assert (await newest_proof(venue.pool)).number == 1
    await venue.mine(10)
    await something_happens(venue)
    await publish(has_contract=False).poll()
    assert (await newest_proof(venue.pool)).number == 2


async def test_a_root_about_a_block_that_is_too_old_is_given_up_and_later_ones_go_out(
    venue, publish, clock, alerts, faulty_rpc
):
    await compare(venue)
    await publish(has_contract=False).poll()
    first = await newest_proof(venue.pool)

    def too_old(method, params):
        if method == "eth_call" and first.root.hex() in params[0]["data"]:
            words = first.block_number.to_bytes(32) + (first.block_number + 1).to_bytes(32)
            raise RpcError(method, 3, "execution reverted", "0x" + (BLOCK_TOO_OLD + words).hex())

    faulty_rpc.before = too_old
    publisher = publish()
    await publisher.poll()
    assert await states(venue, 1) == [ProofState.UNPUBLISHABLE]
    assert isinstance(publisher.problem, RootTooOld)
    assert alerts == [("balance_roots", str(publisher.problem))]
    await something_happens(venue)
    clock.ahead_s = DAY_S
    await publisher.poll()
    await publisher.poll()
    assert await states(venue, 2) == [ProofState.PUBLISHED]
    assert (await roots_on_chain(venue), await sent(venue)) == (1, 1)


async def test_a_refusal_of_the_contract_alerts_once(venue, publish, alerts):
    await compare(venue)
    publisher = publish(key=SENDER_KEY)
    for _ in range(3):
        with pytest.raises(PublishRefused):
            await publisher.poll()
    assert [kind for kind, _ in alerts] == ["balance_roots"]
    assert isinstance(publisher.problem, PublishRefused)


# ---- not made for long


async def test_a_proof_that_is_not_made_for_two_days_is_told_once(venue, publish, clock, alerts):
    """While vault and ledger differ none is made, however long that takes."""
    await compare(venue)
    await publish(has_contract=False).poll()
    agrees = False
    publisher = publish(has_contract=False, agrees=lambda: agrees)
    for hours in (0, 24, 47):
        clock.ahead_s = hours * 3_600
        await publisher.poll()
        assert publisher.problem is None
    for hours in (49, 50):
        clock.ahead_s = hours * 3_600
        await publisher.poll()
        assert isinstance(publisher.problem, ProofOverdue)
    assert [kind for kind, _ in alerts] == ["proof_overdue"]
    agrees = True
    await something_happens(venue)
    await publisher.poll()
    assert (await newest_proof(venue.pool)).number == 2
    await publisher.poll()
    assert publisher.problem is None


async def test_a_first_proof_that_is_not_made_is_told_too(venue, publish, clock, alerts):
    publisher = publish(has_contract=False)  # nothing was ever compared
    await publisher.poll()
    clock.ahead_s = 2 * DAY_S + 60
    await publisher.poll()
    assert isinstance(publisher.problem, ProofOverdue)
    assert len(alerts) == 1


async def test_no_proof_is_overdue_while_nothing_happens(venue, publish, clock, alerts):
    await compare(venue)
    publisher = publish(has_contract=False)
    for days in range(5):
        clock.ahead_s = days * DAY_S
        await publisher.poll()
    assert publisher.problem is None
    assert alerts == []


async def test_a_start_after_quiet_days_is_no_alarm(venue, publish, clock, alerts):
    """Just started, it has not compared yet."""
    await compare(venue)
    await publish(has_contract=False).poll()
    clock.ahead_s = 9 * DAY_S
    agrees = False
    publisher = publish(has_contract=False, agrees=lambda: agrees)
    await publisher.poll()
    clock.ahead_s += OVERDUE_GRACE_S - 60
    await publisher.poll()
    agrees = True
    await publisher.poll()
    agrees = False
    clock.ahead_s += OVERDUE_GRACE_S - 60
    await publisher.poll()
    assert publisher.problem is None
    clock.ahead_s += OVERDUE_GRACE_S
    await publisher.poll()
    assert isinstance(publisher.problem, ProofOverdue)
    assert len(alerts) == 1


# ---- a vault that seems short for a moment


async def deposit_that_is_not_final(venue: Venue) -> None:
    """Credited, and in a later block than the newest that is finalized: 6 ETH owed, 3 in the vault."""
    await venue.wallet(1).deposit_native(3 * ETHER)
    await compare(venue)
    await venue.project()


async def test_a_proof_waits_while_the_vault_seems_short(venue, publish):
    await deposit_that_is_not_final(venue)
    publisher = publish(has_contract=False)
    await publisher.poll()
    assert await newest_proof(venue.pool) is None
    assert publisher.problem is None
    await venue.mine(2)
    await compare(venue)
    await publisher.poll()
    assert await newest_proof(venue.pool) is not None


async def test_a_vault_that_came_to_seem_short_since_it_was_compared_is_found_by_the_build(venue, publish):
    await compare(venue)
    before = venue.reconciler.finalized
    await deposit_that_is_not_final(venue)
    publisher = publish(has_contract=False, comparison=lambda: before)
    await publisher.poll()
    assert await newest_proof(venue.pool) is None
    assert publisher.problem is None


async def test_a_proof_does_not_wait_for_ever(venue, publish, clock):
    await deposit_that_is_not_final(venue)
    publisher = publish(has_contract=False)
    await publisher.poll()
    clock.ahead_s = DAY_S // 4 - 60
    await publisher.poll()
    assert await newest_proof(venue.pool) is None
    clock.ahead_s = DAY_S // 4 + 60
    await publisher.poll()
    assert await newest_proof(venue.pool) is not None
