"""What the restarted exchange shows is held against the journal: each thing missing or changed is found."""

import asyncpg
import pytest
from aiohttp import web
from scripts.crash.compare import Finding, Kind
from scripts.crash.history import History
from scripts.crash.public_api import ApiFailed, request
from scripts.crash.recovered import compare_account, compare_market_data, compare_tables
from tests.crash.fake_api import FakeApi, Item, served, trader
from tests.crash.story import (
    BUYER,
    ETH,
    ETH_ATOMS,
    LOT_ATOMS,
    OFFER,
    QUOTE_ATOMS,
    RESTING,
    TAKE,
    TAKER_FEE_ATOMS,
    USDC,
    USDC_ATOMS,
    history_of,
    journal,
    market_of,
)

from exchange.core.units import format_atoms

BALANCES, ORDERS, FILLS = "/v1/balances", "/v1/orders", "/v1/fills"
CANDLES = "/v1/markets/ETH-USDC/candles"


@pytest.fixture
def history() -> History:
    """The story, its last command left out: the buyer's order still rests."""
    events = journal()
    del events[14]
    return history_of(events)


def order(order_id: int, name: str, price: str, size: str, remaining: str, status: str) -> Item:
    return {
        "order_id": str(order_id),
        "client_order_id": name,
        "market": "ETH-USDC",
        "side": "buy",
        "type": "limit",
        "time_in_force": "gtc",
        "price": price,
        "size": size,
        "remaining": remaining,
        "status": status,
    }


@pytest.fixture
def api() -> FakeApi:
    """What the buyer must be shown."""
    fake = FakeApi()
    spent = QUOTE_ATOMS + TAKER_FEE_ATOMS
    fake.listings = {
        BALANCES: [
            {"asset": "ETH", "available": format_atoms(3 * LOT_ATOMS, 18), "held": "0"},
            {"asset": "USDC", "available": format_atoms(USDC_ATOMS - spent - 10_020, 6), "held": "0.01002"},
        ],
        ORDERS: [
            order(RESTING, "rest", "10", "0.001", "0.001", "open"),
            order(TAKE, "take", "2000", "0.0003", "0", "filled"),
        ],
        FILLS: [
            {
                "trade_id": "1",
                "order_id": str(TAKE),
                "role": "taker",
                "side": "buy",
                "price": "2000",
                "size": "0.0003",
                "amount": "0.6",
                "fee": "0.0012",
            }
        ],
        CANDLES: [{"trades": 1, "volume": "0.0003"}],
    }
    return fake


async def account_findings(api: FakeApi, history: History, since_seq: int = 0) -> list[Finding]:
    async with served(api) as http:
        return await compare_account(http, trader(BUYER), history, market_of(history), since_seq)


async def market_findings(api: FakeApi, history: History) -> list[Finding]:
    async with served(api) as http:
        return await compare_market_data(http, history, market_of(history))


async def test_an_account_that_is_shown_what_the_journal_has_gives_no_findings(
    api: FakeApi, history: History
) -> None:
    assert await account_findings(api, history) == []
    assert await account_findings(api, history, since_seq=OFFER) == []
    assert await account_findings(api, history, since_seq=TAKE) == []


@pytest.mark.parametrize("index", [0, 1], ids=["open", "ended"])
async def test_an_order_that_is_not_shown_is_lost(api: FakeApi, history: History, index: int) -> None:
    del api.listings[ORDERS][index]
    assert {finding.kind for finding in await account_findings(api, history)} == {Kind.LOST}


@pytest.mark.parametrize(
    ("name", "value"),
    [("price", "11"), ("remaining", "0.0009"), ("client_order_id", "other"), ("side", "sell"), ("size", "1")],
)
async def test_an_order_that_is_shown_otherwise_is_lost(
    api: FakeApi, history: History, name: str, value: str
) -> None:
    api.listings[ORDERS][0][name] = value
    assert {finding.kind for finding in await account_findings(api, history)} == {Kind.LOST}


async def test_an_ended_order_that_is_shown_as_open_is_found(api: FakeApi, history: History) -> None:
    api.listings[ORDERS][1]["status"] = "open"
    assert {finding.kind for finding in await account_findings(api, history)} == {Kind.LOST, Kind.WRONG}


async def test_an_order_shown_twice_or_of_somebody_else_is_wrong(api: FakeApi, history: History) -> None:
    api.listings[ORDERS].append(api.listings[ORDERS][1])
    assert {finding.kind for finding in await account_findings(api, history)} == {Kind.WRONG}
    api.listings[ORDERS][-1] = order(OFFER, "offer", "2000", "0.0005", "0.0002", "cancelled")
    assert {finding.kind for finding in await account_findings(api, history)} == {Kind.WRONG}


@pytest.mark.parametrize("name", ["available", "held"])
async def test_a_balance_that_is_shown_otherwise_is_wrong(api: FakeApi, history: History, name: str) -> None:
    api.listings[BALANCES][1][name] = "1"
    assert [finding.kind for finding in await account_findings(api, history)] == [Kind.WRONG]


async def test_a_fill_that_is_not_shown_or_otherwise_is_lost(api: FakeApi, history: History) -> None:
    api.listings[FILLS][0]["fee"] = "0.0013"
    assert [finding.kind for finding in await account_findings(api, history)] == [Kind.LOST]
    api.listings[FILLS] = []
    assert {finding.kind for finding in await account_findings(api, history)} == {Kind.LOST, Kind.WRONG}


async def test_what_was_compared_before_is_not_read_again(api: FakeApi, history: History) -> None:
    api.listings[FILLS][0]["fee"] = api.listings[ORDERS][1]["price"] = "9"
    assert await account_findings(api, history, since_seq=TAKE) == []


async def test_a_fill_too_many_is_wrong(api: FakeApi, history: History) -> None:
    api.listings[FILLS].insert(0, {**api.listings[FILLS][0], "trade_id": "2"})
    assert [finding.kind for finding in await account_findings(api, history)] == [Kind.WRONG]


async def test_candles_are_waited_for_and_must_show_every_trade(api: FakeApi, history: History) -> None:
    api.statuses = [503, 503]
    assert await market_findings(api, history) == []
    api.listings[CANDLES] = [{"trades": 2, "volume": "0.0003"}]
    assert [finding.kind for finding in await market_findings(api, history)] == [Kind.WRONG]
    api.listings[CANDLES] = [{"trades": 1, "volume": "0.0006"}]
    assert [finding.kind for finding in await market_findings(api, history)] == [Kind.WRONG]


async def test_candles_that_are_answered_with_a_fault_are_wrong(api: FakeApi, history: History) -> None:
    api.statuses = [500]
    assert [finding.kind for finding in await market_findings(api, history)] == [Kind.WRONG]


async def test_a_request_that_must_succeed_says_what_was_answered(api: FakeApi) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"code": "session_invalid"}, status=401)

    api.respond = refuse
    async with served(api) as http:
        with pytest.raises(ApiFailed, match=r"GET /v1/me was answered 401: .*session_invalid"):
            await request(http, "GET", "/v1/me")


async def _fill_tables(connection: asyncpg.Connection, history: History) -> None:
    for number, ((account_id, asset_id), (available, held)) in enumerate(history.balances.items(), 1):
        await connection.execute(
            "INSERT INTO balances (account_id, asset_id, available_atoms, held_atoms, updated_seq)"
            " VALUES ($1, $2, $3, $4, 1)",
            *(account_id, asset_id, available, held),
        )
        await connection.execute(
            "INSERT INTO ledger_entries (account_id, seq, event_index, entry_index, time_ns, asset_id,"
            " available_delta_atoms, held_delta_atoms, available_atoms, held_atoms, kind, reference)"
            " VALUES ($1, $5, 0, 0, 1, $2, $3, $4, $3, $4, 'deposit', '')",
            *(account_id, asset_id, available, held, number),
        )


async def test_read_tables_that_agree_with_the_journal_give_no_findings(
    pool: asyncpg.Pool, history: History
) -> None:
    async with pool.acquire() as connection:
        await _fill_tables(connection, history)
        assert await compare_tables(connection, history) == []


_OF_THE_BUYER = f"WHERE account_id = {BUYER} AND asset_id = {USDC}"


@pytest.mark.parametrize(
    ("statement", "findings"),
    [
        (f"UPDATE balances SET available_atoms = available_atoms + 1 {_OF_THE_BUYER}", 3),
        (f"DELETE FROM balances {_OF_THE_BUYER}", 2),
        (f"UPDATE ledger_entries SET held_delta_atoms = held_delta_atoms + 1 {_OF_THE_BUYER}", 1),
    ],
    ids=["another balance", "no balance", "an entry that does not add up"],
)
async def test_read_tables_that_differ_are_wrong(
    pool: asyncpg.Pool, history: History, statement: str, findings: int
) -> None:
    async with pool.acquire() as connection:
        await _fill_tables(connection, history)
        await connection.execute(statement)
        found = await compare_tables(connection, history)
    assert [finding.kind for finding in found] == [Kind.WRONG] * findings


def test_the_story_is_worth_telling(history: History) -> None:
    assert history.balances[BUYER, USDC][1] == 10_020
    assert history.balances[BUYER, ETH] == [3 * LOT_ATOMS, 0]
    assert history.deposited == {ETH: ETH_ATOMS, USDC: USDC_ATOMS}
