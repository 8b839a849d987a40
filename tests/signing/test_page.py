"""docs/api/signing.md says what vectors.json has."""

import json
import re
import time
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from tests.signing.make_vectors import ED25519_SECRET, VECTORS, typed_data

from exchange.core.agents import MAX_AGENTS, MAX_IP_RANGES, MAX_LIVE_AGENTS, MAX_NAME_CHARS, MAX_NONCES
from exchange.gateway.signed_requests import HEADERS, MAX_EXPIRES_AWAY_MS

PAGE = (Path(__file__).parents[2] / "docs" / "api" / "signing.md").read_text()
CONTENT: dict[str, Any] = json.loads(VECTORS.read_text())


def vector(name: str) -> dict[str, Any]:
    (found,) = [one for one in CONTENT["requests"] if one["name"] == name]
    return found


def test_the_worked_example_is_a_vector():
    example = vector("ed25519: place an order")
    sent = {
        "Exchange-Key": example["key"],
        "Exchange-Nonce": example["nonce"],
        "Exchange-Expires": example["expires_ms"],
        "Exchange-Signature": example["signature"],
    }
    headers = "\n".join(f"{name}: {value}" for name, value in sent.items())
    for shown in (example["text"], example["body"], headers):
        assert indent(shown, "    ") + "\n" in PAGE
    assert example["secret_key"][2:] in PAGE
    assert f"{len(example['body'])} bytes" in PAGE
    other = vector("secp256k1: place an order")
    assert f"    Exchange-Signature: {other['signature']}\n" in PAGE
    assert f"`{other['key']}`" in PAGE


@pytest.mark.parametrize("name", ["read with a query", "body that is not ASCII", "cancel all of a market"])
def test_the_program_of_the_page_signs_as_the_vectors_do(name: str, monkeypatch: pytest.MonkeyPatch):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    example = vector(f"ed25519: {name}")
    signed_at_us = int(example["nonce"])
    monkeypatch.setattr(time, "time_ns", lambda: signed_at_us * 1_000)
    # The vectors expire 30 s after signing, the page's requests 10 s.
    names: dict[str, Any] = {}
    exec(program.replace("+ 10_000", "+ 30_000"), names)
    headers = names["signed_headers"](
        ED25519_SECRET,
        CONTENT["genesis_id"],
        CONTENT["host"],
        example["method"],
        example["target"],
        example["body"].encode(),
    )
    assert list(headers) == list(HEADERS)
    assert headers["Exchange-Signature"] == example["signature"]


def test_the_type_of_an_approval_is_the_one_that_is_signed():
    fields = typed_data(CONTENT["approvals"][0]["message"])["types"]["AgentApproval"]
    shown = re.sub(r"\s+", " ", PAGE)
    signature = ",".join(f"{field['type']} {field['name']}" for field in fields)
    assert f"AgentApproval({signature})".replace("uint64 expires", " uint64 expires") in shown
    for field in fields:
        assert f"| `{field['name']}` | " in PAGE


def test_the_bounds_of_the_page_are_those_of_the_exchange():
    for said in (
        f"at most {MAX_EXPIRES_AWAY_MS // 1_000} s from now",
        f"the {MAX_NONCES} highest of each key",
        f"{MAX_LIVE_AGENTS} keys that are neither revoked nor over, and {MAX_AGENTS:,} in all",
        f"at most {MAX_IP_RANGES} ranges",
        f"1 to {MAX_NAME_CHARS} printable characters",
    ):
        assert said in PAGE
