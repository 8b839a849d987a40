"""The policy: the ladder of questions between a request and a signature.

    who signed it    the owner's typed data, under this signer's own genesis id, chain and vault
    what it asks     a fee within the owner's limit, something left of it, a deadline not far off
    is it owed       the journal, read here, has this request with these very fields, it is not final, and its
                     account is not frozen
    how much         this signer's own limits, per payment and per window, counted once per id
    then             it signs the payment that it has derived itself

Everything comes from the owner's message: the id is its digest, and the payment is the message less the fee.
So a caller who lies about anything asks for a payment that its owner has not signed or the journal does not
have. A bare hash has no way in. The first question that fails is the answer (policy_signer.refusals).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from exchange.chain.payment_orders import OwnerRequest, PaymentOrder
from exchange.chain.signer import LocalSigner
from exchange.chain.vault import Payment, payment_digest
from exchange.core.custody import MAX_WITHDRAWAL_DEADLINE_S
from exchange.gateway.refusals import SignatureRefused
from exchange.gateway.signatures import require_signer
from exchange.gateway.typed_data import TypedDataDomain
from exchange.policy_signer.journal_watch import JournaledRequest, JournalWatch
from exchange.policy_signer.limits import TokenLimits
from exchange.policy_signer.refusals import RefusalCode, Refused
from exchange.policy_signer.requests import SigningRequest
from exchange.policy_signer.settings import Identity
from exchange.policy_signer.signed_payments import SignedPayments

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SignedPayment:
    """The answer: the payment as it was derived, and 65 bytes r, s, v over it."""

    payment: Payment
    signature: bytes


class Policy:
    """Decides and signs for one deployment. `now_s` is the wall clock in seconds."""

    def __init__(
        self,
        identity: Identity,
        signer: LocalSigner,
        limits: Mapping[str, TokenLimits],
        journal: JournalWatch,
        signed: SignedPayments,
        now_s: Callable[[], float],
    ) -> None:
        self._identity = identity
        self._domain = TypedDataDomain(identity.genesis_id, identity.chain_id, identity.vault)
        self._signer = signer
        self._limits = limits
        self._journal = journal
        self._signed = signed
        self._now_s = now_s

    async def sign(self, request: SigningRequest) -> SignedPayment:
        """Raises Refused with the reason."""
        withdrawal_id = "0x" + self._domain.digest(request.message).hex()
        try:
            return await self._decide(request, withdrawal_id)
        except Refused as refusal:
            log.warning(
                "payment_refused",
                withdrawal=withdrawal_id,
                code=refusal.code,
                detail=refusal.detail,
                seq=request.journal_seq,
            )
            raise

    async def _decide(self, request: SigningRequest, withdrawal_id: str) -> SignedPayment:
        order = self._derived(request, withdrawal_id)
        self._check_owner(request, bytes.fromhex(withdrawal_id[2:]))
        self._check_terms(request)
        limits = self._limits_of(order.payment)
        _check_same(order, await self._journal.requested(withdrawal_id, request.journal_seq))
        digest = payment_digest(self._identity.chain_id, self._identity.vault, order.payment)
        # The clock again: reading the journal may have taken a while.
        self._check_terms(request)
        is_new = self._signed.record(order.payment, digest, limits, int(self._now_s()))
        signature = await self._signer.sign_order(order)
        log.info(
            "payment_signed",
            withdrawal=withdrawal_id,
            token=order.payment.token,
            amount_atoms=order.payment.amount_atoms,
            destination=order.payment.destination,
            seq=request.journal_seq,
            again=not is_new,
        )
        return SignedPayment(order.payment, signature)

    def _derived(self, request: SigningRequest, withdrawal_id: str) -> PaymentOrder:
        message = request.message
        return PaymentOrder(
            payment=Payment(
                withdrawal_id=withdrawal_id,
                account=message.account,
                token=message.token,
                amount_atoms=message.amount_atoms - request.fee_atoms,
                destination=message.destination,
                deadline_s=message.deadline_s,
            ),
            request=OwnerRequest(
                withdrawal_id=withdrawal_id,
                owner=message.account,
                sub_account=message.sub_account,
                token=message.token,
                amount_atoms=message.amount_atoms,
                max_fee_atoms=message.max_fee_atoms,
                destination=message.destination,
                nonce=message.nonce,
                deadline_s=message.deadline_s,
                signature="0x" + request.owner_signature.hex(),
                journal_seq=request.journal_seq,
            ),
        )

    def _check_owner(self, request: SigningRequest, digest: bytes) -> None:
        try:
            require_signer(digest, request.owner_signature, request.message.account, "owner_signature")
        except SignatureRefused as error:
            raise Refused(RefusalCode(error.code), error.detail) from error

    def _check_terms(self, request: SigningRequest) -> None:
        message, now_s = request.message, int(self._now_s())
        if request.fee_atoms > message.max_fee_atoms:
            raise Refused(
                RefusalCode.FEE_ABOVE_MAXIMUM, f"the owner allows a fee of {message.max_fee_atoms} atoms"
            )
        if message.amount_atoms <= request.fee_atoms:
            raise Refused(RefusalCode.AMOUNT_NOT_ABOVE_FEE, "nothing is left after the fee")
        if message.deadline_s <= now_s:
            raise Refused(RefusalCode.DEADLINE_PASSED, f"the deadline is past; it is {now_s} here")
        if message.deadline_s > now_s + MAX_WITHDRAWAL_DEADLINE_S:
            raise Refused(
                RefusalCode.DEADLINE_TOO_FAR,
                f"more than {MAX_WITHDRAWAL_DEADLINE_S} s ahead; it is {now_s} here",
            )

    def _limits_of(self, payment: Payment) -> TokenLimits:
        limits = self._limits.get(payment.token)
        if limits is None:
            raise Refused(RefusalCode.TOKEN_NOT_ALLOWED, f"no limits are set for token {payment.token}")
        if payment.amount_atoms > limits.max_payment_atoms:
            raise Refused(
                RefusalCode.PAYMENT_LIMIT_EXCEEDED,
                f"{payment.amount_atoms} atoms; one payment may be {limits.max_payment_atoms}",
            )
        return limits


def _check_same(order: PaymentOrder, journaled: JournaledRequest) -> None:
    """That the journal's request is this one, to the last field, in flight, and may go. Raises Refused."""
    request = order.request
    for field, asked, known in (
        ("account", request.owner, journaled.owner),
        ("token", request.token, journaled.token),
        ("amount", request.amount_atoms, journaled.amount_atoms),
        ("maxFee", request.max_fee_atoms, journaled.max_fee_atoms),
        ("fee", order.fee_atoms, journaled.fee_atoms),
        ("destination", request.destination, journaled.destination),
        ("nonce", request.nonce, journaled.nonce),
        ("deadline", request.deadline_s, journaled.deadline_s),
        ("owner_signature", request.signature, journaled.signature),
    ):
        if asked != known:
            raise Refused(RefusalCode.REQUEST_DIFFERS, f"{field} is not the one in the journal")
    if journaled.final is not None:
        raise Refused(RefusalCode.WITHDRAWAL_FINAL, f"the ledger has {journaled.final} it")
    if journaled.is_frozen:
        raise Refused(RefusalCode.ACCOUNT_FROZEN, "by the journal its account is frozen")
