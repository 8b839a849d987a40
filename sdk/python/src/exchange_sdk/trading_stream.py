"""Orders over a stream: no signature and no HTTP for each, and any number under way at once.

Requests are done in the order in which these methods are called, and answered in it. When the connection is
lost while one is under way, nobody here can know what became of it: that raises OutcomeUnknown, and
`outcome` finds the truth. What was never sent raises Unreachable: nothing was done.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from exchange_sdk.connection import Connection, Reply
from exchange_sdk.errors import OutcomeUnknown, ServerError, UnexpectedAnswer, Unreachable
from exchange_sdk.models import (
    BatchResult,
    CancelledAll,
    DeadMansSwitch,
    Model,
    Order,
    OrderType,
    Placed,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange_sdk.numbers import Number
from exchange_sdk.order_models import codes_of
from exchange_sdk.orders import (
    Amend,
    BatchOutcomeUnknown,
    Cancel,
    Operation,
    OrderRef,
    Place,
    Time,
    dated,
    new_client_id,
    operation_json,
)

if TYPE_CHECKING:
    from exchange_sdk.client import Exchange

T = TypeVar("T")


class TradingHost(Protocol):
    """The stream, as its trading sees it."""

    async def signed_in_connection(self) -> Connection:
        """Raises Unreachable, or why nobody can be signed in."""


class _Cancelled(Model, frozen=True):
    seq: int
    order: Order


class _Batch(Model, frozen=True):
    seq: int
    results: tuple[BatchResult, ...]


class _Switched(Model, frozen=True):
    seq: int
    enabled: bool


class TradingStream:
    """`stream.trading`: the parameters are those of `Exchange`."""

    def __init__(
        self, host: TradingHost, exchange: "Exchange", *, order_life_s: float, timeout_s: float
    ) -> None:
        self._host = host
        self._exchange = exchange
        self._order_life_ms = int(order_life_s * 1_000)
        self._timeout_s = timeout_s
        self.in_flight = 0
        """Requests that were sent and are not answered yet."""
        self.seq = 0
        """The exchange's sequence number of the newest change that was answered here."""
        self.cancels_on_disconnect = False
        """Whether the exchange was asked to, and asked again after each reconnect."""

    async def place(
        self,
        market: str,
        side: Side,
        size: Number | None = None,
        price: Number | None = None,
        *,
        amount: Number | None = None,
        type: OrderType = "limit",  # noqa: A002 - the exchange's own word
        time_in_force: TimeInForce | None = None,
        good_till: Time | None = None,
        stop: Number | None = None,
        take_profit: Number | None = None,
        self_trade_prevention: SelfTradePrevention | None = None,
        client_order_id: str | None = None,
        sub_account: int = 0,
    ) -> Placed:
        """Places an order and tells what it filled at once. Raises Refused, OutcomeUnknown, Unreachable."""
        return await self.submit(
            Place(
                market=market,
                side=side,
                size=size,
                price=price,
                amount=amount,
                type=type,
                time_in_force=time_in_force,
                good_till=good_till,
                stop=stop,
                take_profit=take_profit,
                self_trade_prevention=self_trade_prevention,
                client_order_id=client_order_id or new_client_id(),
                sub_account=sub_account,
            )
        )

    async def submit(self, order: Place) -> Placed:
        """Places an order that was made before. See `place`."""
        expires_at_ms = order.expires_at_ms or self._expiry_ms()
        dated = msgspec.structs.replace(order, expires_at_ms=expires_at_ms)
        body = {"op": "place"} | dated.fields()
        unknown = OutcomeUnknown("place", order.client_order_id, expires_at_ms, order.sub_account)
        return await self._ask(body, Placed, unknown)

    async def amend(
        self, order: OrderRef, *, price: Number | None = None, size: Number | None = None
    ) -> Placed:
        """Gives an open order another price or size; `size` is the total, what is filled included."""
        expires_at_ms = self._expiry_ms()
        change = Amend(order=order, price=price, size=size, expires_at_ms=expires_at_ms)
        unknown = OutcomeUnknown(f"amend {change.order_id}", None, expires_at_ms)
        return await self._ask(operation_json(change), Placed, unknown)

    async def cancel(
        self, order: OrderRef | None = None, *, client_order_id: str | None = None, sub_account: int = 0
    ) -> Order:
        """Ends an open order; the order as it ended. Raises UnknownOrder where it is not open any more.

        By its `client_order_id` and `sub_account` an order can be ended whose placing is not answered yet.
        """
        wanted = Cancel(order=order, client_order_id=client_order_id, sub_account=sub_account)
        return (await self._ask(operation_json(wanted), _Cancelled, OutcomeUnknown(str(wanted)))).order

    async def cancel_all(
        self, market: str | None = None, *, side: Side | None = None, sub_account: int = 0
    ) -> CancelledAll:
        """Ends all open orders of an account, or those of one market or side."""
        fields = {"market": market, "side": side, "sub_account": sub_account or None}
        body = {"op": "cancel_all"} | {name: value for name, value in fields.items() if value is not None}
        return await self._ask(body, CancelledAll, OutcomeUnknown("cancel_all"))

    async def batch(self, operations: Sequence[Operation]) -> list[BatchResult]:
        """Does up to 100 operations in their order, committed as one; each is done or refused by itself."""
        expires_at_ms = self._expiry_ms()
        sent = dated(operations, expires_at_ms)
        body = {"op": "batch", "operations": [operation_json(operation) for operation in sent]}
        answer = await self._ask(body, _Batch, BatchOutcomeUnknown(operations, expires_at_ms))
        await self._exchange._http.note_refused(*codes_of(answer.results))
        return list(answer.results)

    async def cancel_all_after(self, seconds: int, *, sub_account: int = 0) -> DeadMansSwitch:
        """The dead man's switch: all orders of the account are cancelled unless this is called again in time.

        0 switches it off.
        """
        body: dict[str, Any] = {"op": "cancel_all_after", "seconds": seconds}
        if sub_account:
            body["sub_account"] = sub_account
        return await self._ask(body, DeadMansSwitch, OutcomeUnknown("cancel_all_after"))

    async def cancel_on_disconnect(self, enabled: bool = True) -> None:
        """Has the exchange cancel the orders placed over this stream when its connection is lost.

        It is asked again after each reconnect, before any order can be sent.
        """
        body = {"op": "cancel_on_disconnect", "enabled": enabled}
        await self._ask(body, _Switched, OutcomeUnknown("cancel_on_disconnect"))
        self.cancels_on_disconnect = enabled

    async def outcome(self, unknown: OutcomeUnknown, *, sub_account: int | None = None) -> Order | None:
        """What became of an order whose outcome is unknown: the order; None if it was not and never will be.

        It may take until the order's end of life, since only then what is not there can not come any more.
        Raises ValueError where there is no client_order_id to look for, Unreachable while the exchange can
        not be asked.
        """
        return await self._exchange.outcome(unknown, sub_account=sub_account)

    async def prepare(self, connection: Connection) -> None:
        """Called on each connection before any order can be sent on it. Raises what it is refused with."""
        if not self.cancels_on_disconnect:
            return
        reply = await connection.request({"op": "cancel_on_disconnect", "enabled": True})
        if reply is not None and reply.error is not None:
            raise reply.error

    def _expiry_ms(self) -> int:
        return self._exchange.clock.now_ms() + self._order_life_ms

    async def _ask(self, body: dict[str, Any], into: type[T], unknown: OutcomeUnknown) -> T:
        """The answer. Raises Refused, `unknown`, or Unreachable when nothing was sent."""
        connection = await self._host.signed_in_connection()
        answered: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()

        def on_reply(reply: Reply | None) -> None:
            self.in_flight -= 1
            if not answered.done():
                answered.set_result(reply)

        self.in_flight += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.send(body, on_reply)
                reply = await answered
        except TimeoutError:
            raise unknown from None
        except Unreachable:
            self.in_flight -= 1
            raise
        if reply is None:
            raise unknown
        error = reply.error
        if isinstance(error, OutcomeUnknown | ServerError):
            unknown.refusal = error if isinstance(error, ServerError) else None
            raise unknown from error
        if error is not None:
            await self._exchange._http.note_refused(error.code)
            raise error
        try:
            answer = msgspec.json.decode(reply.raw, type=into)
        except msgspec.MsgspecError as wrong:
            raise unknown from UnexpectedAnswer(f"the answer is not what it should be: {wrong}")
        seq = getattr(answer, "seq", None)
        if isinstance(seq, int):
            self.seq = max(self.seq, seq)
            self._exchange._http.note_seq(seq)
        return answer
