"""Once a day a proof, its root on a real chain exactly once, whatever goes wrong in between."""

import sys

import pytest
from tests.proofs.publishing import compare, publish_another, roots_on_chain, sent, something_happens

from exchange.chain.dev_keys import PUBLISHER_KEY, SENDER_KEY, dev_address
from exchange.chain.errors import RpcUnavailable, SenderTaken
from exchange.chain.finality import Finality
from exchange.chain.vault import accounted_call
from exchange.proofs.errors import BuildFailed, ProofsLost, PublishRefused, RootDiffers, RootsAhead
from exchange.proofs.publisher import DAY_S, FIRST_RETRY_S, ProofPolicy
from exchange.proofs.roots import first_root_from, root_at
from exchange.proofs.rows import ProofState, newest_proof, proof_by_number


async def test_a_proof_is_built_and_its_root_is_on_the_chain(venue, publish):
    await compare(venue)
    publisher = publish()
    await publisher.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.SENT
    await publisher.poll()
    proof = await newest_proof(venue.pool)
    assert proof.state is ProofState.PUBLISHED
    assert (proof.contract, proof.chain_index) == (venue.deployment.balance_roots, 0)
    stored = await root_at(venue.rpc, proof.contract, 0)
    assert (stored.root, stored.seq, stored.block_number) == (proof.root, proof.seq, proof.block_number)
    receipt = await venue.rpc.receipt(proof.tx_hash)
    assert receipt.succeeded
    assert receipt.logs[0].data[:32] == proof.root
    assert publisher.problem is None
    await publisher.poll()
    assert await sent(venue) == 1


async def test_one_is_made_a_day_and_none_when_nothing_happened(venue, publish, clock):
    await compare(venue)
    publisher = publish()
    for _ in range(3):
        await publisher.poll()
    await something_happens(venue)
    await publisher.poll()
    assert (await newest_proof(venue.pool)).number == 1
    clock.ahead_s = DAY_S
    await publisher.poll()
    await publisher.poll()
    second = await newest_proof(venue.pool)
    assert (second.number, second.state, second.chain_index) == (2, ProofState.PUBLISHED, 1)
    clock.ahead_s = 2 * DAY_S
    await publisher.poll()
    assert (await newest_proof(venue.pool)).number == 2
    assert await roots_on_chain(venue) == 2


async def test_no_process_is_started_while_nothing_happens(venue, publish, clock):
    await compare(venue)
    await publish().poll()
    clock.ahead_s = DAY_S
    publisher = publish(process=(sys.executable, "-c", "raise SystemExit(3)"))
    await publisher.poll()
    assert publisher.problem is None
    await something_happens(venue)
    await publisher.poll()
    assert isinstance(publisher.problem, BuildFailed)


async def test_nothing_is_built_before_a_comparison_nor_while_vault_and_ledger_differ(
    venue, publish, faulty_rpc
):
    publisher = publish()
    await publisher.poll()
    assert await newest_proof(venue.pool) is None
    call = "0x" + accounted_call("0x" + "00" * 20).hex()

    def less(method, params, answer):
        is_asked = method == "eth_call" and params[0]["data"] == call
        return "0x" + (int(answer, 16) - 1).to_bytes(32).hex() if is_asked else answer

    faulty_rpc.after = less
    await compare(venue)
    assert venue.reconciler.finalized.reconciliation.mismatches
    await publisher.poll()
    await publish(agrees=lambda: True, has_contract=False).poll()
    assert await newest_proof(venue.pool) is None
    faulty_rpc.heal()
    await compare(venue)
    await publish(agrees=lambda: False, has_contract=False).poll()
    assert await newest_proof(venue.pool) is None
    await publisher.poll()
    assert await newest_proof(venue.pool) is not None


async def test_without_a_contract_proofs_are_built_and_stay_here(venue, publish):
    await compare(venue)
    publisher = publish(has_contract=False)
    await publisher.poll()
    await publisher.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.BUILT
    assert await sent(venue) == 0


async def test_a_root_counts_as_published_when_it_is_deep_enough(venue, publish):
    await compare(venue)
    publisher = publish(policy=ProofPolicy(finality=Finality(4)))
    await publisher.poll()
    for _ in range(3):
        await publisher.poll()
        assert (await newest_proof(venue.pool)).state is ProofState.SENT
        await venue.mine(1)
    await publisher.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.PUBLISHED
    assert await sent(venue) == 1


async def test_where_the_chain_decides_a_root_counts_in_a_finalized_block(venue, publish):
    await compare(venue)
    publisher = publish(policy=ProofPolicy(finality=Finality(None)))
    await publisher.poll()
    for _ in range(2):  # finalized is two blocks behind here
        await publisher.poll()
        assert (await newest_proof(venue.pool)).state is ProofState.SENT
        await venue.mine(1)
    await publisher.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.PUBLISHED


@pytest.mark.parametrize("method", ["eth_sendRawTransaction", "eth_getTransactionCount", "eth_getBalance"])
async def test_a_crash_before_the_root_is_sent_and_it_is_sent_once(venue, publish, faulty_rpc, method):
    await compare(venue)

    def away(called, params):
        if called == method:
            raise RpcUnavailable(called, "away")

    faulty_rpc.before = away
    with pytest.raises(RpcUnavailable):
        await publish().poll()
    faulty_rpc.heal()
    after = publish()
    for _ in range(3):
        await after.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.PUBLISHED
    assert (await roots_on_chain(venue), await sent(venue)) == (1, 1)


async def test_a_root_whose_sending_is_not_known_to_have_worked_is_found_on_the_chain(
    venue, publish, faulty_rpc
):
    await compare(venue)

    def lost(method, params, answer):
        if method == "eth_sendRawTransaction":
            raise RpcUnavailable(method, "the answer is lost")
        return answer

    faulty_rpc.after = lost
    with pytest.raises(RpcUnavailable):
        await publish().poll()
    faulty_rpc.heal()
    assert await roots_on_chain(venue) == 1
    after = publish()
    await after.poll()
    proof = await newest_proof(venue.pool)
    assert proof.state is ProofState.PUBLISHED
    assert proof.tx_hash is not None
    assert await sent(venue) == 1


async def test_a_root_that_the_table_does_not_know_to_be_sent_is_found_on_the_chain(venue, publish):
    """As after the restoring of a database from just before it was sent."""
    await compare(venue)
    await publish().poll()
    await venue.pool.execute("TRUNCATE sent_transactions CASCADE")
    await venue.pool.execute("UPDATE proofs SET state = 'built', sender = NULL, nonce = NULL")
    await publish().poll()
    proof = await newest_proof(venue.pool)
    assert (proof.state, proof.tx_hash) == (ProofState.PUBLISHED, None)
    assert (await roots_on_chain(venue), await sent(venue)) == (1, 1)


async def test_a_transaction_that_did_not_publish_is_followed_by_another(venue, publish, rpc):
    """Its nonce went to something else that the key signed."""
    await compare(venue)
    await rpc.call("evm_setAutomine", False)
    publisher = publish()
    await publisher.poll()
    first = await newest_proof(venue.pool)
    await rpc.call("anvil_dropAllTransactions")
    await rpc.call("anvil_impersonateAccount", dev_address(PUBLISHER_KEY))
    to_itself = {"from": dev_address(PUBLISHER_KEY), "to": dev_address(PUBLISHER_KEY), "nonce": hex(0)}
    await rpc.call("eth_sendTransaction", to_itself)
    await rpc.call("evm_setAutomine", True)
    await venue.mine(1)
    for _ in range(6):
        await publisher.poll()
        await venue.mine(1)
    proof = await newest_proof(venue.pool)
    assert proof.state is ProofState.PUBLISHED
    assert (first.nonce, proof.nonce) == (0, 1)
    assert await roots_on_chain(venue) == 1


async def test_another_root_of_the_same_seq_is_an_alert_and_this_one_is_given_up(venue, publish, alerts):
    await compare(venue)
    await publish(has_contract=False).poll()
    proof = await newest_proof(venue.pool)
    await publish_another(venue, b"\x66" * 32, proof.seq)
    publisher = publish()
    await publisher.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.UNPUBLISHABLE
    assert isinstance(publisher.problem, RootDiffers)
    assert alerts == [("balance_roots", str(publisher.problem))]
    assert await sent(venue) == 1


async def test_a_chain_that_knows_a_later_seq_says_that_proofs_were_lost(venue, publish, alerts, clock):
    await compare(venue)
    await publish_another(venue, b"\x66" * 32, venue.projection.seq + 1)
    publisher = publish()
    await publisher.poll()
    proof = await newest_proof(venue.pool)
    assert proof.state is ProofState.UNPUBLISHABLE
    assert isinstance(publisher.problem, RootsAhead)
    restarted = publish()
    await restarted.poll()
    assert isinstance(restarted.problem, ProofsLost)
    assert [kind for kind, _ in alerts] == ["balance_roots"] * 3

    for _ in range(2):
        await something_happens(venue)
    clock.ahead_s = DAY_S
    await restarted.poll()
    await restarted.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.PUBLISHED
    assert restarted.problem is None


async def test_a_published_root_that_the_chain_has_otherwise_is_an_alert_at_the_start(venue, publish, alerts):
    await compare(venue)
    first = publish()
    await first.poll()
    await first.poll()
    await venue.pool.execute("UPDATE proofs SET root = $1", b"\x77" * 32)
    restarted = publish()
    await restarted.poll()
    assert isinstance(restarted.problem, RootDiffers)
    assert len(alerts) == 1


async def test_a_key_without_the_role_sends_nothing_and_pays_nothing(venue, publish):
    await compare(venue)
    publisher = publish(key=SENDER_KEY)
    before = await venue.rpc.transaction_count(dev_address(SENDER_KEY))
    with pytest.raises(PublishRefused):
        await publisher.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.BUILT
    assert await venue.rpc.transaction_count(dev_address(SENDER_KEY)) == before
    rightful = publish()
    await rightful.poll()
    await rightful.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.PUBLISHED


async def test_of_two_publishers_the_later_one_has_the_key(venue, publish):
    await compare(venue)
    earlier, later = publish(), publish()
    await earlier.poll()
    await later.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.PUBLISHED
    await something_happens(venue)
    assert await venue.build()
    with pytest.raises(SenderTaken):
        await earlier.poll()
    await later.poll()
    await later.poll()
    assert (await newest_proof(venue.pool)).chain_index == 1
    assert await sent(venue) == 2


async def test_proofs_that_could_not_be_published_go_out_in_their_order(venue, publish, clock):
    for day in range(3):
        await something_happens(venue)
        await something_happens(venue)
        clock.ahead_s = day * DAY_S
        await publish(has_contract=False).poll()
    publisher = publish()
    for _ in range(6):
        await publisher.poll()
    proofs = [await proof_by_number(venue.pool, number) for number in (1, 2, 3)]
    assert [(proof.state, proof.chain_index) for proof in proofs] == [
        (ProofState.PUBLISHED, 0),
        (ProofState.PUBLISHED, 1),
        (ProofState.PUBLISHED, 2),
    ]
    for proof in proofs:
        placed = await first_root_from(venue.rpc, venue.deployment.balance_roots, proof.seq, None)
        assert (placed.index, placed.published.root) == (proof.chain_index, proof.root)
    seq = proofs[-1].seq
    assert await first_root_from(venue.rpc, venue.deployment.balance_roots, seq + 1, None) is None
    between = await first_root_from(venue.rpc, venue.deployment.balance_roots, seq - 1, None)
    assert between.index == 2


async def test_a_build_that_fails_alerts_once_and_is_tried_again_later(venue, publish, clock, alerts):
    await compare(venue)
    await venue.pool.execute(
        "UPDATE balances SET available_atoms = available_atoms + 1 WHERE account_id = 1000"
    )
    publisher = publish()
    await publisher.poll()
    assert isinstance(publisher.problem, BuildFailed)
    assert "all accounts add up to" in str(publisher.problem)
    assert [kind for kind, _ in alerts] == ["proof_not_built"]
    await venue.pool.execute(
        "UPDATE balances SET available_atoms = available_atoms - 1 WHERE account_id = 1000"
    )
    await publisher.poll()
    assert await newest_proof(venue.pool) is None  # not at once
    clock.ahead_s = FIRST_RETRY_S
    await publisher.poll()
    assert await newest_proof(venue.pool) is not None
    assert publisher.problem is None
    assert len(alerts) == 1


@pytest.mark.parametrize(
    "script",
    [
        "import sys; sys.stdin.readline(); print('nonsense')",
        "import sys; sys.stdin.readline(); print('{}')",
        "raise SystemExit(3)",
        "import os; os.kill(os.getpid(), 9)",
    ],
)
async def test_a_process_that_ends_without_an_answer_is_a_failed_build(venue, publish, script):
    await compare(venue)
    publisher = publish(process=(sys.executable, "-c", script))
    await publisher.poll()
    assert isinstance(publisher.problem, BuildFailed)
    assert await newest_proof(venue.pool) is None


async def test_a_failed_build_does_not_keep_an_older_root_from_the_chain(venue, publish, clock):
    await compare(venue)
    await publish(has_contract=False).poll()
    await something_happens(venue)
    clock.ahead_s = DAY_S
    publisher = publish(process=(sys.executable, "-c", "raise SystemExit(3)"))
    await publisher.poll()
    await publisher.poll()
    assert (await newest_proof(venue.pool)).state is ProofState.PUBLISHED


async def test_what_a_proof_is_made_of_does_not_print_its_secrets(venue):
    source = venue.source("postgresql://user:hidden@host/db", "https://node.example/key-hidden")
    assert "hidden" not in repr(source)
    assert "hidden" not in str(source)
