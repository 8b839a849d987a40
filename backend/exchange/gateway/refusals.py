"""Everything for which the gateway refuses a request before the core sees it.

One error tree: a refusal carries its stable public code and, where one field is at fault, the field, the
value that was offered and the nearest values that would be taken. The edge gives each code its status.
"""

import json
from collections.abc import Mapping
from enum import StrEnum

MAX_ECHO_CHARS = 100


class GatewayCode(StrEnum):
    """Public and stable, like `core.rejects.RejectReason`."""

    # fields
    FIELD_MISSING = "field_missing"
    FIELD_UNKNOWN = "field_unknown"
    FIELD_INVALID = "field_invalid"
    NOT_A_DECIMAL = "not_a_decimal"
    TOO_MANY_DIGITS = "too_many_digits"
    TOO_MANY_DECIMALS = "too_many_decimals"
    MUST_BE_POSITIVE = "must_be_positive"
    PRICE_OFF_TICK = "price_off_tick"
    SIZE_OFF_LOT = "size_off_lot"
    EXPIRY_TOO_FAR = "expiry_too_far"
    ADDRESS_INVALID = "address_invalid"
    DESTINATION_INVALID = "destination_invalid"
    WITHDRAWAL_DEADLINE_TOO_NEAR = "withdrawal_deadline_too_near"
    # the list of withdrawal addresses
    DESTINATION_NOT_ALLOWED = "destination_not_allowed"
    DESTINATION_WAITING = "destination_waiting"
    WITHDRAWAL_ADDRESSES_FULL = "withdrawal_addresses_full"
    UNKNOWN_WITHDRAWAL_ADDRESS = "unknown_withdrawal_address"
    # signatures
    SIGNATURE_INVALID = "signature_invalid"
    SIGNATURE_MALLEABLE = "signature_malleable"
    SIGNATURE_WRONG_SIGNER = "signature_wrong_signer"
    SIGNATURE_EXPIRED = "signature_expired"
    SIGNATURE_DEADLINE_TOO_FAR = "signature_deadline_too_far"
    SIGNATURE_USED = "signature_used"
    # requests that an agent's key has signed
    SIGNATURE_HEADER_MISSING = "signature_header_missing"
    SIGNATURE_HEADER_INVALID = "signature_header_invalid"
    CREDENTIALS_AMBIGUOUS = "credentials_ambiguous"
    # what an agent may not
    AGENT_NOT_ALLOWED = "agent_not_allowed"
    IP_NOT_ALLOWED = "ip_not_allowed"
    SCOPE_MISSING = "scope_missing"
    MARKET_NOT_ALLOWED = "market_not_allowed"
    SUB_ACCOUNT_NOT_ALLOWED = "sub_account_not_allowed"
    # login
    PRE_LOGIN_TOKEN_INVALID = "pre_login_token_invalid"  # noqa: S105 - a code, not a secret
    LOGIN_MESSAGE_MISMATCH = "login_message_mismatch"
    LOGIN_EXPIRED = "login_expired"
    LOGIN_NONCE_USED = "login_nonce_used"
    # sessions
    UNAUTHENTICATED = "unauthenticated"
    SESSION_INVALID = "session_invalid"
    SESSION_EXPIRED = "session_expired"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    ORIGIN_REQUIRED = "origin_required"
    RATE_LIMITED = "rate_limited"


class GatewayRefusal(Exception):
    """Root of the gateway's refusals. `code` is a GatewayCode or a RejectReason found out early."""

    retry_after_s: int | None = None
    """Whole seconds after which the same request may be taken, where that is known."""
    retry_at_ms: int | None = None
    """The same as a time."""

    def __init__(
        self,
        code: StrEnum,
        detail: str,
        *,
        field: str | None = None,
        value: object = None,
        nearest: tuple[str, ...] = (),
        members: Mapping[str, str] | None = None,
    ) -> None:
        """`members` are shown beside these, under their names, at whatever length they have."""
        self.code = code
        self.detail = detail
        self.field = echo(field)
        self.value = echo(value)
        self.nearest = nearest
        self.members = dict(members or {})
        super().__init__(f"{code}: {detail}")


class FieldRefused(GatewayRefusal):
    """One field of a request can not be taken as it is."""


class SignatureRefused(GatewayRefusal):
    """A signature is malformed, malleable or by another key."""


class RequestSignatureRefused(SignatureRefused):
    """The same of a request's own signature, by which an agent says who it is."""


class CredentialsRefused(GatewayRefusal):
    """It can not be told by what a request says who it is from, or by a key that may nothing (any more)."""


class AgentRefused(GatewayRefusal):
    """An agent asks for what its owner has not allowed it, or what no agent may."""


class LoginRefused(GatewayRefusal):
    """A login does not answer the challenge that was issued."""


class SessionRefused(GatewayRefusal):
    """No session, or one that is unknown, revoked or over."""


class OriginRefused(GatewayRefusal):
    """An unsafe request from a page that is not ours."""


def echo(value: object) -> str | None:
    """The offending value as short text that is safe to put in an answer."""
    if value is None:
        return None
    text = json.dumps(value, default=repr) if isinstance(value, bool | list | dict) else str(value)
    return text[:MAX_ECHO_CHARS].encode("utf-8", "replace").decode()
