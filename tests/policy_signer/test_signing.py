"""What the policy signer signs, and everything for which it refuses: owner, journal, terms."""

from typing import Any

import pytest
from eth_keys.datatypes import Signature
from tests.fixtures.policy_signer import PolicySignerServer
from tests.policy_signer.conftest import Ask
from tests.policy_signer.ledger import (
    ALICE,
    BOB,
    CAROL,
    FEE_ATOMS,
    USDC,
    VAULT,
    Ledger,
    append_forged,
    body_of,
    claimed,
    taken,
)

from exchange.chain.dev_keys import DEV_CHAIN_ID, SIGNER_KEY, dev_address
from exchange.chain.payment_orders import PaymentOrder
from exchange.chain.vault import payment_digest
from exchange.core.commands import OpenAccount, RefundWithdrawal, SettleWithdrawal
from exchange.core.events import Rejected, WithdrawalRequested
from exchange.gateway.signatures import SECP256K1_ORDER
from exchange.gateway.typed_data import TypedDataDomain


def signer_of(order: PaymentOrder, answer: dict[str, Any]) -> str:
    """Who signed the payment of an order, by the answer."""
    signature = bytes.fromhex(answer["signature"][2:])
    parsed = Signature(signature[:64] + bytes([signature[64] - 27]))
    digest = payment_digest(DEV_CHAIN_ID, VAULT, order.payment)
    return parsed.recover_public_key_from_msg_hash(digest).to_address()


# ---- what is signed --------------------------------------------------------------------------------------


async def test_a_journaled_withdrawal_is_signed_for_the_amount_less_the_fee(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested()

    status, answer = await ask(body_of(order))

    assert (status, answer["withdrawal_id"]) == (200, order.payment.withdrawal_id)
    assert answer["amount"] == str(1_000 - FEE_ATOMS)
    assert signer_of(order, answer) == dev_address(SIGNER_KEY)


async def test_a_sub_account_and_another_token_are_signed_for_too(ledger: Ledger, ask: Ask) -> None:
    await ledger.submit(OpenAccount(dev_address(ALICE), 3))
    order = await ledger.requested(ledger.message(token=USDC))
    assert (await ask(body_of(order)))[0] == 200


async def test_asked_again_the_same_signature_comes_back(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested()
    assert await ask(body_of(order)) == await ask(body_of(order))


async def test_a_request_that_was_journaled_a_moment_ago_is_found(ledger: Ledger, ask: Ask) -> None:
    for _ in range(3):
        assert (await ask(body_of(await ledger.requested())))[0] == 200


# ---- the owner -------------------------------------------------------------------------------------------


async def test_a_signature_by_somebody_else_is_refused(ledger: Ledger, ask: Ask) -> None:
    """The ledger takes it, as an engine would that somebody has bent: the signer does not."""
    message = ledger.message(ALICE)
    order = await ledger.requested(message, signer=BOB)

    status, answer = await ask(body_of(order))

    assert (status, answer["code"]) == (422, "signature_wrong_signer")


@pytest.mark.parametrize(
    "domain",
    [
        TypedDataDomain("0x" + "cd" * 32, DEV_CHAIN_ID, VAULT),
        "another chain",
        "another vault",
    ],
    ids=["another exchange", "another chain", "another vault"],
)
async def test_a_signature_for_another_deployment_is_refused(
    ledger: Ledger, ask: Ask, domain: TypedDataDomain | str
) -> None:
    if domain == "another chain":
        domain = TypedDataDomain(ledger.domain.genesis_id, 1, VAULT)
    elif domain == "another vault":
        domain = TypedDataDomain(ledger.domain.genesis_id, DEV_CHAIN_ID, "0x" + "77" * 20)
    assert isinstance(domain, TypedDataDomain)
    command = ledger.command(ledger.message(), domain=domain)
    order = await ledger.order(await ledger.submit(command))

    status, answer = await ask(body_of(order))

    assert (status, answer["code"]) == (422, "signature_wrong_signer")


@pytest.mark.parametrize(
    "change",
    [
        {"destination": "0x" + "d2" * 20},
        {"amount": "1001"},
        {"amount": "999"},
        {"token": USDC},
        {"maxFee": "11"},
        {"nonce": "99"},
        {"subAccount": "1"},
        {"account": dev_address(BOB)},
    ],
    ids=str,
)
async def test_a_message_that_the_owner_did_not_sign_is_refused(
    ledger: Ledger, ask: Ask, change: dict[str, str]
) -> None:
    order = await ledger.requested()

    status, answer = await ask(body_of(order, **change))

    assert (status, answer["code"]) == (422, "signature_wrong_signer")


async def test_a_later_deadline_than_the_owner_signed_is_refused(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested()

    status, answer = await ask(body_of(order, deadline=str(order.payment.deadline_s + 60)))

    assert (status, answer["code"]) == (422, "signature_wrong_signer")


async def test_the_other_form_of_a_signature_is_refused(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested()
    signature = bytes.fromhex(order.request.signature[2:])
    high_s = SECP256K1_ORDER - int.from_bytes(signature[32:64])
    other = signature[:32] + high_s.to_bytes(32) + bytes([55 - signature[64]])

    status, answer = await ask(body_of(order, owner_signature=f"0x{other.hex()}"))

    assert (status, answer["code"]) == (422, "signature_malleable")


@pytest.mark.parametrize(
    "signature", ["", "0x", "0x" + "00" * 65, "0x" + "11" * 64 + "1b" + "00", "11" * 65, "0x" + "zz" * 65]
)
async def test_what_is_no_signature_is_refused(ledger: Ledger, ask: Ask, signature: str) -> None:
    status, answer = await ask(body_of(await ledger.requested(), owner_signature=signature))

    assert (status, answer["code"]) == (422, "signature_invalid")


# ---- the terms -------------------------------------------------------------------------------------------


async def test_a_fee_above_what_the_owner_allows_is_refused(ledger: Ledger, ask: Ask) -> None:
    status, answer = await ask(body_of(await ledger.requested(), fee="11"))

    assert (status, answer["code"]) == (422, "fee_above_maximum")


async def test_a_withdrawal_of_which_nothing_is_left_is_refused(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested(ledger.message(amount_atoms=10, max_fee_atoms=10))

    status, answer = await ask(body_of(order, fee="10"))

    assert (status, answer["code"]) == (422, "amount_not_above_fee")


async def test_a_deadline_that_has_passed_is_refused(
    ledger: Ledger, signer: PolicySignerServer, ask: Ask
) -> None:
    order = await ledger.requested()
    signer.now_s = lambda: order.payment.deadline_s
    assert (await ask(body_of(order)))[1]["code"] == "deadline_passed"

    signer.now_s = lambda: order.payment.deadline_s - 0.5
    assert (await ask(body_of(order)))[0] == 200


async def test_a_deadline_more_than_a_day_ahead_is_refused(
    ledger: Ledger, signer: PolicySignerServer, ask: Ask
) -> None:
    order = await ledger.requested()
    signer.now_s = lambda: order.payment.deadline_s - 86_401
    assert (await ask(body_of(order)))[1]["code"] == "deadline_too_far"

    signer.now_s = lambda: order.payment.deadline_s - 86_400
    assert (await ask(body_of(order)))[0] == 200


# ---- the journal -----------------------------------------------------------------------------------------


async def test_a_signed_message_that_was_never_journaled_is_refused(ledger: Ledger, ask: Ask) -> None:
    """An owner can sign anything; only what the ledger took from the account is owed."""
    message = ledger.message()
    order = claimed(message, ledger.command(message), ledger.committed.seq)

    status, answer = await ask(body_of(order))

    assert (status, answer["code"]) == (422, "request_not_journaled")


@pytest.mark.parametrize("off_by", [-1, 1])
async def test_a_seq_at_which_the_journal_has_something_else_is_refused(
    ledger: Ledger, ask: Ask, off_by: int
) -> None:
    order = await ledger.requested()

    status, answer = await ask(body_of(order, journal_seq=order.request.journal_seq + off_by))

    assert (status, answer["code"]) == (422, "request_not_journaled")


async def test_a_seq_that_the_journal_has_not_reached_is_unknown_for_now(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested()

    status, answer = await ask(body_of(order, journal_seq=order.request.journal_seq + 2))

    assert (status, answer["code"]) == (503, "journal_behind")


async def test_a_request_that_the_core_refused_is_not_signed(ledger: Ledger, ask: Ask) -> None:
    """Of an owner without funds: the command is in the journal, with a refusal beside it."""
    await ledger.submit(OpenAccount(dev_address(CAROL)))
    message = ledger.message(CAROL)
    command = ledger.command(message, signer=CAROL)
    outcome = await ledger.submit(command)
    assert isinstance(outcome.events[0], Rejected)

    status, answer = await ask(body_of(claimed(message, command, outcome.seq)))

    assert (status, answer["code"]) == (422, "request_not_journaled")


async def test_a_request_is_known_at_the_seq_where_it_was_taken_only(ledger: Ledger, ask: Ask) -> None:
    message = ledger.message()
    command = ledger.command(message)
    assert isinstance((await ledger.submit(command)).events[0], WithdrawalRequested)
    again = await ledger.submit(command)
    assert isinstance(again.events[0], Rejected)

    status, answer = await ask(body_of(claimed(message, command, again.seq)))

    assert (status, answer["code"]) == (422, "request_not_journaled")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"destination": "0x" + "d2" * 20}, "destination"),
        ({"amount_atoms": 999}, "amount"),
        ({"fee_atoms": 4}, "fee"),
        ({"token": USDC}, "token"),
        ({"owner": dev_address(BOB)}, "account"),
        ({"nonce": 77}, "nonce"),
    ],
    ids=str,
)
async def test_a_journal_that_says_something_else_than_the_owner_is_refused(
    ledger: Ledger, ask: Ask, change: dict[str, Any], field: str
) -> None:
    message = ledger.message()
    command = ledger.command(message)
    event = taken(command, message, **change)
    seq = await append_forged(ledger.pool, [command], [[event]], ledger.committed.time_ns)

    status, answer = await ask(body_of(claimed(message, command, seq)))

    assert (status, answer["code"]) == (422, "request_differs")
    assert answer["detail"].startswith(field)


async def test_another_fee_than_the_ledger_took_is_refused(ledger: Ledger, ask: Ask) -> None:
    """Within the owner's limit, and still not what the account was charged."""
    status, answer = await ask(body_of(await ledger.requested(), fee="0"))

    assert (status, answer["code"]) == (422, "request_differs")


async def test_a_withdrawal_of_another_vault_is_not_known(ledger: Ledger, ask: Ask) -> None:
    message = ledger.message()
    command = ledger.command(message)
    event = taken(command, message, vault="0x" + "77" * 20)
    seq = await append_forged(ledger.pool, [command], [[event]], ledger.committed.time_ns)

    status, answer = await ask(body_of(claimed(message, command, seq)))

    assert (status, answer["code"]) == (422, "request_not_journaled")


async def test_what_the_ledger_has_settled_is_not_signed_again(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested()
    assert (await ask(body_of(order)))[0] == 200
    await ledger.submit(SettleWithdrawal(order.payment.withdrawal_id, "0x" + "ee" * 32, 7, "paid"))

    status, answer = await ask(body_of(order))

    assert (status, answer["code"]) == (422, "withdrawal_final")


async def test_what_the_ledger_has_refunded_is_not_signed(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested()
    await ledger.submit(RefundWithdrawal(order.payment.withdrawal_id, 7, order.payment.deadline_s + 1))

    status, answer = await ask(body_of(order))

    assert (status, answer["code"]) == (422, "withdrawal_final")
