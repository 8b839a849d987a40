"""The load: several clients at once, each asking for the next thing when it has the answer to the last.

Two-sided limit orders around one price that trade now and then, with all times in force; cancels; cancels of
everything; batches; orders that can not be paid for, or that expire soon; orders sent twice at once, or again
after they were answered.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from random import Random
from types import MappingProxyType
from typing import Any

import aiohttp
from scripts.crash.compare import CREATED, KNOWN
from scripts.crash.promises import Batch, Cancellation, MassCancellation, Outcome, Placement, Promises
from scripts.crash.public_api import Trader

from exchange.core.markets import Market

MID_TICKS = 200_000
SPREAD_TICKS = 40
CROSSING_TICKS = 8
MAX_LOTS = 50
UNPAYABLE_LOTS = 10**9
MANY_OPEN = 150
UNAVAILABLE_PAUSE_S = 0.02
MAX_BATCH = 12
MAX_LIFE_MS = 3_000
TIMES_IN_FORCE = ("gtc",) * 15 + ("post_only", "post_only", "gtt", "ioc", "fok")

Answer = tuple[int, dict[str, Any]]


class Traffic:
    """The clients of one cycle. What they learn is written to `promises`.

    `open_orders`: the ids of what each account has open from earlier cycles. They are cancelled like those of
    this one, else an account has more and more, until it may have no more.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        traders: list[Trader],
        market: Market,
        promises: Promises,
        prefix: str,
        open_orders: Mapping[int, Iterable[int]] = MappingProxyType({}),
    ) -> None:
        self._http = http
        self._traders = {trader.account_id: trader for trader in traders}
        self._market = market
        self._promises = promises
        self._names: Iterator[str] = (f"{prefix}-{number}" for number in itertools.count(1))
        self._open: dict[int, list[int]] = {
            trader.account_id: list(open_orders.get(trader.account_id, ())) for trader in traders
        }
        self._stopping = False
        self.dead_from_s: float | None = None
        """Since when there has been no database: nothing asked for later may be acknowledged."""

    def stop(self) -> None:
        """Each client ends after its present request."""
        self._stopping = True

    async def client(self, account_id: int, random: Random) -> None:
        """Trades for one account until told to stop."""
        while not self._stopping:
            choice = random.random()
            orders = self._open[account_id]
            if choice < 0.005 or len(orders) > MANY_OPEN:
                await self.cancel_all(account_id)
            elif choice < 0.02:
                await self.send_batch(self._new_batch(account_id, random))
            elif choice < 0.25 and orders:
                await self.cancel(self._new_cancellation(account_id, random))
            elif choice < 0.29 and self._promises.placements:
                sent = self._promises.placements[-50:]
                await self.send_again(random.choice(sent))
            else:
                placement = self._new_order(account_id, random)
                is_certain = placement.time_in_force == "gtc" and placement.size_lots <= MAX_LOTS
                if is_certain and random.random() < 0.03:
                    await asyncio.gather(self.place(placement), self.place(placement))
                else:
                    await self.place(placement)

    def _new_order(self, account_id: int, random: Random) -> Placement:
        side = random.choice(("buy", "sell"))
        away_ticks = random.randint(-CROSSING_TICKS, SPREAD_TICKS)
        size_lots = UNPAYABLE_LOTS if random.random() < 0.01 else random.randint(1, MAX_LOTS)
        time_in_force = random.choice(TIMES_IN_FORCE)
        life_ms = random.randint(200, MAX_LIFE_MS)
        placement = Placement(
            account_id=account_id,
            client_order_id=next(self._names),
            side=side,
            time_in_force=time_in_force,
            price_ticks=MID_TICKS - away_ticks if side == "buy" else MID_TICKS + away_ticks,
            size_lots=size_lots,
            good_till_ms=time.time_ns() // 1_000_000 + life_ms if time_in_force == "gtt" else 0,
        )
        self._promises.placements.append(placement)
        return placement

    def _new_cancellation(self, account_id: int, random: Random) -> Cancellation:
        orders = self._open[account_id]
        cancellation = Cancellation(account_id, orders.pop(random.randrange(len(orders))))
        self._promises.cancellations.append(cancellation)
        return cancellation

    def _new_batch(self, account_id: int, random: Random) -> Batch:
        placements = [self._new_order(account_id, random) for _ in range(random.randint(2, MAX_BATCH))]
        count = min(random.randint(0, 3), len(self._open[account_id]))
        batch = Batch(
            account_id, placements, [self._new_cancellation(account_id, random) for _ in range(count)]
        )
        self._promises.batches.append(batch)
        return batch

    async def place(self, placement: Placement) -> None:
        """Sends an order, perhaps again, and writes down what is answered."""
        placement.sent_s = time.monotonic()
        answered = await self._ask("POST", "/v1/orders", placement.account_id, json=self._body(placement))
        if answered is not None:
            status, answer = answered
            self._told(placement, status, answer, answer.get("code", ""))

    async def send_batch(self, batch: Batch) -> None:
        """Sends a batch, perhaps again, and writes down what is answered to each of its operations."""
        operations = [{"op": "place", **self._body(placement)} for placement in batch.placements]
        operations += [{"op": "cancel", "order_id": str(sent.order_id)} for sent in batch.cancellations]
        for placement in batch.placements:
            placement.sent_s = time.monotonic()
        body = {"operations": operations}
        answered = await self._ask("POST", "/v1/orders/batch", batch.account_id, json=body)
        if answered is None:
            return
        status, answer = answered
        if status != KNOWN or len(answer["results"]) != len(operations):
            self._promises.oddities.append(f"a batch was answered {status} {answer}")
            return
        results: Iterator[dict[str, Any]] = iter(answer["results"])
        for placement, result in zip(batch.placements, results, strict=False):
            seq = int(result["order"]["order_id"]) if result["status"] == CREATED else answer["seq"]
            self._told(placement, result["status"], {**result, "seq": seq}, _code_of(result))
        for cancellation, result in zip(batch.cancellations, results, strict=True):
            self._told_of_cancel(cancellation, result["status"], 0, _code_of(result))

    def _body(self, placement: Placement) -> dict[str, Any]:
        body = {
            "market": self._market.symbol,
            "side": placement.side,
            "type": "limit",
            "time_in_force": placement.time_in_force,
            "price": self._market.format_price(placement.price_ticks),
            "size": self._market.format_size(placement.size_lots),
            "client_order_id": placement.client_order_id,
        }
        return body | ({"good_till_ms": placement.good_till_ms} if placement.good_till_ms else {})

    def _told(self, placement: Placement, status: int, answer: dict[str, Any], code: str) -> None:
        if status in {CREATED, KNOWN}:
            placement.acknowledge({**answer, "status": status})
            if status == CREATED and answer["order"]["status"] == "open":
                self._open[placement.account_id].append(placement.order_id)
        else:
            placement.refuse(code)

    async def send_again(self, placement: Placement) -> None:
        """Sends an order that was acknowledged a second time; the answer must be the same order."""
        if placement.outcome is not Outcome.ACKNOWLEDGED:
            return
        answers = len(placement.answers)
        await self.place(placement)
        for answer in placement.answers[answers:]:
            if answer["status"] != KNOWN or int(answer["order"]["order_id"]) != placement.order_id:
                self._promises.oddities.append(
                    f"{placement.client_order_id}, sent again, was answered with {answer['order']}"
                )

    async def cancel(self, cancellation: Cancellation) -> None:
        """Sends a cancel, perhaps again, and writes down what is answered."""
        path = f"/v1/orders/{cancellation.order_id}"
        answered = await self._ask("DELETE", path, cancellation.account_id)
        if answered is not None:
            status, answer = answered
            self._told_of_cancel(cancellation, status, answer.get("seq", 0), answer.get("code", ""))

    def _told_of_cancel(self, cancellation: Cancellation, status: int, seq: int, code: str) -> None:
        if status == KNOWN:
            cancellation.outcome, cancellation.seq = Outcome.ACKNOWLEDGED, seq
        elif code == "unknown_order":
            cancellation.outcome = Outcome.REFUSED
        else:
            self._promises.oddities.append(f"a cancel was refused: {code}")

    async def cancel_all(self, account_id: int) -> None:
        """Cancels all of an account's orders in the market."""
        orders = self._open[account_id]
        self._open[account_id] = []
        answered = await self._ask("DELETE", "/v1/orders", account_id, params={"market": self._market.symbol})
        if answered is None:
            self._open[account_id] += orders
            return
        status, answer = answered
        if status != KNOWN:
            self._promises.oddities.append(f"a cancel of all orders was refused: {answer['code']}")
            return
        ended = [int(order_id) for order_id in answer["order_ids"]]
        self._promises.mass_cancellations.append(MassCancellation(account_id, answer["seq"], ended))

    async def _ask(self, method: str, path: str, account_id: int, **options: Any) -> Answer | None:
        """Status and body of a definite answer, None when the outcome is unknown."""
        asked_s = time.monotonic()
        headers = self._traders[account_id].headers
        try:
            async with self._http.request(method, path, headers=headers, **options) as response:
                answer: dict[str, Any] = await response.json(content_type=None)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            await asyncio.sleep(UNAVAILABLE_PAUSE_S)
            return None
        if status >= 500:
            if status != 503:
                self._promises.oddities.append(f"{method} {path} was answered {status} {answer}")
            await asyncio.sleep(UNAVAILABLE_PAUSE_S)
            return None
        if status in {401, 403}:
            self._promises.oddities.append(f"{method} {path} was answered {status} {answer}")
            return None
        if status < 300 and self.dead_from_s is not None and asked_s > self.dead_from_s:
            self._promises.oddities.append(f"{method} {path} was acknowledged without a database: {answer}")
        return status, answer


def _code_of(result: dict[str, Any]) -> str:
    return str(result.get("problem", {}).get("code", ""))
