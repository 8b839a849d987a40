"""The exchange as a page sees it, but for one thing: its first market is as busy as a very large one.

A proxy in front of a devnet. HTTP goes through as it is; of the stream everything does but the book and the
trades of `MARKET`. These are made here, at the rate that is asked for, to the letter of the protocol:
every book has its checksum.

    python -m scripts.measure_web.feed URL PORT MESSAGES_PER_S
"""

import asyncio
import contextlib
import json
import random
import sys
import time
import zlib
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
from aiohttp import web

MARKET: Final = "ETH-USDC"
MID: Final = 300_000
LEVELS: Final = 400
TRADE_EVERY: Final = 6
"""One message in so many is a trade, the others are of the book."""
CHECKED_LEVELS: Final = 25
BATCH_S: Final = 0.01
HOP_BY_HOP: Final = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "host",
}


class BusyBook:
    """A book that changes at random, near its best prices most of the time. Prices in cents."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.bids = {MID - 1 - step: self._size() for step in range(LEVELS)}
        self.asks = {MID + step: self._size() for step in range(LEVELS)}

    def snapshot(self) -> dict[str, Any]:
        return {
            "bids": self._best(self.bids, LEVELS),
            "asks": self._best(self.asks, LEVELS),
            "checksum": self.checksum(),
        }

    def change(self) -> dict[str, Any]:
        """One to three levels have another size now."""
        changed: dict[str, list[tuple[str, str]]] = {"bids": [], "asks": []}
        for _ in range(self._chance.randint(1, 3)):
            side = self._chance.choice(("bids", "asks"))
            depth = min(int(self._chance.expovariate(1 / 12)), LEVELS - 1)
            price = MID - 1 - depth if side == "bids" else MID + depth
            size = self._size()
            (self.bids if side == "bids" else self.asks)[price] = size
            changed[side].append((_price(price), size))
        return {**changed, "checksum": self.checksum()}

    def checksum(self) -> int:
        levels = self._best(self.bids, CHECKED_LEVELS) + self._best(self.asks, CHECKED_LEVELS)
        return zlib.crc32(",".join(f"{price}:{size}" for price, size in levels).encode())

    def trade(self, number: int) -> dict[str, Any]:
        lots = self._chance.randint(1, 9_999)
        side = self._chance.choice(("buy", "sell"))
        price = MID if side == "buy" else MID - 1
        return {
            "trade_id": str(number),
            "price": _price(price),
            "size": _decimal(lots, 4),
            "amount": _decimal(lots * price, 6),
            "taker_side": side,
            "time_ms": _now_ms(),
        }

    def _size(self) -> str:
        return _decimal(self._chance.randint(1, 99_999), 4)

    def _best(self, levels: dict[int, str], count: int) -> list[tuple[str, str]]:
        first = MID - 1 if levels is self.bids else MID
        step = -1 if levels is self.bids else 1
        return [(_price(price), levels[price]) for price in range(first, first + step * count, step)]


def _decimal(units: int, decimals: int) -> str:
    whole, rest = divmod(units, 10**decimals)
    return f"{whole}.{rest:0{decimals}}".rstrip("0").rstrip(".")


def _price(cents: int) -> str:
    return _decimal(cents, 2)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Feed:
    """One page's stream."""

    def __init__(
        self, page: web.WebSocketResponse, exchange: aiohttp.ClientWebSocketResponse, per_s: int
    ) -> None:
        self._page = page
        self._exchange = exchange
        self._per_s = per_s
        self._book = BusyBook(random.Random(7))
        self._wanted: set[str] = set()
        self._seq = 0
        self._made = 0

    async def run(self) -> None:
        """Until one of the two ends is closed."""
        parts = [self._from_page(), self._from_exchange(), self._busy()]
        tasks = [asyncio.create_task(part) for part in parts]
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _from_page(self) -> None:
        async for frame in self._page:
            request = json.loads(frame.data)
            channel = request.get("channel")
            if request.get("market") == MARKET and channel in {"book", "trades"}:
                await self._answer(request, channel)
            else:
                await self._exchange.send_str(frame.data)

    async def _answer(self, request: dict[str, Any], channel: str) -> None:
        about = {"channel": channel, "market": MARKET}
        if request["op"] != "subscribe":
            self._wanted.discard(channel)
            await self._say({"type": "unsubscribed", "id": request.get("id"), **about})
            return
        data = self._book.snapshot() if channel == "book" else []
        await self._say(
            {"type": "subscribed", "id": request.get("id"), **about, "resumed": False, "seq": self._seq}
        )
        await self._say({"type": "snapshot", **about, "seq": self._seq, "time_ms": _now_ms(), "data": data})
        self._wanted.add(channel)

    async def _say(self, message: dict[str, Any]) -> None:
        text = json.dumps({name: value for name, value in message.items() if value is not None})
        await self._page.send_str(text)

    async def _from_exchange(self) -> None:
        async for frame in self._exchange:
            self._seq = max(self._seq, json.loads(frame.data).get("seq") or 0)
            await self._page.send_str(frame.data)

    async def _busy(self) -> None:
        begun = time.monotonic()
        while True:
            await asyncio.sleep(BATCH_S)
            if self._wanted != {"book", "trades"}:
                begun = time.monotonic() - self._made / self._per_s
                continue
            while self._made < (time.monotonic() - begun) * self._per_s:
                self._made += 1
                is_trade = self._made % TRADE_EVERY == 0
                await self._say(
                    {
                        "type": "update",
                        "channel": "trades" if is_trade else "book",
                        "market": MARKET,
                        "prev_seq": self._seq,
                        "seq": self._seq,
                        "time_ms": _now_ms(),
                        "data": [self._book.trade(10**9 + self._made)] if is_trade else self._book.change(),
                    }
                )


def application(url: str, per_s: int) -> web.Application:
    """The proxy of the exchange at `url`."""

    async def session(app: web.Application) -> Any:
        async with aiohttp.ClientSession(auto_decompress=False) as client:
            app["client"] = client
            yield

    async def stream(request: web.Request) -> web.WebSocketResponse:
        page = web.WebSocketResponse(compress=False)
        await page.prepare(request)
        async with request.app["client"].ws_connect(f"{url}/v1/ws", max_msg_size=0) as exchange:
            with contextlib.suppress(ConnectionResetError):
                await Feed(page, exchange, per_s).run()
        return page

    async def passed_on(request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        headers.pop("Origin", None)
        target = f"{url}{request.path_qs}"
        async with request.app["client"].request(
            request.method, target, headers=headers, data=await request.read() or None
        ) as answer:
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_get("/v1/ws", stream)
    app.router.add_route("*", "/{path:.*}", passed_on)
    return app


def main(arguments: Sequence[str]) -> None:
    """Serves until it is stopped."""
    url, port, per_s = arguments
    web.run_app(application(url, int(per_s)), host="localhost", port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main(sys.argv[1:])
