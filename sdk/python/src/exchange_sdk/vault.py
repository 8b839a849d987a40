"""What is called on the vault and on tokens, and the domains that permits are signed in."""

from typing import Any, NamedTuple

from eth_account.messages import encode_typed_data

NATIVE = "0x" + "00" * 20
"""How the chain's own coin is written where a token is expected."""


def _function(name: str, inputs: list[tuple[str, str]], output: str, kind: str) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "stateMutability": kind,
        "inputs": [{"name": argument, "type": of_type} for argument, of_type in inputs],
        "outputs": [{"name": "", "type": output}],
    }


_ACCOUNT = ("account", "address")
_TOKEN = ("token", "address")
_AMOUNT = ("amount", "uint256")
_PERMIT = [("deadline", "uint256"), ("v", "uint8"), ("r", "bytes32"), ("s", "bytes32")]

VAULT_ABI = [
    _function("depositNative", [_ACCOUNT], "uint256", "payable"),
    _function("deposit", [_ACCOUNT, _TOKEN, _AMOUNT], "uint256", "nonpayable"),
    _function("depositWithPermit", [_ACCOUNT, _TOKEN, _AMOUNT, *_PERMIT], "uint256", "nonpayable"),
    _function("claim", [_TOKEN, ("destination", "address")], "uint256", "nonpayable"),
    _function("claimable", [_ACCOUNT, _TOKEN], "uint256", "view"),
    {
        "type": "event",
        "name": "Deposited",
        "anonymous": False,
        "inputs": [
            {"name": "number", "type": "uint256", "indexed": True},
            {"name": "account", "type": "address", "indexed": True},
            {"name": "token", "type": "address", "indexed": True},
            {"name": "amount", "type": "uint256", "indexed": False},
            {"name": "sender", "type": "address", "indexed": False},
            {"name": "depositHash", "type": "bytes32", "indexed": False},
        ],
    },
]

TOKEN_ABI = [
    _function("balanceOf", [("holder", "address")], "uint256", "view"),
    _function("allowance", [("holder", "address"), ("spender", "address")], "uint256", "view"),
    _function("approve", [("spender", "address"), _AMOUNT], "bool", "nonpayable"),
    _function("nonces", [("holder", "address")], "uint256", "view"),
    _function("DOMAIN_SEPARATOR", [], "bytes32", "view"),
    _function("name", [], "string", "view"),
    _function("version", [], "string", "view"),
]


class Domain(NamedTuple):
    """A domain of EIP-712, and its separator."""

    data: dict[str, Any]
    separator: bytes


def permit_domains(name: str, versions: list[str], chain_id: int, token: str) -> list[Domain]:
    """The domains that a token with this name may sign permits in; only its own separator tells which."""
    found = []
    for version in dict.fromkeys([*versions, "1", "2"]):
        data = {"name": name, "version": version, "chainId": chain_id, "verifyingContract": token}
        signable = encode_typed_data(data, {"Anything": [{"name": "any", "type": "uint256"}]}, {"any": 0})
        found.append(Domain(data, bytes(signable.header)))
    return found
