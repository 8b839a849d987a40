"""The exchange's side: an answer is believed for its signature alone, and every other one is told apart."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from eth_typing import Hash32
from tests.fixtures.policy_signer import PolicySignerServer
from tests.policy_signer.ledger import ALICE, BOB, DESTINATION, FEE_ATOMS, VAULT, Ledger, order_of

from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, SIGNER_KEY, dev_account, dev_address, dev_key
from exchange.chain.errors import OrderInconsistent, SignerRefused, SignerUnavailable
from exchange.chain.payment_orders import OwnerRequest, PaymentOrder
from exchange.chain.remote_signer import MAX_ANSWER_BYTES, PolicySignerAt, RemoteSigner
from exchange.chain.signer import LocalSigner
from exchange.chain.vault import payment_digest
from exchange.core.markets import NATIVE_TOKEN
from exchange.gateway.signatures import SECP256K1_ORDER


@pytest.fixture
async def client(signer: PolicySignerServer) -> AsyncIterator[RemoteSigner]:
    async with RemoteSigner(signer.where, DEV_CHAIN_ID, VAULT) as opened:
        yield opened


async def test_the_signature_is_the_one_that_the_key_gives_anywhere(
    ledger: Ledger, client: RemoteSigner
) -> None:
    order = await ledger.requested()
    local = LocalSigner(dev_key(SIGNER_KEY), DEV_CHAIN_ID, VAULT)
    assert await client.sign_order(order) == await local.sign_order(order)


async def test_a_refusal_concerns_its_payment_and_says_why(ledger: Ledger, client: RemoteSigner) -> None:
    order = await ledger.requested(ledger.message(ALICE), signer=BOB)
    with pytest.raises(SignerRefused) as refusal:
        await client.sign_order(order)
    assert refusal.value.code == "signature_wrong_signer"
    assert refusal.value.withdrawal_id == order.payment.withdrawal_id


async def test_an_order_that_is_not_the_owners_is_not_even_sent(ledger: Ledger) -> None:
    order = await ledger.requested()
    nowhere = PolicySignerAt("http://127.0.0.1:1", "t" * 32, dev_address(SIGNER_KEY))
    async with RemoteSigner(nowhere, DEV_CHAIN_ID, VAULT) as client:
        with pytest.raises(OrderInconsistent):
            await client.sign_order(PaymentOrder(replace(order.payment, amount_atoms=1), order.request))


async def test_a_journal_that_can_not_be_read_is_no_fault_of_the_payment(
    ledger: Ledger, client: RemoteSigner
) -> None:
    order = await ledger.requested()
    await ledger.pool.execute("REVOKE SELECT ON journal FROM policy_reader")
    with pytest.raises(SignerUnavailable, match="journal_unavailable"):
        await client.sign_order(order)
    await ledger.pool.execute("GRANT SELECT ON journal TO policy_reader")
    assert len(await client.sign_order(order)) == 65


async def test_a_wrong_token_means_that_nothing_can_be_signed(
    ledger: Ledger, signer: PolicySignerServer
) -> None:
    order = await ledger.requested()
    async with RemoteSigner(replace(signer.where, token="x" * 40), DEV_CHAIN_ID, VAULT) as client:
        with pytest.raises(SignerUnavailable, match="unauthenticated") as failure:
            await client.sign_order(order)
    assert "x" * 40 not in str(failure.value)


async def test_a_signer_that_is_not_there_is_waited_for(
    ledger: Ledger, signer: PolicySignerServer, client: RemoteSigner
) -> None:
    order = await ledger.requested()
    await signer.stop()
    with pytest.raises(SignerUnavailable) as failure:
        await client.sign_order(order)
    assert str(signer.port) not in str(failure.value)
    await signer.start()
    assert len(await client.sign_order(order)) == 65


async def test_another_key_than_the_configured_one_is_not_believed(
    ledger: Ledger, signer: PolicySignerServer
) -> None:
    """A signer that was given another key, or somebody in its place: the vault would skip the payment."""
    order = await ledger.requested()
    where = replace(signer.where, address=dev_address(SENDER_KEY))
    async with RemoteSigner(where, DEV_CHAIN_ID, VAULT) as client:
        with pytest.raises(SignerUnavailable, match="configured address"):
            await client.sign_order(order)


async def test_a_signature_for_another_vault_is_not_believed(
    ledger: Ledger, signer: PolicySignerServer
) -> None:
    order = await ledger.requested()
    async with RemoteSigner(signer.where, DEV_CHAIN_ID, "0x" + "77" * 20) as client:
        with pytest.raises(SignerUnavailable, match="configured address"):
            await client.sign_order(order)


# ---- somebody in the signer's place ----------------------------------------------------------------------


class Impostor:
    """An HTTP server that answers whatever it is told to."""

    def __init__(self) -> None:
        self.status = 200
        self.body: bytes | None = None
        self.signature = ""
        self.hangs = False
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        if self.hangs:
            await asyncio.Event().wait()
        if self.body is not None:
            return web.Response(status=self.status, body=self.body, headers={"Location": "http://x.example"})
        return web.json_response({"signature": self.signature}, status=self.status)


@pytest.fixture
async def impostor() -> AsyncIterator[Impostor]:
    server = Impostor()
    app = web.Application()
    app.router.add_post("/v1/payments/sign", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@pytest.fixture
async def misled(impostor: Impostor) -> AsyncIterator[RemoteSigner]:
    """A client that talks to the impostor."""
    where = PolicySignerAt(f"http://127.0.0.1:{impostor.port}/", "t" * 32, dev_address(SIGNER_KEY))
    async with RemoteSigner(where, DEV_CHAIN_ID, VAULT, timeout_s=2.0) as client:
        yield client


REQUEST = OwnerRequest(
    "0x" + "51" * 32, dev_address(ALICE), 0, NATIVE_TOKEN, 1_000, 10, DESTINATION, 7, 1_800_000_000, "0x", 1
)
ORDER = order_of(REQUEST, FEE_ATOMS)


def signed_by(user: int, order: PaymentOrder) -> bytes:
    digest = payment_digest(DEV_CHAIN_ID, VAULT, order.payment)
    return bytes(dev_account(user).unsafe_sign_hash(Hash32(digest)).signature)


async def test_a_right_signature_is_believed_whoever_brings_it(
    impostor: Impostor, misled: RemoteSigner
) -> None:
    impostor.signature = f"0x{signed_by(SIGNER_KEY, ORDER).hex()}"
    assert await misled.sign_order(ORDER) == signed_by(SIGNER_KEY, ORDER)


@pytest.mark.parametrize(
    "form", ["", "0x", "0x" + "zz" * 65, "0x" + "00" * 65, "0x" + "11" * 65, "0x" + "11" * 66]
)
async def test_what_is_no_signature_is_not_believed(
    impostor: Impostor, misled: RemoteSigner, form: str
) -> None:
    impostor.signature = form
    with pytest.raises(SignerUnavailable):
        await misled.sign_order(ORDER)


async def test_a_signature_over_another_payment_is_not_believed(
    impostor: Impostor, misled: RemoteSigner
) -> None:
    other = order_of(replace(REQUEST, amount_atoms=1_001), FEE_ATOMS)
    impostor.signature = f"0x{signed_by(SIGNER_KEY, other).hex()}"
    with pytest.raises(SignerUnavailable):
        await misled.sign_order(ORDER)


async def test_a_form_that_the_vault_refuses_is_not_believed(
    impostor: Impostor, misled: RemoteSigner
) -> None:
    """The upper half of s, or v of 0 and 1: the right key, and gas spent on a payment that is skipped."""
    right = signed_by(SIGNER_KEY, ORDER)
    high_s = (SECP256K1_ORDER - int.from_bytes(right[32:64])).to_bytes(32)
    for wrong in (right[:32] + high_s + bytes([55 - right[64]]), right[:64] + bytes([right[64] - 27])):
        impostor.signature = f"0x{wrong.hex()}"
        with pytest.raises(SignerUnavailable):
            await misled.sign_order(ORDER)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"[]"),
        (200, b"null"),
        (200, b"<html>"),
        (200, b"{}"),
        (200, b'{"signature": 5}'),
        (200, b" " * (MAX_ANSWER_BYTES + 1)),
        (201, b'{"code": "x"}'),
        (301, b'{"code": "x"}'),
        (401, b"{}"),
        (404, b"{}"),
        (422, b"<html>"),
        (500, b'{"code": "internal"}'),
        (502, b"<html>"),
        (503, b'{"code": "journal_behind"}'),
    ],
)
async def test_no_answer_but_a_signature_or_a_refusal_says_anything_about_the_payment(
    impostor: Impostor, misled: RemoteSigner, status: int, body: bytes
) -> None:
    impostor.status, impostor.body = status, body
    with pytest.raises(SignerUnavailable):
        await misled.sign_order(ORDER)


async def test_a_refusal_in_strange_words_is_a_refusal_and_is_cut_short(
    impostor: Impostor, misled: RemoteSigner
) -> None:
    impostor.status, impostor.body = 422, b'{"code": {"a": 1}, "detail": "' + b"x" * 10_000 + b'"}'
    with pytest.raises(SignerRefused) as refusal:
        await misled.sign_order(ORDER)
    assert len(str(refusal.value)) < 1_000


async def test_an_answer_that_does_not_come_means_not_now(impostor: Impostor, misled: RemoteSigner) -> None:
    impostor.hangs = True
    with pytest.raises(SignerUnavailable, match="Timeout"):
        await misled.sign_order(ORDER)
