"""What we sign is what somebody else signs who has read docs/api/signing.md: a program in TypeScript."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.edge.agents import Ed25519Key, Key, Secp256k1Key
from tests.signing.conftest import Live

HERE = Path(__file__).parent
VECTORS = HERE / "vectors.json"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=100)  # noqa: PLW1510


def verified(programs: Path, vectors: Path) -> subprocess.CompletedProcess[str]:
    return run("node", programs / "verify.mjs", vectors)


def test_typescript_makes_and_takes_every_vector(programs: Path) -> None:
    answer = verified(programs, VECTORS)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    content = json.loads(VECTORS.read_text())
    assert content["requests"]
    assert content["websocket"]
    assert content["approvals"]
    counted = 4 * (len(content["requests"]) + len(content["websocket"])) + 3 * len(content["approvals"])
    assert f"checked={counted} failed=0" in answer.stdout


def test_vectors_cover_both_kinds_of_key() -> None:
    content = json.loads(VECTORS.read_text())
    for group in ("requests", "websocket"):
        assert {vector["kind"] for vector in content[group]} == {"ed25519", "secp256k1"}


@pytest.mark.parametrize(
    ("group", "field"),
    [
        ("requests", "method"),
        ("requests", "target"),
        ("requests", "body"),
        ("requests", "nonce"),
        ("requests", "expires_ms"),
        ("websocket", "challenge"),
        ("websocket", "expires_ms"),
    ],
)
def test_vector_with_another_value_is_found(programs: Path, tmp_path: Path, group: str, field: str) -> None:
    content: dict[str, Any] = json.loads(VECTORS.read_text())
    content[group][0][field] += "0"
    changed = tmp_path / "vectors.json"
    changed.write_text(json.dumps(content))
    answer = verified(programs, changed)
    assert answer.returncode == 1
    assert f"{content[group][0]['name']}: the text is another" in answer.stdout


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "another name"),
        ("scopes", ["read", "trade", "withdraw"]),
        ("markets", ["DOGE-USDC"]),
        ("subAccounts", [99]),
        ("expires", 1),
        ("ipRanges", ["198.51.100.0/24"]),
        ("nonce", "123456789"),
        ("deadline", 1),
    ],
)
def test_approval_with_another_value_is_found(
    programs: Path, tmp_path: Path, field: str, value: object
) -> None:
    content: dict[str, Any] = json.loads(VECTORS.read_text())
    content["approvals"][0]["message"][field] = value
    changed = tmp_path / "vectors.json"
    changed.write_text(json.dumps(content))
    answer = verified(programs, changed)
    assert answer.returncode == 1
    assert f"{content['approvals'][0]['name']}: the digest is another" in answer.stdout


# ---- a running exchange


async def sent(programs: Path, live: Live, key: Key, *request: str) -> tuple[int, dict[str, Any]]:
    """What a running exchange answers to the request that the program signs."""
    program = await asyncio.create_subprocess_exec(
        "node",
        programs / "request.mjs",
        live.url.rstrip("/"),
        key.text,
        key.secret,
        *request,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(100):
            said, failed = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
    assert program.returncode == 0, failed.decode()
    status, _, content = said.decode().partition("\n")
    return int(status), json.loads(content)


@pytest.mark.parametrize("kind", [Ed25519Key, Secp256k1Key], ids=lambda kind: kind.kind)
async def test_a_running_exchange_takes_what_typescript_signs(
    programs: Path, live_now: Live, kind: type[Key]
) -> None:
    bot = await live_now.bot(kind())
    status, read = await sent(programs, live_now, bot.key, "GET", "/v1/balances?sub_account=0")
    assert (status, {item["asset"] for item in read["items"]}) == (200, {"ETH", "USDC", "WBTC"})
    order = json.dumps({"market": "ETH-USDC", "side": "buy", "price": "2990", "size": "0.5"})
    status, placed = await sent(programs, live_now, bot.key, "POST", "/v1/orders", order)
    assert (status, placed["order"]["status"]) == (201, "open"), placed
    assert live_now.open_orders() == [int(placed["order"]["order_id"])]
    status, refused = await sent(programs, live_now, kind(), "GET", "/v1/balances")
    assert (status, refused["code"]) == (401, "agent_unknown")
