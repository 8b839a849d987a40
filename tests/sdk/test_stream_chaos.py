"""Whatever the network does to a client, its book is the exchange's and nothing of its own is lost or
doubled.

SEED=7 plays one world again, ROUNDS=300 a longer one. The seed is in the test's name.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.edge.harness import running_exchange
from tests.sdk.watching import Watcher
from tests.streams.serving import Streams, streaming

from exchange.edge.ws import fan_out, limits, protocol
from exchange.feeds import book, message_log, trades
from exchange_sdk import private_feeds, subscriptions
from exchange_sdk.notices import Live, Stale

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else [1, 2]
ROUNDS = int(os.environ.get("ROUNDS", "100"))
QUIET_EVERY = 25


@pytest.fixture(autouse=True)
def many_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)


@pytest.fixture
async def streams(
    request: pytest.FixtureRequest, database_url: str, pool: asyncpg.Pool
) -> AsyncIterator[Streams]:
    async with (
        running_exchange(database_url, pool) as exchange,
        streaming(exchange, request.param) as streams,
    ):
        yield streams


@pytest.fixture
async def watchers(streams: Streams) -> AsyncIterator[list[Watcher]]:
    found = [Watcher(streams.record, trader) for trader in streams.traders[:2]]
    try:
        for watcher in found:
            await watcher.begin(streams.url)
        yield found
    finally:
        for watcher in found:
            await watcher.end()


def disturb(watcher: Watcher, rng: random.Random) -> None:
    """What a network does between two bursts: mostly nothing."""
    proxy, dice = watcher.proxy, rng.random()
    if dice < 0.06:
        proxy.cut()
    elif dice < 0.12:
        proxy.cuts_after_bytes = rng.randint(1, 20_000)  # in the middle of whatever comes
    elif dice < 0.15:
        proxy.freeze()
    elif dice < 0.18:
        proxy.hold_answers()
    elif dice < 0.22:
        proxy.delay_s = 0.02
    elif dice < 0.26:
        proxy.refuses = True
        proxy.cut()
    elif dice < 0.32:
        watcher.may_read.clear()
    elif dice < 0.38:
        watcher.other_may_read.clear()
    elif dice < 0.65:
        calm(watcher)


def calm(watcher: Watcher) -> None:
    """Everything goes well."""
    watcher.proxy.thaw()
    watcher.proxy.let_answers()
    watcher.proxy.delay_s = 0.0
    watcher.proxy.refuses = False
    watcher.proxy.cuts_after_bytes = None
    watcher.may_read.set()
    watcher.other_may_read.set()


async def live_through(streams: Streams, watchers: list[Watcher]) -> None:
    rng = streams.random
    for round_number in range(1, ROUNDS + 1):
        commands = streams.trading.burst(rng.choice([1, 3, 40, 40]))
        if rng.random() < 0.06:
            commands = streams.trading.sweep()
        elif rng.random() < 0.02:
            commands = streams.trading.wipe()
        await streams.exchange.edge.submit_batch(commands)
        for watcher in watchers:
            watcher.require_sound()
            disturb(watcher, rng)
        await asyncio.sleep(rng.choice([0, 0.02, 0.1]))  # some connections come back meanwhile
        if round_number % QUIET_EVERY == 0:
            for watcher in watchers:
                calm(watcher)
            for watcher in watchers:
                await watcher.is_right()


by_seed = pytest.mark.parametrize("streams", SEEDS, indirect=True, ids=lambda seed: f"seed-{seed}")


@by_seed
async def test_whatever_the_network_does_the_client_holds_what_is_true(
    streams: Streams, watchers: list[Watcher]
):
    await live_through(streams, watchers)
    for watcher in watchers:
        assert watcher.stream.connects > 3
        assert watcher.compared > 20
        for notices in watcher.notices.values():
            told = [type(notice) for notice in notices if isinstance(notice, Stale | Live)]
            assert told[::2] == [Stale] * len(told[::2]), "first stale, then live again"
            assert told[1::2] == [Live] * len(told[1::2])


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange remembers little, so that resuming fails often."""
    monkeypatch.setattr(protocol, "UNSENT_BYTES", 2_048)
    monkeypatch.setattr(fan_out, "MAX_WAITING_MESSAGES", 15)
    monkeypatch.setattr(message_log, "KEPT_MESSAGES", 4)
    monkeypatch.setattr(book, "KEPT_UPDATES", 3)
    monkeypatch.setattr(trades, "KEPT_TRADES", 10)


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little may wait for the readers, so that they are often behind."""
    monkeypatch.setattr(subscriptions, "WAITING_ITEMS", 8)
    monkeypatch.setattr(private_feeds, "WAITING_ITEMS", 8)


@by_seed
@pytest.mark.usefixtures("little_room")
async def test_so_it_does_where_readers_are_often_behind(streams: Streams, watchers: list[Watcher]):
    await live_through(streams, watchers)


@by_seed
@pytest.mark.usefixtures("short_memory", "little_room")
async def test_so_it_does_where_the_exchange_remembers_little(streams: Streams, watchers: list[Watcher]):
    await live_through(streams, watchers)
    assert sum(watcher.my_fills.recoveries for watcher in watchers) > 0
    assert sum(watcher.orders.recoveries for watcher in watchers) > 0
