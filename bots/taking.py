"""Sends the takers' orders: one market order at a time, at random times, on books that are live."""

import asyncio
import logging
import random
from collections.abc import Sequence

from bots.flow import Flow, Take, Takers
from bots.quoter import PASSING, known_market, shared_funds
from bots.repeated import Repeated
from exchange_sdk import Exchange
from exchange_sdk.errors import Conflict, Invalid
from exchange_sdk.stream import Stream

DEPTH = 20
"""So many prices a side are looked at."""

log = logging.getLogger(__name__)


class Taking:
    """One account's market orders in some markets."""

    def __init__(
        self, exchange: Exchange, stream: Stream, symbols: Sequence[str], flow: Flow, seed: int
    ) -> None:
        self._exchange = exchange
        self._stream = stream
        self._symbols = list(symbols)
        self._takers = Takers(flow, seed)
        self._random = random.Random(seed)  # noqa: S311 - which market is next, no secret
        self._troubles = Repeated(log)

    async def run(self) -> None:
        """Until cancelled. Raises ExchangeError when it may not trade."""
        markets = {symbol: await known_market(self._exchange, symbol) for symbol in self._symbols}
        books = {symbol: await self._stream.book(symbol) for symbol in self._symbols}
        balances = await self._stream.balances()
        while True:
            await asyncio.sleep(self._takers.wait_s())
            symbol = self._random.choice(self._symbols)
            book, market = books[symbol], markets[symbol]
            try:
                balances.require_live()
                if not book.require_live().is_current:
                    continue  # what happened while the connection was lost is still on its way
                funds = shared_funds(market, markets.values(), lambda asset: balances[asset].available)
                take = self._takers.take(market, *book.depth(DEPTH), funds)
                if take is None:
                    self._troubles.note(f"nothing to take in {symbol}")
                else:
                    await self._take(symbol, take)
            except (*PASSING, Conflict, Invalid) as error:
                self._troubles.note(f"{type(error).__name__}: {error}")
            self._troubles.end_round()

    async def _take(self, symbol: str, take: Take) -> None:
        placed = await self._stream.trading.place(
            symbol, take.side, size=take.size, price=take.worst_price, type="market"
        )
        log.debug("%s %s %s: %s fills", take.side, take.size, symbol, len(placed.fills))
