"""What everybody may read: the exchange, its markets, books, trades and candles."""

from urllib.parse import quote

from exchange_sdk.history import History, Page
from exchange_sdk.models import (
    Asset,
    Book,
    Candle,
    Deployment,
    Interval,
    Market,
    Model,
    ServerTime,
    Ticker,
    Trade,
)
from exchange_sdk.numbers import Number, plain
from exchange_sdk.orders import Time, time_ms_of
from exchange_sdk.transport import Transport


class _Assets(Model, frozen=True):
    items: tuple[Asset, ...]


class _Markets(Model, frozen=True):
    items: tuple[Market, ...]


class _Tickers(Model, frozen=True):
    items: tuple[Ticker, ...]


class _Candles(Model, frozen=True):
    seq: int
    items: tuple[Candle, ...]


class MarketData:
    """Reads that need no credential."""

    _http: Transport
    _assets: dict[str, Asset]
    _markets: dict[str, Market]

    async def time(self) -> ServerTime:
        """The exchange's clock."""
        return await self._http.get("/v1/time", ServerTime)

    async def deployment(self) -> Deployment:
        """Which exchange this is: its genesis id, chain, vault and name. Asked once."""
        return await self._http.deployment()

    async def assets(self, *, refresh: bool = False) -> dict[str, Asset]:
        """All assets by symbol. Asked once, or again to `refresh`."""
        if refresh or not self._assets:
            answer = await self._http.get("/v1/assets", _Assets)
            self._assets = {asset.symbol: asset for asset in answer.items}
        return dict(self._assets)

    async def asset(self, symbol: str) -> Asset:
        """One asset. Raises KeyError."""
        return (await self.assets(refresh=symbol not in self._assets))[symbol]

    async def markets(self, *, refresh: bool = False) -> dict[str, Market]:
        """All markets by symbol. Asked once, or again to `refresh`: for `state` and `last_price` now."""
        if refresh or not self._markets:
            answer = await self._http.get("/v1/markets", _Markets)
            self._markets = {market.symbol: market for market in answer.items}
        return dict(self._markets)

    async def market(self, symbol: str, *, refresh: bool = False) -> Market:
        """One market, with the tick and lot that prices and sizes are rounded to. Raises KeyError."""
        return (await self.markets(refresh=refresh or symbol not in self._markets))[symbol]

    async def book(self, market: str, depth: int = 50, *, group: Number | None = None) -> Book:
        """The open orders by price, `depth` (1 to 500) a side at most; put together by a step `group`."""
        step = None if group is None else plain(group, "group")
        return await self._http.get(f"{_path(market)}/book", Book, {"depth": depth, "group": step})

    async def ticker(self, market: str) -> Ticker:
        """The last 24 hours."""
        return await self._http.get(f"{_path(market)}/ticker", Ticker)

    async def tickers(self) -> dict[str, Ticker]:
        """The last 24 hours of all markets, by symbol."""
        answer = await self._http.get("/v1/tickers", _Tickers)
        return {ticker.market: ticker for ticker in answer.items}

    def trades(self, market: str, *, since: Time | None = None, until: Time | None = None) -> History[Trade]:
        """Trades, newest first, of [since, until)."""
        path, start, end = f"{_path(market)}/trades", time_param(since, "since"), time_param(until, "until")

        async def fetch(cursor: str | None, limit: int) -> Page[Trade]:
            params = {"from": start, "to": end, "limit": limit, "cursor": cursor}
            return await self._http.get(path, Page[Trade], params)

        return History(fetch)

    def candles(
        self,
        market: str,
        interval: Interval = "1m",
        *,
        since: Time | None = None,
        until: Time | None = None,
        fill: bool = False,
    ) -> History[Candle]:
        """Candles, oldest first, that begin in [since, until). The last one may still grow.

        Intervals without a trade have none, unless `fill`: then one of the price before.
        """
        start = 0 if since is None else time_ms_of(since, "since")
        end = None if until is None else time_ms_of(until, "until")

        async def fetch(cursor: str | None, limit: int) -> Page[Candle]:
            at = start if cursor is None else int(cursor)
            answer = await self._candles(market, interval, limit, fill, at)
            wanted = tuple(item for item in answer.items if end is None or item.open_ms < end)
            more = len(answer.items) == limit and len(wanted) == limit
            following = str(wanted[-1].open_ms + 1) if more else None
            return Page(seq=answer.seq, items=wanted, next_cursor=following)

        return History(fetch)

    async def latest_candles(
        self, market: str, interval: Interval = "1m", limit: int = 500, *, fill: bool = False
    ) -> list[Candle]:
        """The newest candles, at most 1,000, oldest first."""
        return list((await self._candles(market, interval, limit, fill, None)).items)

    async def _candles(
        self, market: str, interval: Interval, limit: int, fill: bool, since_ms: int | None
    ) -> _Candles:
        params = {
            "interval": interval,
            "limit": limit,
            "fill": "true" if fill else None,
            "from": since_ms,
        }
        return await self._http.get(f"{_path(market)}/candles", _Candles, params)


def time_param(time: Time | None, name: str) -> str | None:
    """A time as a parameter of a request. Raises TypeError."""
    return None if time is None else str(time_ms_of(time, name))


def _path(market: str) -> str:
    return f"/v1/markets/{quote(market, safe='')}"
