"""Requests of a WebSocket: from a text message to one typed request, strictly.

    {"op": "subscribe", "id": "1", "channel": "book", "market": "ETH-USDC", "resume_seq": 1042}

Which fields there may be depends on `op`, and for a subscription on its channel; any other is refused, so
that no typing error is ignored. What belongs to a request that trades is read where it is done (`trading`).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.reads import MAX_SEQ
from exchange.edge.strict_json import decode_json
from exchange.edge.ws.limits import MAX_REQUEST_BYTES
from exchange.feeds.keys import Channel
from exchange.gateway.fields import parse_whole, required
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.projections.candles import INTERVALS_S

MAX_NAME_CHARS = 100
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_OF_AN_ACCOUNT = frozenset({Channel.ORDERS, Channel.FILLS, Channel.BALANCES})
_OF_THE_OWNER = frozenset({Channel.DEPOSITS, Channel.WITHDRAWALS})
_KEY_FIELDS = frozenset({"key", "expires_ms", "signature"})
_UNIT_BYTES = 1024


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
    """Say who is there by a session. Without a token the cookie of the upgrade is meant."""

    id: str | None
    token: str | None


class AuthenticateByKey(NamedTuple):
    """Say who is there by an agent's key. The fields are as they were sent; `signed_requests` reads them."""

    id: str | None
    key: object
    expires_ms: object
    signature: object


class TradingOp(StrEnum):
    """What a request that trades does."""

    PLACE = "place"
    AMEND = "amend"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel_all"
    BATCH = "batch"
    CANCEL_ALL_AFTER = "cancel_all_after"
    CANCEL_ON_DISCONNECT = "cancel_on_disconnect"


class TradeRequest(NamedTuple):
    """A request that trades. `fields` are as they were sent, without `op` and `id`.

    `weight` is what it counts while it waits: its commands, or its KiB where there are more of these.
    """

    id: str | None
    op: TradingOp
    fields: dict[str, object]
    weight: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a sign of life."""

    id: str | None


StreamRequest = Subscribe | Unsubscribe | Authenticate | AuthenticateByKey | Ping
Request = StreamRequest | TradeRequest
_TRADING_OPS: dict[object, TradingOp] = {op.value: op for op in TradingOp}
_ALL_OPS = ", ".join(["subscribe", "unsubscribe", "auth", "ping", *TradingOp])


class RequestRefused(Exception):
    """A message that is no request. `id` is the one to answer under, as far as it could be read."""

    def __init__(self, problem: Problem, identifier: str | None = None) -> None:
        self.problem = problem
        self.id = identifier
        super().__init__(str(problem))


def parse_request(raw: bytes, most_bytes: int = MAX_REQUEST_BYTES) -> Request:
    """One request; a batch of at most `most_bytes`. Raises RequestRefused."""
    identifier: str | None = None
    try:
        fields = _fields(raw, most_bytes)
        identifier = _identifier(fields)
        op = fields.get("op")
        trading_op = _TRADING_OPS.get(op) if type(op) is str else None
        if trading_op is not TradingOp.BATCH:
            _require_size(raw, MAX_REQUEST_BYTES)
        if trading_op is None:
            return _stream_request(fields, identifier)
        return _trade_request(fields, trading_op, identifier, len(raw))
    except Problem as problem:
        if problem.code is EdgeCode.MESSAGE_TOO_LARGE:
            identifier = _identifier_of_large(raw)
        raise RequestRefused(problem, identifier) from problem
    except FieldRefused as refusal:
        raise RequestRefused(Problem.of_refusal(refusal), identifier) from refusal


def _fields(raw: bytes, most_bytes: int) -> dict[str, object]:
    _require_size(raw, most_bytes)
    value = decode_json(raw)
    if not isinstance(value, dict):
        raise Problem(EdgeCode.BAD_REQUEST, "a request is a JSON object")
    return value


def _require_size(raw: bytes, most_bytes: int) -> None:
    if len(raw) > most_bytes:
        raise Problem(EdgeCode.MESSAGE_TOO_LARGE)


def _trade_request(
    fields: dict[str, object], op: TradingOp, identifier: str | None, size_bytes: int
) -> TradeRequest:
    del fields["op"]
    fields.pop("id", None)
    weight = 1
    if op is TradingOp.BATCH:
        operations = fields.get("operations")
        weight = max(1, size_bytes // _UNIT_BYTES, len(operations) if isinstance(operations, list) else 1)
    return TradeRequest(identifier, op, fields, weight)


def _stream_request(fields: Mapping[str, object], identifier: str | None) -> StreamRequest:
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
            return _authenticate(fields, identifier)
        case "ping":
            _refuse_others(fields, set())
            return Ping(identifier)
    raise _invalid("op", op, f"one of {_ALL_OPS}")


def _authenticate(fields: Mapping[str, object], identifier: str | None) -> StreamRequest:
    if "key" in fields:
        _refuse_others(fields, _KEY_FIELDS)
        key, expires_ms = required(fields, "key"), required(fields, "expires_ms")
        return AuthenticateByKey(identifier, key, expires_ms, required(fields, "signature"))
    _refuse_others(fields, {"token"})
    token = fields.get("token")
    return Authenticate(identifier, None if token is None else _text(token, "token"))


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


def _identifier_of_large(raw: bytes) -> str | None:
    """Of a message of which nothing else is looked at: whoever waits for its reply is to know of it."""
    try:
        value = decode_json(raw)
        return _identifier(value) if isinstance(value, dict) else None
    except (Problem, FieldRefused):
        return None


def _refuse_others(fields: Mapping[str, object], known: Collection[str]) -> None:
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
