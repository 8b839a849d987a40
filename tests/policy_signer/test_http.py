"""The policy signer's door: who is let in, and what is not taken apart any further."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from tests.fixtures.policy_signer import TOKEN, PolicySignerServer
from tests.policy_signer.conftest import Ask
from tests.policy_signer.ledger import Ledger, body_of

from exchange.policy_signer.app import MAX_BODY_BYTES


@pytest.fixture
async def body(ledger: Ledger) -> dict[str, Any]:
    """A request that would be signed."""
    return body_of(await ledger.requested())


# ---- the token -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\u00e9" * len(TOKEN)]
)
async def test_without_the_right_token_nothing_is_read(ask: Ask, body: dict[str, Any], token: str) -> None:
    status, answer = await ask(body, token=token)
    assert (status, answer["code"]) == (401, "unauthenticated")
    status, answer = await ask(b"garbage", token=token)
    assert (status, answer["code"]) == (401, "unauthenticated")


async def test_the_token_is_taken_as_a_bearer_token_only(ask: Ask, body: dict[str, Any]) -> None:
    for scheme in ("Basic", "bearer ", ""):
        status, _ = await ask(body, token=None, Authorization=f"{scheme} {TOKEN}")
        assert status == 401
    assert (await ask(body))[0] == 200


# ---- no bare hashes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/v1/sign", "/v1/hash", "/v1/payments", "/v1/payments/sign/", "/docs"])
async def test_there_is_one_endpoint_that_signs(
    signer: PolicySignerServer, http: aiohttp.ClientSession, path: str
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with http.post(signer.url + path, json={}, headers=headers, allow_redirects=False) as answer:
        assert answer.status in (404, 307)
    async with http.get(f"{signer.url}/v1/payments/sign", headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (405, "method_not_allowed")


# ---- strangers' bytes ------------------------------------------------------------------------------------


async def test_a_giant_body_is_refused_before_it_is_read_to_its_end(ask: Ask, body: dict[str, Any]) -> None:
    exact = json.dumps(body).encode()
    assert (await ask(exact + b" " * (MAX_BODY_BYTES - len(exact))))[0] == 200
    for size in (MAX_BODY_BYTES + 1, 1024 * 1024):
        status, answer = await ask(exact + b" " * (size - len(exact)))
        assert (status, answer["code"]) == (413, "body_too_large")


async def test_a_body_that_never_ends_is_given_up(signer: PolicySignerServer) -> None:
    """Sent in drops and never finished: the limit counts what has come, not what was promised."""
    reader, writer = await asyncio.open_connection("127.0.0.1", signer.port)
    writer.write(
        b"POST /v1/payments/sign HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
    )
    for _ in range(MAX_BODY_BYTES // 1024 + 1):
        writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
        await writer.drain()
    async with asyncio.timeout(10):
        assert b"413" in await reader.readline()
    writer.close()


async def test_what_is_not_a_request_is_refused_with_a_code(ask: Ask) -> None:
    """Every form of it is in test_requests."""
    bodies = {b"garbage": "malformed_json", b'"\\udfff"': "malformed_json", b"[]": "field_invalid"}
    for raw, code in bodies.items():
        status, answer = await ask(raw)
        assert (status, answer["code"]) == (400, code)


async def test_another_content_type_is_refused(
    signer: PolicySignerServer, http: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json-patch"):
        async with http.post(
            f"{signer.url}/v1/payments/sign",
            data=json.dumps(body),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": kind},
        ) as answer:
            assert (answer.status, (await answer.json())["code"]) == (415, "unsupported_media_type")


async def test_a_client_that_hangs_up_changes_nothing(
    signer: PolicySignerServer, ask: Ask, body: dict[str, Any]
) -> None:
    for part in (b"", b'{"withdrawal"'):
        _, writer = await asyncio.open_connection("127.0.0.1", signer.port)
        writer.write(
            b"POST /v1/payments/sign HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 600\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\n" + part
        )
        await writer.drain()
        writer.close()
    assert (await ask(body))[0] == 200


# ---- health ----------------------------------------------------------------------------------------------


async def test_health_says_how_far_the_journal_is_read(
    ledger: Ledger, signer: PolicySignerServer, http: aiohttp.ClientSession, ask: Ask, body: dict[str, Any]
) -> None:
    assert (await ask(body))[0] == 200
    async with http.get(f"{signer.url}/v1/health") as answer:
        assert answer.status == 200
        assert await answer.json() == {"ready": True, "code": None, "journal_seq": ledger.committed.seq}


async def test_health_says_why_nothing_can_be_signed(
    ledger: Ledger, signer: PolicySignerServer, http: aiohttp.ClientSession, ask: Ask, body: dict[str, Any]
) -> None:
    assert (await ask(body))[0] == 200
    await ledger.pool.execute("REVOKE SELECT ON journal FROM policy_reader")
    async with http.get(f"{signer.url}/v1/health") as answer:
        assert (answer.status, (await answer.json())["code"]) == (503, "journal_unavailable")
