"""A payment order: the payment and the owner's request out of the journal, and that one follows the other."""

from dataclasses import replace

import pytest
from tests.chain.conftest import Exchange

from exchange.chain.dev_keys import DEV_CHAIN_ID, SIGNER_KEY, dev_address, dev_key
from exchange.chain.errors import OrderInconsistent, RequestNotJournaled
from exchange.chain.payment_orders import OwnerRequest, PaymentOrder, owner_request
from exchange.chain.signer import LocalSigner
from exchange.chain.vault import Payment
from exchange.core.commands import CreditDeposit, ListAsset, OpenAccount, RequestWithdrawal
from exchange.core.events import Rejected
from exchange.core.markets import NATIVE_TOKEN

VAULT = "0x" + "e5" * 20
OWNER = dev_address(0)
WITHDRAWAL_ID = "0x" + "51" * 32
SIGNATURE = "0x" + "99" * 65

REQUEST = OwnerRequest(
    withdrawal_id=WITHDRAWAL_ID,
    owner=OWNER,
    sub_account=3,
    token=NATIVE_TOKEN,
    amount_atoms=1_000,
    max_fee_atoms=10,
    destination="0x" + "d1" * 20,
    nonce=7,
    deadline_s=2_000_000_000,
    signature=SIGNATURE,
    journal_seq=4,
)
PAYMENT = Payment(WITHDRAWAL_ID, OWNER, NATIVE_TOKEN, 995, REQUEST.destination, REQUEST.deadline_s)


def signer() -> LocalSigner:
    return LocalSigner(dev_key(SIGNER_KEY), DEV_CHAIN_ID, VAULT)


async def requested(amount_atoms: int = 1_000) -> tuple[Exchange, int, RequestWithdrawal]:
    """An exchange whose user has asked for a withdrawal from sub-account 3; its seq and command."""
    exchange = Exchange()
    await exchange.submit(ListAsset("ETH", 18, DEV_CHAIN_ID, VAULT, NATIVE_TOKEN, withdrawal_fee_atoms=5))
    await exchange.submit(OpenAccount(OWNER))
    deposit = CreditDeposit(DEV_CHAIN_ID, VAULT, 1, OWNER, NATIVE_TOKEN, 5_000, "0x" + "11" * 32, 0, 1)
    await exchange.submit(deposit)
    account_id = exchange.committed.account_id(OWNER)
    assert account_id is not None
    command = RequestWithdrawal(
        WITHDRAWAL_ID,
        account_id,
        1,
        amount_atoms,
        10,
        "0x" + "d1" * 20,
        7,
        exchange.state.time_ns // 10**9 + 600,
        SIGNATURE,
    )
    outcome = await exchange.submit(command)
    return exchange, outcome.seq, command


async def test_the_owners_request_is_read_from_its_row_of_the_journal() -> None:
    exchange, seq, command = await requested()

    request = await owner_request(exchange, exchange.committed.sub_account, seq, WITHDRAWAL_ID)

    assert request == replace(REQUEST, sub_account=0, deadline_s=command.deadline_s, journal_seq=seq)


@pytest.mark.parametrize("off_by", [-1, 1])
async def test_a_seq_that_is_another_commands_has_no_request(off_by: int) -> None:
    exchange, seq, _ = await requested()

    with pytest.raises(RequestNotJournaled):
        await owner_request(exchange, exchange.committed.sub_account, seq + off_by, WITHDRAWAL_ID)


async def test_a_request_under_another_id_is_not_taken_for_it() -> None:
    exchange, seq, _ = await requested()

    with pytest.raises(RequestNotJournaled):
        await owner_request(exchange, exchange.committed.sub_account, seq, "0x" + "52" * 32)


async def test_a_request_that_the_core_refused_is_none() -> None:
    exchange, seq, _ = await requested(amount_atoms=6_000)
    assert isinstance(exchange.rows[seq - 1].events[0][0], Rejected)

    with pytest.raises(RequestNotJournaled):
        await owner_request(exchange, exchange.committed.sub_account, seq, WITHDRAWAL_ID)


async def test_an_order_that_follows_the_request_is_signed_and_always_the_same_way() -> None:
    order = PaymentOrder(PAYMENT, REQUEST)

    assert order.fee_atoms == 5
    assert await signer().sign_order(order) == await signer().sign_order(order)


@pytest.mark.parametrize(
    ("payment", "field"),
    [
        (replace(PAYMENT, withdrawal_id="0x" + "52" * 32), "withdrawal_id"),
        (replace(PAYMENT, account=dev_address(1)), "account"),
        (replace(PAYMENT, token="0x" + "70" * 20), "token"),
        (replace(PAYMENT, destination="0x" + "d2" * 20), "destination"),
        (replace(PAYMENT, deadline_s=PAYMENT.deadline_s + 1), "deadline_s"),
        (replace(PAYMENT, amount_atoms=989), "amount_atoms"),
        (replace(PAYMENT, amount_atoms=1_001), "amount_atoms"),
        (replace(PAYMENT, amount_atoms=0), "amount_atoms"),
    ],
)
async def test_a_payment_that_differs_from_the_owners_request_is_not_signed(
    payment: Payment, field: str
) -> None:
    with pytest.raises(OrderInconsistent) as refusal:
        await signer().sign_order(PaymentOrder(payment, REQUEST))

    assert refusal.value.field == field


async def test_a_fee_of_nothing_and_of_the_maximum_are_within_the_limit() -> None:
    for amount_atoms in (1_000, 990):
        assert await signer().sign_order(PaymentOrder(replace(PAYMENT, amount_atoms=amount_atoms), REQUEST))
