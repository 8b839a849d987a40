"""Where an account's deposit address is: computed here, never asked of a node.

A node that lies about an address would collect the deposits of everybody who is shown it. So the address is
worked out from the compiled forwarder, the registry, the vault and the account (CREATE2), and once at start
compared with what the registry says, which finds a wrong build and a wrong setting.
Source: contracts/src/DepositAddresses.sol, EIP-1014.
"""

from pathlib import Path

import msgspec
from eth_utils.crypto import keccak

from exchange.chain.deposit_addresses import address_of_call, decode_address
from exchange.chain.errors import ArtifactMissing, RegistryDiffers
from exchange.chain.rpc import Rpc

_PROBE = "0x" + "00" * 19 + "01"


class Forwarders:
    """The deposit addresses of one registry and its vault. Addresses are lower-case 0x text."""

    def __init__(self, creation_code: bytes, *, registry: str, vault: str) -> None:
        self.registry = registry
        self._creation_code = creation_code + _word(vault)

    @classmethod
    def load(cls, artifacts: Path, *, registry: str, vault: str) -> "Forwarders":
        """From forge's output folder. Raises ArtifactMissing."""
        return cls(forwarder_code(artifacts), registry=registry, vault=vault)

    def address_of(self, owner: str) -> str:
        """The account's deposit address, whether there is code yet or not."""
        salt = _word(owner)
        code_hash = keccak(self._creation_code + salt)
        return "0x" + keccak(b"\xff" + bytes.fromhex(self.registry[2:]) + salt + code_hash)[12:].hex()

    async def check(self, rpc: Rpc) -> None:
        """That the registry on the chain computes the same. Raises RegistryDiffers, ChainError."""
        answer = decode_address(await rpc.view(self.registry, address_of_call(_PROBE)))
        if answer != self.address_of(_PROBE):
            raise RegistryDiffers(self.registry)


def forwarder_code(artifacts: Path) -> bytes:
    """What creates a forwarder, as compiled into forge's output folder. Raises ArtifactMissing."""
    path = artifacts / "DepositForwarder.sol" / "DepositForwarder.json"
    try:
        artifact = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactMissing(str(path)) from None
    code: str = artifact["bytecode"]["object"]
    return bytes.fromhex(code.removeprefix("0x"))


def _word(address: str) -> bytes:
    return bytes(12) + bytes.fromhex(address[2:])
