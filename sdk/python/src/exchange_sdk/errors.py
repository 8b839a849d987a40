"""What can go wrong, as one tree of exceptions.

    ExchangeError
    +-- Refused               the exchange said no, with a stable `code`; nothing was changed
    |   +-- BadRequest        it could not be read
    |   +-- NotAuthenticated  who are you?      AgentUnknown, AgentExpired, AgentRevoked, NonceRefused,
    |   |                                       SignatureRefused
    |   +-- Forbidden         you may not       ScopeMissing, OwnerOnly
    |   +-- NotFound          no such thing     UnknownOrder, UnknownMarket
    |   +-- Conflict          not as it stands  InsufficientFunds, PostOnlyWouldCross, FillOrKillUnfillable,
    |   |                                       MarketClosed
    |   +-- Invalid           never             PriceOffTick, SizeOffLot
    |   +-- RateLimited       too many          wait `retry_after_s`
    |   +-- Unavailable       not now           Overloaded, NotYet
    |   +-- ServerError       an error of the exchange's own: report the `request_id`
    +-- OutcomeUnknown        sent, and no answer: it may have been done. Look before you send it again
    |   +-- TransactionUnknown   DepositPending
    |   +-- WithdrawalPending
    +-- ChainError            the chain does not do it: nothing was deposited   TransactionReverted
    +-- WithdrawalFailed      a withdrawal that is not paid: the amount comes back
    +-- Unreachable           nothing was done: it could not be sent, or it was a read
    +-- UnexpectedAnswer      what answered does not speak this API
    +-- NoCredential          this needs a key or a wallet, and there is none
    +-- WrongDeployment       the server claims to be another exchange than the one that was asked
    +-- NotLive               of streams: what is held is older than it should be
    +-- StreamClosed          of streams: it was closed

Every one has a `code`. Of what the exchange refused it is the exchange's own, one of the list in
docs/api/errors.md of the exchange. A value of a type that is not taken, a float above all, is a plain
TypeError, and one that can never be right a plain ValueError: both before anything is sent.
"""

from typing import ClassVar

import msgspec

from exchange_sdk.codes import STATUS


class Problem(msgspec.Struct, kw_only=True, frozen=True):
    """An error as the exchange tells it (RFC 9457), over HTTP, in a batch, or on a stream."""

    code: str
    detail: str = ""
    title: str = ""
    status: int = 0
    field: str | None = None
    value: str | None = None
    nearest: tuple[str, ...] | None = None
    retry_at_ms: int | None = None
    retry_after_s: float | None = None
    request_id: str | None = None
    signed_text: str | None = None
    signed_digest: str | None = None
    recovered_key: str | None = None


class ExchangeError(Exception):
    """Whatever this package raises by itself."""

    code: str = "error"


class Refused(ExchangeError):
    """The exchange said no. Nothing was changed."""

    codes: ClassVar[frozenset[str]] = frozenset()
    """The codes that are this class, where it stands for some only."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem
        self.code = problem.code

    @property
    def detail(self) -> str:
        """For people."""
        return self.problem.detail or self.problem.title

    @property
    def status(self) -> int:
        """The HTTP status; 0 where there was none."""
        return self.problem.status

    @property
    def field(self) -> str | None:
        """The field at fault."""
        return self.problem.field

    @property
    def value(self) -> str | None:
        """What was sent in it."""
        return self.problem.value

    @property
    def nearest(self) -> tuple[str, ...]:
        """The nearest values that would be taken."""
        return self.problem.nearest or ()

    @property
    def request_id(self) -> str | None:
        """What the exchange's log knows the request by."""
        return self.problem.request_id

    @property
    def retry_after_s(self) -> float | None:
        """In how many seconds to ask again, where the exchange said so."""
        return self.problem.retry_after_s

    @property
    def retry_at_ms(self) -> int | None:
        """From when the same request may succeed, where that is known."""
        return self.problem.retry_at_ms

    @property
    def signed_text(self) -> str | None:
        """Of a refused signature of a key: the text that it was checked against."""
        return self.problem.signed_text

    @property
    def signed_digest(self) -> str | None:
        """Of a refused signature of a wallet: the EIP-712 digest that it was checked against."""
        return self.problem.signed_digest

    @property
    def recovered_key(self) -> str | None:
        """Of a refused signature: the address that has signed that."""
        return self.problem.recovered_key

    def __str__(self) -> str:
        notes = [f"field {self.field}"] if self.field else []
        if self.nearest:
            notes.append(f"nearest {', '.join(self.nearest)}")
        if self.retry_after_s is not None:
            notes.append(f"retry after {self.retry_after_s:g} s")
        if self.request_id:
            notes.append(f"request {self.request_id}")
        text = f"{self.code}: {self.detail}" if self.detail else self.code
        return f"{text} ({'; '.join(notes)})" if notes else text


class BadRequest(Refused):
    """It could not be read."""


class NotAuthenticated(Refused):
    """The exchange does not know, or no longer knows, who is asking."""


class AgentUnknown(NotAuthenticated):
    """The owner has not approved this key."""

    codes = frozenset({"agent_unknown"})


class AgentExpired(NotAuthenticated):
    """The key's approval is over."""

    codes = frozenset({"agent_expired"})


class AgentRevoked(NotAuthenticated):
    """The owner has revoked this key. It is dead for ever."""

    codes = frozenset({"agent_revoked"})


class SignatureRefused(NotAuthenticated):
    """The signature is not the key's, or the wallet's, over what was sent."""

    codes = frozenset(
        {
            "signature_deadline_too_far",
            "signature_expired",
            "signature_header_invalid",
            "signature_header_missing",
            "signature_invalid",
            "signature_malleable",
            "signature_wrong_signer",
        }
    )


class NonceRefused(NotAuthenticated):
    """The request's nonce is used, too old, or too far from the exchange's time."""

    codes = frozenset({"nonce_used", "nonce_too_old", "nonce_off_time"})


class Forbidden(Refused):
    """This key or wallet may not."""


class ScopeMissing(Forbidden):
    """The owner did not give the key this scope, market or sub-account."""

    codes = frozenset({"scope_missing", "market_not_allowed", "sub_account_not_allowed"})


class OwnerOnly(Forbidden):
    """Only the owner may, with the wallet."""

    codes = frozenset({"agent_not_allowed"})


class NotFound(Refused):
    """There is no such thing, or it is not yours."""


class UnknownOrder(NotFound):
    """You have no such order, or it is not open any more."""

    codes = frozenset({"unknown_order"})


class UnknownMarket(NotFound):
    """There is no such market."""

    codes = frozenset({"unknown_market"})


class Conflict(Refused):
    """The present state does not allow it; later it might."""


class InsufficientFunds(Conflict):
    """The available balance does not cover this."""

    codes = frozenset({"insufficient_funds"})


class PostOnlyWouldCross(Conflict):
    """The post-only order would have taken liquidity."""

    codes = frozenset({"post_only_would_cross"})


class FillOrKillUnfillable(Conflict):
    """The fill-or-kill order can not be filled whole."""

    codes = frozenset({"fill_or_kill_unfillable"})


class MarketClosed(Conflict):
    """The market does not take this in its present state: `code` tells which."""

    codes = frozenset({"market_pre_open", "market_post_only", "market_cancel_only", "market_halted"})


class Invalid(Refused):
    """It can be read, but these values can never be taken."""


class PriceOffTick(Invalid):
    """The price is not a whole number of ticks; `nearest` are."""

    codes = frozenset({"price_off_tick"})


class SizeOffLot(Invalid):
    """The size is not a whole number of lots; `nearest` are."""

    codes = frozenset({"size_off_lot"})


class RateLimited(Refused):
    """Too many requests: wait `retry_after_s`."""


class Unavailable(Refused):
    """Not now. Nothing was done."""


class Overloaded(Unavailable):
    """The engine has too much to do. Nothing was done."""

    codes = frozenset({"overloaded", "work_queued"})


class NotYet(Unavailable):
    """The data is not as new as was asked for."""

    codes = frozenset({"not_yet"})


class ServerError(Refused):
    """An error of the exchange's own: report the `request_id`."""


class OutcomeUnknown(ExchangeError):
    """It was sent, and no answer came. It may have been done or not: never take this for a failure.

    `await exchange.outcome(unknown)` tells what became of an order, and
    `await exchange.cancel(client_order_id=unknown.client_order_id)` ends it if it is open. From
    `settled_at_ms` on what is not there will not come any more: the exchange does not take the request after
    that.
    """

    code = "outcome_unknown"

    def __init__(
        self,
        what: str,
        client_order_id: str | None = None,
        settled_at_ms: int | None = None,
        sub_account: int = 0,
    ) -> None:
        super().__init__(what, client_order_id, settled_at_ms, sub_account)
        self.what = what
        self.client_order_id = client_order_id
        self.settled_at_ms = settled_at_ms
        self.sub_account = sub_account
        """Where the order is, if it is."""
        self.refusal: Refused | None = None
        """What it was refused for when it was sent again; that does not tell what became of it before."""

    def __str__(self) -> str:
        about = f" (client_order_id {self.client_order_id})" if self.client_order_id else ""
        return f"{self.what}: no answer, so it may have been done or not{about}"


class Unreachable(ExchangeError):
    """Nothing was done: the request could not be sent, or it was one that only reads."""

    code = "unreachable"


class NotLive(ExchangeError):
    """What is held is older than it should be: the stream is interrupted."""

    code = "not_live"

    def __init__(self, what: str, since_ms: int | None = None) -> None:
        super().__init__(what, since_ms)
        self.what = what
        self.since_ms = since_ms

    def __str__(self) -> str:
        return self.what


class StreamClosed(ExchangeError):
    """The stream was closed, or has ended by itself."""

    code = "stream_closed"


class ChainError(ExchangeError):
    """The chain, or its node, does not do this. Nothing was deposited."""

    code = "chain_error"


class TransactionReverted(ChainError):
    """The transaction is in a block and failed there. It cost its gas and did nothing else."""

    code = "transaction_reverted"

    def __init__(self, what: str, tx_hash: str) -> None:
        super().__init__(what, tx_hash)
        self.what = what
        self.tx_hash = tx_hash

    def __str__(self) -> str:
        return f"{self.what} ({self.tx_hash})"


class TransactionUnknown(OutcomeUnknown):
    """The transaction was sent and is in no block yet. It may still get there: do not make another one."""

    code = "transaction_unknown"

    def __init__(self, what: str, tx_hash: str) -> None:
        super().__init__(what)
        self.tx_hash = tx_hash

    def __str__(self) -> str:
        return f"{self.what} ({self.tx_hash})"


class DepositPending(TransactionUnknown):
    """The deposit was sent and is not credited yet. Go on with `await exchange.wait_for_deposit(error)`."""

    code = "deposit_pending"


class WithdrawalPending(OutcomeUnknown):
    """The withdrawal was signed and is not settled yet. Go on with `await
    exchange.wait_for_withdrawal(error)`; do not sign another one: it could be paid as well."""

    code = "withdrawal_pending"

    def __init__(self, what: str, withdrawal_id: str) -> None:
        super().__init__(what)
        self.withdrawal_id = withdrawal_id

    def __str__(self) -> str:
        return f"withdrawal {self.withdrawal_id}: {self.what}"


class WithdrawalFailed(ExchangeError):
    """The withdrawal is not paid: it was `rejected`, and the amount comes back after its deadline; or it was
    `refunded`, and the amount is back."""

    code = "withdrawal_failed"

    def __init__(self, status: str, reason: str | None, withdrawal_id: str) -> None:
        super().__init__(status, reason, withdrawal_id)
        self.status = status
        self.reason = reason
        self.withdrawal_id = withdrawal_id

    def __str__(self) -> str:
        return f"withdrawal {self.withdrawal_id} is {self.status}{f': {self.reason}' if self.reason else ''}"


class UnexpectedAnswer(ExchangeError):
    """What answered does not speak this API: another program, a proxy, or a newer version."""

    code = "unexpected_answer"


class NoCredential(ExchangeError):
    """This needs a key or a wallet: `Exchange(url, key=...)` or `Exchange(url, wallet=...)`."""

    code = "no_credential"


class WrongDeployment(ExchangeError):
    """The server claims to be another deployment than the one that was asked. Nothing was signed."""

    code = "wrong_deployment"


_BY_STATUS: dict[int, type[Refused]] = {
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Invalid,
    429: RateLimited,
    503: Unavailable,
}


def _leaves(kind: type[Refused]) -> list[type[Refused]]:
    return [kind, *(leaf for below in kind.__subclasses__() for leaf in _leaves(below))]


_BY_CODE: dict[str, type[Refused]] = {code: kind for kind in _leaves(Refused) for code in kind.codes}


def error_of(problem: Problem) -> ExchangeError:
    """The exception for a problem. Without a status (streams have none), its code tells the class."""
    if problem.code == OutcomeUnknown.code:
        return OutcomeUnknown(problem.detail or problem.title or problem.code)
    kind = _BY_CODE.get(problem.code)
    if kind is None:
        status = problem.status or STATUS.get(problem.code, 0)
        kind = _BY_STATUS.get(status) or (ServerError if status >= 500 else BadRequest if status else Refused)
    return kind(problem)
