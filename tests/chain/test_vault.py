"""Our encoding and digests against the contract itself and against an independent implementation."""

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data

from exchange.chain.dev_keys import DEV_CHAIN_ID, SIGNER_KEY, dev_account, dev_address, dev_key
from exchange.chain.errors import DevKeyRefused, LogInvalid
from exchange.chain.payment_orders import OwnerRequest, PaymentOrder
from exchange.chain.rpc import Log
from exchange.chain.signer import LocalSender, LocalSigner, Transaction
from exchange.chain.vault import (
    DEPOSIT_COUNT_CALL,
    DEPOSIT_HASH_CALL,
    DEPOSITED,
    PAYMENT_SKIPPED,
    Payment,
    PaymentSkipped,
    decode_deposit,
    decode_payment,
    deposit_hash_origin,
    next_deposit_hash,
    payment_digest,
    selector,
)

PAYMENT = Payment(
    withdrawal_id="0x" + "a1" * 32,
    account="0x" + "b2" * 20,
    token="0x" + "c3" * 20,
    amount_atoms=2**128 - 1,
    destination="0x" + "d4" * 20,
    deadline_s=1_900_000_000,
)


async def test_the_payment_digest_is_the_contracts(rpc, deployment):
    item = (
        bytes.fromhex(PAYMENT.withdrawal_id[2:]),
        PAYMENT.account,
        PAYMENT.token,
        PAYMENT.amount_atoms,
        PAYMENT.destination,
        PAYMENT.deadline_s,
        b"proof is not signed",
    )
    types = "(bytes32,address,address,uint256,address,uint256,bytes)"
    answer = await rpc.view(deployment.vault, selector(f"paymentDigest({types})") + encode([types], [item]))
    assert answer == payment_digest(DEV_CHAIN_ID, deployment.vault, PAYMENT)


async def test_the_signature_is_over_the_typed_data_that_eth_account_builds():
    vault = "0x" + "e5" * 20
    message = encode_typed_data(
        {"name": "Exchange Vault", "version": "1", "chainId": DEV_CHAIN_ID, "verifyingContract": vault},
        {
            "Payment": [
                {"name": "id", "type": "bytes32"},
                {"name": "account", "type": "address"},
                {"name": "token", "type": "address"},
                {"name": "amount", "type": "uint256"},
                {"name": "destination", "type": "address"},
                {"name": "deadline", "type": "uint256"},
            ]
        },
        {
            "id": PAYMENT.withdrawal_id,
            "account": PAYMENT.account,
            "token": PAYMENT.token,
            "amount": PAYMENT.amount_atoms,
            "destination": PAYMENT.destination,
            "deadline": PAYMENT.deadline_s,
        },
    )
    request = OwnerRequest(
        PAYMENT.withdrawal_id,
        PAYMENT.account,
        0,
        PAYMENT.token,
        PAYMENT.amount_atoms,
        0,
        PAYMENT.destination,
        1,
        PAYMENT.deadline_s,
        "0x",
        1,
    )
    signer = LocalSigner(dev_key(SIGNER_KEY), DEV_CHAIN_ID, vault)
    signature = await signer.sign_order(PaymentOrder(PAYMENT, request))
    assert len(signature) == 65
    assert Account.recover_message(message, signature=signature).lower() == dev_address(SIGNER_KEY)


async def test_the_rolling_hash_is_the_contracts(rpc, deployment, wallet):
    rolled = deposit_hash_origin(DEV_CHAIN_ID, deployment.vault)
    assert await rpc.view(deployment.vault, DEPOSIT_HASH_CALL) == rolled
    for number in (1, 2):
        await wallet(0).deposit_native(number, owner=PAYMENT.account)
        rolled = next_deposit_hash(rolled, number, PAYMENT.account, "0x" + "00" * 20, number)
        assert await rpc.view(deployment.vault, DEPOSIT_HASH_CALL) == rolled
    assert int.from_bytes(await rpc.view(deployment.vault, DEPOSIT_COUNT_CALL)) == 2


async def test_a_deposit_log_is_decoded_to_the_last_field(rpc, deployment, wallet):
    alice = wallet(0)
    tx_hash = await alice.deposit_native(12, owner=PAYMENT.account)
    [log] = await rpc.logs(deployment.vault, [DEPOSITED], 0, (await rpc.head()).number)
    deposit = decode_deposit(log)
    assert (deposit.number, deposit.owner, deposit.amount_atoms) == (1, PAYMENT.account, 12)
    assert (deposit.sender, deposit.tx_hash) == (alice.address, tx_hash)
    assert deposit.block_hash == (await rpc.head()).hash


def _log(topics: tuple[str, ...], data: bytes) -> Log:
    return Log("0x" + "e5" * 20, topics, data, 1, "0x" + "00" * 32, "0x" + "00" * 32, 0)


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ((DEPOSITED,), bytes(96)),
        ((DEPOSITED, *["0x" + "00" * 32] * 3), bytes(95)),
        ((DEPOSITED, "0x" + "00" * 32, "0x" + "ff" * 32, "0x" + "00" * 32), bytes(96)),
        ((DEPOSITED, *["0x" + "00" * 32] * 3), (2**128).to_bytes(32) + bytes(64)),
        ((PAYMENT_SKIPPED, *["0x" + "00" * 32] * 3), bytes(96)),
    ],
)
def test_a_deposit_log_of_the_wrong_shape_is_refused(topics, data):
    with pytest.raises(LogInvalid):
        decode_deposit(_log(topics, data))


@pytest.mark.parametrize("word", ["0x" + "zz" * 32, "0x" + "0" * 63, "", "0x" + "00" * 31 + "0\x00"])
def test_a_payment_log_whose_topics_are_no_words_is_refused(word):
    with pytest.raises(LogInvalid):
        decode_payment(_log((PAYMENT_SKIPPED, word), (1).to_bytes(32)))


def test_other_events_of_the_vault_are_no_payments():
    assert decode_payment(_log((), b"")) is None
    assert decode_payment(_log((DEPOSITED,), b"")) is None


def test_a_skip_for_a_reason_of_a_later_contract_is_still_a_skip():
    log = _log((PAYMENT_SKIPPED, PAYMENT.withdrawal_id), (99).to_bytes(32))
    assert decode_payment(log) == PaymentSkipped(PAYMENT.withdrawal_id, 99)


def test_development_keys_are_refused_on_any_other_chain():
    for chain_id in (1, 10, 8453, 1337):
        with pytest.raises(DevKeyRefused):
            LocalSigner(dev_key(SIGNER_KEY), chain_id, "0x" + "e5" * 20)
        with pytest.raises(DevKeyRefused):
            LocalSender(dev_key(0), chain_id)
    LocalSender(bytes.fromhex("11" * 32), 1)


def test_the_development_accounts_are_the_well_known_ones():
    assert dev_account(0).address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert dev_account(9).address == "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"


async def test_the_same_transaction_gives_the_same_bytes():
    sender = LocalSender(dev_key(0), DEV_CHAIN_ID)
    transaction = Transaction(7, "0x" + "e5" * 20, b"data", 21_000, 9, 1)
    first, second = await sender.sign_transaction(transaction), await sender.sign_transaction(transaction)
    assert first == second
    assert first.raw[0] == 2
    assert Account.recover_transaction(first.raw).lower() == sender.address
