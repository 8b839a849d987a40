"""Agents: keys that act for the owner. Approving one takes the wallet's signature, ending one the session."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.agents import MAX_IP_RANGES
from exchange.core.commands import RevokeAgent
from exchange.core.events import AgentApproved, AgentKnown, AgentRevoked, Rejected
from exchange.core.rejects import RejectReason
from exchange.core.words import AgentScope
from exchange.edge.body import refuse_parameters
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.identity import AGENTS_TOO, AUTHENTICATED, ReaderOf, SessionOf
from exchange.edge.problems import Problem, rejected
from exchange.edge.reads import PageAnswer, PageQuery, SeqAnswer, decode_cursor, encode_cursor, require_view
from exchange.edge.values import IdText, StrictBody, Symbol, TimeMs, time_ms
from exchange.gateway.agent_keys import KeyKind, is_key, kind_of
from exchange.gateway.agents import ApprovalForm, signed_approval
from exchange.sequencer.agents import Agent

router = APIRouter(tags=["agents"])

_LISTING = "agents"
_KEY_EXAMPLE = "0xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
_KEY_PATTERN = r"^0x([0-9a-f]{64}|[0-9a-f]{40})$"
AgentKey = Annotated[
    str,
    Field(
        pattern=_KEY_PATTERN,
        description="An Ed25519 public key (64 digits), or the address of a secp256k1 key (40).",
        examples=[_KEY_EXAMPLE],
    ),
]


class AgentRequest(StrictBody):
    """A key as the owner signed it (EIP-712, see `/v1/deployment`): every field is part of what is signed."""

    key: str = Field(max_length=100, examples=[_KEY_EXAMPLE])
    name: str = Field(
        max_length=200,
        description="Your own words for it: 1 to 64 printable characters.",
        examples=["maker on host 7"],
    )
    scopes: list[str] = Field(
        max_length=10, description="read, trade, or both in this order.", examples=[["read", "trade"]]
    )
    markets: list[str] = Field(
        max_length=1_000,
        description="In which it may trade; none: in every market, those that open later too.",
        examples=[["ETH-USDC"]],
    )
    sub_accounts: list[int] = Field(
        max_length=MAX_SUB_ACCOUNT + 1,
        description="Of which it may read and trade; none: of all.",
        examples=[[0, 1]],
    )
    expires_at_s: int = Field(
        description="When the key ends, in seconds since 1970 (UTC); at most 366 days away.",
        examples=[1795377600],
    )
    ip_ranges: list[str] = Field(
        max_length=MAX_IP_RANGES,
        description="From where it may be used (CIDR); none: from anywhere.",
        examples=[["203.0.113.0/24"]],
    )
    nonce: str = Field(
        max_length=100, description="Any whole number that makes the message new.", examples=["1763841600000"]
    )
    deadline_s: int = Field(
        description="Last second at which the signature may be handed in; at most an hour away.",
        examples=[1763845200],
    )
    signature: str = Field(max_length=200, examples=["0x" + "ab" * 64 + "1b"])


class AgentItem(BaseModel):
    """A key and what it may do. Empty `markets`, `sub_accounts` and `ip_ranges` bound nothing."""

    key: AgentKey
    kind: KeyKind = Field(examples=["ed25519"])
    name: str = Field(examples=["maker on host 7"])
    scopes: list[AgentScope] = Field(examples=[["read", "trade"]])
    markets: list[Symbol]
    sub_accounts: list[int] = Field(examples=[[0, 1]])
    ip_ranges: list[str] = Field(examples=[["203.0.113.0/24"]])
    nonce: IdText = Field(description="Of the approval.")
    expires_at_ms: TimeMs
    approved_at_ms: TimeMs
    revoked_at_ms: TimeMs | None
    state: Literal["active", "expired", "revoked"] = Field(examples=["active"])


class AgentAnswer(SeqAnswer):
    """One key."""

    agent: AgentItem


class AgentsAnswer(PageAnswer):
    """Keys that the owner has approved, newest first: at most 1,000 in all, of which 50 may be active."""

    items: list[AgentItem]


_APPROVED_BEFORE: dict[int | str, dict[str, Any]] = {
    200: {"model": AgentAnswer, "description": "The same approval was taken before."}
}


@router.post(
    "/v1/agents",
    status_code=201,
    responses=_APPROVED_BEFORE,
    openapi_extra=AUTHENTICATED,
    dependencies=[Depends(refuse_parameters)],
)
async def post_agent(
    request: Request, response: Response, session: SessionOf, body: AgentRequest
) -> AgentAnswer:
    """Approves a key that acts for you, with your wallet's signature. A key can be approved once, ever.

    It can trade or read as far as you say, and never withdraw, transfer, approve keys or revoke them.
    """
    edge = edge_of(request)
    command = signed_approval(
        msgspec.convert(body, ApprovalForm, from_attributes=True),
        session.owner,
        edge.view.market_by_symbol,
        edge.typed_data_domain,
        edge.clock_ns(),
    )
    outcome = await edge.submit(command)
    match outcome.events[0]:
        case AgentApproved():
            pass
        case AgentKnown():
            response.status_code = 200
        case Rejected(reason=reason):
            raise rejected(reason)
        case event:
            raise AssertionError(f"an agent was approved and {event!r} answered")
    return AgentAnswer(seq=outcome.seq, agent=_known(edge, command.key))


@router.get("/v1/agents", openapi_extra=AGENTS_TOO)
async def get_agents(
    request: Request, caller: ReaderOf, query: Annotated[PageQuery, Query()]
) -> AgentsAnswer:
    """The keys that act for you, and those that did. Not for a key of only some sub-accounts."""
    edge = edge_of(request)
    caller.require_every_sub_account()
    older = decode_cursor(query.cursor, _LISTING, 1)
    await require_view(edge, query.min_seq)
    agents = edge.view.agents_of(caller.owner)
    # A place is told by how many are older, so that new keys in front do not move it.
    start = 0 if older is None else max(0, len(agents) - older[0])
    page = agents[start : start + query.limit]
    left = len(agents) - start - len(page)
    return AgentsAnswer(
        seq=edge.view.seq,
        items=[agent_item(edge, agent) for agent in page],
        next_cursor=encode_cursor(_LISTING, (left,) if left else None),
    )


@router.delete("/v1/agents/{key}", openapi_extra=AUTHENTICATED, dependencies=[Depends(refuse_parameters)])
async def delete_agent(request: Request, session: SessionOf, key: str) -> AgentAnswer:
    """Ends a key for ever. Once this is answered it does nothing more, on open streams neither."""
    edge = edge_of(request)
    if not is_key(key):
        raise _unknown(key)
    outcome = await edge.submit(RevokeAgent(session.owner, key))
    match outcome.events[0]:
        case AgentRevoked() | AgentKnown():
            return AgentAnswer(seq=outcome.seq, agent=_known(edge, key))
        case Rejected(reason=RejectReason.AGENT_UNKNOWN):
            raise _unknown(key)
        case Rejected(reason=reason):
            raise rejected(reason)
        case event:
            raise AssertionError(f"an agent was revoked and {event!r} answered")


def agent_item(edge: Edge, agent: Agent) -> AgentItem:
    """An agent as it is sent."""
    state: Literal["active", "expired", "revoked"] = "active"
    if agent.revoked_ns:
        state = "revoked"
    elif agent.expires_ns <= edge.clock_ns():
        state = "expired"
    return AgentItem(
        key=agent.key,
        kind=kind_of(agent.key),
        name=agent.name,
        scopes=list(agent.scopes),
        markets=[edge.view.markets[market_id].symbol for market_id in agent.market_ids],
        sub_accounts=list(agent.sub_accounts),
        ip_ranges=list(agent.ip_ranges),
        nonce=str(agent.nonce),
        expires_at_ms=time_ms(agent.expires_ns),
        approved_at_ms=time_ms(agent.approved_ns),
        revoked_at_ms=time_ms(agent.revoked_ns) if agent.revoked_ns else None,
        state=state,
    )


def _known(edge: Edge, key: str) -> AgentItem:
    agent = edge.view.agent(key)
    assert agent is not None  # the view has it before the commit is answered
    return agent_item(edge, agent)


def _unknown(key: str) -> Problem:
    return Problem(
        RejectReason.AGENT_UNKNOWN,
        "you have approved no such key",
        field="key",
        value=key,
        status_and_title=(404, "You have no such agent."),
    )
