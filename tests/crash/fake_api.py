"""A stand-in for the exchange's API that says what it is told to, in pages of one item."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from scripts.crash.public_api import Trader, open_session

Item = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeApi:
    """`listings` by path; `respond` answers everything else."""

    def __init__(self) -> None:
        self.listings: dict[str, list[Item]] = {}
        self.statuses: list[int] = []
        """Statuses of the next listings instead of success."""
        self.respond: Handler = _not_found
        self.asked: list[web.Request] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if request.method != "GET" or request.path not in self.listings:
            return await self.respond(request)
        if self.statuses:
            return web.json_response({"code": "not_yet"}, status=self.statuses.pop(0))
        items = self.listings[request.path]
        if request.query.get("status") == "open":
            items = [item for item in items if item["status"] == "open"]
        if request.path == "/v1/balances" or "candles" in request.path:
            return web.json_response({"seq": 1, "items": items})
        start = int(request.query.get("cursor", "0"))
        following = str(start + 1) if start + 1 < len(items) else None
        return web.json_response({"seq": 1, "items": items[start : start + 1], "next_cursor": following})


async def _not_found(_: web.Request) -> web.StreamResponse:
    return web.json_response({"code": "not_found"}, status=404)


@asynccontextmanager
async def served(api: FakeApi) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the stand-in, on a free port."""
    runner = web.ServerRunner(web.Server(api.handle))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with open_session(f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        await runner.cleanup()


def trader(account_id: int) -> Trader:
    return Trader(account_id, "0x" + "01" * 20, "token")
