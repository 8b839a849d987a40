"""From a deposit to a balance that anybody can check, through the processes that a person would start."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account.signers.local import LocalAccount
from tests.e2e.test_devnet import START_S, Devnet, interrupt
from tests.edge.harness import personal_sign

from exchange.chain.dev_keys import dev_account
from exchange.chain.vault import selector

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_balance.py"
ETHER = 10**18

pytestmark = pytest.mark.timeout(300)


def login(url: str, key: LocalAccount) -> str:
    nonce = httpx.post(f"{url}/v1/auth/nonce", json={"address": key.address}, timeout=30).json()
    body = {
        "message": nonce["message"],
        "signature": personal_sign(key, nonce["message"]),
        "pre_login_token": nonce["pre_login_token"],
    }
    response = httpx.post(f"{url}/v1/auth/login", json=body, timeout=30)
    assert response.status_code == 200, response.text
    return str(response.json()["token"])


def deposit(devnet: Devnet, vault: str, key: LocalAccount, atoms: int) -> None:
    data = selector("depositNative(address)") + bytes(12) + bytes.fromhex(key.address[2:])
    transaction = {"from": key.address, "to": vault, "data": "0x" + data.hex(), "value": hex(atoms)}
    devnet.rpc("eth_sendTransaction", transaction | {"gas": "0x7a120"})


def published_proof(devnet: Devnet, token: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    deadline = time.monotonic() + START_S
    while True:
        response = httpx.get(f"{devnet.url}/v1/proof/balance", headers=headers)
        if response.status_code == 200 and response.json()["publication"] is not None:
            return dict(response.json())
        assert time.monotonic() < deadline, response.text
        time.sleep(0.2)


def verify(proof: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, "-", *arguments],
        input=json.dumps(proof),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_deposit_is_counted_in_a_root_on_the_chain_and_anybody_can_check_it(tmp_path: Path) -> None:
    devnet = Devnet(tmp_path / "data")
    alice, bob = dev_account(0), dev_account(1)
    with devnet.running() as process:
        vault = httpx.get(f"{devnet.url}/v1/deployment").json()["vault"]
        deposit(devnet, vault, alice, 3 * ETHER)
        deposit(devnet, vault, bob, 2 * ETHER)
        proof = published_proof(devnet, login(devnet.url, alice))
        contract = json.loads((devnet.folder / "deployment.json").read_text())["balance_roots"]
        on_chain = ("--rpc", f"http://localhost:{devnet.rpc_port}", "--contract", contract)
        verdict = verify(proof, *on_chain)
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr
        assert "RIGHT: these amounts are part of the root on the chain" in verdict.stdout
        solvency = httpx.get(f"{devnet.url}/v1/proof/solvency").json()
        assert solvency["status"] == "agrees"
        assert [item["vault"] for item in solvency["assets"] if item["asset"] == "ETH"] == ["5"]

        root = proof["root"]
        proof["leaves"][0]["amount_atoms"] = str(4 * ETHER)
        assert verify(proof, *on_chain).returncode == 1
        assert interrupt(process) == 0
    with devnet.running() as process:
        again = published_proof(devnet, login(devnet.url, alice))
        assert verify(again).returncode == 0  # this chain forgets what the vault held before its restart
        first = httpx.get(f"{devnet.url}/v1/proof/roots").json()["items"][-1]
        assert (first["root"], first["state"]) == (root, "published")
        assert interrupt(process) == 0
