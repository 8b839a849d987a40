"""A credited deposit that the chain takes back: everything halts, its owner is frozen, people are told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.chain.conftest import CONFIRMATIONS, Exchange, reorganize

from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_address
from exchange.chain.displacement import DisplacedDeposits, OnDisplaced, Safeguard
from exchange.chain.errors import DepositsDisagree, FreezeRefused, ReorgedAfterCredit
from exchange.chain.finality import Finality
from exchange.chain.halts import HaltKind, Halts
from exchange.core.commands import CreditDeposit, ListAsset, OpenAccount, SetAccountState, TransferFunds
from exchange.core.events import FundsTransferred
from exchange.core.markets import NATIVE_TOKEN
from exchange.core.words import AccountState
from exchange.projections.postgres import PostgresProjection


class Venue:
    """An exchange with its halts, and watchers that use them."""

    def __init__(self, pool: Any, exchange: Any, witness: Any, watch: Callable[..., DepositWatcher]) -> None:
        self.pool = pool
        self.exchange = exchange
        self.witness = witness
        self.halts = Halts(pool, witness.alert)
        self._watch = watch

    def watcher(self) -> DepositWatcher:
        """A new one, as after a restart."""
        self.halts = Halts(self.pool, self.witness.alert)
        safeguard = Safeguard(self.halts, self.witness.alert, self.exchange.committed, self.exchange.submit)
        return self._watch(on_displaced=safeguard)

    async def open_halts(self) -> list[HaltKind]:
        return [halt.kind for halt in await self.halts.open()]

    def states(self, owner: str) -> list[AccountState]:
        """Of all accounts of an owner, the main one first."""
        committed = self.exchange.committed
        return [committed.account_state(account_id) for _, account_id in committed.sub_accounts(owner)]

    async def activate(self, owner: str) -> None:
        for _, account_id in self.exchange.committed.sub_accounts(owner):
            await self.exchange.submit(SetAccountState(account_id, AccountState.ACTIVE))

    @property
    def alerts(self) -> list[str]:
        return [kind for kind, _ in self.witness.alerts]


async def project(venue: Venue) -> None:
    """Brings the ledger's read tables up to date."""
    projection = PostgresProjection(venue.pool, venue.exchange)
    following = asyncio.create_task(projection.run())
    assert await projection.reached(venue.exchange.committed.seq, 10)
    following.cancel()


@pytest.fixture
def venue(pool, exchange, witness, watch) -> Venue:
    return Venue(pool, exchange, witness, watch)


@pytest.fixture
def displace(venue, rpc, wallet, mine) -> Callable[..., Awaitable[None]]:
    """Alice's deposit is credited, and then the chain is as if she had never made it."""

    async def one(atoms: int = 8) -> None:
        snapshot = await rpc.call("evm_snapshot")
        await wallet(0).deposit_native(atoms)
        await mine(CONFIRMATIONS)
        await venue.watcher().poll()
        assert venue.exchange.available_atoms(dev_address(0), "ETH") == atoms
        await rpc.call("evm_revert", snapshot)
        await mine(CONFIRMATIONS + 3)

    return one


async def test_it_halts_withdrawals_freezes_all_accounts_of_the_owner_and_alerts(venue, displace):
    alice, bob = dev_address(0), dev_address(1)
    await venue.exchange.submit(OpenAccount(alice, 1))
    await displace()
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert venue.halts.halted
    assert venue.halts.problem == "withdrawals halted: reorged_after_credit"
    assert venue.states(alice) == [AccountState.FROZEN] * 2
    assert venue.states(bob) == [AccountState.ACTIVE]
    assert venue.alerts == ["withdrawals_halted", "accounts_frozen"]
    assert "deposits 1;" in venue.witness.alerts[1][1]


async def test_it_is_done_once_for_each_deposit_however_often_it_is_looked_at(venue, displace):
    await displace()
    for _ in range(3):
        watcher = venue.watcher()
        for _ in range(2):
            with pytest.raises(ReorgedAfterCredit):
                await watcher.poll()
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    assert len(venue.exchange.submitted(SetAccountState)) == 1
    assert venue.alerts.count("accounts_frozen") == 1


async def test_when_the_same_deposit_comes_back_crediting_goes_on_but_halt_and_frost_stay(
    venue, displace, wallet, mine
):
    await displace()
    watcher = venue.watcher()
    with pytest.raises(ReorgedAfterCredit):
        await watcher.poll()
    await wallet(0).deposit_native(8)
    await wallet(1).deposit_native(5)
    await mine(CONFIRMATIONS)
    await watcher.poll()
    assert watcher.status().condition is None
    assert venue.exchange.available_atoms(dev_address(0), "ETH") == 8
    assert venue.exchange.available_atoms(dev_address(1), "ETH") == 5
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    assert venue.states(dev_address(0)) == [AccountState.FROZEN]


async def test_what_an_operator_undoes_stays_undone_while_the_deposit_is_still_gone(venue, displace):
    await displace()
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    [halt] = await venue.halts.open()
    await venue.halts.lift(halt.id, "operator", "covered from our own funds")
    await venue.activate(dev_address(0))
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert await venue.open_halts() == []
    assert venue.states(dev_address(0)) == [AccountState.ACTIVE]


async def test_a_deposit_that_came_back_and_goes_again_is_answered_again(venue, displace, rpc, wallet, mine):
    await displace()
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    snapshot = await rpc.call("evm_snapshot")
    await wallet(0).deposit_native(8)
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    [halt] = await venue.halts.open()
    await venue.halts.lift(halt.id, "operator", "it is back")
    await venue.activate(dev_address(0))
    await rpc.call("evm_revert", snapshot)
    await mine(CONFIRMATIONS + 3)
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    assert venue.states(dev_address(0)) == [AccountState.FROZEN]


async def test_when_another_deposit_has_taken_its_number_only_the_first_owner_is_frozen(
    venue, displace, wallet, mine
):
    await displace()
    await wallet(1).deposit_native(8)
    await mine(CONFIRMATIONS)
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    assert venue.states(dev_address(0)) == [AccountState.FROZEN]
    assert venue.states(dev_address(1)) == [AccountState.ACTIVE]
    assert len(venue.exchange.submitted(CreditDeposit)) == 1


@pytest.mark.parametrize("taken", [True, False], ids=["its number is taken", "its number is free"])
async def test_what_stands_still_and_whether_it_can_ever_go_on_is_said_in_words(
    venue, displace, wallet, mine, eventually, taken
):
    await displace()
    if taken:
        await wallet(1).deposit_native(8)
        await mine(CONFIRMATIONS)
    watcher = venue.watcher()
    watching = asyncio.create_task(watcher.run())
    await eventually(lambda: watcher.status().condition is not None)
    problem = watcher.status().problem
    watching.cancel()
    if taken:
        assert problem == (
            "deposit 1 is credited, and in the chain another deposit has its number: for this vault nothing"
            " can be credited or signed any more, also when the halt is lifted"
        )
    else:
        assert problem == (
            "deposit 1 is credited and gone from the chain: for this vault nothing is credited or signed,"
            " also when the halt is lifted, until the very same deposit is made again"
        )


async def test_a_deposit_that_only_moved_is_neither_credited_again_nor_answered(venue, rpc, wallet, mine):
    alice = wallet(0)
    made = await rpc.call("eth_getTransactionByHash", await alice.deposit_native(8))
    again = {name: made[name] for name in ("from", "to", "value", "gas", "input")}
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    await reorganize(rpc, CONFIRMATIONS + 1, [(again, 1)])
    await mine(CONFIRMATIONS + 1)
    await venue.watcher().poll()
    assert await venue.pool.fetchval("SELECT count(*) FROM vault_deposits WHERE NOT displaced") == 1
    assert venue.exchange.available_atoms(alice.address, "ETH") == 8
    assert len(venue.exchange.submitted(CreditDeposit)) == 1
    assert await venue.open_halts() == []
    assert venue.states(alice.address) == [AccountState.ACTIVE]


async def test_only_the_deposits_above_the_fork_are_answered(venue, rpc, wallet, mine):
    await wallet(1).deposit_native(1)
    snapshot = await rpc.call("evm_snapshot")
    await wallet(0).deposit_native(8)
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    await rpc.call("evm_revert", snapshot)
    await mine(CONFIRMATIONS + 3)
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert venue.states(dev_address(0)) == [AccountState.FROZEN]
    assert venue.states(dev_address(1)) == [AccountState.ACTIVE]
    [halt] = await venue.halts.open()
    assert halt.detail == "credited but not in the chain any more: deposits 2"


@pytest.mark.parametrize("blocks", [(1, 2, 3), (1, 1, 1)], ids=["blocks of their own", "one block"])
async def test_deposits_that_are_there_again_before_one_that_is_not_are_not_answered(
    venue, rpc, wallet, mine, blocks
):
    """They come in the same range of logs as the other deposit that has taken the third's number."""
    transactions = []
    for index, atoms in enumerate((8, 9, 10)):
        made = await rpc.call("eth_getTransactionByHash", await wallet(index).deposit_native(atoms))
        transactions.append({name: made[name] for name in ("from", "to", "value", "gas", "input")})
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    transactions[2]["value"] = hex(11)
    await reorganize(rpc, CONFIRMATIONS + 3, list(zip(transactions, blocks, strict=True)))
    await mine(CONFIRMATIONS + 3)
    for _ in range(2):
        with pytest.raises(ReorgedAfterCredit):
            await venue.watcher().poll()
    [halt] = await venue.halts.open()
    assert halt.detail == "credited but not in the chain any more: deposits 3"
    states = [venue.states(dev_address(index)) for index in range(3)]
    assert states == [[AccountState.ACTIVE], [AccountState.ACTIVE], [AccountState.FROZEN]]


async def test_all_deposits_from_one_that_is_another_now_are_answered_also_when_their_rows_are_lost(
    venue, rpc, wallet, mine
):
    transactions = []
    for index, atoms in enumerate((8, 9, 10)):
        made = await rpc.call("eth_getTransactionByHash", await wallet(index).deposit_native(atoms))
        transactions.append({name: made[name] for name in ("from", "to", "value", "gas", "input")})
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    await reorganize(rpc, CONFIRMATIONS + 3, [(transactions[0], 1), (transactions[2], 2)])
    await mine(CONFIRMATIONS + 3)
    await venue.pool.execute("DELETE FROM vault_deposits WHERE number = 3")
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    [halt] = await venue.halts.open()
    assert halt.detail == "credited but not in the chain any more: deposits 2, 3"
    assert venue.states(dev_address(0)) == [AccountState.ACTIVE]
    assert venue.states(dev_address(1)) == [AccountState.FROZEN]


# ----------------------------------------------------------------------- of tokens that are not listed


@pytest.fixture
async def only_eth(rpc, deployment, pool, witness) -> Venue:
    """An exchange that lists nothing else, and has an account of user 0."""
    exchange = Exchange()
    await exchange.submit(ListAsset("ETH", 18, DEV_CHAIN_ID, deployment.vault, NATIVE_TOKEN))
    await exchange.submit(OpenAccount(dev_address(0)))

    def watch(on_displaced: OnDisplaced) -> DepositWatcher:
        return DepositWatcher(
            rpc,
            pool,
            exchange.submit_batch,
            exchange.committed,
            chain_id=DEV_CHAIN_ID,
            vault=deployment.vault,
            deploy_block=deployment.deploy_block,
            finality=Finality(CONFIRMATIONS),
            on_displaced=on_displaced,
            poll_s=0.01,
        )

    return Venue(pool, exchange, witness, watch)


@pytest.mark.parametrize("tables", ["kept", "lost"])
async def test_a_worthless_deposit_that_a_stranger_made_in_somebodys_name_freezes_nobody_when_it_goes(
    only_eth, rpc, wallet, mine, witness, tables
):
    venue, stranger = only_eth, wallet(5)
    await stranger.approve("WBTC")
    snapshot = await rpc.call("evm_snapshot")
    await stranger.deposit_token("WBTC", 1, owner=dev_address(0))
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    await rpc.call("evm_revert", snapshot)
    await mine(CONFIRMATIONS + 3)
    if tables == "lost":
        await project(venue)
        await venue.pool.execute("TRUNCATE chain_blocks, vault_deposits")
    watcher = venue.watcher()
    for _ in range(2):
        with pytest.raises(ReorgedAfterCredit):
            await watcher.poll()
    assert venue.states(dev_address(0)) == [AccountState.ACTIVE]
    assert await venue.open_halts() == []
    told = "not in the chain any more, in suspense and credited to nobody: deposits 1"
    assert witness.alerts == [("suspense_deposits_displaced", told)]


async def test_of_a_worthless_deposit_and_a_real_one_that_go_only_the_real_one_has_consequences(
    only_eth, rpc, wallet, mine, witness
):
    venue, stranger = only_eth, wallet(5)
    await venue.exchange.submit(OpenAccount(dev_address(1)))
    await stranger.approve("WBTC")
    snapshot = await rpc.call("evm_snapshot")
    await stranger.deposit_token("WBTC", 1, owner=dev_address(0))
    await wallet(1).deposit_native(8)
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    await rpc.call("evm_revert", snapshot)
    await mine(CONFIRMATIONS + 3)
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert venue.states(dev_address(0)) == [AccountState.ACTIVE]
    assert venue.states(dev_address(1)) == [AccountState.FROZEN]
    [halt] = await venue.halts.open()
    assert halt.detail == "credited but not in the chain any more: deposits 2"
    assert venue.alerts == ["withdrawals_halted", "accounts_frozen", "suspense_deposits_displaced"]


async def test_a_token_that_was_listed_since_counts_as_worth_something(only_eth, rpc, wallet, mine):
    venue, stranger = only_eth, wallet(5)
    await stranger.approve("WBTC")
    snapshot = await rpc.call("evm_snapshot")
    await stranger.deposit_token("WBTC", 1, owner=dev_address(0))
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    token = stranger.tokens["WBTC"]
    await venue.exchange.submit(ListAsset("WBTC", 8, DEV_CHAIN_ID, stranger.vault, token))
    await rpc.call("evm_revert", snapshot)
    await mine(CONFIRMATIONS + 3)
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    assert venue.states(dev_address(0)) == [AccountState.FROZEN]


# ------------------------------------------------------------------------------------ crashes


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", ["raise_", "submit", "alert", "mark_answered"])
async def test_whoever_is_killed_between_two_steps_finishes_after_the_restart(
    venue, displace, monkeypatch, step, before
):
    await displace()
    dying = venue.watcher()
    safeguard = dying._displacements._on_displaced

    def deadly(function: Any) -> Any:
        if not asyncio.iscoroutinefunction(function):

            def die(*arguments: Any) -> None:
                if not before:
                    function(*arguments)
                raise Crash

            return die

        async def die_waiting(*arguments: Any) -> None:
            if not before:
                await function(*arguments)
            raise Crash

        return die_waiting

    owner, name = {
        "raise_": (safeguard._halts, "raise_"),
        "submit": (safeguard, "_submit"),
        "alert": (safeguard, "_alert"),
        "mark_answered": (dying._rows, "mark_answered"),
    }[step]
    monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
    with pytest.raises(Crash):
        await dying.poll()
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    assert venue.states(dev_address(0)) == [AccountState.FROZEN]
    assert "accounts_frozen" in venue.alerts
    assert await venue.pool.fetchval("SELECT bool_and(answered) FROM vault_deposits WHERE displaced")


async def test_while_the_database_fails_the_halt_holds_in_memory_and_is_tried_again(
    venue, displace, eventually
):
    await displace()
    await venue.pool.execute("ALTER TABLE halts RENAME TO elsewhere")
    watcher = venue.watcher()
    task = asyncio.create_task(watcher.run())
    await eventually(lambda: venue.halts.problem == "withdrawals halted: reorged_after_credit")
    assert venue.states(dev_address(0)) == [AccountState.ACTIVE]
    await venue.pool.execute("ALTER TABLE elsewhere RENAME TO halts")
    await eventually(lambda: venue.states(dev_address(0)) == [AccountState.FROZEN])
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    task.cancel()


async def test_an_account_that_the_ledger_does_not_know_can_not_be_frozen(venue):
    safeguard = Safeguard(venue.halts, venue.witness.alert, venue.exchange.committed, venue.exchange.submit)

    class Inventive:
        def sub_accounts(self, owner: str) -> list[tuple[int, int]]:
            return [(0, 999)]

        def account_state(self, account_id: int) -> AccountState:
            return AccountState.ACTIVE

    safeguard._committed = Inventive()
    with pytest.raises(FreezeRefused):
        await safeguard(DisplacedDeposits(31337, "0x" + "fa" * 20, (1,), (dev_address(0),)))
    assert venue.halts.halted


class Fleeing:
    """Between the engine and who freezes: the owner moves the money on with every account that is frozen."""

    def __init__(self, venue: Venue, owner: str) -> None:
        self._venue = venue
        self._owner = owner
        self.fled = 0

    def balance(self, account_id: int) -> int:
        committed = self._venue.exchange.committed
        return committed.balance(account_id, committed.asset_by_symbol["ETH"].asset_id).available_atoms

    async def submit(self, command: Any) -> Any:
        """Just before the command, from wherever the money can still go, to where nobody has looked."""
        exchange = self._venue.exchange
        committed = exchange.committed
        for _, account_id in committed.sub_accounts(self._owner):
            if not self.balance(account_id) or self.fled == 5:
                continue
            to = len(committed.sub_accounts(self._owner))
            await exchange.submit(OpenAccount(self._owner, to))
            asset_id = committed.asset_by_symbol["ETH"].asset_id
            expires_ns = exchange.state.time_ns + 10**9
            moved = await exchange.submit(
                TransferFunds(account_id, to, asset_id, self.balance(account_id), f"t{to}", expires_ns)
            )
            self.fled += isinstance(moved.events[-1], FundsTransferred)
        return await exchange.submit(command)


async def test_an_owner_who_moves_the_money_on_while_being_frozen_does_not_get_away_with_it(venue, displace):
    alice = dev_address(0)
    await displace()
    fleeing = Fleeing(venue, alice)
    safeguard = Safeguard(venue.halts, venue.witness.alert, venue.exchange.committed, fleeing.submit)
    await safeguard(DisplacedDeposits(31337, "0x" + "fa" * 20, (1,), (alice,)))
    assert set(venue.states(alice)) == {AccountState.FROZEN}
    assert fleeing.fled == 5
    accounts = venue.exchange.committed.sub_accounts(alice)
    assert sum(fleeing.balance(account_id) for _, account_id in accounts) == 8
    named = ", ".join(str(account_id) for _, account_id in accounts)
    assert f"accounts {named} are frozen" in venue.witness.alerts[-1][1]


# --------------------------------------------------------------------------------- lost tables


async def test_with_lost_tables_the_owners_are_found_in_the_ledgers_own(venue, displace, eventually):
    await displace()
    await venue.pool.execute("TRUNCATE chain_blocks, vault_deposits")
    await project(venue)
    watcher = venue.watcher()
    for _ in range(2):
        with pytest.raises(ReorgedAfterCredit):
            await watcher.poll()
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    assert venue.states(dev_address(0)) == [AccountState.FROZEN]
    assert venue.alerts.count("accounts_frozen") == 1


async def test_with_all_tables_lost_the_halt_alone_stands(venue, displace):
    await displace()
    await venue.pool.execute("TRUNCATE chain_blocks, vault_deposits")
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    assert venue.states(dev_address(0)) == [AccountState.ACTIVE]


async def test_with_lost_tables_a_log_that_is_kept_from_us_is_no_reason_to_halt(
    venue, wallet, mine, faulty_rpc
):
    await wallet(0).deposit_native(8)
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    await venue.pool.execute("TRUNCATE chain_blocks, vault_deposits")
    faulty_rpc.after = lambda method, params, answer: [] if method == "eth_getLogs" else answer
    for _ in range(2):
        with pytest.raises(DepositsDisagree):
            await venue.watcher().poll()
    assert await venue.open_halts() == []
    faulty_rpc.heal()
    await venue.watcher().poll()
    assert venue.exchange.available_atoms(dev_address(0), "ETH") == 8


async def test_after_a_reorganization_a_log_that_is_kept_from_us_is_no_reason_to_halt(
    venue, displace, wallet, mine, faulty_rpc
):
    await displace()
    await wallet(0).deposit_native(8)
    await mine(CONFIRMATIONS)
    faulty_rpc.after = lambda method, params, answer: [] if method == "eth_getLogs" else answer
    with pytest.raises(DepositsDisagree):
        await venue.watcher().poll()
    faulty_rpc.heal()
    await venue.watcher().poll()
    assert await venue.open_halts() == []
    assert venue.states(dev_address(0)) == [AccountState.ACTIVE]


async def test_a_deposit_that_goes_while_its_blocks_are_asked_for_again_is_missed_all_the_same(
    venue, wallet, mine, rpc, faulty_rpc
):
    snapshot = await rpc.call("evm_snapshot")
    await wallet(0).deposit_native(8)
    await mine(CONFIRMATIONS)
    await venue.watcher().poll()
    await wallet(1).deposit_native(5)
    await mine(CONFIRMATIONS)
    faulty_rpc.after = lambda method, params, answer: [] if method == "eth_getLogs" else answer
    with pytest.raises(DepositsDisagree):
        await venue.watcher().poll()
    faulty_rpc.heal()
    await rpc.call("evm_revert", snapshot)
    await mine(3 * CONFIRMATIONS)
    with pytest.raises(ReorgedAfterCredit):
        await venue.watcher().poll()
    assert await venue.open_halts() == [HaltKind.REORGED_AFTER_CREDIT]
    assert venue.states(dev_address(0)) == [AccountState.FROZEN]


async def test_after_a_reorganization_an_invented_deposit_under_its_number_is_no_reason_to_halt(
    venue, displace, wallet, mine, faulty_rpc, deployment
):
    from exchange.chain.vault import deposit_hash_origin, next_deposit_hash

    await displace()
    await wallet(0).deposit_native(8)
    await mine(CONFIRMATIONS)
    origin = deposit_hash_origin(DEV_CHAIN_ID, deployment.vault)
    forged = next_deposit_hash(origin, 1, dev_address(0), "0x" + "00" * 20, 9)

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getLogs":
            return [
                entry | {"data": "0x" + (9).to_bytes(32).hex() + entry["data"][66:130] + forged.hex()}
                for entry in answer
            ]
        return answer

    faulty_rpc.after = lie
    with pytest.raises(DepositsDisagree):
        await venue.watcher().poll()
    faulty_rpc.heal()
    await venue.watcher().poll()
    assert await venue.open_halts() == []


async def test_without_a_second_look_that_agrees_nothing_is_displaced(venue, wallet, mine, rpc, faulty_rpc):
    """A node of another branch answers for a moment: nobody is frozen for that."""
    await wallet(0).deposit_native(8)
    await mine(CONFIRMATIONS)
    watcher = venue.watcher()
    await watcher.poll()
    head = await rpc.head()
    switched = 0

    def other_branch(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        nonlocal switched
        if method == "eth_chainId" and switched:
            faulty_rpc.heal()
        if method != "eth_getBlockByNumber":
            return answer
        switched += 1
        number = int(answer["number"], 16)
        shared = head.number - CONFIRMATIONS - 3
        if number <= shared:
            return answer
        return answer | {"hash": f"0x{number:064x}", "parentHash": f"0x{number - 1:064x}"}

    faulty_rpc.after = other_branch
    with pytest.raises(Exception, match="changed at block"):
        await watcher.poll()
    assert switched > 2
    assert await venue.pool.fetchval("SELECT count(*) FROM vault_deposits WHERE displaced") == 0
    await watcher.poll()
    assert await venue.open_halts() == []
