"""CSV exports: what is in them, that they stream, and what becomes of slow, vanished and too many readers."""

import asyncio
import csv
import io
import logging
import os
import random
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from structlog.testing import capture_logs
from tests.edge.agents import approved
from tests.edge.harness import Exchange, Trader, impatient, problem, served
from tests.edge.test_history import HISTORIES, a_life, path_of, whole
from tests.projections.traffic import place

from exchange.core.commands import CancelOrder, TransferFunds
from exchange.core.events import OrderAccepted, Trade
from exchange.core.words import SelfTradePrevention, Side, TimeInForce
from exchange.edge.app import create_app
from exchange.edge.csv_table import harmless, rfc3339_ms
from exchange.edge.exports import Exports
from exchange.edge.http_protocol import BoundedProtocol
from exchange.edge.times import parse_time_ms
from exchange.journal.tail import Tail
from exchange.projections.extract import PAGE_ROWS

ROWS = int(os.environ.get("EXPORT_ROWS", "50000"))
"""Of the large export. A million of them take minutes, because every allocation is traced."""

LAST_CHUNK = b"\r\n0\r\n\r\n"
"""With which an answer ends that is whole."""


async def export(trader: Trader, history: str, **params: Any) -> tuple[httpx.Response, list[dict[str, str]]]:
    """The answer of an export and its lines."""
    path, own = path_of(history, ".csv")
    response = await trader.get(path, **({"min_seq": trader.exchange.view.seq} | own | params))
    assert response.status_code == 200, response.text
    return response, lines_of(response.text)


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_csv(item: dict[str, Any]) -> dict[str, str]:
    """What the lines of an export say of an item of the JSON, by the rules of docs/api/history.md."""
    cells: dict[str, str] = {}
    for name, value in item.items():
        if name == "trigger":
            for part in ("type", "price", "met"):
                cell = "" if value is None else value[part]
                cells[f"trigger_{part}"] = str(cell).lower() if isinstance(cell, bool) else cell
        elif name.endswith("_ms"):
            cells[name.removesuffix("_ms")] = "" if value is None else rfc3339_ms(value)
        elif name == "deadline_s":
            cells["deadline"] = rfc3339_ms(value * 1_000).replace(".000", "")
        elif name in {"client_order_id", "client_transfer_id", "reference"} and value and value[0] == "-":
            cells[name] = "'" + value
        elif name != "confirmations" and name != "required_confirmations":
            cells[name] = "" if value is None else str(value)
    return cells


@pytest.mark.parametrize("history", [*HISTORIES, "orders?status=open", "orders?status=ended"])
async def test_an_export_is_the_whole_history_oldest_first(exchange: Exchange, history: str) -> None:
    trader = await a_life(exchange)
    await trader.order(side="sell", price="2800", size="1", trigger={"type": "stop", "price": "2850"})
    good_till_ms = exchange.edge.clock_ns() // 10**6 + 10**7
    await trader.order(time_in_force="gtt", good_till_ms=good_till_ms, price="2800", size="0.1")
    items = await whole(trader, history, order="asc")
    response, lines = await export(trader, history)
    assert len(items) >= 5
    assert lines == [as_csv(item) for item in items]
    assert response.text.count("\r\n") == len(items) + 1 == response.text.count("\n")
    name = path_of(history)[0].rpartition("/")[2]
    assert response.headers["x-seq"] == str(exchange.view.seq)
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert (
        response.headers["content-disposition"] == f'attachment; filename="{name}-seq{exchange.view.seq}.csv"'
    )
    assert response.headers["cache-control"] == "no-store"


async def test_an_export_takes_the_filters_of_its_history(exchange: Exchange) -> None:
    trader = await a_life(exchange)
    for history, field in [
        ("orders?status=all", "created_ms"),
        ("fills", "time_ms"),
        ("ledger", "time_ms"),
        ("deposits", "time_ms"),
        ("withdrawals", "requested_ms"),
        ("transfers", "time_ms"),
    ]:
        times = [item[field] for item in await whole(trader, history, order="asc")]
        params = {"from": str(times[1]), "to": rfc3339_ms(times[-1])}
        items = await whole(trader, history, order="asc", **params)
        assert 0 < len(items) < len(times)
        _, lines = await export(trader, history, **params)
        assert lines == [as_csv(item) for item in items]
    order_id = (await whole(trader, "fills"))[0]["order_id"]
    _, lines = await export(trader, "fills", order_id=order_id, market="ETH-USDC")
    assert [line["order_id"] for line in lines] == [order_id]
    assert (await export(trader, "fills", market="WBTC-USDC"))[1] == []
    assert len((await export(trader, "transfers", sub_account=1))[1]) == 6
    assert (await export(trader, "ledger", sub_account=77))[1] == []
    _, everything = await export(trader, "orders")
    assert {line["status"] for line in everything} == {"open", "filled", "cancelled"}


async def test_an_export_that_can_not_begin_is_a_problem_like_any_other(exchange: Exchange) -> None:
    trader = await exchange.trader()
    for history in HISTORIES:
        path, own = path_of(history, ".csv")
        for params, code, field in [
            ({"from": "2", "to": "1"}, "range_invalid", "to"),
            ({"from": "soon"}, "field_invalid", "from"),
            ({"limit": "10"}, "field_unknown", "limit"),
            ({"cursor": "x"}, "field_unknown", "cursor"),
            ({"order": "desc"}, "field_unknown", "order"),
            ({"min_seq": "-1"}, "field_invalid", "min_seq"),
        ]:
            told = problem(await trader.get(path, **own, **params), 422, code)
            assert told["field"] == field
        problem(await trader.get(path, **own, min_seq=exchange.view.seq + 10**6), 503, "not_yet")
        problem(await exchange.client.get(path, params=own), 401, "unauthenticated")
    problem(await trader.get("/v1/fills.csv", market="'; DROP TABLE fills --"), 404, "unknown_market")
    await exchange.edge.pool.close()
    with impatient(exchange):
        problem(await trader.get("/v1/fills.csv"), 503, "unavailable")


async def test_nobody_gets_the_rows_of_another(exchange: Exchange) -> None:
    await a_life(exchange)
    stranger = await exchange.trader()
    for history in HISTORIES:
        assert (await export(stranger, history))[1] == []


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("mine-1", "mine-1"),
        ("0x01", "0x01"),
        ("", ""),
    ],
)
def test_text_that_a_spreadsheet_would_execute_is_made_harmless(value: str, written: str) -> None:
    assert harmless(value) == written


@pytest.mark.parametrize("time_ms", [0, 1, 999, 1_763_841_600_000, 4_102_444_800_123])
def test_the_times_of_an_export_can_be_asked_for_again(time_ms: int) -> None:
    assert parse_time_ms(rfc3339_ms(time_ms)) == time_ms


# ---- sums


async def random_trading(exchange: Exchange, traders: list[Trader], seed: int, commands: int) -> None:
    """Orders of all kinds that meet, are cancelled, prevented and left; transfers between accounts."""
    rng = random.Random(seed)
    open_orders: list[tuple[int, int]] = []
    for number in range(commands):
        trader = rng.choice(traders)
        expires_ns = exchange.edge.clock_ns() + 10**10
        match rng.choice(["order"] * 8 + ["cancel", "transfer"]):
            case "order":
                command: Any = place(
                    trader.account_id,
                    rng.choice(list(Side)),
                    rng.randint(299_900, 300_100),
                    rng.randint(1, 3_000),
                    time_in_force=rng.choice([TimeInForce.GTC, TimeInForce.IOC]),
                    self_trade_prevention=rng.choice(list(SelfTradePrevention)),
                )
            case "cancel" if open_orders:
                command = CancelOrder(*open_orders.pop(rng.randrange(len(open_orders))))
            case _:
                command = TransferFunds(trader.account_id, 1, 2, rng.randint(1, 10**6), f"-{number}", 0)
        if not isinstance(command, CancelOrder):
            command = msgspec.structs.replace(command, expires_ns=expires_ns)
        outcome = await exchange.sequencer.submit(command)
        for event in outcome.events:
            if isinstance(event, OrderAccepted):
                open_orders += [(event.account_id, event.order_id)]


def atoms(text: str, decimals: int) -> int:
    """Of a decimal string, by text alone."""
    sign = -1 if text.startswith("-") else 1
    whole_part, _, fraction = text.lstrip("-").partition(".")
    return sign * int(whole_part + fraction.ljust(decimals, "0"))


DECIMALS = {"ETH": 18, "USDC": 6, "WBTC": 8}


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_changes_of_the_ledgers_export_add_up_to_the_balances(
    exchange: Exchange, seed: int
) -> None:
    traders = [await exchange.trader(USDC=10**12, ETH=10**21) for _ in range(3)]
    await random_trading(exchange, traders, seed, 300)
    for trader in traders:
        for sub_account in (0, 1):
            _, lines = await export(trader, "ledger", sub_account=sub_account)
            assert len(lines) > 3
            sums: dict[str, list[int]] = {}
            for line in lines:
                available_held = sums.setdefault(line["asset"], [0, 0])
                for which, name in enumerate(("available", "held")):
                    available_held[which] += atoms(line[f"{name}_change"], DECIMALS[line["asset"]])
                    assert available_held[which] == atoms(line[name], DECIMALS[line["asset"]])
            answer = await trader.get("/v1/balances", sub_account=sub_account)
            for item in answer.json()["items"]:
                shown = [atoms(item[name], DECIMALS[item["asset"]]) for name in ("available", "held")]
                assert sums.get(item["asset"], [0, 0]) == shown


@pytest.mark.parametrize("seed", [3, 4])
async def test_the_fills_export_is_the_trades_of_the_journal(exchange: Exchange, seed: int) -> None:
    traders = [await exchange.trader(USDC=10**12, ETH=10**21) for _ in range(3)]
    await random_trading(exchange, traders, seed, 300)
    rows = await Tail(exchange.edge.pool).read(0, max_rows=100_000)
    trades = [
        (row.time_ns, event)
        for row in rows
        for events in row.events
        for event in events
        if isinstance(event, Trade)
    ]
    assert len(trades) > 50
    market = exchange.view.market_by_symbol["ETH-USDC"]
    for trader in traders:
        expected = [
            (
                rfc3339_ms(time_ns // 10**6),
                str(trade.trade_id),
                str(order_id),
                role,
                atoms(market.format_price(trade.price_ticks), 6),
                trade.base_atoms,
                trade.quote_atoms,
                fee_atoms,
            )
            for time_ns, trade in trades
            for account_id, order_id, role, fee_atoms in (
                (trade.maker_account_id, trade.maker_order_id, "maker", trade.maker_fee_atoms),
                (trade.taker_account_id, trade.taker_order_id, "taker", trade.taker_fee_atoms),
            )
            if account_id == trader.account_id
        ]
        _, lines = await export(trader, "fills")
        assert expected == [
            (
                line["time"],
                line["trade_id"],
                line["order_id"],
                line["role"],
                atoms(line["price"], 6),
                atoms(line["size"], 18),
                atoms(line["amount"], 6),
                atoms(line["fee"], 6),
            )
            for line in lines
        ]


# ---- streaming


async def fill_the_ledger(exchange: Exchange, trader: Trader, rows: int = ROWS) -> None:
    """That many entries of the trader's, as the projection writes them."""
    await exchange.projection.reached(exchange.view.seq, 20)
    await exchange.edge.pool.execute(
        """
        INSERT INTO ledger_entries
        SELECT $1::BIGINT, 1000000 + n, 0, 0, n * 1000000000, 2, 1234567, -1234567, n, 0, 'trade', n::TEXT
        FROM generate_series(1, $2::BIGINT) AS n
        """,
        trader.account_id,
        rows,
        timeout=300,
    )


async def until(holds: Callable[[], bool]) -> None:
    """Waits for what another task of this process does."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


class Stalled:
    """A client on a bare socket with little room, which reads only what it is asked to."""

    def __init__(self, url: str, trader: Trader, path: str = "/v1/ledger.csv") -> None:
        address = httpx.URL(url)
        self._address = (address.host, address.port)
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {trader.token}\r\n\r\n"
        ).encode()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self.socket.setblocking(False)

    async def __aenter__(self) -> "Stalled":
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, self._address)
        await loop.sock_sendall(self.socket, self._request)
        await self.read(1_000)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()

    async def read(self, size: int) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, size)

    async def read_on(self) -> bytes:
        """Everything up to the end of the connection."""
        received = b""
        while data := await self.read(65_536):
            received += data
        return received


class Counted:
    """The pool, and how often somebody fetched from it."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.fetches = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetch(self, *arguments: Any, **options: Any) -> list[asyncpg.Record]:
        self.fetches += 1
        return await self._pool.fetch(*arguments, **options)


@asynccontextmanager
async def serving(exchange: Exchange, exports: Exports | None = None) -> AsyncIterator[tuple[str, Exports]]:
    """The exchange on a real server; its URL and its exports."""
    app = create_app(exchange.edge)
    if exports is not None:
        app.state.exports = exports
    async with served(app) as url:
        yield url, app.state.exports


def nothing_is_held(exchange: Exchange, exports: Exports) -> bool:
    pool = exchange.edge.pool
    return exports.running == 0 and pool.get_idle_size() == pool.get_size()


async def test_a_large_export_streams_in_little_memory(exchange: Exchange) -> None:
    trader = await exchange.trader()
    await fill_the_ledger(exchange, trader)
    headers = {"Authorization": f"Bearer {trader.token}"}
    async with serving(exchange) as (url, exports), httpx.AsyncClient(base_url=url, timeout=60) as client:
        tracemalloc.start()
        try:
            lines, received_bytes, ends_with = 0, 0, b""
            async with client.stream("GET", "/v1/ledger.csv", headers=headers) as response:
                async for chunk in response.aiter_raw():
                    lines += chunk.count(b"\r\n")
                    received_bytes += len(chunk)
                    ends_with = (ends_with + chunk)[-200:]
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert lines == ROWS + 1
        assert f",{ROWS}," in ends_with.decode()
        assert received_bytes > 60 * ROWS
        assert peak_bytes < 5 * 2**20
        await until(lambda: nothing_is_held(exchange, exports))


async def test_a_reader_that_stalls_holds_no_connection_and_is_cut_off(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader = await exchange.trader()
    await fill_the_ledger(exchange, trader, 50_000)
    cut_off = asyncio.Event()

    def stall(protocol: BoundedProtocol) -> None:
        """In place of the timer, so that the test and not the clock says when it is over."""
        super(BoundedProtocol, protocol).pause_writing()
        asyncio.create_task(cut_off.wait()).add_done_callback(lambda _: protocol.transport.abort())
        stalled.set()

    stalled = asyncio.Event()
    monkeypatch.setattr(BoundedProtocol, "pause_writing", stall)
    async with serving(exchange) as (url, exports), Stalled(url, trader) as client:
        await asyncio.wait_for(stalled.wait(), 20)
        assert exports.running == 1
        await until(lambda: exchange.edge.pool.get_idle_size() == exchange.edge.pool.get_size())
        assert (await trader.get("/v1/ledger")).status_code == 200
        cut_off.set()
        await until(lambda: nothing_is_held(exchange, exports))
        assert not (await client.read_on()).endswith(LAST_CHUNK)


async def test_a_reader_that_fetches_nothing_is_cut_off_by_the_write_timeout(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "write_timeout_s", 0.1)
    trader = await exchange.trader()
    await fill_the_ledger(exchange, trader, 50_000)
    async with serving(exchange) as (url, exports), Stalled(url, trader) as client:
        assert exports.running == 1
        await until(lambda: nothing_is_held(exchange, exports))
        assert not (await client.read_on()).endswith(LAST_CHUNK)


async def test_a_client_that_hangs_up_frees_everything(exchange: Exchange) -> None:
    trader = await exchange.trader()
    await fill_the_ledger(exchange, trader, 50_000)
    exchange.edge = replace(exchange.edge, pool=Counted(exchange.edge.pool))
    async with serving(exchange) as (url, exports):
        async with Stalled(url, trader):
            assert exports.running == 1
        await until(lambda: nothing_is_held(exchange, exports))
    assert exchange.edge.pool.fetches < 50_000 // PAGE_ROWS // 2, "it went on reading for nobody"


async def test_an_export_that_takes_too_long_as_a_whole_is_cut_off(exchange: Exchange) -> None:
    trader = await exchange.trader()
    await fill_the_ledger(exchange, trader, 50_000)
    async with serving(exchange, Exports(timeout_s=0.5)) as (url, exports), Stalled(url, trader) as client:
        await until(lambda: nothing_is_held(exchange, exports))
        assert not (await client.read_on()).endswith(LAST_CHUNK)


async def test_a_failure_in_the_middle_is_not_taken_for_the_end(exchange: Exchange) -> None:
    trader = await exchange.trader()
    await fill_the_ledger(exchange, trader, 50_000)
    headers = {"Authorization": f"Bearer {trader.token}"}
    async with serving(exchange) as (url, exports), httpx.AsyncClient(base_url=url, timeout=60) as client:
        async with client.stream("GET", "/v1/ledger.csv", headers=headers) as response:
            assert response.status_code == 200
            chunks = response.aiter_raw()
            await anext(chunks)
            await exchange.edge.pool.execute("UPDATE projection_cursors SET seq = 0")
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                [chunk async for chunk in chunks]
        await until(lambda: nothing_is_held(exchange, exports))


async def test_an_export_ends_with_its_session(exchange: Exchange) -> None:
    trader = await exchange.trader()
    await fill_the_ledger(exchange, trader, 50_000)
    headers = {"Authorization": f"Bearer {trader.token}"}
    async with serving(exchange) as (url, exports), httpx.AsyncClient(base_url=url, timeout=60) as client:
        async with client.stream("GET", "/v1/ledger.csv", headers=headers) as response:
            chunks = response.aiter_raw()
            await anext(chunks)
            assert (await trader.request("POST", "/v1/auth/logout")).status_code == 204
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                [chunk async for chunk in chunks]
        await until(lambda: nothing_is_held(exchange, exports))


async def test_an_export_ends_with_the_key_that_has_signed_for_it(exchange: Exchange) -> None:
    trader = await exchange.trader()
    bot = await approved(trader)
    await fill_the_ledger(exchange, trader, 50_000)
    headers = bot.headers("GET", "/v1/ledger.csv")
    async with serving(exchange) as (url, exports), httpx.AsyncClient(base_url=url, timeout=60) as client:
        async with client.stream("GET", "/v1/ledger.csv", headers=headers) as response:
            chunks = response.aiter_raw()
            await anext(chunks)
            exchange.faults.clock_ahead_ns = 30 * 10**9  # the request is over; what it began is not
            await anext(chunks)
            assert (await trader.request("DELETE", f"/v1/agents/{bot.key.text}")).status_code == 200
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                [chunk async for chunk in chunks]
        await until(lambda: nothing_is_held(exchange, exports))


async def test_only_so_many_exports_run_at_once(exchange: Exchange) -> None:
    trader, other, third = [await exchange.trader() for _ in range(3)]
    await fill_the_ledger(exchange, trader, 50_000)
    await fill_the_ledger(exchange, other, 50_000)

    async def asked(who: Trader) -> httpx.Response:
        headers = {"Authorization": f"Bearer {who.token}"}
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            return await client.get("/v1/fills.csv", headers=headers)

    async with serving(exchange, Exports(per_owner=2, in_all=3)) as (url, exports):
        async with Stalled(url, trader):
            async with Stalled(url, trader):
                refused = await asked(trader)
                problem(refused, 429, "too_many_exports")
                assert int(refused.headers["retry-after"]) > 0
                assert (await asked(other)).status_code == 200
                async with Stalled(url, other):
                    assert exports.running == 3
                    refused = await asked(third)
                    problem(refused, 503, "unavailable")
                    assert int(refused.headers["retry-after"]) > 0
            await until(lambda: exports.running == 1)
            assert (await asked(trader)).status_code == 200
        await until(lambda: nothing_is_held(exchange, exports))


class Gone:
    """The pool, until the database has died."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.is_gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetch(self, *arguments: Any, **options: Any) -> list[asyncpg.Record]:
        if self.is_gone:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return await self._pool.fetch(*arguments, **options)


@pytest.mark.parametrize("what", ["the database dies", "the session ends"])
async def test_an_export_that_is_cut_short_is_one_line_of_the_log_and_no_traceback(
    exchange: Exchange, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    trader = await exchange.trader()
    await fill_the_ledger(exchange, trader, 50_000)
    pool = Gone(exchange.edge.pool)
    exchange.edge = replace(exchange.edge, pool=pool)
    headers = {"Authorization": f"Bearer {trader.token}"}
    async with serving(exchange) as (url, exports), httpx.AsyncClient(base_url=url, timeout=60) as client:
        logging.getLogger("uvicorn.error").addHandler(caplog.handler)
        with capture_logs() as ours:
            async with client.stream("GET", "/v1/ledger.csv", headers=headers) as response:
                chunks = response.aiter_raw()
                await anext(chunks)
                if what == "the database dies":
                    pool.is_gone = True
                else:
                    assert (await trader.request("POST", "/v1/auth/logout")).status_code == 204
                with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                    [chunk async for chunk in chunks]
            await until(lambda: nothing_is_held(exchange, exports))
            await until(lambda: bool(ours))
        logging.getLogger("uvicorn.error").removeHandler(caplog.handler)
    assert [entry["event"] for entry in ours] == ["export_cut_short"]
    assert not [record for record in caplog.records if record.exc_info]
