"""The reader's tool: as a process of its own on real proofs, real chain and real API; and against forgers."""

import asyncio
import copy
import json
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scripts import verify_balance
from tests.proofs.reader import (
    SCRIPT,
    Place,
    Proof,
    Verdict,
    at,
    changed,
    forged,
    publish_root,
    run,
    verify,
)
from tests.proofs.venue import ETHER

from exchange.chain.dev_keys import dev_address

NOT_BOUND = {("number",), ("built_at_ms",), ("account_id",), ("publication", "tx_hash")}
"""What a proof tells for convenience and nothing can check. Symbols are of this kind too."""


async def test_a_proof_from_a_file_is_right_and_told_in_words(shown, tmp_path):
    (tmp_path / "proof.json").write_text(json.dumps(shown.proof))
    verdict = await run(str(tmp_path / "proof.json"))
    assert verdict.code == 0
    owner = dev_address(1)
    assert f"account {owner}, sub-account 0" in verdict.said
    assert "1.200000000000000011 ETH, of 3.000000000000000016 ETH owed to all" in verdict.said
    assert "RIGHT, as far as it goes" in verdict.said
    assert "add --rpc and --contract" in verdict.said


async def test_a_proof_that_is_fetched_is_right_against_chain_vault_and_owner(shown, tmp_path):
    (tmp_path / "token").write_text(shown.token + "\n")
    verdict = await run(
        *("--url", shown.api, "--token-file", str(tmp_path / "token")),
        *shown.on_chain,
        *("--owner", dev_address(1), "--vault", shown.venue.deployment.vault),
    )
    assert verdict.code == 0, verdict.said
    assert "RIGHT: these amounts are part of the root on the chain" in verdict.said
    assert "3.000000000000000005 ETH, 100.00 % of what is owed" in verdict.said
    assert "0.000000000000000011 ETH less: deposits that came in later blocks" in verdict.said
    assert "CAREFUL" not in verdict.said


async def test_whose_word_the_contract_is_is_said(shown):
    verdict = await verify(shown.proof, "--rpc", shown.rpc_url)
    assert verdict.code == 0
    assert "CAREFUL" in verdict.said


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every member and item, at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*here, name)
        yield from places(inner, (*here, name))


def tampered(value: Any) -> list[Any]:
    """A value that looks as good as this one; none for an object."""
    if isinstance(value, str) and value.startswith("0x"):
        last = format(int(value[-1], 16) ^ 1, "x")
        return [value[:-1] + last]
    if isinstance(value, str) and value.lstrip("-").isdigit():
        return [str(int(value) + 1)]
    if isinstance(value, str):
        return [{"left": "right", "right": "left"}.get(value, "other")]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, list):
        return [[*value, value[-1]]] if value else [[{}]]
    return []


def is_leaf(place: Place) -> bool:
    """A proof may show less than there is: then the reader is told of nothing in that asset."""
    return place[:1] == ("leaves",) and len(place) == 2


def is_bound(place: Place) -> bool:
    return place not in NOT_BOUND and place[-1] != "asset"


async def test_a_leaf_that_is_left_out_is_told_as_nothing(shown):
    verdict = await verify(changed(shown.proof, ("leaves", 0), ...), *shown.on_chain)
    assert verdict.code == 0
    assert "NOTHING in ETH" in verdict.said
    assert (await verify(changed(shown.proof, ("leaves",), []), *shown.on_chain)).code == 1


async def test_a_proof_with_any_field_tampered_with_is_wrong(shown, subtests):
    gate = asyncio.Semaphore(2)

    async def try_one(place: Place, value: Any) -> tuple[Place, Any, Verdict]:
        async with gate:
            return place, value, await verify(changed(shown.proof, place, value), *shown.on_chain)

    wanted = [place for place in places(shown.proof) if is_bound(place) and place != ("format",)]
    tries = [try_one(place, value) for place in wanted for value in tampered(at(shown.proof, place))]
    assert len(tries) > 40
    for place, value, verdict in await asyncio.gather(*tries):
        with subtests.test(place=place, value=str(value)[:60]):
            assert verdict.code == 1, verdict.said
            assert verdict.said.startswith("WRONG: ")
            assert "RIGHT" not in verdict.said


async def test_a_proof_that_lacks_any_field_is_wrong(shown, subtests):
    for place in places(shown.proof):
        if is_bound(place) and place != ("format",) and not is_leaf(place):
            with subtests.test(place=place):
                lacking = changed(shown.proof, place, ...)
                assert await asyncio.to_thread(judged, lacking, *shown.on_chain) == 1


async def test_what_is_not_bound_does_not_change_the_verdict(shown):
    for place, value in ((("number",), 99), (("built_at_ms",), 1), (("publication", "tx_hash"), None)):
        assert (await verify(changed(shown.proof, place, value), *shown.on_chain)).code == 0


async def test_a_root_that_is_not_on_the_chain_yet_could_not_be_checked(shown):
    unpublished = changed(shown.proof, ("publication",), None)
    assert (await verify(unpublished)).code == 0
    verdict = await verify(unpublished, *shown.on_chain)
    assert verdict.code == 2
    assert "not on the chain yet" in verdict.said


async def test_another_contract_owner_or_vault_than_the_readers_is_wrong(shown):
    other = "0x" + "ab" * 20
    assert (await verify(shown.proof, "--owner", other)).code == 1
    assert (await verify(shown.proof, "--vault", other)).code == 1
    assert (await verify(shown.proof, "--rpc", shown.rpc_url, "--contract", other)).code == 1


async def test_the_reader_is_told_when_the_neighbouring_roots_were_stored(shown):
    await shown.venue.rpc.call("evm_increaseTime", 3 * 3_600)
    await publish_root(shown.venue, "0x" + "66" * 32, shown.proof["seq"] + 1, shown.proof["block_number"])
    verdict = await verify(shown.proof, *shown.on_chain)
    assert verdict.code == 0
    assert "The next one was stored 3.0 hours later." in verdict.said
    assert "one before" not in verdict.said


async def test_a_committed_total_that_the_leaves_do_not_lead_to_is_wrong(shown):
    proof = forged(shown.proof, total_atoms=str(2 * ETHER))
    await publish_root(shown.venue, proof["root"], proof["seq"], proof["block_number"])
    verdict = await verify(proof, *shown.on_chain)
    assert verdict.code == 1
    assert "the sums lead to a total of" in verdict.said


async def test_an_operator_who_commits_to_a_vault_that_is_fuller_than_it_was_is_wrong(shown):
    proof = forged(shown.proof, uncredited_atoms="0")
    await publish_root(shown.venue, proof["root"], proof["seq"], proof["block_number"])
    verdict = await verify(proof, *shown.on_chain)
    assert verdict.code == 1
    assert f"the vault held {3 * ETHER + 5} atoms of ETH, by the proof {3 * ETHER + 16}" in verdict.said


async def test_a_block_that_is_not_the_chains_is_wrong(shown):
    proof = copy.deepcopy(shown.proof)
    proof["block_hash"] = "0x" + "ee" * 32
    proof = forged(proof)
    await publish_root(shown.venue, proof["root"], proof["seq"], proof["block_number"])
    verdict = await verify(proof, *shown.on_chain)
    assert verdict.code == 1
    assert "is another one than the proof's" in verdict.said


async def test_what_can_not_be_checked_is_neither_right_nor_wrong(shown, tmp_path):
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    (tmp_path / "twice.json").write_text('{"format": "exchange-balance-proof-1", "format": ""}')
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for arguments in (
        (str(tmp_path / "nowhere.json"),),
        *((str(tmp_path / name),) for name in ("list.json", "deep.json", "twice.json", "bytes.json")),
        ("--url", "http://127.0.0.1:9"),
        ("--url", "file:///etc/passwd"),
        ("--url", shown.api),  # no token
        ("--owner", "me"),
        ("--contract", "0x" + "ab" * 20),
        ("--nonsense",),
    ):
        verdict = await run(*arguments)
        assert verdict.code == 2, verdict.said
    for rpc_url in ("http://127.0.0.1:9", shown.api, "ftp://node"):
        assert (await verify(shown.proof, "--rpc", rpc_url)).code == 2
    assert (await verify(changed(shown.proof, ("format",), "exchange-balance-proof-2"))).code == 2


async def test_a_node_of_another_chain_has_not_checked_anything(shown):
    await shown.venue.rpc.call("anvil_setChainId", 5)
    verdict = await verify(shown.proof, *shown.on_chain)
    assert verdict.code == 2
    assert "the node of chain 5" in verdict.said


async def test_without_its_one_package_it_says_what_to_install():
    verdict = await run(isolation=("-I", "-S"))
    assert verdict.code == 2
    assert "pip install pycryptodome" in verdict.said


def test_nothing_but_the_standard_library_and_one_package_is_imported():
    imported = {
        line.split()[1].partition(".")[0]
        for line in SCRIPT.read_text().splitlines()
        if line.strip().startswith(("import ", "from "))
    }
    assert {name for name in imported if name not in sys.stdlib_module_names} == {"Crypto"}


# ---- the same as a function, on anything whatever


def small_proof() -> Proof:
    """A right proof of two leaves, made by hand from docs/proofs.md."""
    keccak = verify_balance.keccak
    token, salt, owner = bytes(20), b"\x07" * 32, b"\xab" * 20
    leaf = keccak(b"\x00" + token + salt + (5).to_bytes(32) + f"0x{owner.hex()}/0".encode())
    other = b"\x0e" * 32
    proof: Proof = {
        "format": "exchange-balance-proof-1",
        "seq": 7,
        "genesis_id": "0x" + "ab" * 32,
        "chain_id": 1,
        "vault": "0x" + "5f" * 20,
        "block_number": 9,
        "block_hash": "0x" + "cd" * 32,
        "publication": None,
        "assets": [
            {
                "asset": "ETH",
                "token": "0x" + token.hex(),
                "decimals": 18,
                "depth": 1,
                "tree_hash": "0x"
                + keccak(b"\x01" + leaf + (5).to_bytes(32) + other + (6).to_bytes(32)).hex(),
                "total_atoms": "11",
                "uncredited_atoms": "3",
                "unsettled_atoms": "2",
            }
        ],
        "owner": "0x" + owner.hex(),
        "sub_account": 0,
        "leaves": [
            {
                "token": "0x" + token.hex(),
                "amount_atoms": "5",
                "salt": "0x" + salt.hex(),
                "path": [{"hash": "0x" + other.hex(), "sum_atoms": "6", "side": "right"}],
            }
        ],
    }
    root = verify_balance.root_of(proof, verify_balance.read_assets(proof))
    return proof | {"root": "0x" + root.hex()}


def judged(proof: Any, *arguments: str) -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(proof, file)
        file.flush()
        return verify_balance.main([file.name, *arguments])


def test_the_proof_made_by_hand_is_right():
    assert judged(small_proof()) == 0


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.integers().map(str)
    | st.binary(max_size=33).map(lambda value: f"0x{value.hex()}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=400, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data(), anything)
@example(None, {"sum_atoms": "-6"})
def test_no_value_in_the_place_of_a_bound_one_is_right(data, value):
    proof = small_proof()
    if data is None:
        proof["leaves"][0]["path"][0] |= value
        assert judged(proof) == 1
        return
    wanted = [place for place in places(proof) if is_bound(place) and place != ("publication",)]
    place = data.draw(st.sampled_from(wanted))
    was = at(proof, place)
    is_same = type(was) is type(value) and was == value
    is_same_hex = isinstance(was, str) and isinstance(value, str) and was.lower() == value.lower()
    verdict = judged(changed(proof, place, value))
    assert verdict == (0 if is_same or is_same_hex else 2 if place == ("format",) else 1)


@pytest.mark.parametrize(
    ("amount", "sibling"),
    [("-5", "16"), ("16", "-5"), (str(2**128 + 5), "6"), ("5", str(2**128 + 6)), ("5.0", "6"), ("05", "6")],
)
def test_sums_that_are_negative_wrap_around_or_are_not_plain_are_wrong(amount, sibling):
    proof = small_proof()
    proof["leaves"][0]["amount_atoms"] = amount
    proof["leaves"][0]["path"][0]["sum_atoms"] = sibling
    assert judged(proof) == 1


def test_two_trees_of_one_asset_are_wrong():
    proof = small_proof()
    proof["assets"].append(dict(proof["assets"][0], total_atoms="0"))
    assert judged(proof) == 1
