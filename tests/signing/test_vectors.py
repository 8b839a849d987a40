"""Every vector of vectors.json is what PyNaCl and eth_account say, and what the server makes and takes."""

import hashlib
import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_utils import keccak
from nacl.signing import VerifyKey
from tests.signing.make_vectors import VECTORS, document, typed_data

from exchange.gateway.agent_keys import kind_of
from exchange.gateway.refusals import RequestSignatureRefused
from exchange.gateway.signatures import parse_signature, require_signer
from exchange.gateway.signed_requests import request_text, verify, websocket_text
from exchange.gateway.typed_data import AgentApprovalMessage, TypedDataDomain

CONTENT: dict[str, Any] = json.loads(VECTORS.read_text())
SIGNED = CONTENT["requests"] + CONTENT["websocket"]


def named(vectors: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])


def text_of(vector: dict[str, Any]) -> bytes:
    """As the server makes it."""
    genesis_id, host, key = CONTENT["genesis_id"], CONTENT["host"], vector["key"]
    if "challenge" in vector:
        return websocket_text(genesis_id, host, key, vector["challenge"], vector["expires_ms"])
    target, body = vector["target"].encode(), vector["body"].encode()
    return request_text(
        genesis_id, host, key, vector["method"], target, body, vector["nonce"], vector["expires_ms"]
    )


def test_the_file_is_what_its_program_writes():
    assert VECTORS.read_text() == document(), "write it anew: python -m tests.signing.make_vectors"


@named(SIGNED)
def test_the_signature_is_the_keys_by_other_peoples_libraries(vector: dict[str, Any]):
    text, signature = vector["text"], bytes.fromhex(vector["signature"][2:])
    if vector["kind"] == "ed25519":
        VerifyKey(bytes.fromhex(vector["key"][2:])).verify(text.encode(), signature)
    else:
        signer = Account.recover_message(encode_defunct(text=text), signature=signature)
        assert signer.lower() == vector["key"]


@named(SIGNED)
def test_the_server_makes_the_text_and_takes_the_signature(vector: dict[str, Any]):
    text = text_of(vector)
    assert text == vector["text"].encode()
    assert kind_of(vector["key"]) == vector["kind"]
    verify(vector["key"], text, vector["signature"])


@named(SIGNED)
def test_the_server_takes_no_signature_for_another_text(vector: dict[str, Any]):
    with pytest.raises(RequestSignatureRefused) as caught:
        verify(vector["key"], text_of(vector) + b" ", vector["signature"])
    assert caught.value.code == "signature_wrong_signer"
    assert caught.value.members["signed_text"] == vector["text"] + " "


@named(CONTENT["requests"])
def test_the_text_has_the_hash_of_the_body(vector: dict[str, Any]):
    assert vector["text"].split("\n")[6] == hashlib.sha256(vector["body"].encode()).hexdigest()


@named(CONTENT["approvals"])
def test_the_digest_of_an_approval_is_the_one_that_wallets_sign(vector: dict[str, Any]):
    message = vector["message"]
    signable = encode_typed_data(full_message=typed_data(message))
    digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert vector["digest"] == "0x" + digest.hex()
    domain = TypedDataDomain(CONTENT["genesis_id"], CONTENT["chain_id"], CONTENT["vault"])
    ours = domain.agent_digest(
        AgentApprovalMessage(
            account=message["account"].lower(),
            key=message["key"],
            name=message["name"],
            scopes=tuple(message["scopes"]),
            markets=tuple(message["markets"]),
            sub_accounts=tuple(message["subAccounts"]),
            expires_s=message["expires"],
            ip_ranges=tuple(message["ipRanges"]),
            nonce=int(message["nonce"]),
            deadline_s=message["deadline"],
        )
    )
    assert ours == digest
    require_signer(digest, parse_signature(vector["signature"]), vector["owner"])
    assert domain.agent_typed_data()["types"] == typed_data(message)["types"]
