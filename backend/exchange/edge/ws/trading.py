"""What one connection trades: its frames to the engine, and the engine's outcomes to frames.

What is asked for and what is answered is the same as over HTTP (`order_requests`). Here is what a connection
has of its own: that it may trade is looked at for each frame, because a key may be revoked at any time; an
amendment says all of an order when one before it is still on its way, for what it left out would be filled in
from before that one; and the orders that were placed over the connection are cancelled when it is lost, if
the client has asked for that.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from exchange.core.commands import AmendOrder, CancelOrder, Command
from exchange.core.events import Rejected
from exchange.core.rejects import RejectReason
from exchange.core.words import AgentScope, RateClass
from exchange.edge import order_requests
from exchange.edge.dependencies import Edge
from exchange.edge.errors import problem_of
from exchange.edge.order_requests import Budget, OrderRequest
from exchange.edge.problems import rejected
from exchange.edge.rest.order_answers import Answer
from exchange.edge.ws import messages
from exchange.edge.ws.frames import Frames
from exchange.edge.ws.placed_orders import PlacedOrders
from exchange.edge.ws.requests import TradeRequest, TradingOp
from exchange.edge.ws.turns import Pending
from exchange.gateway.callers import Caller
from exchange.gateway.fields import refuse_unknown_fields, required
from exchange.gateway.rate_limits import RequestKind
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.sequencer.sequencer import MAX_GROUP, EngineStopped, Outcome, Overloaded

_DISCONNECT_FIELDS = frozenset({"enabled"})
_ORDERS = frozenset({TradingOp.PLACE, TradingOp.AMEND})
_OF_THE_AGENT = frozenset({RejectReason.AGENT_REVOKED, RejectReason.AGENT_EXPIRED})
"""Why the engine does nothing for a key; it refuses no order for these."""
_MAY_AMEND = frozenset({TradingOp.AMEND, TradingOp.BATCH})

logger = structlog.get_logger(__name__)


class Trading:
    """The trading of one connection."""

    __slots__ = (
        "_amending",
        "_client",
        "_edge",
        "_limits",
        "_placed",
        "_signers",
        "cancels_when_lost",
    )

    def __init__(self, edge: Edge, client: str) -> None:
        """`client` is whom its address stands for (`client_key`)."""
        self._edge = edge
        self._client = client
        self._signers = edge.signers
        self._limits = edge.rate_limits
        self._placed = PlacedOrders(edge.view)
        self._amending: dict[int, int] = {}
        """How many amendments of an order are on their way."""
        self.cancels_when_lost = False

    def hand_in(
        self, caller: Caller, request: TradeRequest, on_done: Callable[[Pending], None]
    ) -> Pending | Frames:
        """Gives the engine what a frame asks for, or says at once what there is to say.

        `on_done` is called by the engine's task when it is done with it; then `take` is to be called, in the
        loop's next turn. Raises GatewayRefusal, Problem, SequencerError.
        """
        self._signers.require_live(caller)
        caller.require_scope(AgentScope.TRADE)
        budget = self._budget(caller, request)
        if request.op is TradingOp.CANCEL_ON_DISCONNECT:
            return self._set_cancel_on_disconnect(caller, budget, request)
        asked = self._order_request(caller, budget, request)
        if not asked.commands:
            return Frames([messages.result(request.id, request.op, asked.answer(()))])
        key = None if caller.agent is None else caller.agent.key
        pending = Pending(request, asked, on_done)
        self._edge.hand_in(asked.commands, pending.tell, agent=key)
        if request.op in _MAY_AMEND:
            for order_id in _amended_by(asked):
                self._amending[order_id] = self._amending.get(order_id, 0) + 1
        return pending

    def take(self, pending: Pending) -> None:
        """Notes what the engine did, also of a connection that is lost."""
        if pending.request.op in _MAY_AMEND:
            for order_id in _amended_by(pending.asked):
                left = self._amending.pop(order_id) - 1
                if left:
                    self._amending[order_id] = left
        for outcome in pending.outcomes or ():
            self._placed.add(outcome)

    def result(self, pending: Pending) -> bytes:
        """What is to be said of it; to be asked for right after `take`."""
        request = pending.request
        try:
            answer = pending.asked.answer(_known(pending.outcomes))
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            return messages.error(problem, request.id)
        return messages.result(request.id, request.op, answer)

    async def cancel_placed(self, in_flight: Sequence[Pending]) -> None:
        """Cancels what was placed over the connection and is open; it is lost, `in_flight` is what it had
        handed in and not heard of. Goes on until the engine has taken everything, or has stopped.
        """
        for pending in in_flight:
            await pending.done()
        orders = self._placed.open()
        commands = [CancelOrder(order.account_id, order.order_id) for order in orders]
        try:
            for start in range(0, len(commands), MAX_GROUP):
                await self._cancel(commands[start : start + MAX_GROUP])
        except EngineStopped:
            return  # so is everything else, and the orders are as they are
        accounts = sorted({order.account_id for order in orders})
        logger.info("orders_cancelled_on_disconnect", orders=len(orders), account_ids=accounts)

    async def _cancel(self, commands: Sequence[Command]) -> None:
        while True:
            try:
                await self._edge.submit_batch(commands)
            except Overloaded as overloaded:
                await asyncio.sleep(overloaded.retry_after_s)
            else:
                return

    # ---- what a frame asks for

    def _budget(self, caller: Caller, request: TradeRequest) -> Budget:
        """What the frame may spend. Raises RateLimited.

        An owner of the standard class pays as for an HTTP request from this address, so that nobody can do
        more by being many.
        """
        limits = self._limits
        if self._edge.view.rate_class(caller.owner) is not RateClass.STANDARD:
            return limits
        if request.op in _ORDERS:
            limits.take_address(self._client)
            return limits
        kind = RequestKind.BATCH if request.op is TradingOp.BATCH else RequestKind.CANCEL
        charge = limits.charge(self._client, kind)
        charge.take_address()
        return charge

    def _order_request(self, caller: Caller, budget: Budget, request: TradeRequest) -> OrderRequest:
        edge, fields = self._edge, request.fields
        match request.op:
            case TradingOp.PLACE:
                return order_requests.place(edge, caller, budget, fields)
            case TradingOp.AMEND:
                order_id = fields.pop("order_id", None)
                return order_requests.amend(edge, caller, budget, order_id, fields, self._amending)
            case TradingOp.CANCEL:
                return order_requests.cancel(edge, caller, budget, fields)
            case TradingOp.BATCH:
                return order_requests.batch(edge, caller, budget, fields, request.id or "", self._amending)
            case TradingOp.CANCEL_ALL:
                return order_requests.cancel_all(edge, caller, budget, fields)
            case TradingOp.CANCEL_ALL_AFTER:
                return order_requests.cancel_all_after(edge, caller, budget, fields)
        raise AssertionError(f"{request.op} has no commands")

    def _set_cancel_on_disconnect(self, caller: Caller, budget: Budget, request: TradeRequest) -> Frames:
        if not budget.take_cancels(caller.owner):
            raise budget.cancels_refused(caller.owner)
        refuse_unknown_fields(request.fields, _DISCONNECT_FIELDS)
        enabled = required(request.fields, "enabled")
        if not isinstance(enabled, bool):
            raise FieldRefused(
                GatewayCode.FIELD_INVALID, "must be true or false", field="enabled", value=enabled
            )
        self.cancels_when_lost = enabled
        content = {"seq": self._edge.view.seq, "enabled": enabled}
        return Frames([messages.result(request.id, request.op, Answer(200, content))])


def _known(outcomes: list[Outcome] | None) -> list[Outcome]:
    """Those of commands that were done. Raises EngineStopped when that is unknown.

    Nothing was done, of a batch neither, when the key had ended before its turn: raises Problem.
    """
    if outcomes is None:
        raise EngineStopped
    first = outcomes[0].events[0]
    if type(first) is Rejected and first.reason in _OF_THE_AGENT:
        raise rejected(first.reason)
    return outcomes


def _amended_by(asked: OrderRequest) -> list[int]:
    return [command.order_id for command in asked.commands if type(command) is AmendOrder]
