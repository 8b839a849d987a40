"""What a client may ask for, and what it is told when it asks wrongly. The connection is always kept."""

import asyncio
import json

from tests.edge_ws.speaking import BOOK, connection_of

from exchange.edge.ws import limits
from exchange.edge.ws.limits import REQUESTS_AT_ONCE


async def is_alive(client) -> None:
    answer = await client.ask(op="ping", id="alive")
    assert (answer["type"], answer["id"]) == ("pong", "alive")


async def test_the_first_message_is_a_welcome(streams):
    async with streams.client() as client:
        assert client.welcome["type"] == "welcome"
        assert client.welcome["genesis_id"] == streams.exchange.view.genesis_id
        assert client.welcome["limits"] == {
            "request_bytes": 4096,
            "requests_at_once": 100,
            "requests_per_s": 50,
            "subscriptions": 200,
            "batch_bytes": 65536,
            "commands_in_flight": 1000,
        }


async def test_a_ping_is_answered_with_the_seq_that_has_been_reached(streams):
    async with streams.client() as client:
        answer = await client.ask(op="ping", id="a-Z_9")
        assert answer["type"] == "pong"
        assert answer["id"] == "a-Z_9"
        assert answer["seq"] == streams.exchange.view.seq
        assert "id" not in await client.ask(op="ping")


NO_REQUESTS = [
    ("", "malformed_json"),
    ("{", "malformed_json"),
    ("ping", "malformed_json"),
    ('{"op": "ping",}', "malformed_json"),
    ('{"op": NaN}', "malformed_json"),
    ("[]", "bad_request"),
    ('"ping"', "bad_request"),
    ("null", "bad_request"),
    ('{"op": "ping", "op": "ping"}', "duplicate_key"),
    ('{"op": "ping", "id": ' + "[" * 17 + "]" * 17 + "}", "nesting_too_deep"),
    ('{"op": "subscribe", "resume_seq": ' + "1" * 21 + "}", "number_too_large"),
    ('{"op": "ping", "id": "\\ud800"}', "invalid_utf8"),
    ('{"op": "ping", "id": "\\u0000"}', "field_invalid"),
    ("{}", "field_missing"),
    ('{"op": "trade"}', "field_invalid"),
    ('{"op": null}', "field_invalid"),
    ('{"op": ["ping"]}', "field_invalid"),
    ('{"op": "ping", "id": ""}', "field_invalid"),
    ('{"op": "ping", "id": 1}', "field_invalid"),
    ('{"op": "ping", "id": null}', "field_invalid"),
    ('{"op": "ping", "id": "' + "x" * 37 + '"}', "field_invalid"),
    ('{"op": "ping", "market": "ETH-USDC"}', "field_unknown"),
    ('{"op": "auth", "token": 1}', "field_invalid"),
    ('{"op": "auth", "token": "' + "x" * 101 + '"}', "field_invalid"),
    ('{"op": "auth", "password": "x"}', "field_unknown"),
]

NO_SUBSCRIPTIONS = [
    ({}, "field_missing", "channel"),
    ({"channel": "depth"}, "field_invalid", "channel"),
    ({"channel": "book"}, "field_missing", "market"),
    ({"channel": "book", "market": ""}, "field_invalid", "market"),
    ({"channel": "book", "market": 1}, "field_invalid", "market"),
    ({"channel": "book", "market": "eth-usdc"}, "unknown_market", "market"),
    ({"channel": "book", "market": "'; DROP TABLE trades; --"}, "unknown_market", "market"),
    ({"channel": "trades", "market": "ETH-USDC' OR '1'='1"}, "unknown_market", "market"),
    ({"channel": "candles", "market": "{m:String}", "interval": "1m"}, "unknown_market", "market"),
    ({"channel": "book", "market": "x" * 101}, "field_invalid", "market"),
    ({"channel": "book", "market": "ETH-USDC", "depth": 5}, "field_unknown", "depth"),
    ({"channel": "book", "market": "ETH-USDC", "sub_account": 0}, "field_unknown", "sub_account"),
    ({"channel": "book", "market": "ETH-USDC", "interval": "1m"}, "field_unknown", "interval"),
    ({"channel": "candles", "market": "ETH-USDC"}, "field_missing", "interval"),
    ({"channel": "candles", "market": "ETH-USDC", "interval": "2m"}, "field_invalid", "interval"),
    ({"channel": "book", "market": "ETH-USDC", "resume_seq": -1}, "field_invalid", "resume_seq"),
    ({"channel": "book", "market": "ETH-USDC", "resume_seq": 2**63}, "field_invalid", "resume_seq"),
    ({"channel": "book", "market": "ETH-USDC", "resume_seq": "1"}, "field_invalid", "resume_seq"),
    ({"channel": "book", "market": "ETH-USDC", "resume_seq": 1.5}, "field_invalid", "resume_seq"),
    ({"channel": "book", "market": "ETH-USDC", "resume_seq": True}, "field_invalid", "resume_seq"),
    ({"channel": "orders", "sub_account": 128}, "field_invalid", "sub_account"),
    ({"channel": "orders", "sub_account": True}, "field_invalid", "sub_account"),
    ({"channel": "orders", "market": "ETH-USDC"}, "field_unknown", "market"),
    ({"channel": "deposits", "sub_account": 0}, "field_unknown", "sub_account"),
    ({"channel": "orders"}, "unauthenticated", None),
]


async def test_a_message_that_is_no_request_is_told_why(streams):
    for raw, code in NO_REQUESTS:
        async with streams.client() as client:
            answer = await client.say(raw)
            assert (answer["type"], answer["code"]) == ("error", code), raw
            assert answer["detail"]
            assert set(answer) <= {"type", "id", "code", "detail", "field", "value"}
            await is_alive(client)


async def test_a_subscription_that_can_not_be_is_refused(streams):
    for request, code, field in NO_SUBSCRIPTIONS:
        async with streams.client() as client:
            answer = await client.refused(code, field, op="subscribe", id="7", **request)
            assert answer["id"] == "7"
            await is_alive(client)


async def test_a_message_over_4_kib_is_refused_and_one_of_just_4_kib_is_read(streams):
    ping = '{"op": "ping"'
    async with streams.client() as client:
        fits = ping + " " * (4096 - len(ping) - 1) + "}"
        assert (await client.say(fits))["type"] == "pong"
        answer = await client.say(fits[:-1] + " }")
        assert answer["code"] == "message_too_large"
        assert (await client.say(" " * 16_384))["code"] == "message_too_large"
        for identifier, told in (("7", "7"), ("no id!", None)):
            large = json.dumps({"op": "ping", "id": identifier, "other": " " * 5_000})
            answer = await client.say(large)
            assert (answer["code"], answer.get("id")) == ("message_too_large", told)
        await is_alive(client)


async def test_a_binary_message_is_refused_and_the_connection_kept(streams):
    async with streams.client() as client:
        assert (await client.say(b'{"op": "ping"}'))["code"] == "binary_not_supported"
        assert (await client.say(b""))["code"] == "binary_not_supported"
        await is_alive(client)


async def test_a_request_in_many_fragments_is_one_request(streams):
    text = json.dumps({"op": "ping", "id": "whole"})
    async with streams.client() as client:
        await client.socket.send([text[:5], "", text[5:9], text[9:]])
        assert (await client.receive())["id"] == "whole"


async def test_a_client_that_deflates_and_one_that_does_not_hear_the_same(streams):
    trader = await streams.exchange.trader(USDC=10**12)
    for price in range(100, 160):
        await trader.order(price=str(price), size="0.01")
    async with streams.client(compression="deflate") as deflating, streams.client() as plain:
        assert deflating.socket.protocol.extensions
        assert not plain.socket.protocol.extensions
        snapshots = [await client.subscribe(**BOOK) for client in (deflating, plain)]
        assert snapshots[0] == snapshots[1]
        assert len(snapshots[0]["data"]["bids"]) == 60
        await trader.order(price="99")
        assert await deflating.receive() == await plain.receive()
        await is_alive(deflating)


async def test_replies_come_in_the_order_of_the_requests_whatever_each_has_to_wait_for(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.client() as client:
        await client.send(op="subscribe", id="too-early", channel="orders")
        await client.send(op="auth", id="auth", token=trader.token)
        await client.send(op="subscribe", id="orders", channel="orders")
        await client.send(op="ping", id="ping")
        await client.socket.send("nonsense")
        await client.send(op="unsubscribe", id="bye", channel="orders")
        await client.send(op="unsubscribe", id="again", channel="orders")
        found = [await client.receive() for _ in range(8)]
    assert [(message["type"], message.get("id")) for message in found] == [
        ("error", "too-early"),
        ("authenticated", "auth"),
        ("subscribed", "orders"),
        ("snapshot", None),
        ("pong", "ping"),
        ("error", None),
        ("unsubscribed", "bye"),
        ("error", "again"),
    ]
    assert found[-1]["code"] == "not_subscribed"


async def test_a_connection_has_at_most_so_many_subscriptions(streams, monkeypatch):
    monkeypatch.setattr(limits, "MAX_SUBSCRIPTIONS", 3)
    async with streams.client() as client:
        for channel in ("book", "bbo", "trades"):
            await client.subscribe(channel=channel, market="ETH-USDC")
        await client.refused("too_many_subscriptions", op="subscribe", channel="bbo", market="WBTC-USDC")
        await client.subscribe(**BOOK)  # anew, which is not one more
        await client.ask(op="unsubscribe", channel="bbo", market="ETH-USDC")
        await client.subscribe(channel="bbo", market="WBTC-USDC")


async def test_a_burst_beyond_the_allowance_is_refused_each_in_its_turn(streams):
    async with streams.client() as client:
        connection_of(streams.exchange)._allowance._clock_ns = lambda: 0  # however long the burst takes
        for number in range(REQUESTS_AT_ONCE + 20):
            await client.send(op="ping", id=str(number))
        answers = [await client.receive() for _ in range(REQUESTS_AT_ONCE + 20)]
        assert [answer["id"] for answer in answers] == [str(n) for n in range(REQUESTS_AT_ONCE + 20)]
        assert {answer["type"] for answer in answers[:REQUESTS_AT_ONCE]} == {"pong"}
        assert {answer.get("code") for answer in answers[REQUESTS_AT_ONCE:]} == {"rate_limited"}
        assert {answer.get("retry_after_s") for answer in answers[REQUESTS_AT_ONCE:]} == {1}


async def test_a_flood_of_requests_closes_the_connection_with_4002(streams):
    async with streams.client() as client:
        for _ in range(500):
            await client.socket.send("{")
        assert await client.closed() == (4002, "flood")
    assert streams.exchange.streams.cuts["flood"] == 1


async def test_a_flood_of_pings_or_fragments_closes_the_connection_with_4002(streams):
    for flood in (ping_flood, fragment_flood):
        async with streams.client() as client:
            flooding = asyncio.create_task(flood(client.socket))
            assert await client.closed() == (4002, "flood")
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)


async def ping_flood(socket) -> None:
    for _ in range(2_000):
        await socket.ping()


async def fragment_flood(socket) -> None:
    await socket.send("" for _ in range(2_000))
