"""What goes over `/v1/ws`, both ways, as the AsyncAPI document has it.

The connection sends bytes that are made elsewhere, once for everybody; the tests hold every frame of theirs
against these shapes.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field, create_model

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.words import AgentScope
from exchange.edge.reads import MAX_SEQ
from exchange.edge.rest.deposits import DepositItem
from exchange.edge.rest.market_data import CandleItem, TradeItem
from exchange.edge.rest.order_shapes import FillItem, OrderItem
from exchange.edge.rest.tickers import TickerItem
from exchange.edge.rest.withdrawals import WithdrawalItem
from exchange.edge.values import AddressText, AmountText, AssetSymbol, Hash, StrictBody, Symbol, TimeMs

RequestId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{1,36}$", description="Comes back in the reply.", examples=["1"])
]
Seq = Annotated[
    int,
    Field(ge=0, description="The engine's sequence number as of which the message is true.", examples=[1042]),
]
SubAccount = Annotated[
    int, Field(ge=0, le=MAX_SUB_ACCOUNT, description="Which of your accounts.", examples=[0])
]
Interval = Annotated[
    Literal["1s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"],
    Field(description="Length of the candles.", examples=["1m"]),
]
Level = Annotated[
    list[AmountText],
    Field(min_length=2, max_length=2, description="Price and size.", examples=[["3000.01", "1.25"]]),
]
KeyText = Annotated[
    str,
    Field(
        pattern=r"^0x([0-9a-f]{64}|[0-9a-f]{40})$",
        description="An Ed25519 public key, or the address of a secp256k1 key.",
        examples=["0x70997970c51812dc3a010c7d01b50e0d17dc79c8"],
    ),
]
Checksum = Annotated[
    int,
    Field(
        ge=0,
        lt=2**32,
        description="CRC-32 over the best 25 levels of each side, after this message.",
        examples=[2177158653],
    ),
]


# ---- data


class BookData(BaseModel):
    """Of a snapshot the whole book, best first; of an update the levels that changed, size "0" for gone."""

    bids: list[Level]
    asks: list[Level]
    checksum: Checksum


class BboData(BaseModel):
    """The best bid and the best ask; null for a side that is empty."""

    bid: Level | None
    ask: Level | None


class StreamedCandle(CandleItem):
    """Trades in [open_ms, open_ms + interval)."""

    closed: bool = Field(description="The interval is over; the candle is final.", examples=[False])


class StreamedBalance(BaseModel):
    """One asset; `held` is what open orders have set aside."""

    asset: AssetSymbol
    available: AmountText
    held: AmountText


# ---- what a stream is of


class OfMarket(BaseModel):
    """A stream of a market."""

    market: Symbol


class OfCandles(OfMarket):
    """A stream of a market's candles."""

    interval: Interval


class OfAccount(BaseModel):
    """A stream of one of your accounts."""

    sub_account: SubAccount


class OfOwner(BaseModel):
    """A stream of what is yours, whichever account it is for."""


@dataclass(frozen=True, slots=True)
class ChannelShape:
    """A channel: what its streams are of, and the data of its messages."""

    name: str
    subject: type[BaseModel]
    data: Any
    snapshot: str
    update: str
    is_private: bool = False


CHANNELS = (
    ChannelShape("book", OfMarket, BookData, "The whole book.", "The levels that changed."),
    ChannelShape("bbo", OfMarket, BboData, "The best prices.", "The best prices."),
    ChannelShape(
        "trades",
        OfMarket,
        list[TradeItem],
        "The newest trades, oldest first, at most 50.",
        "The trades since, oldest first, each once.",
    ),
    ChannelShape("ticker", OfMarket, TickerItem, "The last 24 hours.", "The last 24 hours."),
    ChannelShape(
        "candles",
        OfCandles,
        list[StreamedCandle],
        "The present candle and the one before.",
        "The candles that changed.",
    ),
    ChannelShape(
        "orders",
        OfAccount,
        list[OrderItem],
        "All open orders.",
        "The orders that changed, ended ones too.",
        is_private=True,
    ),
    ChannelShape(
        "fills",
        OfAccount,
        list[FillItem],
        "Always empty: history is `GET /v1/fills`.",
        "The fills, each once.",
        is_private=True,
    ),
    ChannelShape(
        "balances",
        OfAccount,
        list[StreamedBalance],
        "All balances that are not empty.",
        "The assets that changed.",
        is_private=True,
    ),
    ChannelShape(
        "deposits",
        OfOwner,
        list[DepositItem],
        "The deposits on their way.",
        "The deposits that changed.",
        is_private=True,
    ),
    ChannelShape(
        "withdrawals",
        OfOwner,
        list[WithdrawalItem],
        "The withdrawals that are not finished.",
        "The withdrawals that changed.",
        is_private=True,
    ),
)


# ---- requests


class Request(StrictBody):
    """A request. It has exactly one reply."""

    id: RequestId | None = None


class AuthRequest(Request):
    """Says by a session who is there. Without `token` the cookie of the upgrade counts."""

    op: Literal["auth"]
    token: str | None = Field(default=None, description="The token of the login's answer.")


class AuthByKeyRequest(Request):
    """Says by an agent's key who is there: it signs the challenge of `welcome`, see docs/api/signing.md."""

    op: Literal["auth"]
    key: KeyText
    expires_ms: TimeMs = Field(description="Until when the signature may be taken; at most 60 s from now.")
    signature: str = Field(pattern="^0x[0-9a-fA-F]+$", examples=["0x" + "5f" * 64])


class PingRequest(Request):
    """Asks for a sign of life."""

    op: Literal["ping"]


# ---- replies and what comes unasked


class Reply(BaseModel):
    """A reply; it has the `id` that the request had, if any."""

    id: RequestId | None = None


class Authenticated(Reply):
    """Whose the private streams are now, and who trades, until when. `key` and `scopes` are an agent's."""

    type: Literal["authenticated"]
    owner: AddressText
    expires_ms: TimeMs
    key: KeyText | None = None
    scopes: list[AgentScope] | None = Field(default=None, examples=[["read", "trade"]])


class Pong(Reply):
    """The sign of life."""

    type: Literal["pong"]
    seq: Seq
    time_ms: TimeMs


class Refused(Reply):
    """A request that was not done. `code` is one of docs/api/errors.md; texts may change."""

    type: Literal["error"]
    code: str = Field(pattern=r"^[a-z0-9_]+$", examples=["field_invalid"])
    detail: str
    field: str | None = Field(default=None, description="The field at fault.", examples=["interval"])
    value: str | None = Field(default=None, description="What was sent in it.", examples=["2m"])
    nearest: list[str] | None = Field(
        default=None, description="Nearest values that would be taken.", examples=[["3000", "3000.01"]]
    )
    retry_after_s: int | None = Field(
        default=None, ge=1, description="In how many seconds it may succeed.", examples=[1]
    )
    retry_at_ms: TimeMs | None = Field(
        default=None, description="From when it may succeed, where that is known."
    )
    signed_text: str | None = Field(
        default=None, description="The text that a key's signature was checked against."
    )
    recovered_key: str | None = Field(
        default=None, description="The address whose key made the signature, over `signed_text`."
    )


class Limits(BaseModel):
    """What one connection may do."""

    request_bytes: int = Field(examples=[4096])
    requests_at_once: int = Field(examples=[100])
    requests_per_s: int = Field(examples=[50])
    subscriptions: int = Field(examples=[200])
    batch_bytes: int = Field(description="Of who may trade.", examples=[65536])
    commands_in_flight: int = Field(
        description="Of who may trade: with so many unanswered, no more is read.", examples=[1000]
    )


class Welcome(BaseModel):
    """The first message."""

    type: Literal["welcome"]
    seq: Seq
    time_ms: TimeMs
    genesis_id: Hash
    challenge: Hash = Field(description="What an agent's key signs, once.")
    heartbeat_ms: int = Field(description="How often a heartbeat comes.", examples=[5000])
    limits: Limits


class Heartbeat(BaseModel):
    """Everything up to this `seq` has been sent, on all subscriptions. None comes to who is behind."""

    type: Literal["heartbeat"]
    seq: Seq
    time_ms: TimeMs


class Ended(BaseModel):
    """The server has ended a private subscription, because the session is over."""

    type: Literal["ended"]
    code: str = Field(pattern=r"^[a-z0-9_]+$", examples=["session_invalid"])
    detail: str


class Subscribed(Reply):
    """The subscription stands. Unless `resumed`, a snapshot comes next."""

    type: Literal["subscribed"]
    resumed: bool
    seq: Seq


class Unsubscribed(Reply):
    """Nothing more comes of this subscription."""

    type: Literal["unsubscribed"]


class Snapshot(BaseModel):
    """Replaces everything that you hold of the subscription."""

    type: Literal["snapshot"]
    seq: Seq
    time_ms: TimeMs


class Update(BaseModel):
    """Takes what you hold from `prev_seq` to `seq`."""

    type: Literal["update"]
    prev_seq: Seq
    seq: Seq
    time_ms: TimeMs


@dataclass(frozen=True, slots=True)
class ChannelMessages:
    """The models of everything that is said about one channel's subscriptions."""

    subscribe: type[BaseModel]
    unsubscribe: type[BaseModel]
    subscribed: type[BaseModel]
    unsubscribed: type[BaseModel]
    snapshot: type[BaseModel]
    update: type[BaseModel]
    ended: type[BaseModel] | None
    """Of private channels only."""


def channel_messages(channel: ChannelShape) -> ChannelMessages:
    """Makes the models; they are named for channel and kind: `BookSnapshot`."""

    def about(kind: type[BaseModel], text: str, data: Any = None) -> type[BaseModel]:
        fields: dict[str, Any] = {"channel": (Literal[channel.name], ...)}
        if data is not None:
            fields["data"] = (data, ...)
        return _model(channel, kind.__name__, (kind, channel.subject), text, fields)

    return ChannelMessages(
        subscribe=_request(channel, "subscribe", f"Begins a subscription to `{channel.name}`."),
        unsubscribe=_request(channel, "unsubscribe", f"Ends a subscription to `{channel.name}`."),
        subscribed=about(Subscribed, "The subscription stands. Unless `resumed`, a snapshot comes next."),
        unsubscribed=about(Unsubscribed, "Nothing more comes of this subscription."),
        snapshot=about(Snapshot, f"{channel.snapshot} It replaces all that you hold.", channel.data),
        update=about(Update, f"{channel.update} It takes you from `prev_seq` to `seq`.", channel.data),
        ended=about(Ended, "The subscription is over, because the session is.")
        if channel.is_private
        else None,
    )


def _request(channel: ChannelShape, op: str, text: str) -> type[BaseModel]:
    fields: dict[str, Any] = {"op": (Literal[op], ...), "channel": (Literal[channel.name], ...)}
    if channel.subject is OfAccount:
        fields["sub_account"] = (SubAccount, 0)
    if op == "subscribe":
        resume = Field(
            default=None,
            ge=0,
            le=MAX_SEQ,
            description="The newest `seq` that you hold of this subscription.",
            examples=[1042],
        )
        fields["resume_seq"] = (int | None, resume)
    return _model(channel, op.capitalize(), (Request, channel.subject), text, fields)


def _model(
    channel: ChannelShape, kind: str, bases: tuple[type[BaseModel], ...], text: str, fields: dict[str, Any]
) -> type[BaseModel]:
    name = channel.name.capitalize() + kind
    return cast("type[BaseModel]", create_model(name, __base__=bases, __doc__=text, **fields))
