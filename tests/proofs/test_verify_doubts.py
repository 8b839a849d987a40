"""What a proof can be right about and still be no reason to trust: too little, too old, of something else."""

import copy
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scripts import verify_balance
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.edge.harness import served
from tests.proofs.reader import Proof, Shown, Verdict, changed, forged, owing_more, publish_root, run, verify
from tests.proofs.venue import ETHER

DAY_S = 86_400
NATIVE = "0x" + "00" * 20


async def published(shown: Shown, proof: Proof) -> Proof:
    await publish_root(shown.venue, proof["root"], proof["seq"], proof["block_number"])
    return proof


async def pass_time(shown: Shown, seconds: int) -> None:
    """On the chain; the reader goes by its newest block when that is ahead of his own clock."""
    await shown.venue.rpc.call("evm_increaseTime", seconds)
    await shown.venue.mine(1)


# ---- too little


@pytest.mark.parametrize("correction", ["unsettled_atoms", "uncredited_atoms"])
async def test_a_vault_that_holds_far_less_than_is_owed_is_short_whatever_explains_it(shown, correction):
    """The vault holds 3 ETH; a million more is owed, and said to have just been paid or to be just coming."""
    proof = await published(shown, owing_more(shown.proof, 10**6 * ETHER, correction))
    verdict = await verify(proof, *shown.thoroughly)
    assert verdict.code == 3, verdict.said
    assert "SHORT: " in verdict.said
    assert "RIGHT" not in verdict.said
    assert "ETH: held 3.000000000000000005 ETH of 1000003.000000000000000016 ETH owed, 0.00 %" in verdict.said


async def test_what_is_missing_may_be_as_much_as_the_reader_tolerates(shown):
    """100 of 10,000 parts: 1 % of the total."""
    total = int(shown.proof["assets"][0]["total_atoms"])
    more = (total + 98) // 99
    proof = await published(shown, owing_more(shown.proof, more, "unsettled_atoms"))
    assert (await verify(proof, *shown.thoroughly)).code == 3
    assert (await verify(proof, *shown.thoroughly, "--tolerance", "1.1")).code == 0
    assert (await verify(proof, *shown.thoroughly, "--tolerance", "0.9")).code == 3
    assert (await verify(shown.proof, *shown.thoroughly, "--tolerance", "0")).code == 3
    for nonsense in ("-1", "101", "1e3", "nan", ""):
        assert (await verify(proof, "--tolerance", nonsense)).code == 2


async def test_a_proof_that_is_short_by_its_own_numbers_is_so_without_a_chain(shown):
    assert (await verify(owing_more(shown.proof, ETHER, "unsettled_atoms"))).code == 3


async def test_a_short_proof_with_anything_wrong_in_it_is_wrong(shown):
    proof = owing_more(shown.proof, ETHER, "unsettled_atoms")
    assert (await verify(proof, *shown.thoroughly)).code == 1  # never published


# ---- too old


async def test_how_old_a_proof_is_is_told(shown):
    await pass_time(shown, 5 * 3_600)
    verdict = await verify(shown.proof, *shown.thoroughly)
    assert verdict.code == 0
    assert "published on 20" in verdict.said
    assert verdict.said.count("5.0 hours ago") == 2  # the block and the publication
    assert "CAREFUL" not in verdict.said


async def test_an_old_proof_is_not_passed_off_as_todays(shown):
    await pass_time(shown, 400 * DAY_S)
    verdict = await verify(shown.proof, *shown.thoroughly)
    assert verdict.code == 0
    assert "CAREFUL: it is 400 days old" in verdict.said
    assert "marked CAREFUL" in verdict.said.splitlines()[-1]


async def test_the_age_at_which_a_proof_is_old_is_the_readers_choice(shown):
    await pass_time(shown, 49 * 3_600)
    assert "CAREFUL" in (await verify(shown.proof, *shown.thoroughly)).said
    assert "CAREFUL" not in (await verify(shown.proof, *shown.thoroughly, "--max-age-hours", "50")).said
    assert "CAREFUL" in (await verify(shown.proof, *shown.thoroughly, "--max-age-hours", "1")).said


async def test_that_there_is_a_newer_root_is_told(shown):
    await publish_root(shown.venue, "0x" + "66" * 32, shown.proof["seq"] + 1, shown.proof["block_number"])
    verdict = await verify(shown.proof, *shown.thoroughly)
    assert verdict.code == 0
    assert "CAREFUL: the contract has 1 newer root" in verdict.said


async def test_a_new_root_about_the_vault_of_long_ago_is_told(shown):
    """Every day a new root, and always the block of a day when the vault was full."""
    await pass_time(shown, 365 * DAY_S)
    proof = await published(shown, forged(shown.proof))
    verdict = await verify(proof, *shown.thoroughly, "--max-age-hours", "10000")
    assert "CAREFUL: the vault was looked at 365 days before the root was published" in verdict.said


# ---- of something else


async def answered_with(shown: Shown, proof: Proof, *arguments: str) -> Verdict:
    """The verdict when an exchange answers with this proof whatever it is asked for."""
    answer = Route("/v1/proof/balance", lambda request: JSONResponse(proof))
    live = Route("/v1/health/live", lambda request: JSONResponse({}))
    async with served(Starlette(routes=[answer, live])) as url:
        return await run("--url", url, *arguments, *shown.thoroughly)


async def test_an_answer_about_another_sub_account_than_asked_for_is_wrong(shown):
    assert (await answered_with(shown, shown.proof)).code == 0
    verdict = await answered_with(shown, shown.proof, "--sub-account", "5")
    assert verdict.code == 1
    assert "sub-account 0" in verdict.said
    assert "5" in verdict.said
    assert (await verify(shown.proof, "--sub-account", "5")).code == 1
    assert (await verify(shown.proof, "--sub-account", "0")).code == 0


async def test_an_answer_about_sub_account_5_when_none_was_asked_for_is_wrong(shown):
    proof = forged(changed(shown.proof, ("sub_account",), 5))
    verdict = await answered_with(shown, proof)
    assert verdict.code == 1
    assert "about sub-account 5" in verdict.said


async def test_an_answer_with_another_proof_than_asked_for_is_wrong(shown):
    verdict = await answered_with(shown, shown.proof, "--number", "777")
    assert verdict.code == 1
    assert "proof 1 instead of 777" in verdict.said
    assert (await answered_with(shown, shown.proof, "--number", "1")).code == 0
    assert (await answered_with(shown, shown.proof, "--number", "0")).code == 1


async def test_names_of_tokens_are_the_chains_not_the_exchanges(shown):
    proof = copy.deepcopy(shown.proof)
    [usdc] = [asset for asset in proof["assets"] if asset["asset"] == "USDC"]
    usdc["asset"] = "WBTC"
    verdict = await verify(proof, *shown.thoroughly)
    assert verdict.code == 0
    assert (
        f"CAREFUL: what the exchange calls WBTC calls itself USDC: token {usdc['token'].lower()}"
        in verdict.said
    )
    assert " WBTC, of" not in verdict.said
    assert " USDC, of" in verdict.said


async def test_without_a_chain_names_and_decimals_are_the_exchanges_word(shown):
    verdict = await verify(shown.proof)
    assert verdict.code == 0
    assert "CAREFUL: names and decimals" in verdict.said


async def test_other_decimals_than_the_tokens_are_wrong(shown):
    """A root that binds them, so a balance of 0.01 would be shown as 10,000."""
    proof = copy.deepcopy(shown.proof)
    place = next(place for place, asset in enumerate(proof["assets"]) if asset["asset"] == "USDC")
    proof = await published(shown, forged(changed(proof, ("assets", place, "decimals"), 0)))
    verdict = await verify(proof, *shown.thoroughly)
    assert verdict.code == 1
    assert "decimals" in verdict.said


async def test_the_chains_own_coin_has_18_decimals(shown):
    proof = await published(shown, forged(shown.proof, decimals=15))
    assert (await verify(proof, *shown.thoroughly)).code == 1


async def test_whose_word_the_vault_is_is_said(shown):
    verdict = await verify(shown.proof, *shown.on_chain)
    assert verdict.code == 0
    assert "CAREFUL: which vault that is" in verdict.said


async def test_an_asset_that_is_left_out_of_the_root_is_wrong_to_who_expects_it(shown):
    proof = copy.deepcopy(shown.proof)
    [gone] = [asset for asset in proof["assets"] if asset["asset"] == "USDC"]
    proof["assets"].remove(gone)
    proof["leaves"] = [leaf for leaf in proof["leaves"] if leaf["token"] != gone["token"]]
    proof = await published(shown, forged(proof))
    assert (await verify(proof, *shown.thoroughly)).code == 0  # nobody can know
    verdict = await verify(proof, *shown.thoroughly, "--expect", f"{gone['token']}=8000")
    assert verdict.code == 1
    assert f"no token {gone['token'].lower()} in the root" in verdict.said


async def test_less_than_what_the_reader_expects_is_wrong(shown):
    """He has 1.200000000000000011 ETH."""
    for amount, code in (("1.2", 0), ("1.200000000000000011", 0), ("1.200000000000000012", 1), ("2", 1)):
        for token in (NATIVE, "native"):
            verdict = await verify(shown.proof, "--expect", f"{token}={amount}")
            assert verdict.code == code, verdict.said
    without = changed(shown.proof, ("leaves", 0), ...)
    assert (await verify(without, "--expect", "native=0.5")).code == 1
    for nonsense in ("ETH=1", "native=", "native", "native=-1", "native=1e5", "native=1.", "=1"):
        assert (await verify(shown.proof, "--expect", nonsense)).code == 2


# ---- servers that do not know what HTTP is


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that sends these bytes to everybody, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 500 no\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x1b]0;owned\x07 HTTP\r\n\r\n",
        b"HTTP/1.1 404 no\r\nContent-Length: 9\r\n\r\na\nb\x1b[31mc",
    ],
    ids=["nothing", "ssh", "cut off", "cut off error", "headers", "chunks", "escapes", "escapes in an error"],
)
async def test_an_answer_that_is_not_http_is_one_line(shown, answer):
    with answering(answer) as url:
        for verdict in (await run("--url", url), await verify(shown.proof, "--rpc", url)):
            assert verdict.code == 2
            assert verdict.said.startswith("NOT CHECKED: ")
            assert verdict.said.count("\n") == 1
            assert "\x1b" not in verdict.said


async def test_an_address_that_makes_no_sense_is_one_line():
    for url in ("http://[", "http://a b/", "http://\u2100/", "http://x:99999999/", "http://" + "a." * 300):
        verdict = await run("--url", url)
        assert (verdict.code, verdict.said.count("\n")) == (2, 1), verdict.said


def test_a_token_names_itself_by_a_string_or_by_32_bytes():
    def string(raw: bytes) -> bytes:
        return (32).to_bytes(32) + len(raw).to_bytes(32) + raw + bytes(-len(raw) % 32)

    told = verify_balance.told_name
    assert told(string(b"USDC")) == "USDC"
    assert told(b"MKR" + bytes(29)) == "MKR"
    for nonsense in (b"", b"\x00" * 64, string(b"\x1b[31m"), string("USD₮".encode()), string(b"\xff"), b"x"):
        assert told(nonsense) == ""
    assert told((32).to_bytes(32) + (2**255).to_bytes(32) + b"ABC") == "ABC"
