"""Checks a proof that an exchange counted your balance among what it owes. Trusts nobody but the chain.

    python verify_balance.py proof.json
    python verify_balance.py --url https://exchange.example --token-file token.txt
    python verify_balance.py proof.json --rpc https://your.node --contract 0x... --vault 0x... --owner 0x...

Needs Python 3.11 and one package: pip install pycryptodome. Nothing of the exchange's own code is in it.

It computes your leaf's hash from owner, amount and salt, climbs the tree with the hashes and sums of the
proof, and must arrive at the root. With --rpc it also asks a node of your choice whether this very root is
stored in the contract and how old it is, what the tokens call themselves, and whether the vault held at that
block what the proof says. Give --contract and --vault from a source that you trust: otherwise they are only
what the exchange says they are. --expect names what must be in it: an asset that is left out shows nowhere.

Ends with 0 when all that was asked for is RIGHT, with 1 when anything is WRONG, with 2 when it could not be
checked (nothing to read, no answer, wrong usage), and with 3 when the proof fits together but the vault was
SHORT: it held less than what is owed, by more than --tolerance. What is marked CAREFUL, no check covers.
What the proof means: docs/proofs.md.
"""

import argparse
import http.client
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
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
MAX_TIME_S = 2**36
TIMEOUT_S = 30
NATIVE = bytes(20)
LAG_S = 6 * 3_600
"""Between the proof's block and the publication of its root; minutes are usual."""

Say = Callable[[str], None]

_number = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII).fullmatch
_hex = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII).fullmatch
_plain = re.compile(r"[ -~]{1,80}", re.ASCII).fullmatch
_decimal = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,77})?", re.ASCII).fullmatch


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

    @property
    def name(self) -> str:
        """Which token it is, as nobody can forge it."""
        return "the chain's own coin" if self.token == NATIVE else f"token 0x{self.token.hex()}"

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
    if any(asset.in_vault < 0 for asset in assets):
        raise Wrong("by the proof the vault held less than nothing")
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


def check(proof: Any, assets: list[Asset]) -> dict[bytes, int]:
    """The proof by itself: the leaves lead to the root, and it binds everything else. Raises Wrong.

    Answers with the account's amount of each token.
    """
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
    return counted


def tell(proof: Any, assets: list[Asset], counted: dict[bytes, int], say: Say) -> None:
    """What a checked proof says, in words."""
    say(f"This proof is about account {proof['owner'].lower()}, sub-account {proof['sub_account']}.")
    say(f"As of number {proof['seq']} of its journal, the exchange counted as owed to this account")
    say("(what open orders hold and withdrawals on their way included):")
    for asset in assets:
        if asset.token in counted:
            mine, total = asset.amount(counted[asset.token]), asset.amount(asset.total)
            say(f"    {mine}, of {total} owed to all; {asset.name}")
        else:
            say(f"    NOTHING in {asset.symbol}, or nothing that it shows; {asset.name}")
    say("If you had an asset that is not in this list, it was left out; --expect makes that WRONG.")


def check_asked(proof: Any, options: argparse.Namespace, say: Say) -> None:
    """It is about what was asked for. Raises Wrong."""
    for name, wanted in (("owner", options.owner), ("vault", options.vault)):
        if wanted is not None and wanted != hexed(proof, name, 20):
            raise Wrong(f"the proof is about another {name}, {proof[name]}")
    if options.owner is None:
        say("CAREFUL: whose balance that is, is the exchange's own word; --owner makes sure.")
    sub_account = 0 if options.sub_account is None and options.url else options.sub_account
    if sub_account is not None and sub_account != whole(proof, "sub_account", 127):
        raise Wrong(f"the proof is about sub-account {proof['sub_account']}, asked for was {sub_account}")
    if options.number is not None and options.number != whole(proof, "number"):
        raise Wrong(f"this is proof {proof['number']} instead of {options.number}")


def check_expected(
    expected: list[tuple[bytes, Fraction]], assets: list[Asset], counted: dict[bytes, int]
) -> None:
    """At least the amounts that the reader knows to have had. Raises Wrong."""
    by_token = {asset.token: asset for asset in assets}
    for token, amount in expected:
        if token not in by_token:
            raise Wrong(f"there is no token 0x{token.hex()} in the root: what you had of it is left out")
        asset = by_token[token]
        if counted.get(token, 0) < amount * 10**asset.decimals:
            shown = asset.amount(counted.get(token, 0))
            raise Wrong(f"it shows {shown} ({asset.name}), less than what you expect")


def short(assets: list[Asset], tolerance: Fraction) -> list[Asset]:
    """The assets of which the vault held less than what is owed, by more than so many percent.

    `uncredited` and `unsettled` may explain any difference, so no explanation counts here. Honest ones exist:
    a payment that has left the vault is owed until the ledger has seen it, and a deposit can be credited that
    came after the block. Both are small beside the total, and soon over.
    """
    return [asset for asset in assets if (asset.total - asset.in_vault) * 100 > tolerance * asset.total]


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
        return self.number(self.call("eth_chainId"), "chain id")

    def block(self, which: str) -> tuple[str, int]:
        """Hash and time of a block; no hash when there is none."""
        block = self.call("eth_getBlockByNumber", which, False)
        if not isinstance(block, dict):
            return "", 0
        return str(block.get("hash")).lower(), sane_time(self.number(block.get("timestamp"), "block's time"))

    def root(self, contract: bytes, index: int) -> tuple[bytes, int, int, int]:
        """Root, seq, block number and time of publication, at a place of the list."""
        answer = self.view(contract, "rootAt(uint256)", index.to_bytes(32), "latest")
        if len(answer) != 128:
            raise Unchecked("the contract is no list of roots")
        words = [int.from_bytes(answer[start : start + 32]) for start in (32, 64, 96)]
        return answer[:32], words[0], words[1], sane_time(words[2])

    def token(self, token: bytes) -> tuple[str, int | None]:
        """What a token calls itself, and its decimals; "" and None for what it does not tell."""
        answers = []
        for signature in ("symbol()", "decimals()"):
            try:
                answers.append(self.view(token, signature, b"", "latest"))
            except Unchecked:  # a token need not have these
                answers.append(b"")
        symbol, decimals = answers
        return told_name(symbol), int.from_bytes(decimals) if len(decimals) == 32 else None

    def number(self, answer: Any, what: str) -> int:
        if not isinstance(answer, str) or not re.fullmatch(r"0x[0-9a-f]{1,16}", answer):
            raise Unchecked(f"the node's {what} makes no sense")
        return int(answer, 16)

    def view(self, to: bytes, signature: str, argument: bytes, block: Any) -> bytes:
        data = keccak(signature.encode())[:4] + argument
        answer = self.call("eth_call", {"to": f"0x{to.hex()}", "data": f"0x{data.hex()}"}, block)
        if not isinstance(answer, str) or not _hex(answer):
            raise Unchecked("the node's answer to eth_call makes no sense")
        return bytes.fromhex(answer[2:])


def told_name(answer: bytes) -> str:
    """A symbol as tokens give it, a string, or 32 bytes filled up with zeros; "" when it makes no sense."""
    length = int.from_bytes(answer[32:64])
    raw = answer[64 : 64 + length] if len(answer) > 32 else answer.rstrip(b"\0")
    name = raw.decode("ascii", "replace")
    return name if len(answer) >= 32 and _plain(name) else ""


def sane_time(seconds: int) -> int:
    """The same time. Raises Unchecked when no clock could show it."""
    if seconds > MAX_TIME_S:
        raise Unchecked("a time on the chain makes no sense")
    return seconds


def long(seconds: float) -> str:
    """A span of time in words."""
    return f"{seconds / 3_600:.1f} hours" if abs(seconds) < 48 * 3_600 else f"{seconds / 86_400:.0f} days"


def on(seconds: int) -> str:
    """A point in time in words."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def check_tokens(assets: list[Asset], node: Node, say: Say) -> None:
    """Decimals are the tokens' own; from here on they are called what they call themselves. Raises Wrong."""
    for asset in assets:
        if asset.token == NATIVE:
            name, decimals = asset.symbol, 18
        else:
            name, decimals = node.token(asset.token)
        if decimals not in {None, asset.decimals}:
            raise Wrong(f"{asset.name} has {decimals} decimals, by the proof {asset.decimals}")
        if not name or decimals is None:
            say(f"CAREFUL: what {asset.symbol} is, is the exchange's own word: {asset.name} does not tell.")
        elif name != asset.symbol:
            say(f"CAREFUL: what the exchange calls {asset.symbol} calls itself {name}: {asset.name}.")
        asset.symbol = name or asset.symbol


def check_root(proof: Any, node: Node, contract: bytes | None, say: Say) -> int:
    """The root is in the contract; answers with the time of its publication. Raises Wrong, Unchecked."""
    if "publication" in proof and proof["publication"] is None:
        raise Unchecked("this root is not on the chain yet; ask again later, or for an older proof")
    publication = member(proof, "publication", dict)
    index, claimed = whole(publication, "index"), hexed(publication, "contract", 20)
    if contract is None:
        say("CAREFUL: which contract that is, is the exchange's own word; --contract makes sure.")
    elif contract != claimed:
        raise Wrong(f"the proof names another contract, 0x{claimed.hex()}")
    count = int.from_bytes(node.view(claimed, "count()", b"", "latest"))
    if count <= index:
        raise Wrong(f"the contract has no root at index {index}")
    near = {at: node.root(claimed, at) for at in (index - 1, index, index + 1) if 0 <= at < count}
    root, seq, block_number, published_s = near[index]
    if root != hexed(proof, "root", 32):
        raise Wrong(f"the contract has another root at index {index}: 0x{root.hex()}")
    if (seq, block_number) != (proof["seq"], proof["block_number"]):
        raise Wrong("the contract has this root with another seq or block")
    say(f"The root is on chain {proof['chain_id']}: contract 0x{claimed.hex()}, index {index}.")
    for at, which, when in ((index - 1, "one before it", "earlier"), (index + 1, "next one", "later")):
        if at in near:
            say(f"The {which} was stored {long(abs(near[at][3] - published_s))} {when}.")
    if newer := count - 1 - index:
        which = "1 newer root" if newer == 1 else f"{newer} newer roots"
        say(f"CAREFUL: the contract has {which}; ask for the newest proof to know how things are now.")
    return published_s


def check_age(block_s: int, published_s: int, head_s: int, max_age_hours: int, say: Say) -> None:
    """How old it is, by the chain or by this computer's clock, whichever is later."""
    now_s = max(time.time(), head_s)
    for what, at_s in (("It is about the block of", block_s), ("It was published on", published_s)):
        say(f"{what} {on(at_s)}, {long(now_s - at_s)} ago.")
    if now_s - block_s > max_age_hours * 3_600:
        say(f"CAREFUL: it is {long(now_s - block_s)} old, and says nothing about today.")
    if published_s - block_s > LAG_S:
        lag = long(published_s - block_s)
        say(f"CAREFUL: the vault was looked at {lag} before the root was published; it may be empty since.")
    if now_s - head_s > LAG_S:
        say(f"CAREFUL: your node is {long(now_s - head_s)} behind, and may not know of newer roots.")


def check_vault(proof: Any, assets: list[Asset], node: Node, say: Say) -> None:
    """The vault held at the proof's block what the proof says. Raises Wrong, Unchecked."""
    vault, block_hash = hexed(proof, "vault", 20), proof["block_hash"].lower()
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
                say(f"        of the difference, by the exchange's word, {asset.amount(abs(number))} {kind}")


def check_chain(proof: Any, assets: list[Asset], node: Node, options: argparse.Namespace, say: Say) -> None:
    """Root, age and vault. Raises Wrong, Unchecked."""
    published_s = check_root(proof, node, options.contract, say)
    found, block_s = node.block(hex(proof["block_number"]))
    if found != proof["block_hash"].lower():
        raise Wrong(f"the chain's block {proof['block_number']} is another one than the proof's")
    check_age(block_s, published_s, node.block("latest")[1], options.max_age_hours, say)
    if options.vault is None:
        say("CAREFUL: which vault that is, is the exchange's own word; --vault makes sure.")
    check_vault(proof, assets, node, say)


# ---- the command


def fetch(url: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    """The JSON at an address. Raises Unchecked."""
    try:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise Unchecked("an address begins with http:// or https://")
        request = urllib.request.Request(url, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                return parse(response.read(MAX_BYTES))
        except urllib.error.HTTPError as error:
            raise Unchecked(f"HTTP {error.code}: {error.read(500)!r}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unchecked(f"no answer: {type(error).__name__}: {error}") from error


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
        query = {"sub_account": options.sub_account or 0}
        query |= {} if options.number is None else {"number": options.number}
        url = f"{options.url.rstrip('/')}/v1/proof/balance?{urlencode(query)}"
        proof = fetch(url, {"Authorization": f"Bearer {token}"})
    elif options.file in {None, "-"}:
        proof = parse(sys.stdin.buffer.read(MAX_BYTES))
    else:
        proof = parse(Path(options.file).read_bytes()[:MAX_BYTES])
    if not isinstance(proof, dict) or proof.get("format") != FORMAT:
        raise Unchecked(f"this is no proof in the format {FORMAT}")
    return proof


def verify(proof: Any, options: argparse.Namespace, say: Say) -> list[Asset]:
    """All that was asked for; answers with the assets that the vault was short of.

    Raises Wrong, Unchecked.
    """
    check_asked(proof, options, say)
    assets = read_assets(proof)
    counted = check(proof, assets)
    node = Node(options.rpc) if options.rpc else None
    if node is None:
        say("CAREFUL: names and decimals of the tokens are the exchange's own word; --rpc compares them.")
    elif (chain_id := node.chain_id()) != proof["chain_id"]:
        raise Unchecked(f"the proof is of chain {proof['chain_id']}, but the node of chain {chain_id}")
    else:
        check_tokens(assets, node, say)
    check_expected(options.expect, assets, counted)
    tell(proof, assets, counted, say)
    if node is not None:
        check_chain(proof, assets, node, options, say)
    return short(assets, options.tolerance)


def address(value: str) -> bytes:
    """An address of the command line."""
    if not _hex(value) or len(value) != 42:
        raise argparse.ArgumentTypeError(f"not an address: {value!r}")
    return bytes.fromhex(value[2:])


def percent(value: str) -> Fraction:
    """A share of the command line."""
    if not _decimal(value) or Fraction(value) > 100:
        raise argparse.ArgumentTypeError(f"not a percentage: {value!r}")
    return Fraction(value)


def expectation(value: str) -> tuple[bytes, Fraction]:
    """TOKEN=AMOUNT of the command line."""
    token, _, amount = value.partition("=")
    if not _decimal(amount):
        raise argparse.ArgumentTypeError(f"not TOKEN=AMOUNT: {value!r}")
    return NATIVE if token == "native" else address(token), Fraction(amount)


def parse_arguments(given: list[str]) -> argparse.Namespace:
    """The command line; ends the program with 2 when it is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("file", nargs="?", help="the proof as JSON; - or nothing: standard input")
    add("--url", help="fetch the proof from this exchange instead")
    add("--token-file", help="file with a session's token, for --url; else $EXCHANGE_TOKEN")
    add("--sub-account", type=int, help="the proof must be about it; with --url it is 0 unless said")
    add("--number", type=int, help="which proof, by the exchange's own numbering; the newest")
    add("--owner", type=address, help="your wallet: the proof must be about it")
    add("--vault", type=address, help="the vault: the proof must be about it")
    expect_help = (
        "the proof must show at least so much of this token (an address, or native); may be repeated"
    )
    add("--expect", type=expectation, action="append", default=[], metavar="TOKEN=AMOUNT", help=expect_help)
    add("--rpc", help="JSON-RPC of a node that you trust; an archive node for old proofs")
    add("--contract", type=address, help="the contract of balance roots, for --rpc")
    short_help = "what may be missing in the vault before that is SHORT, in percent of what is owed; 1"
    add("--tolerance", type=percent, default=Fraction(1), metavar="PERCENT", help=short_help)
    add("--max-age-hours", type=int, default=48, help="a proof that is older is marked CAREFUL; 48")
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
        missing = verify(proof, options, lines.append)
    except Wrong as error:
        print(f"WRONG: {error}.\nThis proof does not prove your balance. Keep it, and ask the exchange why.")
        return 1
    except (Unchecked, OSError, UnicodeDecodeError) as error:
        said = "".join(letter if letter.isprintable() else " " for letter in str(error))
        print(f"NOT CHECKED: {said[:500]}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    print(told_short(missing, options) if missing else told_right(proof, options))
    if any(line.startswith("CAREFUL") for line in lines):
        print("Read what is marked CAREFUL above: no check covers that.")
    return 3 if missing else 0


def told_short(missing: list[Asset], options: argparse.Namespace) -> str:
    """What it means that the money was not all there."""
    lines = [f"SHORT: the vault held less than what is owed, by more than {float(options.tolerance):g} %."]
    for asset in missing:
        part = f", {asset.in_vault * 100 / asset.total:.2f} %" if asset.total else ""
        held, owed = asset.amount(asset.in_vault), asset.amount(asset.total)
        lines.append(f"    {asset.symbol}: held {held} of {owed} owed{part}")
    return "\n".join(lines) + (
        "\nYour amounts are counted, but at that block the money to pay everybody was not in the vault. That"
        "\nthe rest had just been paid out, or was just coming in, is the exchange's own word. It can be true"
        "\nfor a moment, when somebody moves a large amount. Check another proof, of another day: if that one"
        "\nis SHORT too, do not leave with this exchange what you can not lose. Keep both proofs."
    )


def told_right(proof: Any, options: argparse.Namespace) -> str:
    """What was found, and what not."""
    if options.rpc:
        return (
            "RIGHT: these amounts are part of the root on the chain, and the vault held what the proof says:"
            f"\nwhat is owed to all, or at most {float(options.tolerance):g} % less."
        )
    return (
        f"RIGHT, as far as it goes: these amounts are part of the root {proof['root'].lower()}."
        "\nWhether the exchange shows everybody this root, how old it is, and if the vault held what it says,"
        "\nonly the chain tells: add --rpc and --contract."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
