"""Our encoding of the deposit addresses' functions and logs against the contract itself."""

import pytest
from tests.chain.conftest import mined

from exchange.chain.deposit_addresses import (
    SWEEP_SKIPPED,
    SWEPT,
    SweepSkipped,
    Swept,
    address_of_call,
    balances_call,
    decode_address,
    decode_balances,
    decode_sweep,
    minimum_of_call,
    sweep_batch_call,
    sweep_call,
)
from exchange.chain.dev_keys import SWEEPER_KEY, dev_address
from exchange.chain.errors import LogInvalid, RpcAnswerInvalid
from exchange.chain.rpc import Log
from exchange.chain.vault import DEPOSITED, decode_deposit, decode_word, selector
from exchange.core.markets import NATIVE_TOKEN

ALICE, BOB = dev_address(0), dev_address(1)


async def _deposit_address(rpc, deployment, account: str) -> str:
    return decode_address(await rpc.view(deployment.deposit_addresses, address_of_call(account)))


async def _balances(rpc, deployment, accounts: list[str]) -> list[list[int]]:
    tokens = [NATIVE_TOKEN, *(token.address for token in deployment.tokens)]
    answer = await rpc.view(deployment.deposit_addresses, balances_call(accounts, tokens))
    return decode_balances(answer, len(accounts), len(tokens))


async def _send_usdc(wallet, to: str, atoms: int) -> None:
    data = selector("transfer(address,uint256)") + bytes(12) + bytes.fromhex(to[2:]) + atoms.to_bytes(32)
    await wallet.send(wallet.tokens["USDC"], data)


async def test_what_lies_at_many_deposit_addresses_is_read_in_one_call(rpc, deployment, wallet):
    assert await _balances(rpc, deployment, [ALICE, BOB]) == [[0, 0, 0], [0, 0, 0]]
    await wallet(5).send(await _deposit_address(rpc, deployment, ALICE), value=10**18)
    await _send_usdc(wallet(6), await _deposit_address(rpc, deployment, BOB), 7)
    assert await _balances(rpc, deployment, [ALICE, BOB]) == [[10**18, 0, 0], [0, 7, 0]]
    assert await _balances(rpc, deployment, []) == []


async def test_a_key_without_any_role_sweeps_and_the_vaults_deposit_is_the_accounts(rpc, deployment, wallet):
    address = await _deposit_address(rpc, deployment, ALICE)
    await wallet(5).send(address, value=10**18)
    tx_hash = await wallet(SWEEPER_KEY).send(
        deployment.deposit_addresses, sweep_call(ALICE, NATIVE_TOKEN), gas="0x16e360"
    )
    logs = (await mined(rpc, tx_hash)).logs
    assert [sweep for sweep in map(decode_sweep, logs) if sweep] == [Swept(ALICE, NATIVE_TOKEN, 10**18, 1)]
    [deposit] = [decode_deposit(log) for log in logs if log.topics[0] == DEPOSITED]
    assert (deposit.owner, deposit.amount_atoms, deposit.sender) == (ALICE, 10**18, address)


async def test_a_batch_tells_what_it_swept_and_what_it_skipped(rpc, deployment, wallet):
    usdc = deployment.tokens[0].address
    await _send_usdc(wallet(6), await _deposit_address(rpc, deployment, BOB), 5 * 10**6)
    tx_hash = await wallet(SWEEPER_KEY).send(
        deployment.deposit_addresses, sweep_batch_call([(ALICE, usdc), (BOB, usdc)]), gas="0x3d0900"
    )
    sweeps = [sweep for log in (await mined(rpc, tx_hash)).logs if (sweep := decode_sweep(log))]
    assert sweeps == [SweepSkipped(ALICE, usdc), Swept(BOB, usdc, 5 * 10**6, 1)]


async def test_a_token_that_is_not_listed_has_minimum_zero(rpc, deployment):
    assert decode_word(await rpc.view(deployment.deposit_addresses, minimum_of_call("0x" + "e5" * 20))) == 0


@pytest.mark.parametrize("answer", [b"", bytes(32), bytes(31), (2**160).to_bytes(32), bytes(64)])
def test_an_answer_that_is_no_address_is_refused(answer):
    with pytest.raises(RpcAnswerInvalid):
        decode_address(answer)


@pytest.mark.parametrize(
    "words", [[], [32, 2, 0], [32, 1, 0, 0], [64, 2, 0, 0], [32, 2, 0, 0, 0], [32, 3, 0, 0]]
)
def test_balances_of_the_wrong_shape_are_refused(words):
    with pytest.raises(RpcAnswerInvalid):
        decode_balances(b"".join(word.to_bytes(32) for word in words), 1, 2)


def _log(topics: tuple[str, ...], data: bytes) -> Log:
    return Log("0x" + "e5" * 20, topics, data, 1, "0x" + "00" * 32, "0x" + "00" * 32, 0)


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ((SWEPT,), bytes(32)),
        ((SWEPT, *["0x" + "00" * 32] * 3), bytes(64)),
        ((SWEPT, "0x" + "ff" * 32, *["0x" + "00" * 32] * 2), bytes(32)),
        ((SWEEP_SKIPPED, *["0x" + "00" * 32] * 2), bytes(32)),
    ],
)
def test_a_sweep_log_of_the_wrong_shape_is_refused(topics, data):
    with pytest.raises(LogInvalid):
        decode_sweep(_log(topics, data))


def test_other_logs_are_no_sweeps():
    assert decode_sweep(_log((), b"")) is None
    assert decode_sweep(_log((DEPOSITED,), b"")) is None
