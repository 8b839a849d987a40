"""One proof: what is in it, what it ties to the vault, and what makes it fail."""

import asyncio

import pytest
from tests.proofs.venue import ETHER, WITHDRAWAL_FEE, Venue

from exchange.chain.errors import RpcError
from exchange.chain.vault import accounted_call, decode_word
from exchange.core.accounts import CHAIN_ACCOUNT
from exchange.core.words import Side
from exchange.proofs.build import NothingNew, ProofBuilt, leaf_salt
from exchange.proofs.errors import AccountMissing, ReadTablesDisagree, StoredProofDamaged, VaultDiffers
from exchange.proofs.inclusion import inclusions
from exchange.proofs.liabilities import account_name, read_owed, snapshot
from exchange.proofs.rows import StoredAsset, assets_of, has_trees, newest_proof, proof_by_number
from exchange.proofs.tree import Commitment


async def assets_by_symbol(venue: Venue, number: int) -> dict[str, StoredAsset]:
    return {asset.symbol: asset for asset in (await assets_of(venue.pool, [number]))[number]}


async def owed(venue: Venue, number: int, index: int) -> dict[str, int]:
    """What a user's leaves say."""
    proof = await proof_by_number(venue.pool, number)
    assets = (await assets_of(venue.pool, [number]))[number]
    name = account_name(venue.wallet(index).address, 0)
    found = await inclusions(venue.pool, proof, assets, venue.account_id(index), name)
    return {inclusion.asset.symbol: inclusion.amount_atoms for inclusion in found}


async def test_every_account_is_in_the_proof_with_what_it_has_and_all_add_up_to_custody(venue):
    built = await venue.build()
    assert isinstance(built, ProofBuilt)
    for index in range(3):
        balances = venue.exchange.committed.balances(venue.account_id(index))
        assert await owed(venue, built.number, index) == {
            venue.exchange.committed.assets[asset_id].symbol: entry.available_atoms + entry.held_atoms
            for asset_id, entry in balances.items()
        }
    assert venue.exchange.committed.balance(venue.account_id(0), 1).held_atoms > 0
    for symbol, asset in (await assets_by_symbol(venue, built.number)).items():
        listed = venue.exchange.committed.asset_by_symbol[symbol]
        custody = -venue.exchange.committed.balance(CHAIN_ACCOUNT, listed.asset_id).available_atoms
        assert asset.commitment.tree.sum_atoms == custody == asset.accounted_atoms
    # three users of ETH, two of USDC, and the exchange with the fee of the trade
    assert built.leaves == 6


async def test_the_root_binds_what_is_stored_and_the_vault_at_the_block(venue):
    built = await venue.build()
    proof = await newest_proof(venue.pool)
    header = await venue.finalized()
    assets = (await assets_of(venue.pool, [built.number]))[built.number]
    commitment = Commitment(
        venue.exchange.committed.genesis_id,
        **venue.place,
        seq=venue.projection.seq,
        block_number=header.number,
        block_hash=header.hash,
        assets=tuple(asset.commitment for asset in assets),
    )
    assert proof.root == commitment.root() == bytes.fromhex(built.root[2:])
    assert (proof.seq, proof.block_time_s) == (venue.exchange.committed.seq, header.time_s)
    assert len(assets) == 2
    for asset in assets:
        answer = await venue.rpc.view(
            venue.deployment.vault, accounted_call(asset.commitment.token), header.hash
        )
        assert asset.accounted_atoms == decode_word(answer)


async def test_a_withdrawal_is_owed_to_its_account_until_it_is_settled(venue):
    before = await owed(venue, (await venue.build()).number, 1)
    await venue.withdraw(1, 1_000)
    await venue.project()
    in_flight = await venue.build()
    assert await owed(venue, in_flight.number, 1) == before
    await venue.settle()
    await venue.project()
    settled = await venue.build()
    assert await owed(venue, settled.number, 1) == before | {"ETH": before["ETH"] - 1_000}
    asset = (await assets_by_symbol(venue, settled.number))["ETH"]
    # the block is from before the payment; the fee has stayed with the exchange
    assert asset.commitment.unsettled_atoms == -(1_000 - WITHDRAWAL_FEE)
    assert asset.accounted_atoms == asset.commitment.tree.sum_atoms + 1_000 - WITHDRAWAL_FEE


async def test_an_account_whose_whole_balance_is_on_its_way_out_is_in_the_proof(venue):
    await venue.wallet(2).deposit_native(1_000)
    await venue.credit()
    await venue.mine(2)
    await venue.withdraw(2, 1_005)
    await venue.project()
    assert venue.exchange.available_atoms(venue.wallet(2).address, "ETH") == 0
    assert await owed(venue, (await venue.build()).number, 2) == {"ETH": 1_005}


async def test_a_payment_made_but_not_settled_at_the_read_tables_seq_counts_as_unsettled(venue):
    await venue.withdraw(1, 1_000)
    seq = await venue.project()
    await venue.settle()  # the ledger goes on, the read tables do not
    await venue.mine(2)
    built = await venue.build()
    assert built.seq == seq
    asset = (await assets_by_symbol(venue, built.number))["ETH"]
    assert asset.commitment.unsettled_atoms == 1_000 - WITHDRAWAL_FEE
    assert asset.accounted_atoms == 3 * ETHER + 5 - (1_000 - WITHDRAWAL_FEE)


async def test_deposits_on_either_side_of_block_and_seq_are_counted_with_their_sign(venue):
    await venue.wallet(0).deposit_native(11)
    await venue.credit()
    await venue.project()
    credited_later = await venue.build()  # the finalized block is from before
    asset = (await assets_by_symbol(venue, credited_later.number))["ETH"]
    assert (asset.commitment.uncredited_atoms, asset.accounted_atoms) == (-11, 3 * ETHER + 5)

    await venue.order(0, Side.SELL, lots=1)
    await venue.project()
    await venue.wallet(0).deposit_native(13)
    await venue.credit()  # in the ledger, not in the read tables
    await venue.mine(2)
    await venue.credit()
    not_credited_yet = await venue.build()
    asset = (await assets_by_symbol(venue, not_credited_yet.number))["ETH"]
    assert (asset.commitment.uncredited_atoms, asset.accounted_atoms) == (13, 3 * ETHER + 5 + 24)
    assert asset.commitment.tree.sum_atoms == 3 * ETHER + 5 + 11


async def test_a_vault_that_holds_something_else_is_proven_nothing(venue, faulty_rpc):
    call = "0x" + accounted_call("0x" + "00" * 20).hex()

    def less(method, params, answer):
        is_asked = method == "eth_call" and params[0]["data"] == call
        return "0x" + (int(answer, 16) - 1).to_bytes(32).hex() if is_asked else answer

    faulty_rpc.after = less
    with pytest.raises(VaultDiffers) as caught:
        await venue.build()
    assert [position.difference_atoms for position in caught.value.mismatches] == [-1]
    assert await newest_proof(venue.pool) is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE balances SET available_atoms = available_atoms - 1 WHERE account_id = $1 AND asset_id = 1",
        "DELETE FROM balances WHERE account_id = $1",
        "UPDATE withdrawals SET amount_atoms = amount_atoms - 1 WHERE account_id = $1",
        "DELETE FROM withdrawals WHERE account_id = $1",
        "UPDATE withdrawals SET status = 'refunded', block_number = 1 WHERE account_id = $1",
    ],
)
async def test_read_tables_that_do_not_add_up_are_published_nothing_from(venue, statement):
    await venue.withdraw(0, 1_000)
    await venue.project()
    await venue.pool.execute(statement, venue.account_id(0))
    with pytest.raises(ReadTablesDisagree):
        await venue.build()
    assert await newest_proof(venue.pool) is None
    assert await venue.pool.fetchval("SELECT count(*) FROM proof_levels") == 0


async def test_an_atom_moved_from_a_withdrawal_to_a_balance_is_found_though_the_total_is_right(venue):
    await venue.withdraw(0, 1_000)
    await venue.project()
    await venue.pool.execute("UPDATE withdrawals SET amount_atoms = amount_atoms - 1")
    await venue.pool.execute(
        "UPDATE balances SET available_atoms = available_atoms + 1 WHERE account_id = $1 AND asset_id = 1",
        venue.account_id(1),
    )
    with pytest.raises(ReadTablesDisagree) as caught:
        await venue.build()
    assert (caught.value.found_atoms, caught.value.expected_atoms) == (999, 1_000)


async def test_a_balance_without_an_owner_is_published_nothing_from(venue):
    await venue.pool.execute("DELETE FROM accounts WHERE account_id = $1", venue.account_id(2))
    with pytest.raises(AccountMissing):
        await venue.build()


async def test_one_seq_gives_one_proof(venue):
    built = await venue.build()
    assert await venue.build() == NothingNew(built.seq)
    await venue.order(0, Side.SELL, lots=1)
    await venue.project()
    assert (await venue.build()).number == built.number + 1


async def test_while_nobody_is_owed_anything_there_is_nothing_to_prove(faulty_rpc, pool, deployment):
    empty = await Venue.open(faulty_rpc, pool, deployment)
    await empty.credit()
    await empty.project()
    assert isinstance(await empty.build(), NothingNew)


async def test_old_trees_are_forgotten_and_what_was_committed_to_is_kept(venue):
    for _ in range(4):
        await venue.order(0, Side.SELL, lots=1)
        await venue.project()
        await venue.build(kept=2)
    assert [await has_trees(venue.pool, number) for number in range(1, 5)] == [False, False, True, True]
    assert (await proof_by_number(venue.pool, 1)).root
    assert (await assets_of(venue.pool, [1]))[1]


async def test_salts_and_the_order_of_leaves_are_new_in_every_proof(venue):
    first = await venue.build()
    await venue.order(0, Side.SELL, lots=1)
    await venue.project()
    second = await venue.build()
    keys = [(await proof_by_number(venue.pool, built.number)).salt_key for built in (first, second)]
    assert keys[0] != keys[1]
    name = account_name(venue.wallet(0).address, 0)
    salts = {leaf_salt(key, token, name) for key in keys for token in ("0x" + "00" * 20, "0x" + "0c" * 20)}
    assert len(salts) == 4


async def test_the_secret_of_the_salts_is_in_no_log(venue):
    await venue.build()
    proof = await newest_proof(venue.pool)
    assert proof.salt_key.hex() not in repr(proof)
    assert str(proof.salt_key) not in repr(proof)


@pytest.mark.parametrize("height", [0, 1])
async def test_a_damaged_tree_gives_nothing_out(venue, height):
    built = await venue.build()
    await venue.pool.execute(
        "UPDATE proof_levels SET nodes = decode(repeat('07', octet_length(nodes)), 'hex') WHERE height = $1",
        height,
    )
    proof = await proof_by_number(venue.pool, built.number)
    assets = (await assets_of(venue.pool, [built.number]))[built.number]
    for index in range(3):
        name = account_name(venue.wallet(index).address, 0)
        with pytest.raises(StoredProofDamaged):
            await inclusions(venue.pool, proof, assets, venue.account_id(index), name)


async def test_a_lost_level_gives_nothing_out(venue):
    built = await venue.build()
    await venue.pool.execute("DELETE FROM proof_levels WHERE height = 1")
    with pytest.raises(StoredProofDamaged):
        await owed(venue, built.number, 0)


async def test_leaves_are_in_the_order_of_their_hashes_whoever_they_are(venue):
    built = await venue.build()
    [leaves] = await venue.pool.fetchrow(
        "SELECT nodes FROM proof_levels WHERE number = $1 AND asset_id = 1 AND height = 0", built.number
    )
    hashes = [leaves[start : start + 32] for start in range(0, len(leaves), 48)]
    assert len(hashes) == 3
    assert hashes == sorted(hashes)


async def test_another_account_is_not_found_under_ones_own_id(venue):
    built = await venue.build()
    proof = await proof_by_number(venue.pool, built.number)
    assets = (await assets_of(venue.pool, [built.number]))[built.number]
    with pytest.raises(StoredProofDamaged):
        await inclusions(venue.pool, proof, assets, venue.account_id(0), account_name("0x" + "ee" * 20, 0))
    assert await inclusions(venue.pool, proof, assets, 10**9, account_name("0x" + "ee" * 20, 0)) == []
    assert await inclusions(venue.pool, proof, assets, 1, account_name("0x" + "ee" * 20, 0)) == []


async def test_a_proof_is_of_one_seq_while_the_exchange_goes_on(venue):
    """Trades, deposits and withdrawals are projected while proofs are built: each adds up."""
    going_on = True

    async def go_on() -> None:
        nonce = 100
        while going_on:
            nonce += 1
            await venue.order(1, Side.SELL, lots=1)
            if nonce < 115:
                await venue.withdraw(0, 100, nonce)
            await venue.project()
            await asyncio.sleep(0)

    trading = asyncio.create_task(go_on())
    built = []
    while len(built) < 5:
        answer = await venue.build()
        if isinstance(answer, ProofBuilt):
            built.append(answer)
    going_on = False
    await trading
    seqs = [answer.seq for answer in built]
    assert seqs == sorted(set(seqs))


async def test_what_is_owed_is_read_as_of_the_snapshot(venue):
    async with snapshot(venue.pool) as reading:
        before = [entry async for some in read_owed(reading, 1) for entry in some]
        await venue.wallet(0).deposit_native(77)
        await venue.credit()
        await venue.project()
        assert [entry async for some in read_owed(reading, 1) for entry in some] == before
    async with snapshot(venue.pool) as reading:
        after = [entry async for some in read_owed(reading, 1) for entry in some]
    assert sum(entry.atoms for entry in after) == sum(entry.atoms for entry in before) + 77


async def test_a_block_that_the_node_does_not_have_is_proven_nothing_at(venue):
    with pytest.raises(RpcError):
        await venue.build(block_hash="0x" + "ee" * 32)
    assert await newest_proof(venue.pool) is None
