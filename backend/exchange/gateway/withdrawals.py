"""A withdrawal request: what the owner typed and signed, checked, as the core's command.

Only the wallet that owns the account can sign one; a session alone, or a stolen one, can not. The message
is rebuilt here from the request's own fields and the session's owner, so a signature over any other
amount, asset, destination, nonce, deadline or deployment recovers to some other address.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.core.commands import RequestWithdrawal
from exchange.core.markets import NATIVE_TOKEN, Asset
from exchange.core.rejects import RejectReason
from exchange.gateway.addresses import parse_address
from exchange.gateway.fields import parse_amount_atoms
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.gateway.signatures import parse_signature, require_signer
from exchange.gateway.typed_data import TypedDataDomain, WithdrawalMessage

MAX_NONCE = 2**63 - 1
MAX_DEADLINE_S = 2**40
MIN_DEADLINE_AWAY_S = 120
"""What signs payments wants room before the deadline; a request with less could only ever be refunded."""
_MAX_NONCE_CHARS = 19


@dataclass(frozen=True, slots=True)
class WithdrawalForm:
    """The fields as they came, decimals as text."""

    asset: str
    amount: str
    max_fee: str
    destination: str
    nonce: str
    deadline_s: int
    signature: str
    sub_account: int = 0


def withdrawal_command(
    form: WithdrawalForm,
    account_id: int,
    owner: str,
    assets: Mapping[str, Asset],
    domain: TypedDataDomain,
    now_ns: int,
) -> RequestWithdrawal:
    """The command of a signed request; `account_id` is the owner's `form.sub_account`.

    Raises FieldRefused, SignatureRefused.
    """
    asset = find_asset(form.asset, assets)
    destination = parse_destination(form.destination, asset, domain)
    deadline_s = _parse_deadline_s(form.deadline_s, now_ns)
    message = WithdrawalMessage(
        account=owner,
        sub_account=form.sub_account,
        token=asset.token,
        amount_atoms=parse_amount_atoms(form.amount, asset.decimals, "amount"),
        max_fee_atoms=parse_amount_atoms(form.max_fee, asset.decimals, "max_fee", zero_allowed=True),
        destination=destination,
        nonce=parse_nonce(form.nonce),
        deadline_s=deadline_s,
    )
    signature = parse_signature(form.signature)
    digest = domain.digest(message)
    require_signer(digest, signature, owner)
    return RequestWithdrawal(
        withdrawal_id="0x" + digest.hex(),
        account_id=account_id,
        asset_id=asset.asset_id,
        amount_atoms=message.amount_atoms,
        max_fee_atoms=message.max_fee_atoms,
        destination=destination,
        nonce=message.nonce,
        deadline_s=deadline_s,
        signature="0x" + signature.hex(),
    )


def find_asset(symbol: str, assets: Mapping[str, Asset]) -> Asset:
    """The listed asset of a request. Raises FieldRefused (unknown_asset)."""
    asset = assets.get(symbol)
    if asset is None or not asset.listed:
        raise FieldRefused(RejectReason.UNKNOWN_ASSET, "no such asset", field="asset", value=symbol)
    return asset


def parse_destination(text: str, asset: Asset, domain: TypedDataDomain) -> str:
    """Who is to be paid, in lower case. Raises FieldRefused (address_invalid, destination_invalid)."""
    destination = parse_address(text, "destination")
    if destination in (NATIVE_TOKEN, domain.vault, asset.token):
        raise FieldRefused(
            GatewayCode.DESTINATION_INVALID,
            "what is sent to this address would be lost",
            field="destination",
            value=text,
        )
    return destination


def _parse_deadline_s(deadline_s: int, now_ns: int) -> int:
    now_s = now_ns // 10**9
    if deadline_s <= now_s:
        raise FieldRefused(
            RejectReason.WITHDRAWAL_DEADLINE_PASSED,
            f"the deadline is past; it is {now_s} now",
            field="deadline_s",
            value=deadline_s,
        )
    if deadline_s < now_s + MIN_DEADLINE_AWAY_S:
        raise FieldRefused(
            GatewayCode.WITHDRAWAL_DEADLINE_TOO_NEAR,
            f"at least {MIN_DEADLINE_AWAY_S} s from now; it is {now_s} now",
            field="deadline_s",
            value=deadline_s,
        )
    if deadline_s > MAX_DEADLINE_S:
        raise FieldRefused(
            RejectReason.WITHDRAWAL_DEADLINE_TOO_FAR,
            "the deadline is too far off",
            field="deadline_s",
            value=deadline_s,
        )
    return deadline_s


def parse_nonce(nonce: str) -> int:
    """A signed message's nonce, 0 to MAX_NONCE, in digits. Raises FieldRefused (field_invalid)."""
    if nonce.isascii() and nonce.isdigit() and len(nonce) <= _MAX_NONCE_CHARS and str(int(nonce)) == nonce:
        number = int(nonce)
        if number <= MAX_NONCE:
            return number
    raise FieldRefused(
        GatewayCode.FIELD_INVALID,
        f"must be a whole number from 0 to {MAX_NONCE}, as digits",
        field="nonce",
        value=nonce,
    )
