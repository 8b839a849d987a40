"""Deposits and withdrawals in one call, against a devnet of its own: real processes, a real chain.

What happens to a wallet is asked of the chain itself, and what arrived of the exchange.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.e2e.test_devnet import Devnet, interrupt
from tests.fixtures.anvil import more_blocks
from tests.sdk.chaos_proxy import ChaosProxy, chaos_proxy

from exchange.chain.dev_keys import dev_key
from exchange_sdk import Exchange, Wallet, chain, withdrawing
from exchange_sdk.chain import DepositProgress, DepositSent, claim, deposit, wait_for_deposit
from exchange_sdk.chain_wallet import ChainWallet
from exchange_sdk.errors import (
    ChainError,
    DepositPending,
    InsufficientFunds,
    NoCredential,
    NotAuthenticated,
    OutcomeUnknown,
    Problem,
    UnexpectedAnswer,
    Unreachable,
    WithdrawalFailed,
    WithdrawalPending,
    error_of,
)
from exchange_sdk.models import Deposit
from exchange_sdk.vault import TOKEN_ABI, VAULT_ABI
from exchange_sdk.withdrawing import WithdrawalProgress, wait_for_withdrawal, withdraw

pytestmark = pytest.mark.timeout(180)
_users = itertools.count(0)


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    found = Devnet(tmp_path_factory.mktemp("devnet") / "data")
    with found.running("--no-bots") as process:
        with more_blocks(f"http://127.0.0.1:{found.rpc_port}"):
            yield found
        assert interrupt(process) == 0


@pytest.fixture
def rpc_url(devnet: Devnet) -> str:
    return f"http://127.0.0.1:{devnet.rpc_port}"


@pytest.fixture
async def exchange(devnet: Devnet) -> AsyncIterator[Exchange]:
    """Of one of the ten development users, who hold tokens; the next one for each test."""
    wallet = Wallet.from_key(dev_key(next(_users) % 10))
    async with Exchange(devnet.url, wallet=wallet) as exchange:
        yield exchange


async def on_chain(exchange: Exchange, rpc_url: str, asset: str) -> Decimal:
    """What the wallet itself has of a token."""
    assert exchange.wallet is not None
    listed, deployment = await exchange.asset(asset), await exchange.deployment()
    async with ChainWallet(rpc_url, exchange.wallet.account, deployment.chain_id) as wallet:
        token = wallet.contract(listed.token, TOKEN_ABI)
        atoms = await wallet.ask(token.functions.balanceOf(wallet.address).call)
        return Decimal(atoms).scaleb(-listed.decimals)


async def allow(exchange: Exchange, rpc_url: str, asset: str, atoms: int) -> None:
    """The wallet lets the vault take so much."""
    assert exchange.wallet is not None
    listed, deployment = await exchange.asset(asset), await exchange.deployment()
    async with ChainWallet(rpc_url, exchange.wallet.account, deployment.chain_id) as wallet:
        token = wallet.contract(listed.token, TOKEN_ABI)
        await wallet.transact(token.functions.approve(deployment.vault, atoms), "approval")


async def available(exchange: Exchange, asset: str) -> Decimal:
    balance = (await exchange.balances()).get(asset)
    return Decimal(0) if balance is None else balance.available


# ---- deposits


async def test_a_token_is_deposited_by_its_permit_in_one_transaction(exchange: Exchange, rpc_url: str):
    told: list[DepositProgress] = []
    had, before = await on_chain(exchange, rpc_url, "USDC"), await available(exchange, "USDC")
    credited = await deposit(exchange, "USDC", "100.5", rpc_url=rpc_url, on_progress=told.append)
    assert isinstance(credited, Deposit)
    assert (credited.is_credited, credited.amount) == (True, Decimal("100.5"))
    assert await available(exchange, "USDC") == before + Decimal("100.5")
    assert await on_chain(exchange, rpc_url, "USDC") == had - Decimal("100.5")
    stages = [progress.stage for progress in told]
    assert stages[:2] == ["signed", "mined"]
    assert stages[-1] == "credited"
    assert set(stages[2:-1]) <= {"confirming"}
    assert {progress.tx_hash for progress in told} == {credited.tx_hash}
    assert told[-1].deposit == credited


async def test_the_chains_own_coin_goes_by_one_transaction(exchange: Exchange, rpc_url: str):
    async def wait_a_little(progress: DepositProgress) -> None:
        await asyncio.sleep(0)
        stages.append(progress.stage)

    stages: list[str] = []
    before = await available(exchange, "ETH")
    await deposit(exchange, "ETH", Decimal("1.25"), rpc_url=rpc_url, on_progress=wait_a_little)
    assert await available(exchange, "ETH") == before + Decimal("1.25")
    assert "approving" not in stages
    assert stages[-1] == "credited"


async def test_a_token_without_a_permit_is_approved_for_exactly_the_amount(
    exchange: Exchange, rpc_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chain, "permit_domains", lambda *_: [])
    stages: list[str] = []
    await deposit(
        exchange, "WBTC", "0.5", rpc_url=rpc_url, on_progress=lambda told: stages.append(told.stage)
    )
    assert stages[:3] == ["approving", "signed", "mined"]
    await allow(exchange, rpc_url, "WBTC", 5)  # too little: there is something, which is not enough
    await deposit(exchange, "WBTC", "0.25", rpc_url=rpc_url)
    assert exchange.wallet is not None
    listed, deployment = await exchange.asset("WBTC"), await exchange.deployment()
    async with ChainWallet(rpc_url, exchange.wallet.account, deployment.chain_id) as wallet:
        token = wallet.contract(listed.token, TOKEN_ABI)
        left = await wallet.ask(token.functions.allowance(wallet.address, deployment.vault).call)
    assert left == 0


async def test_what_the_vault_may_take_already_needs_no_permit(
    exchange: Exchange, rpc_url: str, monkeypatch: pytest.MonkeyPatch
):
    def no_permit(*_: Any) -> Any:
        raise AssertionError("a permit was made")

    await allow(exchange, rpc_url, "USDC", 10**9)
    monkeypatch.setattr(chain, "permit_domains", no_permit)
    assert isinstance(await deposit(exchange, "USDC", 7, rpc_url=rpc_url), Deposit)


async def test_several_at_once_are_all_credited_each_once(exchange: Exchange, rpc_url: str):
    before = await available(exchange, "USDC"), await available(exchange, "ETH")
    makers = [deposit(exchange, "USDC", amount, rpc_url=rpc_url) for amount in (1, 2, 4)]
    makers += [deposit(exchange, "ETH", "0.125", rpc_url=rpc_url) for _ in range(2)]
    done = await asyncio.gather(*makers)
    assert len({each.tx_hash for each in done}) == 5
    after = await available(exchange, "USDC"), await available(exchange, "ETH")
    assert after == (before[0] + 7, before[1] + Decimal("0.25"))


async def test_two_may_be_sent_before_the_first_is_credited_and_waited_for_later(
    exchange: Exchange, rpc_url: str
):
    sent = [await deposit(exchange, asset, 3, rpc_url=rpc_url, wait=False) for asset in ("USDC", "WBTC")]
    for each in sent:
        assert isinstance(each, DepositSent)
        credited = await wait_for_deposit(exchange, each)
        assert (credited.number, credited.tx_hash) == (each.number, each.tx_hash)
        assert await wait_for_deposit(exchange, each.tx_hash) == credited, "it may be waited for again"


async def test_one_that_is_not_credited_in_time_says_how_to_go_on(exchange: Exchange, rpc_url: str):
    with pytest.raises(DepositPending) as pending:
        await deposit(exchange, "USDC", 1, rpc_url=rpc_url, timeout_s=0)
    credited = await wait_for_deposit(exchange, pending.value)
    assert credited.tx_hash == pending.value.tx_hash


async def test_one_that_was_sent_is_pending_whatever_the_exchange_says_then(
    exchange: Exchange, rpc_url: str, monkeypatch: pytest.MonkeyPatch
):
    async def find(*_: object) -> None:
        raise NotAuthenticated(Problem(code="session_invalid"))

    monkeypatch.setattr(chain, "_find", find)
    with pytest.raises(DepositPending) as pending:
        await deposit(exchange, "USDC", 1, rpc_url=rpc_url)
    assert isinstance(pending.value.__cause__, NotAuthenticated)
    monkeypatch.undo()
    assert (await wait_for_deposit(exchange, pending.value)).amount == 1


async def test_the_time_to_wait_counts_for_the_block_as_well(exchange: Exchange, node: ChaosProxy):
    def silence(progress: DepositProgress) -> None:
        if progress.stage == "signed":
            node.refuses = True
            node.cut()

    with pytest.raises(DepositPending):
        await deposit(exchange, "ETH", 1, rpc_url=node.url, on_progress=silence, timeout_s=1)


async def test_nothing_is_sent_for_what_can_not_be(exchange: Exchange, rpc_url: str, devnet: Devnet):
    had = await on_chain(exchange, rpc_url, "USDC")
    for amount in ("0.0000001", "1e3", "-1", 0):
        with pytest.raises(ValueError, match="amount"):
            await deposit(exchange, "USDC", amount, rpc_url=rpc_url)
    with pytest.raises(TypeError):
        await deposit(exchange, "USDC", 0.5, rpc_url=rpc_url)  # type: ignore[arg-type]
    with pytest.raises(ChainError, match="the wallet has"):
        await deposit(exchange, "USDC", 10**15, rpc_url=rpc_url)
    with pytest.raises(ChainError):
        await deposit(exchange, "ETH", 10**9, rpc_url=rpc_url)
    with pytest.raises(Unreachable):
        await deposit(exchange, "USDC", 1, rpc_url="http://127.0.0.1:9")
    with pytest.raises(ValueError, match="wait=False"):
        await deposit(exchange, "USDC", 1, rpc_url=rpc_url, account="0x" + "12" * 20)
    async with Exchange(devnet.url) as nobody:
        with pytest.raises(NoCredential):
            await deposit(nobody, "USDC", 1, rpc_url=rpc_url)
        with pytest.raises(NoCredential):
            await withdraw(nobody, "USDC", 1)
    assert await on_chain(exchange, rpc_url, "USDC") == had


async def test_a_node_of_another_chain_is_refused(exchange: Exchange, rpc_url: str):
    assert exchange.wallet is not None
    with pytest.raises(ChainError, match="of chain 31337"):
        async with ChainWallet(rpc_url, exchange.wallet.account, 1):
            pass


@pytest.fixture
async def node(rpc_url: str) -> AsyncIterator[ChaosProxy]:
    """The chain's node, behind a proxy."""
    async with chaos_proxy(rpc_url) as proxy:
        yield proxy


async def test_a_node_whose_answer_is_lost_gets_the_same_bytes_and_it_is_deposited_once(
    exchange: Exchange, rpc_url: str, node: ChaosProxy
):
    had, before = await on_chain(exchange, rpc_url, "USDC"), await available(exchange, "USDC")

    async def lose_the_answer() -> None:
        await asyncio.sleep(0.5)  # the transaction is on its way
        node.cut()
        node.let_answers()

    tasks = []

    def lose(progress: DepositProgress) -> None:
        if progress.stage == "signed":
            node.hold_answers()
            tasks.append(asyncio.create_task(lose_the_answer()))

    await deposit(exchange, "USDC", 11, rpc_url=node.url, on_progress=lose)
    assert len(tasks) == 1
    assert await available(exchange, "USDC") == before + 11
    assert await on_chain(exchange, rpc_url, "USDC") == had - 11


async def test_bytes_that_never_reached_the_node_are_sent_again(
    exchange: Exchange, node: ChaosProxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("exchange_sdk.chain_wallet.SENT_AGAIN_EVERY_S", 0.2)
    before = await available(exchange, "ETH")

    async def come_back() -> None:
        await asyncio.sleep(0.3)
        node.refuses = False

    tasks = []

    def go_away(progress: DepositProgress) -> None:
        if progress.stage == "signed":
            node.refuses = True
            node.cut()
            tasks.append(asyncio.create_task(come_back()))

    await deposit(exchange, "ETH", 2, rpc_url=node.url, on_progress=go_away)
    assert await available(exchange, "ETH") == before + 2


async def test_one_that_another_transaction_took_the_nonce_of_was_not_made(exchange: Exchange, rpc_url: str):
    assert exchange.wallet is not None
    deployment = await exchange.deployment()
    async with ChainWallet(rpc_url, exchange.wallet.account, deployment.chain_id) as wallet:
        vault = wallet.contract(deployment.vault, VAULT_ABI)
        call = vault.functions.depositNative(wallet.address)
        overtaken = await wallet._sign(call, "overtaken", 2 * 10**15)
        await wallet.transact(call, "first", value=10**15)
        assert not await wallet._send_first(overtaken, "overtaken")
        with pytest.raises(ChainError, match="another transaction took its nonce"):
            await wallet._require_in_play(overtaken, "overtaken")
        assert await wallet.receipt(overtaken.tx_hash) is None
        signed = await wallet._sign(call, "sent on twice", 10**15)
        await wallet.send_again(signed)
        await wallet.mined(signed, "sent on twice")
        assert await wallet._send_first(signed, "sent on twice"), (
            "it has its own nonce, and is not made again"
        )


# ---- withdrawals


@pytest.fixture
async def funded(exchange: Exchange, rpc_url: str) -> Exchange:
    await deposit(exchange, "USDC", 50, rpc_url=rpc_url)
    return exchange


async def test_a_withdrawal_is_signed_taken_and_paid(funded: Exchange, rpc_url: str):
    told: list[WithdrawalProgress] = []
    had, before = await on_chain(funded, rpc_url, "USDC"), await available(funded, "USDC")
    paid = await withdraw(funded, "USDC", "40.5", on_progress=told.append)
    assert (paid.status, paid.outcome, paid.amount) == ("settled", "paid", Decimal("40.5"))
    assert await on_chain(funded, rpc_url, "USDC") == had + Decimal("40.5") - paid.fee
    assert await available(funded, "USDC") == before - Decimal("40.5")
    assert [progress.stage for progress in told][:2] == ["signed", "requested"]
    assert told[-1].stage == "settled"
    assert {progress.withdrawal_id for progress in told} == {paid.withdrawal_id}
    assert await claim(funded, "USDC", rpc_url=rpc_url) == 0


async def test_the_same_withdrawal_asked_for_again_is_one_withdrawal(funded: Exchange):
    before = await available(funded, "USDC")
    same: dict[str, Any] = {"nonce": 7, "deadline_s": funded.clock.now_s() + 3_000, "max_fee": 0}
    first = await withdraw(funded, "USDC", 2, wait=False, **same)
    again = await withdraw(funded, "USDC", 2, **same)
    assert again.withdrawal_id == first.withdrawal_id
    assert again.status == "settled"
    assert await available(funded, "USDC") == before - 2


async def test_a_withdrawal_whose_answer_is_lost_is_found_and_not_asked_for_twice(
    funded: Exchange, devnet: Devnet
):
    before = await available(funded, "USDC")
    async with chaos_proxy(devnet.url) as proxy, Exchange(proxy.url, wallet=funded.wallet) as exchange:

        async def lose_the_answer() -> None:
            while await available(funded, "USDC") == before:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
            proxy.cut()
            proxy.let_answers()

        tasks = []

        def lose(progress: WithdrawalProgress) -> None:
            if progress.stage == "signed":
                proxy.hold_answers()
                tasks.append(asyncio.create_task(lose_the_answer()))

        done = await withdraw(exchange, "USDC", 3, on_progress=lose)
        assert len(tasks) == 1
    assert done.status == "settled"
    assert await available(funded, "USDC") == before - 3


async def test_one_that_is_refused_changes_nothing(funded: Exchange):
    before = await available(funded, "USDC")
    with pytest.raises(InsufficientFunds):
        await withdraw(funded, "USDC", 10**7)
    for address in ("0x12", "0x90F79bf6EB2c4f870365E785982E1f101E93b907"):
        with pytest.raises(ValueError, match=r"address|checksum"):
            await withdraw(funded, "USDC", 1, destination=address)
    assert await available(funded, "USDC") == before


def answers(status: int, text: str) -> Any:
    """What a proxy says instead."""

    async def answer(*_: object, **__: object) -> Any:
        raise error_of(Problem(code="session_invalid", status=status)) if status else UnexpectedAnswer(text)

    return answer


@pytest.mark.parametrize("status", [0, 401, 403])
async def test_one_that_was_taken_is_pending_whatever_the_exchange_says_then(
    funded: Exchange, status: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(withdrawing, "_read", answers(status, "a page"))
    with pytest.raises(WithdrawalPending) as pending:
        await withdraw(funded, "USDC", 1)
    assert pending.value.__cause__ is not None
    monkeypatch.undo()
    assert (await wait_for_withdrawal(funded, pending.value)).status == "settled"


@pytest.mark.parametrize("status", [0, 401, 403])
async def test_one_that_may_have_been_taken_is_pending_whatever_it_is_refused_for_then(
    funded: Exchange, status: int, monkeypatch: pytest.MonkeyPatch
):
    real = funded._http.post

    async def lost(*arguments: Any, **options: Any) -> Any:
        await real(*arguments, **options)
        monkeypatch.setattr(funded._http, "post", answers(status, "a page"))
        monkeypatch.setattr(withdrawing, "_read", answers(status, "a page"))
        raise OutcomeUnknown("POST /v1/withdrawals")

    monkeypatch.setattr(withdrawing, "HAND_IN_S", 1.0)
    monkeypatch.setattr(funded._http, "post", lost)
    with pytest.raises(WithdrawalPending) as pending:
        await withdraw(funded, "USDC", 1)
    monkeypatch.undo()
    assert (await wait_for_withdrawal(funded, pending.value)).status == "settled"


async def test_one_that_is_not_settled_in_time_says_how_to_go_on(funded: Exchange):
    with pytest.raises(WithdrawalPending) as pending:
        await withdraw(funded, "USDC", 1, timeout_s=0)
    done = await wait_for_withdrawal(funded, pending.value)
    assert (done.withdrawal_id, done.status) == (pending.value.withdrawal_id, "settled")


@pytest.mark.parametrize("status", ["rejected", "refunded"])
async def test_one_that_is_not_paid_is_told_as_failed(
    funded: Exchange, status: str, monkeypatch: pytest.MonkeyPatch
):
    taken = await withdraw(funded, "USDC", 1, wait=False)

    async def read(*_: object) -> object:
        return msgspec.structs.replace(taken, status=status, reason="not today")

    monkeypatch.setattr(withdrawing, "_read", read)
    with pytest.raises(WithdrawalFailed) as failed:
        await wait_for_withdrawal(funded, taken)
    assert (failed.value.status, failed.value.reason) == (status, "not today")


async def test_deposits_and_withdrawals_are_told_by_the_stream(funded: Exchange, rpc_url: str):
    async with funded.stream() as stream:
        deposits, withdrawals = await stream.deposits(), await stream.withdrawals()
        credited = await deposit(funded, "USDC", 5, rpc_url=rpc_url)
        paid = await withdraw(funded, "USDC", 5)
        steps = [await anext(deposits)]
        while not steps[-1].is_credited:
            steps.append(await anext(deposits))
        assert {step.tx_hash for step in steps} == {credited.tx_hash}
        assert deposits.pending == []
        ways = [await anext(withdrawals)]
        while not ways[-1].is_final:
            ways.append(await anext(withdrawals))
        assert {way.withdrawal_id for way in ways} == {paid.withdrawal_id}
        assert len({way.status for way in ways}) == len(ways), "each step once"
        assert withdrawals.under_way == []
