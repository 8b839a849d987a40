"""Approving keys, listing and revoking them."""

import asyncio
import time

import pytest
from eth_account import Account
from tests.edge.agents import Bot, Ed25519Key, Secp256k1Key, approval, approved
from tests.edge.harness import ORIGIN, impatient, problem, running_exchange

from exchange.edge.reads import encode_cursor

both_kinds = pytest.mark.parametrize("kind", [Ed25519Key, Secp256k1Key])


async def approve(trader, body):
    return await trader.request("POST", "/v1/agents", json=body)


@both_kinds
async def test_a_key_that_its_owner_signed_for_is_approved(exchange, kind):
    trader, key = await exchange.trader(), kind()
    signed = {
        "name": "maker 7",
        "scopes": ["trade"],
        "markets": ["WBTC-USDC", "ETH-USDC"],
        "sub_accounts": [3, 0],
        "ip_ranges": ["203.0.113.0/24"],
        "nonce": "77",
    }
    body = approval(trader, key.text, **signed)
    response = await approve(trader, body)
    assert response.status_code == 201, response.text
    agent = exchange.view.agent(key.text)
    assert response.json() == {
        "seq": exchange.view.seq,
        "agent": {
            "key": key.text,
            "kind": key.kind,
            **signed,
            "expires_at_ms": body["expires_at_s"] * 1_000,
            "approved_at_ms": agent.approved_ns // 10**6,
            "revoked_at_ms": None,
            "state": "active",
        },
    }


async def test_the_same_approval_sent_again_changes_nothing(exchange):
    trader, key = await exchange.trader(), Ed25519Key()
    body = approval(trader, key.text)
    first = await approve(trader, body)
    again = await approve(trader, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["agent"] == first.json()["agent"]
    later = {"expires_at_s": body["expires_at_s"], "deadline_s": body["deadline_s"] + 1}
    assert (await approve(trader, approval(trader, key.text, **later))).status_code == 200
    assert len((await trader.get("/v1/agents")).json()["items"]) == 1


async def test_of_two_equal_approvals_at_once_one_is_the_first(exchange):
    trader, key = await exchange.trader(), Ed25519Key()
    body = approval(trader, key.text)
    answers = await asyncio.gather(*(approve(trader, body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]


async def test_a_session_alone_approves_nothing(exchange):
    trader, stranger = await exchange.trader(), Account.create()
    body = approval(trader, Ed25519Key().text, wallet=stranger)
    content = problem(await approve(trader, body), 403, "signature_wrong_signer")
    assert content["recovered_key"] == stranger.address.lower()
    assert content["signed_digest"].startswith("0x")
    for changes in (
        {"key": Ed25519Key().text},
        {"name": "another"},
        {"scopes": ["read"]},
        {"markets": ["ETH-USDC"]},
        {"sub_accounts": [1]},
        {"expires_at_s": body["expires_at_s"] + 1},
        {"ip_ranges": ["203.0.113.0/24"]},
        {"nonce": "2"},
        {"deadline_s": body["deadline_s"] + 1},
    ):
        times = {name: body[name] for name in ("expires_at_s", "deadline_s")}
        changed = approval(trader, Ed25519Key().text, changes=changes, **times)
        problem(await approve(trader, changed), 403, "signature_wrong_signer")
    without = approval(trader, Ed25519Key().text)
    del without["signature"]
    assert problem(await approve(trader, without), 422, "field_missing")["field"] == "signature"
    assert exchange.view.agents_of(trader.owner) == []


async def test_an_approval_counts_for_the_session_of_its_owner_only(exchange):
    owner, other = await exchange.trader(), await exchange.trader()
    body = approval(owner, Ed25519Key().text)
    problem(await approve(other, body), 403, "signature_wrong_signer")
    problem(await exchange.client.post("/v1/agents", json=body), 401, "unauthenticated")


async def test_an_approval_is_handed_in_before_its_deadline(exchange):
    trader, now_s = await exchange.trader(), int(time.time())
    for deadline_s, code in ((now_s - 1, "signature_expired"), (now_s + 3_700, "signature_deadline_too_far")):
        body = approval(trader, Ed25519Key().text, deadline_s=deadline_s)
        assert problem(await approve(trader, body), 422, code)["field"] == "deadline_s"


async def test_a_key_is_of_one_owner_and_of_one_approval_for_ever(exchange):
    owner, other, key = await exchange.trader(), await exchange.trader(), Ed25519Key()
    await approved(owner, key)
    problem(await approve(other, approval(other, key.text)), 409, "agent_key_used")
    problem(await approve(owner, approval(owner, key.text, scopes=["read"])), 409, "agent_key_used")


async def test_a_revoked_key_is_never_approved_again_not_even_by_the_approval_it_had(exchange):
    trader, key = await exchange.trader(), Ed25519Key()
    body = approval(trader, key.text)
    assert (await approve(trader, body)).status_code == 201
    assert (await trader.request("DELETE", f"/v1/agents/{key.text}")).status_code == 200
    problem(await approve(trader, body), 409, "agent_key_used")
    problem(await approve(trader, approval(trader, key.text, nonce="2")), 409, "agent_key_used")


async def test_a_key_that_nobody_can_have_or_that_is_the_wallet_itself_is_refused(exchange):
    trader = await exchange.trader()
    for key in (trader.owner, "0x" + "00" * 20, "0x" + "00" * 32, "0x01" + "00" * 31):
        assert problem(await approve(trader, approval(trader, key)), 422, "agent_invalid")["field"] == "key"


async def test_owners_may_have_fifty_keys_at_a_time(exchange):
    trader = await exchange.trader()
    bots = [await approved(trader) for _ in range(50)]
    problem(await approve(trader, approval(trader, Ed25519Key().text)), 409, "too_many_agents")
    await trader.request("DELETE", f"/v1/agents/{bots[7].key.text}")
    await approved(trader)


async def test_keys_are_listed_for_their_owner_the_newest_first(exchange):
    trader, other = await exchange.trader(), await exchange.trader()
    bots = [await approved(trader, name=f"bot {number}") for number in range(3)]
    await approved(other)
    now_s = exchange.edge.clock_ns() // 10**9
    short = await approved(trader, name="short", expires_at_s=now_s + 600)
    await trader.request("DELETE", f"/v1/agents/{bots[0].key.text}")
    exchange.faults.clock_ahead_ns = 601 * 10**9
    listed = (await trader.get("/v1/agents")).json()
    assert [(item["name"], item["state"]) for item in listed["items"]] == [
        ("short", "expired"),
        ("bot 2", "active"),
        ("bot 1", "active"),
        ("bot 0", "revoked"),
    ]
    assert listed["seq"] == exchange.view.seq
    assert listed["items"][0]["key"] == short.key.text
    assert listed["items"][3]["revoked_at_ms"] is not None


async def test_a_page_goes_on_where_the_one_before_ended_whatever_is_approved_meanwhile(exchange):
    trader = await exchange.trader()
    names = [f"bot {number}" for number in range(5)]
    for name in names:
        await approved(trader, name=name)
    first = (await trader.get("/v1/agents", limit=2)).json()
    await approved(trader, name="newer")
    second = (await trader.get("/v1/agents", limit=2, cursor=first["next_cursor"])).json()
    third = (await trader.get("/v1/agents", limit=2, cursor=second["next_cursor"])).json()
    listed = [item["name"] for page in (first, second, third) for item in page["items"]]
    assert listed == names[::-1]
    assert third["next_cursor"] is None
    problem(await trader.get("/v1/agents", cursor="x"), 422, "cursor_invalid")
    beyond = await trader.get("/v1/agents", cursor=encode_cursor("agents", (2**40,)))
    assert len(beyond.json()["items"]) == 6


async def test_an_agent_that_may_read_sees_the_keys_and_answers_as_new_as_asked(exchange):
    trader = await exchange.trader()
    bot = await approved(trader)
    seq = exchange.view.seq
    assert len((await bot.get(f"/v1/agents?min_seq={seq}")).json()["items"]) == 1
    with impatient(exchange):
        problem(await bot.get(f"/v1/agents?min_seq={seq + 1}"), 503, "not_yet")
        problem(await bot.get(f"/v1/whoami?min_seq={seq + 1}"), 503, "not_yet")
    assert (await bot.get(f"/v1/whoami?min_seq={seq}")).json()["seq"] == seq


async def test_a_key_is_revoked_at_once_and_stays_so(exchange):
    trader = await exchange.trader(USDC=10_000 * 10**6)
    bot = await approved(trader)
    assert (await bot.order(price="10")).status_code == 201
    first = await trader.request("DELETE", f"/v1/agents/{bot.key.text}")
    assert (first.status_code, first.json()["agent"]["state"]) == (200, "revoked")
    for response in (await bot.order(), await bot.get("/v1/balances"), await bot.get("/v1/whoami")):
        problem(response, 401, "agent_revoked")
    again = await trader.request("DELETE", f"/v1/agents/{bot.key.text}")
    assert again.status_code == 200
    assert again.json()["agent"] == first.json()["agent"]
    assert len(exchange.view.open_orders(trader.account_id)) == 1  # what it has placed stays the owner's


async def test_only_the_owner_revokes_a_key(exchange):
    owner, other = await exchange.trader(), await exchange.trader()
    bot = await approved(owner)
    for key in (bot.key.text, Ed25519Key().text, "x", "0x" + "A" * 40, "%00", bot.key.text + "0"):
        problem(await other.request("DELETE", f"/v1/agents/{key}"), 404, "agent_unknown")
    problem(await exchange.client.delete(f"/v1/agents/{bot.key.text}"), 401, "unauthenticated")
    assert (await bot.get("/v1/whoami")).status_code == 200


async def test_an_expired_key_is_refused_and_can_still_be_revoked(exchange):
    trader = await exchange.trader()
    bot = await approved(trader, expires_at_s=exchange.edge.clock_ns() // 10**9 + 60)
    exchange.faults.clock_ahead_ns = 61 * 10**9
    problem(await bot.get("/v1/balances"), 401, "agent_expired")
    revoked = await trader.request("DELETE", f"/v1/agents/{bot.key.text}")
    assert revoked.json()["agent"]["state"] == "revoked"


async def test_browsers_approve_and_revoke_by_cookie_with_their_origin_only(exchange):
    trader, key = await exchange.trader(), Ed25519Key()
    cookie = {"Cookie": f"__Host-session={trader.token}"}
    body = approval(trader, key.text)
    client = exchange.client
    problem(await client.post("/v1/agents", json=body, headers=cookie), 403, "origin_required")
    evil = cookie | {"Origin": "https://evil.example"}
    problem(await client.post("/v1/agents", json=body, headers=evil), 403, "origin_not_allowed")
    ours = cookie | {"Origin": ORIGIN}
    assert (await client.post("/v1/agents", json=body, headers=ours)).status_code == 201
    problem(await client.delete(f"/v1/agents/{key.text}", headers=cookie), 403, "origin_required")
    assert (await client.delete(f"/v1/agents/{key.text}", headers=ours)).status_code == 200


async def test_no_parameters_are_taken_beside_the_body(exchange):
    trader = await exchange.trader()
    response = await trader.request("POST", "/v1/agents?x=1", json=approval(trader, Ed25519Key().text))
    problem(response, 422, "field_unknown")
    problem(await trader.request("DELETE", f"/v1/agents/{Ed25519Key().text}?x=1"), 422, "field_unknown")


async def test_keys_and_what_became_of_them_outlive_the_engine(database_url, pool):
    async with running_exchange(database_url, pool) as exchange:
        trader = await exchange.trader()
        bot, ended = await approved(trader, scopes=["read"]), await approved(trader)
        await trader.request("DELETE", f"/v1/agents/{ended.key.text}")
        listed = (await trader.get("/v1/agents")).json()["items"]
    async with running_exchange(database_url, pool) as again:
        trader.exchange = again
        assert (await trader.get("/v1/agents")).json()["items"] == listed
        assert (await Bot(again, bot.key).get("/v1/whoami")).json()["scopes"] == ["read"]
        problem(await Bot(again, ended.key).get("/v1/whoami"), 401, "agent_revoked")
