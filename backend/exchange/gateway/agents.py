"""An agent's approval: what the owner typed and signed, checked, as the core's command.

A session alone approves nothing: the wallet signs every field, and the message is rebuilt here from the
request's own fields and the session's owner, so a signature over any other key, scope, market, sub-account,
range, time, nonce or deployment recovers to some other address. That a key is approved only once is the
core's to know (`core.approving`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchange.core.agents import MAX_AGENT_LIFE_NS, MAX_NAME_CHARS
from exchange.core.commands import ApproveAgent
from exchange.core.markets import Market
from exchange.core.rejects import RejectReason
from exchange.core.words import AgentScope
from exchange.gateway.agent_keys import can_sign, parse_key
from exchange.gateway.fields import parse_market, parse_sub_account, parse_word
from exchange.gateway.ip_ranges import parse_ip_ranges
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.gateway.signatures import parse_deadline_s, parse_signature, require_signer
from exchange.gateway.typed_data import AgentApprovalMessage, TypedDataDomain
from exchange.gateway.withdrawals import parse_nonce


@dataclass(frozen=True, slots=True)
class ApprovalForm:
    """The fields as they came."""

    key: str
    name: str
    scopes: list[str]
    markets: list[str]
    sub_accounts: list[int]
    expires_at_s: int
    ip_ranges: list[str]
    nonce: str
    deadline_s: int
    signature: str


def signed_approval(
    form: ApprovalForm,
    owner: str,
    markets: Mapping[str, Market],
    domain: TypedDataDomain,
    now_ns: int,
) -> ApproveAgent:
    """The command of a signed approval. Raises FieldRefused, SignatureRefused."""
    now_s = now_ns // 10**9
    message = AgentApprovalMessage(
        account=owner,
        key=_parse_new_key(form.key, owner),
        name=_parse_name(form.name),
        scopes=_parse_scopes(form.scopes),
        markets=tuple(form.markets),
        sub_accounts=_parse_sub_accounts(form.sub_accounts),
        expires_s=_parse_expires_s(form.expires_at_s, now_s),
        ip_ranges=parse_ip_ranges(form.ip_ranges),
        nonce=parse_nonce(form.nonce),
        deadline_s=parse_deadline_s(form.deadline_s, now_s),
    )
    market_ids = _parse_market_ids(form.markets, markets)
    signature = parse_signature(form.signature)
    require_signer(domain.agent_digest(message), signature, owner)
    return ApproveAgent(
        owner=owner,
        key=message.key,
        name=message.name,
        scopes=tuple(map(AgentScope, message.scopes)),
        market_ids=market_ids,
        sub_accounts=message.sub_accounts,
        expires_ns=message.expires_s * 10**9,
        ip_ranges=message.ip_ranges,
        nonce=message.nonce,
        deadline_s=message.deadline_s,
        signature="0x" + signature.hex(),
    )


def _parse_new_key(text: str, owner: str) -> str:
    key = parse_key(text)
    if not can_sign(key):
        raise FieldRefused(
            RejectReason.AGENT_INVALID, "nobody can have the secret of this key", field="key", value=text
        )
    if key == owner:
        raise FieldRefused(
            RejectReason.AGENT_INVALID,
            "this is your own wallet; an agent is another key, that can not withdraw",
            field="key",
            value=text,
        )
    return key


def _parse_name(name: str) -> str:
    """Text that looks like what it is: no control or direction characters, no blanks around it."""
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            f"1 to {MAX_NAME_CHARS} printable characters, without blanks at either end",
            field="name",
            value=name,
        )
    return name


def _parse_scopes(values: list[str]) -> tuple[str, ...]:
    given = tuple(parse_word(value, "scopes", AgentScope) for value in values[: len(AgentScope)])
    in_order = tuple(scope for scope in AgentScope if scope in given)
    if not given or tuple(values) != in_order:
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            "read, trade or both, in this order and each once",
            field="scopes",
            value=values,
            nearest=in_order,
        )
    return tuple(scope.value for scope in given)


def _parse_market_ids(symbols: list[str], markets: Mapping[str, Market]) -> tuple[int, ...]:
    market_ids = tuple(parse_market(symbol, markets, "markets").market_id for symbol in symbols)
    _refuse_twice(market_ids, "markets", symbols)
    return market_ids


def _parse_sub_accounts(numbers: list[int]) -> tuple[int, ...]:
    for number in numbers:
        parse_sub_account(number, "sub_accounts")
    _refuse_twice(numbers, "sub_accounts", numbers)
    return tuple(numbers)


def _refuse_twice(values: Sequence[object], field: str, shown: object) -> None:
    if len(set(values)) < len(values):
        raise FieldRefused(GatewayCode.FIELD_INVALID, "names one twice", field=field, value=shown)


def _parse_expires_s(expires_s: int, now_s: int) -> int:
    latest_s = now_s + MAX_AGENT_LIFE_NS // 10**9
    if expires_s <= now_s:
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            f"this time is past; it is {now_s} now (seconds)",
            field="expires_at_s",
            value=expires_s,
        )
    if expires_s > latest_s:
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            f"at most 366 days from now; it is {now_s} now (seconds)",
            field="expires_at_s",
            value=expires_s,
            nearest=(str(latest_s),),
        )
    return expires_s
