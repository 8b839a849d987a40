"""`exchange policy-signer` as a process of its own: from its environment to a signature, and killed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from eth_account import Account
from tests.fixtures.anvil import free_port
from tests.fixtures.policy_signer import TOKEN, identity_of, reader_url
from tests.policy_signer.ledger import VAULT, Ledger

from exchange.chain.dev_keys import DEV_CHAIN_ID, SIGNER_KEY, dev_address, dev_key
from exchange.chain.errors import SignerRefused
from exchange.chain.remote_signer import PolicySignerAt, RemoteSigner
from exchange.core.markets import NATIVE_TOKEN

LIMITS = f"""
[[token]]
token = "{NATIVE_TOKEN}"
decimals = 0
max_payment = "2000"
max_in_window = "4000"
window_minutes = 1440
"""


class Process:
    """A policy signer as an operator starts it."""

    def __init__(self, environment: dict[str, str], port: int) -> None:
        self.environment = environment
        self.where = PolicySignerAt(f"http://127.0.0.1:{port}", TOKEN, dev_address(SIGNER_KEY))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await run(self.environment)
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                assert self._process.returncode is None
                try:
                    async with session.get(f"{self.where.url}/v1/health") as answer:
                        assert answer.status == 200
                        return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.05)

    async def end(self, number: int) -> int:
        """Sends a signal; the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(30):
            return await self._process.wait()


async def run(environment: dict[str, str]) -> asyncio.subprocess.Process:
    script = Path(sys.executable).parent / "exchange"
    return await asyncio.create_subprocess_exec(
        script,
        "policy-signer",
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
async def environment(ledger: Ledger, tmp_path: Path) -> dict[str, str]:
    keystore = Account.encrypt(dev_key(SIGNER_KEY), "secret", kdf="pbkdf2", iterations=10)
    (tmp_path / "key.json").write_text(json.dumps(keystore))
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "limits.toml").write_text(LIMITS)
    identity = await identity_of(ledger.database_url, DEV_CHAIN_ID, VAULT)
    return {
        "PATH": os.environ["PATH"],
        "EXCHANGE_POLICY_DATABASE_URL": await reader_url(ledger.database_url),
        "EXCHANGE_POLICY_GENESIS_ID": identity.genesis_id,
        "EXCHANGE_POLICY_CHAIN_ID": str(DEV_CHAIN_ID),
        "EXCHANGE_POLICY_VAULT": VAULT,
        "EXCHANGE_POLICY_KEYSTORE": str(tmp_path / "key.json"),
        "EXCHANGE_POLICY_PASSWORD_FILE": str(tmp_path / "password"),
        "EXCHANGE_POLICY_LIMITS": str(tmp_path / "limits.toml"),
        "EXCHANGE_POLICY_STATE": str(tmp_path / "state"),
        "EXCHANGE_POLICY_TOKEN_FILE": str(tmp_path / "token"),
        "EXCHANGE_POLICY_PORT": str(free_port()),
    }


@pytest.fixture
async def process(environment: dict[str, str]) -> AsyncIterator[Process]:
    started = Process(environment, int(environment["EXCHANGE_POLICY_PORT"]))
    await started.start()
    yield started
    await started.end(signal.SIGKILL)


async def test_a_signer_that_is_killed_remembers_all_that_it_signed(ledger: Ledger, process: Process) -> None:
    orders = [await ledger.requested(ledger.message(amount_atoms=2_005)) for _ in range(3)]
    async with RemoteSigner(process.where, DEV_CHAIN_ID, VAULT) as client:
        signatures = [await client.sign_order(order) for order in orders[:2]]
    await process.end(signal.SIGKILL)
    await process.start()

    async with RemoteSigner(process.where, DEV_CHAIN_ID, VAULT) as client:
        with pytest.raises(SignerRefused, match="window_limit_exceeded"):
            await client.sign_order(orders[2])
        assert [await client.sign_order(order) for order in orders[:2]] == signatures


async def test_a_signer_ends_in_order_when_it_is_told_to(process: Process) -> None:
    assert await process.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"EXCHANGE_POLICY_VAULT": ""}, "EXCHANGE_POLICY_VAULT"),
        ({"EXCHANGE_POLICY_CHAIN_ID": "1"}, "public development key"),
        ({"EXCHANGE_POLICY_STATE": "/nowhere/state"}, "/nowhere/state"),
        ({"EXCHANGE_POLICY_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "database"),
    ],
)
async def test_what_keeps_it_from_starting_is_told_in_one_line(
    environment: dict[str, str], change: dict[str, str], message: str
) -> None:
    process = await run(environment | change)
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    lines = [line for line in errors.decode().splitlines() if "error:" in line]
    assert process.returncode == 1
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in errors.decode()
    assert TOKEN not in errors.decode()
