"""Requests and answers: signing, sessions, retries, and what became of it.

A call may be several requests. Each ends in one of these ways:

    answered    done
    not sent    nothing was done: sent again
    refused     raised; but where it was for who asks (nonce, clock, session), made right and sent again
    later       429, 503: nothing was done. Sent again after the time asked for, where it may be repeated
    unclear     no answer, or none that tells: it may have been done. Sent again where it may be repeated

Once a request of a call ended unclear, only success is believed: what a later one is refused for does not
tell what became of the first. So it ends as OutcomeUnknown, which knows the refusal.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from typing import Any, Literal, TypeVar

import httpx
import msgspec

from exchange_sdk.call import Call, Params, Who
from exchange_sdk.clock import ExchangeClock
from exchange_sdk.errors import (
    ExchangeError,
    NoCredential,
    OutcomeUnknown,
    Problem,
    Refused,
    UnexpectedAnswer,
    Unreachable,
    error_of,
)
from exchange_sdk.models import Deployment, Model, ServerTime
from exchange_sdk.origin import host_of, origin_of, require_host
from exchange_sdk.retries import Retries
from exchange_sdk.session import Session
from exchange_sdk.signing import AgentKey
from exchange_sdk.wallet import Wallet

T = TypeVar("T")
Ending = Literal["not sent", "refused", "later", "unclear"]

log = logging.getLogger("exchange_sdk")

if find_spec("sniffio") is None:
    # httpcore asks for it ten times a request. Where it is not there the whole path was searched each time, a
    # third of what a request cost; now it is known.
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

_CLOCK_CODES = frozenset({"nonce_off_time", "signature_expired", "signature_deadline_too_far"})
_TIME_CODES = frozenset({"request_expired", "expiry_too_far", "request_expiry_too_far"})
"""Of a time in the request that may have been made by a clock that went wrong: after sleep, say."""
_SESSION_CODES = frozenset({"session_invalid", "session_expired"})
_REPAIRS = 2
_TIMEOUTS = 2
"""In so many times `timeout_s` an answer is there as a whole, however slowly it drips."""
_SIGNATURE_LIFE_MS = 30_000
_CLOCK_GOOD_FOR_NS = 600 * 10**9
_CLOCK_SAMPLES = 3
MOST_AT_ONCE = 100
"""Requests that are under way. More wait here, not signed yet: httpx looks at all that wait whenever one goes
on, and a signature is good for a while only."""
CANCELLATIONS_AT_ONCE = 10
"""Besides: whoever wants to get out does not wait behind what is to be placed."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class RateLimit(Model, frozen=True):
    """What the newest answer said of the budget that is nearest to empty."""

    limit: int
    remaining: int
    reset_s: int
    policy: str = ""


class _Failure(Exception):
    """How a request failed, and what to tell of it."""

    def __init__(self, ending: Ending, error: ExchangeError) -> None:
        super().__init__(ending)
        self.ending = ending
        self.error = error


class Transport:
    """The way to one exchange, with at most one key and one wallet."""

    def __init__(
        self,
        url: str,
        *,
        key: AgentKey | None,
        wallet: Wallet | None,
        host: str | None,
        timeout_s: float,
        retries: Retries,
        http: httpx.AsyncBaseTransport | None,
        user_agent: str,
    ) -> None:
        self.url = origin_of(url)
        self.host = host or host_of(url)
        self.key = key
        self.clock = ExchangeClock()
        self.retries = retries
        self._timeout_s = timeout_s
        self.session = None if wallet is None else Session(wallet, self)
        self.rate_limit: RateLimit | None = None
        self.seq = 0
        """Of the newest change of one's own: reads of one's own things are at least as new."""
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self._deployment: Deployment | None = None
        self._learning = asyncio.Lock()
        self._under_way: set[asyncio.Task[httpx.Response]] = set()
        self._is_closed = False
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._turns_to_cancel = asyncio.Semaphore(CANCELLATIONS_AT_ONCE)
        connections = MOST_AT_ONCE + CANCELLATIONS_AT_ONCE
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            transport=http,
            headers={"User-Agent": user_agent, "Accept": "application/json"},
            # The server ends idle connections after 5 s: never send into one that is about to go.
            limits=httpx.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=4.0
            ),
        )

    async def aclose(self) -> None:
        """Ends the connections, and what is still under way: whoever waits for it is told that no answer
        came."""
        self._is_closed = True
        for sending in self._under_way:
            sending.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._client.aclose()

    async def get(self, path: str, into: type[T], params: Params | None = None, *, who: Who = "nobody") -> T:
        """Reads. What is one's own is read as new as one's own newest change."""
        asked = dict(params or {})
        if who != "nobody" and self.seq:
            asked.setdefault("min_seq", self.seq)
        return await self.send(Call("GET", path, asked, who=who), into)

    async def post(
        self, path: str, body: Mapping[str, Any], into: type[T], *, who: Who, repeatable: bool
    ) -> T:
        """Has something done."""
        return await self.send(Call("POST", path, body=body, who=who, repeatable=repeatable), into)

    async def delete(self, path: str, into: type[T], params: Params | None = None, *, who: Who) -> T:
        """Ends something, which twice is the same as once."""
        return await self.send(Call("DELETE", path, params or {}, who=who), into)

    async def send(self, call: Call, into: type[T]) -> T:
        """The answer to a call. Raises ExchangeError."""
        url = httpx.URL(self.url + call.target)
        unknown: OutcomeUnknown | None = None
        attempt, repairs = 1, 0
        while True:
            token = None
            if self._is_closed:
                raise unknown or Unreachable(f"{call}: the client is closed, nothing was sent")
            try:
                try:
                    token = await self._credential(call)
                    turns = await self._turn(call)
                    call, sending = self._begun(call, url, token, turns)
                    response = await self._answered(call, sending)
                    return self._answer(call, response, into)
                except _Failure as failure:
                    error, ending = failure.error, failure.ending
                if ending == "refused" and repairs < _REPAIRS and await self._repaired(error, token):
                    repairs += 1
                    continue
            except ExchangeError as failed:  # of a login or the clock: nothing could be sent this time
                if unknown is None:
                    raise
                raise unknown from failed
            await self.note_refused(error.code)
            if error.code == "nonce_used":
                ending = "unclear"  # by another process with this key, or by this very request, sent on twice
            if ending == "unclear" and call.changes:
                unknown = OutcomeUnknown(
                    str(call), call.client_order_id, call.expires_at_ms, call.sub_account
                )
            if unknown is not None:
                unknown.refusal = error if isinstance(error, Refused) else None
            delay_s = self._delay_s(call, ending, attempt, error)
            if delay_s is None:
                raise unknown or error from (error if unknown else error.__cause__)
            log.debug("%s: %s; again in %.2f s", call, error, delay_s)
            attempt += 1
            await self.sleep(delay_s)

    def note_seq(self, seq: int) -> None:
        """A change of one's own that reads must know of."""
        self.seq = max(self.seq, seq)

    async def deployment(self) -> Deployment:
        """Which exchange this is. Raises WrongDeployment when it says that it is another."""
        if self._deployment is None:
            deployment = await self.get("/v1/deployment", Deployment)
            require_host(deployment.host, self.host)
            self._deployment = deployment
        return self._deployment

    async def ready(self) -> None:
        """Has the exchange's name and time, so that something can be signed for it."""
        async with self._learning:
            await self.deployment()
            set_at_ns = self.clock.set_at_ns
            if set_at_ns is None or self.clock.monotonic_ns() - set_at_ns > _CLOCK_GOOD_FOR_NS:
                await self._learn_time()

    async def note_refused(self, *codes: str) -> None:
        """Asks for the exchange's time when something was refused that makes it doubtful: the next request
        has the right one."""
        if not _TIME_CODES.isdisjoint(codes):
            self.clock.forget()
            with contextlib.suppress(ExchangeError):
                await self.ready()

    async def _learn_time(self) -> None:
        quickest: tuple[int, int, int] | None = None
        for _ in range(_CLOCK_SAMPLES):
            asked_ns = self.clock.monotonic_ns()
            time_ms = (await self.get("/v1/time", ServerTime)).time_ms
            answered_ns = self.clock.monotonic_ns()
            if quickest is None or answered_ns - asked_ns < quickest[2] - quickest[1]:
                quickest = (time_ms, asked_ns, answered_ns)
        assert quickest is not None
        self.clock.learn(*quickest)

    async def _credential(self, call: Call) -> str | None:
        """Has what it takes to say who asks: the session's token, where one is used."""
        if call.life_ms is not None:
            await self.ready()
        if call.who == "nobody":
            return None
        if call.who == "trader" and self.key is not None:
            await self.ready()
            return None
        if self.session is None:
            needed = "the owner's wallet" if call.who == "owner" else "a key or a wallet"
            raise NoCredential(f"{call} needs {needed}")
        return await self.session.token()

    def _headers(self, call: Call, url: httpx.URL, content: bytes, token: str | None) -> dict[str, str]:
        """What says who asks, signed for this moment."""
        headers = {} if call.body is None else {"Content-Type": "application/json"}
        token = token or call.token
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        elif call.who != "nobody":
            assert self.key is not None
            assert self._deployment is not None
            headers |= self.key.sign_request(
                call.method,
                url.raw_path.decode("ascii"),
                content,
                genesis_id=self._deployment.genesis_id,
                host=self._deployment.host,
                nonce=self.key.nonces.next(self.clock.now_ns()),
                expires_ms=self.clock.now_ms() + _SIGNATURE_LIFE_MS,
            )
        return headers

    async def _turn(self, call: Call) -> asyncio.Semaphore:
        """Waits until it may be sent; what is to be released then. Raises _Failure where it is not sent any
        more."""
        turns = self._turns_to_cancel if call.cancels else self._turns
        waits, why_not = turns.locked(), ""
        try:
            async with asyncio.timeout(self._timeout_s):
                await turns.acquire()
        except TimeoutError:
            error = Unreachable(f"{call}: too much is under way, nothing was sent")
            raise _Failure("not sent", error) from None
        if self._is_closed:
            why_not = "the client is closed"
        elif waits and call.expires_at_ms is not None and self.clock.now_ms() >= call.expires_at_ms:
            why_not = "it waited for longer than it was good for"
        if why_not:
            turns.release()
            raise _Failure("not sent", Unreachable(f"{call}: {why_not}, nothing was sent"))
        return turns

    def _begun(
        self, call: Call, url: httpx.URL, token: str | None, turns: asyncio.Semaphore
    ) -> tuple[Call, asyncio.Task[httpx.Response]]:
        """The call as it is sent, and its request, under way, which has its turn until it ends.

        It goes on by itself when who waits for it is cancelled: httpx loses the connection of one that is
        cancelled in the middle, until none is left.
        """

        async def send() -> httpx.Response:
            async with asyncio.timeout(_TIMEOUTS * self._timeout_s):
                return await self._client.send(request)

        try:
            call = call.dated(self.clock.now_ms())
            content = b"" if call.body is None else msgspec.json.encode(call.body)
            headers = self._headers(call, url, content, token)
            request = self._client.build_request(call.method, url, content=content or None, headers=headers)
            sending = asyncio.create_task(send())
        except BaseException:
            turns.release()
            raise
        self._under_way.add(sending)
        sending.add_done_callback(self._ended)
        sending.add_done_callback(lambda _: turns.release())
        return call, sending

    async def _answered(self, call: Call, sending: asyncio.Task[httpx.Response]) -> httpx.Response:
        try:
            response = await asyncio.shield(sending)
        except _NOT_SENT as cause:
            raise _Failure(
                "not sent", _told(Unreachable(f"{self.url} can not be reached: {cause!r}"), cause)
            ) from None
        except (httpx.RequestError, TimeoutError) as cause:
            raise _Failure("unclear", _told(Unreachable(f"{call}: no answer: {cause!r}"), cause)) from None
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if self._is_closed and sending.cancelled() and waiting is not None and not waiting.cancelling():
                closed = Unreachable(f"{call}: the client was closed meanwhile")
                raise _Failure("unclear", closed) from None
            raise
        finally:
            self._client.cookies.clear()  # a browser's; here the token is what counts
        self._note_rate_limit(response.headers)
        return response

    def _ended(self, sending: asyncio.Task[httpx.Response]) -> None:
        self._under_way.discard(sending)
        if not sending.cancelled():
            sending.exception()  # somebody who was cancelled does not ask for it any more

    def _answer(self, call: Call, response: httpx.Response, into: type[T]) -> T:
        """What was answered. Raises _Failure."""
        if response.is_success:
            try:
                answer = msgspec.json.decode(response.content or b"null", type=into)
            except (msgspec.DecodeError, UnicodeDecodeError) as cause:
                told = _told(UnexpectedAnswer(f"{call}: not the answer it should be: {cause}"), cause)
                raise _Failure("unclear" if call.changes else "refused", told) from None
            seq = getattr(answer, "seq", None)
            if call.changes and isinstance(seq, int):
                self.note_seq(seq)
            return answer
        error, status = _error_of_response(call, response), response.status_code
        if isinstance(error, OutcomeUnknown | Unreachable) or (status >= 500 and status != 503):
            raise _Failure("unclear", error)
        raise _Failure("later" if status in {429, 503} else "refused", error)

    def _note_rate_limit(self, headers: httpx.Headers) -> None:
        try:
            self.rate_limit = RateLimit(
                limit=int(headers["ratelimit-limit"]),
                remaining=int(headers["ratelimit-remaining"]),
                reset_s=int(headers["ratelimit-reset"]),
                policy=headers.get("ratelimit-policy", ""),
            )
        except (KeyError, ValueError):
            return  # not of a limited route

    async def _repaired(self, error: ExchangeError, token: str | None) -> bool:
        """Whether what was wrong with who asks has been made right. Nothing was done yet: it was refused."""
        if not isinstance(error, Refused) or error.status != 401:
            return False
        code = error.code
        if code == "nonce_too_old":
            return True  # many requests overtook it; the next nonce is the highest again
        if code in _CLOCK_CODES:
            self.clock.forget()
            await self.ready()
            return True
        if code in _SESSION_CODES and token is not None and self.session is not None:
            await self.session.token(refused=token)
            return True
        return False

    def _delay_s(self, call: Call, ending: Ending, attempt: int, error: ExchangeError) -> float | None:
        """After how long to send it again; None: not."""
        if self._is_closed or ending == "refused" or (ending != "not sent" and not call.repeatable):
            return None
        asked_s = error.retry_after_s if isinstance(error, Refused) else None
        delay_s = self.retries.delay_s(attempt, asked_s)
        if delay_s is None or call.expires_at_ms is None:
            return delay_s
        return delay_s if self.clock.now_ms() + delay_s * 1_000 < call.expires_at_ms else None


def _error_of_response(call: Call, response: httpx.Response) -> ExchangeError:
    """The error that a response tells of."""
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if response.status_code >= 500 or response.status_code == 408:
            # Of a proxy, which may have passed it on before the exchange was lost to it.
            return Unreachable(f"{call}: something between here and the exchange said {response.status_code}")
        return UnexpectedAnswer(f"{call}: status {response.status_code}, and no problem that says why")
    asked = response.headers.get("retry-after", "")
    return error_of(
        msgspec.structs.replace(
            problem,
            status=response.status_code,
            retry_after_s=float(asked) if asked.isascii() and asked.isdigit() else problem.retry_after_s,
        )
    )


def _told(error: ExchangeError, cause: BaseException) -> ExchangeError:
    error.__cause__ = cause
    return error
