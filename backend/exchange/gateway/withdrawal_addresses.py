"""An address that the owner wants to be able to withdraw to: what was typed and signed, checked.

Adding one needs the owner's signature, like a withdrawal, so that whoever has stolen a session can not put
his own address on the list and wait. The label is not signed: it is shown to the owner, and decides nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from exchange.core.markets import NATIVE_TOKEN, Asset
from exchange.gateway.addresses import parse_address
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.gateway.signatures import parse_deadline_s, parse_signature, require_signer
from exchange.gateway.typed_data import TypedDataDomain, WithdrawalAddressMessage
from exchange.gateway.withdrawals import parse_nonce

MAX_LABEL_CHARS = 64


@dataclass(frozen=True, slots=True)
class WithdrawalAddressForm:
    """The fields as they came."""

    address: str
    label: str
    nonce: str
    deadline_s: int
    signature: str


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """A destination that its owner has signed for. Addresses lower case, `digest` and `signature` with 0x."""

    owner: str
    address: str
    label: str
    nonce: int
    deadline_s: int
    digest: str
    signature: str


def signed_address(
    form: WithdrawalAddressForm,
    owner: str,
    assets: Iterable[Asset],
    domain: TypedDataDomain,
    now_ns: int,
) -> SignedAddress:
    """The destination of a signed request. Raises FieldRefused, SignatureRefused."""
    address = _parse_destination(form.address, owner, assets, domain)
    label = _parse_label(form.label)
    message = WithdrawalAddressMessage(
        account=owner,
        destination=address,
        nonce=parse_nonce(form.nonce),
        deadline_s=parse_deadline_s(form.deadline_s, now_ns // 10**9),
    )
    signature = parse_signature(form.signature)
    digest = domain.address_digest(message)
    require_signer(digest, signature, owner)
    return SignedAddress(
        owner=owner,
        address=address,
        label=label,
        nonce=message.nonce,
        deadline_s=message.deadline_s,
        digest="0x" + digest.hex(),
        signature="0x" + signature.hex(),
    )


def _parse_destination(text: str, owner: str, assets: Iterable[Asset], domain: TypedDataDomain) -> str:
    address = parse_address(text, "address")
    if address in {NATIVE_TOKEN, domain.vault, *(asset.token for asset in assets)}:
        raise FieldRefused(
            GatewayCode.DESTINATION_INVALID,
            "what is sent to this address would be lost",
            field="address",
            value=text,
        )
    if address == owner:
        raise FieldRefused(
            GatewayCode.DESTINATION_INVALID,
            "your own wallet is always allowed; it needs no entry",
            field="address",
            value=text,
        )
    return address


def _parse_label(label: str) -> str:
    """Text that looks like what it is: no control or direction characters, no blanks around it."""
    if len(label) > MAX_LABEL_CHARS or not label.isprintable() or label != label.strip():
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            f"at most {MAX_LABEL_CHARS} printable characters, without blanks at either end",
            field="label",
            value=label,
        )
    return label
