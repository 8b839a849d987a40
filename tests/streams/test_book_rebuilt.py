"""What clients put together from messages is what is true, at each seq, however often they are disconnected.

SEED=7 plays one world again, ROUNDS=400 a longer one. The seed is printed by the test's name.
"""

import os
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.edge.harness import USDC, Trader, running_exchange
from tests.streams.client import CutOff, Held, StreamClient, Subject
from tests.streams.folds import Book, Candles, Fills, Keyed, Newest, Orders, Trades
from tests.streams.record import Record
from tests.streams.serving import MARKET, Streams, as_rest, balances_of, streaming
from tests.streams.spec import Frame

from exchange.edge.ws import fan_out, limits, protocol
from exchange.feeds import book, message_log, trades
from exchange.stores.clickhouse import ClickHouse

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else [1, 2]
ROUNDS = int(os.environ.get("ROUNDS", "120"))
QUIET_EVERY = 30
CUT_OFF = {4000, 1006}
"""As `slow_reader`; without a code when it does not read even that."""


@pytest.fixture(autouse=True)
def many_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that clients resume from a heartbeat's seq about as often as from a message's."""
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)


class Watcher:
    """A client that holds each of its messages against the record as it takes it in."""

    def __init__(self, streams: Streams, trader: Trader | None, *, compressed: bool) -> None:
        self._record = streams.record
        self.trader = trader
        self.compared: dict[str, int] = {}
        self.client = StreamClient(
            streams.url,
            token=None if trader is None else trader.token,
            account_id=None if trader is None else trader.account_id,
            compressed=compressed,
            heard=self.compare,
            receive_buffer=4096,
        )

    async def begin(self) -> None:
        await self.client.connect()
        for channel in ("book", "bbo", "trades"):
            await self.client.subscribe(channel, market=MARKET)
        if self.trader is not None:
            for channel in ("orders", "fills", "balances"):
                await self.client.subscribe(channel)

    def compare(self, subject: Subject, held: Held, frame: Frame) -> None:
        """Right after each message: what is held, with what was true at its seq."""
        record, seq = self._record, held.seq
        assert seq is not None
        match held.fold:
            case Book():
                assert held.fold.sides() == record.depth[seq], f"another book at {seq}"
            case Newest() if subject.channel == "bbo":
                best = [list(side[0]) if side else None for side in record.depth[seq]]
                assert [held.fold.value["bid"], held.fold.value["ask"]] == best, f"other prices at {seq}"
            case Trades():
                last = record.trades_until(seq)[-1:]
                assert held.fold.items[-1:] == last, f"another last trade at {seq}"
            case Orders() if seq in record.depth:
                assert held.fold.open == record.orders[held.account_id][seq], f"other orders at {seq}"
                for order_id, order in held.fold.ended.items():
                    assert order["status"] == record.ended[order_id]
            case Fills():
                assert held.fold.items[-1:] == record.fills_of(held.account_id, seq)[-1:] or not frame["data"]
            case Keyed():
                assert balances_of(held.fold) == record.balances[held.account_id][seq], f"others at {seq}"
        self.compared[subject.channel] = self.compared.get(subject.channel, 0) + 1

    def fold(self, channel: str) -> Held:
        parameters = {"market": MARKET} if channel in {"book", "bbo", "trades"} else {"sub_account": 0}
        return self.client.held[Subject(channel, **parameters)]  # type: ignore[arg-type]


@pytest.fixture
async def streams_of_seed(
    request: pytest.FixtureRequest, database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse
) -> AsyncIterator[Streams]:
    async with (
        running_exchange(database_url, pool, clickhouse) as exchange,
        streaming(exchange, request.param) as streams,
    ):
        yield streams


async def _disturb(watcher: Watcher, rng: random.Random) -> None:
    """What happens to a client between two bursts: mostly nothing."""
    try:
        watcher.client.require_connected()
        await _happen(watcher.client, rng)
    except CutOff:
        watcher.client.resume_reading()
        assert await watcher.client.closed() in CUT_OFF


async def _happen(client: StreamClient, rng: random.Random) -> None:
    dice = rng.random()
    if not client.is_connected:
        if dice < 0.5:
            await client.connect()
    elif client.is_stalled:
        if dice < 0.07:
            client.resume_reading()
        elif dice < 0.09:
            await client.drop(abruptly=True)
    elif dice < 0.05:
        await client.drop(abruptly=True)
    elif dice < 0.08:
        await client.drop()
    elif dice < 0.20:
        client.stall()
    elif dice < 0.23:
        await client.unsubscribe("book", market=MARKET)
        await client.subscribe("book", market=MARKET)
    elif dice < 0.25:
        await client.subscribe(rng.choice(["book", "bbo", "trades"]), market=MARKET)  # once more


async def _is_right(streams: Streams, watcher: Watcher) -> None:
    """With nothing happening any more: everything held equals the HTTP API's answers."""
    client = watcher.client
    client.resume_reading()
    try:
        if not client.is_connected:
            await client.connect()
        await _equals_rest(streams, watcher)
    except CutOff:  # it had been too slow before, and hears of it only now
        assert await client.closed() in CUT_OFF
        await client.connect()
        await _equals_rest(streams, watcher)


async def _equals_rest(streams: Streams, watcher: Watcher) -> None:
    client = watcher.client
    book = await streams.rest(f"/v1/markets/{MARKET}/book", depth=500)
    seq = book["seq"]
    record: Record = streams.record
    assert seq == max(record.depth)

    held_book = watcher.fold("book")
    await client.until(lambda: (held_book.seq or 0) >= streams.record.book_changed_seq)
    assert isinstance(held_book.fold, Book)
    assert as_rest(held_book.fold) == {"bids": book["bids"], "asks": book["asks"]}

    trades = record.trades_until(seq)
    held_trades = watcher.fold("trades").fold
    assert isinstance(held_trades, Trades)
    await client.until(lambda: held_trades.items[-1:] == trades[-1:])
    assert held_trades.items == trades[len(trades) - len(held_trades.items) :], "each trade once, in order"
    assert held_trades.holes or len(held_trades.items) == len(trades)
    listed = (await streams.rest(f"/v1/markets/{MARKET}/trades", min_seq=seq, limit=100))["items"]
    assert held_trades.items[-100:] == listed[::-1][-len(held_trades.items) :]
    if watcher.trader is not None:
        await _private_is_right(streams, watcher, seq)


async def _private_is_right(streams: Streams, watcher: Watcher, seq: int) -> None:
    client, trader = watcher.client, watcher.trader
    assert trader is not None
    orders, fills, balances = (watcher.fold(name).fold for name in ("orders", "fills", "balances"))
    assert isinstance(orders, Orders)
    assert isinstance(fills, Fills)
    assert isinstance(balances, Keyed)

    open_orders = await streams.rest_items("/v1/orders", trader, status="open")
    await client.until(lambda: orders.open == {order["order_id"]: order for order in open_orders})

    answer = await streams.rest("/v1/balances", trader, min_seq=seq)
    expected = {
        item["asset"]: (item["available"], item["held"])
        for item in answer["items"]
        if (item["available"], item["held"]) != ("0", "0")
    }
    await client.until(lambda: balances_of(balances) == expected)

    recorded = streams.record.fills_of(trader.account_id, seq)
    await client.until(lambda: fills.items[-1:] == recorded[-1:] or bool(fills.holes))
    assert fills.items == recorded[len(recorded) - len(fills.items) :], "each fill once, in order"
    if fills.holes == 0:
        assert fills.items == recorded
        listed = await streams.rest_items("/v1/fills", trader, min_seq=seq)
        by_trade = {(item["trade_id"], item["role"]): item for item in listed}
        assert {(item["trade_id"], item["role"]): item for item in fills.items} == by_trade


@pytest.mark.parametrize("streams_of_seed", SEEDS, indirect=True, ids=lambda seed: f"seed-{seed}")
async def test_whatever_happens_to_a_client_it_holds_what_is_true_at_each_seq(streams_of_seed: Streams):
    await _live_through(streams_of_seed)


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little waits for slow readers and little is remembered, so that what is done about it happens often."""
    monkeypatch.setattr(protocol, "UNSENT_BYTES", 2_048)
    monkeypatch.setattr(fan_out, "MAX_WAITING_MESSAGES", 15)
    monkeypatch.setattr(message_log, "KEPT_MESSAGES", 60)
    monkeypatch.setattr(book, "KEPT_UPDATES", 3)
    monkeypatch.setattr(trades, "KEPT_TRADES", 60)


@pytest.mark.parametrize("streams_of_seed", SEEDS, indirect=True, ids=lambda seed: f"seed-{seed}")
@pytest.mark.usefixtures("little_room")
async def test_so_it_does_where_slow_readers_are_soon_given_snapshots_or_cut_off(streams_of_seed: Streams):
    watchers = await _live_through(streams_of_seed)
    replaced = sum(held.replaced for watcher in watchers for held in watcher.client.held.values())
    assert replaced + streams_of_seed.exchange.streams.cuts["slow_reader"] > 0


async def _live_through(streams: Streams) -> list[Watcher]:
    """Trading, and clients to whom all kinds of things happen meanwhile."""
    rng = streams.random
    watchers = [
        Watcher(streams, trader, compressed=compressed)
        for trader in (streams.traders[0], streams.traders[1], None)
        for compressed in (False, True)
    ]
    try:
        for watcher in watchers:
            await watcher.begin()
        for round_number in range(1, ROUNDS + 1):
            commands = streams.trading.burst(rng.choice([1, 3, 40, 40]))
            if rng.random() < 0.06:
                commands = streams.trading.sweep()
            elif rng.random() < 0.02:
                commands = streams.trading.wipe()
            await streams.exchange.edge.submit_batch(commands)
            for watcher in watchers:
                watcher.client.require_sound()
                await _disturb(watcher, rng)
            if round_number % QUIET_EVERY == 0:
                for watcher in watchers:
                    await _is_right(streams, watcher)
        assert len(streams.record.trades) > ROUNDS / 2
        for watcher in watchers:
            assert all(count > 10 for count in watcher.compared.values()), watcher.compared
    finally:
        for watcher in watchers:
            await watcher.client.drop(abruptly=True)
    return watchers


async def test_resumed_it_is_as_if_the_connection_had_never_been_lost(streams: Streams):
    async with streams.client(streams.traders[0]) as client, streams.client(streams.traders[0]) as other:
        subjects = [
            ("book", {"market": MARKET}),
            ("trades", {"market": MARKET}),
            ("orders", {}),
            ("fills", {}),
            ("balances", {}),
        ]
        for channel, parameters in subjects:
            await client.subscribe(channel, **parameters)
            await other.subscribe(channel, **parameters)
        await streams.trade(10)
        for _ in range(5):
            await client.drop(abruptly=True)
            await streams.trade(5)
            await client.connect()
            await streams.trade(5)
        await streams.settled(client, other)
        for subject, held in client.held.items():
            assert held.resumed == 5, f"{subject} was begun anew"
            assert held.snapshots == 1
            assert _content(held) == _content(other.held[subject])


async def test_a_heartbeat_counts_for_resuming(streams: Streams):
    trader, stranger = streams.traders[0], streams.traders[1]
    async with streams.client(trader) as client:
        for channel in ("book", "bbo", "trades"):
            await client.subscribe(channel, market=MARKET)
        for channel in ("orders", "fills", "balances"):
            await client.subscribe(channel)
        await streams.trade(5)
        for _ in range(5):
            await streams.exchange.deposit(stranger.owner, USDC, 1)  # concerns none of the subscriptions
            seq = streams.exchange.view.seq
            await client.until(lambda seq=seq: all(held.seq >= seq for held in client.held.values()))
            await client.drop(abruptly=True)
            await streams.trade(2)
            await client.connect()
            await streams.trade(2)
            await streams.settled(client)
        assert [held.resumed for held in client.held.values()] == [5] * 6
        assert [held.snapshots for held in client.held.values()] == [1] * 6


async def test_what_is_too_old_to_be_resumed_begins_anew_and_says_so(streams: Streams):
    async with streams.client() as client:
        held = await client.subscribe("book", market=MARKET)
        await streams.trade(3)
        await streams.settled(client)
        for seq in (0, 1, 2**62):
            held.seq = seq
            await client.drop()
            await client.connect()
            await client.until(lambda: not held.awaits_snapshot)
            assert held.resumed == 0
            assert isinstance(held.fold, Book)
            assert held.fold.sides() == streams.record.depth[held.seq]


async def test_candles_are_those_of_the_http_api(streams_with_clickhouse: Streams):
    streams = streams_with_clickhouse
    async with streams.client() as client:
        folds = {}
        await streams.trade(5)
        for interval in ("1s", "1m", "1h", "1w"):
            held = await client.subscribe("candles", market=MARKET, interval=interval)
            folds[interval] = held.fold
        for _ in range(4):
            await streams.trade(5)
            await client.drop(abruptly=True)
            await streams.trade(5)
            await client.connect()
        seq = streams.exchange.view.seq
        for interval, fold in folds.items():
            assert isinstance(fold, Candles)
            answer = await streams.rest(
                f"/v1/markets/{MARKET}/candles", interval=interval, min_seq=seq, limit=1000
            )
            listed = {candle["open_ms"]: candle for candle in answer["items"]}
            newest = listed[max(listed)]
            by_open_ms = fold.by_open_ms
            await client.until(
                lambda held=by_open_ms, newest=newest: _without_closed(held.get(newest["open_ms"])) == newest
            )
            for open_ms, candle in fold.by_open_ms.items():
                assert _without_closed(candle) == listed[open_ms], interval


def _without_closed(candle: Frame | None) -> Frame | None:
    if candle is None:
        return None
    return {name: value for name, value in candle.items() if name != "closed"}


def _content(held: Held) -> object:
    match held.fold:
        case Book() as book:
            return book.sides()
        case Trades() as trades:
            return trades.items
        case Orders() as orders:
            return orders.open
        case Fills() as fills:
            return fills.items
        case Keyed() as keyed:
            return balances_of(keyed)
    raise AssertionError(held.fold)
