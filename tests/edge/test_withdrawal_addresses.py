"""The list of withdrawal addresses over HTTP: adding needs the wallet, removing only the session."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from eth_account import Account
from tests.edge.harness import ORIGIN, Exchange, Trader, problem, running_exchange

from exchange.chain import allow_list

DELAY_S = 1_800
COLD = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SHOP = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
USDC_ATOMS = 10**6


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool, address_delay_s=DELAY_S) as running:
        yield running


def pass_time(exchange: Exchange, seconds: int) -> None:
    exchange.faults.clock_ahead_ns += seconds * 10**9


async def add(trader: Trader, body: dict[str, Any]) -> httpx.Response:
    return await trader.request("POST", "/v1/withdrawal-addresses", json=body)


async def remove(trader: Trader, address: str) -> httpx.Response:
    return await trader.request("DELETE", f"/v1/withdrawal-addresses/{address}")


async def listed(trader: Trader) -> list[str]:
    answer = (await trader.get("/v1/withdrawal-addresses")).json()
    return [item["address"] for item in answer["items"]]


async def withdraw(trader: Trader, **changes: Any) -> httpx.Response:
    return await trader.request("POST", "/v1/withdrawals", json=trader.withdrawal(**changes))


async def test_an_address_that_the_wallet_signed_is_listed_with_the_time_it_becomes_active(exchange):
    trader = await exchange.trader()
    before_ms = time.time_ns() // 1_000_000
    answer = await add(trader, trader.withdrawal_address(COLD))
    assert answer.status_code == 201, answer.text
    item = answer.json()["withdrawal_address"]
    assert item == {
        "address": COLD,
        "label": "cold wallet",
        "added_ms": item["added_ms"],
        "active_at_ms": item["added_ms"] + DELAY_S * 1_000,
    }
    assert before_ms <= item["added_ms"] <= time.time_ns() // 1_000_000
    whole = (await trader.get("/v1/withdrawal-addresses")).json()
    assert whole == {"seq": exchange.view.seq, "delay_s": DELAY_S, "items": [item]}


async def test_a_withdrawal_to_a_new_address_is_refused_until_it_has_waited(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    refused = problem(await withdraw(trader, signed_destination=COLD), 409, "destination_not_allowed")
    assert (refused["field"], refused["value"]) == ("destination", COLD)
    item = (await add(trader, trader.withdrawal_address(COLD))).json()["withdrawal_address"]
    refused = problem(await withdraw(trader, signed_destination=COLD), 409, "destination_waiting")
    assert refused["retry_at_ms"] == item["active_at_ms"]
    pass_time(exchange, DELAY_S - 60)
    problem(await withdraw(trader, signed_destination=COLD), 409, "destination_waiting")
    assert (await trader.balances())["USDC"] == ("10", "0")
    pass_time(exchange, 61)
    answer = await withdraw(trader, signed_destination=COLD)
    assert answer.status_code == 201, answer.text
    assert answer.json()["withdrawal"]["destination"] == COLD
    problem(await withdraw(trader, signed_destination=SHOP), 409, "destination_not_allowed")


async def test_the_owners_own_wallet_needs_no_entry_and_can_have_none(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    assert (await withdraw(trader)).status_code == 201
    own = trader.key.address
    problem(await add(trader, trader.withdrawal_address(own)), 422, "destination_invalid")


async def test_a_wrong_signature_is_told_before_the_destination(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    problem(
        await withdraw(trader, key=Account.create(), signed_destination=COLD), 403, "signature_wrong_signer"
    )


async def test_a_removed_address_is_refused_at_once(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    await add(trader, trader.withdrawal_address(COLD))
    pass_time(exchange, DELAY_S)
    removed = await remove(trader, COLD.lower())
    assert removed.status_code == 200, removed.text
    assert removed.json()["withdrawal_address"]["address"] == COLD
    problem(await withdraw(trader, signed_destination=COLD), 409, "destination_not_allowed")
    problem(await remove(trader, COLD), 404, "unknown_withdrawal_address")
    assert await listed(trader) == []


async def test_adding_again_changes_nothing_and_is_told_apart(exchange):
    trader = await exchange.trader()
    body = trader.withdrawal_address(COLD)
    first = await add(trader, body)
    pass_time(exchange, 60)
    again = await add(trader, body)
    assert (again.status_code, again.json()) == (200, first.json())
    other_label = await add(trader, trader.withdrawal_address(COLD, 2, label="mine"))
    assert (other_label.status_code, other_label.json()) == (200, first.json())
    assert await listed(trader) == [COLD]


async def test_an_old_signature_does_not_bring_a_removed_address_back_but_a_new_one_waits_anew(exchange):
    trader = await exchange.trader()
    used, sent_for_nothing = trader.withdrawal_address(COLD), trader.withdrawal_address(COLD, 2)
    await add(trader, used)
    await add(trader, sent_for_nothing)
    await remove(trader, COLD)
    problem(await add(trader, used), 409, "signature_used")
    problem(await add(trader, sent_for_nothing), 409, "signature_used")
    assert await listed(trader) == []
    pass_time(exchange, 60)
    answer = await add(trader, trader.withdrawal_address(COLD, 3))
    assert answer.status_code == 201
    item = answer.json()["withdrawal_address"]
    assert item["active_at_ms"] == item["added_ms"] + DELAY_S * 1_000


async def test_a_stolen_session_alone_can_not_add_an_address(exchange):
    victim, thief = await exchange.trader(), await exchange.trader()
    problem(await add(victim, victim.withdrawal_address(COLD, key=thief.key)), 403, "signature_wrong_signer")
    problem(await add(victim, thief.withdrawal_address(COLD)), 403, "signature_wrong_signer")
    assert await listed(victim) == []


async def test_lists_are_each_owners_own(exchange):
    one, other = await exchange.trader(), await exchange.trader()
    await add(one, one.withdrawal_address(COLD))
    assert await listed(other) == []
    problem(await remove(other, COLD), 404, "unknown_withdrawal_address")
    assert await listed(one) == [COLD]


async def test_what_can_not_be_added_has_its_code(exchange, subtests):
    trader = await exchange.trader()
    now_s = int(time.time())
    body = trader.withdrawal_address(COLD)
    for name, wrong, status, code in [
        ("another address", body | {"address": SHOP}, 403, "signature_wrong_signer"),
        ("another nonce", body | {"nonce": "2"}, 403, "signature_wrong_signer"),
        ("another deadline", body | {"deadline_s": now_s + 60}, 403, "signature_wrong_signer"),
        ("no address", body | {"address": "cold"}, 422, "address_invalid"),
        ("wrong checksum", body | {"address": COLD.replace("C", "c", 1)}, 422, "address_invalid"),
        ("to nobody", body | {"address": "0x" + "00" * 20}, 422, "destination_invalid"),
        ("to the vault", body | {"address": exchange.edge.config.vault}, 422, "destination_invalid"),
        ("to a token", body | {"address": "0x" + "0c" * 20}, 422, "destination_invalid"),
        ("long label", body | {"label": "x" * 65}, 422, "field_invalid"),
        ("turned label", body | {"label": "\u202edloc"}, 422, "field_invalid"),
        ("no text", body | {"label": None}, 422, "field_invalid"),
        ("nonce number", body | {"nonce": 1}, 422, "field_invalid"),
        ("deadline text", body | {"deadline_s": "1"}, 422, "field_invalid"),
        ("past", trader.withdrawal_address(COLD, signed_deadline_s=now_s), 422, "signature_expired"),
        (
            "far",
            trader.withdrawal_address(COLD, signed_deadline_s=now_s + 3_700),
            422,
            "signature_deadline_too_far",
        ),
        ("no signature", body | {"signature": "0x"}, 422, "signature_invalid"),
        ("unknown field", body | {"memo": "x"}, 422, "field_unknown"),
        ("missing", {"address": COLD}, 422, "field_missing"),
    ]:
        with subtests.test(name):
            problem(await add(trader, wrong), status, code)
    for name in ("label", "%00", "0x", COLD + "0", COLD.replace("C", "c", 1)):
        problem(await remove(trader, name), 422, "address_invalid")
    assert await listed(trader) == []


async def test_a_full_list_takes_no_more(exchange, monkeypatch):
    monkeypatch.setattr(allow_list, "MAX_ENTRIES", 1)
    trader = await exchange.trader()
    await add(trader, trader.withdrawal_address(COLD))
    problem(await add(trader, trader.withdrawal_address(SHOP)), 409, "withdrawal_addresses_full")
    await remove(trader, COLD)
    problem(await add(trader, trader.withdrawal_address(SHOP)), 409, "withdrawal_addresses_full")


async def test_requests_without_a_session_or_from_another_site_are_refused(exchange):
    trader = await exchange.trader()
    body = trader.withdrawal_address(COLD)
    cookie = {"Cookie": f"__Host-session={trader.token}"}
    for method, path, content in (
        ("POST", "/v1/withdrawal-addresses", body),
        ("DELETE", f"/v1/withdrawal-addresses/{COLD}", None),
    ):
        client = exchange.client
        problem(await client.request(method, path, json=content), 401, "unauthenticated")
        response = await client.request(method, path, json=content, headers=cookie)
        problem(response, 403, "origin_required")
        evil = cookie | {"Origin": "https://evil.example"}
        problem(await client.request(method, path, json=content, headers=evil), 403, "origin_not_allowed")
        ours = cookie | {"Origin": ORIGIN}
        assert (await client.request(method, path, json=content, headers=ours)).status_code < 300
    problem(await exchange.client.get("/v1/withdrawal-addresses"), 401, "unauthenticated")


async def test_requests_at_the_same_time_list_an_address_once(exchange):
    trader = await exchange.trader()
    bodies = [trader.withdrawal_address(COLD, nonce) for nonce in range(8)]
    answers = await asyncio.gather(*(add(trader, body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert await listed(trader) == [COLD]


async def test_the_signature_that_is_asked_for_is_described_by_the_deployment(exchange):
    trader = await exchange.trader()
    described = (await exchange.client.get("/v1/deployment")).json()["withdrawal_address_typed_data"]
    deadline_s = int(time.time()) + 600
    message = {"account": trader.key.address, "destination": COLD, "nonce": 5, "deadline": deadline_s}
    signed = trader.key.sign_typed_data(
        full_message={
            "domain": described["domain"],
            "primaryType": described["primary_type"],
            "types": described["types"],
            "message": message,
        }
    )
    body = {"address": COLD, "nonce": "5", "deadline_s": deadline_s}
    answer = await add(trader, body | {"signature": "0x" + signed.signature.hex()})
    assert answer.status_code == 201, answer.text
    assert answer.json()["withdrawal_address"]["label"] == ""


async def test_without_a_delay_every_destination_is_taken(database_url: str, pool: asyncpg.Pool):
    async with running_exchange(database_url, pool) as exchange:
        trader = await exchange.trader(USDC=10 * USDC_ATOMS)
        assert (await withdraw(trader, signed_destination=SHOP)).status_code == 201
        answer = (await trader.get("/v1/withdrawal-addresses")).json()
        assert (answer["delay_s"], answer["items"]) == (0, [])
