"""Placing, changing and ending orders."""

from collections.abc import Sequence
from typing import Any

import msgspec

from exchange_sdk.account import Account
from exchange_sdk.call import Call
from exchange_sdk.errors import ExchangeError, OutcomeUnknown, UnknownOrder
from exchange_sdk.models import (
    BatchResult,
    CancelledAll,
    DeadMansSwitch,
    Model,
    Order,
    OrderType,
    Placed,
    SelfTradePrevention,
    ServerTime,
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
    order_id_of,
)

_REQUEST_LIFE_MS = 20_000
"""The exchange takes at most 30 s. Below the 60 s for which it remembers a client_order_id, so that an
order that is sent again in that time can not be placed twice."""

_LONGEST_LIFE_MS = 30_000
_CLOCKS_MS = 2_000
"""More than the exchange's clock here is off."""
_COMMIT_MS = 12_000
"""More than an exchange takes to commit something, or to stop because it can not."""
_LOOK_AGAIN_S = 0.5


class _Cancelled(Model, frozen=True):
    seq: int
    order: Order


class _Batch(Model, frozen=True):
    seq: int
    results: tuple[BatchResult, ...]


class Trading(Account):
    """What changes orders: for the owner's wallet, or a key with the scope `trade`."""

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
        """Places an order and tells what it filled at once.

        It has a `client_order_id`, of its own making unless given, so that it is sent again where no
        answer comes, and placed once. Raises Refused, or OutcomeUnknown when no answer came at all.
        """
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

        def body_until(expires_at_ms: int) -> dict[str, Any]:
            return msgspec.structs.replace(order, expires_at_ms=expires_at_ms).fields()

        call = Call(
            "POST",
            "/v1/orders",
            body=order.fields(),
            who="trader",
            client_order_id=order.client_order_id,
            sub_account=order.sub_account,
            expires_at_ms=order.expires_at_ms,
            life_ms=_REQUEST_LIFE_MS if order.expires_at_ms is None else None,
            body_until=body_until,
        )
        return await self._http.send(call, Placed)

    async def amend(
        self, order: OrderRef, *, price: Number | None = None, size: Number | None = None
    ) -> Placed:
        """Gives an open order another price or size; `size` is the total, what is filled included.

        A smaller size at the same price keeps its place in the queue; anything else goes to its end.
        Never sent again by itself: raises OutcomeUnknown when no answer came.
        """
        change = Amend(order=order, price=price, size=size)
        call = Call(
            "PATCH",
            f"/v1/orders/{change.order_id}",
            who="trader",
            repeatable=False,
            life_ms=_REQUEST_LIFE_MS,
            body_until=lambda expires_at_ms: change.fields() | {"expires_at_ms": expires_at_ms},
        )
        return await self._http.send(call, Placed)

    async def cancel(
        self, order: OrderRef | None = None, *, client_order_id: str | None = None, sub_account: int = 0
    ) -> Order:
        """Ends an open order; the order as it ended. Raises UnknownOrder where it is not open any more.

        Instead of the order, its `client_order_id` and `sub_account`: for one whose answer you do not have.
        UnknownOrder then does not say that it can not come any more; see `outcome`.
        """
        wanted = Cancel(order=order, client_order_id=client_order_id, sub_account=sub_account)
        path, params = _place_of(wanted)
        try:
            answer = await self._http.delete(path, _Cancelled, params, who="trader")
        except OutcomeUnknown as unknown:
            # Sent again, it was not there any more: most likely for what the first request did.
            if not isinstance(unknown.refusal, UnknownOrder):
                raise
            try:
                ended = (await self._http.get(path, _Cancelled, params, who="trader")).order
            except ExchangeError:  # the key may not read, or nobody answers now either
                raise unknown from unknown.__cause__
            if ended.status != "cancelled":
                raise unknown.refusal from unknown
            return ended
        return answer.order

    async def cancel_all(
        self, market: str | None = None, *, side: Side | None = None, sub_account: int = 0
    ) -> CancelledAll:
        """Ends all open orders of an account, or those of one market or side."""
        return await self._http.delete(
            "/v1/orders",
            CancelledAll,
            {"market": market, "side": side, "sub_account": sub_account},
            who="trader",
        )

    async def batch(self, operations: Sequence[Operation]) -> list[BatchResult]:
        """Does up to 100 operations in their order, committed as one; each is done or refused by itself.

        One with an Amend in it is not sent again by itself. Raises BatchOutcomeUnknown, which has the
        operations, when no answer came.
        """
        sent = list(operations)
        for operation in sent:
            operation_json(operation)  # raises TypeError for what is none, before anything is asked

        def body_until(expires_at_ms: int) -> dict[str, Any]:
            return {"operations": [operation_json(each) for each in dated(sent, expires_at_ms)]}

        call = Call(
            "POST",
            "/v1/orders/batch",
            who="trader",
            repeatable=not any(isinstance(operation, Amend) for operation in sent),
            life_ms=_REQUEST_LIFE_MS,
            body_until=body_until,
        )
        try:
            results = (await self._http.send(call, _Batch)).results
        except OutcomeUnknown as lost:
            unknown = BatchOutcomeUnknown(sent, lost.settled_at_ms)
            unknown.refusal = lost.refusal
            raise unknown from lost.__cause__
        await self._http.note_refused(*codes_of(results))
        return list(results)

    async def outcome(self, unknown: OutcomeUnknown, *, sub_account: int | None = None) -> Order | None:
        """What became of an order whose outcome is unknown: the order; None if it is not and never will be.

        It is looked for in the account that it was for, unless another `sub_account` is given. It may take
        until `unknown.settled_at_ms`, and longer while the exchange is at committing something: before that,
        what is not there may still come. A key needs the scope `read` for it. Raises ValueError where there
        is no client_order_id to look for, Unreachable while nobody can be asked.
        """
        if unknown.client_order_id is None or unknown.settled_at_ms is None:
            raise ValueError("only an order that was placed has a client_order_id to look for")
        account = unknown.sub_account if sub_account is None else sub_account
        since_ms = unknown.settled_at_ms - _LONGEST_LIFE_MS - _CLOCKS_MS
        while True:
            now = await self._http.get("/v1/time", ServerTime)
            self._http.note_seq(now.seq)  # what is read next is at least as new as this
            order = await self.find_order(unknown.client_order_id, since=since_ms, sub_account=account)
            if order is not None or _decided_ms(now) > unknown.settled_at_ms:
                return order
            await self._http.sleep(_LOOK_AGAIN_S)

    async def cancel_all_after(self, seconds: int, *, sub_account: int = 0) -> DeadMansSwitch:
        """The dead man's switch: all orders of the account are cancelled unless this is called again in time.

        0 switches it off.
        """
        body = {"seconds": seconds, "sub_account": sub_account}
        return await self._http.post(
            "/v1/cancel-all-after", body, DeadMansSwitch, who="trader", repeatable=True
        )


def _place_of(wanted: Cancel) -> tuple[str, dict[str, int]]:
    """Path and parameters of the order that is to be ended."""
    if wanted.client_order_id is not None:
        account = {"sub_account": wanted.sub_account} if wanted.sub_account else {}
        return f"/v1/orders/client/{wanted.client_order_id}", account
    assert wanted.order is not None
    return f"/v1/orders/{order_id_of(wanted.order)}", {}


def _decided_ms(now: ServerTime) -> int:
    """Until when everything is decided that could be taken: as told, or as an older exchange can not tell."""
    return now.time_ms - _COMMIT_MS if now.decided_until_ms is None else now.decided_until_ms
