"""Requests of a WebSocket: from a text message to one typed request, strictly.

    {"op": "subscribe", "id": "1", "channel": "book", "market": "ETH-USDC", "resume_seq": 1042}

Which fields there may be depends on `op`, and for a subscription on its channel; any other is refused, so
that no typing error is ignored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.reads import MAX_SEQ
from exchange.edge.strict_json import decode_json
from exchange.edge.ws.limits import MAX_REQUEST_BYTES
from exchange.feeds.keys import Channel
from exchange.gateway.fields import parse_whole
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.projections.candles import INTERVALS_S

MAX_NAME_CHARS = 100
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_OF_AN_ACCOUNT = frozenset({Channel.ORDERS, Channel.FILLS, Channel.BALANCES})
_OF_THE_OWNER = frozenset({Channel.DEPOSITS, Channel.WITHDRAWALS})


@dataclass(frozen=True, slots=True)
class Subject:
    """What a subscription is to, by its public names. What does not belong to the channel is None."""

    channel: Channel
    market: str | None = None
    interval: str | None = None
    sub_account: int | None = None

    @property
    def is_private(self) -> bool:
        return self.market is None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Begin a subscription, or begin it anew."""

    id: str | None
    subject: Subject
    resume_seq: int | None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """End one."""

    id: str | None
    subject: Subject


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Say who is there. Without a token the cookie of the upgrade is meant."""

    id: str | None
    token: str | None


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a sign of life."""

    id: str | None


Request = Subscribe | Unsubscribe | Authenticate | Ping


class RequestRefused(Exception):
    """A message that is no request. `id` is the one to answer under, as far as it could be read."""

    def __init__(self, problem: Problem, identifier: str | None = None) -> None:
        self.problem = problem
        self.id = identifier
        super().__init__(str(problem))


def parse_request(raw: bytes) -> Request:
    """Raises RequestRefused."""
    identifier: str | None = None
    try:
        fields = _fields(raw)
        identifier = _identifier(fields)
        return _request(fields, identifier)
    except Problem as problem:
        raise RequestRefused(problem, identifier) from problem
    except FieldRefused as refusal:
        raise RequestRefused(Problem.of_refusal(refusal), identifier) from refusal


def _fields(raw: bytes) -> dict[str, object]:
    if len(raw) > MAX_REQUEST_BYTES:
        raise Problem(EdgeCode.MESSAGE_TOO_LARGE)
    value = decode_json(raw)
    if not isinstance(value, dict):
        raise Problem(EdgeCode.BAD_REQUEST, "a request is a JSON object")
    return value


def _request(fields: Mapping[str, object], identifier: str | None) -> Request:
    op = _required(fields, "op")
    match op:
        case "subscribe":
            subject = _subject(fields, {"resume_seq"})
            resume_seq = fields.get("resume_seq")
            if resume_seq is not None:
                resume_seq = parse_whole(resume_seq, "resume_seq", 0, MAX_SEQ)
            return Subscribe(identifier, subject, resume_seq)
        case "unsubscribe":
            return Unsubscribe(identifier, _subject(fields, set()))
        case "auth":
            _refuse_others(fields, {"token"})
            token = fields.get("token")
            return Authenticate(identifier, None if token is None else _text(token, "token"))
        case "ping":
            _refuse_others(fields, set())
            return Ping(identifier)
    raise _invalid("op", op, "one of subscribe, unsubscribe, auth, ping")


def _subject(fields: Mapping[str, object], others: set[str]) -> Subject:
    name = _text(_required(fields, "channel"), "channel")
    try:
        channel = Channel(name)
    except ValueError as error:
        raise _invalid("channel", name, f"one of {', '.join(Channel)}") from error
    if channel in _OF_THE_OWNER:
        _refuse_others(fields, others | {"channel"})
        return Subject(channel)
    if channel in _OF_AN_ACCOUNT:
        _refuse_others(fields, others | {"channel", "sub_account"})
        sub_account = parse_whole(fields.get("sub_account", 0), "sub_account", 0, MAX_SUB_ACCOUNT)
        return Subject(channel, sub_account=sub_account)
    interval = None
    if channel is Channel.CANDLES:
        _refuse_others(fields, others | {"channel", "market", "interval"})
        interval = _text(_required(fields, "interval"), "interval")
        if interval not in INTERVALS_S:
            raise _invalid("interval", interval, f"one of {', '.join(INTERVALS_S)}")
    else:
        _refuse_others(fields, others | {"channel", "market"})
    return Subject(channel, market=_text(_required(fields, "market"), "market"), interval=interval)


def _identifier(fields: Mapping[str, object]) -> str | None:
    identifier = fields.get("id")
    if identifier is None and "id" not in fields:
        return None
    if not isinstance(identifier, str) or _ID.fullmatch(identifier) is None:
        raise _invalid("id", identifier, "1 to 36 of A-Z a-z 0-9 _ -")
    return identifier


def _refuse_others(fields: Mapping[str, object], known: set[str]) -> None:
    for name in fields:
        if name not in known and name not in {"op", "id"}:
            raise FieldRefused(GatewayCode.FIELD_UNKNOWN, "this is not a field of such a request", field=name)


def _required(fields: Mapping[str, object], name: str) -> object:
    if name not in fields:
        raise FieldRefused(GatewayCode.FIELD_MISSING, "this field is needed", field=name)
    return fields[name]


def _text(value: object, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARS:
        raise _invalid(field, value, f"a text of 1 to {MAX_NAME_CHARS} characters")
    return value


def _invalid(field: str, value: object, wanted: str) -> FieldRefused:
    return FieldRefused(GatewayCode.FIELD_INVALID, f"must be {wanted}", field=field, value=value)
