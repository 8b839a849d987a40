"""Requests that keys sign: what is checked of them, and that each is taken once."""

import asyncio

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from tests.edge.agents import Bot, Ed25519Key, Secp256k1Key, approved
from tests.edge.harness import HOST, ORIGIN, problem, running_exchange, served

from exchange.core.commands import UseNonce
from exchange.edge.app import create_app

USDC_10K = 10_000 * 10**6
both_kinds = pytest.mark.parametrize("kind", [Ed25519Key, Secp256k1Key])


@pytest.fixture
async def trader(exchange):
    return await exchange.trader(USDC=USDC_10K)


@pytest.fixture
async def bot(trader):
    return await approved(trader)


@both_kinds
async def test_a_key_reads_and_trades_without_a_session(exchange, trader, kind):
    bot = await approved(trader, kind())
    placed = await bot.order(client_order_id="mine-1")
    assert placed.status_code == 201, placed.text
    order_id = placed.json()["order"]["order_id"]
    listed = (await bot.get("/v1/orders?market=ETH-USDC&status=open")).json()["items"]
    assert [item["order_id"] for item in listed] == [order_id]
    amended = await bot.request("PATCH", f"/v1/orders/{order_id}", {"size": "0.5"})
    assert amended.json()["order"]["size"] == "0.5"
    cancelled = await bot.request("DELETE", f"/v1/orders/{order_id}")
    assert cancelled.json()["order"]["status"] == "cancelled"
    await bot.order()
    assert (await bot.request("DELETE", "/v1/orders?market=ETH-USDC&side=buy")).json()["count"] == 1
    switched = await bot.request("POST", "/v1/cancel-all-after", {"seconds": 60})
    assert switched.json()["cancel_all_at_ms"] is not None


async def test_what_was_written_can_be_read_at_its_seq(bot):
    for price in range(1, 6):
        seq = (await bot.order(price=str(price))).json()["seq"]
        listed = (await bot.get(f"/v1/orders?min_seq={seq}")).json()
        assert listed["seq"] >= seq
        assert listed["items"][0]["price"] == str(price)
    fills = await bot.get(f"/v1/fills?min_seq={seq}")
    assert fills.json()["seq"] >= seq


async def test_a_real_server_takes_path_and_query_exactly_as_they_were_sent(exchange, bot):
    async with (
        served(create_app(exchange.edge)) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        for target in (
            "/v1/orders?market=ETH-USDC",
            "/v1/orders?market=ETH%2DUSDC",
            "/v1/%6frders?status=%6fpen",
            "/v1/orders?status=open&limit=1",
        ):
            answer = await client.get(target, headers=bot.headers("GET", target))
            assert answer.status_code == 200, answer.text
        lone = await client.get("/v1/balances?", headers=bot.headers("GET", "/v1/balances"))
        assert lone.status_code == 200, lone.text
        sent, signed = "/v1/orders?market=ETH%2DUSDC", "/v1/orders?market=ETH-USDC"
        wrong = await client.get(sent, headers=bot.headers("GET", signed))
        content = problem(wrong, 401, "signature_wrong_signer")
        assert content["signed_text"].split("\n")[5] == sent
        body = b'{"market":"ETH-USDC","side":"buy","price":"3","size":"1"}'
        headers = bot.headers("POST", "/v1/orders", body) | {"Content-Type": "application/json"}

        async def in_pieces():
            for byte in body:
                yield bytes([byte])

        chunked = await client.post("/v1/orders", content=in_pieces(), headers=headers)
        assert chunked.status_code == 201, chunked.text


@both_kinds
async def test_a_wrong_signature_is_shown_with_what_it_was_checked_against(exchange, trader, kind):
    bot = await approved(trader, kind())
    response = await bot.request("GET", "/v1/balances", host="evil.example")
    content = problem(response, 401, "signature_wrong_signer")
    assert content["field"] == "Exchange-Signature"
    sent = response.request.headers
    assert content["signed_text"] == "\n".join(
        [
            "exchange-request-1",
            exchange.view.genesis_id,
            HOST,
            bot.key.text,
            "GET",
            "/v1/balances",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            sent["exchange-nonce"],
            sent["exchange-expires"],
        ]
    )
    if kind is Ed25519Key:
        assert "recovered_key" not in content
    else:
        message = encode_defunct(text=content["signed_text"])
        signer = Account.recover_message(message, signature=sent["exchange-signature"]).lower()
        assert content["recovered_key"] == signer != bot.key.text


@both_kinds
@pytest.mark.parametrize(
    "changes", [{"genesis_id": "0x" + "00" * 32}, {"host": "localhost"}, {"host": "LOCALHOST:8000"}], ids=str
)
async def test_a_request_for_another_deployment_or_host_is_refused(trader, kind, changes):
    bot = await approved(trader, kind())
    for method, target, body in (
        ("GET", "/v1/balances", None),
        ("DELETE", "/v1/orders", None),
        ("POST", "/v1/orders", {"market": "ETH-USDC", "side": "buy", "price": "3", "size": "1"}),
    ):
        response = await bot.request(method, target, body, **changes)
        problem(response, 401, "signature_wrong_signer")


async def test_the_host_header_decides_nothing(exchange, bot):
    headers = bot.headers("GET", "/v1/balances") | {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "host=evil.example",
    }
    assert (await exchange.client.get("/v1/balances", headers=headers)).status_code == 200


async def test_a_signature_for_one_request_is_none_for_another(exchange, bot):
    body = b'{"market":"ETH-USDC","side":"buy","price":"3","size":"1"}'
    headers = bot.headers("POST", "/v1/orders", body) | {"Content-Type": "application/json"}
    for method, target, content in (
        ("POST", "/v1/orders", body.replace(b"buy", b"sell")),
        ("POST", "/v1/orders", body + b" "),
        ("POST", "/v1/orders?x=1", body),
        ("POST", "/v1/orders/batch", body),
        ("PATCH", "/v1/orders/1", body),
        ("DELETE", "/v1/orders", b""),
        ("GET", "/v1/orders", b""),
    ):
        response = await exchange.client.request(method, target, content=content, headers=headers)
        problem(response, 401, "signature_wrong_signer")
    assert (await exchange.client.post("/v1/orders", content=body, headers=headers)).status_code == 201


# ---- headers


@pytest.mark.parametrize("name", ["Key", "Nonce", "Expires", "Signature"])
async def test_each_header_is_needed_once_and_well_formed(exchange, bot, name):
    headers = bot.headers("GET", "/v1/balances")
    missing = {key: value for key, value in headers.items() if key != f"Exchange-{name}"}
    content = problem(
        await exchange.client.get("/v1/balances", headers=missing), 401, "signature_header_missing"
    )
    assert content["field"] == f"Exchange-{name}"
    twice = [*headers.items(), (f"Exchange-{name}", headers[f"Exchange-{name}"])]
    content = problem(
        await exchange.client.get("/v1/balances", headers=twice), 401, "signature_header_invalid"
    )
    assert content["field"] == f"Exchange-{name}"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Exchange-Key", "0x12", "signature_header_invalid"),
        ("Exchange-Nonce", "-1", "signature_header_invalid"),
        ("Exchange-Expires", "soon", "signature_header_invalid"),
        ("Exchange-Signature", "0x12", "signature_invalid"),
        ("Exchange-Key", "0x" + "07" * 32, "agent_unknown"),
    ],
)
async def test_what_is_wrong_in_a_header_is_told_by_its_name(exchange, bot, name, value, code):
    headers = bot.headers("GET", "/v1/balances") | {name: value}
    content = problem(await exchange.client.get("/v1/balances", headers=headers), 401, code)
    assert (content["field"], content["value"]) == (name, value)


async def test_a_request_says_in_one_way_who_it_is_from(exchange, trader, bot):
    headers = bot.headers("GET", "/v1/balances") | {"Authorization": f"Bearer {trader.token}"}
    for path in ("/v1/balances", "/v1/whoami"):
        response = await exchange.client.get(path, headers=headers)
        problem(response, 400, "credentials_ambiguous")
    headers = bot.headers("DELETE", "/v1/agents/x") | {"Authorization": f"Bearer {trader.token}"}
    problem(await exchange.client.delete("/v1/agents/x", headers=headers), 400, "credentials_ambiguous")


async def test_a_cookie_beside_a_signed_request_does_not_matter(exchange, trader, bot):
    other = await exchange.trader()
    cookie = {"Cookie": f"__Host-session={other.token}"}
    whoami = await bot.request("GET", "/v1/whoami", headers=cookie)
    assert (whoami.json()["kind"], whoami.json()["address"]) == ("agent", trader.key.address)
    placed = await bot.request(  # no Origin: it is not the cookie that speaks
        "POST", "/v1/orders", {"market": "ETH-USDC", "side": "buy", "price": "3", "size": "1"}, headers=cookie
    )
    assert placed.status_code == 201, placed.text
    assert len(exchange.view.open_orders(trader.account_id)) == 1
    forged = bot.headers("GET", "/v1/balances", host="evil.example") | cookie
    problem(await exchange.client.get("/v1/balances", headers=forged), 401, "signature_wrong_signer")
    owners = bot.headers("POST", "/v1/auth/logout") | {"Cookie": f"__Host-session={trader.token}"}
    problem(await exchange.client.post("/v1/auth/logout", headers=owners), 403, "agent_not_allowed")
    assert (await trader.get("/v1/me")).status_code == 200


async def test_pages_of_other_sites_neither_send_signed_requests_nor_read_their_answers(exchange, bot):
    evil = {"Origin": "https://evil.example"}
    problem(await bot.request("DELETE", "/v1/orders", headers=evil), 403, "origin_not_allowed")
    read = await bot.request("GET", "/v1/balances", headers=evil)
    assert read.status_code == 200
    assert "access-control-allow-origin" not in read.headers
    preflight = await exchange.client.options(
        "/v1/balances",
        headers=evil
        | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "exchange-key"},
    )
    problem(preflight, 405, "method_not_allowed")
    assert "access-control-allow-headers" not in preflight.headers
    ours = await bot.request("DELETE", "/v1/orders", headers={"Origin": ORIGIN})
    assert ours.status_code == 200


# ---- time and nonces


async def test_a_request_is_taken_until_its_expiry(exchange, bot):
    now_ms = exchange.edge.clock_ns() // 10**6
    for expires_ms, code in (
        (now_ms - 1, "signature_expired"),
        (now_ms + 70_000, "signature_deadline_too_far"),
    ):
        for method, target in (("GET", "/v1/balances"), ("DELETE", "/v1/orders")):
            response = await bot.request(method, target, expires_ms=expires_ms)
            assert problem(response, 401, code)["field"] == "Exchange-Expires"


async def test_a_request_that_does_something_is_taken_once(exchange, trader, bot):
    nonce = bot.next_nonce()
    assert (await bot.request("DELETE", "/v1/orders", nonce=nonce)).status_code == 200
    for method, target, body in (
        ("DELETE", "/v1/orders", None),
        ("POST", "/v1/orders", {"market": "ETH-USDC", "side": "buy", "price": "3", "size": "1"}),
        ("POST", "/v1/cancel-all-after", {"seconds": 60}),
    ):
        problem(await bot.request(method, target, body, nonce=nonce), 401, "nonce_used")
    assert exchange.view.open_orders(trader.account_id) == []
    assert exchange.view.cancel_all_ns(trader.account_id) == 0


async def test_a_replay_is_refused_to_the_letter(exchange, trader, bot):
    body = b'{"market":"ETH-USDC","side":"buy","price":"3","size":"1"}'
    headers = bot.headers("POST", "/v1/orders", body) | {"Content-Type": "application/json"}
    first = await exchange.client.post("/v1/orders", content=body, headers=headers)
    again = await exchange.client.post("/v1/orders", content=body, headers=headers)
    assert first.status_code == 201
    problem(again, 401, "nonce_used")
    assert len(exchange.view.open_orders(trader.account_id)) == 1


async def test_of_replays_at_the_same_moment_one_is_taken(exchange, trader, bot):
    body = b'{"market":"ETH-USDC","side":"buy","price":"3","size":"1"}'
    headers = bot.headers("POST", "/v1/orders", body) | {"Content-Type": "application/json"}
    answers = await asyncio.gather(
        *(exchange.client.post("/v1/orders", content=body, headers=headers) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201, *[401] * 7]
    for answer in answers:
        if answer.status_code == 401:
            problem(answer, 401, "nonce_used")
    assert len(exchange.view.open_orders(trader.account_id)) == 1


async def test_reads_may_be_repeated_and_do_not_use_a_nonce_up(exchange, bot):
    nonce = bot.next_nonce()
    for _ in range(3):
        assert (await bot.request("GET", "/v1/balances", nonce=nonce)).status_code == 200
    assert (await bot.request("DELETE", "/v1/orders", nonce=nonce)).status_code == 200


async def test_what_was_refused_for_its_content_has_not_used_its_nonce_up(bot):
    nonce = bot.next_nonce()
    order = {"market": "ETH-USDC", "side": "buy", "price": "3.001", "size": "1"}
    problem(await bot.request("POST", "/v1/orders", order, nonce=nonce), 422, "price_off_tick")
    taken = await bot.request("POST", "/v1/orders", order | {"price": "3"}, nonce=nonce)
    assert taken.status_code == 201


async def test_what_the_engine_refused_has_used_its_nonce_up(bot):
    nonce = bot.next_nonce()
    order = {"market": "ETH-USDC", "side": "buy", "price": "3", "size": "1000000"}
    problem(await bot.request("POST", "/v1/orders", order, nonce=nonce), 409, "insufficient_funds")
    problem(await bot.request("POST", "/v1/orders", order | {"size": "1"}, nonce=nonce), 401, "nonce_used")


async def test_a_nonce_is_the_time_of_signing(exchange, bot):
    now_us = exchange.edge.clock_ns() // 1_000
    for nonce in (now_us - 70_000_000, now_us + 70_000_000, now_us // 1_000, 1):
        problem(await bot.request("DELETE", "/v1/orders", nonce=nonce), 401, "nonce_off_time")
    assert (await bot.request("DELETE", "/v1/orders", nonce=now_us - 30_000_000)).status_code == 200


async def test_requests_may_overtake_each_other_by_128_nonces(exchange, bot):
    lowest = bot.next_nonce() - 1_000_000
    used = [lowest + 1_000 + index for index in range(128)]
    for nonce in used:
        await exchange.sequencer.submit(UseNonce(bot.key.text, nonce))
    assert (await bot.request("DELETE", "/v1/orders", nonce=used[0] + 500)).status_code == 200
    problem(await bot.request("DELETE", "/v1/orders", nonce=lowest), 401, "nonce_too_old")
    problem(await bot.request("DELETE", "/v1/orders", nonce=used[0]), 401, "nonce_too_old")
    problem(await bot.request("DELETE", "/v1/orders", nonce=used[1]), 401, "nonce_used")


async def test_each_key_has_nonces_of_its_own(trader, bot):
    other = await approved(trader)
    nonce = bot.next_nonce()
    for one in (bot, other):
        assert (await one.request("DELETE", "/v1/orders", nonce=nonce)).status_code == 200


async def test_a_nonce_that_was_used_stays_so_when_the_engine_starts_again(database_url, pool):
    body = b'{"market":"ETH-USDC","side":"buy","price":"3","size":"1"}'
    async with running_exchange(database_url, pool) as exchange:
        trader = await exchange.trader(USDC=USDC_10K)
        bot = await approved(trader)
        headers = bot.headers("POST", "/v1/orders", body) | {"Content-Type": "application/json"}
        assert (await exchange.client.post("/v1/orders", content=body, headers=headers)).status_code == 201
    async with running_exchange(database_url, pool) as again:
        problem(await again.client.post("/v1/orders", content=body, headers=headers), 401, "nonce_used")
        assert len(again.view.open_orders(trader.account_id)) == 1
        assert (await Bot(again, bot.key).order(price="3")).status_code == 201


async def test_two_edges_of_one_engine_take_a_request_once_between_them(exchange, trader, bot):
    body = b'{"market":"ETH-USDC","side":"buy","price":"3","size":"1"}'
    headers = bot.headers("POST", "/v1/orders", body) | {"Content-Type": "application/json"}
    transports = [httpx.ASGITransport(create_app(exchange.edge)) for _ in range(2)]
    clients = [httpx.AsyncClient(transport=one, base_url="https://localhost:8000") for one in transports]
    answers = await asyncio.gather(
        *(client.post("/v1/orders", content=body, headers=headers) for client in clients)
    )
    for client in clients:
        await client.aclose()
    assert sorted(answer.status_code for answer in answers) == [201, 401]
    assert len(exchange.view.open_orders(trader.account_id)) == 1


# ---- batches


async def test_in_a_signed_batch_each_item_is_done_or_refused_by_itself(exchange, trader):
    await trader.request(
        "POST",
        "/v1/transfers",
        json={
            "from_sub_account": 0,
            "to_sub_account": 1,
            "asset": "USDC",
            "amount": "100",
            "client_transfer_id": "t",
        },
    )
    bot = await approved(trader, markets=["ETH-USDC"], sub_accounts=[0])
    theirs = await trader.order(market="WBTC-USDC", price="10", size="0.001")
    others = await trader.order(price="10", size="1", sub_account=1)
    order = {"op": "place", "market": "ETH-USDC", "side": "buy", "price": "3", "size": "1"}
    operations = [
        order,
        order | {"price": "3.001"},
        order | {"market": "WBTC-USDC", "size": "0.001"},
        order | {"sub_account": 1},
        {"op": "cancel", "order_id": theirs.json()["order"]["order_id"]},
        {"op": "cancel", "order_id": others.json()["order"]["order_id"]},
        order | {"size": "1000000"},
        "nonsense",
        order,
    ]
    response = await bot.request("POST", "/v1/orders/batch", {"operations": operations})
    assert response.status_code == 200, response.text
    results = response.json()["results"]
    codes = [result.get("problem", {}).get("code") for result in results]
    assert codes == [
        None,
        "price_off_tick",
        "market_not_allowed",
        "sub_account_not_allowed",
        "market_not_allowed",
        "sub_account_not_allowed",
        "insufficient_funds",
        "field_invalid",
        None,
    ]
    assert [result["status"] for result in results] == [201, 422, 403, 403, 403, 403, 409, 422, 201]


async def test_a_batch_uses_one_nonce_and_is_refused_as_a_whole_when_that_was_used(exchange, trader, bot):
    nonce = bot.next_nonce()
    order = {"op": "place", "market": "ETH-USDC", "side": "buy", "price": "3", "size": "1"}
    first = await bot.request("POST", "/v1/orders/batch", {"operations": [order] * 3}, nonce=nonce)
    assert [result["status"] for result in first.json()["results"]] == [201] * 3
    again = await bot.request("POST", "/v1/orders/batch", {"operations": [order] * 3}, nonce=nonce)
    problem(again, 401, "nonce_used")
    assert len(exchange.view.open_orders(trader.account_id)) == 3


async def test_a_batch_of_nothing_that_can_be_done_needs_no_engine(exchange, bot):
    seq = exchange.view.seq
    answer = await bot.request(
        "POST", "/v1/orders/batch", {"operations": [{"op": "place"}, {"op": "cancel"}]}
    )
    assert [result["status"] for result in answer.json()["results"]] == [422, 422]
    assert answer.json()["seq"] == exchange.view.seq == seq


async def test_a_key_with_ranges_is_taken_from_there_only(exchange, trader):
    here = await approved(trader, ip_ranges=["127.0.0.0/8"])
    elsewhere = await approved(trader, ip_ranges=["203.0.113.0/24", "2001:db8::/32"])
    assert (await here.get("/v1/whoami")).status_code == 200
    claimed = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7"}
    refused = await elsewhere.request("GET", "/v1/whoami", headers=claimed)
    content = problem(refused, 403, "ip_not_allowed")
    assert content["value"] == "127.0.0.1"
    assert "203.0.113" not in content["detail"], "nothing for who has stolen it"
    problem(await elsewhere.order(), 403, "ip_not_allowed")
