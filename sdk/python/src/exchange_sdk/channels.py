"""What can be subscribed to, how its data is read, and what is kept of it.

A state is what the messages of one subscription add up to. It is the same for all who follow it here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from exchange_sdk.book import BookData, OrderBook
from exchange_sdk.models import Balance, Candle, Deposit, Fill, Level, Model, Order, Ticker, Trade, Withdrawal
from exchange_sdk.numbers import EXACT, half_way

T = TypeVar("T")


class Subject(NamedTuple):
    """What a subscription is to."""

    channel: str
    market: str | None = None
    interval: str | None = None
    sub_account: int | None = None

    def parameters(self) -> dict[str, Any]:
        """As a request has them."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def __str__(self) -> str:
        return " ".join(str(value) for value in self if value is not None)


class Bbo(Model, frozen=True):
    """The best bid and the best ask; None for a side that is empty."""

    bid: Level | None
    ask: Level | None

    @property
    def mid(self) -> Decimal | None:
        """Half way between them; None while a side is empty."""
        return None if self.bid is None or self.ask is None else half_way(self.bid.price, self.ask.price)


class State(Protocol):
    """What the messages add up to."""

    def replace(self, data: Any) -> None:
        """Takes over a snapshot."""

    def apply(self, data: Any) -> None:
        """Takes over an update."""


class BookState:
    """A whole book."""

    def __init__(self) -> None:
        self.book = OrderBook()

    def replace(self, data: BookData) -> None:
        self.book.replace(data)

    def apply(self, data: BookData) -> None:
        self.book.apply(data)


class NewestState(Generic[T]):
    """The newest value."""

    def __init__(self) -> None:
        self.value: T | None = None

    def replace(self, data: T) -> None:
        self.value = data

    apply = replace


class KeyedState(Generic[T]):
    """The newest of each thing, as long as it is worth keeping."""

    def __init__(self, key: Callable[[T], str], is_kept: Callable[[T], bool]) -> None:
        self._key = key
        self._is_kept = is_kept
        self.by_key: dict[str, T] = {}

    def replace(self, data: Iterable[T]) -> None:
        self.by_key = {self._key(item): item for item in data if self._is_kept(item)}

    def apply(self, data: Iterable[T]) -> None:
        for item in data:
            if self._is_kept(item):
                self.by_key[self._key(item)] = item
            else:
                self.by_key.pop(self._key(item), None)


class LastState(Generic[T]):
    """Only the last of a list: the rest is passed on and forgotten."""

    def __init__(self) -> None:
        self.last: T | None = None

    def replace(self, data: tuple[T, ...]) -> None:
        self.last = data[-1] if data else self.last

    apply = replace


class _StreamedBalance(msgspec.Struct, frozen=True):
    asset: str
    available: Decimal
    held: Decimal


def _read_balances(raw: msgspec.Raw) -> tuple[Balance, ...]:
    return tuple(
        Balance(
            asset=item.asset,
            available=item.available,
            held=item.held,
            total=EXACT.add(item.available, item.held),
        )
        for item in _decode_balances(raw)
    )


_decode_balances = msgspec.json.Decoder(tuple[_StreamedBalance, ...]).decode


def deposit_key(deposit: Deposit) -> str:
    """What tells a deposit from all others."""
    return f"{deposit.tx_hash}:{deposit.log_index}"


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of stream."""

    name: str
    read: Callable[[msgspec.Raw], Any]
    """The data of a message. Raises msgspec.ValidationError."""
    new_state: Callable[[], State]
    is_private: bool = False


CHANNELS = {
    channel.name: channel
    for channel in (
        Channel("book", msgspec.json.Decoder(BookData).decode, BookState),
        Channel("bbo", msgspec.json.Decoder(Bbo).decode, NewestState[Bbo]),
        Channel("trades", msgspec.json.Decoder(tuple[Trade, ...]).decode, LastState[Trade]),
        Channel("ticker", msgspec.json.Decoder(Ticker).decode, NewestState[Ticker]),
        Channel("candles", msgspec.json.Decoder(tuple[Candle, ...]).decode, LastState[Candle]),
        Channel(
            "orders",
            msgspec.json.Decoder(tuple[Order, ...]).decode,
            lambda: KeyedState[Order](lambda order: order.order_id, lambda order: order.is_open),
            is_private=True,
        ),
        Channel("fills", msgspec.json.Decoder(tuple[Fill, ...]).decode, LastState[Fill], is_private=True),
        Channel(
            "balances",
            _read_balances,
            lambda: KeyedState[Balance](lambda balance: balance.asset, lambda balance: balance.total != 0),
            is_private=True,
        ),
        Channel(
            "deposits",
            msgspec.json.Decoder(tuple[Deposit, ...]).decode,
            lambda: KeyedState[Deposit](deposit_key, lambda deposit: not deposit.is_credited),
            is_private=True,
        ),
        Channel(
            "withdrawals",
            msgspec.json.Decoder(tuple[Withdrawal, ...]).decode,
            lambda: KeyedState[Withdrawal](
                lambda withdrawal: withdrawal.withdrawal_id, lambda withdrawal: not withdrawal.is_final
            ),
            is_private=True,
        ),
    )
}


class Message(NamedTuple):
    """A snapshot or an update of a subscription, read."""

    seq: int
    prev_seq: int | None
    """None of a snapshot."""
    time_ms: int
    data: Any

    @property
    def is_step(self) -> bool:
        """Something changed that is no command of the engine: a step on the chain, a minute that is over."""
        return self.prev_seq == self.seq
