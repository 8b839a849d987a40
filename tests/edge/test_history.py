"""The six histories: ranges of time, both orders, cursors that belong to one request, and bad ones."""

from typing import Any

import pytest
from tests.edge.harness import Exchange, Trader, problem
from tests.edge.test_deposits import see_on_chain

from exchange.core.commands import RequestWithdrawal, TransferFunds
from exchange.edge.values import rfc3339

HISTORIES = ["orders?status=all", "fills", "ledger", "deposits", "withdrawals", "transfers"]
USDC_ATOMS = 10**6


def path_of(history: str, suffix: str = "") -> tuple[str, dict[str, str]]:
    """(path, parameters) of a history, or with ".csv" of its export."""
    name, _, query = history.partition("?")
    return f"/v1/{name}{suffix}", dict(part.split("=") for part in query.split("&") if part)


async def a_life(exchange: Exchange) -> Trader:
    """A trader with several rows in each history."""
    trader = await exchange.trader(USDC=100_000 * USDC_ATOMS, ETH=50 * 10**18)
    other = await exchange.trader(USDC=100_000 * USDC_ATOMS, ETH=50 * 10**18)
    await other.order(side="sell", price="3000", size="10")
    for number in range(6):
        assert (await trader.order(price="3000", size="0.5")).status_code == 201
        resting = await trader.order(price=f"{2900 + number}", size="0.1", client_order_id=f"-{number}")
        if number % 2:
            await trader.request("DELETE", f"/v1/orders/{resting.json()['order']['order_id']}")
        usdc = exchange.view.asset_by_symbol["USDC"]
        await exchange.deposit(trader.owner, usdc.token, 1_000_000 + number)
        await exchange.sequencer.submit(
            TransferFunds(
                trader.account_id,
                1,
                usdc.asset_id,
                10 + number,
                f"-t{number}",
                exchange.edge.clock_ns() + 10**10,
            )
        )
        await exchange.sequencer.submit(
            RequestWithdrawal(
                f"0x{trader.account_id:032x}{number:032x}",
                trader.account_id,
                usdc.asset_id,
                2_000_000 + number,
                10**9,
                trader.owner,
                number,
                exchange.edge.clock_ns() // 10**9 + 3600,
                "0x",
            )
        )
    return trader


async def whole(trader: Trader, history: str, **params: Any) -> list[dict[str, Any]]:
    """All items of a history, page by page."""
    path, own = path_of(history)
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        response = await trader.get(
            path, **(own | {"limit": 4, "min_seq": trader.exchange.view.seq} | params | cursor)
        )
        assert response.status_code == 200, response.text
        page = response.json()
        assert page["seq"] >= trader.exchange.view.seq
        assert len(page["items"]) <= 4
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


def when(item: dict[str, Any]) -> int:
    """The time by which an item is found."""
    names = ("time_ms", "created_ms", "requested_ms")
    return next(int(item[name]) for name in names if name in item)


@pytest.mark.parametrize("history", [*HISTORIES, "orders?status=ended", "orders?status=open"])
async def test_a_history_is_whole_in_both_orders_and_in_every_range(exchange: Exchange, history: str) -> None:
    trader = await a_life(exchange)
    newest_first = await whole(trader, history)
    assert len(newest_first) >= 3
    oldest_first = await whole(trader, history, order="asc")
    assert oldest_first == newest_first[::-1]
    times = [when(item) for item in oldest_first]
    assert times == sorted(times)
    middle, last = times[len(times) // 2], times[-1]
    for from_ms, to_ms in [(middle, None), (None, middle), (middle, last), (last, last), (last + 1, None)]:
        params = {} if from_ms is None else {"from": str(from_ms)}
        params |= {} if to_ms is None else {"to": str(to_ms)}
        wanted = [
            item
            for item in oldest_first
            if (from_ms is None or from_ms <= when(item)) and (to_ms is None or when(item) < to_ms)
        ]
        assert await whole(trader, history, order="asc", **params) == wanted
        assert await whole(trader, history, **params) == wanted[::-1]
    second_ms = times[0] - times[0] % 1_000
    assert await whole(trader, history, order="asc", **{"from": rfc3339(second_ms)}) == oldest_first


async def test_orders_are_open_or_ended_and_all_of_them_are_both(exchange: Exchange) -> None:
    trader = await a_life(exchange)
    found = {
        status: [item["order_id"] for item in await whole(trader, f"orders?status={status}")]
        for status in ("open", "ended", "all")
    }
    assert len(found["open"]) == 3
    assert len(found["ended"]) == 9
    assert sorted(found["open"] + found["ended"], key=int, reverse=True) == found["all"]
    assert await whole(trader, "orders?status=all", market="WBTC-USDC") == []


async def test_one_who_follows_gets_what_comes_later_and_nothing_twice(exchange: Exchange) -> None:
    trader = await a_life(exchange)
    for history in HISTORIES:
        path, params = path_of(history)
        params |= {"order": "asc", "min_seq": str(exchange.view.seq)}
        known = (await trader.get(path, **params)).json()
        assert known["next_cursor"] is None
        again = (await trader.get(path, **params, cursor=known["resume_cursor"])).json()
        assert (again["items"], again["resume_cursor"]) == ([], known["resume_cursor"])
        if history == "fills":
            await trader.order(price="3000", size="0.5")
            params["min_seq"] = str(exchange.view.seq)
            later = (await trader.get(path, **params, cursor=known["resume_cursor"])).json()
            assert [item["size"] for item in later["items"]] == ["0.5"]
            assert later["items"][0]["trade_id"] not in {item["trade_id"] for item in known["items"]}
    newcomer = await exchange.trader()
    empty = (await newcomer.get("/v1/fills", order="asc")).json()
    assert (empty["items"], empty["next_cursor"], empty["resume_cursor"]) == ([], None, None)
    assert (await trader.get("/v1/fills")).json()["resume_cursor"] is None


async def test_one_who_follows_a_market_in_which_little_happens_gets_past_all_others(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.projections.page.MAX_LOOKED_AT", 2)
    trader = await a_life(exchange)
    for history in ("fills", "orders?status=all"):
        params: dict[str, str] = {}
        for _ in range(20):
            path, filters = path_of(history)
            answer = (await trader.get(path, market="WBTC-USDC", order="asc", **filters, **params)).json()
            assert answer["items"] == []
            if answer["next_cursor"] is None:
                break
            assert answer["resume_cursor"] == answer["next_cursor"]
            params = {"cursor": answer["resume_cursor"]}
        assert answer["next_cursor"] is None
    placed = (await trader.order(market="WBTC-USDC", price="1", size="0.1")).json()
    params["min_seq"] = str(placed["seq"])
    answer = (await trader.get(path, market="WBTC-USDC", order="asc", **filters, **params)).json()
    assert [item["order_id"] for item in answer["items"]] == [placed["order"]["order_id"]]


async def test_a_cursor_of_another_listing_account_filter_or_order_is_refused(exchange: Exchange) -> None:
    trader, other = await a_life(exchange), await exchange.trader()
    cursors: dict[str, str] = {}
    for history in HISTORIES:
        path, params = path_of(history)
        cursors[history] = (await trader.get(path, **params, limit=1, min_seq=exchange.view.seq)).json()[
            "next_cursor"
        ]
        assert (await trader.get(path, **params, limit=2, cursor=cursors[history])).status_code == 200
    for history in HISTORIES:
        path, params = path_of(history)
        for changed in ({"from": "1"}, {"to": "4102444800000"}, {"order": "asc"}, {"sub_account": "1"}):
            if history == "deposits" and "sub_account" in changed:
                continue
            response = await trader.get(path, **params, **changed, cursor=cursors[history])
            problem(response, 422, "cursor_invalid")
        problem(await other.get(path, **params, cursor=cursors[history]), 422, "cursor_invalid")
        for foreign, cursor in cursors.items():
            if foreign != history:
                problem(await trader.get(path, **params, cursor=cursor), 422, "cursor_invalid")
    for path, filters in [
        ("/v1/orders", {"status": "ended"}),
        ("/v1/orders", {"status": "open"}),
        ("/v1/orders", {"status": "all", "market": "ETH-USDC"}),
        ("/v1/fills", {"market": "ETH-USDC"}),
        ("/v1/fills", {"order_id": "7"}),
    ]:
        cursor = cursors["fills" if path == "/v1/fills" else "orders?status=all"]
        problem(await trader.get(path, **filters, cursor=cursor), 422, "cursor_invalid")


async def test_bad_parameters_of_a_history_are_refused_by_name(exchange: Exchange) -> None:
    trader = await exchange.trader()
    for history in HISTORIES:
        path, own = path_of(history)
        for params, code, field in [
            ({"from": "2", "to": "1"}, "range_invalid", "to"),
            ({"from": "yesterday"}, "field_invalid", "from"),
            ({"to": "2026-02-30T00:00:00Z"}, "field_invalid", "to"),
            ({"from": "-1"}, "field_invalid", "from"),
            ({"to": "9" * 5_000}, "field_invalid", "to"),
            ({"limit": "0"}, "field_invalid", "limit"),
            ({"limit": "1000000000"}, "field_invalid", "limit"),
            ({"limit": "1e2"}, "field_invalid", "limit"),
            ({"order": "up"}, "field_invalid", "order"),
            ({"order": "asc; DROP TABLE fills"}, "field_invalid", "order"),
            ({"since": "1"}, "field_unknown", "since"),
            ({"from_ms": "1"}, "field_unknown", "from_ms"),
        ]:
            told = problem(await trader.get(path, **own, **params), 422, code)
            assert told["field"] == field, (path, params)


async def test_pending_deposits_are_in_the_range_and_order_in_which_one_looks(exchange: Exchange) -> None:
    trader = await exchange.trader(USDC=5 * USDC_ATOMS)
    await see_on_chain(exchange, trader.owner, 2)
    seen_ms = 1_763_841_600_000
    for params, shown in [
        ({}, ["pending", "credited"]),
        ({"order": "asc"}, ["credited"]),
        ({"to": str(seen_ms + 1)}, ["pending"]),
        ({"to": str(seen_ms)}, []),
        ({"from": str(seen_ms)}, ["pending", "credited"]),
        ({"from": str(seen_ms + 1)}, ["credited"]),
    ]:
        items = (await trader.get("/v1/deposits", **params)).json()["items"]
        assert [item["status"] for item in items] == shown, params
