"""What a mined transaction did with a payment, read from its receipt."""

from exchange.chain.errors import PaymentDiffersOnChain
from exchange.chain.payment_rows import ChainOutcome, StoredPayment
from exchange.chain.rpc import Receipt
from exchange.chain.vault import PaymentMade, PaymentSkipped, SkipReason, decode_payment

MADE = (ChainOutcome.PAID, ChainOutcome.CLAIMABLE)
NEVER_PAYABLE = {
    SkipReason.EXPIRED,
    SkipReason.ZERO_AMOUNT,
    SkipReason.AMOUNT_TOO_LARGE,
    SkipReason.INVALID_ACCOUNT,
    SkipReason.INVALID_DESTINATION,
}


def outcome_of(payment: StoredPayment, vault: str, receipt: Receipt) -> tuple[ChainOutcome, int | None]:
    """What a mined transaction did with a payment, and the vault's reason when it skipped it.

    Raises PaymentDiffersOnChain, LogInvalid.
    """
    if not receipt.succeeded:
        return ChainOutcome.REVERTED, None
    for entry in receipt.logs:
        if entry.address != vault:
            continue
        event = decode_payment(entry)
        if event is None or event.withdrawal_id != payment.withdrawal_id:
            continue
        if isinstance(event, PaymentSkipped):
            return ChainOutcome.SKIPPED, event.reason
        assert isinstance(event, PaymentMade)
        if not event.fulfils(payment.payment):
            break
        return (ChainOutcome.CLAIMABLE if event.claimable else ChainOutcome.PAID), None
    raise PaymentDiffersOnChain(payment.withdrawal_id, receipt.tx_hash)
