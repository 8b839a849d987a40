"""Wallet signatures under one strict rule, for logins and for withdrawals.

A signature is 65 bytes r, s, v with v of 27 or 28, r and s inside the curve's order, and s in its lower
half; so for one key and one digest there is one text that we take, and no second form of a used one.
Wallet libraries accept v of 0 or 1 and high s: we do not. Nothing is ever keyed on signature bytes.
Source: EIP-2 (low s), secp256k1 order from SEC 2.
"""

import re

from coincurve import PublicKey
from eth_hash.auto import keccak

from exchange.gateway.refusals import GatewayCode, SignatureRefused

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER = SECP256K1_ORDER // 2
MAX_DEADLINE_AWAY_S = 3_600
"""How far ahead the deadline of what an owner signs for the gateway may lie."""
_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{130}", re.ASCII)


def parse_signature(value: object, field: str = "signature") -> bytes:
    """The 65 bytes of a signature's hex text.

    Raises SignatureRefused: signature_invalid for another form, signature_malleable for a high s.
    """
    if not isinstance(value, str) or not _SIGNATURE.fullmatch(value):
        raise _invalid("not a signature: 0x and 130 hexadecimal digits", field, value)
    signature = bytes.fromhex(value[2:])
    r, s, v = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]
    if v not in (27, 28):
        raise _invalid(f"the last byte (v) is {v}; it must be 27 or 28", field, value)
    if not 0 < r < SECP256K1_ORDER or not 0 < s < SECP256K1_ORDER:
        raise _invalid("r or s is outside the curve's order", field, value)
    if s > _HALF_ORDER:
        raise SignatureRefused(
            GatewayCode.SIGNATURE_MALLEABLE,
            "s is in the upper half of the curve's order; only the lower form is taken",
            field=field,
            value=value,
        )
    return signature


def recover_address(digest: bytes, signature: bytes, field: str = "signature") -> str:
    """Lower-case address that signed the 32-byte digest, for a signature out of `parse_signature`.

    Raises SignatureRefused (signature_invalid) when no key fits.
    """
    recoverable = signature[:64] + bytes([signature[64] - 27])
    try:
        key = PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except ValueError as error:  # coincurve: no point of the curve for this r
        raise _invalid("no key fits this signature", field, "0x" + signature.hex()) from error
    return "0x" + keccak(key.format(compressed=False)[1:])[12:].hex()


def require_signer(digest: bytes, signature: bytes, owner: str, field: str = "signature") -> None:
    """Raises SignatureRefused (signature_wrong_signer) unless `owner` signed the digest."""
    signer = recover_address(digest, signature, field)
    if signer != owner:
        raise SignatureRefused(
            GatewayCode.SIGNATURE_WRONG_SIGNER,
            f"the signature is by {signer}, not by {owner}, or over other values than the ones sent",
            field=field,
            value="0x" + signature.hex(),
            members={"recovered_key": signer, "signed_digest": "0x" + digest.hex()},
        )


def parse_deadline_s(deadline_s: int, now_s: int) -> int:
    """Until when a signed message may be handed in. Raises SignatureRefused when that is past, or too far."""
    if deadline_s <= now_s:
        raise SignatureRefused(
            GatewayCode.SIGNATURE_EXPIRED,
            f"the deadline is past; it is {now_s} now",
            field="deadline_s",
            value=deadline_s,
        )
    if deadline_s > now_s + MAX_DEADLINE_AWAY_S:
        raise SignatureRefused(
            GatewayCode.SIGNATURE_DEADLINE_TOO_FAR,
            f"at most {MAX_DEADLINE_AWAY_S} s from now; it is {now_s} now",
            field="deadline_s",
            value=deadline_s,
        )
    return deadline_s


def _invalid(detail: str, field: str, value: object) -> SignatureRefused:
    return SignatureRefused(GatewayCode.SIGNATURE_INVALID, detail, field=field, value=value)
