"""`exchange serve` allows what its operator's file says, and counts what it refuses."""

import asyncio
from pathlib import Path

import httpx
import pytest
from tests.e2e.test_metrics import samples
from tests.e2e.test_withdrawal_terms import environment, free_port, serving  # noqa: F401 - one is a fixture

pytestmark = pytest.mark.timeout(300)

RATES = """
[ip]
requests = { burst = 20, per_s = 1 }
sign_ins = { burst = 2, per_s = 1 }
connections = 10
"""


async def test_the_operators_file_says_how_much_may_be_asked_for(
    environment: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "rates.toml").write_text(RATES)
    environment["EXCHANGE_RATE_LIMITS"] = str(tmp_path / "rates.toml")
    environment["EXCHANGE_METRICS"] = f"127.0.0.1:{free_port()}"
    async with serving(environment, tmp_path / "output.txt") as client, httpx.AsyncClient() as prometheus:
        for _ in range(100):
            attempt = await client.post("/v1/auth/nonce", json={"address": "0x" + "11" * 20})
            if attempt.status_code == httpx.codes.TOO_MANY_REQUESTS:
                break
        assert (attempt.status_code, attempt.headers["retry-after"]) == (429, "1")
        assert "ip-requests" not in attempt.json()["detail"], "it was that of the sign-ins"
        for _ in range(1_000):
            answer = await client.get("/v1/markets")
            if answer.status_code != httpx.codes.OK:
                break
        assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS
        assert answer.headers["ratelimit-policy"] == '1;w=1;burst=20;name="ip-requests"'
        assert (await client.get("/v1/health/live")).status_code == httpx.codes.OK
        for _ in range(10):  # a machine that is slow enough closes idle ones meanwhile
            if await is_told_of_too_many(environment["EXCHANGE_PORT"], 25):
                break
        figures = samples((await prometheus.get(f"http://{environment['EXCHANGE_METRICS']}/metrics")).text)
        assert figures["exchange_rate_limited_total ip-requests"] >= 1
        assert figures["exchange_rate_limited_total ip-connections"] >= 1


async def is_told_of_too_many(port: str, number: int) -> bool:
    """Whether the last of so many connections at a time is told that these are too many."""
    opened = [await asyncio.open_connection("127.0.0.1", int(port)) for _ in range(number)]
    try:
        reader, writer = opened[-1]
        writer.write(b"GET /v1/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(60):
            return (await reader.read()).startswith(b"HTTP/1.1 429 ")
    finally:
        for _, other in opened:
            other.transport.abort()
