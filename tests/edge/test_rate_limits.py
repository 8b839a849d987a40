"""How much may be asked for: by address, by key, by account; and that one can always cancel."""

import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from nacl.signing import SigningKey
from tests.edge.harness import HOST, ROOMY, Exchange, Trader, problem, running_exchange, served

from exchange.core.commands import ApproveAgent, SetRateClass
from exchange.core.words import AgentScope, RateClass
from exchange.edge.rate_limiting import cost
from exchange.gateway.rate_limits import RequestKind
from exchange.gateway.rate_policy import (
    AccountClasses,
    AccountRates,
    IpRates,
    KeyRates,
    Rate,
    RateLimitPolicy,
)
from exchange.gateway.sessions import Sessions
from exchange.gateway.signed_requests import Signers, request_text
from exchange.gateway.tokens import sha256

ETH_ATOMS = 10**18
USDC_ATOMS = 10**6
LIMIT = {"market": "ETH-USDC", "side": "buy", "price": "2900", "size": "0.1"}
DOCUMENTED = Path(__file__).parents[2] / "docs" / "api" / "rate-limits.md"

POLICY = RateLimitPolicy(
    ip=IpRates(Rate(40, 20)),
    key=KeyRates(Rate(20, 10)),
    account=AccountClasses(AccountRates(Rate(6, 3)), AccountRates(Rate(600, 300))),
)
"""Signing in takes 2 of the address's 40."""
ROOMY_KEYS = RateLimitPolicy(ip=ROOMY.ip, key=ROOMY.key, account=POLICY.account)


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now_ns = 10**9

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool, clock: Clock) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool, rate_policy=POLICY, rate_clock_ns=clock) as running:
        yield running


@pytest.fixture
async def account_limits(database_url: str, pool: asyncpg.Pool, clock: Clock) -> AsyncIterator[Exchange]:
    """Where only accounts have anything to fear."""
    async with running_exchange(database_url, pool, rate_policy=ROOMY_KEYS, rate_clock_ns=clock) as running:
        yield running


@asynccontextmanager
async def from_address(exchange: Exchange, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = exchange.client._transport
    assert isinstance(transport, httpx.ASGITransport)
    elsewhere = httpx.ASGITransport(transport.app, client=(address, 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="https://localhost:8000") as client:
        yield client


def left(exchange: Exchange, trader: Trader) -> dict[tuple[str, str], int]:
    """What is left of each budget."""
    limits = exchange.edge.rate_limits
    levels = {
        "ip": (limits.ip, "127.0.0.1"),
        "account": (limits.account(trader.owner), trader.owner),
    }
    return {
        (scope, budget.purpose): budget.left(key).remaining
        for scope, (level, key) in levels.items()
        for budget in level
    }


async def use_up_orders(trader: Trader) -> list[str]:
    """Places orders until the account may not; their ids."""
    placed = []
    while (answer := await trader.order(price="2900", size="0.01")).status_code == 201:
        placed.append(answer.json()["order"]["order_id"])
    problem(answer, 429, "rate_limited")
    return placed


async def use_up_requests(exchange: Exchange, trader: Trader) -> None:
    """Nothing but cancelling is left, at any level."""
    while (answer := await trader.get("/v1/me")).status_code == 200:
        pass
    assert "key-requests" in problem(answer, 429, "rate_limited")["detail"]
    while (answer := await exchange.client.get("/v1/markets")).status_code == 200:
        pass
    assert "ip-requests" in problem(answer, 429, "rate_limited")["detail"]


# ---- what answers say


async def test_an_answer_tells_of_the_budget_that_is_nearest_to_empty(exchange: Exchange) -> None:
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    public = await exchange.client.get("/v1/markets")
    assert rate_headers(public) == ("40", "37", "1", '20;w=1;burst=40;name="ip-requests"')
    mine = await trader.get("/v1/me")
    assert rate_headers(mine) == (
        "40",
        "36",
        "1",
        '20;w=1;burst=40;name="ip-requests", 10;w=1;burst=20;name="key-requests"',
    )
    order = await trader.order()
    assert rate_headers(order) == (
        "6",
        "5",
        "1",
        (
            '20;w=1;burst=40;name="ip-requests", 10;w=1;burst=20;name="key-requests", '
            '3;w=1;burst=6;name="account-orders"'
        ),
    )
    cancelled = await trader.request("DELETE", "/v1/orders")
    assert rate_headers(cancelled) == (
        "12",
        "11",
        "1",
        (
            '40;w=1;burst=80;name="ip-cancels", 20;w=1;burst=40;name="key-cancels", '
            '6;w=1;burst=12;name="account-cancels"'
        ),
    )


async def test_a_refusal_says_when_to_come_again_and_then_one_may(exchange: Exchange, clock: Clock) -> None:
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await use_up_orders(trader)
    before_ms = time.time_ns() // 10**6
    refused = await trader.order()
    content = problem(refused, 429, "rate_limited")
    assert refused.headers["retry-after"] == "1"
    assert rate_headers(refused)[:3] == ("6", "0", "2")
    assert content["retry_at_ms"] - before_ms >= 333
    assert content["detail"] == "account-orders are used up: 6 at once, then 3 a second; try again in 1 s"
    clock.now_ns += 333_333_332
    problem(await trader.order(), 429, "rate_limited")
    clock.now_ns += 1
    assert (await trader.order()).status_code == 201
    problem(await trader.order(), 429, "rate_limited")


def rate_headers(answer: httpx.Response) -> tuple[str, ...]:
    return tuple(answer.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset", "policy"))


async def test_whoami_tells_what_is_left(exchange: Exchange) -> None:
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await trader.order()
    told = (await trader.get("/v1/whoami")).json()
    assert told["rate_class"] == "standard"
    assert [(limit["scope"], limit["name"], limit["remaining"]) for limit in told["limits"]] == [
        ("ip", "requests", 36),
        ("ip", "cancels", 80),
        ("key", "requests", 18),
        ("key", "cancels", 40),
        ("account", "orders", 5),
        ("account", "cancels", 12),
    ]
    assert told["limits"][4] == {
        "name": "orders",
        "scope": "account",
        "burst": 6,
        "per_s": 3,
        "remaining": 5,
        "full_in_ms": 334,
    }


# ---- by address


async def test_nothing_of_a_request_is_looked_at_once_its_address_has_used_up_its_own(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader = await exchange.trader()
    await use_up_requests(exchange, trader)

    async def never(*_: object, **__: object) -> None:
        raise AssertionError("this was looked at")

    monkeypatch.setattr(Sessions, "find", never)
    monkeypatch.setattr(Signers, "of_request", never)
    headers = {"Exchange-Key": "0x" + "11" * 32, "Exchange-Nonce": "1", "Exchange-Expires": "1"}
    headers["Exchange-Signature"] = "0x" + "22" * 64
    problem(await exchange.client.get("/v1/me", headers=headers), 429, "rate_limited")
    problem(await trader.get("/v1/me"), 429, "rate_limited")
    problem(await trader.request("POST", "/v1/withdrawals", content=b"{ not json"), 429, "rate_limited")
    problem(await exchange.client.get("/v1/no-such-thing"), 429, "rate_limited")


async def test_an_address_does_not_use_up_anothers(exchange: Exchange) -> None:
    async with (
        from_address(exchange, "2001:db8::1") as one,
        from_address(exchange, "2001:db8::2:1") as neighbour,
        from_address(exchange, "2001:db8:0:1::1") as another,
    ):
        for _ in range(40):
            assert (await one.get("/v1/markets")).status_code == 200
        problem(await one.get("/v1/markets"), 429, "rate_limited")
        problem(await neighbour.get("/v1/markets"), 429, "rate_limited")
        assert (await another.get("/v1/markets")).status_code == 200


async def test_no_header_makes_another_address_of_one(exchange: Exchange) -> None:
    for number in range(40):
        await exchange.client.get("/v1/markets", headers={"X-Forwarded-For": f"203.0.113.{number}"})
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP"):
        problem(await exchange.client.get("/v1/markets", headers={name: "203.0.113.99"}), 429, "rate_limited")


async def test_health_and_documentation_are_free(exchange: Exchange) -> None:
    while (await exchange.client.get("/v1/markets")).status_code == 200:
        pass
    for path in ("/v1/health/live", "/v1/health/ready", "/docs", "/docs/start.js", "/openapi.json"):
        answer = await exchange.client.get(path)
        assert (answer.status_code, "ratelimit-limit" in answer.headers) == (200, False), path
    assert (await exchange.client.get("/")).status_code == 200
    assert (await exchange.client.get("/asyncapi.json")).status_code == 200


async def test_what_is_free_is_free_to_look_at_and_nothing_is_free_to_be_read_for(exchange: Exchange) -> None:
    while (await exchange.client.get("/v1/markets")).status_code == 200:
        pass
    for path in ("/v1/health/live", "/docs", "/docs/nowhere", "/openapi.json", "/assets/index.js"):
        for method in ("POST", "PUT", "BREW"):
            answer = await exchange.client.request(method, path, json={"as": "much as you like"})
            problem(answer, 429, "rate_limited")


async def test_what_is_public_stays_readable_by_other_sites_when_it_is_refused(exchange: Exchange) -> None:
    for path in ("/v1/markets", "/v1/udf/config"):
        while (answer := await exchange.client.get(path)).status_code == 200:
            assert "RateLimit-Remaining" in answer.headers["access-control-expose-headers"]
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["retry-after"] == "1"
    assert (answer.status_code, answer.json()["s"], answer.json()["code"]) == (429, "error", "rate_limited")
    posted = await exchange.client.post("/v1/orders", json=LIMIT)
    problem(posted, 429, "rate_limited")
    assert "access-control-allow-origin" not in posted.headers


async def test_a_body_that_was_not_read_does_not_end_the_connection(exchange: Exchange) -> None:
    transport = exchange.client._transport
    assert isinstance(transport, httpx.ASGITransport)
    body = b'{"market": "' + b"x" * 60_000 + b'"}'
    async with (
        served(transport.app) as url,  # type: ignore[arg-type]
        httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=1)) as client,
    ):
        while (await client.get("/v1/markets")).status_code == 200:
            pass
        pooled = client._transport._pool  # type: ignore[attr-defined]
        (connection,) = pooled.connections
        for _ in range(20):
            answer = await client.post(
                "/v1/orders", content=body, headers={"content-type": "application/json"}
            )
            problem(answer, 429, "rate_limited")
            assert (await client.get("/v1/health/live")).status_code == 200
        assert list(pooled.connections) == [connection]


# ---- by key and by account


async def test_each_session_has_requests_of_its_own_and_all_share_the_accounts_orders(
    exchange: Exchange,
) -> None:
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    token, _ = await exchange.edge.sessions.open(trader.owner, trader.account_id)
    second = Trader(exchange, trader.key, token, trader.account_id)
    for _ in range(17):
        assert (await trader.get("/v1/me")).status_code == 200
    for _ in range(3):
        assert (await trader.order(size="0.01")).status_code == 201
    assert "key-requests" in problem(await trader.get("/v1/me"), 429, "rate_limited")["detail"]
    for _ in range(3):
        assert (await second.order(size="0.01")).status_code == 201
    assert "account-orders" in problem(await second.order(), 429, "rate_limited")["detail"]


async def test_who_sends_a_wrong_token_takes_from_nobodys_key(exchange: Exchange) -> None:
    trader = await exchange.trader()
    wrong = {"Authorization": "Bearer " + secrets.token_urlsafe(32)}
    for _ in range(10):
        problem(await exchange.client.get("/v1/me", headers=wrong), 401, "session_invalid")
    limits = exchange.edge.rate_limits
    assert len(limits.key.ordinary.buckets) == 0
    await trader.get("/v1/me")
    assert len(limits.key.ordinary.buckets) == 1


async def test_sub_accounts_share_what_their_owner_may(account_limits: Exchange) -> None:
    trader = await account_limits.trader(USDC=10_000 * USDC_ATOMS)
    body = {"from_sub_account": 0, "to_sub_account": 3, "asset": "USDC", "amount": "4000"}
    moved = await trader.request("POST", "/v1/transfers", json=body | {"client_transfer_id": "a"})
    assert moved.status_code == 201
    for number in (0, 3, 0, 3, 0, 3):
        assert (await trader.order(sub_account=number, size="0.01")).status_code == 201
    for number in (0, 3):
        problem(await trader.order(sub_account=number, size="0.01"), 429, "rate_limited")
    other = await account_limits.trader(USDC=10_000 * USDC_ATOMS)
    assert (await other.order()).status_code == 201


async def test_an_amendment_counts_as_an_order_and_a_refused_one_as_well(account_limits: Exchange) -> None:
    trader = await account_limits.trader(USDC=10_000 * USDC_ATOMS)
    order_id = (await trader.order()).json()["order"]["order_id"]
    for size in ("0.9", "0.8", "0.7"):
        amended = await trader.request("PATCH", f"/v1/orders/{order_id}", json={"size": size})
        assert amended.status_code == 200
    problem(await trader.order(price="0.001"), 422, "price_off_tick")
    problem(await trader.order(size="1000"), 409, "insufficient_funds")
    problem(
        await trader.request("PATCH", f"/v1/orders/{order_id}", json={"size": "0.6"}), 429, "rate_limited"
    )


async def test_a_market_makers_class_counts_from_the_moment_it_is_journaled(account_limits: Exchange) -> None:
    exchange = account_limits
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    assert len(await use_up_orders(trader)) == 6
    await exchange.sequencer.submit(SetRateClass(trader.owner, RateClass.MARKET_MAKER))
    batch = {"operations": [{"op": "place"} | LIMIT | {"size": "0.0001"}] * 100}
    for _ in range(6):
        answer = (await trader.request("POST", "/v1/orders/batch", json=batch)).json()
        assert [result["status"] for result in answer["results"]] == [201] * 100
    refused = (await trader.request("POST", "/v1/orders/batch", json=batch)).json()
    assert {result["problem"]["code"] for result in refused["results"]} == {"rate_limited"}
    assert (await trader.get("/v1/whoami")).json()["rate_class"] == "market_maker"
    await exchange.sequencer.submit(SetRateClass(trader.owner, RateClass.STANDARD))
    assert "3 a second" in problem(await trader.order(), 429, "rate_limited")["detail"]


async def test_every_route_that_knows_its_caller_charges_it(account_limits: Exchange) -> None:
    exchange = account_limits
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    document = (await exchange.client.get("/openapi.json")).json()
    routes = [
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "security" in operation
    ]
    assert len(routes) > 30
    routes.sort(key=lambda route: route[1] == "/v1/auth/logout")  # last
    key = sha256(trader.token)
    for method, path in routes:
        before = [budget.left(key).remaining for budget in exchange.edge.rate_limits.key]
        await trader.request(method, re.sub(r"{.*}", "1", path))
        requests, cancels = (
            was - budget.left(key).remaining
            for was, budget in zip(before, exchange.edge.rate_limits.key, strict=True)
        )
        kind, weight = cost(method, re.sub(r"{.*}", "1", path)) or (None, None)
        expected = (0, 1) if kind is RequestKind.CANCEL else (weight, 0)
        assert (requests, cancels) == expected, (method, path)


# ---- agents


class Agent:
    """A key that trades for a trader, and signs."""

    def __init__(self, exchange: Exchange, owner: str) -> None:
        self.exchange = exchange
        self.owner = owner
        self.secret = SigningKey.generate()
        self.key = "0x" + self.secret.verify_key.encode().hex()
        self.nonces = time.time_ns() // 1_000

    async def approved(self) -> "Agent":
        now_s = int(time.time())
        scopes = (AgentScope.READ, AgentScope.TRADE)
        expires_ns = (now_s + 3_600) * 10**9
        approval = ApproveAgent(
            self.owner, self.key, "a", scopes, (), (), expires_ns, (), 1, now_s + 60, "0x"
        )
        outcome = await self.exchange.sequencer.submit(approval)
        assert type(outcome.events[0]).__name__ == "AgentApproved", outcome
        return self

    async def request(self, method: str, path: str, body: bytes = b"") -> httpx.Response:
        self.nonces += 1
        nonce, expires_ms = str(self.nonces), str(time.time_ns() // 10**6 + 30_000)
        genesis_id = self.exchange.view.genesis_id
        text = request_text(genesis_id, HOST, self.key, method, path.encode(), body, nonce, expires_ms)
        headers = {
            "Exchange-Key": self.key,
            "Exchange-Nonce": nonce,
            "Exchange-Expires": expires_ms,
            "Exchange-Signature": "0x" + self.secret.sign(text).signature.hex(),
            "Content-Type": "application/json",
        }
        return await self.exchange.client.request(method, path, content=body, headers=headers)


async def test_an_agent_has_requests_of_its_own_and_its_owners_orders(exchange: Exchange) -> None:
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    agent = await Agent(exchange, trader.owner).approved()
    while (answer := await trader.get("/v1/me")).status_code == 200:
        pass
    assert "key-requests" in problem(answer, 429, "rate_limited")["detail"]
    order = b'{"market": "ETH-USDC", "side": "buy", "price": "2900", "size": "0.01"}'
    for _ in range(6):
        placed = await agent.request("POST", "/v1/orders", order)
        assert placed.status_code == 201, placed.text
    assert (
        "account-orders"
        in problem(await agent.request("POST", "/v1/orders", order), 429, "rate_limited")["detail"]
    )
    assert (await agent.request("DELETE", "/v1/orders")).json()["count"] == 6


async def test_a_wrong_signature_takes_nothing_from_the_key_that_it_names(exchange: Exchange) -> None:
    trader = await exchange.trader()
    agent = await Agent(exchange, trader.owner).approved()
    agent.secret = SigningKey.generate()
    for _ in range(5):
        problem(await agent.request("GET", "/v1/balances"), 401, "signature_wrong_signer")
    assert len(exchange.edge.rate_limits.key.ordinary.buckets) == 0


async def test_a_key_can_be_ended_when_everything_else_is_used_up(exchange: Exchange) -> None:
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    agent = await Agent(exchange, trader.owner).approved()
    await use_up_orders(trader)
    await use_up_requests(exchange, trader)
    assert (await trader.request("DELETE", f"/v1/agents/{agent.key}")).status_code == 200
    problem(await agent.request("DELETE", "/v1/orders"), 401, "agent_revoked")


# ---- getting out


async def test_one_can_cancel_when_everything_else_is_used_up(exchange: Exchange) -> None:
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    first, *_, last = await use_up_orders(trader)
    await use_up_requests(exchange, trader)
    assert left(exchange, trader) == {
        ("ip", "requests"): 0,
        ("ip", "cancels"): 80,
        ("account", "orders"): 0,
        ("account", "cancels"): 12,
    }
    one = await trader.request("DELETE", f"/v1/orders/{first}")
    assert (one.status_code, one.json()["order"]["status"]) == (200, "cancelled")
    named = await trader.request("DELETE", "/v1/orders/client/nobody")
    problem(named, 404, "unknown_order")
    switch = await trader.request("POST", "/v1/cancel-all-after", json={"seconds": 60})
    assert switch.status_code == 200
    assert switch.json()["cancel_all_at_ms"] is not None
    everything = await trader.request("DELETE", "/v1/orders")
    assert (everything.json()["count"], everything.json()["order_ids"][-1]) == (5, last)
    assert left(exchange, trader)["account", "cancels"] == 8
    problem(await trader.get("/v1/me"), 429, "rate_limited")


async def test_a_batch_cancels_beside_what_is_refused_when_everything_else_is_used_up(
    exchange: Exchange,
) -> None:
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    order_ids = await use_up_orders(trader)
    await use_up_requests(exchange, trader)
    operations: list[dict[str, Any]] = [
        {"op": "place"} | LIMIT,
        {"op": "cancel", "order_id": order_ids[0]},
        {"op": "amend", "order_id": order_ids[1], "size": "0.005"},
        {"op": "cancel", "order_id": order_ids[2]},
        {"op": "place"} | LIMIT,
    ]
    answer = await trader.request("POST", "/v1/orders/batch", json={"operations": operations})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [429, 200, 429, 200, 429]
    refused = results[0]["problem"]
    assert (refused["code"], "ip-requests" in refused["detail"]) == ("rate_limited", True)
    assert refused["retry_at_ms"] > 0
    assert {order_id for order_id in order_ids if await is_open(exchange, order_id)} == {
        *order_ids[1:2],
        *order_ids[3:],
    }


async def is_open(exchange: Exchange, order_id: str) -> bool:
    return exchange.view.open_order(int(order_id)) is not None


async def test_of_a_batch_the_first_orders_stand_and_those_beyond_the_budget_are_refused(
    account_limits: Exchange,
) -> None:
    trader = await account_limits.trader(USDC=10_000 * USDC_ATOMS)
    known = (await trader.order(size="0.01")).json()["order"]["order_id"]
    operations: list[dict[str, Any]] = [
        {"op": "place"} | LIMIT,
        {"op": "place"} | LIMIT | {"price": "2900.001"},
        {"op": "cancel", "order_id": known},
        *([{"op": "place"} | LIMIT] * 5),
        {"op": "cancel", "order_id": "99999"},
    ]
    answer = await trader.request("POST", "/v1/orders/batch", json={"operations": operations})
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 422, 200, 201, 201, 201, 429, 429, 404]
    assert rate_headers(answer)[:2] == ("6", "0")
    assert left(account_limits, trader)["account", "cancels"] == 10


async def test_cancelling_has_a_limit_too_and_does_not_take_from_the_orders(
    account_limits: Exchange,
) -> None:
    trader = await account_limits.trader(USDC=10_000 * USDC_ATOMS)
    for _ in range(12):
        assert (await trader.request("DELETE", "/v1/orders")).status_code == 200
    refused = await trader.request("DELETE", "/v1/orders")
    assert "account-cancels" in problem(refused, 429, "rate_limited")["detail"]
    cancels = {"operations": [{"op": "place"} | LIMIT, {"op": "cancel", "order_id": "1"}]}
    results = (await trader.request("POST", "/v1/orders/batch", json=cancels)).json()["results"]
    assert [result["status"] for result in results] == [201, 429]


async def test_a_stranger_can_not_use_up_what_an_account_may_cancel(exchange: Exchange) -> None:
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    order_id = (await trader.order()).json()["order"]["order_id"]
    async with from_address(exchange, "203.0.113.1") as stranger:
        for _ in range(80):
            problem(await stranger.delete(f"/v1/orders/{order_id}"), 401, "unauthenticated")
        problem(await stranger.delete(f"/v1/orders/{order_id}"), 429, "rate_limited")
    assert (await trader.request("DELETE", f"/v1/orders/{order_id}")).status_code == 200


# ---- what is documented


def documented_costs() -> dict[tuple[str, str], int]:
    rows = re.findall(r"^\| ([0-9]+) \| (.*) \|$", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        (method, path): int(cost)
        for cost, requests in rows
        for method, path in re.findall(r"`([A-Z]+) (/[^`]*)`", requests)
    }


async def test_every_route_costs_what_is_documented(exchange: Exchange) -> None:
    documented = documented_costs()
    assert len(documented) > 30
    document = (await exchange.client.get("/openapi.json")).json()
    routes = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method in {"get", "post", "delete", "patch", "put"}
    }
    assert set(documented) <= routes
    cancels = {
        ("DELETE", "/v1/orders"),
        ("DELETE", "/v1/orders/{order_id}"),
        ("DELETE", "/v1/orders/client/{client_order_id}"),
        ("POST", "/v1/cancel-all-after"),
        ("DELETE", "/v1/agents/{key}"),
    }
    for method, path in routes:
        costs = cost(method, path.replace("{", "").replace("}", ""))
        kind = RequestKind.CANCEL if (method, path) in cancels else RequestKind.ANY
        if path == "/v1/orders/batch":
            kind = RequestKind.BATCH
        weight = documented.get((method, path), 1)
        assert costs == ((kind, weight) if weight else None), (method, path)


async def test_what_costs_more_takes_more_and_no_more_than_there_can_be(
    exchange: Exchange, clock: Clock
) -> None:
    trader = await exchange.trader()
    for path, weight in (("/v1/balances", 1), ("/v1/fills", 5)):
        before = left(exchange, trader)["ip", "requests"]
        assert (await trader.get(path)).status_code == 200
        assert before - left(exchange, trader)["ip", "requests"] == weight, path
    problem(await trader.get("/v1/fills.csv"), 429, "rate_limited")
    clock.now_ns += 2 * 10**9
    assert (await trader.get("/v1/fills.csv")).status_code == 200
    assert left(exchange, trader)["ip", "requests"] == 0
