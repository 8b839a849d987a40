"""Which accounts and orders a session speaks for: those of its owner, whatever the sub-account."""

from exchange.core.rejects import RejectReason
from exchange.gateway.fields import parse_sub_account
from exchange.gateway.refusals import FieldRefused
from exchange.gateway.sessions import Session
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder

NOBODY = 0
"""No account has this id, so reading for it finds nothing."""


def own_account_id(view: CommittedView, session: Session, value: object, field: str = "sub_account") -> int:
    """Id of the owner's sub-account of a request, the main account when None. Raises FieldRefused."""
    sub_account = 0 if value is None else parse_sub_account(value, field)
    if sub_account == 0:
        return session.account_id
    account_id = view.account_id(session.owner, sub_account)
    if account_id is None:
        raise FieldRefused(
            RejectReason.UNKNOWN_ACCOUNT,
            "this sub-account does not exist yet: transfer something to it first",
            field=field,
            value=value,
        )
    return account_id


def account_id_to_read(view: CommittedView, session: Session, sub_account: int) -> int:
    """Id of the owner's sub-account, or NOBODY's while there is none: it has nothing yet."""
    if sub_account == 0:
        return session.account_id
    account_id = view.account_id(session.owner, sub_account)
    return NOBODY if account_id is None else account_id


def own_open_order(view: CommittedView, session: Session, order_id: int) -> OpenOrder:
    """An open order of the owner's. Raises FieldRefused (unknown_order), also for somebody else's."""
    order = view.open_order(order_id)
    if order is None or view.owner(order.account_id) != session.owner:
        raise FieldRefused(RejectReason.UNKNOWN_ORDER, "you have no such order, or it is not open any more")
    return order
