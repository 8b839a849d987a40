"""The drill's clients write down what they were promised, and notice answers that must not be."""

import asyncio
import time
from collections import Counter
from random import Random
from typing import Any

import pytest
from aiohttp import web
from scripts.crash.promises import Batch, Cancellation, Outcome, Placement, Promises
from scripts.crash.traffic import MANY_OPEN, Traffic
from tests.crash.fake_api import FakeApi, served, trader
from tests.crash.story import SELLER, TICKS, history_of, journal, market_of


def placement() -> Placement:
    return Placement(SELLER, "offer", "sell", "gtc", TICKS, 5)


async def after(
    status: int, body: dict[str, Any], sent: Placement, *, again: bool = False, dead: bool = False
) -> Promises:
    """What is written down when the order is answered so. `again`: sent again after an acknowledgement."""
    fake, promises = FakeApi(), Promises([sent])

    async def respond(request: web.Request) -> web.StreamResponse:
        assert (await request.json())["client_order_id"] == "offer"
        return web.json_response(body, status=status)

    fake.respond = respond
    async with served(fake) as http:
        market = market_of(history_of(journal()))
        traffic = Traffic(http, [trader(SELLER)], market, promises, "test")
        if dead:
            traffic.dead_from_s = time.monotonic() - 1
        await (traffic.send_again(sent) if again else traffic.place(sent))
    return promises


def taken(order_id: int) -> dict[str, Any]:
    return {"seq": order_id, "order": {"order_id": str(order_id), "status": "open"}, "fills": []}


async def test_an_answer_of_201_is_a_promise() -> None:
    sent = placement()
    promises = await after(201, taken(8), sent)
    assert (sent.outcome, sent.order_id) == (Outcome.ACKNOWLEDGED, 8)
    assert promises.oddities == []


async def test_a_refusal_is_final_and_keeps_its_code() -> None:
    sent = placement()
    await after(409, {"code": "insufficient_funds"}, sent)
    assert (sent.outcome, sent.refusals) == (Outcome.REFUSED, ["insufficient_funds"])


async def test_service_unavailable_leaves_the_outcome_unknown() -> None:
    sent = placement()
    promises = await after(503, {"code": "outcome_unknown"}, sent)
    assert sent.outcome is Outcome.UNKNOWN
    assert promises.oddities == []


@pytest.mark.parametrize("status", [500, 401, 403])
async def test_a_fault_of_the_server_or_a_lost_session_is_noticed(status: int) -> None:
    sent = placement()
    promises = await after(status, {"code": "internal_error"}, sent)
    assert sent.outcome is Outcome.UNKNOWN
    assert len(promises.oddities) == 1


async def test_an_acknowledgement_without_a_database_is_noticed() -> None:
    promises = await after(201, taken(8), placement(), dead=True)
    assert len(promises.oddities) == 1


@pytest.mark.parametrize(
    ("status", "order_id", "oddities"), [(200, 8, 0), (200, 9, 1), (201, 9, 1)], ids=["same", "other", "new"]
)
async def test_an_order_sent_again_must_be_answered_with_itself(
    status: int, order_id: int, oddities: int
) -> None:
    sent = placement()
    sent.acknowledge({**taken(8), "status": 201})
    promises = await after(status, taken(order_id), sent, again=True)
    assert len(promises.oddities) == oddities


@pytest.mark.parametrize(
    ("status", "body", "outcome", "oddities"),
    [
        (200, {"seq": 12}, Outcome.ACKNOWLEDGED, 0),
        (404, {"code": "unknown_order"}, Outcome.REFUSED, 0),
        (409, {"code": "market_halted"}, Outcome.UNKNOWN, 1),
        (503, {"code": "overloaded"}, Outcome.UNKNOWN, 0),
    ],
)
async def test_a_cancel_is_a_promise_or_says_that_the_order_is_over(
    status: int, body: dict[str, Any], outcome: Outcome, oddities: int
) -> None:
    fake, promises, cancellation = FakeApi(), Promises(), Cancellation(SELLER, 8)

    async def respond(request: web.Request) -> web.StreamResponse:
        assert (request.method, request.path) == ("DELETE", "/v1/orders/8")
        return web.json_response(body, status=status)

    fake.respond = respond
    async with served(fake) as http:
        market = market_of(history_of(journal()))
        await Traffic(http, [trader(SELLER)], market, promises, "test").cancel(cancellation)
    assert (cancellation.outcome, len(promises.oddities)) == (outcome, oddities)
    assert cancellation.seq == body.get("seq", 0)


async def test_only_what_was_acknowledged_is_sent_again() -> None:
    sent = placement()
    promises = await after(201, taken(8), sent, again=True)
    assert (sent.outcome, promises.oddities) == (Outcome.UNKNOWN, [])


@pytest.mark.parametrize(
    ("status", "body", "cancelled", "oddities"),
    [
        (200, {"seq": 12, "order_ids": ["8", "9"]}, [8, 9], 0),
        (503, {"code": "outcome_unknown"}, [], 0),
        (409, {"code": "market_halted"}, [], 1),
    ],
)
async def test_a_cancel_of_all_is_a_promise_for_each_order_that_it_names(
    status: int, body: dict[str, Any], cancelled: list[int], oddities: int
) -> None:
    fake, promises = FakeApi(), Promises()

    async def respond(request: web.Request) -> web.StreamResponse:
        assert (request.method, request.path) == ("DELETE", "/v1/orders")
        return web.json_response(body, status=status)

    fake.respond = respond
    async with served(fake) as http:
        market = market_of(history_of(journal()))
        await Traffic(http, [trader(SELLER)], market, promises, "test").cancel_all(SELLER)
    assert [order_id for mass in promises.mass_cancellations for order_id in mass.order_ids] == cancelled
    assert len(promises.oddities) == oddities


def _result(operation: dict[str, Any]) -> dict[str, Any]:
    if operation["op"] == "cancel":
        return {"status": 200, "order": {}}
    number = int(operation["client_order_id"].rpartition("-")[2])
    return {"status": 201, **{name: value for name, value in taken(number).items() if name != "seq"}}


def a_batch() -> Batch:
    return Batch(SELLER, [placement(), placement()], [Cancellation(SELLER, 8)])


async def told_of_a_batch(batch: Batch, status: int, body: dict[str, Any]) -> Promises:
    """What is written down when the batch is answered so."""
    fake, promises = FakeApi(), Promises(batch.placements, batch.cancellations, [], [batch])

    async def respond(request: web.Request) -> web.StreamResponse:
        assert [item["op"] for item in (await request.json())["operations"]] == ["place", "place", "cancel"]
        return web.json_response(body, status=status)

    fake.respond = respond
    async with served(fake) as http:
        market = market_of(history_of(journal()))
        await Traffic(http, [trader(SELLER)], market, promises, "test").send_batch(batch)
    return promises


async def test_each_operation_of_a_batch_is_a_promise_of_its_own() -> None:
    batch = a_batch()
    poor = {"status": 409, "problem": {"code": "insufficient_funds"}}
    results = [{"status": 201, **taken(8)}, poor, {"status": 200, "order": {}}]
    promises = await told_of_a_batch(batch, 200, {"seq": 10, "results": results})
    first, second = batch.placements
    assert (first.order_id, first.answers[0]["seq"]) == (8, 8)
    assert (second.outcome, second.refusals) == (Outcome.REFUSED, ["insufficient_funds"])
    assert (batch.cancellations[0].outcome, batch.cancellations[0].seq) == (Outcome.ACKNOWLEDGED, 0)
    assert promises.oddities == []
    assert not batch.is_unknown


async def test_a_batch_without_an_answer_is_unknown_and_one_with_a_strange_answer_is_noticed() -> None:
    batch = a_batch()
    assert (await told_of_a_batch(batch, 503, {"code": "outcome_unknown"})).oddities == []
    assert batch.is_unknown
    for status, body in ((422, {"code": "field_invalid"}), (200, {"seq": 1, "results": []})):
        batch = a_batch()
        assert len((await told_of_a_batch(batch, status, body)).oddities) == 1
        assert batch.is_unknown


async def test_clients_place_cancel_and_send_twice_until_told_to_stop() -> None:
    fake, promises = FakeApi(), Promises()
    asked: list[str] = []
    under_way: Counter[str] = Counter()
    answered: set[str] = set()
    at_once: set[str] = set()
    batches: list[list[dict[str, Any]]] = []
    again: set[str] = set()

    async def respond(request: web.Request) -> web.StreamResponse:
        asked.append(request.method)
        if len(asked) == 600:
            traffic.stop()
        if request.method == "DELETE":
            return web.json_response({"seq": len(asked), "order_ids": []})
        body = await request.json()
        if request.path == "/v1/orders/batch":
            batches.append(body["operations"])
            answered.update(item.get("client_order_id", "") for item in body["operations"])
            return web.json_response({"seq": 9, "results": [_result(item) for item in body["operations"]]})
        name = body["client_order_id"]
        under_way[name] += 1
        if under_way[name] > 1:
            at_once.add(name)
        elif name in answered:
            again.add(name)
        await asyncio.sleep(0.002)
        under_way[name] -= 1
        status = 200 if name in answered else 201
        answered.add(name)
        return web.json_response(taken(int(name.rpartition("-")[2])), status=status)

    fake.respond = respond
    async with served(fake) as http:
        traffic = Traffic(http, [trader(SELLER)], market_of(history_of(journal())), promises, "test")
        await traffic.client(SELLER, Random(1))
    assert len(asked) <= 602
    assert len(promises.placements) > 100
    assert len(promises.cancellations) > 10
    assert promises.mass_cancellations
    assert at_once
    assert {item["op"] for batch in batches for item in batch} == {"place", "cancel"}
    assert any(sent.good_till_ms for sent in promises.placements)
    assert again
    assert promises.oddities == []
    ids = [sent.client_order_id for sent in promises.placements]
    assert len(ids) == len(set(ids))
    assert {sent.side for sent in promises.placements} == {"buy", "sell"}


async def test_what_is_open_from_earlier_cycles_is_cancelled_before_it_is_too_much() -> None:
    fake, promises = FakeApi(), Promises()
    left = range(1, MANY_OPEN + 2)
    traffic: Traffic

    async def respond(request: web.Request) -> web.StreamResponse:
        traffic.stop()
        assert (request.method, request.path) == ("DELETE", "/v1/orders")
        return web.json_response({"seq": 999, "order_ids": [str(order_id) for order_id in left]})

    fake.respond = respond
    async with served(fake) as http:
        market = market_of(history_of(journal()))
        traffic = Traffic(http, [trader(SELLER)], market, promises, "test", {SELLER: left})
        await traffic.client(SELLER, Random(1))
    assert [mass.order_ids for mass in promises.mass_cancellations] == [list(left)]
    assert promises.oddities == []
