"""Writes vectors.json: fixed keys, what they sign, and the signatures.

With nothing of the server's own code: PyNaCl signs with Ed25519, eth_account with secp256k1. After a change
of docs/api/signing.md: `python -m tests.signing.make_vectors`, and read the difference.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_utils import keccak
from nacl.signing import SigningKey

VECTORS = Path(__file__).parent / "vectors.json"

GENESIS_ID = "0x" + "5f" * 32
HOST = "exchange.example"
CHAIN_ID = 31337
VAULT = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
ED25519_SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
"""Of RFC 8032's first test."""
SECP256K1_SECRET = "0x" + "46" * 32
"""Of EIP-155's example."""
OWNER_SECRET = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Of the first development wallet."""
NONCE = "1763841600000000"
EXPIRES_MS = "1763841630000"
CHALLENGE = "0x" + "c4" * 32

ORDER = '{"market":"ETH-USDC","side":"buy","price":"2990","size":"0.5","client_order_id":"mine-1"}'
REQUESTS = [
    ("read with a query", "GET", "/v1/orders?market=ETH-USDC&status=open&limit=10", ""),
    ("read without a query", "GET", "/v1/balances", ""),
    ("escaped characters in the query, as sent", "GET", "/v1/fills?market=ETH%2DUSDC&order_id=%31042", ""),
    ("place an order", "POST", "/v1/orders", ORDER),
    ("body that is not ASCII", "POST", "/v1/orders", '{"market": "ÉTH-€", "note": "日本\\n"}'),
    ("batch", "POST", "/v1/orders/batch", '{"operations": [{"op": "cancel", "order_id": "1042"}]}'),
    ("amend an order", "PATCH", "/v1/orders/1042", '{"size":"0.4"}'),
    ("cancel an order, without a body", "DELETE", "/v1/orders/1042", ""),
    ("cancel all of a market", "DELETE", "/v1/orders?market=ETH-USDC&side=sell", ""),
]


def lines(*parts: str) -> str:
    return "\n".join(parts)


def keys() -> list[tuple[str, str, str]]:
    """(kind, secret, key) of both kinds."""
    public = SigningKey(ED25519_SECRET).verify_key.encode()
    return [
        ("ed25519", "0x" + ED25519_SECRET.hex(), "0x" + public.hex()),
        ("secp256k1", SECP256K1_SECRET, Account.from_key(SECP256K1_SECRET).address.lower()),
    ]


def signed(kind: str, text: str) -> str:
    if kind == "ed25519":
        return "0x" + SigningKey(ED25519_SECRET).sign(text.encode()).signature.hex()
    signature = Account.from_key(SECP256K1_SECRET).sign_message(encode_defunct(text=text)).signature
    return "0x" + bytes(signature).hex()


def requests() -> list[dict[str, str]]:
    made = []
    for kind, secret, key in keys():
        for name, method, target, body in REQUESTS:
            body_hash = hashlib.sha256(body.encode()).hexdigest()
            text = lines(
                *("exchange-request-1", GENESIS_ID, HOST, key, method, target, body_hash, NONCE, EXPIRES_MS)
            )
            made.append(
                {
                    "name": f"{kind}: {name}",
                    "kind": kind,
                    "secret_key": secret,
                    "key": key,
                    "method": method,
                    "target": target,
                    "body": body,
                    "nonce": NONCE,
                    "expires_ms": EXPIRES_MS,
                    "text": text,
                    "signature": signed(kind, text),
                }
            )
    return made


def websocket() -> list[dict[str, str]]:
    made = []
    for kind, secret, key in keys():
        text = lines("exchange-websocket-1", GENESIS_ID, HOST, key, CHALLENGE, EXPIRES_MS)
        made.append(
            {
                "name": f"{kind}: answer to a challenge",
                "kind": kind,
                "secret_key": secret,
                "key": key,
                "challenge": CHALLENGE,
                "expires_ms": EXPIRES_MS,
                "text": text,
                "signature": signed(kind, text),
            }
        )
    return made


def approvals() -> list[dict[str, Any]]:
    owner = Account.from_key(OWNER_SECRET)
    (_, _, ed25519), (_, _, secp256k1) = keys()
    everything = {
        "account": owner.address,
        "key": ed25519,
        "name": "everything, from anywhere",
        "scopes": ["read", "trade"],
        "markets": [],
        "subAccounts": [],
        "expires": 1795377600,
        "ipRanges": [],
        "nonce": "0",
        "deadline": 1763845200,
    }
    little = everything | {
        "key": secp256k1,
        "name": "Händler 7 日本",
        "scopes": ["trade"],
        "markets": ["ETH-USDC", "WBTC-USDC"],
        "subAccounts": [0, 3, 127],
        "ipRanges": ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32"],
        "nonce": str(2**63 - 1),
    }
    reader = everything | {"name": "reader", "scopes": ["read"], "subAccounts": [1], "nonce": "1763841600000"}
    made = []
    for message in (everything, little, reader):
        signable = encode_typed_data(full_message=typed_data(message))
        digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
        signature = owner.sign_message(signable).signature
        made.append(
            {
                "name": f"approval: {message['name']}",
                "owner_secret_key": OWNER_SECRET,
                "owner": owner.address.lower(),
                "message": message,
                "digest": "0x" + digest.hex(),
                "signature": "0x" + bytes(signature).hex(),
            }
        )
    return made


def typed_data(message: dict[str, Any]) -> dict[str, Any]:
    """As docs/api/signing.md has it, for `eth_signTypedData_v4`."""
    fields = {
        "account": "address",
        "key": "string",
        "name": "string",
        "scopes": "string[]",
        "markets": "string[]",
        "subAccounts": "uint8[]",
        "expires": "uint64",
        "ipRanges": "string[]",
        "nonce": "uint256",
        "deadline": "uint256",
    }
    domain = {
        "name": "string",
        "version": "string",
        "chainId": "uint256",
        "verifyingContract": "address",
        "salt": "bytes32",
    }
    return {
        "domain": {
            "name": "Exchange",
            "version": "1",
            "chainId": CHAIN_ID,
            "verifyingContract": VAULT,
            "salt": GENESIS_ID,
        },
        "primaryType": "AgentApproval",
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in domain.items()],
            "AgentApproval": [{"name": name, "type": kind} for name, kind in fields.items()],
        },
        "message": message | {"nonce": int(message["nonce"])},
    }


def document() -> str:
    content = {
        "genesis_id": GENESIS_ID,
        "host": HOST,
        "chain_id": CHAIN_ID,
        "vault": VAULT,
        "requests": requests(),
        "websocket": websocket(),
        "approvals": approvals(),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    VECTORS.write_text(document(), encoding="utf-8")
