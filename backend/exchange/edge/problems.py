"""Every way in which an answer can be an error, as problem+json: one table of code, status and title.

The rule behind the statuses: 400 could not be read; 401 who are you; 403 you may not; 404 no such thing,
or not yours; 409 the present state does not allow it, another time it might; 422 readable, but these values
can never be taken; 429 and 503 not now, `Retry-After` says when. Source: RFC 9457.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

import msgspec
from starlette.responses import Response

from exchange.core.rejects import RejectReason
from exchange.gateway.refusals import GatewayCode, GatewayRefusal, RequestSignatureRefused, echo

PROBLEM_TYPE = "application/problem+json"


class EdgeCode(StrEnum):
    """The codes of the HTTP layer itself. Public and stable, like those of the core and the gateway."""

    MALFORMED_JSON = "malformed_json"
    INVALID_UTF8 = "invalid_utf8"
    DUPLICATE_KEY = "duplicate_key"
    NESTING_TOO_DEEP = "nesting_too_deep"
    NUMBER_TOO_LARGE = "number_too_large"
    TOO_MANY_VALUES = "too_many_values"
    BODY_TIMEOUT = "body_timeout"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    CURSOR_INVALID = "cursor_invalid"
    RANGE_INVALID = "range_invalid"
    TOO_MANY_EXPORTS = "too_many_exports"
    GROUP_TOO_WIDE = "group_too_wide"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BAD_REQUEST = "bad_request"
    UPGRADE_REQUIRED = "upgrade_required"
    MESSAGE_TOO_LARGE = "message_too_large"
    BINARY_NOT_SUPPORTED = "binary_not_supported"
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions"
    NOT_SUBSCRIBED = "not_subscribed"
    CHALLENGE_USED = "challenge_used"
    NO_DEPOSIT_ADDRESSES = "no_deposit_addresses"
    NO_FAUCET = "no_faucet"
    FAUCET_NOT_NEEDED = "faucet_not_needed"
    NOT_YET = "not_yet"
    NOT_COMPARED_YET = "not_compared_yet"
    NO_PROOF_YET = "no_proof_yet"
    PROOF_NOT_FOUND = "proof_not_found"
    NOT_IN_PROOF = "not_in_proof"
    OVERLOADED = "overloaded"
    OUTCOME_UNKNOWN = "outcome_unknown"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal_error"


STATUS_AND_TITLE: Mapping[str, tuple[int, str]] = {
    EdgeCode.MALFORMED_JSON: (400, "The body is not JSON."),
    EdgeCode.INVALID_UTF8: (400, "The body is not valid UTF-8 text."),
    EdgeCode.DUPLICATE_KEY: (400, "A JSON object of the body has a key twice."),
    EdgeCode.NESTING_TOO_DEEP: (400, "The body's JSON is nested too deeply."),
    EdgeCode.NUMBER_TOO_LARGE: (400, "The body has a JSON number of too many digits."),
    EdgeCode.TOO_MANY_VALUES: (400, "The body's JSON has too many values."),
    EdgeCode.BAD_REQUEST: (400, "The request could not be understood."),
    EdgeCode.BODY_TIMEOUT: (408, "The body did not arrive in time."),
    EdgeCode.BODY_TOO_LARGE: (413, "The body is larger than 64 KiB."),
    EdgeCode.UNSUPPORTED_MEDIA_TYPE: (415, "The body must be application/json, not encoded."),
    EdgeCode.CURSOR_INVALID: (422, "The cursor is not one that this listing gave out."),
    EdgeCode.RANGE_INVALID: (422, "The time range ends before it begins."),
    EdgeCode.GROUP_TOO_WIDE: (409, "One group of the book has too many price levels now."),
    EdgeCode.TOO_MANY_EXPORTS: (429, "As many of your exports run as may at a time."),
    EdgeCode.NOT_FOUND: (404, "There is nothing at this address."),
    EdgeCode.METHOD_NOT_ALLOWED: (405, "This address does not take this method."),
    EdgeCode.UPGRADE_REQUIRED: (426, "This address is for WebSockets only."),
    EdgeCode.MESSAGE_TOO_LARGE: (413, "The message is too large."),
    EdgeCode.BINARY_NOT_SUPPORTED: (415, "Messages are text; this one was binary."),
    EdgeCode.TOO_MANY_SUBSCRIPTIONS: (409, "The connection has as many subscriptions as it may have."),
    EdgeCode.NOT_SUBSCRIBED: (409, "The connection has no such subscription."),
    EdgeCode.CHALLENGE_USED: (401, "The connection's challenge was answered before; connect again."),
    EdgeCode.NO_DEPOSIT_ADDRESSES: (404, "This deployment has no personal deposit addresses."),
    EdgeCode.NO_FAUCET: (404, "This deployment gives no test funds."),
    EdgeCode.FAUCET_NOT_NEEDED: (409, "The wallet has plenty of test funds."),
    EdgeCode.NOT_YET: (503, "The data is not as new as this needs yet."),
    EdgeCode.NOT_COMPARED_YET: (503, "Vault and ledger were not compared at a finalized block yet."),
    EdgeCode.NO_PROOF_YET: (404, "No proof of balances was made yet."),
    EdgeCode.PROOF_NOT_FOUND: (404, "There is no such proof of balances."),
    EdgeCode.NOT_IN_PROOF: (404, "The account is not in this proof: it was owed nothing then."),
    EdgeCode.OVERLOADED: (503, "The engine has too much to do; the request was not taken in."),
    EdgeCode.OUTCOME_UNKNOWN: (503, "The engine stopped; whether the request took effect is not known yet."),
    EdgeCode.UNAVAILABLE: (503, "Something that this answer needs is not available."),
    EdgeCode.INTERNAL_ERROR: (500, "An error of ours; it has been logged under the request id."),
    # the gateway's
    GatewayCode.FIELD_MISSING: (422, "A required field is missing."),
    GatewayCode.FIELD_UNKNOWN: (422, "A field is not known here."),
    GatewayCode.FIELD_INVALID: (422, "A field has a value that it can not have."),
    GatewayCode.NOT_A_DECIMAL: (422, "An amount must be a plain decimal number in a string."),
    GatewayCode.TOO_MANY_DIGITS: (422, "A number has too many digits."),
    GatewayCode.TOO_MANY_DECIMALS: (422, "An amount is finer than the asset's smallest unit."),
    GatewayCode.MUST_BE_POSITIVE: (422, "An amount must be more than zero."),
    GatewayCode.PRICE_OFF_TICK: (422, "The price is not a whole number of ticks."),
    GatewayCode.SIZE_OFF_LOT: (422, "The size is not a whole number of lots."),
    GatewayCode.EXPIRY_TOO_FAR: (422, "The request's expiry is more than 30 s away."),
    GatewayCode.ADDRESS_INVALID: (422, "A wallet address is malformed."),
    GatewayCode.DESTINATION_INVALID: (422, "Nothing can be withdrawn to this destination."),
    GatewayCode.WITHDRAWAL_DEADLINE_TOO_NEAR: (422, "The withdrawal's deadline is less than 2 minutes away."),
    GatewayCode.DESTINATION_NOT_ALLOWED: (409, "The destination is not on the list of withdrawal addresses."),
    GatewayCode.DESTINATION_WAITING: (409, "The destination is too new on the list of withdrawal addresses."),
    GatewayCode.WITHDRAWAL_ADDRESSES_FULL: (409, "The list of withdrawal addresses is full."),
    GatewayCode.UNKNOWN_WITHDRAWAL_ADDRESS: (404, "The address is not on the list of withdrawal addresses."),
    GatewayCode.SIGNATURE_INVALID: (422, "The signature is malformed."),
    GatewayCode.SIGNATURE_MALLEABLE: (422, "The signature is not in its one accepted form (low s)."),
    GatewayCode.SIGNATURE_WRONG_SIGNER: (403, "The signature is not the owner's over these values."),
    GatewayCode.SIGNATURE_EXPIRED: (422, "The signed deadline is past."),
    GatewayCode.SIGNATURE_DEADLINE_TOO_FAR: (422, "The signed deadline is more than an hour away."),
    GatewayCode.SIGNATURE_USED: (409, "This signature was used before."),
    GatewayCode.SIGNATURE_HEADER_MISSING: (401, "A header of the signed request is missing."),
    GatewayCode.SIGNATURE_HEADER_INVALID: (401, "A header of the signed request is malformed."),
    GatewayCode.CREDENTIALS_AMBIGUOUS: (400, "The request says in two ways who it is from."),
    GatewayCode.AGENT_NOT_ALLOWED: (403, "This is for the owner's own session; no agent may do it."),
    GatewayCode.IP_NOT_ALLOWED: (403, "The key may not be used from this address."),
    GatewayCode.SCOPE_MISSING: (403, "The key does not have the scope that this needs."),
    GatewayCode.MARKET_NOT_ALLOWED: (403, "The key may not trade in this market."),
    GatewayCode.SUB_ACCOUNT_NOT_ALLOWED: (403, "The key may not use this sub-account."),
    GatewayCode.PRE_LOGIN_TOKEN_INVALID: (401, "The pre-login token is missing or unknown."),
    GatewayCode.LOGIN_MESSAGE_MISMATCH: (401, "The signed message is not the one that was issued."),
    GatewayCode.LOGIN_EXPIRED: (401, "The message to sign in with has expired."),
    GatewayCode.LOGIN_NONCE_USED: (401, "The message to sign in with has been used already."),
    GatewayCode.UNAUTHENTICATED: (401, "This needs a session."),
    GatewayCode.SESSION_INVALID: (401, "The session is unknown or was ended."),
    GatewayCode.SESSION_EXPIRED: (401, "The session is over."),
    GatewayCode.ORIGIN_NOT_ALLOWED: (403, "Requests from this origin are not taken."),
    GatewayCode.ORIGIN_REQUIRED: (403, "A request authorised by a cookie must state its Origin."),
    GatewayCode.RATE_LIMITED: (429, "More is asked for than may be in a time; wait a little."),
    # the core's
    RejectReason.ASSET_EXISTS: (409, "The asset exists already."),
    RejectReason.ASSET_INVALID: (422, "The asset's definition is not valid."),
    RejectReason.MARKET_EXISTS: (409, "The market exists already."),
    RejectReason.MARKET_INVALID: (422, "The market's definition is not valid."),
    RejectReason.MARKET_NOT_DIVISIBLE: (422, "Tick times lot is not a whole number of quote atoms."),
    RejectReason.FEES_INVALID: (422, "The fees are not valid."),
    RejectReason.PRICE_BANDS_INVALID: (422, "The price bands are not valid."),
    RejectReason.ACCOUNT_LIMITS_INVALID: (422, "The account's limits are not valid."),
    RejectReason.RULES_INVALID: (422, "This is not the next version of the rules."),
    RejectReason.UNKNOWN_ACCOUNT: (404, "There is no such account."),
    RejectReason.UNKNOWN_ASSET: (404, "There is no such asset."),
    RejectReason.UNKNOWN_MARKET: (404, "There is no such market."),
    RejectReason.UNKNOWN_ORDER: (404, "You have no such order, or it is not open any more."),
    RejectReason.UNKNOWN_WITHDRAWAL: (404, "You have no such withdrawal."),
    RejectReason.ACCOUNT_INVALID: (422, "The account's definition is not valid."),
    RejectReason.REQUEST_EXPIRED: (422, "The request's expiry had passed when it was taken up."),
    RejectReason.REQUEST_EXPIRY_TOO_FAR: (422, "The request's expiry is too far away for the engine."),
    RejectReason.PRICE_OUT_OF_RANGE: (422, "The price is out of range."),
    RejectReason.SIZE_OUT_OF_RANGE: (422, "The size is out of range."),
    RejectReason.AMOUNT_TOO_LARGE: (422, "An amount does not fit in 128 bits."),
    RejectReason.INSUFFICIENT_FUNDS: (409, "The available balance does not cover this."),
    RejectReason.INVALID_COMBINATION: (422, "These values of the order do not go together."),
    RejectReason.POST_ONLY_WOULD_CROSS: (409, "The post-only order would have taken liquidity."),
    RejectReason.FILL_OR_KILL_UNFILLABLE: (409, "The fill-or-kill order can not be filled whole."),
    RejectReason.CLIENT_ORDER_ID_REUSED: (409, "The client order id was used for another order."),
    RejectReason.TOO_MANY_OPEN_ORDERS: (409, "The account has as many open orders as it may have."),
    RejectReason.TOO_MANY_ORDERS_IN_MARKET: (409, "The account has as many orders in this market as it may."),
    RejectReason.PRICE_OUTSIDE_BAND: (409, "The price is further from the market than its band allows."),
    RejectReason.NO_REFERENCE_PRICE: (409, "The market has no price yet that a default could be taken from."),
    RejectReason.AMOUNT_BUYS_NOTHING: (409, "The amount does not buy a single lot now."),
    RejectReason.GOOD_TILL_INVALID: (422, "The time until which the order is good is not in the future."),
    RejectReason.TRIGGER_INVALID: (422, "The trigger's price is out of range."),
    RejectReason.TRIGGER_ALREADY_MET: (409, "The last price meets the trigger already."),
    RejectReason.AMEND_BELOW_FILLED: (409, "The new size is not more than what has been filled."),
    RejectReason.CANCEL_ALL_AFTER_INVALID: (422, "The dead man's switch can not be set to this time."),
    RejectReason.MARKET_PRE_OPEN: (409, "The market is not open yet: it takes orders that rest only."),
    RejectReason.MARKET_POST_ONLY: (409, "The market takes post-only orders only, for now."),
    RejectReason.MARKET_CANCEL_ONLY: (409, "The market takes cancellations only, for now."),
    RejectReason.MARKET_HALTED: (409, "The market is halted."),
    RejectReason.WORK_QUEUED: (503, "The engine has work that goes before this; nothing was done."),
    RejectReason.ACCOUNT_CANCEL_ONLY: (
        409,
        "The account takes on nothing new, for now; it may still cancel.",
    ),
    RejectReason.ACCOUNT_FROZEN: (409, "The account is frozen."),
    RejectReason.TRANSFER_INVALID: (422, "These accounts can not transfer this."),
    RejectReason.CLIENT_TRANSFER_ID_REUSED: (409, "The client transfer id was used for another transfer."),
    RejectReason.DEPOSIT_ALREADY_CREDITED: (409, "The deposit has been credited already."),
    RejectReason.DEPOSIT_OUT_OF_ORDER: (409, "The deposit is not the next one of its vault."),
    RejectReason.DEPOSIT_INVALID: (422, "The deposit is not valid."),
    RejectReason.TOO_MANY_WITHDRAWALS: (409, "The account has as many open withdrawals as it may have."),
    RejectReason.WITHDRAWAL_REPLAYED: (409, "This signed withdrawal was requested before."),
    RejectReason.WITHDRAWAL_DEADLINE_PASSED: (422, "The withdrawal's deadline is past."),
    RejectReason.WITHDRAWAL_DEADLINE_TOO_FAR: (422, "The withdrawal's deadline is too far off."),
    RejectReason.WITHDRAWAL_TOO_SMALL: (422, "The withdrawal is below the asset's minimum."),
    RejectReason.WITHDRAWAL_FEE_ABOVE_MAXIMUM: (422, "The fee is more than the signed maximum."),
    RejectReason.WITHDRAWAL_NOT_REFUNDABLE: (409, "The vault may still pay this withdrawal."),
    RejectReason.WITHDRAWAL_ALREADY_FINAL: (409, "The withdrawal is settled or refunded already."),
    RejectReason.AGENT_INVALID: (422, "The approval of the key is not valid."),
    RejectReason.AGENT_UNKNOWN: (401, "No such key is approved."),
    RejectReason.AGENT_REVOKED: (401, "The key was revoked."),
    RejectReason.AGENT_EXPIRED: (401, "The key has expired."),
    RejectReason.AGENT_KEY_USED: (
        409,
        "The key was approved before, otherwise or for another, or was revoked.",
    ),
    RejectReason.TOO_MANY_AGENTS: (409, "The owner has as many keys as there may be."),
    RejectReason.NONCE_USED: (401, "The request's nonce was used before."),
    RejectReason.NONCE_TOO_OLD: (
        401,
        "The request's nonce is lower than the 128 highest that the key has used.",
    ),
    RejectReason.NONCE_OFF_TIME: (401, "The request's nonce is more than 60 s off the exchange's time."),
}
"""Complete over EdgeCode, GatewayCode and RejectReason, which a test proves."""

_OF_A_REQUEST: Mapping[str, tuple[int, str]] = {
    GatewayCode.SIGNATURE_INVALID: (401, "The request's signature is malformed."),
    GatewayCode.SIGNATURE_MALLEABLE: (401, "The request's signature is not in its one accepted form."),
    GatewayCode.SIGNATURE_WRONG_SIGNER: (401, "The request's signature is not this key's over its text."),
    GatewayCode.SIGNATURE_EXPIRED: (401, "The signed request has expired."),
    GatewayCode.SIGNATURE_DEADLINE_TOO_FAR: (401, "The signed request's expiry is more than 60 s away."),
}
"""The same codes where it is a request's own signature by which it is told who asks."""

_FIELD_OF_REASON: Mapping[str, str] = {
    RejectReason.PRICE_OUT_OF_RANGE: "price",
    RejectReason.PRICE_OUTSIDE_BAND: "price",
    RejectReason.NO_REFERENCE_PRICE: "price",
    RejectReason.SIZE_OUT_OF_RANGE: "size",
    RejectReason.AMEND_BELOW_FILLED: "size",
    RejectReason.AMOUNT_BUYS_NOTHING: "amount",
    RejectReason.INVALID_COMBINATION: "time_in_force",
    RejectReason.GOOD_TILL_INVALID: "good_till_ms",
    RejectReason.TRIGGER_INVALID: "trigger.price",
    RejectReason.TRIGGER_ALREADY_MET: "trigger.price",
    RejectReason.REQUEST_EXPIRED: "expires_at_ms",
    RejectReason.REQUEST_EXPIRY_TOO_FAR: "expires_at_ms",
    RejectReason.CLIENT_ORDER_ID_REUSED: "client_order_id",
    RejectReason.CANCEL_ALL_AFTER_INVALID: "seconds",
    RejectReason.CLIENT_TRANSFER_ID_REUSED: "client_transfer_id",
    RejectReason.WITHDRAWAL_DEADLINE_PASSED: "deadline_s",
    RejectReason.WITHDRAWAL_DEADLINE_TOO_FAR: "deadline_s",
    RejectReason.WITHDRAWAL_TOO_SMALL: "amount",
    RejectReason.WITHDRAWAL_FEE_ABOVE_MAXIMUM: "max_fee",
}

RETRY_AFTER_S = 1


class Problem(Exception):
    """An answer that is an error. Raised anywhere in a route, rendered by the error handlers."""

    def __init__(
        self,
        code: StrEnum,
        detail: str | None = None,
        *,
        field: str | None = None,
        value: object = None,
        nearest: tuple[str, ...] = (),
        retry_at_ms: int | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, str] | None = None,
        status_and_title: tuple[int, str] | None = None,
    ) -> None:
        """`members` are shown beside these, as they are. `status_and_title`: where the table's do not fit."""
        self.code = code
        self.status, self.title = status_and_title or STATUS_AND_TITLE[code]
        self.detail = self.title if detail is None else detail
        self.field = echo(field)
        self.value = echo(value)
        self.nearest = nearest
        self.retry_at_ms = retry_at_ms
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        super().__init__(f"{code}: {self.detail}")

    @classmethod
    def of_refusal(cls, refusal: GatewayRefusal) -> Self:
        """The problem of a refusal by the gateway."""
        wait_s = refusal.retry_after_s
        of_request = isinstance(refusal, RequestSignatureRefused)
        return cls(
            refusal.code,
            refusal.detail,
            field=refusal.field,
            value=refusal.value,
            nearest=refusal.nearest,
            retry_at_ms=refusal.retry_at_ms,
            headers=None if wait_s is None else {"Retry-After": str(wait_s)},
            members=refusal.members,
            status_and_title=_OF_A_REQUEST[refusal.code] if of_request else None,
        )

    def content(self, request_id: str) -> dict[str, object]:
        """The members of a ProblemDocument; absent ones are left out."""
        content: dict[str, object] = {
            "type": f"urn:exchange:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code.value,
            "detail": self.detail,
        }
        if self.field is not None:
            content["field"] = self.field
        if self.value is not None:
            content["value"] = self.value
        if self.nearest:
            content["nearest"] = list(self.nearest)
        if self.retry_at_ms is not None:
            content["retry_at_ms"] = self.retry_at_ms
        content |= self.members
        content["request_id"] = request_id
        return content

    def response(self, request_id: str) -> Response:
        """The problem+json answer."""
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")
        return Response(
            msgspec.json.encode(self.content(request_id)),
            status_code=self.status,
            media_type=PROBLEM_TYPE,
            headers=self.headers,
        )


def rejected(reason: RejectReason) -> Problem:
    """The problem of a core refusal."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if reason is RejectReason.WORK_QUEUED else None
    return Problem(reason, field=_FIELD_OF_REASON.get(reason), headers=headers)
