"""Requests that trade, whoever carries them: from the caller and the decoded fields to commands, and from the
commands' outcomes to the answer.

An HTTP request and a frame of a WebSocket differ in how they say who is there, in what they may spend
(`Budget`) and in how they wait; what they ask for is read here, and is answered here. Nothing here waits.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from exchange.core.commands import (
    AmendOrder,
    CancelAll,
    CancelAllAfter,
    CancelClientOrder,
    CancelOrder,
    Command,
    PlaceOrder,
)
from exchange.core.events import CancelAllAfterSet, OrderEnded, Rejected
from exchange.core.rejects import RejectReason
from exchange.core.words import Side
from exchange.edge.dependencies import Edge
from exchange.edge.problems import Problem
from exchange.edge.rest.order_answers import Answer, amended, cancelled, first_event, placed
from exchange.edge.values import time_ms
from exchange.gateway.accounts import open_order_by_client_id, own_account_id, own_open_order
from exchange.gateway.batches import (
    BatchReader,
    Operation,
    ParsedOperation,
    parse_operations,
    require_whole,
)
from exchange.gateway.callers import Caller
from exchange.gateway.fields import (
    parse_market,
    parse_order_id,
    parse_whole,
    parse_word,
    refuse_unknown_fields,
    required,
)
from exchange.gateway.refusals import AgentRefused, FieldRefused, GatewayCode, GatewayRefusal
from exchange.gateway.requests import parse_amend_order, parse_cancel_order, parse_place_order
from exchange.sequencer.open_orders import OpenOrder
from exchange.sequencer.sequencer import Outcome

MAX_SWITCH_S = 24 * 3600
"""How far off the dead man's switch may be set."""
_CANCEL_ALL_FIELDS = frozenset({"market", "side", "sub_account"})
_SWITCH_FIELDS = frozenset({"seconds", "sub_account"})


class Budget(Protocol):
    """How many orders and cancels an owner may still ask for. Cancels have their own."""

    def take_orders(self, owner: str, wanted: int = 1) -> int:
        """How many of these placements and amendments are granted; they are spent."""

    def take_cancels(self, owner: str, wanted: int = 1) -> int:
        """The same of cancels."""

    def orders_refused(self, owner: str) -> GatewayRefusal:
        """Why one more is not granted now, and when it will be."""

    def cancels_refused(self, owner: str) -> GatewayRefusal:
        """The same of cancels."""


class OrderRequest(NamedTuple):
    """What is to be done, and what is to be said of it.

    `answer` takes the commands' outcomes, all of them, and gives the whole answer, or raises the Problem that
    it is. Without `commands` there is nothing to be done: `answer` takes nothing.
    """

    commands: Sequence[Command]
    answer: Callable[[Sequence[Outcome]], Answer]


def place(edge: Edge, caller: Caller, budget: Budget, body: Mapping[str, object]) -> OrderRequest:
    """An order. Raises GatewayRefusal."""
    _spend_order(budget, caller)
    view = edge.view
    account_id = own_account_id(view, caller, body.get("sub_account"))
    command = parse_place_order(body, account_id, view.market_by_symbol, edge.clock_ns())
    caller.require_market(command.market_id)

    def answer(outcomes: Sequence[Outcome]) -> Answer:
        return _with_seq(outcomes[0].seq, placed(view, command, outcomes[0]))

    return OrderRequest((command,), answer)


def amend(
    edge: Edge,
    caller: Caller,
    budget: Budget,
    order_id: object,
    body: Mapping[str, object],
    amending: Container[int] = (),
) -> OrderRequest:
    """A new price or size. Raises GatewayRefusal.

    `amending`: ids of orders with amendments on their way, which the committed view does not have yet.
    """
    _spend_order(budget, caller)
    view = edge.view
    order = own_open_order(view, caller, _order_id(order_id))
    command = parse_amend_order(body, order, view.markets[order.market_id], edge.clock_ns())
    if order.order_id in amending:
        require_whole(body)

    def answer(outcomes: Sequence[Outcome]) -> Answer:
        return _with_seq(outcomes[0].seq, amended(view, order, outcomes[0]))

    return OrderRequest((command,), answer)


def cancel(edge: Edge, caller: Caller, budget: Budget, fields: Mapping[str, object]) -> OrderRequest:
    """The end of one order, by its `order_id`, or by its `client_order_id` in a `sub_account`.

    Raises GatewayRefusal.
    """
    _spend_cancel(budget, caller)
    view = edge.view
    command, order = parse_cancel_order(fields, view, caller)

    def answer(outcomes: Sequence[Outcome]) -> Answer:
        return _with_seq(outcomes[0].seq, _cancelled(edge, caller, command, order, outcomes[0]))

    return OrderRequest((command,), answer)


def cancel_all(edge: Edge, caller: Caller, budget: Budget, fields: Mapping[str, object]) -> OrderRequest:
    """The end of all open orders of a `sub_account`, of one `market` or of all, of one `side` or both.

    Raises GatewayRefusal.
    """
    _spend_cancel(budget, caller)
    refuse_unknown_fields(fields, _CANCEL_ALL_FIELDS)
    view = edge.view
    account_id = own_account_id(view, caller, fields.get("sub_account"))
    market, side = fields.get("market"), fields.get("side")
    market_id = None
    if market is None:
        caller.require_every_market()
    else:
        market_id = parse_market(market, view.market_by_symbol).market_id
        caller.require_market(market_id)
    command = CancelAll(account_id, market_id, None if side is None else parse_word(side, "side", Side))

    def answer(outcomes: Sequence[Outcome]) -> Answer:
        (outcome,) = outcomes
        first_event(outcome.events)
        order_ids = [str(event.order_id) for event in outcome.events if type(event) is OrderEnded]
        return _with_seq(outcome.seq, Answer(200, {"count": len(order_ids), "order_ids": order_ids}))

    return OrderRequest((command,), answer)


def cancel_all_after(
    edge: Edge, caller: Caller, budget: Budget, fields: Mapping[str, object]
) -> OrderRequest:
    """The dead man's switch of a `sub_account`, `seconds` from now; 0 is off. Raises GatewayRefusal."""
    _spend_cancel(budget, caller)
    refuse_unknown_fields(fields, _SWITCH_FIELDS)
    wait_s = parse_whole(required(fields, "seconds"), "seconds", 0, MAX_SWITCH_S)
    account_id = own_account_id(edge.view, caller, fields.get("sub_account"))
    caller.require_every_market()
    number = edge.view.sub_account(account_id)

    def answer(outcomes: Sequence[Outcome]) -> Answer:
        (outcome,) = outcomes
        match first_event(outcome.events):
            case CancelAllAfterSet(fires_ns=set_ns):
                at_ms = time_ms(set_ns) if set_ns else None
                content = {"sub_account": number, "cancel_all_at_ms": at_ms}
                return _with_seq(outcome.seq, Answer(200, content))
            case event:
                raise AssertionError(f"a switch was set and {event!r} answered")

    fires_ns = edge.clock_ns() + wait_s * 10**9 if wait_s else 0
    return OrderRequest((CancelAllAfter(account_id, fires_ns),), answer)


def batch(
    edge: Edge,
    caller: Caller,
    budget: Budget,
    body: Mapping[str, object],
    request_id: str,
    amending: Iterable[int] = (),
) -> OrderRequest:
    """Up to 100 operations; one that can not be is refused by itself. Raises GatewayRefusal.

    The problems of refused ones are under `request_id`. `amending` as for `amend`.
    """
    view = edge.view
    reader = BatchReader(caller, view, edge.clock_ns(), set(amending))
    items = parse_operations(body)
    granted = _Granted(budget, caller.owner, items)
    results: list[dict[str, Any]] = []
    taken: list[tuple[int, ParsedOperation]] = []
    for index, item in enumerate(items):
        results.append({})
        try:
            granted.spend(item)
            taken.append((index, reader.parse(item)))
        except GatewayRefusal as refused:
            results[index] = _problem_result(Problem.of_refusal(refused), request_id)

    def answer(outcomes: Sequence[Outcome]) -> Answer:
        for (index, operation), outcome in zip(taken, outcomes, strict=True):
            try:
                status, content = _done(edge, caller, operation, outcome)
                results[index] = {"status": status, **content}
            except Problem as problem:
                results[index] = _problem_result(problem, request_id)
        return _with_seq(outcomes[-1].seq if outcomes else view.seq, Answer(200, {"results": results}))

    return OrderRequest([operation.command for _, operation in taken], answer)


class _Granted:
    """What the items of a batch may spend: asked for at once, and spent by the first that need it."""

    def __init__(self, budget: Budget, owner: str, items: Sequence[object]) -> None:
        cancels = sum(map(_is_cancel, items))
        orders = len(items) - cancels
        self._budget = budget
        self._owner = owner
        self._cancels = budget.take_cancels(owner, cancels) if cancels else 0
        self._orders = budget.take_orders(owner, orders) if orders else 0

    def spend(self, item: object) -> None:
        """Raises GatewayRefusal (rate_limited)."""
        if _is_cancel(item):
            self._cancels -= 1
            if self._cancels < 0:
                raise self._budget.cancels_refused(self._owner)
        else:
            self._orders -= 1
            if self._orders < 0:
                raise self._budget.orders_refused(self._owner)


def _is_cancel(item: object) -> bool:
    """What is nothing at all counts as an order."""
    return isinstance(item, dict) and item.get("op") == Operation.CANCEL


def _order_id(value: object) -> int:
    if value is None:
        raise FieldRefused(GatewayCode.FIELD_MISSING, "this field is required", field="order_id")
    return parse_order_id(value)


def _spend_order(budget: Budget, caller: Caller) -> None:
    if not budget.take_orders(caller.owner):
        raise budget.orders_refused(caller.owner)


def _spend_cancel(budget: Budget, caller: Caller) -> None:
    if not budget.take_cancels(caller.owner):
        raise budget.cancels_refused(caller.owner)


def _done(edge: Edge, caller: Caller, operation: ParsedOperation, outcome: Outcome) -> Answer:
    match operation.command:
        case PlaceOrder() as command:
            return placed(edge.view, command, outcome)
        case AmendOrder():
            assert operation.order is not None
            return amended(edge.view, operation.order, outcome)
        case CancelOrder() | CancelClientOrder() as command:
            return _cancelled(edge, caller, command, operation.order, outcome)


def _cancelled(
    edge: Edge,
    caller: Caller,
    command: CancelOrder | CancelClientOrder,
    order: OpenOrder | None,
    outcome: Outcome,
) -> Answer:
    """As `cancelled`. The engine does not know an order of that id in the markets that an agent may trade in:
    where there is one in another, the agent is told so, as it is for an order's own id. Raises Problem.
    """
    first = outcome.events[0]
    if (
        type(command) is CancelClientOrder
        and command.market_ids
        and type(first) is Rejected
        and first.reason is RejectReason.UNKNOWN_ORDER
    ):
        named = open_order_by_client_id(edge.view, command.account_id, command.client_order_id)
        if named is not None:
            try:
                caller.require_market(named.market_id, "client_order_id")
            except AgentRefused as refused:
                raise Problem.of_refusal(refused) from refused
    return cancelled(edge.view, order, outcome)


def _problem_result(problem: Problem, request_id: str) -> dict[str, Any]:
    return {"status": problem.status, "problem": problem.content(request_id)}


def _with_seq(seq: int, answer: Answer) -> Answer:
    return Answer(answer.status, {"seq": seq, **answer.content})
