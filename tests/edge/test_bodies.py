import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from tests.edge.harness import problem

from exchange.edge.body import MAX_BODY_BYTES, StrictBody
from exchange.edge.problems import Problem
from exchange.edge.strict_json import MAX_DEPTH, decode_json

JSON = {"Content-Type": "application/json"}


async def post(exchange, content, path="/v1/auth/nonce", headers=JSON):
    return await exchange.client.post(path, content=content, headers=headers)


async def in_chunks(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def test_a_body_over_64_kib_is_refused_whether_declared_or_chunked(exchange, subtests):
    large = b'{"address":"' + b"x" * MAX_BODY_BYTES + b'"}'
    for path in ("/v1/auth/nonce", "/v1/orders", "/v1/withdrawals"):
        with subtests.test(f"declared {path}"):
            problem(await post(exchange, large, path), 413, "body_too_large")
        with subtests.test(f"chunked {path}"):
            problem(await post(exchange, in_chunks(large), path), 413, "body_too_large")
    with subtests.test("declared small, sent large"):
        headers = JSON | {"Content-Length": "10"}
        problem(await post(exchange, in_chunks(large), headers=headers), 413, "body_too_large")
    with subtests.test("declared absurdly"):
        headers = JSON | {"Content-Length": "9" * 4000}
        problem(await post(exchange, b"{}", headers=headers), 413, "body_too_large")


async def test_a_body_of_exactly_64_kib_is_read(exchange):
    empty = json.dumps({"address": ""}, separators=(",", ":")).encode()
    content = json.dumps({"address": "x" * (MAX_BODY_BYTES - len(empty))}, separators=(",", ":")).encode()
    assert len(content) == MAX_BODY_BYTES
    problem(await post(exchange, in_chunks(content)), 422, "field_invalid")


async def test_a_body_that_is_not_plain_json_is_refused(exchange, subtests):
    for content, code in [
        (b"{", "malformed_json"),
        (b"}", "malformed_json"),
        (b"{'a':1}", "malformed_json"),
        (b'{"a":1,}', "malformed_json"),
        (b'{"a":1}{"b":2}', "malformed_json"),
        (b"\xef\xbb\xbf{}", "malformed_json"),
        (b'{"a":NaN}', "malformed_json"),
        (b'{"a":Infinity}', "malformed_json"),
        (b'{"a":-Infinity}', "malformed_json"),
        (b'{"a":01}', "malformed_json"),
        (b'{"a":"\n"}', "malformed_json"),
        (b'{"a":"\\x41"}', "malformed_json"),
        (b"\x00", "malformed_json"),
        (b" ", "malformed_json"),
        (b'{"a":"\xff"}', "invalid_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "invalid_utf8"),
        (b'{"a":"\\ud800"}', "invalid_utf8"),
        (b'{"\\udfff":1}', "invalid_utf8"),
        (b'[[{"a":["\\ud800"]}]]', "invalid_utf8"),
        (b'{"a":1,"a":1}', "duplicate_key"),
        (b'{"b":{"a":1,"a":2}}', "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', "duplicate_key"),
        (b'{"a":' + b"9" * 5000 + b"}", "number_too_large"),
        (b"[" * 60_000, "nesting_too_deep"),
        (b"[" * 30_000 + b"]" * 30_000, "nesting_too_deep"),
        (b'{"a":' * 10_000, "nesting_too_deep"),
        (b'{"a":"[","b":' + b"[" * 20 + b"]" * 20 + b"}", "nesting_too_deep"),
    ]:
        for path in ("/v1/auth/nonce", "/v1/orders"):
            with subtests.test(f"{path} {content[:30]!r}"):
                problem(await post(exchange, content, path), 400, code)


async def test_a_body_of_another_kind_is_refused(exchange, subtests):
    for headers in [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/vnd.api+json"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ]:
        for path in ("/v1/auth/nonce", "/v1/orders", "/v1/nowhere"):
            with subtests.test(f"{path} {headers}"):
                problem(await post(exchange, b"{}", path, headers), 415, "unsupported_media_type")


async def test_json_with_its_charset_named_is_taken(exchange):
    for kind in ("application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'):
        problem(await post(exchange, b"{}", headers={"Content-Type": kind}), 422, "field_missing")


async def test_an_order_without_a_body_or_that_is_no_object_is_refused(exchange, subtests):
    trader = await exchange.trader()
    for content in (b"", b"null", b"[]", b'"x"', b"1", b"true"):
        with subtests.test(content.decode()):
            response = await trader.request("POST", "/v1/orders", content=content, headers=JSON)
            assert problem(response, 422, "field_invalid")["field"] == "body"


async def test_cancelling_takes_no_body_for_a_market_in_it_would_be_passed_over(exchange, subtests):
    trader = await exchange.trader(USDC=10**10)
    order_id = (await trader.order()).json()["order"]["order_id"]
    for path in ("/v1/orders", f"/v1/orders/{order_id}"):
        for content in (b'{"market": "WBTC-USDC"}', b'{"order_id": "7"}', b'["ETH-USDC"]', b"[]", b"null"):
            with subtests.test(f"{path} {content!r}"):
                response = await trader.request("DELETE", path, content=content, headers=JSON)
                assert problem(response, 422, "field_unknown")["field"] == "body"
    assert len(exchange.view.open_orders(trader.account_id)) == 1
    empty = await trader.request("DELETE", f"/v1/orders/{order_id}", json={})
    assert empty.status_code == 200, empty.text


async def test_a_body_that_does_not_arrive_is_given_up():
    never = asyncio.Event()
    sent: list[dict] = []

    async def receive() -> dict:
        await never.wait()
        return {}

    async def send(message) -> None:
        sent.append(message)

    async def app(scope, receive, send) -> None:
        raise AssertionError("the body never arrived")

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await StrictBody(app, timeout_s=0.01)(scope, receive, send)
    assert sent[0]["status"] == 408


def test_brackets_in_strings_are_no_nesting():
    text = json.dumps({"a": "[{" * 500, "b": '\\"[[[['})
    assert decode_json(text.encode()) == json.loads(text)


def test_nesting_up_to_the_limit_is_read():
    assert decode_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(Problem) as caught:
        decode_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    assert caught.value.code == "nesting_too_deep"


def test_the_worst_structure_is_scanned_in_linear_time():
    worst = b'"\\"' * 20_000 + b"[" * 17
    with pytest.raises(Problem):
        decode_json(worst)
