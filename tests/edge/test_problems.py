import asyncpg
import pytest
from tests.edge.harness import impatient, problem

from exchange.core.rejects import RejectReason
from exchange.edge.problems import STATUS_AND_TITLE, EdgeCode, rejected
from exchange.gateway.refusals import GatewayCode
from exchange.sequencer.sequencer import EngineStopped, Overloaded


@pytest.mark.parametrize("codes", [EdgeCode, GatewayCode, RejectReason])
def test_every_code_has_a_status_and_a_title(codes):
    assert {code.value for code in codes} <= set(STATUS_AND_TITLE)


def test_the_table_has_nothing_but_the_codes_and_no_code_twice():
    codes = [code.value for kind in (EdgeCode, GatewayCode, RejectReason) for code in kind]
    assert len(codes) == len(set(codes))
    assert set(STATUS_AND_TITLE) == set(codes)


def test_every_refusal_is_a_4xx_but_for_the_edges_and_queued_work():
    for code, (status, _) in STATUS_AND_TITLE.items():
        assert 400 <= status < 500 or code in {*EdgeCode, RejectReason.WORK_QUEUED}


def test_queued_work_says_when_to_try_again():
    assert rejected(RejectReason.WORK_QUEUED).headers == {"Retry-After": "1"}
    assert rejected(RejectReason.MARKET_HALTED).headers == {}


async def test_an_unknown_address_and_a_wrong_method_are_problems(exchange):
    problem(await exchange.client.get("/nowhere"), 404, "not_found")
    problem(await exchange.client.get("/v1/"), 404, "not_found")
    problem(await exchange.client.get("/v1/markets/"), 404, "not_found")
    response = await exchange.client.put("/v1/markets")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"
    problem(await exchange.client.patch("/v1/orders"), 405, "method_not_allowed")
    problem(await exchange.client.request("BREW", "/v1/time"), 405, "method_not_allowed")


async def test_a_wrong_method_is_told_every_right_one(exchange, subtests):
    for path, methods in {
        "/v1/orders": "GET, POST, DELETE",
        "/v1/orders/7": "GET, PATCH, DELETE",
        "/v1/agents": "GET, POST",
        "/v1/withdrawals/quote": "GET",
        "/v1/ws": "GET, HEAD",
        "/docs": "GET, HEAD",
    }.items():
        for method in ("PUT", "OPTIONS", "BREW"):
            with subtests.test(f"{method} {path}"):
                response = await exchange.client.request(method, path)
                problem(response, 405, "method_not_allowed")
                assert response.headers["allow"] == methods


async def test_a_full_inbox_says_when_to_try_again(exchange):
    trader = await exchange.trader()
    exchange.faults.refuse = Overloaded(retry_after_s=2)
    response = await trader.order()
    problem(response, 503, "overloaded")
    assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionRefusedError("nobody listens"),
        asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),
        asyncpg.InterfaceError("the connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_database_that_is_away_is_an_outage_whatever_the_driver_calls_it(
    exchange, monkeypatch, failure
):
    trader = await exchange.trader()

    async def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("exchange.edge.rest.orders.order_by_id", fail)
    response = await trader.request("GET", "/v1/orders/7")
    problem(response, 503, "unavailable")


async def test_a_stopped_engine_leaves_the_outcome_unknown(exchange):
    trader = await exchange.trader(USDC=10_000_000_000)
    exchange.faults.refuse = EngineStopped()
    for response in (
        await trader.order(),
        await trader.request("DELETE", "/v1/orders"),
        await trader.request("POST", "/v1/withdrawals", json=trader.withdrawal()),
    ):
        problem(response, 503, "outcome_unknown")
        assert response.headers["retry-after"] == "1"


async def test_an_error_of_ours_tells_nothing_but_its_request_id(exchange):
    trader = await exchange.trader()
    exchange.faults.refuse = ZeroDivisionError("secret detail")
    response = await trader.order()
    problem(response, 500, "internal_error")
    assert "secret" not in response.text
    assert "ZeroDivision" not in response.text


async def test_a_database_that_is_away_is_a_503(exchange):
    trader = await exchange.trader()
    await exchange.edge.pool.close()
    with impatient(exchange):
        problem(await trader.get("/v1/fills"), 503, "unavailable")
    problem(
        await exchange.client.post("/v1/auth/nonce", json={"address": trader.key.address}), 503, "unavailable"
    )


async def test_every_answer_has_security_headers_and_an_id_of_its_own(exchange):
    ids = set()
    for path in ("/v1/time", "/nowhere", "/v1/me", "/docs", "/openapi.json"):
        response = await exchange.client.get(path, headers={"X-Request-Id": "mine"})
        ids.add(response.headers["x-request-id"])
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert "access-control-allow-origin" not in response.headers
        assert "server" not in response.headers
    assert len(ids) == 5
    assert "mine" not in ids


async def test_no_other_site_may_read_or_preflight(exchange):
    evil = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    read = await exchange.client.get("/v1/deployment", headers=evil)
    assert "access-control-allow-origin" not in read.headers
    preflight = await exchange.client.options("/v1/orders", headers=evil)
    problem(preflight, 405, "method_not_allowed")
    assert "access-control-allow-origin" not in preflight.headers
