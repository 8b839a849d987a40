"""The dead man's switch: an account's orders are cancelled unless the caller goes on saying that it lives."""

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.commands import CancelAllAfter
from exchange.core.events import CancelAllAfterSet
from exchange.edge.body import refuse_parameters
from exchange.edge.dependencies import edge_of
from exchange.edge.identity import AUTHENTICATED, SessionOf
from exchange.edge.reads import SeqAnswer
from exchange.edge.rest.order_answers import first_event
from exchange.edge.values import StrictBody, TimeMs, time_ms
from exchange.gateway.accounts import own_account_id

router = APIRouter(tags=["orders"], dependencies=[Depends(refuse_parameters)])

MAX_SECONDS = 24 * 3600


class CancelAllAfterRequest(StrictBody):
    """When the account's orders are to be cancelled; each request replaces the one before."""

    seconds: int = Field(ge=0, le=MAX_SECONDS, description="From now; 0 switches it off.", examples=[60])
    sub_account: int = Field(default=0, ge=0, le=MAX_SUB_ACCOUNT, examples=[0])


class CancelAllAfterAnswer(SeqAnswer):
    """The switch as it is now set."""

    sub_account: int = Field(examples=[0])
    cancel_all_at_ms: TimeMs | None = Field(description="Null: it is off.")


@router.post("/v1/cancel-all-after", openapi_extra=AUTHENTICATED)
async def post_cancel_all_after(
    request: Request, session: SessionOf, body: CancelAllAfterRequest
) -> CancelAllAfterAnswer:
    """Sets, renews or switches off the dead man's switch of an account."""
    edge = edge_of(request)
    account_id = own_account_id(edge.view, session, body.sub_account)
    fires_ns = edge.clock_ns() + body.seconds * 10**9 if body.seconds else 0
    outcome = await edge.submit(CancelAllAfter(account_id, fires_ns))
    match first_event(outcome.events):
        case CancelAllAfterSet(fires_ns=set_ns):
            return CancelAllAfterAnswer(
                seq=outcome.seq,
                sub_account=body.sub_account,
                cancel_all_at_ms=time_ms(set_ns) if set_ns else None,
            )
        case event:
            raise AssertionError(f"a switch was set and {event!r} answered")
