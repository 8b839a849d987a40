"""What a client holds of each subscription: folds over messages that take nothing on trust.

Each has `replace(snapshot data)` and `apply(update data)`, and raises AssertionError for whatever a server
must never send. A snapshot may be a little older than what is held, when the client has come back to it.
"""

import zlib
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Protocol

Json = Any
Level = tuple[str, str]

CHECKSUM_LEVELS = 25


class Fold(Protocol):
    """A client's copy of what one subscription is about."""

    def replace(self, data: Json) -> None: ...

    def apply(self, data: Json) -> None: ...


class Book:
    """Prices and sizes as they were sent, as text."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}

    def replace(self, data: Json) -> None:
        assert data["bids"] == sorted(data["bids"], key=lambda level: -Decimal(level[0])), "best bid first"
        assert data["asks"] == sorted(data["asks"], key=lambda level: Decimal(level[0])), "best ask first"
        self.bids, self.asks = dict(data["bids"]), dict(data["asks"])
        assert (len(self.bids), len(self.asks)) == (len(data["bids"]), len(data["asks"])), "a price twice"
        assert "0" not in chain(self.bids.values(), self.asks.values()), "an empty level in a snapshot"
        self._check(data["checksum"])

    def apply(self, data: Json) -> None:
        for held, levels in ((self.bids, data["bids"]), (self.asks, data["asks"])):
            assert len({price for price, _ in levels}) == len(levels), "a price twice in one update"
            for price, size in levels:
                if size == "0":
                    held.pop(price, None)
                else:
                    held[price] = size
        self._check(data["checksum"])

    def sides(self) -> tuple[list[Level], list[Level]]:
        """Bids and asks, the best first."""
        bids = sorted(self.bids.items(), key=lambda level: -Decimal(level[0]))
        asks = sorted(self.asks.items(), key=lambda level: Decimal(level[0]))
        return bids, asks

    def _check(self, checksum: int) -> None:
        bids, asks = self.sides()
        assert not bids or not asks or Decimal(bids[0][0]) < Decimal(asks[0][0]), "a crossed book"
        best = chain(islice(bids, CHECKSUM_LEVELS), islice(asks, CHECKSUM_LEVELS))
        assert zlib.crc32(",".join(f"{price}:{size}" for price, size in best).encode()) == checksum


class Newest:
    """Of bbo and ticker: the newest only."""

    def __init__(self) -> None:
        self.value: Json = None

    def replace(self, data: Json) -> None:
        self.value = data

    def apply(self, data: Json) -> None:
        self.value = data


class Trades:
    """All trades since the last hole. Only a snapshot may leave one, and only when it is full."""

    SNAPSHOT = 50

    def __init__(self) -> None:
        self.items: list[Json] = []
        self.holes = 0

    def replace(self, data: Json) -> None:
        _rising(data, "trade_id")
        assert len(data) <= self.SNAPSHOT
        first = int(data[0]["trade_id"]) if data else 0
        before = [trade for trade in self.items if int(trade["trade_id"]) < first]
        adjoins = len(data) < self.SNAPSHOT or len(before) < len(self.items)
        if len(before) < len(self.items):
            known = self.items[len(before) :]
            both = min(len(known), len(data))
            assert data[:both] == known[:both], "an old trade has changed, or is missing"
        elif self.items and adjoins:
            raise AssertionError("a snapshot that is not full lacks trades that were held")
        if adjoins:
            self.items = before + data
        else:
            self.items, self.holes = list(data), self.holes + 1

    def apply(self, data: Json) -> None:
        assert data, "an update without a trade"
        _rising(data, "trade_id")
        assert not self.items or int(data[0]["trade_id"]) > int(self.items[-1]["trade_id"]), "a trade twice"
        self.items += data


class Candles:
    """All candles heard of, by when they begin. One that is closed stays as it is."""

    def __init__(self) -> None:
        self.by_open_ms: dict[int, Json] = {}

    def replace(self, data: Json) -> None:
        assert len(data) <= 2
        for open_ms in [key for key in self.by_open_ms if data and key >= data[0]["open_ms"]]:
            del self.by_open_ms[open_ms]
        self.apply(data)

    def apply(self, data: Json) -> None:
        _rising(data, "open_ms")
        for candle in data:
            low, high = Decimal(candle["low"]), Decimal(candle["high"])
            assert low <= Decimal(candle["open"]) <= high
            assert low <= Decimal(candle["close"]) <= high
            before = self.by_open_ms.get(candle["open_ms"])
            assert before is None or not before["closed"] or before == candle, "a closed candle has changed"
            self.by_open_ms[candle["open_ms"]] = candle


class Orders:
    """Open orders by id, and all that ended while this looked on."""

    def __init__(self) -> None:
        self.open: dict[str, Json] = {}
        self.ended: dict[str, Json] = {}

    def replace(self, data: Json) -> None:
        assert all(order["status"] == "open" for order in data)
        self.open = {order["order_id"]: order for order in data}
        assert len(self.open) == len(data), "an order twice"
        self.ended = {key: order for key, order in self.ended.items() if key not in self.open}

    def apply(self, data: Json) -> None:
        assert data
        for order in data:
            assert order["order_id"] not in self.ended, "an ended order came back"
            if order["status"] == "open":
                self.open[order["order_id"]] = order
            else:
                self.open.pop(order["order_id"], None)
                self.ended[order["order_id"]] = order


class Fills:
    """All fills since the last hole."""

    def __init__(self) -> None:
        self.items: list[Json] = []
        self.holes = 0
        self._begun = False

    def replace(self, data: Json) -> None:
        assert data == []
        self.holes += self._begun
        self._begun, self.items = True, []

    def apply(self, data: Json) -> None:
        assert data
        known = {(fill["trade_id"], fill["order_id"]) for fill in self.items}
        for fill in data:
            assert (fill["trade_id"], fill["order_id"]) not in known, "a fill twice"
            assert not self.items or int(fill["trade_id"]) >= int(self.items[-1]["trade_id"])
            known.add((fill["trade_id"], fill["order_id"]))
            self.items.append(fill)


class Keyed:
    """Of balances, deposits and withdrawals: the newest of each."""

    def __init__(self, *key: str) -> None:
        self._key = key
        self.by_key: dict[tuple[str, ...], Json] = {}

    def replace(self, data: Json) -> None:
        self.by_key = {}
        self._take(data)

    def apply(self, data: Json) -> None:
        assert data
        self._take(data)

    def _take(self, data: Json) -> None:
        taken = {tuple(item[name] for name in self._key): item for item in data}
        assert len(taken) == len(data), "one item twice"
        self.by_key |= taken


def new_fold(channel: str) -> Fold:
    """An empty copy for a subscription to this channel."""
    match channel:
        case "book":
            return Book()
        case "bbo" | "ticker":
            return Newest()
        case "trades":
            return Trades()
        case "candles":
            return Candles()
        case "orders":
            return Orders()
        case "fills":
            return Fills()
        case "balances":
            return Keyed("asset")
        case "deposits":
            return Keyed("tx_hash", "log_index")
        case "withdrawals":
            return Keyed("withdrawal_id")
    raise AssertionError(channel)


def _rising(items: list[Json], name: str) -> None:
    keys = [int(item[name]) for item in items]
    assert keys == sorted(set(keys)), f"{name} must rise"
