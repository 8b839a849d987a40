"""Which accounts and orders a caller may use: the owner's, and of these an agent only what it was allowed."""

from exchange.core.rejects import RejectReason
from exchange.gateway.callers import Caller
from exchange.gateway.fields import parse_sub_account
from exchange.gateway.refusals import FieldRefused
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder

NOBODY = 0
"""No account has this id, so reading for it finds nothing."""


def own_account_id(view: CommittedView, caller: Caller, value: object, field: str = "sub_account") -> int:
    """Id of the owner's sub-account of a request, the main account when None.

    Raises FieldRefused, AgentRefused (sub_account_not_allowed).
    """
    sub_account = 0 if value is None else parse_sub_account(value, field)
    caller.require_sub_account(sub_account, field)
    if sub_account == 0:
        return caller.account_id
    account_id = view.account_id(caller.owner, sub_account)
    if account_id is None:
        raise FieldRefused(
            RejectReason.UNKNOWN_ACCOUNT,
            "this sub-account does not exist yet: transfer something to it first",
            field=field,
            value=value,
        )
    return account_id


def account_id_to_read(view: CommittedView, caller: Caller, sub_account: int) -> int:
    """Id of the owner's sub-account, or NOBODY's while there is none: it has nothing yet.

    Raises AgentRefused (sub_account_not_allowed).
    """
    caller.require_sub_account(sub_account)
    if sub_account == 0:
        return caller.account_id
    account_id = view.account_id(caller.owner, sub_account)
    return NOBODY if account_id is None else account_id


def own_open_order(view: CommittedView, caller: Caller, order_id: int) -> OpenOrder:
    """An open order of the owner's, to amend or cancel it.

    Raises FieldRefused (unknown_order), also for somebody else's; AgentRefused for one of the owner's that
    the agent may not touch.
    """
    order = view.open_order(order_id)
    if order is None or view.owner(order.account_id) != caller.owner:
        raise FieldRefused(RejectReason.UNKNOWN_ORDER, "you have no such order, or it is not open any more")
    if caller.agent is not None:
        caller.require_sub_account(view.sub_account(order.account_id), "order_id")
        caller.require_market(order.market_id, "order_id")
    return order


def open_order_by_client_id(view: CommittedView, account_id: int, client_order_id: str) -> OpenOrder | None:
    """The account's open order of this id; there is one at most. Looks through all that are open."""
    for order in view.open_orders(account_id):
        if order.client_order_id == client_order_id:
            return order
    return None
