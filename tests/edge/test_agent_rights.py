"""What agents may and may not: every route, by scope, market and sub-account."""

import json
from typing import Any

import pytest
from tests.edge.agents import approved
from tests.edge.harness import Exchange, Trader, problem, running_exchange

from exchange.edge.openapi_file import document_text

ORDER = {"market": "ETH-USDC", "side": "buy", "price": "3", "size": "1"}
READ = {
    "/v1/agents",
    "/v1/balances",
    "/v1/deposit-address",
    "/v1/deposits",
    "/v1/deposits.csv",
    "/v1/fills",
    "/v1/fills.csv",
    "/v1/ledger",
    "/v1/ledger.csv",
    "/v1/me",
    "/v1/orders",
    "/v1/orders.csv",
    "/v1/orders/1",
    "/v1/orders/client/mine",
    "/v1/proof/balance",
    "/v1/transfers",
    "/v1/transfers.csv",
    "/v1/withdrawal-addresses",
    "/v1/withdrawals",
    "/v1/withdrawals.csv",
    "/v1/withdrawals/0x" + "ab" * 32,
    "/v1/withdrawals/quote?asset=USDC&amount=10",
}
TRADE = {
    ("POST", "/v1/orders"): ORDER,
    ("POST", "/v1/orders/batch"): {"operations": [{"op": "place"} | ORDER]},
    ("PATCH", "/v1/orders/1"): {"size": "1"},
    ("DELETE", "/v1/orders/1"): None,
    ("DELETE", "/v1/orders/client/mine"): None,
    ("DELETE", "/v1/orders"): None,
    ("POST", "/v1/cancel-all-after"): {"seconds": 0},
}
OWNERS_ALONE = {
    ("POST", "/v1/auth/logout"),
    ("POST", "/v1/agents"),
    ("DELETE", "/v1/agents/0x" + "ab" * 32),
    ("POST", "/v1/transfers"),
    ("POST", "/v1/withdrawals"),
    ("POST", "/v1/faucet"),
    ("POST", "/v1/withdrawal-addresses"),
    ("DELETE", "/v1/withdrawal-addresses/0x" + "ab" * 20),
}


@pytest.fixture
async def trader(exchange: Exchange) -> Trader:
    """With money in the main account and in sub-account 1."""
    trader = await exchange.trader(USDC=10_000 * 10**6)
    transfer = {"from_sub_account": 0, "to_sub_account": 1, "asset": "USDC", "amount": "100"}
    response = await trader.request("POST", "/v1/transfers", json=transfer | {"client_transfer_id": "t"})
    assert response.status_code == 201
    return trader


def code_of(response: Any) -> str | None:
    """The code of a refusal; None for whatever is none."""
    if response.headers["content-type"] != "application/problem+json":
        return None
    code: str = response.json()["code"]
    return code


# ---- scopes


async def test_with_read_an_agent_reads_everything_and_does_nothing(exchange, trader):
    bot = await approved(trader, scopes=["read"])
    for path in sorted(READ):
        response = await bot.get(path)
        assert response.status_code in {200, 404}, (path, response.text)
    for (method, path), body in TRADE.items():
        content = problem(await bot.request(method, path, body), 403, "scope_missing")
        assert "trade" in content["detail"]
    assert exchange.view.open_orders(trader.account_id) == []


async def test_with_trade_an_agent_trades_and_reads_nothing_but_the_answers(exchange, trader):
    bot = await approved(trader, scopes=["trade"])
    for (method, path), body in TRADE.items():
        response = await bot.request(method, path, body)
        assert response.status_code in {200, 201, 404}, (path, response.text)
        assert code_of(response) in {None, "unknown_order"}
    for path in sorted(READ):
        content = problem(await bot.get(path), 403, "scope_missing")
        assert content["value"] == bot.key.text


async def test_whatever_moves_money_or_rights_is_the_owners_alone(exchange, trader):
    bot = await approved(trader)
    bodies = {"/v1/withdrawals": trader.withdrawal(), "/v1/transfers": {"from_sub_account": 0}}
    before = await trader.balances()
    for method, path in sorted(OWNERS_ALONE):
        response = await bot.request(method, path, bodies.get(path))
        content = problem(response, 403, "agent_not_allowed")
        assert content["value"] == bot.key.text
    assert await trader.balances() == before
    assert (await bot.get("/v1/whoami")).status_code == 200
    assert (await trader.get("/v1/me")).status_code == 200


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = json.loads(document_text())["paths"]
    return [
        (method.upper(), path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]


def test_the_document_says_of_every_route_whether_agents_may():
    kinds: dict[str, set[tuple[str, str]]] = {"agents": set(), "owner": set()}
    signed = ["agent_expires", "agent_key", "agent_nonce", "agent_signature"]
    for method, path, operation in operations():
        schemes = [sorted(scheme) for scheme in operation.get("security", [])]
        if not schemes:
            continue
        assert schemes[:2] == [["bearer"], ["cookie"]]
        assert schemes[2:] in ([], [signed])
        kinds["agents" if schemes[2:] else "owner"].add((method, path))

    def filled(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
        ids = {"{order_id}": "1", "{withdrawal_id}": "0x" + "ab" * 32, "{key}": "0x" + "ab" * 32}
        ids["{client_order_id}"] = "mine"
        ids["{address}"] = "0x" + "ab" * 20
        found = set()
        for method, path in pairs:
            for name, value in ids.items():
                path = path.replace(name, value)  # noqa: PLW2901
            found.add((method, path))
        return found

    reads = {("GET", path.partition("?")[0]) for path in READ}
    assert filled(kinds["agents"]) == reads | set(TRADE) | {("GET", "/v1/whoami")}
    assert filled(kinds["owner"]) == OWNERS_ALONE


async def test_a_session_is_bound_by_none_of_this(trader):
    for path in sorted(READ):
        assert (await trader.request("GET", path)).status_code in {200, 404}
    whoami = (await trader.get("/v1/whoami")).json()
    assert (whoami["kind"], whoami["agent"]) == ("session", None)


async def test_without_credentials_nothing_of_this_is_answered(exchange):
    for path in sorted(READ | {"/v1/whoami"}):
        problem(await exchange.client.get(path), 401, "unauthenticated")
    for method, path in sorted(OWNERS_ALONE - {("POST", "/v1/transfers")}):
        response = await exchange.client.request(method, path)
        assert code_of(response) in {"unauthenticated", "field_missing"}


# ---- markets


async def test_an_agent_of_one_market_trades_there_only(exchange, trader):
    bot = await approved(trader, markets=["ETH-USDC"])
    other = {"market": "WBTC-USDC", "side": "buy", "price": "10", "size": "0.001"}
    theirs = (await trader.order(**other)).json()["order"]["order_id"]
    own = (await bot.order(price="3")).json()["order"]["order_id"]
    content = problem(await bot.request("POST", "/v1/orders", other), 403, "market_not_allowed")
    assert content["field"] == "market"
    for method, body in (("PATCH", {"size": "0.002"}), ("DELETE", None)):
        response = await bot.request(method, f"/v1/orders/{theirs}", body)
        assert problem(response, 403, "market_not_allowed")["field"] == "order_id"
    for target in ("/v1/orders", "/v1/orders?side=buy", "/v1/orders?market=WBTC-USDC"):
        problem(await bot.request("DELETE", target), 403, "market_not_allowed")
    for seconds in (60, 0):
        response = await bot.request("POST", "/v1/cancel-all-after", {"seconds": seconds})
        problem(response, 403, "market_not_allowed")
    assert len(exchange.view.open_orders(trader.account_id)) == 2
    cancelled = await bot.request("DELETE", "/v1/orders?market=ETH-USDC")
    assert cancelled.json()["order_ids"] == [own]
    assert (await bot.get(f"/v1/orders/{theirs}")).status_code == 200  # markets bound trading, not reading


# ---- sub-accounts


async def test_an_agent_of_one_sub_account_uses_that_one_only(exchange, trader):
    bot = await approved(trader, sub_accounts=[1])
    main = (await trader.order(price="3")).json()["order"]["order_id"]
    placed = await bot.order(price="3", sub_account=1)
    assert placed.status_code == 201, placed.text
    for changes in ({}, {"sub_account": 0}, {"sub_account": 2}):
        content = problem(await bot.order(**changes), 403, "sub_account_not_allowed")
        assert content["field"] == "sub_account"
    for method, body in (("PATCH", {"size": "0.5"}), ("DELETE", None)):
        response = await bot.request(method, f"/v1/orders/{main}", body)
        assert problem(response, 403, "sub_account_not_allowed")["field"] == "order_id"
    for target in ("/v1/orders", "/v1/orders?sub_account=0"):
        problem(await bot.request("DELETE", target), 403, "sub_account_not_allowed")
    response = await bot.request("POST", "/v1/cancel-all-after", {"seconds": 0})
    problem(response, 403, "sub_account_not_allowed")
    switched = await bot.request("POST", "/v1/cancel-all-after", {"seconds": 60, "sub_account": 1})
    assert switched.status_code == 200
    assert (await bot.request("DELETE", "/v1/orders?sub_account=1")).json()["count"] == 1
    assert len(exchange.view.open_orders(trader.account_id)) == 1


READ_OF_AN_ACCOUNT = (
    "/v1/balances",
    "/v1/fills",
    "/v1/fills.csv",
    "/v1/ledger",
    "/v1/ledger.csv",
    "/v1/orders",
    "/v1/orders?status=all",
    "/v1/orders.csv",
    "/v1/transfers",
    "/v1/transfers.csv",
    "/v1/withdrawals",
    "/v1/withdrawals.csv",
    "/v1/withdrawals/quote?asset=USDC&amount=10",
)
READ_OF_THE_MAIN_ACCOUNT = ("/v1/deposits", "/v1/deposits.csv", "/v1/deposit-address")


async def test_an_agent_of_one_sub_account_reads_that_one_only(exchange, trader):
    bot = await approved(trader, sub_accounts=[1])
    main = (await trader.order(price="3")).json()["order"]["order_id"]
    second = (await trader.order(price="3", sub_account=1)).json()["order"]["order_id"]
    for path in READ_OF_AN_ACCOUNT:
        joint = "&" if "?" in path else "?"
        assert (await bot.get(f"{path}{joint}sub_account=1")).status_code == 200, path
        for target in (path, f"{path}{joint}sub_account=0", f"{path}{joint}sub_account=2"):
            problem(await bot.get(target), 403, "sub_account_not_allowed")
    for path in READ_OF_THE_MAIN_ACCOUNT:
        problem(await bot.get(path), 403, "sub_account_not_allowed")
    assert (await bot.get(f"/v1/orders/{second}")).status_code == 200
    problem(await bot.get(f"/v1/orders/{main}"), 403, "sub_account_not_allowed")
    await trader.request("DELETE", "/v1/orders")
    problem(await bot.get(f"/v1/orders/{main}"), 403, "sub_account_not_allowed")  # also when it has ended
    me = (await bot.get("/v1/me")).json()
    assert [item["sub_account"] for item in me["sub_accounts"]] == [1]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/agents",
        "/v1/withdrawal-addresses",
        "/v1/withdrawals/quote?asset=USDC&amount=10&sub_account=1&destination=0x" + "ab" * 20,
    ],
)
async def test_an_agent_of_one_sub_account_does_not_see_what_is_of_the_owner_as_a_whole(trader, path):
    """Who manages one account for somebody has no business with the other managers, or the cold wallets."""
    everywhere, elsewhere = await approved(trader), await approved(trader, sub_accounts=[1])
    assert (await everywhere.get(path)).status_code == 200
    problem(await elsewhere.get(path), 403, "sub_account_not_allowed")


async def test_an_agent_reads_withdrawals_of_its_sub_accounts_only(exchange, trader):
    answer = await trader.request("POST", "/v1/withdrawals", json=trader.withdrawal())
    identifier = answer.json()["withdrawal"]["withdrawal_id"]
    everywhere, elsewhere = await approved(trader), await approved(trader, sub_accounts=[1])
    assert (await everywhere.get(f"/v1/withdrawals/{identifier}")).status_code == 200
    problem(await elsewhere.get(f"/v1/withdrawals/{identifier}"), 403, "sub_account_not_allowed")


async def test_orders_of_others_are_unknown_to_an_agent_whatever_it_may(exchange, trader):
    other = await exchange.trader(USDC=10_000 * 10**6)
    order_id = (await other.order(price="3")).json()["order"]["order_id"]
    for bot in (await approved(trader), await approved(trader, markets=["WBTC-USDC"], sub_accounts=[1])):
        for method, body in (("GET", None), ("PATCH", {"size": "0.5"}), ("DELETE", None)):
            problem(await bot.request(method, f"/v1/orders/{order_id}", body), 404, "unknown_order")
    assert len(exchange.view.open_orders(other.account_id)) == 1


# ---- whoami


async def test_whoami_tells_for_whom_and_how_far_a_key_acts(exchange, trader):
    bot = await approved(trader, scopes=["trade"], markets=["ETH-USDC"], sub_accounts=[1], name="maker")
    answer = (await bot.get("/v1/whoami")).json()
    listed = (await trader.get("/v1/agents")).json()["items"][0]
    assert answer["agent"] == listed
    assert answer["kind"] == "agent"
    assert answer["address"] == trader.key.address
    assert answer["account_id"] == str(trader.account_id)
    assert answer["expires_at_ms"] == listed["expires_at_ms"]
    assert answer["scopes"] == ["trade"]
    assert answer["rate_class"] == "standard"
    assert {(limit["name"], limit["scope"]) for limit in answer["limits"]} >= {
        ("requests", "ip"),
        ("requests", "key"),
        ("orders", "account"),
        ("cancels", "account"),
    }


async def test_what_is_left_of_a_limit_goes_down_with_what_is_asked_for(database_url, pool):
    async with running_exchange(database_url, pool, rate_clock_ns=lambda: 10**9) as exchange:
        bot = await approved(await exchange.trader(USDC=10_000 * 10**6))

        async def left() -> dict[tuple[str, str], int]:
            limits = (await bot.get("/v1/whoami")).json()["limits"]
            return {(limit["name"], limit["scope"]): limit["remaining"] for limit in limits}

        before = await left()
        for _ in range(3):
            assert (await bot.order(price="3")).status_code == 201
        await bot.request("DELETE", "/v1/orders")
        after = await left()
        spent = {budget: before[budget] - after[budget] for budget in before}
        assert spent["orders", "account"] == 3
        assert spent["cancels", "account"] == 1
        assert spent["requests", "key"] == spent["requests", "ip"] == 4  # the last one is `left` itself


async def test_the_deployment_says_what_is_signed(exchange):
    answer = (await exchange.client.get("/v1/deployment")).json()
    assert answer["host"] == "localhost:8000"
    described = answer["agent_approval_typed_data"]
    assert described["primary_type"] == "AgentApproval"
    assert described["domain"] == answer["withdrawal_typed_data"]["domain"]
    assert list(described["types"]) == ["EIP712Domain", "AgentApproval"]


async def test_a_bot_of_an_owner_without_anything_is_as_good_as_any(exchange):
    trader = await exchange.trader()
    bot = await approved(trader)
    problem(await bot.order(), 409, "insufficient_funds")
