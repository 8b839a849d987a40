"""Everything that is sent, as JSON: replies, signs of life, and what the streams say."""

from typing import Any

import msgspec

from exchange.edge.problems import Problem
from exchange.edge.values import time_ms
from exchange.edge.ws import limits
from exchange.edge.ws.principal import Principal
from exchange.edge.ws.requests import Subject
from exchange.gateway.addresses import checksummed
from exchange.sequencer.committed import CommittedView

_encode = msgspec.json.Encoder().encode


def welcome(view: CommittedView, now_ns: int) -> bytes:
    """The first message."""
    return _encode(
        {
            "type": "welcome",
            "seq": view.seq,
            "time_ms": time_ms(now_ns),
            "genesis_id": view.genesis_id,
            "heartbeat_ms": int(limits.HEARTBEAT_S * 1_000),
            "limits": {
                "request_bytes": limits.MAX_REQUEST_BYTES,
                "requests_at_once": limits.REQUESTS_AT_ONCE,
                "requests_per_s": limits.REQUESTS_PER_S,
                "subscriptions": limits.MAX_SUBSCRIPTIONS,
            },
        }
    )


def heartbeat(seq: int, now_ns: int) -> bytes:
    """Everything up to `seq` was sent."""
    return _encode({"type": "heartbeat", "seq": seq, "time_ms": time_ms(now_ns)})


def pong(identifier: str | None, seq: int, now_ns: int) -> bytes:
    """The reply to a ping."""
    return _encode(_reply("pong", identifier) | {"seq": seq, "time_ms": time_ms(now_ns)})


def authenticated(identifier: str | None, principal: Principal) -> bytes:
    """Whom the connection speaks for from now on."""
    session = principal.session
    return _encode(
        _reply("authenticated", identifier)
        | {"owner": checksummed(session.owner), "expires_ms": time_ms(session.expires_ns)}
    )


def subscribed(identifier: str | None, subject: Subject, *, resumed: bool, seq: int) -> bytes:
    """The subscription stands; `seq` is what its first message builds on."""
    return _encode(_reply("subscribed", identifier) | _of(subject) | {"resumed": resumed, "seq": seq})


def unsubscribed(identifier: str | None, subject: Subject) -> bytes:
    """Nothing more comes of it."""
    return _encode(_reply("unsubscribed", identifier) | _of(subject))


def ended(subject: Subject, problem: Problem) -> bytes:
    """A private subscription is over, because whom it was for is not there any more."""
    return _encode({"type": "ended"} | _of(subject) | {"code": problem.code.value, "detail": problem.detail})


def error(problem: Problem, identifier: str | None) -> bytes:
    """The reply to what was refused."""
    content = _reply("error", identifier) | {"code": problem.code.value, "detail": problem.detail}
    if problem.field is not None:
        content["field"] = problem.field
    return _encode(content)


def _reply(kind: str, identifier: str | None) -> dict[str, Any]:
    return {"type": kind} if identifier is None else {"type": kind, "id": identifier}


def _of(subject: Subject) -> dict[str, Any]:
    """What tells a subscription from all others."""
    content: dict[str, Any] = {"channel": subject.channel.value}
    if subject.market is not None:
        content["market"] = subject.market
    if subject.interval is not None:
        content["interval"] = subject.interval
    if subject.sub_account is not None:
        content["sub_account"] = subject.sub_account
    return content


def data_message(subject: Subject, prev_seq: int | None, seq: int, time_ns: int, data: object) -> bytes:
    """What a stream says. Without `prev_seq` it is a snapshot."""
    content: dict[str, Any] = {"type": "snapshot" if prev_seq is None else "update"} | _of(subject)
    if prev_seq is not None:
        content["prev_seq"] = prev_seq
    return _encode(content | {"seq": seq, "time_ms": time_ms(time_ns), "data": data})
