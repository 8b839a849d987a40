"""What the clients of the load say is what the exchange reads, and is signed as it demands."""

import json
import random
import time

import pytest
from scripts.bench.load.traders import Trader
from scripts.bench.load.wires import (
    CLIENT_ID_PREFIX,
    Deployment,
    Key,
    Token,
    batch_request,
    decode_answer,
    decode_batch,
    frame,
    single_request,
)
from scripts.bench.orders import Cancel, Orders, Place, draw_resting
from scripts.bench.workload import LEVELS_PER_SIDE, MIDDLE_TICKS, TOUCH_LEVELS

from exchange.core.markets import Market
from exchange.core.words import Side, TimeInForce
from exchange.gateway.requests import parse_place_order
from exchange.gateway.signed_requests import request_text, signed_headers, verify, websocket_text

SEED = "11" * 32
KEY = "0xd04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"
GENESIS, HOST = "0x" + "ab" * 32, "localhost:8000"
TRADER = Trader("t0ken", KEY, SEED, [[]])
MARKET = Market(1, "ETH-USDC", 1, 2, 1, 2, 10**14, 1, 18, 6, 10, 20)
REST = Place(7, 3, True, 299_950, 12, False, True)
CROSS = Place(8, 0, False, 299_900, 40, True, False)


def key() -> Key:
    return Key(TRADER, Deployment(GENESIS, HOST))


def taken_apart(request: bytes) -> tuple[str, bytes, list[tuple[bytes, bytes]], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.split(b" ")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    return method.decode(), target, headers, body


@pytest.mark.parametrize("drawn", [REST, Cancel(1_042, 0)])
def test_a_request_is_signed_by_the_key_over_all_that_it_says(drawn: Place | Cancel) -> None:
    method, target, headers, body = taken_apart(single_request(HOST.encode(), key(), drawn))
    signed = signed_headers(headers)
    assert signed is not None
    assert signed.key == KEY
    text = request_text(GENESIS, HOST, KEY, method, target, body, signed.nonce, signed.expires_ms)
    verify(KEY, text, signed.signature)
    assert 0 < int(signed.expires_ms) - time.time() * 1_000 < 60_000
    assert dict(headers).get(b"content-length", b"0") == b"%d" % len(body)


def test_no_nonce_is_used_twice_however_fast_one_signs() -> None:
    signer = key()
    nonces = []
    for _ in range(200):
        signed = signed_headers(taken_apart(single_request(b"x", signer, REST))[2])
        assert signed is not None
        nonces.append(int(signed.nonce))
    assert nonces == sorted(set(nonces))
    assert abs(nonces[0] - time.time_ns() // 1_000) < 60_000_000


def test_a_challenge_is_signed_as_it_is_checked() -> None:
    said = json.loads(key().websocket("0x" + "cd" * 32))
    verify(
        KEY,
        websocket_text(GENESIS, HOST, KEY, "0x" + "cd" * 32, str(said["expires_ms"])),
        said["signature"],
    )


def test_an_order_is_read_as_it_was_drawn() -> None:
    for place, time_in_force in ((REST, TimeInForce.GTC), (CROSS, TimeInForce.IOC)):
        _, _, _, body = taken_apart(single_request(b"x", Token(TRADER), place))
        content = json.loads(body)
        order = parse_place_order(content, 5, {"ETH-USDC": MARKET}, 0)
        assert order.price_ticks == place.price_ticks
        assert order.size_lots == place.lots
        assert order.side is (Side.BUY if place.is_buy else Side.SELL)
        assert order.time_in_force is time_in_force
        assert order.client_order_id == f"{CLIENT_ID_PREFIX}{place.number}"
        assert content["sub_account"] == place.sub_account


def test_a_batch_and_frames_have_the_same_orders() -> None:
    _, target, _, body = taken_apart(batch_request(b"x", Token(TRADER), [REST, Cancel(9, 0)]))
    assert target == b"/v1/orders/batch"
    [placed, cancelled] = json.loads(body)["operations"]
    assert (placed["op"], placed["price"]) == ("place", "2999.50")
    assert cancelled == {"op": "cancel", "order_id": "9"}
    payload = frame(77, REST)
    assert payload[:1] == b"\x81"
    assert json.loads(payload[payload.index(b"{") :]) == placed | {"id": "77"}


def test_answers_tell_the_order_or_why_not() -> None:
    done = decode_answer(b'{"seq":9,"order":{"order_id":"8","filled":"0.0016","status":"open"},"fills":[]}')
    assert (done.refusal, done.order_id, done.filled_lots) == (None, 8, 16)
    assert decode_answer(b'{"type":"error","id":"3","code":"rate_limited"}').refusal == "rate_limited"
    [first, second] = decode_batch(
        b'{"seq":1,"results":[{"status":201,"order":{"order_id":"5","filled":"0"}},'
        b'{"status":422,"problem":{"code":"insufficient_funds"}}]}'
    ).results
    assert (first.refusal, second.refusal) == (None, "insufficient_funds")


# ---- the mix

TRADERS = 6


def played(operations: int, seed: int) -> tuple[list[Place | Cancel], Orders, set[int]]:
    """So many operations, each acknowledged at once, crossing ones filled; and what of far out is open."""
    draw = random.Random(seed)
    far: list[list[list[int]]] = [[[] for _ in range(4)] for _ in range(TRADERS)]
    near_lots, order_id, still_open = [0, 0], 0, set()
    for index in range(4_000):
        resting = draw_resting(draw, index % TRADERS, evenly=True)
        order_id += 1
        if resting.distance >= TOUCH_LEVELS:
            far[index % TRADERS][index % 4].append(order_id)
            still_open.add(order_id)
        else:
            near_lots[not resting.is_buy] += resting.lots
    orders = Orders(far, near_lots, seed)
    drawn = []
    for index in range(operations):
        trader = index % TRADERS
        each = orders.next(trader)
        drawn.append(each)
        if isinstance(each, Cancel):
            assert each.order_id in still_open, "what is cancelled is open, and nothing crosses so far out"
            still_open.discard(each.order_id)
            continue
        order_id += 1
        orders.taken(trader, each, order_id, each.lots if each.crosses else 0)
        if each.is_far:
            still_open.add(order_id)
    return drawn, orders, still_open


def test_of_ten_operations_about_six_rest_three_cancel_and_one_crosses() -> None:
    drawn, orders, _ = played(20_000, seed=3)
    cancels = sum(isinstance(each, Cancel) for each in drawn)
    crossing = sum(isinstance(each, Place) and each.crosses for each in drawn)
    assert 0.09 < crossing / len(drawn) < 0.11
    assert 0.24 < cancels / len(drawn) < 0.33
    assert (orders.placements, orders.cancels) == (len(drawn) - cancels, cancels)


def test_the_book_neither_grows_nor_shrinks() -> None:
    _, _, before = played(0, seed=4)
    drawn, _, after = played(40_000, seed=4)
    assert 0.7 < len(after) / len(before) < 1.3
    placed = [each for each in drawn if isinstance(each, Place)]
    near = sum(each.lots for each in placed if not each.crosses and not each.is_far)
    taken = sum(each.lots for each in placed if each.crosses)
    assert abs(near - taken) < 0.05 * near


def test_no_crossing_order_meets_one_of_its_own_owner() -> None:
    drawn, _, _ = played(5_000, seed=6)
    for trader in range(TRADERS):
        placed = [each for each in drawn[trader::TRADERS] if isinstance(each, Place) and not each.is_far]
        assert len({each.is_buy for each in placed}) == 1, "near the middle it only buys, or only sells"
        assert any(each.crosses for each in placed)
        assert any(not each.crosses for each in placed)


def test_orders_that_cross_may_take_every_level_and_those_that_rest_never_cross() -> None:
    for each in played(5_000, seed=5)[0]:
        if isinstance(each, Place):
            beyond = each.price_ticks - MIDDLE_TICKS if each.is_buy else MIDDLE_TICKS - each.price_ticks
            assert beyond == LEVELS_PER_SIDE if each.crosses else -LEVELS_PER_SIDE <= beyond < 0
