"""The proofs as the API gives them out, over a real chain and real read tables."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from tests.edge.harness import problem
from tests.proofs.venue import ETHER, WITHDRAWAL_FEE, Venue

from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_address
from exchange.chain.vault import accounted_call
from exchange.core.commands import TransferFunds
from exchange.core.words import Side
from exchange.edge.app import create_app
from exchange.gateway.addresses import checksummed
from exchange.proofs.rows import mark_published

CONTRACT = "0x" + "5c" * 20
TX_HASH = "0x" + "77" * 32


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(venue.edge()))
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost:8000") as opened:
        yield opened


async def as_user(venue: Venue, client: httpx.AsyncClient, index: int, **params: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await venue.token(index)}"}
    return await client.get("/v1/proof/balance", params=params, headers=headers)


# ---- solvency


async def test_before_the_first_comparison_solvency_is_not_known(client):
    response = await client.get("/v1/proof/solvency")
    problem(response, 503, "not_compared_yet")
    assert response.headers["retry-after"]


async def test_solvency_shows_both_sides_at_one_finalized_block(venue, client):
    await venue.wallet(2).deposit_native(7)
    await venue.credit()
    await venue.reconciler.poll()
    header = await venue.finalized()
    answer = (await client.get("/v1/proof/solvency")).json()
    assert answer["status"] == "agrees"
    assert (answer["chain_id"], answer["vault"].lower()) == (DEV_CHAIN_ID, venue.deployment.vault)
    assert (answer["block_number"], answer["block_hash"]) == (header.number, header.hash)
    assert answer["block_time_ms"] == header.time_s * 1_000
    assert answer["seq"] == venue.exchange.committed.seq
    eth, usdc = sorted(answer["assets"], key=lambda item: item["asset"])
    assert eth == {
        "asset": "ETH",
        "token": "0x" + "00" * 20,
        "vault": "3.000000000000000005",
        "ledger": "3.000000000000000012",
        "uncredited": "-0.000000000000000007",
        "unsettled": "0",
        "expected": "3.000000000000000005",
        "difference": "0",
        "claimable": "0",
    }
    assert (usdc["vault"], usdc["ledger"], usdc["difference"]) == ("9000", "9000", "0")


async def test_solvency_is_honest_when_the_vault_holds_less(venue, client, faulty_rpc):
    call = "0x" + accounted_call("0x" + "00" * 20).hex()

    def less(method, params, answer):
        is_asked = method == "eth_call" and params[0]["data"] == call
        return "0x" + (int(answer, 16) - ETHER).to_bytes(32).hex() if is_asked else answer

    faulty_rpc.after = less
    await venue.reconciler.poll()
    answer = (await client.get("/v1/proof/solvency")).json()
    assert answer["status"] == "differs"
    assert [item["difference"] for item in answer["assets"] if item["asset"] == "ETH"] == ["-1"]


async def test_what_the_vault_owes_to_owners_by_itself_is_shown(venue, client):
    usdc = venue.exchange.committed.asset_by_symbol["USDC"].token
    await venue.withdraw(0, 1_000, destination=usdc)  # a contract that takes no coins
    await venue.settle()
    await venue.mine(2)
    await venue.credit()
    await venue.reconciler.poll()
    answer = (await client.get("/v1/proof/solvency")).json()
    assert answer["status"] == "agrees"
    [claimable] = [item["claimable"] for item in answer["assets"] if item["asset"] == "ETH"]
    assert claimable == f"0.{1_000 - WITHDRAWAL_FEE:018d}"


async def test_solvency_that_is_older_than_what_the_caller_knows_is_not_yet(venue, client):
    await venue.reconciler.poll()
    seq = venue.exchange.committed.seq
    assert (await client.get("/v1/proof/solvency", params={"min_seq": seq})).status_code == 200
    problem(await client.get("/v1/proof/solvency", params={"min_seq": seq + 1}), 503, "not_yet")


# ---- balances


async def test_a_balance_proof_has_all_that_is_hashed(venue, client):
    built = await venue.build()
    response = await as_user(venue, client, 1)
    assert response.status_code == 200, response.text
    answer = response.json()
    header = await venue.finalized()
    assert (answer["format"], answer["number"], answer["seq"]) == ("exchange-balance-proof-1", 1, built.seq)
    assert answer["root"] == built.root
    assert answer["genesis_id"] == venue.exchange.committed.genesis_id
    assert (answer["block_number"], answer["block_hash"]) == (header.number, header.hash)
    assert (answer["owner"].lower(), answer["sub_account"]) == (dev_address(1), 0)
    assert answer["publication"] is None
    assert [asset["asset"] for asset in answer["assets"]] == ["ETH", "USDC"]
    amounts = {leaf["token"]: int(leaf["amount_atoms"]) for leaf in answer["leaves"]}
    assert amounts["0x" + "00" * 20] == ETHER + 2 * ETHER // 10
    assert [len(leaf["path"]) for leaf in answer["leaves"]] == [asset["depth"] for asset in answer["assets"]]


async def test_where_the_root_is_on_the_chain_is_told(venue, client):
    await venue.build()
    await mark_published(venue.pool, 1, CONTRACT, 4, TX_HASH)
    shown = {"contract": checksummed(CONTRACT), "index": 4, "tx_hash": TX_HASH}
    assert (await as_user(venue, client, 0)).json()["publication"] == shown
    [root] = (await client.get("/v1/proof/roots")).json()["items"]
    assert (root["state"], root["publication"]) == ("published", shown)


async def test_a_sub_account_has_a_leaf_of_its_own(venue, client):
    outcome = await venue.exchange.submit(
        TransferFunds(
            account_id=venue.account_id(0),
            to_sub_account=5,
            asset_id=1,
            amount_atoms=1_234,
            client_transfer_id="t",
            expires_ns=time.time_ns() + 20 * 10**9,
        )
    )
    assert type(outcome.events[-1]).__name__ == "FundsTransferred", outcome
    await venue.project()
    await venue.build()
    main = (await as_user(venue, client, 0)).json()
    sub = (await as_user(venue, client, 0, sub_account=5)).json()
    assert [leaf["amount_atoms"] for leaf in sub["leaves"]] == ["1234"]
    assert sub["sub_account"] == 5
    assert main["root"] == sub["root"]
    assert main["leaves"][0]["salt"] != sub["leaves"][0]["salt"]
    problem(await as_user(venue, client, 0, sub_account=6), 404, "not_in_proof")


async def test_without_a_session_there_is_no_balance_proof(venue, client):
    await venue.build()
    problem(await client.get("/v1/proof/balance"), 401, "unauthenticated")


async def test_before_the_first_proof_there_is_none(venue, client):
    problem(await as_user(venue, client, 0), 404, "no_proof_yet")
    assert (await client.get("/v1/proof/roots")).json()["items"] == []


async def test_an_account_that_was_owed_nothing_then_is_not_in_the_proof(venue, client):
    await venue.build()
    await venue.wallet(5).deposit_native(9)
    await venue.credit()
    problem(await as_user(venue, client, 5), 404, "not_in_proof")


async def test_an_older_proof_is_found_by_its_number_and_its_day(venue, client):
    for _ in range(2):
        await venue.order(0, Side.SELL, lots=1)
        await venue.project()
        await venue.build()
    await venue.pool.execute("UPDATE proofs SET built_ms = $1 WHERE number = 1", 1_700_000_000_000)
    assert (await as_user(venue, client, 0)).json()["number"] == 2
    assert (await as_user(venue, client, 0, number=1)).json()["number"] == 1
    assert (await as_user(venue, client, 0, day="2023-11-14")).json()["number"] == 1
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    assert (await as_user(venue, client, 0, day=today)).json()["number"] == 2
    problem(await as_user(venue, client, 0, day="2023-11-13"), 404, "proof_not_found")
    problem(await as_user(venue, client, 0, number=3), 404, "proof_not_found")


@pytest.mark.parametrize(
    "params",
    [
        {"day": "2023-11-31"},
        {"day": "14.11.2023"},
        {"day": "2023-1-1"},
        {"day": "\uff12023-11-14"},
        {"day": "0000-01-01"},
        {"day": "20231114"},
        {"day": ""},
        {"day": "2023-11-14", "number": "1"},
        {"number": "0"},
        {"number": "1e3"},
        {"number": str(2**63)},
        {"sub_account": "128"},
    ],
)
async def test_parameters_that_make_no_sense_are_refused_by_name(venue, client, params):
    await venue.build()
    content = problem(await as_user(venue, client, 0, **params), 422, "field_invalid")
    assert content["field"] in params


async def test_of_a_proof_whose_trees_are_gone_only_the_root_is_left(venue, client):
    for _ in range(3):
        await venue.order(0, Side.SELL, lots=1)
        await venue.project()
        await venue.build(kept=1)
    content = problem(await as_user(venue, client, 0, number=1), 404, "proof_not_found")
    assert "not kept" in content["detail"]
    assert len((await client.get("/v1/proof/roots")).json()["items"]) == 3


async def test_a_damaged_tree_is_an_error_of_ours_and_no_proof(venue, client):
    await venue.build()
    await venue.pool.execute(
        "UPDATE proof_levels SET nodes = decode(repeat('07', octet_length(nodes)), 'hex') WHERE height = 0"
    )
    problem(await as_user(venue, client, 0), 500, "internal_error")


async def test_a_proof_that_is_older_than_what_the_caller_knows_is_not_yet(venue, client):
    built = await venue.build()
    assert (await as_user(venue, client, 0, min_seq=built.seq)).status_code == 200
    problem(await as_user(venue, client, 0, min_seq=built.seq + 1), 503, "not_yet")


# ---- roots


async def test_roots_are_listed_newest_first_in_pages(venue, client):
    for _ in range(5):
        await venue.order(0, Side.SELL, lots=1)
        await venue.project()
        await venue.build()
    numbers: list[int] = []
    cursor = None
    while True:
        page = (
            await client.get("/v1/proof/roots", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        numbers += [item["number"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert numbers == [5, 4, 3, 2, 1]
    newest = (await client.get("/v1/proof/roots", params={"limit": 1})).json()["items"][0]
    assert newest["totals"] == {"ETH": "3.000000000000000005", "USDC": "9000"}
    assert newest["state"] == "built"
    problem(await client.get("/v1/proof/roots", params={"cursor": "bm9uc2Vuc2U"}), 422, "cursor_invalid")
