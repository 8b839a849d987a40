"""Keeps a strategy's quotes in the book, whatever happens on the way.

Each round it looks at what stands and at what shall stand, and sends the difference as one batch of
amendments, placements and cancels. It acts on what it knows for certain only: its view of its own orders must
be live, and must have heard of everything that its last batch did. When the view is lost, or a batch is not
answered, it pulls its quotes by an ordinary request, and relies on the view again only when that has come as
far as this request; when that does not get through either, or this process is dead, the dead man's switch
does. The stream connects again by itself, and then the quotes are put back."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from bots.desk import CannotTrade
from bots.ladder import Tolerance, changes
from bots.quoting import Funds
from bots.repeated import Repeated
from bots.standing import Standing
from bots.strategies import Strategy
from exchange_sdk import Exchange
from exchange_sdk.errors import (
    ExchangeError,
    NotLive,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    StreamClosed,
    Unavailable,
    Unreachable,
)
from exchange_sdk.models import Market
from exchange_sdk.orders import Operation
from exchange_sdk.private_feeds import Orders
from exchange_sdk.stream import Stream
from exchange_sdk.subscriptions import Balances

PASSING = (NotLive, OutcomeUnknown, RateLimited, ServerError, Unavailable, Unreachable)
"""What may be over in the next round. Anything else is told and ends the bot."""
BATCH_SIZE = 100
SWITCH_S = 15
"""All orders are cancelled when this bot has not been heard of for so long."""
RENEW_S = 5.0
SWITCH_ROUNDS = 3
"""And never before it had so many rounds."""
CATCH_UP_S = 2.0
LEAVE_S = 3.0
USUAL = frozenset({"insufficient_funds", "post_only_would_cross", "unknown_order"})
"""What an operation is refused for when it was overtaken by what happened meanwhile."""

log = logging.getLogger(__name__)


class Quoter:
    """One account's quotes in some markets."""

    def __init__(
        self,
        exchange: Exchange,
        stream: Stream,
        strategies: Mapping[str, Strategy],
        *,
        round_s: float = 1.0,
        tolerance: Tolerance = Tolerance(),  # noqa: B008 - frozen
    ) -> None:
        self._exchange = exchange
        self._stream = stream
        self._strategies = strategies
        self._round_s = round_s
        self._tolerance = tolerance
        self._standing = Standing()
        self._troubles = Repeated(log)
        self._switch_s = max(SWITCH_S, math.ceil(SWITCH_ROUNDS * round_s))
        self._has_quotes = False
        self._is_unsure = False
        """A batch was sent and not answered: it may be done still, after whatever the views say."""
        self._renewed_s = -RENEW_S
        self._connects = stream.connects
        self._known_from = 0
        """The seq of the newest pull: what the views say before they are there is of the past."""

    async def run(self) -> None:
        """Until cancelled; then the orders are cancelled too. Raises ExchangeError when it may not trade."""
        await self._exchange.cancel_all()  # what a run before has left
        orders = await self._stream.orders()
        balances = await self._stream.balances()
        await self._stream.trading.cancel_on_disconnect()
        self._standing = Standing(orders.open.values())
        self._connects = self._stream.connects
        markets = {symbol: await known_market(self._exchange, symbol) for symbol in self._strategies}
        listening = asyncio.create_task(self._listen(orders))
        try:
            await self._quote(markets, orders, balances, listening)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await self._leave()

    async def _listen(self, orders: Orders) -> None:
        async for order in orders:
            self._standing.take(order)

    async def _quote(
        self,
        markets: Mapping[str, Market],
        orders: Orders,
        balances: Balances,
        listening: asyncio.Task[None],
    ) -> None:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while not listening.done():
            round_begun_s = loop.time()
            try:
                if await self._knows_what_stands(orders, balances):
                    await self._renew_switch(round_begun_s)
                    await self._act(markets, balances, int((round_begun_s - begun_s) * 1_000))
            except PASSING as error:
                self._troubles.note(f"{type(error).__name__}: {error}")
            self._troubles.end_round()
            await asyncio.sleep(max(0.0, self._round_s - (loop.time() - round_begun_s)))
        await listening  # raises why nothing more is heard of the orders
        raise StreamClosed("nothing more is heard of the orders")

    # ---- what is known

    async def _knows_what_stands(self, orders: Orders, balances: Balances) -> bool:
        """Whether the views are live and have caught up with what this bot did, after a short wait.

        Pulls the quotes when not. Raises ExchangeError when they never will be.
        """
        connects = self._stream.connects
        if connects != self._connects or self._is_unsure:  # it was lost, and may be back already
            self._has_quotes = True
            await self._pull()  # the engine does it after all that it has of this account
            self._connects, self._is_unsure = connects, False
        try:
            async with asyncio.timeout(CATCH_UP_S):
                # Looked at again and again, for it is the state of things that change by themselves.
                while orders.is_live and balances.is_live and not self._has_heard_all(orders, balances):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        except TimeoutError:
            self._troubles.note("the stream lags behind")
            await self._pull()
            return False
        if orders.is_live and balances.is_live:
            return True
        self._troubles.note(f"what stands is not known: {orders.stale_reason or balances.stale_reason}")
        await self._pull()
        for view in (orders, balances):
            with contextlib.suppress(NotLive):
                view.require_live()
        return False

    def _has_heard_all(self, orders: Orders, balances: Balances) -> bool:
        """Nothing is on its way that happened before the last pull, or that replies have told of."""
        return (
            not orders.is_behind
            and orders.waiting == 0
            and min(orders.seq or 0, balances.seq or 0) >= self._known_from
            and self._standing.is_as_expected
        )

    # ---- what is done

    async def _act(self, markets: Mapping[str, Market], balances: Balances, elapsed_ms: int) -> None:
        def total(asset: str) -> Decimal:
            return balances[asset].available + balances[asset].held

        operations: list[Operation] = []
        for symbol, strategy in self._strategies.items():
            funds = shared_funds(markets[symbol], markets.values(), total)
            quotes = strategy.quotes(markets[symbol], funds, self._standing.sold(symbol), elapsed_ms)
            if quotes is None:
                self._troubles.note(f"no price to quote {symbol} on: its quotes are pulled")
            standing = self._standing.in_market(symbol)
            operations += changes(symbol, standing, quotes or [], self._tolerance)
        for start in range(0, len(operations), BATCH_SIZE):
            await self._send(operations[start : start + BATCH_SIZE])

    async def _send(self, operations: list[Operation]) -> None:
        self._has_quotes = True
        try:
            results = await self._stream.trading.batch(operations)
        except OutcomeUnknown:
            self._is_unsure = True
            raise
        for operation, result in zip(operations, results, strict=True):
            if result.order is not None:
                self._standing.expect(result.order)
            else:
                # Filled or crossed meanwhile, or short of funds for a moment: the next round sees to it.
                log.debug("%s: %s", operation, result.error)
                if result.error is not None and result.error.code not in USUAL:
                    self._troubles.note(f"operations are refused: {result.error.code}")

    async def _renew_switch(self, now_s: float) -> None:
        if now_s - self._renewed_s >= RENEW_S:
            await self._stream.trading.cancel_all_after(self._switch_s)
            self._renewed_s = now_s

    async def _pull(self) -> None:
        """Cancels everything, once for each time that the view is lost."""
        if self._has_quotes:
            cancelled = await self._exchange.cancel_all()
            self._has_quotes = False
            self._known_from = cancelled.seq
            self._standing.forget_expected()
            log.warning("pulled %s orders", cancelled.count)

    async def _leave(self) -> None:
        """The last thing: nothing of ours is left, if the exchange can still be told so."""
        try:
            async with asyncio.timeout(LEAVE_S):
                cancelled = await self._exchange.cancel_all()
                await self._exchange.cancel_all_after(0)
            log.info("left, %s orders cancelled", cancelled.count)
        except (ExchangeError, TimeoutError) as error:
            log.warning("left without a word, the dead man's switch will cancel: %s", error)


async def known_market(exchange: Exchange, symbol: str) -> Market:
    """A market of the exchange. Raises CannotTrade for one that it does not have."""
    try:
        return await exchange.market(symbol)
    except KeyError:
        raise CannotTrade(f"there is no market {symbol} at {exchange.url}") from None


def shared_funds(market: Market, markets: Iterable[Market], total: Callable[[str], Decimal]) -> Funds:
    """What a market's quotes may use: an asset of several markets is divided evenly among them."""
    all_markets = list(markets)

    def share(asset: str) -> Decimal:
        users = sum(asset in {other.base, other.quote} for other in all_markets)
        return total(asset) / users

    return Funds(base=share(market.base), quote=share(market.quote))
