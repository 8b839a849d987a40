"""The personal deposit address over HTTP: always the same, and what has arrived there is only pending."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.edge.harness import (
    CHAIN_ID,
    ETH,
    FORWARDERS,
    REGISTRY,
    USDC,
    Exchange,
    Trader,
    problem,
    running_exchange,
)

from exchange.chain.arrival_rows import ArrivalRows
from exchange.edge.dependencies import DepositAddressing
from exchange.gateway.addresses import checksummed


async def arrive(exchange: Exchange, trader: Trader, token: str, atoms: int) -> None:
    """What the watcher stores when it sees funds at the address."""
    rows = ArrivalRows(exchange.edge.pool, CHAIN_ID, REGISTRY)
    await rows.put([trader.owner], {(trader.owner, token): atoms}, 120)


async def test_the_address_is_the_accounts_own_and_never_changes(exchange):
    alice, bob = await exchange.trader(), await exchange.trader()
    first = (await alice.get("/v1/deposit-address")).json()
    again = (await alice.get("/v1/deposit-address")).json()
    assert first["address"] == again["address"] == checksummed(FORWARDERS.address_of(alice.owner))
    assert (await bob.get("/v1/deposit-address")).json()["address"] != first["address"]
    assert first["chain_id"] == CHAIN_ID
    assert first["assets"] == [{"asset": "ETH", "minimum": "0.01"}, {"asset": "USDC", "minimum": "1"}]
    assert first["arrivals"] == []


async def test_asking_for_the_address_has_it_watched(exchange):
    alice = await exchange.trader()
    rows = ArrivalRows(exchange.edge.pool, CHAIN_ID, REGISTRY)
    assert await rows.owners("", 10) == []
    await alice.get("/v1/deposit-address")
    await alice.get("/v1/deposit-address")
    assert await rows.owners("", 10) == [alice.owner]


async def test_what_arrived_is_pending_and_changes_no_balance(exchange):
    alice = await exchange.trader(USDC=5_000_000)
    await arrive(exchange, alice, ETH, 2 * 10**18)
    [item] = (await alice.get("/v1/deposit-address")).json()["arrivals"]
    seen_ms = item.pop("first_seen_ms")
    assert item == {"asset": "ETH", "amount": "2", "status": "pending", "block_number": 120}
    assert seen_ms > 1_700_000_000_000
    assert (await alice.balances())["ETH"] == ("0", "0")


async def test_less_than_the_minimum_says_that_it_waits_for_more(exchange):
    alice = await exchange.trader()
    await arrive(exchange, alice, USDC, 999_999)
    [item] = (await alice.get("/v1/deposit-address")).json()["arrivals"]
    assert (item["status"], item["amount"]) == ("below_minimum", "0.999999")


async def test_others_arrivals_are_not_shown(exchange):
    alice, bob = await exchange.trader(), await exchange.trader()
    await arrive(exchange, alice, ETH, 10**18)
    assert (await bob.get("/v1/deposit-address")).json()["arrivals"] == []


async def test_without_a_session_there_is_no_address(exchange):
    problem(await exchange.client.get("/v1/deposit-address"), 401, "unauthenticated")


async def test_a_parameter_that_is_not_known_is_refused(exchange):
    alice = await exchange.trader()
    problem(await alice.get("/v1/deposit-address", account="0x00"), 422, "field_unknown")


@pytest.fixture
async def without_addresses(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool, deposit_addressing=None) as running:
        yield running


@pytest.fixture
async def unchecked(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Exchange]:
    addressing = DepositAddressing(FORWARDERS, dict, lambda: False)
    async with running_exchange(database_url, pool, deposit_addressing=addressing) as running:
        yield running


async def test_no_address_is_shown_before_the_chain_was_seen_to_give_the_same(unchecked):
    alice = await unchecked.trader()
    problem(await alice.get("/v1/deposit-address"), 503, "unavailable")
    assert await unchecked.edge.pool.fetchval("SELECT count(*) FROM deposit_addresses") == 0


async def test_a_deployment_without_a_registry_says_so(without_addresses):
    alice = await without_addresses.trader()
    problem(await alice.get("/v1/deposit-address"), 404, "no_deposit_addresses")
