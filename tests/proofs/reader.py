"""The reader's tool as a reader runs it, and what is shown to him: a user's proof, true or forged."""

import asyncio
import copy
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import verify_balance
from tests.proofs.venue import Venue

from exchange.chain.balance_roots import publish_call
from exchange.chain.dev_keys import PUBLISHER_KEY, dev_address

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_balance.py"

Proof = dict[str, Any]
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Verdict:
    code: int
    said: str


async def run(*arguments: str, stdin: str = "", isolation: tuple[str, ...] = ("-I",)) -> Verdict:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *isolation,
        str(SCRIPT),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin"},
    )
    said, _ = await process.communicate(stdin.encode())
    assert process.returncode is not None
    assert b"Traceback" not in said, said.decode()
    return Verdict(process.returncode, said.decode())


async def verify(proof: Proof, *arguments: str) -> Verdict:
    return await run("-", *arguments, stdin=json.dumps(proof))


@dataclass
class Shown:
    """A user's published proof, and where everything is."""

    venue: Venue
    proof: Proof
    api: str
    token: str
    rpc_url: str

    @property
    def contract(self) -> str:
        return self.venue.deployment.balance_roots

    @property
    def on_chain(self) -> tuple[str, ...]:
        return ("--rpc", self.rpc_url, "--contract", self.contract)

    @property
    def thoroughly(self) -> tuple[str, ...]:
        """Nothing is left to the exchange's own word."""
        return (*self.on_chain, "--vault", self.venue.deployment.vault, "--owner", dev_address(1))


def changed(proof: Proof, place: Place, value: Any) -> Proof:
    """A copy with another value there; ... takes it away."""
    result = copy.deepcopy(proof)
    within = result
    for name in place[:-1]:
        within = within[name]
    if value is ...:
        del within[place[-1]]
    else:
        within[place[-1]] = value
    return result


def at(proof: Proof, place: Place) -> Any:
    for name in place:
        proof = proof[name]
    return proof


async def publish_root(venue: Venue, root: str, seq: int, block_number: int) -> None:
    await venue.rpc.call("anvil_impersonateAccount", dev_address(PUBLISHER_KEY))
    wallet = venue.wallet(0)
    wallet.address = dev_address(PUBLISHER_KEY)
    call = publish_call(bytes.fromhex(root[2:]), seq, block_number)
    await wallet.send(venue.deployment.balance_roots, call, gas="0x3d090")


def forged(proof: Proof, **asset_changes: Any) -> Proof:
    """A proof by an operator who commits to other sums of ETH, with a root that fits them."""
    result = copy.deepcopy(proof)
    result["seq"] += 1
    result["assets"][0] |= asset_changes
    assets = verify_balance.read_assets(result)
    result["root"] = "0x" + verify_balance.root_of(result, assets).hex()
    result["publication"]["index"] = 1
    return result


def owing_more(proof: Proof, more_atoms: int, correction: str) -> Proof:
    """A proof by an operator who owes more ETH than he has: the rest of the tree belongs to somebody else.

    `correction` is the field that explains it away: `unsettled_atoms`, or `uncredited_atoms`.
    """
    result = copy.deepcopy(proof)
    eth = result["assets"][0]
    [leaf] = [leaf for leaf in result["leaves"] if leaf["token"] == eth["token"]]
    other, total = b"\x5a" * 32, int(eth["total_atoms"])
    leaf["path"].append({"hash": f"0x{other.hex()}", "sum_atoms": str(more_atoms), "side": "right"})
    below = bytes.fromhex(eth["tree_hash"][2:]) + total.to_bytes(32)
    tree_hash = verify_balance.keccak(b"\x01" + below + other + more_atoms.to_bytes(32))
    away = more_atoms if correction == "unsettled_atoms" else -more_atoms
    eth |= {"tree_hash": f"0x{tree_hash.hex()}", "depth": eth["depth"] + 1}
    return forged(
        result, total_atoms=str(total + more_atoms), **{correction: str(int(eth[correction]) + away)}
    )
