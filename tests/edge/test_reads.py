import asyncio
from dataclasses import replace

import httpx
import pytest
from tests.edge.harness import CHAIN_ID, ETH, VAULT, impatient, problem

from exchange.core.commands import (
    CreditDeposit,
    SetFees,
    SetMarketState,
    SetPriceBands,
    SetWithdrawalTerms,
)
from exchange.core.words import MarketState
from exchange.edge.app import create_app
from exchange.edge.readiness import HealthPart
from exchange.edge.reads import decode_cursor, encode_cursor

USDC_ATOMS = 10**6
LISTINGS = [
    "/v1/orders",
    "/v1/orders?status=all",
    "/v1/fills",
    "/v1/deposits",
    "/v1/withdrawals",
    "/v1/ledger",
    "/v1/transfers",
]


async def test_assets_and_markets_are_listed(exchange):
    assets = (await exchange.client.get("/v1/assets")).json()
    assert assets["seq"] == exchange.view.seq
    assert assets["items"][0] == {
        "symbol": "ETH",
        "decimals": 18,
        "chain_id": CHAIN_ID,
        "vault": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "token": ETH,
        "withdrawal_fee": "0",
        "min_withdrawal": "0.000000000000000001",
    }
    markets = (await exchange.client.get("/v1/markets")).json()["items"]
    assert markets[0] == {
        "symbol": "ETH-USDC",
        "base": "ETH",
        "quote": "USDC",
        "tick": "0.01",
        "lot": "0.0001",
        "state": "open",
        "last_price": None,
        "price_band_bps": 0,
        "market_band_bps": 500,
        "maker_fee_bps": 0,
        "taker_fee_bps": 10,
        "fee_tiers": [{"tier": 0, "maker_fee_bps": 0, "taker_fee_bps": 10}],
    }


async def test_an_asset_shows_its_present_withdrawal_terms(exchange):
    await exchange.sequencer.submit(SetWithdrawalTerms(1, 10**15, 2 * 10**16))
    ether, *_ = (await exchange.client.get("/v1/assets")).json()["items"]
    assert (ether["withdrawal_fee"], ether["min_withdrawal"]) == ("0.001", "0.02")


async def test_a_market_shows_its_present_state_bands_tiers_and_last_price(exchange):
    seller, buyer = await exchange.trader(ETH=10**18), await exchange.trader(USDC=10**10)
    await seller.order(side="sell")
    await buyer.order()
    for command in (
        SetFees(1, ((5, 20), (-1, 10))),
        SetPriceBands(1, 1_000, 50),
        SetMarketState(1, MarketState.CANCEL_ONLY),
    ):
        outcome = await exchange.sequencer.submit(command)
    market = (await exchange.client.get("/v1/markets", params={"min_seq": outcome.seq})).json()["items"][0]
    assert (market["state"], market["last_price"]) == ("cancel_only", "3000")
    assert (market["price_band_bps"], market["market_band_bps"]) == (1_000, 50)
    assert (market["maker_fee_bps"], market["taker_fee_bps"]) == (5, 20)
    assert market["fee_tiers"] == [
        {"tier": 0, "maker_fee_bps": 5, "taker_fee_bps": 20},
        {"tier": 1, "maker_fee_bps": -1, "taker_fee_bps": 10},
    ]


async def test_the_deployment_says_what_wallets_sign(exchange):
    content = (await exchange.client.get("/v1/deployment")).json()
    assert content["genesis_id"] == exchange.view.genesis_id
    assert (content["chain_id"], content["confirmations"]) == (CHAIN_ID, 3)
    assert content["vault"].lower() == VAULT
    domain = content["withdrawal_typed_data"]["domain"]
    assert domain == {
        "name": "Exchange",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "salt": exchange.view.genesis_id,
    }


async def test_the_time_is_the_edges_clock(exchange):
    exchange.faults.clock_ahead_ns = 10**15
    content = (await exchange.client.get("/v1/time")).json()
    assert abs(content["time_ms"] - exchange.edge.clock_ns() // 10**6) < 5_000


async def test_nothing_is_said_to_be_decided_that_is_still_being_committed(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)

    async def decided_until_ms() -> int:
        return (await exchange.client.get("/v1/time")).json()["decided_until_ms"]

    async with exchange.edge.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE journal IN EXCLUSIVE MODE")
        placing = asyncio.create_task(trader.order())
        held_ms = -1
        while held_ms != (now_ms := await decided_until_ms()):  # it goes on until the order is taken up
            held_ms = now_ms
            await asyncio.sleep(0.05)
        assert not placing.done()
    created_ms = (await placing).json()["order"]["created_ms"]
    assert held_ms <= created_ms < await decided_until_ms()


async def test_the_book_is_cut_at_its_depth_and_is_best_first(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    for price in ("2990", "3000", "2980", "3000"):
        await trader.order(price=price, size="0.1")
    book = (await exchange.client.get("/v1/markets/ETH-USDC/book", params={"depth": 2})).json()
    assert book["bids"] == [["3000", "0.2"], ["2990", "0.1"]]


async def test_an_unknown_market_is_a_404_everywhere(exchange, subtests):
    for market in ("DOGE-USDC", "eth-usdc", "%00", "x" * 500, "%E2%82%AC"):
        for noun in ("book", "trades", "candles"):
            with subtests.test(f"{market[:10]} {noun}"):
                response = await exchange.client.get(f"/v1/markets/{market}/{noun}")
                assert problem(response, 404, "unknown_market")["field"] == "market"


async def test_a_bad_parameter_is_refused_by_name(exchange, subtests):
    trader = await exchange.trader()
    for path, params, field in [
        ("/v1/markets/ETH-USDC/book", {"depth": "0"}, "depth"),
        ("/v1/markets/ETH-USDC/book", {"depth": "501"}, "depth"),
        ("/v1/markets/ETH-USDC/book", {"depth": "1e1"}, "depth"),
        ("/v1/markets/ETH-USDC/book", {"depth": "1_0"}, "depth"),
        ("/v1/markets/ETH-USDC/book", {"depth": "\uff11"}, "depth"),
        ("/v1/markets/ETH-USDC/book", {"depth": "9" * 5000}, "depth"),
        ("/v1/markets/ETH-USDC/candles", {"interval": "2m"}, "interval"),
        ("/v1/markets/ETH-USDC/candles", {"from": "-1"}, "from"),
        ("/v1/orders", {"limit": "0"}, "limit"),
        ("/v1/orders", {"limit": "501"}, "limit"),
        ("/v1/orders", {"status": "closed"}, "status"),
        ("/v1/fills", {"order_id": "x"}, "order_id"),
        ("/v1/balances", {"min_seq": "-1"}, "min_seq"),
        ("/v1/balances", {"min_seq": str(2**63)}, "min_seq"),
        ("/v1/ledger", {"cursor": "x" * 500}, "cursor"),
    ]:
        with subtests.test(f"{path} {str(params)[:30]}"):
            assert problem(await trader.get(path, **params), 422, "field_invalid")["field"] == field


@pytest.mark.parametrize(
    ("added", "code", "field"),
    [("minseq=1", "field_unknown", "minseq"), ("min_seq=0&min_seq=1", "field_invalid", "min_seq")],
    ids=["unknown", "there twice"],
)
async def test_a_parameter_that_can_not_be_is_refused_by_name(exchange, subtests, added, code, field):
    trader = await exchange.trader()
    for path in [*LISTINGS, "/v1/balances", "/v1/me", "/v1/assets", "/v1/markets/ETH-USDC/book"]:
        with subtests.test(path):
            joiner = "&" if "?" in path else "?"
            response = await trader.request("GET", f"{path}{joiner}{added}")
            assert problem(response, 422, code)["field"] == field


async def test_an_account_that_is_named_twice_is_not_guessed(exchange):
    trader = await exchange.trader()
    response = await trader.request("GET", "/v1/balances?sub_account=0&sub_account=1")
    assert problem(response, 422, "field_invalid")["field"] == "sub_account"


async def test_a_cursor_that_no_listing_gave_is_refused(exchange, subtests):
    trader = await exchange.trader()
    foreign = encode_cursor("trades", (5,))
    huge = encode_cursor("ledger", (2**63, 1, 1))
    wide = encode_cursor("ledger", (5, 2**31, 1))
    for path in LISTINGS:
        for cursor in ("", "x", "!!!!", "ZZZZ", "\u00e9", "\0", foreign, huge, wide, "W10", "bnVsbA"):
            with subtests.test(f"{path} {cursor}"):
                response = await trader.request(
                    "GET",
                    path.split("?")[0],
                    params={"cursor": cursor, "status": "all"} if "?" in path else {"cursor": cursor},
                )
                problem(response, 422, "cursor_invalid")


@pytest.mark.parametrize("key", [(0,), (2**63 - 1,), (7, 0, 3)])
def test_a_cursor_comes_back_as_its_key(key):
    assert decode_cursor(encode_cursor("x", key), "x", len(key)) == key


async def test_a_read_waits_for_its_min_seq(exchange):
    trader = await exchange.trader()
    seq = exchange.view.seq
    waiting = asyncio.create_task(trader.get("/v1/balances", min_seq=seq + 1))
    await exchange.deposit(trader.owner, exchange.view.asset_by_symbol["USDC"].token, 5 * USDC_ATOMS)
    content = (await waiting).json()
    assert content["seq"] == seq + 1
    assert next(item for item in content["items"] if item["asset"] == "USDC") == {
        "asset": "USDC",
        "available": "5",
        "held": "0",
        "total": "5",
    }


async def test_a_min_seq_that_is_not_reached_is_not_yet(exchange, subtests):
    trader = await exchange.trader()
    for path in ["/v1/balances", "/v1/assets", "/v1/markets/ETH-USDC/book", "/v1/ledger", "/v1/fills"]:
        for min_seq in (exchange.view.seq + 10**6, 2**63 - 1):
            with subtests.test(f"{path} {min_seq}"):
                response = await trader.get(path, min_seq=min_seq)
                problem(response, 503, "not_yet")
                assert response.headers["retry-after"] == "1"
    with impatient(exchange):
        problem(await trader.get("/v1/balances", min_seq=exchange.view.seq + 1), 503, "not_yet")
        problem(await trader.get("/v1/ledger", min_seq=exchange.view.seq + 1), 503, "not_yet")


async def test_the_ledger_tells_every_movement_and_adds_up_to_the_balances(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    order = (await trader.order()).json()["order"]
    cancelled = (await trader.request("DELETE", f"/v1/orders/{order['order_id']}")).json()
    pages, cursor = [], None
    while True:
        params = {"limit": 1, "min_seq": cancelled["seq"]} | ({"cursor": cursor} if cursor else {})
        page = (await trader.get("/v1/ledger", **params)).json()
        pages += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [(item["kind"], item["available_change"], item["held_change"]) for item in pages] == [
        ("order_release", "3003", "-3003"),
        ("order_hold", "-3003", "3003"),
        ("deposit", "10000", "0"),
    ]
    newest = pages[0]
    assert (newest["available"], newest["held"], newest["reference"]) == ("10000", "0", order["order_id"])
    assert (await trader.balances())["USDC"] == ("10000", "0")


async def test_nobody_sees_anothers_history(exchange):
    rich = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await rich.order()
    stranger = await exchange.trader()
    for path in LISTINGS:
        assert (await stranger.request("GET", path)).json()["items"] == []


async def test_junk_assets_are_neither_listed_nor_walked(exchange):
    trader = await exchange.trader()
    junk = CreditDeposit(CHAIN_ID, VAULT, 1, trader.owner, "0x" + "99" * 20, 5, "0x" + "01" * 32, 0, 101)
    await exchange.sequencer.submit(junk)
    assert len(exchange.view.assets) == 4
    exchange.view.assets = None  # whoever walks all assets, however many there are, fails
    for path, name in (("/v1/assets", "symbol"), ("/v1/balances", "asset")):
        items = (await trader.get(path)).json()["items"]
        assert [item[name] for item in items] == ["ETH", "USDC", "WBTC"]


async def test_what_went_wrong_with_a_part_is_told_without_the_texts_of_exceptions(exchange):
    fault = ConnectionError("https://user:secret@node.example/key")

    async def answering() -> Exception:
        return fault

    async def raising() -> None:
        raise fault

    parts = (
        HealthPart("answering", required=False, check=answering),
        HealthPart("raising", required=False, check=raising),
    )
    transport = httpx.ASGITransport(create_app(replace(exchange.edge, health_parts=parts)))
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost:8000") as client:
        response = await client.get("/v1/health/ready")
    assert [part["detail"] for part in response.json()["parts"]] == ["ConnectionError", "ConnectionError"]
    assert "secret" not in response.text


async def test_liveness_and_readiness_are_apart(exchange):
    live = await exchange.client.get("/v1/health/live")
    assert (live.status_code, live.json()) == (200, {"live": True})
    ready = await exchange.client.get("/v1/health/ready")
    assert ready.status_code == 200
    assert {part["name"] for part in ready.json()["parts"]} == {"engine", "postgres", "projections"}
    await exchange.edge.pool.close()
    ready = await exchange.client.get("/v1/health/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    wrong = [part for part in ready.json()["parts"] if not part["ready"]]
    assert [part["name"] for part in wrong] == ["postgres"]
    assert wrong[0]["detail"]
    assert (await exchange.client.get("/v1/health/live")).status_code == 200
