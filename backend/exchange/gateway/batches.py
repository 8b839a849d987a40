"""A batch request: up to 100 operations, each as its single request would be, and each refused by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from exchange.core.commands import AmendOrder, CancelClientOrder, CancelOrder, PlaceOrder
from exchange.gateway.accounts import own_account_id, own_open_order
from exchange.gateway.callers import Caller
from exchange.gateway.fields import parse_order_id, parse_word, refuse_unknown_fields, required
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.gateway.requests import parse_amend_order, parse_cancel_order, parse_place_order
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder

MAX_OPERATIONS = 100
_BATCH_FIELDS = frozenset({"operations"})


class Operation(StrEnum):
    """What one item of a batch does."""

    PLACE = "place"
    AMEND = "amend"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class ParsedOperation:
    """The command of an item; `order` is the order that it amends or cancels, as committed before.

    Of one that is cancelled by its client order id nothing is known before.
    """

    command: PlaceOrder | AmendOrder | CancelOrder | CancelClientOrder
    order: OpenOrder | None


def parse_operations(body: Mapping[str, object]) -> list[object]:
    """The items of a batch, whatever they are. Raises FieldRefused."""
    refuse_unknown_fields(body, _BATCH_FIELDS)
    operations = required(body, "operations")
    if not isinstance(operations, list) or not 1 <= len(operations) <= MAX_OPERATIONS:
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            f"must be a list of 1 to {MAX_OPERATIONS} operations",
            field="operations",
        )
    return operations


@dataclass(slots=True)
class BatchReader:
    """Reads the items of one batch in their order.

    `amended` has the orders that were amended before, in the batch or by what is still on its way.
    """

    caller: Caller
    view: CommittedView
    now_ns: int
    amended: set[int] = field(default_factory=set)

    def parse(self, item: object) -> ParsedOperation:
        """The command of an item. Raises FieldRefused, AgentRefused."""
        if not isinstance(item, dict):
            raise FieldRefused(GatewayCode.FIELD_INVALID, "must be an object", field="operations", value=item)
        content: dict[str, Any] = dict(item)
        operation = parse_word(required(content, "op"), "op", Operation)
        del content["op"]
        view = self.view
        if operation is Operation.PLACE:
            account_id = own_account_id(view, self.caller, content.get("sub_account"))
            command = parse_place_order(content, account_id, view.market_by_symbol, self.now_ns)
            self.caller.require_market(command.market_id)
            return ParsedOperation(command, None)
        if operation is Operation.CANCEL:
            return ParsedOperation(*parse_cancel_order(content, view, self.caller))
        order = own_open_order(view, self.caller, parse_order_id(required(content, "order_id")))
        del content["order_id"]
        return ParsedOperation(self._amendment(content, order), order)

    def _amendment(self, content: dict[str, Any], order: OpenOrder) -> AmendOrder:
        command = parse_amend_order(content, order, self.view.markets[order.market_id], self.now_ns)
        if order.order_id in self.amended:
            require_whole(content)
        self.amended.add(order.order_id)
        return command


def require_whole(amendment: Mapping[str, object]) -> None:
    """For an order that is amended already, by what the view does not have yet.

    What is missing would be filled in from before that amendment, and undo it. Raises FieldRefused.
    """
    for name in ("price", "size"):
        if amendment.get(name) is None:
            raise FieldRefused(
                GatewayCode.FIELD_MISSING,
                "an amendment of this order goes before this one: give both price and size",
                field=name,
            )
