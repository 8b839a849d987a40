"""A whole exchange on a real port, with random trading at hand and a record of all that is true."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.edge.harness import Exchange, Trader, served
from tests.streams.client import Held, StreamClient, Subject
from tests.streams.folds import Book, Fills, Keyed, Newest, Orders, Trades
from tests.streams.record import Record
from tests.streams.trading import Trading

from exchange.edge.app import create_app

MARKET = "ETH-USDC"
PLENTY = {"ETH": 10**24, "USDC": 10**15}
TRADERS = 3


@dataclass(slots=True)
class Streams:
    """The exchange, what happens in it, and who listens."""

    exchange: Exchange
    url: str
    http: httpx.AsyncClient
    traders: list[Trader]
    record: Record
    trading: Trading
    random: random.Random
    clients: list[StreamClient] = field(default_factory=list)

    async def trade(self, bursts: int) -> None:
        """Random trading, all of it committed."""
        for _ in range(bursts):
            await self.exchange.edge.submit_batch(self.trading.burst())

    @asynccontextmanager
    async def client(self, trader: Trader | None = None, **options: Any) -> AsyncIterator[StreamClient]:
        """A connected client, signed in as a trader if one is given."""
        token = None if trader is None else trader.token
        account_id = None if trader is None else trader.account_id
        client = StreamClient(self.url, token=token, account_id=account_id, **options)
        await client.connect()
        self.clients.append(client)
        try:
            yield client
            client.require_sound()
        finally:
            self.clients.remove(client)
            await client.drop()

    async def until_connections(self, number: int) -> None:
        """Waits until so many are open, as the server counts them."""
        await until(lambda: self.exchange.streams.connections == number)

    async def settled(self, *clients: StreamClient) -> None:
        """Waits until these clients hold all that was committed by now, of what they are subscribed to."""
        seq = self.exchange.view.seq
        for client in clients:
            for subject, held in list(client.held.items()):
                await client.until(lambda subject=subject, held=held: self._is_held(subject, held, seq))

    def _is_held(self, subject: Subject, held: Held, seq: int) -> bool:
        record, account_id = self.record, held.account_id
        match held.fold:
            case Book():
                return held.seq is not None and held.fold.sides() == record.depth[seq]
            case Newest() if subject.channel == "bbo":
                best = [list(side[0]) if side else None for side in record.depth[seq]]
                return held.fold.value is not None and list(held.fold.value.values()) == best
            case Trades():
                return held.fold.items[-1:] == record.trades_until(seq)[-1:]
            case Orders():
                return held.fold.open == record.orders[account_id][seq]
            case Fills():
                return held.fold.items[-1:] == record.fills_of(account_id, seq)[-1:]
            case Keyed() if subject.channel == "balances":
                return balances_of(held.fold) == record.balances[account_id][seq]
        raise AssertionError(subject)

    async def rest(self, path: str, trader: Trader | None = None, **params: Any) -> dict[str, Any]:
        """An answer of the HTTP API."""
        headers = {} if trader is None else {"Authorization": f"Bearer {trader.token}"}
        async with asyncio.timeout(20):
            answer = await self.http.get(path, params=params, headers=headers)
            while answer.status_code == 503 and answer.json()["code"] == "not_yet":
                answer = await self.http.get(path, params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    async def rest_items(self, path: str, trader: Trader | None = None, **params: Any) -> list[Any]:
        """All pages of a listing."""
        items: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.rest(path, trader, limit=500, **params, **cursor)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    def memory_kib(self) -> int:
        """What this process, the server's, holds in memory."""
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")


@asynccontextmanager
async def streaming(exchange: Exchange, seed: int, *, keeps_all: bool = True) -> AsyncIterator[Streams]:
    """Serves the exchange on a free port; unless `keeps_all`, without much of a record."""
    traders = [await exchange.trader(**PLENTY) for _ in range(TRADERS)]
    account_ids = [trader.account_id for trader in traders]
    rng = random.Random(seed)
    record = Record(exchange.view, MARKET, account_ids, keeps_all=keeps_all)
    trading = Trading(exchange.view, MARKET, account_ids, rng)
    async with (
        served(create_app(exchange.edge, exchange.hub)) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        yield Streams(exchange, url, http, traders, record, trading, rng)


async def until(holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Waits, turn by turn of the loop, until something is true."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - what it waits for tells nobody
            await asyncio.sleep(0.002)


def as_rest(book: Book) -> dict[str, list[list[str]]]:
    """A client's book as the HTTP API would show it."""
    bids, asks = book.sides()
    return {"bids": [list(level) for level in bids], "asks": [list(level) for level in asks]}


def balances_of(fold: Keyed) -> dict[str, tuple[str, str]]:
    """A client's balances that are not empty, in the form of the record."""
    return {
        asset: (item["available"], item["held"])
        for (asset,), item in fold.by_key.items()
        if (item["available"], item["held"]) != ("0", "0")
    }
