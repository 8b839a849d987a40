from dataclasses import replace

import httpx
from eth_account import Account
from tests.edge.harness import ORIGIN, personal_sign, problem

from exchange.edge.app import create_app
from exchange.edge.rest.health import login_part
from exchange.gateway.siwe import Login
from exchange.gateway.siwe_package import SiwePackage

KEY = Account.from_key("0x" + "2a" * 32)


async def nonce_of(exchange, key=KEY) -> dict:
    response = await exchange.client.post("/v1/auth/nonce", json={"address": key.address})
    assert response.status_code == 200, response.text
    return response.json()


async def log_in(exchange, nonce, signature, **changes):
    body = {"message": nonce["message"], "signature": signature, "pre_login_token": nonce["pre_login_token"]}
    return await exchange.client.post("/v1/auth/login", json=body | changes)


async def test_a_wallet_signs_in_and_its_first_login_opens_its_account(exchange):
    nonce = await nonce_of(exchange)
    answer = await log_in(exchange, nonce, personal_sign(KEY, nonce["message"]))
    content = answer.json()
    assert answer.status_code == 200
    assert content["address"] == KEY.address
    assert int(content["account_id"]) == exchange.view.account_id(KEY.address.lower())
    headers = {"Authorization": f"Bearer {content['token']}"}
    exchange.client.cookies.clear()
    me = await exchange.client.get("/v1/me", headers=headers)
    assert me.status_code == 200
    assert me.json() == {
        "seq": exchange.view.seq,
        "address": KEY.address,
        "account_id": content["account_id"],
        "fee_tier": 0,
        "sub_accounts": [
            {
                "sub_account": 0,
                "account_id": content["account_id"],
                "max_open_orders": 1000,
                "max_orders_per_market": 1000,
                "cancel_all_at_ms": None,
                "state": "active",
            }
        ],
        "session_expires_at_ms": content["expires_at_ms"],
    }


async def test_a_second_login_finds_the_same_account_and_submits_nothing(exchange):
    trader = await exchange.trader()
    seq = exchange.view.seq
    nonce = await nonce_of(exchange, trader.key)
    answer = await log_in(exchange, nonce, personal_sign(trader.key, nonce["message"]))
    assert answer.json()["account_id"] == str(trader.account_id)
    assert exchange.view.seq == seq


async def test_cookies_are_for_this_host_alone_and_out_of_scripts_reach(exchange):
    nonce_answer = await exchange.client.post("/v1/auth/nonce", json={"address": KEY.address})
    nonce = nonce_answer.json()
    login = await log_in(exchange, nonce, personal_sign(KEY, nonce["message"]))
    for cookie in (nonce_answer.headers["set-cookie"], login.headers.get_list("set-cookie")[0]):
        assert cookie.startswith("__Host-")
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "secure", "samesite=strict", "path=/"} <= attributes
        assert not any(attribute.startswith("domain") for attribute in attributes)


async def test_a_browser_signs_in_and_trades_by_cookie_with_its_origin(exchange):
    nonce = await nonce_of(exchange)
    body = {"message": nonce["message"], "signature": personal_sign(KEY, nonce["message"])}
    problem(await exchange.client.post("/v1/auth/login", json=body), 403, "origin_required")
    login = await exchange.client.post("/v1/auth/login", json=body, headers={"Origin": ORIGIN})
    assert login.status_code == 200, login.text
    assert (await exchange.client.get("/v1/me")).status_code == 200
    problem(await exchange.client.delete("/v1/orders"), 403, "origin_required")
    problem(
        await exchange.client.delete("/v1/orders", headers={"Origin": "https://evil.example"}),
        403,
        "origin_not_allowed",
    )
    cancelled = await exchange.client.delete("/v1/orders", headers={"Origin": ORIGIN})
    assert cancelled.status_code == 200


async def test_an_unsafe_request_from_another_origin_is_refused_even_with_a_bearer_token(exchange):
    trader = await exchange.trader()
    for path in ["/v1/auth/nonce", "/v1/auth/login", "/v1/orders", "/v1/withdrawals"]:
        response = await trader.request("POST", path, json={}, headers={"Origin": "https://evil.example"})
        content = problem(response, 403, "origin_not_allowed")
        assert content["value"] == "https://evil.example"


async def test_who_asks_to_sign_in_too_often_is_told_when_to_try_again(exchange):
    config = replace(exchange.edge.config, auth_burst=3)
    transport = httpx.ASGITransport(create_app(replace(exchange.edge, config=config)))
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost:8000") as client:
        body = {"address": KEY.address}
        for _ in range(3):
            assert (await client.post("/v1/auth/nonce", json=body)).status_code == 200
        claimed = {"X-Forwarded-For": "9.9.9.9", "Forwarded": "for=9.9.9.9"}
        for path in ("/v1/auth/nonce", "/v1/auth/login", "/v1/auth/logout"):
            response = await client.post(path, json=body, headers=claimed)
            problem(response, 429, "rate_limited")
            assert response.headers["retry-after"] == "1"
        assert (await client.get("/v1/time")).status_code == 200


async def test_without_the_package_that_logins_need_nobody_signs_in_and_who_is_in_trades_on(exchange):
    trader = await exchange.trader(USDC=10_000 * 10**6)
    login = Login(
        exchange.edge.pool,
        domain="localhost:8000",
        uri=ORIGIN,
        chain_id=31337,
        clock_ns=exchange.edge.clock_ns,
        package=SiwePackage("no_such_package"),
    )
    parts = (*exchange.edge.health_parts, login_part(lambda: login.package.fault))
    app = create_app(replace(exchange.edge, login=login, health_parts=parts))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://localhost:8000"
    ) as client:
        ready = await client.get("/v1/health/ready")
        assert {"name": "login", "required": False, "ready": True, "detail": None} in ready.json()["parts"]
        for _ in range(2):
            refused = await client.post("/v1/auth/nonce", json={"address": KEY.address})
            content = problem(refused, 503, "unavailable")
            assert "nobody can sign in" in content["detail"]
            assert int(refused.headers["retry-after"]) >= 1
        ready = await client.get("/v1/health/ready")
        assert ready.status_code == 200
        told = {part["name"]: part for part in ready.json()["parts"]}["login"]
        assert (told["ready"], told["required"]) == (False, False)
        assert told["detail"] == "nobody can sign in: the siwe package can not be imported"
    assert (await trader.order()).status_code == 201


async def test_logout_ends_the_session_at_once(exchange):
    trader = await exchange.trader()
    response = await trader.request("POST", "/v1/auth/logout")
    assert (response.status_code, response.content) == (204, b"")
    problem(await trader.get("/v1/me"), 401, "session_invalid")
    problem(await trader.order(), 401, "session_invalid")


async def test_a_session_is_over_when_its_time_is(exchange):
    trader = await exchange.trader()
    exchange.faults.clock_ahead_ns = 3601 * 10**9
    problem(await trader.get("/v1/me"), 401, "session_expired")


PRIVATE = [
    ("GET", "/v1/me"),
    ("GET", "/v1/balances"),
    ("GET", "/v1/orders"),
    ("GET", "/v1/orders/1"),
    ("GET", "/v1/fills"),
    ("GET", "/v1/deposits"),
    ("GET", "/v1/withdrawals"),
    ("GET", "/v1/withdrawals/" + "0x" + "00" * 32),
    ("GET", "/v1/ledger"),
    ("POST", "/v1/orders"),
    ("DELETE", "/v1/orders"),
    ("DELETE", "/v1/orders/1"),
    ("POST", "/v1/auth/logout"),
]


async def test_without_a_session_there_is_nothing_private(exchange, subtests):
    for authorization, code in [
        (None, "unauthenticated"),
        ("", "unauthenticated"),
        ("Basic YTpi", "unauthenticated"),
        ("Bearer", "session_invalid"),
        ("Bearer x", "session_invalid"),
        ("Bearer " + "x" * 43, "session_invalid"),
        ("Bearer " + "x" * 5000, "session_invalid"),
    ]:
        headers = {} if authorization is None else {"Authorization": authorization}
        for method, path in PRIVATE:
            with subtests.test(f"{method} {path} {str(authorization)[:20]}"):
                response = await exchange.client.request(method, path, headers=headers)
                problem(response, 401, code)
                assert response.headers["www-authenticate"] == "Bearer"


async def test_a_replayed_login_is_refused(exchange):
    nonce = await nonce_of(exchange)
    signature = personal_sign(KEY, nonce["message"])
    assert (await log_in(exchange, nonce, signature)).status_code == 200
    problem(await log_in(exchange, nonce, signature), 401, "login_nonce_used")


async def test_an_expired_login_is_refused(exchange):
    nonce = await nonce_of(exchange)
    exchange.faults.clock_ahead_ns = 301 * 10**9
    problem(await log_in(exchange, nonce, personal_sign(KEY, nonce["message"])), 401, "login_expired")


async def test_a_login_signed_for_another_domain_is_refused(exchange):
    nonce = await nonce_of(exchange)
    elsewhere = nonce["message"].replace("localhost:8000", "evil.example")
    response = await log_in(exchange, nonce, personal_sign(KEY, elsewhere), message=elsewhere)
    assert "domain" in problem(response, 401, "login_message_mismatch")["detail"]


async def test_a_login_signed_by_another_wallet_is_refused(exchange):
    nonce = await nonce_of(exchange)
    response = await log_in(exchange, nonce, personal_sign(Account.create(), nonce["message"]))
    problem(response, 403, "signature_wrong_signer")
    assert exchange.view.account_id(KEY.address.lower()) is None


async def test_a_login_without_its_pre_login_token_is_refused(exchange):
    nonce = await nonce_of(exchange)
    exchange.client.cookies.clear()
    response = await log_in(exchange, nonce, personal_sign(KEY, nonce["message"]), pre_login_token=None)
    problem(response, 401, "pre_login_token_invalid")


async def test_a_malformed_request_for_a_nonce_is_refused(exchange, subtests):
    for body, code, field in [
        ({}, "field_missing", "address"),
        ({"address": 1}, "field_invalid", "address"),
        ({"address": None}, "field_invalid", "address"),
        ({"address": "vitalik.eth"}, "address_invalid", "address"),
        ({"address": "0x" + "A" * 39 + "b"}, "address_invalid", "address"),
        ({"address": KEY.address, "chain": 1}, "field_unknown", "chain"),
        ([], "field_invalid", "body"),
        ("text", "field_invalid", "body"),
        (None, "field_missing", "body"),
    ]:
        with subtests.test(str(body)):
            response = await exchange.client.post("/v1/auth/nonce", json=body)
            assert problem(response, 422, code)["field"] == field
