from tests.edge.harness import problem

from exchange.edge.rest.order_shapes import BatchAnswer

USDC_ATOMS = 10**6
PLACE = {"op": "place", "market": "ETH-USDC", "side": "buy", "price": "3000", "size": "1"}


async def batch(trader, *operations):
    return await trader.request("POST", "/v1/orders/batch", json={"operations": list(operations)})


async def results(trader, *operations):
    response = await batch(trader, *operations)
    assert response.status_code == 200, response.text
    BatchAnswer.model_validate(response.json())
    return response.json()["results"]


async def test_a_batch_does_all_kinds_of_operations_in_their_order(exchange):
    seller = await exchange.trader(ETH=10**19)
    await seller.order(side="sell", price="3100", size="1")
    trader = await exchange.trader(USDC=20_000 * USDC_ATOMS)
    first = (await trader.order(price="2900")).json()["order"]
    second = (await trader.order(price="2800")).json()["order"]
    seq = exchange.view.seq
    response = await batch(
        trader,
        PLACE,
        {"op": "amend", "order_id": first["order_id"], "price": "3100"},
        {"op": "cancel", "order_id": second["order_id"]},
    )
    content = response.json()
    BatchAnswer.model_validate(content)
    placed, amended, cancelled = content["results"]
    assert [result["status"] for result in content["results"]] == [201, 200, 200]
    assert content["seq"] == seq + 3 == exchange.view.seq
    assert placed["order"]["order_id"] == str(seq + 1)
    assert (amended["order"]["status"], amended["fills"][0]["price"]) == ("filled", "3100")
    assert cancelled == {"status": 200, "order": second | cancelled["order"]}
    assert cancelled["order"]["status"] == "cancelled"
    journaled = await exchange.edge.pool.fetchval(
        "SELECT seq_first FROM journal WHERE seq_last = $1", seq + 3
    )
    assert journaled == seq + 1, "one row of the journal"


async def test_an_operation_that_is_refused_does_not_stop_the_others(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    stranger = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    other = (await stranger.order()).json()["order"]["order_id"]
    answered = await results(
        trader,
        "place",
        PLACE | {"price": 3000},
        PLACE | {"size": "1000"},
        {"op": "cancel", "order_id": other},
        PLACE | {"leverage": "5"},
        PLACE,
        PLACE | {"time_in_force": "fok"},
        {"op": "replace"},
    )
    assert [result["status"] for result in answered] == [422, 422, 409, 404, 422, 201, 409, 422]
    codes = [result["problem"]["code"] for result in answered if "problem" in result]
    assert codes == [
        "field_invalid",
        "not_a_decimal",
        "insufficient_funds",
        "unknown_order",
        "field_unknown",
        "fill_or_kill_unfillable",
        "field_invalid",
    ]
    assert answered[1]["problem"]["field"] == "price"
    assert answered[5].keys() == {"status", "order", "fills"}
    assert len((await trader.get("/v1/orders")).json()["items"]) == 1
    assert len((await stranger.get("/v1/orders")).json()["items"]) == 1


async def test_a_batch_of_which_nothing_can_be_read_is_answered_without_the_engine(exchange):
    trader = await exchange.trader()
    seq = exchange.view.seq
    response = await batch(trader, {}, None)
    assert (response.status_code, response.json()["seq"]) == (200, seq)
    assert [result["status"] for result in response.json()["results"]] == [422, 422]
    assert exchange.view.seq == seq


async def test_a_hundred_operations_are_taken_and_no_more(exchange, subtests):
    trader = await exchange.trader(USDC=10_000_000 * USDC_ATOMS)
    assert {result["status"] for result in await results(trader, *[PLACE] * 100)} == {201}
    seq = exchange.view.seq
    for body in [
        {"operations": [PLACE] * 101},
        {"operations": []},
        {"operations": {"0": PLACE}},
        {"operations": None},
        {"operations": [PLACE], "mode": "atomic"},
        {},
    ]:
        with subtests.test(str(body)[:40]):
            response = await trader.request("POST", "/v1/orders/batch", json=body)
            assert response.status_code == 422
            assert response.headers["content-type"] == "application/problem+json"
    assert exchange.view.seq == seq


async def test_a_client_order_id_twice_in_one_batch_is_one_order(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    named = PLACE | {"client_order_id": "once"}
    first, again, other = await results(trader, named, named, named | {"size": "2"})
    assert (first["status"], again["status"], other["status"]) == (201, 200, 409)
    assert again["order"] == first["order"]
    assert other["problem"]["code"] == "client_order_id_reused"


async def test_a_batch_needs_a_session(exchange):
    problem(
        await exchange.client.post("/v1/orders/batch", json={"operations": [PLACE]}), 401, "unauthenticated"
    )


async def test_a_trigger_met_within_a_batch_goes_before_its_next_order(exchange):
    """The engine's own work needs no patience of the caller."""
    maker = await exchange.trader(ETH=10**19, USDC=50_000 * USDC_ATOMS)
    trader = await exchange.trader(ETH=10**19, USDC=50_000 * USDC_ATOMS)
    await maker.order(side="sell", price="3000", size="5")
    answered = await results(
        trader,
        PLACE | {"price": "3000", "trigger": {"type": "stop", "price": "3000"}, "time_in_force": "ioc"},
        PLACE | {"price": "3000"},
        PLACE | {"price": "3000"},
    )
    assert [result["status"] for result in answered] == [201, 201, 201]
    assert [result["order"]["status"] for result in answered] == ["open", "filled", "filled"]
    stop_id = answered[0]["order"]["order_id"]
    page = await trader.get("/v1/fills", order_id=stop_id, min_seq=exchange.view.seq)
    assert [fill["size"] for fill in page.json()["items"]] == ["1"]
