"""What we sign is what somebody else signs who has read docs/api/signing.md: a program in TypeScript."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
VECTORS = HERE / "vectors.json"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=100)  # noqa: PLW1510


@pytest.fixture(scope="session")
def programs(worker_id: str) -> Path:
    """The TypeScript programs of this folder, compiled where they find their packages."""
    folder = ROOT / "build" / "signing" / worker_id
    compiler = ROOT / "node_modules" / ".bin" / "tsc"
    answer = run(compiler, "-p", HERE / "tsconfig.json", "--outDir", folder)
    assert answer.returncode == 0, answer.stdout
    return folder


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
