"""From a deposit to a balance that anybody can check, through the processes that a person would start."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account.signers.local import LocalAccount
from eth_typing import Hash32
from tests.e2e.test_devnet import START_S, Devnet, interrupt
from tests.edge.harness import personal_sign

from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, SIGNER_KEY, dev_account, dev_address
from exchange.chain.vault import Payment, payment_digest, selector, withdraw_call
from exchange.core.markets import NATIVE_TOKEN

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


def pay_behind_the_back(devnet: Devnet, vault: str, atoms: int) -> None:
    """Has the vault pay somebody, by its own keys, without the exchange knowing."""
    payment = Payment("0x" + "99" * 32, dev_address(9), NATIVE_TOKEN, atoms, dev_address(9), 2**40)
    digest = payment_digest(DEV_CHAIN_ID, vault.lower(), payment)
    signature = bytes(dev_account(SIGNER_KEY).unsafe_sign_hash(Hash32(digest)).signature)
    data = withdraw_call([payment], [signature])
    transaction = {"from": dev_address(SENDER_KEY), "to": vault, "data": "0x" + data.hex(), "gas": "0x7a120"}
    devnet.rpc("anvil_impersonateAccount", dev_address(SENDER_KEY))
    devnet.rpc("eth_sendTransaction", transaction)


def part(devnet: Devnet, name: str) -> dict[str, Any]:
    """What a part of the exchange says of its health."""
    parts = httpx.get(f"{devnet.url}/v1/health/ready").json()["parts"]
    [found] = [entry for entry in parts if entry["name"] == name]
    return dict(found)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


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
        known = ("--vault", vault, "--owner", alice.address, "--expect", "native=3")
        verdict = verify(proof, *on_chain, *known)
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr
        assert "RIGHT: these amounts are part of the root on the chain" in verdict.stdout
        assert "CAREFUL" not in verdict.stdout
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


def test_a_payment_behind_the_exchanges_back_is_published_and_halts_withdrawals_for_good(
    tmp_path: Path,
) -> None:
    devnet = Devnet(tmp_path / "data")

    def eth() -> dict[str, Any]:
        answer = httpx.get(f"{devnet.url}/v1/proof/solvency").json()
        items = [item for item in answer.get("assets", []) if item["asset"] == "ETH"]
        return dict(items[0]) | {"status": answer["status"]} if items else {}

    with devnet.running() as process:
        vault = httpx.get(f"{devnet.url}/v1/deployment").json()["vault"]
        deposit(devnet, vault, dev_account(0), 5 * ETHER)
        wait_for(lambda: eth().get("vault") == "5")
        assert eth()["status"] == "agrees"
        pay_behind_the_back(devnet, vault, ETHER)
        wait_for(lambda: eth()["status"] == "differs")
        assert (eth()["vault"], eth()["ledger"], eth()["difference"]) == ("4", "5", "-1")
        wait_for(lambda: part(devnet, "halts")["detail"] == "withdrawals halted: books_differ")
        assert part(devnet, "books")["detail"] == "vault and ledger differ in ETH"
        assert interrupt(process) == 0
    with devnet.running() as process:
        wait_for(lambda: "books_differ" in part(devnet, "halts")["detail"])  # once its table is read again
        assert interrupt(process) == 0
