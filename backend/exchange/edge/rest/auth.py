"""Signing in with a wallet and out again."""

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from exchange.core.commands import OpenAccount
from exchange.core.events import AccountKnown, AccountOpened, Rejected
from exchange.edge.cookies import PRE_LOGIN_COOKIE, SESSION_COOKIE, cookies_of
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.identity import (
    AUTHENTICATED,
    SessionOf,
    clear_cookie,
    presented_token,
    require_origin,
    set_cookie,
)
from exchange.edge.problems import Problem, rejected
from exchange.edge.values import AddressText, IdText, StrictBody, TimeMs, time_ms
from exchange.gateway.addresses import checksummed, parse_address
from exchange.gateway.rate_limit import TokenBuckets, client_key
from exchange.gateway.refusals import GatewayCode
from exchange.gateway.siwe import MAX_MESSAGE_CHARS


async def limit_rate(request: Request) -> None:
    """Raises Problem (rate_limited). By the connection's own address: a header could say anything."""
    buckets: TokenBuckets = request.app.state.auth_buckets
    wait_s = buckets.take(client_key(request.client.host if request.client is not None else None))
    if wait_s:
        raise Problem(
            GatewayCode.RATE_LIMITED, f"try again in {wait_s} s", headers={"Retry-After": str(wait_s)}
        )


router = APIRouter(tags=["auth"], dependencies=[Depends(limit_rate)])

_TOKEN_EXAMPLE = "u3Zq0Yl6Jm2vHk8aXx1cR5tN7bE9dWf4sGpQoKiLyTA"  # noqa: S105 - an example


class NonceRequest(StrictBody):
    """The wallet that wants to sign in."""

    address: str = Field(max_length=100, examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"])


class NonceAnswer(BaseModel):
    """Have the wallet sign `message` (personal_sign) exactly as it is, once, before it expires."""

    message: str = Field(examples=["localhost:8000 wants you to sign in with your Ethereum account:\n..."])
    pre_login_token: str = Field(
        description="Send it back with the login. Browsers have it in a cookie too.",
        examples=[_TOKEN_EXAMPLE],
    )
    expires_at_ms: TimeMs


class LoginRequest(StrictBody):
    """The message, its signature, and the pre-login token unless the cookie carries it."""

    message: str = Field(
        max_length=MAX_MESSAGE_CHARS,
        examples=["localhost:8000 wants you to sign in with your Ethereum account:\n..."],
    )
    signature: str = Field(max_length=200, examples=["0x" + "ab" * 64 + "1b"])
    pre_login_token: str | None = Field(default=None, max_length=100, examples=[_TOKEN_EXAMPLE])


class LoginAnswer(BaseModel):
    """`token` is for `Authorization: Bearer`; browsers have it in a cookie that no script sees."""

    token: str = Field(examples=[_TOKEN_EXAMPLE])
    address: AddressText
    account_id: IdText
    expires_at_ms: TimeMs


@router.post("/v1/auth/nonce")
async def post_nonce(request: Request, response: Response, body: NonceRequest) -> NonceAnswer:
    """Starts a login: a Sign-In-With-Ethereum text for one wallet, good once and for 5 minutes."""
    edge = edge_of(request)
    challenge = await edge.login.issue(parse_address(body.address, "address"))
    max_age_s = (challenge.expires_ns - edge.clock_ns()) // 10**9
    set_cookie(response, PRE_LOGIN_COOKIE, challenge.pre_login_token, max_age_s)
    return NonceAnswer(
        message=challenge.message,
        pre_login_token=challenge.pre_login_token,
        expires_at_ms=time_ms(challenge.expires_ns),
    )


@router.post("/v1/auth/login")
async def post_login(request: Request, response: Response, body: LoginRequest) -> LoginAnswer:
    """Ends a login with the wallet's signature. The first login of a wallet opens its account."""
    edge = edge_of(request)
    pre_login_token = body.pre_login_token
    if pre_login_token is None and PRE_LOGIN_COOKIE in cookies_of(request):
        require_origin(request)
        pre_login_token = cookies_of(request)[PRE_LOGIN_COOKIE]
    owner = await edge.login.redeem(body.message, body.signature, pre_login_token)
    token, session = await edge.sessions.open(owner, await _account_id(edge, owner))
    set_cookie(response, SESSION_COOKIE, token, (session.expires_ns - session.created_ns) // 10**9)
    clear_cookie(response, PRE_LOGIN_COOKIE)
    return LoginAnswer(
        token=token,
        address=checksummed(owner),
        account_id=str(session.account_id),
        expires_at_ms=time_ms(session.expires_ns),
    )


@router.post("/v1/auth/logout", status_code=204, openapi_extra=AUTHENTICATED)
async def post_logout(request: Request, response: Response, _: SessionOf) -> None:
    """Ends the session at once; its token is good for nothing any more."""
    await edge_of(request).sessions.revoke(presented_token(request))
    clear_cookie(response, SESSION_COOKIE)


async def _account_id(edge: Edge, owner: str) -> int:
    known = edge.view.account_id(owner)
    if known is not None:
        return known
    outcome = await edge.submit(OpenAccount(owner=owner))
    match outcome.events[0]:
        case AccountOpened(account_id=account_id) | AccountKnown(account_id=account_id):
            return account_id
        case Rejected(reason=reason):
            raise rejected(reason)
        case event:
            raise AssertionError(f"an account was asked for and {event!r} answered")
