"""Checks a proof that an exchange counted your balance among what it owes. Trusts nobody but the chain.

    python verify_balance.py proof.json
    python verify_balance.py --url https://exchange.example --token-file token.txt
    python verify_balance.py proof.json --rpc https://your.node --contract 0x... --vault 0x... --owner 0x...

Needs Python 3.11 and one package: pip install pycryptodome. Nothing of the exchange's own code is in it.

It computes your leaf's hash from owner, amount and salt, climbs the tree with the hashes and sums of the
proof, and must arrive at the root. With --rpc it also asks a node of your choice whether this very root is
stored in the contract, and whether the vault held at that block what the proof says. Give --contract and
--vault from a source that you trust: otherwise they are only what the exchange says they are.

Ends with 0 when all that was asked for is right, with 1 when anything in the proof is wrong, and with 2 when
it could not be checked (nothing to read, no answer, wrong usage). What the proof means: docs/proofs.md.
"""

import argparse
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

try:
    from Crypto.Hash import keccak as _keccak
except ImportError:
    print("This needs one package: pip install pycryptodome", file=sys.stderr)
    sys.exit(2)

FORMAT = "exchange-balance-proof-1"
MAX_SUM = 2**128 - 1
MAX_DEPTH = 64
MAX_BYTES = 10_000_000
TIMEOUT_S = 30

Say = Callable[[str], None]

_number = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII).fullmatch
_hex = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII).fullmatch
_plain = re.compile(r"[ -~]{1,80}", re.ASCII).fullmatch


class Wrong(Exception):
    """The proof does not prove what it says."""


class Unchecked(Exception):
    """It could not be checked."""


def keccak(data: bytes) -> bytes:
    """Ethereum's hash; not the SHA-3 of the standard library."""
    return _keccak.new(data=data, digest_bits=256).digest()


# ---- reading the proof: nothing in it is believed


def member(of: Any, name: str, kind: type) -> Any:
    """A member of exactly that type."""
    value = of.get(name) if isinstance(of, dict) else None
    if type(value) is not kind:
        raise Wrong(f"the proof has no proper {name!r}")
    return value


def text(of: Any, name: str) -> str:
    """A text that does no harm on a terminal."""
    value: str = member(of, name, str)
    if not _plain(value):
        raise Wrong(f"{name!r} is not a short plain text")
    return value


def whole(of: Any, name: str, most: int = 2**64 - 1) -> int:
    """A number from 0 to `most`."""
    value: int = member(of, name, int)
    if not 0 <= value <= most:
        raise Wrong(f"{name!r} is out of range")
    return value


def atoms(of: Any, name: str, *, signed: bool = False) -> int:
    """An amount in smallest units. Only two fields have a sign: negative sums would forge a total."""
    value: str = member(of, name, str)
    is_negative = signed and value.startswith("-")
    digits = value[1:] if is_negative else value
    if not _number(digits) or int(digits) > MAX_SUM:
        raise Wrong(f"{name!r} is not a whole number of atoms below 2^128")
    return -int(digits) if is_negative else int(digits)


def hexed(of: Any, name: str, length: int) -> bytes:
    """So many bytes, written as 0x and hexadecimal digits."""
    value: str = member(of, name, str)
    if not _hex(value) or len(value) != 2 + 2 * length:
        raise Wrong(f"{name!r} is not {length} bytes in hexadecimal")
    return bytes.fromhex(value[2:])


@dataclass
class Asset:
    """One asset of the root."""

    symbol: str
    token: bytes
    decimals: int
    depth: int
    tree_hash: bytes
    total: int
    uncredited: int
    unsettled: int

    @property
    def in_vault(self) -> int:
        """What the vault must have held, by the proof."""
        return self.total + self.uncredited - self.unsettled

    def amount(self, number: int) -> str:
        """Atoms in words for people."""
        head, tail = divmod(number, 10**self.decimals)
        fraction = f".{tail:0{self.decimals}d}".rstrip("0").rstrip(".") if self.decimals else ""
        return f"{head}{fraction} {self.symbol}"


def read_assets(proof: Any) -> list[Asset]:
    """The assets of the root, by ascending token, each once: else there could be two trees of one asset."""
    assets = [
        Asset(
            symbol=text(entry, "asset"),
            token=hexed(entry, "token", 20),
            decimals=whole(entry, "decimals", 77),
            depth=whole(entry, "depth", MAX_DEPTH),
            tree_hash=hexed(entry, "tree_hash", 32),
            total=atoms(entry, "total_atoms"),
            uncredited=atoms(entry, "uncredited_atoms", signed=True),
            unsettled=atoms(entry, "unsettled_atoms", signed=True),
        )
        for entry in member(proof, "assets", list)
    ]
    tokens = [asset.token for asset in assets]
    if tokens != sorted(set(tokens)):
        raise Wrong("the assets are not in ascending order, each once")
    return assets


# ---- the hashes


def root_of(proof: Any, assets: list[Asset]) -> bytes:
    """The hash of everything that the root binds."""
    parts = [
        b"\x02",
        hexed(proof, "genesis_id", 32),
        whole(proof, "chain_id").to_bytes(32),
        hexed(proof, "vault", 20),
        whole(proof, "seq").to_bytes(32),
        whole(proof, "block_number").to_bytes(32),
        hexed(proof, "block_hash", 32),
        len(assets).to_bytes(32),
    ]
    for asset in assets:
        parts += [asset.token, asset.decimals.to_bytes(32), asset.depth.to_bytes(32), asset.tree_hash]
        parts.append(asset.total.to_bytes(32))
        parts += [asset.uncredited.to_bytes(32, signed=True), asset.unsettled.to_bytes(32, signed=True)]
    return keccak(b"".join(parts))


def climb(leaf: Any, asset: Asset, account: str) -> int:
    """The amount in a leaf, when leaf and siblings lead to the asset's tree and total."""
    amount = total = atoms(leaf, "amount_atoms")
    salt = hexed(leaf, "salt", 32)
    hashed = keccak(b"\x00" + asset.token + salt + amount.to_bytes(32) + account.encode())
    path = member(leaf, "path", list)
    if len(path) != asset.depth:
        raise Wrong(f"{asset.symbol}: the way to the root has {len(path)} steps instead of {asset.depth}")
    for step in path:
        other, other_sum, side = hexed(step, "hash", 32), atoms(step, "sum_atoms"), member(step, "side", str)
        here, there = hashed + total.to_bytes(32), other + other_sum.to_bytes(32)
        if side not in {"left", "right"}:
            raise Wrong(f"{asset.symbol}: a sibling is neither left nor right")
        hashed = keccak(b"\x01" + (there + here if side == "left" else here + there))
        total += other_sum
        if total > MAX_SUM:
            raise Wrong(f"{asset.symbol}: the sums run over 2^128")
    if total != asset.total:
        raise Wrong(f"{asset.symbol}: the sums lead to a total of {total} atoms, the root says {asset.total}")
    if hashed != asset.tree_hash:
        raise Wrong(f"{asset.symbol}: your balance does not lead to the root")
    return amount


def check(proof: Any, say: Say) -> list[Asset]:
    """The proof by itself: the leaves lead to the root, and it binds everything else. Raises Wrong."""
    assets = read_assets(proof)
    owner, sub_account = hexed(proof, "owner", 20), whole(proof, "sub_account", 127)
    account = f"0x{owner.hex()}/{sub_account}"
    by_token = {asset.token: asset for asset in assets}
    counted: dict[bytes, int] = {}
    for leaf in member(proof, "leaves", list):
        token = hexed(leaf, "token", 20)
        if token not in by_token or token in counted:
            raise Wrong("a leaf is of no asset of the root, or an asset has two")
        counted[token] = climb(leaf, by_token[token], account)
    if not counted:
        raise Wrong("there is no balance in it")
    root = root_of(proof, assets)
    if root != hexed(proof, "root", 32):
        raise Wrong(f"these values have another root: 0x{root.hex()}")
    say(
        f"This proof is about account 0x{owner.hex()}, sub-account {sub_account}. Make sure that it is yours."
    )
    say(f"As of number {proof['seq']} of its journal, the exchange counted as owed to this account")
    say("(what open orders hold and withdrawals on their way included):")
    for asset in assets:
        if asset.token in counted:
            mine, total = asset.amount(counted[asset.token]), asset.amount(asset.total)
            say(f"    {mine}, of {total} owed to all; token 0x{asset.token.hex()}")
        else:
            say(f"    NOTHING in {asset.symbol}, or nothing that it shows; token 0x{asset.token.hex()}")
    return assets


# ---- the chain


class Node:
    """A node of the reader's choice. Its methods raise Unchecked."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        answer = fetch(self.url, {"Content-Type": "application/json"}, body)
        if not isinstance(answer, dict) or "result" not in answer:
            reason = answer.get("error") if isinstance(answer, dict) else answer
            raise Unchecked(f"the node has no answer to {method}: {str(reason)[:200]!r}")
        return answer["result"]

    def chain_id(self) -> int:
        answer = self.call("eth_chainId")
        if not isinstance(answer, str) or not re.fullmatch(r"0x[0-9a-f]{1,16}", answer):
            raise Unchecked("the node's chain id makes no sense")
        return int(answer, 16)

    def block_hash(self, number: int) -> str:
        block = self.call("eth_getBlockByNumber", hex(number), False)
        return str(block.get("hash")).lower() if isinstance(block, dict) else ""

    def root(self, contract: bytes, index: int) -> tuple[bytes, int, int, int]:
        """Root, seq, block number and time of publication, at a place of the list."""
        answer = self.view(contract, "rootAt(uint256)", index.to_bytes(32), "latest")
        if len(answer) != 128:
            raise Unchecked("the contract is no list of roots")
        words = [int.from_bytes(answer[start : start + 32]) for start in (32, 64, 96)]
        return answer[:32], words[0], words[1], words[2]

    def view(self, to: bytes, signature: str, argument: bytes, block: Any) -> bytes:
        data = keccak(signature.encode())[:4] + argument
        answer = self.call("eth_call", {"to": f"0x{to.hex()}", "data": f"0x{data.hex()}"}, block)
        if not isinstance(answer, str) or not _hex(answer):
            raise Unchecked("the node's answer to eth_call makes no sense")
        return bytes.fromhex(answer[2:])


def check_root(proof: Any, node: Node, contract: bytes | None, say: Say) -> None:
    """The root is in the contract. Raises Wrong, Unchecked."""
    if "publication" in proof and proof["publication"] is None:
        raise Unchecked("this root is not on the chain yet; ask again later, or for an older proof")
    publication = member(proof, "publication", dict)
    index, claimed = whole(publication, "index"), hexed(publication, "contract", 20)
    if contract is None:
        say("CAREFUL: which contract that is, is the exchange's own word; --contract makes sure.")
    elif contract != claimed:
        raise Wrong(f"the proof names another contract, 0x{claimed.hex()}")
    chain_id = node.chain_id()
    if chain_id != proof["chain_id"]:
        raise Unchecked(f"the proof is of chain {proof['chain_id']}, but the node of chain {chain_id}")
    count = int.from_bytes(node.view(claimed, "count()", b"", "latest"))
    if count <= index:
        raise Wrong(f"the contract has no root at index {index}")
    near = {at: node.root(claimed, at) for at in (index - 1, index, index + 1) if 0 <= at < count}
    root, seq, block_number, published_s = near[index]
    if root != hexed(proof, "root", 32):
        raise Wrong(f"the contract has another root at index {index}: 0x{root.hex()}")
    if (seq, block_number) != (proof["seq"], proof["block_number"]):
        raise Wrong("the contract has this root with another seq or block")
    say(f"The root is on chain {chain_id}: contract 0x{claimed.hex()}, index {index}.")
    for at, which, when in ((index - 1, "one before it", "earlier"), (index + 1, "next one", "later")):
        if at in near:
            say(f"The {which} was stored {abs(near[at][3] - published_s) / 3_600:.1f} hours {when}.")


def check_vault(proof: Any, assets: list[Asset], node: Node, say: Say) -> None:
    """The vault held at the proof's block what the proof says. Raises Wrong, Unchecked."""
    vault, block_hash = hexed(proof, "vault", 20), proof["block_hash"].lower()
    if node.block_hash(proof["block_number"]) != block_hash:
        raise Wrong(f"the chain's block {proof['block_number']} is another one than the proof's")
    say(f"At block {proof['block_number']} the vault 0x{vault.hex()} held")
    for asset in assets:
        argument = bytes(12) + asset.token
        answer = node.view(vault, "accounted(address)", argument, {"blockHash": block_hash})
        if len(answer) != 32:
            raise Wrong("at the vault's address there is no vault")
        held = int.from_bytes(answer)
        if held != asset.in_vault:
            raise Wrong(f"the vault held {held} atoms of {asset.symbol}, by the proof {asset.in_vault}")
        part = f", {held * 100 / asset.total:.2f} % of what is owed" if asset.total else ""
        say(f"    {asset.amount(held)}{part}")
        for number, more, less in (
            (asset.uncredited, "deposits not credited yet", "deposits that came in later blocks"),
            (-asset.unsettled, "payments made in later blocks", "payments made and not taken off yet"),
        ):
            if number:
                kind = f"more: {more}" if number > 0 else f"less: {less}"
                say(f"        of the difference, {asset.amount(abs(number))} {kind}")


# ---- the command


def fetch(url: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    """The JSON at an address. Raises Unchecked."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Unchecked("an address begins with http:// or https://")
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return parse(response.read(MAX_BYTES))
    except urllib.error.HTTPError as error:
        raise Unchecked(f"HTTP {error.code}: {error.read(500)!r}") from error
    except (OSError, ValueError) as error:
        raise Unchecked(f"no answer: {error}") from error


def parse(content: bytes) -> Any:
    """JSON without objects that have a key twice. Raises Unchecked."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise Unchecked("a key occurs twice in one JSON object")
        return dict(pairs)

    try:
        return json.loads(content, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Unchecked(f"this is not JSON: {error}") from error


def load(options: argparse.Namespace) -> Any:
    """The proof, wherever it is. Raises Unchecked, OSError."""
    if options.url:
        token = os.environ.get("EXCHANGE_TOKEN", "")
        if options.token_file:
            token = Path(options.token_file).read_text(encoding="utf-8").strip()
        query = {"sub_account": options.sub_account} | ({"number": options.number} if options.number else {})
        url = f"{options.url.rstrip('/')}/v1/proof/balance?{urlencode(query)}"
        proof = fetch(url, {"Authorization": f"Bearer {token}"})
    elif options.file in {None, "-"}:
        proof = parse(sys.stdin.buffer.read(MAX_BYTES))
    else:
        proof = parse(Path(options.file).read_bytes()[:MAX_BYTES])
    if not isinstance(proof, dict) or proof.get("format") != FORMAT:
        raise Unchecked(f"this is no proof in the format {FORMAT}")
    return proof


def verify(proof: Any, options: argparse.Namespace, say: Say) -> None:
    """All that was asked for. Raises Wrong, Unchecked."""
    assets = check(proof, say)
    for name, wanted in (("owner", options.owner), ("vault", options.vault)):
        if wanted is not None and wanted != hexed(proof, name, 20):
            raise Wrong(f"the proof is about another {name}, {proof[name]}")
    if options.rpc:
        node = Node(options.rpc)
        check_root(proof, node, options.contract, say)
        check_vault(proof, assets, node, say)


def address(value: str) -> bytes:
    """An address of the command line."""
    if not _hex(value) or len(value) != 42:
        raise argparse.ArgumentTypeError(f"not an address: {value!r}")
    return bytes.fromhex(value[2:])


def parse_arguments(given: list[str]) -> argparse.Namespace:
    """The command line; ends the program with 2 when it is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", help="the proof as JSON; - or nothing: standard input")
    parser.add_argument("--url", help="fetch the proof from this exchange instead")
    parser.add_argument("--token-file", help="file with a session's token, for --url; else $EXCHANGE_TOKEN")
    parser.add_argument("--sub-account", type=int, default=0, help="for --url: which account; 0")
    parser.add_argument("--number", type=int, help="for --url: which proof; the newest")
    parser.add_argument("--owner", type=address, help="your wallet: the proof must be about it")
    parser.add_argument("--vault", type=address, help="the vault: the proof must be about it")
    parser.add_argument("--rpc", help="JSON-RPC of a node that you trust; an archive node for old proofs")
    parser.add_argument("--contract", type=address, help="the contract of balance roots, for --rpc")
    options = parser.parse_args(given)
    if options.contract is not None and not options.rpc:
        parser.error("--contract needs --rpc")
    return options


def main(given: list[str]) -> int:
    """Prints the verdict, and nothing reassuring before it is known."""
    options = parse_arguments(given)
    lines: list[str] = []
    try:
        proof = load(options)
        verify(proof, options, lines.append)
    except Wrong as error:
        print(f"WRONG: {error}.\nThis proof does not prove your balance. Keep it, and ask the exchange why.")
        return 1
    except (Unchecked, OSError, UnicodeDecodeError) as error:
        print(f"NOT CHECKED: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    if options.rpc:
        print(
            "RIGHT: these amounts are part of the root on the chain, and the vault held what the proof says."
        )
    else:
        print(f"RIGHT, as far as it goes: these amounts are part of the root {proof['root'].lower()}.")
        print(
            "Whether the exchange shows everybody this root, only the chain tells: add --rpc and --contract."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
