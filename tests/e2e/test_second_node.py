"""`exchange serve` with a second node that must confirm what the first one says."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.test_withdrawal_terms import environment, serving

__all__ = ["environment"]  # a fixture

PATIENCE_S = 60

pytestmark = pytest.mark.timeout(300)


async def parts_until(client: httpx.AsyncClient, expected: dict[str, Any]) -> dict[str, Any]:
    """What the parts of health of these names say, as soon as it is what is expected, or after a while."""
    found: dict[str, Any] = {}
    for _ in range(10 * PATIENCE_S):
        answer = (await client.get("/v1/health/ready")).json()
        found = {part["name"]: part["detail"] for part in answer["parts"] if part["name"] in expected}
        if found == expected:
            break
        await asyncio.sleep(0.1)
    return found


async def test_without_the_second_nodes_word_nothing_is_credited_or_signed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "serve.log"
    environment["EXCHANGE_WITNESS_RPC_URL"] = "http://127.0.0.1:9"
    async with serving(environment, log) as client:
        books = "not compared: the deposit watcher has not caught up with the chain"
        waiting = {"deposits": "WitnessSilent", "books": books}
        assert await parts_until(client, waiting) == waiting
        assert (await client.get("/v1/deployment")).json()["withdrawals_halted"] is True
    second = environment["EXCHANGE_RPC_URL"].replace("127.0.0.1", "localhost")
    environment["EXCHANGE_WITNESS_RPC_URL"] = second
    async with serving(environment, log) as client:
        well = {"deposits": None, "books": None}
        assert await parts_until(client, well) == well
        assert (await client.get("/v1/deployment")).json()["withdrawals_halted"] is False
