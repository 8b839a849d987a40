"""Everything for which the policy signer does not sign, with stable codes, and what keeps it from running.

A refusal says of one request that it is not signed; a status of 503 that nothing can be signed now, whatever
is asked. Either way asking again is harmless: what is signed is counted once.
"""

from enum import StrEnum


class RefusalCode(StrEnum):
    """Stable: clients and alerts go by it."""

    # the request
    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TIMEOUT = "body_timeout"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    MALFORMED_JSON = "malformed_json"
    FIELD_INVALID = "field_invalid"
    # the owner's side
    SIGNATURE_INVALID = "signature_invalid"
    SIGNATURE_MALLEABLE = "signature_malleable"
    SIGNATURE_WRONG_SIGNER = "signature_wrong_signer"
    FEE_ABOVE_MAXIMUM = "fee_above_maximum"
    AMOUNT_NOT_ABOVE_FEE = "amount_not_above_fee"
    DEADLINE_PASSED = "deadline_passed"
    DEADLINE_TOO_FAR = "deadline_too_far"
    # the ledger's side
    REQUEST_NOT_JOURNALED = "request_not_journaled"
    REQUEST_DIFFERS = "request_differs"
    WITHDRAWAL_FINAL = "withdrawal_final"
    ACCOUNT_FROZEN = "account_frozen"
    # the signer's own limits
    TOKEN_NOT_ALLOWED = "token_not_allowed"  # noqa: S105 - a code, not a secret
    PAYMENT_LIMIT_EXCEEDED = "payment_limit_exceeded"
    WINDOW_LIMIT_EXCEEDED = "window_limit_exceeded"
    SIGNED_DIFFERENTLY = "signed_differently"
    # nothing can be signed at present
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    JOURNAL_BEHIND = "journal_behind"
    JOURNAL_CORRUPT = "journal_corrupt"
    JOURNAL_REWRITTEN = "journal_rewritten"
    STATE_UNAVAILABLE = "state_unavailable"


STATUS = {
    RefusalCode.UNAUTHENTICATED: 401,
    RefusalCode.NOT_FOUND: 404,
    RefusalCode.METHOD_NOT_ALLOWED: 405,
    RefusalCode.BODY_TIMEOUT: 408,
    RefusalCode.BODY_TOO_LARGE: 413,
    RefusalCode.UNSUPPORTED_MEDIA_TYPE: 415,
    RefusalCode.MALFORMED_JSON: 400,
    RefusalCode.FIELD_INVALID: 400,
    RefusalCode.SIGNED_DIFFERENTLY: 409,
    RefusalCode.JOURNAL_UNAVAILABLE: 503,
    RefusalCode.JOURNAL_BEHIND: 503,
    RefusalCode.JOURNAL_CORRUPT: 503,
    RefusalCode.JOURNAL_REWRITTEN: 503,
    RefusalCode.STATE_UNAVAILABLE: 503,
}
"""HTTP status of a code; 422 for those that are not here: well-formed, and not to be signed."""


class Refused(Exception):
    """This is not signed. `detail` is for people, and holds no secret."""

    def __init__(self, code: RefusalCode, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}")

    @property
    def status(self) -> int:
        return STATUS.get(self.code, 422)


class PolicySignerError(Exception):
    """Root of what keeps the policy signer from starting."""


class LimitsInvalid(PolicySignerError):
    """The file of limits does not say what may be signed."""


class StateUnusable(PolicySignerError):
    """The state file can not be opened, is held by another process, or is not one."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        super().__init__(f"the policy signer's state file {path} can not be used: {problem}")


class StateOfAnotherDeployment(PolicySignerError):
    """The state file belongs to another exchange, chain or vault than the settings."""

    def __init__(self, path: str, field: str, ours: str, stored: str) -> None:
        self.path = path
        self.field = field
        super().__init__(f"{path} was begun for {field} {stored}, the settings say {ours}")


class CannotListen(PolicySignerError):
    """The address can not be used."""

    def __init__(self, host: str, port: int, problem: str) -> None:
        self.port = port
        super().__init__(f"the policy signer can not listen on {host}:{port}: {problem}")
