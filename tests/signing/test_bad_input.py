"""Signed requests in bad hands: over a real socket, by nothing but what docs/api/signing.md says.

Whatever is changed on the way, sent again, signed by another or at another time: the documented code,
nothing is done, and the request as it was meant can still be sent.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.edge.agents import Bot, Ed25519Key, Key, Secp256k1Key, approved
from tests.edge.harness import HOST, problem
from tests.signing.conftest import HERE, NOW_NS, Live

from exchange.gateway.signatures import SECP256K1_ORDER
from exchange.gateway.signed_requests import ED25519_ORDER

NOW_US, NOW_MS = NOW_NS // 10**3, NOW_NS // 10**6
SECOND_US, SECOND_MS = 10**6, 10**3
ORDER = {"market": "ETH-USDC", "side": "buy", "price": "3", "size": "1"}
both_kinds = pytest.mark.parametrize("kind", [Ed25519Key, Secp256k1Key], ids=lambda kind: kind.kind)


@dataclass(frozen=True, slots=True)
class Request:
    """What is signed, line by line, or what is sent, header by header."""

    genesis_id: str
    key: str
    method: str
    target: str
    body: bytes
    host: str = HOST
    nonce: str = str(NOW_US)
    expires_ms: str = str(NOW_MS + 10_000)

    @property
    def text(self) -> str:
        body_hash = hashlib.sha256(self.body).hexdigest()
        lines = ("exchange-request-1", self.genesis_id, self.host, self.key, self.method, self.target)
        return "\n".join((*lines, body_hash, self.nonce, self.expires_ms))

    def headers(self, signature: str) -> dict[str, str]:
        kind = {"Content-Type": "application/json"} if self.body else {}
        return kind | {
            "Exchange-Key": self.key,
            "Exchange-Nonce": self.nonce,
            "Exchange-Expires": self.expires_ms,
            "Exchange-Signature": signature,
        }


class Hand:
    """Sends what a key has signed, or something else."""

    def __init__(self, live: Live, bot: Bot) -> None:
        self.live = live
        self.bot = bot

    def request(self, method: str, target: str, content: Any = None, **changes: str) -> Request:
        body = b"" if content is None else json.dumps(content).encode()
        genesis_id = self.live.exchange.view.genesis_id
        return replace(Request(genesis_id, self.bot.key.text, method, target, body), **changes)

    async def send(self, sent: Request, signed: Request | None = None, signature: str | None = None) -> Any:
        """The answer to a request; another one was `signed`, or the `signature` is another."""
        signature = signature or self.bot.key.sign((signed or sent).text)
        return await self.live.http.request(
            sent.method, sent.target, content=sent.body, headers=sent.headers(signature)
        )


async def one_of_each(hand: Hand) -> list[Request]:
    """Every kind of signed request, each of which would be taken, with nonces of their own."""
    placed = await hand.live.trader.order(price="2", client_order_id="to-amend")
    order_id = placed.json()["order"]["order_id"]
    requests = [
        hand.request("POST", "/v1/orders", ORDER | {"client_order_id": "mine"}),
        hand.request("POST", "/v1/orders/batch", {"operations": [{"op": "place", **ORDER}]}),
        hand.request("PATCH", f"/v1/orders/{order_id}", {"size": "0.5"}),
        hand.request("POST", "/v1/cancel-all-after", {"seconds": 60}),
        hand.request("DELETE", f"/v1/orders/{order_id}"),
        hand.request("DELETE", "/v1/orders?market=ETH-USDC&side=buy"),
        hand.request("GET", "/v1/balances?sub_account=0"),
        hand.request("GET", "/v1/orders?market=ETH-USDC&limit=5"),
        hand.request("GET", "/v1/whoami"),
    ]
    return [replace(one, nonce=str(NOW_US + index)) for index, one in enumerate(requests)]


def another_target(request: Request) -> Request:
    path, joint, query = request.target.partition("?")
    return replace(request, target=f"{path}/{joint}{query}")


def another_query(request: Request) -> Request:
    return replace(request, target=request.target + ("&" if "?" in request.target else "?") + "limit=1")


OTHERWISE: dict[str, Callable[[Request], Request]] = {
    "method": lambda request: replace(request, method="DELETE" if request.method != "DELETE" else "POST"),
    "method in lower case": lambda request: replace(request, method=request.method.lower()),
    "target": another_target,
    "query": another_query,
    "escapes": lambda request: replace(request, target=request.target.replace("/v1/", "/v1%2F")),
    "body": lambda request: replace(request, body=request.body + b" "),
    "host": lambda request: replace(request, host="exchange.example"),
    "host without its port": lambda request: replace(request, host=HOST.partition(":")[0]),
    "deployment": lambda request: replace(request, genesis_id="0x" + "5f" * 32),
    "nonce": lambda request: replace(request, nonce=str(int(request.nonce) + 1)),
    "expiry": lambda request: replace(request, expires_ms=str(int(request.expires_ms) + 1)),
    "key": lambda request: replace(request, key=Ed25519Key().text),
}


@both_kinds
@pytest.mark.parametrize("what", OTHERWISE)
async def test_what_was_signed_otherwise_is_refused(live: Live, kind: type[Key], what: str) -> None:
    hand = Hand(live, await live.bot(kind()))
    requests = await one_of_each(hand)
    seq = live.exchange.view.seq
    for request in requests:
        other = OTHERWISE[what](request)
        assert other != request
        content = problem(await hand.send(request, signed=other), 401, "signature_wrong_signer")
        assert content["field"] == "Exchange-Signature"
        assert content["signed_text"] == request.text
    assert live.exchange.view.seq == seq
    for request in requests:
        assert (await hand.send(request)).status_code in {200, 201}, request


TAMPERED: dict[str, Callable[[Request], Request]] = {
    "nonce": OTHERWISE["nonce"],
    "expiry": OTHERWISE["expiry"],
    "body": lambda request: replace(request, body=request.body.replace(b'"1"', b'"9"').replace(b"60", b"61")),
}


@both_kinds
@pytest.mark.parametrize("what", TAMPERED)
async def test_what_was_changed_on_its_way_is_refused(live: Live, kind: type[Key], what: str) -> None:
    hand = Hand(live, await live.bot(kind()))
    requests = await one_of_each(hand)
    seq = live.exchange.view.seq
    changed = 0
    for request in requests:
        sent = TAMPERED[what](request)
        if sent != request:
            changed += 1
            problem(await hand.send(sent, signed=request), 401, "signature_wrong_signer")
    assert changed >= 3
    assert live.exchange.view.seq == seq


@both_kinds
async def test_one_request_sent_as_another_is_refused(live: Live, kind: type[Key]) -> None:
    """Any two of them: method, target and body belong together."""
    hand = Hand(live, await live.bot(kind()))
    requests = await one_of_each(hand)
    seq = live.exchange.view.seq
    for signed in requests:
        for sent in requests:
            if sent is not signed:
                like = replace(sent, nonce=signed.nonce, expires_ms=signed.expires_ms)
                problem(await hand.send(like, signed=signed), 401, "signature_wrong_signer")
    assert live.exchange.view.seq == seq


@both_kinds
async def test_a_request_goes_under_no_other_key(live: Live, kind: type[Key]) -> None:
    hand = Hand(live, await live.bot(kind()))
    another = await live.bot(kind(), nonce="2")
    stranger = await approved(await live.exchange.trader(USDC=10**9), kind())
    request = hand.request("POST", "/v1/orders", ORDER)
    for key, code in (
        (another.key.text, "signature_wrong_signer"),
        (stranger.key.text, "signature_wrong_signer"),
        (kind().text, "agent_unknown"),
    ):
        problem(await hand.send(replace(request, key=key), signed=request), 401, code)
    for key, code, field in (
        (request.key.upper(), "signature_header_invalid", "Exchange-Key"),
        (request.key[2:], "signature_header_invalid", "Exchange-Key"),
        (request.key + "00", "signature_header_invalid", "Exchange-Key"),
    ):
        assert problem(await hand.send(replace(request, key=key)), 401, code)["field"] == field
    assert live.open_orders() == []


# ---- signatures


def flipped(signature: str, place: int) -> str:
    raw = bytearray.fromhex(signature[2:])
    raw[place] ^= 1
    return "0x" + raw.hex()


@both_kinds
async def test_a_signature_with_any_byte_changed_is_refused(live: Live, kind: type[Key]) -> None:
    hand = Hand(live, await live.bot(kind()))
    request = hand.request("POST", "/v1/orders", ORDER)
    signature = hand.bot.key.sign(request.text)
    for place in range(len(bytes.fromhex(signature[2:]))):
        answer = await hand.send(request, signature=flipped(signature, place))
        problem(answer, 401, answer.json()["code"])
        assert answer.json()["code"] in {
            "signature_wrong_signer",
            "signature_invalid",
            "signature_malleable",
        }
    assert live.open_orders() == []
    assert (await hand.send(request, signature=signature)).status_code == 201


@both_kinds
async def test_a_signature_has_one_form(live: Live, kind: type[Key]) -> None:
    hand = Hand(live, await live.bot(kind()))
    request = hand.request("POST", "/v1/orders", ORDER)
    signature = hand.bot.key.sign(request.text)
    raw = bytes.fromhex(signature[2:])
    if kind is Ed25519Key:
        scalar = int.from_bytes(raw[32:], "little") + ED25519_ORDER
        other_form = raw[:32] + scalar.to_bytes(32, "little")
    else:
        high = SECP256K1_ORDER - int.from_bytes(raw[32:64])
        other_form = raw[:32] + high.to_bytes(32) + bytes([55 - raw[64]])
    problem(await hand.send(request, signature="0x" + other_form.hex()), 401, "signature_malleable")
    for text in (signature[2:], signature[:-2], signature + "00", "0x", "0x" + "zz" * len(raw), "none"):
        problem(await hand.send(request, signature=text), 401, "signature_invalid")
    assert live.open_orders() == []


@both_kinds
async def test_a_signature_of_the_other_kind_is_none(live: Live, kind: type[Key]) -> None:
    hand = Hand(live, await live.bot(kind()))
    other = Secp256k1Key() if kind is Ed25519Key else Ed25519Key()
    request = hand.request("POST", "/v1/orders", ORDER)
    problem(await hand.send(request, signature=other.sign(request.text)), 401, "signature_invalid")


@both_kinds
async def test_what_was_signed_for_something_else_signs_no_request(live: Live, kind: type[Key]) -> None:
    hand = Hand(live, await live.bot(kind()))
    request = hand.request("POST", "/v1/orders", ORDER)
    challenge = "0x" + "ab" * 32
    for text in (
        "\n".join(
            ["exchange-websocket-1", request.genesis_id, HOST, request.key, challenge, request.expires_ms]
        ),
        request.text.replace("exchange-request-1", "exchange-request-2"),
        request.text + "\n",
        request.text.replace("\n", "\r\n"),
        hashlib.sha256(request.text.encode()).hexdigest(),
    ):
        answer = await hand.send(request, signature=hand.bot.key.sign(text))
        problem(answer, 401, "signature_wrong_signer")


# ---- times


@both_kinds
async def test_a_nonce_is_within_a_minute_of_the_exchanges_clock(live: Live, kind: type[Key]) -> None:
    hand = Hand(live, await live.bot(kind()))
    for off_us in (0, -60 * SECOND_US, 60 * SECOND_US):
        answer = await hand.send(hand.request("POST", "/v1/orders", ORDER, nonce=str(NOW_US + off_us)))
        assert answer.status_code == 201, answer.text
    for nonce in (1, NOW_MS, NOW_US - 60 * SECOND_US - 1, NOW_US + 60 * SECOND_US + 1, NOW_NS, 2**63 - 1):
        answer = await hand.send(hand.request("POST", "/v1/orders", ORDER, nonce=str(nonce)))
        problem(answer, 401, "nonce_off_time")
    too_large = await hand.send(hand.request("POST", "/v1/orders", ORDER, nonce=str(2**63)))
    problem(too_large, 401, "signature_header_invalid")
    assert len(live.open_orders()) == 3


@both_kinds
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_ends_within_a_minute(live: Live, kind: type[Key], method: str) -> None:
    hand = Hand(live, await live.bot(kind()))
    content = ORDER if method == "POST" else None
    for number, off_ms in enumerate((1, 60 * SECOND_MS)):
        ends, nonce = str(NOW_MS + off_ms), str(NOW_US + number)
        answer = await hand.send(hand.request(method, "/v1/orders", content, expires_ms=ends, nonce=nonce))
        assert answer.status_code in {200, 201}, answer.text
    seq = live.exchange.view.seq
    for ends_ms, code in (
        (1, "signature_expired"),
        (NOW_MS - 1, "signature_expired"),
        (NOW_MS, "signature_expired"),
        (NOW_MS + 60 * SECOND_MS + 1, "signature_deadline_too_far"),
        (10**15 - 1, "signature_deadline_too_far"),
        (10**15, "signature_header_invalid"),
    ):
        nonce = str(NOW_US + 9)
        request = hand.request(method, "/v1/orders", content, expires_ms=str(ends_ms), nonce=nonce)
        refused = problem(await hand.send(request), 401, code)
        assert refused["field"] == "Exchange-Expires"
        assert code == "signature_header_invalid" or str(NOW_MS) in refused["detail"]
    assert live.exchange.view.seq == seq


@pytest.mark.parametrize("name", ["nonce", "expires_ms"])
async def test_a_number_in_a_header_has_one_form(live: Live, name: str) -> None:
    hand = Hand(live, await live.bot(Ed25519Key()))
    request = hand.request("POST", "/v1/orders", ORDER)
    for form in ("+{}", "0{}", "-{}", "{}.0", "{}e0", "0x{}", "1_{}", "{} 1", "\u0661", "x", "0"):
        changed = replace(request, **{name: form.format(getattr(request, name))})
        headers = changed.headers(hand.bot.key.sign(changed.text))
        raw = {header: value.encode() for header, value in headers.items()}
        answer = await live.http.post("/v1/orders", content=request.body, headers=raw)
        problem(answer, 401, "signature_header_invalid")
    assert live.open_orders() == []


# ---- the same nonce, from many sides


async def run_sender(live: Live, path: Path) -> asyncio.subprocess.Process:
    url = live.http.base_url
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        HERE / "sender.py",
        url.host,
        str(url.port),
        path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"ready\n"
    return process


async def from_processes(live: Live, folder: Path, lists: list[list[Request]], key: Key) -> list[list[Any]]:
    """What each of some processes is answered, that send their requests at the same time."""
    processes = []
    for index, requests in enumerate(lists):
        path = folder / f"{index}.json"
        signed = [
            [one.method, one.target, one.headers(key.sign(one.text)), one.body.decode()] for one in requests
        ]
        path.write_text(json.dumps(signed))
        processes.append(await run_sender(live, path))
    async with asyncio.timeout(60):
        said = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    return [json.loads(out) for out, _ in said]


@both_kinds
async def test_of_one_request_sent_by_two_processes_at_once_exactly_one_is_taken(
    live: Live, kind: type[Key], tmp_path: Path
) -> None:
    hand = Hand(live, await live.bot(kind()))
    requests = [hand.request("POST", "/v1/orders", ORDER, nonce=str(NOW_US + index)) for index in range(40)]
    answers = await from_processes(live, tmp_path, [requests, requests], hand.bot.key)
    for pair in zip(*answers, strict=True):
        assert sorted(map(tuple, pair), key=str) == [(201, None), (401, "nonce_used")]
    assert len(live.open_orders()) == 40


@both_kinds
async def test_two_processes_that_count_alike_with_one_key_never_both_trade(
    live: Live, kind: type[Key], tmp_path: Path
) -> None:
    """Not even when what they ask for is not the same: a nonce is of the key."""
    hand = Hand(live, await live.bot(kind()))
    lists = [
        [
            hand.request("POST", "/v1/orders", ORDER | {"price": price}, nonce=str(NOW_US + index))
            for index in range(40)
        ]
        for price in ("2", "3")
    ]
    answers = await from_processes(live, tmp_path, lists, hand.bot.key)
    for pair in zip(*answers, strict=True):
        assert sorted(map(tuple, pair), key=str) == [(201, None), (401, "nonce_used")]
    assert len(live.open_orders()) == 40


# ---- keys that may not


@both_kinds
async def test_keys_that_may_not_are_told_why(live: Live, kind: type[Key]) -> None:
    now_s = NOW_NS // 10**9
    order = ("POST", "/v1/orders", ORDER)
    read_only, trade_only = {"scopes": ["read"]}, {"scopes": ["trade"]}
    cases: list[tuple[dict[str, Any], tuple[str, str, Any], int, str]] = [
        (read_only, order, 403, "scope_missing"),
        (read_only, ("DELETE", "/v1/orders", None), 403, "scope_missing"),
        (trade_only, ("GET", "/v1/balances", None), 403, "scope_missing"),
        ({"markets": ["WBTC-USDC"]}, order, 403, "market_not_allowed"),
        ({"markets": ["WBTC-USDC"]}, ("DELETE", "/v1/orders", None), 403, "market_not_allowed"),
        ({"sub_accounts": [1]}, order, 403, "sub_account_not_allowed"),
        ({"sub_accounts": [1]}, ("GET", "/v1/balances", None), 403, "sub_account_not_allowed"),
        ({"ip_ranges": ["203.0.113.0/24"]}, order, 403, "ip_not_allowed"),
        ({}, ("POST", "/v1/withdrawals", live.trader.withdrawal()), 403, "agent_not_allowed"),
        ({}, ("DELETE", f"/v1/agents/{kind().text}", None), 403, "agent_not_allowed"),
        ({}, ("POST", "/v1/auth/logout", None), 403, "agent_not_allowed"),
    ]
    for number, (signed, asked, status, code) in enumerate(cases):
        hand = Hand(live, await live.bot(kind(), nonce=str(number), **signed))
        problem(await hand.send(hand.request(*asked)), status, code)
    ending = Hand(live, await live.bot(kind(), nonce="99", expires_at_s=now_s + 60))
    live.exchange.faults.clock_ahead_ns = 60 * 10**9  # the edge's clock; a request for that time
    then = str(NOW_MS + 70_000)
    problem(await ending.send(ending.request(*order, expires_ms=then)), 401, "agent_expired")
    live.exchange.faults.clock_ahead_ns = 0
    revoked = Hand(live, await live.bot(kind(), nonce="100"))
    answer = await live.trader.request("DELETE", f"/v1/agents/{revoked.bot.key.text}")
    assert answer.status_code == 200
    problem(await revoked.send(revoked.request(*order)), 401, "agent_revoked")
    unknown = Hand(live, Bot(live.exchange, kind()))
    problem(await unknown.send(unknown.request(*order)), 401, "agent_unknown")
    assert live.open_orders() == []


# ---- batches


@both_kinds
async def test_a_batch_that_is_too_large_does_nothing_and_has_not_used_its_nonce(
    live: Live, kind: type[Key]
) -> None:
    hand = Hand(live, await live.bot(kind()))
    items = [{"op": "place", **ORDER}] * 101
    content = problem(
        await hand.send(hand.request("POST", "/v1/orders/batch", {"operations": items})),
        422,
        "field_invalid",
    )
    assert content["field"] == "operations"
    heavy = hand.request("POST", "/v1/orders/batch", {"operations": items[:1], "x": "y" * 65_536})
    problem(await hand.send(heavy), 413, "body_too_large")
    assert live.open_orders() == []
    fits = hand.request("POST", "/v1/orders/batch", {"operations": items[:100]})
    assert (await hand.send(fits)).status_code == 200
    assert len(live.open_orders()) == 100
    problem(await hand.send(fits), 401, "nonce_used")
    assert len(live.open_orders()) == 100


BAD_ITEMS: dict[str, tuple[Any, int, str]] = {
    "no object": (7, 422, "field_invalid"),
    "no operation": (ORDER, 422, "field_missing"),
    "another operation": ({"op": "withdraw", "amount": "1"}, 422, "field_invalid"),
    "another field": ({"op": "place", **ORDER, "nonce": "1"}, 422, "field_unknown"),
    "off the tick": ({"op": "place", **ORDER, "price": "3.001"}, 422, "price_off_tick"),
    "more than there is": ({"op": "place", **ORDER, "size": "900000"}, 409, "insufficient_funds"),
    "somebody else's order": ({"op": "cancel", "order_id": "1"}, 404, "unknown_order"),
    "another market": ({"op": "place", **ORDER, "market": "WBTC-USDC"}, 403, "market_not_allowed"),
    "another account": ({"op": "place", **ORDER, "sub_account": 1}, 403, "sub_account_not_allowed"),
}


@pytest.mark.parametrize("bad", BAD_ITEMS)
async def test_one_bad_item_leaves_the_others(live: Live, bad: str) -> None:
    item, status, code = BAD_ITEMS[bad]
    hand = Hand(live, await live.bot(Ed25519Key(), markets=["ETH-USDC"], sub_accounts=[0]))
    good = {"op": "place", **ORDER}
    answer = await hand.send(hand.request("POST", "/v1/orders/batch", {"operations": [good, item, good]}))
    assert answer.status_code == 200, answer.text
    first, second, third = answer.json()["results"]
    assert (first["status"], third["status"]) == (201, 201)
    assert (second["status"], second["problem"]["code"]) == (status, code)
    assert len(live.open_orders()) == 2
