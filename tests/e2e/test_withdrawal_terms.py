"""`exchange serve` with network fees and a list of withdrawal addresses, and a restart in between."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

from exchange.chain import dev_keys
from exchange.chain.deployment import Deployment
from exchange.chain.devchain import Anvil
from exchange.chain.gas_price import GAS_PER_PAYMENT
from exchange.chain.rpc import Rpc
from exchange.core.markets import NATIVE_TOKEN
from exchange.core.units import format_atoms
from exchange.operator.network_fees import two_digits_up

EXCHANGE = str(Path(sys.executable).with_name("exchange"))
PATIENCE_S = 90
HOUR_MS = 3_600_000
COLD = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"

pytestmark = pytest.mark.timeout(300)

LISTING = f"""
[[asset]]
symbol = "ETH"
decimals = 18
token = "{NATIVE_TOKEN}"
withdrawal_fee = "network"
withdrawal_fee_max = "0.5"

[[asset]]
symbol = "USDC"
decimals = 6
token = "{{usdc}}"
withdrawal_fee = "1.5"

[[market]]
base = "ETH"
quote = "USDC"
tick = "0.01"
lot = "0.0001"
maker_fee_bps = 10
taker_fee_bps = 20
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path, database_url: str, anvil: Anvil, deployment: Deployment) -> dict[str, str]:
    """A whole setting, on a chain and a database of this test's own."""
    usdc = next(token for token in deployment.tokens if token.symbol == "USDC")
    files = {"password": "secret", "listing.toml": LISTING.format(usdc=usdc.address)}
    for name, index in (("signer.json", dev_keys.SIGNER_KEY), ("sender.json", dev_keys.SENDER_KEY)):
        keystore = Account.encrypt(dev_keys.dev_key(index), "secret", kdf="pbkdf2", iterations=1)
        files[name] = json.dumps(keystore)
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    port = free_port()
    return {
        **os.environ,
        "EXCHANGE_DATABASE_URL": database_url,
        "EXCHANGE_CLICKHOUSE": str(tmp_path / "clickhouse"),
        "EXCHANGE_RPC_URL": anvil.url,
        "EXCHANGE_CHAIN_ID": str(deployment.chain_id),
        "EXCHANGE_VAULT": deployment.vault,
        "EXCHANGE_VAULT_BLOCK": str(deployment.deploy_block),
        "EXCHANGE_CONFIRMATIONS": "1",
        "EXCHANGE_ORIGIN": f"http://127.0.0.1:{port}",
        "EXCHANGE_LISTING": str(tmp_path / "listing.toml"),
        "EXCHANGE_SIGNER_KEYSTORE": str(tmp_path / "signer.json"),
        "EXCHANGE_SENDER_KEYSTORE": str(tmp_path / "sender.json"),
        "EXCHANGE_KEY_PASSWORD_FILE": str(tmp_path / "password"),
        "EXCHANGE_PORT": str(port),
        "EXCHANGE_ADDRESS_DELAY_HOURS": "1",
    }


def said(log: Path) -> str:
    return log.read_text()


@contextlib.asynccontextmanager
async def serving(environment: dict[str, str], log: Path) -> AsyncIterator[httpx.AsyncClient]:
    """`exchange serve` as a process of its own, from ready to an orderly end."""
    with log.open("a") as output:
        process = await asyncio.create_subprocess_exec(
            EXCHANGE, "serve", env=environment, stdout=output, stderr=output
        )
        try:
            async with httpx.AsyncClient(base_url=environment["EXCHANGE_ORIGIN"], timeout=10) as client:
                async with asyncio.timeout(PATIENCE_S):
                    while True:
                        assert process.returncode is None, said(log)
                        with contextlib.suppress(httpx.TransportError):
                            if (await client.get("/v1/health/ready")).status_code == httpx.codes.OK:
                                break
                        await asyncio.sleep(0.1)
                yield client
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S):
                assert await process.wait() == 0, said(log)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def sign_in(client: httpx.AsyncClient, key: LocalAccount) -> None:
    nonce = (await client.post("/v1/auth/nonce", json={"address": key.address})).json()
    signature = key.sign_message(encode_defunct(text=nonce["message"])).signature.hex()
    login = await client.post(
        "/v1/auth/login",
        json={
            "message": nonce["message"],
            "signature": "0x" + signature,
            "pre_login_token": nonce["pre_login_token"],
        },
    )
    assert login.status_code == httpx.codes.OK, login.text
    client.headers["Authorization"] = f"Bearer {login.json()['token']}"
    client.cookies.clear()


async def fees_at(client: httpx.AsyncClient, expected: str) -> dict[str, str]:
    """All withdrawal fees, once that of ETH is the expected one."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            items = (await client.get("/v1/assets")).json()["items"]
            fees = {item["symbol"]: item["withdrawal_fee"] for item in items}
            if fees["ETH"] == expected:
                return fees
            await asyncio.sleep(0.1)


async def withdraw(client: httpx.AsyncClient, key: LocalAccount, quote: dict[str, object]) -> httpx.Response:
    """Signs what the quote says and asks for it."""
    to_sign = quote["to_sign"]
    assert isinstance(to_sign, dict)
    signed = key.sign_typed_data(full_message=to_sign["typed_data"])
    return await client.post(
        "/v1/withdrawals", json=to_sign["request"] | {"signature": "0x" + signed.signature.hex()}
    )


async def test_fees_and_addresses_are_as_the_operator_set_them_and_outlive_a_restart(
    environment: dict[str, str], rpc: Rpc, tmp_path: Path
) -> None:
    key = dev_keys.dev_account(dev_keys.USER_KEYS[0])
    head, priority_fee_wei = await rpc.head(), await rpc.priority_fee_wei()
    cost_wei = GAS_PER_PAYMENT * (head.base_fee_wei + priority_fee_wei)
    fee = format_atoms(two_digits_up(-(-3 * cost_wei // 2)), 18)
    async with serving(environment, tmp_path / "output.txt") as client:
        assert await fees_at(client, fee) == {"ETH": fee, "USDC": "1.5"}
        await sign_in(client, key)
        asked = {"asset": "ETH", "amount": "1", "destination": COLD}
        quote = (await client.get("/v1/withdrawals/quote", params=asked)).json()
        assert (quote["fee"], quote["network"]["cost_wei"]) == (fee, str(cost_wei))
        assert quote["refusals"] == ["destination_not_allowed", "insufficient_funds"]
        assert (await withdraw(client, key, quote)).json()["code"] == "destination_not_allowed"

        described = (await client.get("/v1/deployment")).json()["withdrawal_address_typed_data"]
        deadline_s = int(time.time()) + 600
        signed = key.sign_typed_data(
            described["domain"],
            {"WithdrawalAddress": described["types"]["WithdrawalAddress"]},
            {"account": key.address, "destination": COLD, "nonce": 1, "deadline": deadline_s},
        )
        body = {"address": COLD, "label": "cold", "nonce": "1", "deadline_s": deadline_s}
        body |= {"signature": "0x" + signed.signature.hex()}
        added = await client.post("/v1/withdrawal-addresses", json=body)
        assert added.status_code == httpx.codes.CREATED, added.text
        entry = added.json()["withdrawal_address"]
        assert entry["active_at_ms"] == entry["added_ms"] + HOUR_MS

    async with serving(environment, tmp_path / "output.txt") as client:
        await sign_in(client, key)
        assert await fees_at(client, fee) == {"ETH": fee, "USDC": "1.5"}
        listed = (await client.get("/v1/withdrawal-addresses")).json()
        assert (listed["delay_s"], listed["items"]) == (3_600, [entry])
        quote = (await client.get("/v1/withdrawals/quote", params=asked)).json()
        refused = (await withdraw(client, key, quote)).json()
        assert (refused["code"], refused["retry_at_ms"]) == ("destination_waiting", entry["active_at_ms"])
        asked["destination"] = key.address
        quote = (await client.get("/v1/withdrawals/quote", params=asked)).json()
        assert (await withdraw(client, key, quote)).json()["code"] == "insufficient_funds"
