"""A journal of made trades: rows as the engine writes them, hash-chained, without an engine.

Each row is a batch of 100 orders that take three resting orders each: for each order a PlaceOrder command and
its events (accepted, three trades, the end of two makers and its own). Ids increase, and amounts fit prices
and sizes. What does not hold up is the ledger: nobody's balance is kept. Who follows trades can not tell.
Half of the trades are spread over the last two days, and the other half over the days before them, 4,500 a
day: of ten million trades there are 1,000 candles of every interval up to a day.
"""

import random
from collections.abc import Iterator

import asyncpg

from exchange.core.commands import Command, PlaceOrder
from exchange.core.events import Event, OrderAccepted, OrderEnded, Trade
from exchange.core.words import EndReason, OrderType, SelfTradePrevention, Side, TimeInForce
from exchange.journal.rows import encode_payload, row_hash

MARKETS = (1, 2, 3)
ACCOUNTS = 1_000
ORDERS_PER_ROW = 100
TRADES_PER_ORDER = 3
TRADES_PER_ROW = ORDERS_PER_ROW * TRADES_PER_ORDER
DAY_NS = 86_400 * 10**9
RECENT_NS = 2 * DAY_NS
TRADES_PER_DAY = 4_500
"""Before the last two days."""
EPOCH = 1
RULES_VERSION = 2
LOT_ATOMS = 10**14
OTHER = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
QUOTE_ATOMS_PER_TICK_LOT = 1

COLUMNS = (
    "seq_first",
    "seq_last",
    "epoch",
    "time_ns",
    "rules_version",
    "commands",
    "events",
    "hash_prev",
    "hash",
)


class MadeJournal:
    """Makes rows one after the other, of `total` trades that end at a time."""

    def __init__(self, total: int, end_ns: int) -> None:
        self._total = total
        self.end_ns = end_ns
        self._random = random.Random(1)
        self._prices = dict.fromkeys(MARKETS, 200_000)
        self._hash = bytes(32)
        self.seq = 0
        """Of the last command made."""
        self.trades = 0

    async def write(self, connection: asyncpg.Connection, trades: int) -> None:
        """At least so many more trades, visible all at once."""
        async with connection.transaction():
            await connection.copy_records_to_table(
                "journal", columns=COLUMNS, records=self.records(trades), timeout=600
            )

    def records(self, trades: int) -> Iterator[tuple[object, ...]]:
        """The next rows, of at least so many trades."""
        until = self.trades + trades
        while self.trades < until:
            commands: list[Command] = []
            events: list[list[Event]] = []
            time_ns = self._time_ns()
            seq_first = self.seq + 1
            for _ in range(ORDERS_PER_ROW):
                self.seq += 1
                command, of_command = self._order(time_ns)
                commands.append(command)
                events.append(of_command)
            payloads = encode_payload(commands), encode_payload(events)
            digest = row_hash(self._hash, seq_first, self.seq, EPOCH, time_ns, RULES_VERSION, *payloads)
            yield seq_first, self.seq, EPOCH, time_ns, RULES_VERSION, *payloads, self._hash, digest
            self._hash = digest

    def _time_ns(self) -> int:
        """Increasing to the end, slowly at first."""
        half = max(1, self._total // 2)
        since_half = self.trades - half
        if since_half < 0:
            return self.end_ns - RECENT_NS + DAY_NS * since_half // TRADES_PER_DAY
        return min(self.end_ns, self.end_ns - RECENT_NS + RECENT_NS * since_half // half)

    def _order(self, time_ns: int) -> tuple[Command, list[Event]]:
        chance = self._random
        market_id = chance.choice(MARKETS)
        side = chance.choice((Side.BUY, Side.SELL))
        taker, order_id = chance.randint(1_000, 999 + ACCOUNTS), self.seq * 10
        price = self._prices[market_id] = max(1_000, self._prices[market_id] + chance.randint(-20, 20))
        sizes = [chance.randint(1, 500) for _ in range(TRADES_PER_ORDER)]
        size = left = sum(sizes)
        command = PlaceOrder(
            taker, market_id, side, OrderType.LIMIT, TimeInForce.GTC, price, size, f"made-{self.seq}",
            time_ns + 30 * 10**9,
        )  # fmt: skip
        events: list[Event] = [
            OrderAccepted(
                order_id, taker, market_id, side, OrderType.LIMIT, TimeInForce.GTC,
                SelfTradePrevention.CANCEL_NEWEST, price, size, 2, price * size, 10, 20, f"made-{self.seq}",
            )
        ]  # fmt: skip
        for number, lots in enumerate(sizes, -TRADES_PER_ORDER):
            self.trades += 1
            left -= lots
            maker, maker_order_id = chance.randint(1_000, 999 + ACCOUNTS), order_id + number
            rest = 0 if number < -1 else 100
            quote_atoms = price * lots * QUOTE_ATOMS_PER_TICK_LOT
            events.append(
                Trade(
                    self.trades, market_id, maker_order_id, order_id, maker, taker, side, price, lots,
                    lots * LOT_ATOMS, quote_atoms, quote_atoms // 1_000, quote_atoms // 500, 0, rest, left,
                )
            )  # fmt: skip
            if not rest:
                events.append(
                    OrderEnded(
                        maker_order_id, maker, market_id, OTHER[side], price, EndReason.FILLED, 0, 1, 0, True
                    )
                )
        events.append(
            OrderEnded(order_id, taker, market_id, side, price, EndReason.FILLED, 0, 2, 0, was_resting=False)
        )
        return command, events
