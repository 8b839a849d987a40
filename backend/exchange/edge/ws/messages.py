"""Everything that is sent, as JSON: replies, signs of life, and what the streams say."""

from typing import Any

import msgspec

from exchange.edge.problems import Problem
from exchange.edge.rest.order_answers import Answer
from exchange.edge.values import time_ms
from exchange.edge.ws import limits
from exchange.edge.ws.requests import Subject, TradingOp
from exchange.gateway.addresses import checksummed
from exchange.gateway.callers import Caller
from exchange.sequencer.committed import CommittedView

_encode = msgspec.json.Encoder().encode


def welcome(view: CommittedView, challenge: str, now_ns: int) -> bytes:
    """The first message. The challenge is what an agent's key is to sign."""
    return _encode(
        {
            "type": "welcome",
            "seq": view.seq,
            "time_ms": time_ms(now_ns),
            "genesis_id": view.genesis_id,
            "challenge": challenge,
            "heartbeat_ms": int(limits.HEARTBEAT_S * 1_000),
            "limits": {
                "request_bytes": limits.MAX_REQUEST_BYTES,
                "requests_at_once": limits.REQUESTS_AT_ONCE,
                "requests_per_s": limits.REQUESTS_PER_S,
                "subscriptions": limits.MAX_SUBSCRIPTIONS,
                "batch_bytes": limits.TRADERS.request_bytes,
                "commands_in_flight": limits.TRADERS.weight,
            },
        }
    )


def heartbeat(seq: int, now_ns: int) -> bytes:
    """Everything up to `seq` was sent."""
    return _encode({"type": "heartbeat", "seq": seq, "time_ms": time_ms(now_ns)})


def pong(identifier: str | None, seq: int, now_ns: int) -> bytes:
    """The reply to a ping."""
    return _encode(_reply("pong", identifier) | {"seq": seq, "time_ms": time_ms(now_ns)})


def authenticated(identifier: str | None, caller: Caller) -> bytes:
    """Whom the connection speaks for from now on."""
    content = _reply("authenticated", identifier) | {
        "owner": checksummed(caller.owner),
        "expires_ms": time_ms(caller.expires_ns),
    }
    if caller.agent is not None:
        content |= {"key": caller.agent.key, "scopes": caller.scopes}
    return _encode(content)


def result(identifier: str | None, op: TradingOp, answer: Answer) -> bytes:
    """The reply to a request that trades."""
    content = _reply("result", identifier)
    content["op"] = op.value
    content["status"] = answer.status
    content.update(answer.content)
    return _encode(content)


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
    if problem.value is not None:
        content["value"] = problem.value
    if problem.nearest:
        content["nearest"] = problem.nearest
    if "Retry-After" in problem.headers:
        content["retry_after_s"] = int(problem.headers["Retry-After"])
    if problem.retry_at_ms is not None:
        content["retry_at_ms"] = problem.retry_at_ms
    return _encode(content | problem.members)


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
