"""What a chain's node says that tells nothing: what may be on its way is never called failed."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.sdk.fake_node import CHAIN_ID, GARBAGE, Answers, FakeNode, Refuses, Says, fake_node

from exchange_sdk import Wallet
from exchange_sdk.chain import checked_hash
from exchange_sdk.chain_wallet import ChainWallet
from exchange_sdk.errors import ChainError, TransactionReverted, TransactionUnknown
from exchange_sdk.vault import VAULT_ABI
from exchange_sdk.web3_parts import ContractFunction

SEND = "eth_sendRawTransaction"
RECEIPT = "eth_getTransactionReceipt"


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with fake_node() as node:
        yield node


@pytest.fixture
async def wallet(node: FakeNode) -> AsyncIterator[ChainWallet]:
    async with ChainWallet(node.url, Wallet.generate().account, CHAIN_ID) as wallet:
        yield wallet


@pytest.fixture
def call(wallet: ChainWallet) -> ContractFunction:
    vault = wallet.contract("0x" + "12" * 20, VAULT_ABI)
    return vault.functions.depositNative(wallet.address)


@pytest.mark.parametrize(
    "answer",
    [Says(GARBAGE), Says("[]"), Says(""), Refuses(-32603, "internal error"), Refuses(-32000, "timeout")],
)
async def test_a_transaction_that_was_taken_is_made_whatever_the_node_says_to_it(
    node: FakeNode, wallet: ChainWallet, call: ContractFunction, answer: Exception
) -> None:
    node.after[SEND] = [answer]
    receipt = await wallet.transact(call, "deposit", value=1)
    assert receipt["status"] == 1
    assert len(set(node.taken)) == 1


@pytest.mark.parametrize(
    "answer",
    [Says(GARBAGE), Says(""), Refuses(-32005, "too many requests"), Refuses(-32000, "header not found")],
)
async def test_a_node_that_can_not_tell_now_is_asked_again(
    node: FakeNode, wallet: ChainWallet, call: ContractFunction, answer: Exception
) -> None:
    node.before[RECEIPT] = [answer] * 2
    receipt = await wallet.transact(call, "deposit", value=1)
    assert receipt["status"] == 1


async def test_a_node_that_never_tells_leaves_it_unknown(
    node: FakeNode, wallet: ChainWallet, call: ContractFunction
) -> None:
    node.before[RECEIPT] = [Refuses(-32005, "too many requests")] * 1_000
    with pytest.raises(TransactionUnknown) as unknown:
        await wallet.transact(call, "deposit", value=1, timeout_s=0.5)
    assert [unknown.value.tx_hash] == list(node.receipts)


async def test_one_that_failed_in_its_block_is_told_as_such(
    node: FakeNode, wallet: ChainWallet, call: ContractFunction
) -> None:
    node.before[RECEIPT] = [Answers({"status": "0x0", "blockNumber": "0x2", "logs": []})]
    with pytest.raises(TransactionReverted):
        await wallet.transact(call, "deposit", value=1)


async def test_what_the_node_refuses_and_does_not_have_was_not_made(
    node: FakeNode, wallet: ChainWallet, call: ContractFunction
) -> None:
    node.before[SEND] = [Refuses(-32000, "insufficient funds for gas * price + value")]
    with pytest.raises(ChainError, match="insufficient funds"):
        await wallet.transact(call, "deposit", value=1)
    assert node.taken == []


async def test_a_node_that_is_behind_does_not_make_it_look_as_if_another_one_took_its_place(
    node: FakeNode, wallet: ChainWallet, call: ContractFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange_sdk.chain_wallet.SENT_AGAIN_EVERY_S", 0.0)
    node.before[RECEIPT] = [Answers(None)] * 4  # looked for, and looked at closely, twice
    receipt = await wallet.transact(call, "deposit", value=1)
    assert receipt["status"] == 1


async def test_one_that_stays_away_while_its_place_is_taken_was_not_made(
    node: FakeNode, wallet: ChainWallet, call: ContractFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange_sdk.chain_wallet.SENT_AGAIN_EVERY_S", 0.0)
    node.before[RECEIPT] = [Answers(None)] * 1_000
    with pytest.raises(ChainError, match="another transaction took its nonce"):
        await wallet.transact(call, "deposit", value=1)


async def test_a_node_that_answers_with_an_error_before_anything_is_sent_is_told_as_such(
    node: FakeNode, wallet: ChainWallet
) -> None:
    node.before["eth_getBalance"] = [Refuses(-32005, "too many requests")]
    with pytest.raises(ChainError, match="too many requests"):
        await wallet.balance()
    node.before["eth_chainId"] = [Refuses(-32000, "not now")]
    with pytest.raises(ChainError, match="not now"):
        async with ChainWallet(node.url, Wallet.generate().account, CHAIN_ID):
            pass


def test_a_hash_is_taken_as_web3_writes_it_and_nothing_else_is_waited_for() -> None:
    assert checked_hash("AB" * 32) == checked_hash("0x" + "ab" * 32) == "0x" + "ab" * 32
    for wrong in ("", "0x", "0x" + "ab" * 31, "0x" + "ab" * 33, "0x" + "xy" * 32):
        with pytest.raises(ValueError, match="hash"):
            checked_hash(wrong)
