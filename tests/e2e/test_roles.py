"""`exchange serve` with a key that the vault knows nothing of: it starts, trades, and says what is wrong."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from eth_account import Account
from tests.e2e.test_withdrawal_terms import PATIENCE_S, environment, serving  # noqa: F401 - a fixture

from exchange.chain import dev_keys

pytestmark = pytest.mark.timeout(300)


async def roles(client: httpx.AsyncClient) -> str | None:
    """What the health part says once the chain was asked."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            parts = (await client.get("/v1/health/ready")).json()["parts"]
            [part] = [entry for entry in parts if entry["name"] == "roles"]
            assert not part["required"]
            if part["detail"] != "not asked yet":
                return None if part["ready"] else part["detail"]
            await asyncio.sleep(0.1)


async def test_a_key_without_its_role_is_told_and_refuses_no_start(
    environment: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    async with serving(environment, tmp_path / "output.txt") as client:
        assert await roles(client) is None
    stranger = Account.encrypt(dev_keys.dev_key(dev_keys.USER_KEYS[-1]), "secret", kdf="pbkdf2", iterations=1)
    (tmp_path / "signer.json").write_text(json.dumps(stranger))
    async with serving(environment, tmp_path / "output.txt") as client:
        assert str(await roles(client)).startswith("the signer's key can not act for the vault")
