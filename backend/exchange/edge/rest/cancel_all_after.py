"""The dead man's switch: an account's orders are cancelled unless the caller goes on saying that it lives."""

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.edge import order_requests
from exchange.edge.body import refuse_parameters
from exchange.edge.dependencies import edge_of
from exchange.edge.identity import AGENTS_TOO, TraderOf
from exchange.edge.order_requests import MAX_SWITCH_S
from exchange.edge.rate_limiting import charge_of
from exchange.edge.reads import SeqAnswer
from exchange.edge.rest.order_entry import done
from exchange.edge.values import StrictBody, TimeMs

router = APIRouter(tags=["orders"], dependencies=[Depends(refuse_parameters)])


class CancelAllAfterRequest(StrictBody):
    """When the account's orders are to be cancelled; each request replaces the one before."""

    seconds: int = Field(ge=0, le=MAX_SWITCH_S, description="From now; 0 switches it off.", examples=[60])
    sub_account: int = Field(default=0, ge=0, le=MAX_SUB_ACCOUNT, examples=[0])


class CancelAllAfterAnswer(SeqAnswer):
    """The switch as it is now set."""

    sub_account: int = Field(examples=[0])
    cancel_all_at_ms: TimeMs | None = Field(description="Null: it is off.")


@router.post("/v1/cancel-all-after", openapi_extra=AGENTS_TOO)
async def post_cancel_all_after(
    request: Request, trader: TraderOf, body: CancelAllAfterRequest
) -> CancelAllAfterAnswer:
    """Sets, renews or switches off the dead man's switch of an account."""
    edge, budget = edge_of(request), charge_of(request)
    asked = order_requests.cancel_all_after(edge, trader.caller, budget, body.model_dump())
    _, content = await done(request, trader, asked)
    return CancelAllAfterAnswer.model_validate(content)
