"""Orders, by a wallet and by a key, against a real exchange."""

from decimal import Decimal
from typing import Any

import pytest
from tests.edge.harness import read_tables_standing_still
from tests.sdk.market import Market

from exchange_sdk import Amend, Cancel, Exchange, Place, Retries
from exchange_sdk.errors import (
    InsufficientFunds,
    NoCredential,
    NotYet,
    OwnerOnly,
    PostOnlyWouldCross,
    PriceOffTick,
    ScopeMissing,
    UnknownOrder,
)
from exchange_sdk.signing import KeyKind


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1"])
async def test_an_approved_key_trades_for_its_owner(market: Market, kind: KeyKind) -> None:
    await market.quote()
    async with market.agent(kind) as exchange:
        placed = await exchange.place("ETH-USDC", "buy", size=Decimal("0.5"), price="3000")
        assert placed.status == "filled"
        assert [(fill.price, fill.size, fill.fee) for fill in placed.fills] == [
            (Decimal(3000), Decimal("0.5"), Decimal("1.5"))
        ]
        balances = await exchange.balances()
        assert balances["ETH"].available == Decimal("10.5")
        assert balances["USDC"].total == Decimal("98498.5")
        me = await exchange.whoami()
        assert (me.kind, me.scopes) == ("agent", ("read", "trade"))
        assert me.agent is not None
        assert me.agent.key == exchange.key.id  # type: ignore[union-attr]
        assert {limit.scope for limit in me.limits} == {"ip", "key", "account"}


async def test_a_wallet_signs_in_by_itself_and_out_at_the_end(market: Market) -> None:
    async with market.owner() as exchange:
        assert (await exchange.me()).address == exchange.wallet.address  # type: ignore[union-attr]
        token = await exchange.session_token()
    headers = {"Authorization": f"Bearer {token}"}
    answer = await market.running.client.get("/v1/me", headers=headers)
    assert answer.json()["code"] == "session_invalid"


async def test_an_order_can_be_amended_and_cancelled(market: Market) -> None:
    async with market.agent() as exchange:
        placed = await exchange.place("ETH-USDC", "buy", size=1, price=2900)
        amended = await exchange.amend(placed, price="2910.5", size="0.4")
        assert (amended.order.price, amended.order.size) == (Decimal("2910.5"), Decimal("0.4"))
        ended = await exchange.cancel(amended.order)
        assert ended.status == "cancelled"
        assert (await exchange.order(placed)).status == "cancelled"
        with pytest.raises(UnknownOrder):
            await exchange.cancel(placed.order_id)
        assert (await exchange.balances())["USDC"].held == 0


async def test_an_order_is_cancelled_and_found_by_its_client_order_id(market: Market) -> None:
    async with market.agent() as exchange:
        await exchange.place("ETH-USDC", "buy", size=1, price=2900, client_order_id="mine")
        standing = await exchange.find_order("mine")
        assert standing is not None
        assert standing.is_open
        ended = await exchange.cancel(client_order_id="mine")
        assert (ended.order_id, ended.status) == (standing.order_id, "cancelled")
        assert await exchange.find_order("mine") == ended
        assert ended.created_ms is not None
        assert await exchange.find_order("mine", since=ended.created_ms) == ended
        assert await exchange.find_order("mine", since=ended.created_ms + 1) is None
        assert await exchange.find_order("never") is None
        assert await exchange.find_order("mine", sub_account=5) is None
        with pytest.raises(UnknownOrder):
            await exchange.cancel(client_order_id="mine")
        results = await exchange.batch(
            [
                Place(market="ETH-USDC", side="buy", size=1, price=2900, client_order_id="brief"),
                Cancel(client_order_id="brief"),
                Cancel(client_order_id="never", sub_account=0),
            ]
        )
        assert [result.status for result in results] == [201, 200, 404]


async def test_an_order_of_another_account_is_cancelled_by_its_client_order_id_there(market: Market) -> None:
    async with market.owner() as owner:
        await owner.transfer("USDC", 5_000, to=1)
        await owner.place("ETH-USDC", "buy", size=1, price=2900, client_order_id="mine", sub_account=1)
        with pytest.raises(UnknownOrder):
            await owner.cancel(client_order_id="mine")
        ended = await owner.cancel(client_order_id="mine", sub_account=1)
        assert (ended.sub_account, ended.status) == (1, "cancelled")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"order": "1", "client_order_id": "a"},
        {"order": "1", "sub_account": 1},
        {"client_order_id": ""},
        {"client_order_id": "a/../b"},
        {"client_order_id": "x" * 37},
        {"client_order_id": "a\n"},
        {"order": "one"},
    ],
)
def test_a_cancel_that_can_not_be_one_is_found_where_it_is_made(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"order"):
        Cancel(**given)


async def test_each_operation_of_a_batch_is_done_or_refused_by_itself(market: Market) -> None:
    async with market.agent() as exchange:
        first = await exchange.place("ETH-USDC", "sell", size=1, price=4000)
        second = await exchange.place("ETH-USDC", "sell", size=2, price=4000)
        results = await exchange.batch(
            [
                Place(market="ETH-USDC", side="buy", size=1, price="2900"),
                Place(market="ETH-USDC", side="buy", size=1000, price="2900"),
                Amend(order=first, size="0.5"),
                Cancel(order="999999"),
                Cancel(order=second),
            ]
        )
        assert [result.ok for result in results] == [True, False, True, False, True]
        assert results[0].unwrap().is_open
        assert isinstance(results[1].error, InsufficientFunds)
        with pytest.raises(UnknownOrder):
            results[3].unwrap()
        assert results[2].unwrap().size == Decimal("0.5")
        assert results[4].unwrap().status == "cancelled"


async def test_every_kind_of_order_can_be_placed(market: Market) -> None:
    await market.quote()
    async with market.agent() as exchange:
        by_amount = await exchange.place("ETH-USDC", "buy", amount="301", type="market")
        assert by_amount.order.size == Decimal("0.1002")
        stop = await exchange.place("ETH-USDC", "sell", size=1, price="2850", stop="2900")
        assert stop.order.trigger is not None
        assert (stop.order.trigger.type, stop.order.trigger.met) == ("stop", False)
        profit = await exchange.place("ETH-USDC", "sell", size=1, price=3200, take_profit=3300)
        assert profit.order.trigger is not None
        until = await exchange.place("ETH-USDC", "buy", size=1, price=2000, good_till=4102444800000)
        assert (until.order.time_in_force, until.order.good_till_ms) == ("gtt", 4102444800000)
        with pytest.raises(PostOnlyWouldCross):
            await exchange.place("ETH-USDC", "buy", size=1, price=3000, time_in_force="post_only")
        assert [order.order_id for order in await exchange.open_orders()] == [
            stop.order_id,
            profit.order_id,
            until.order_id,
        ]
        cancelled = await exchange.cancel_all("ETH-USDC", side="sell")
        assert set(cancelled.order_ids) == {stop.order_id, profit.order_id}


async def test_the_dead_mans_switch_is_set_and_switched_off(market: Market) -> None:
    async with market.agent() as exchange:
        switch = await exchange.cancel_all_after(60)
        assert switch.cancel_all_at_ms is not None
        assert (await exchange.cancel_all_after(0)).cancel_all_at_ms is None


async def test_refusals_carry_the_servers_code_field_and_nearest_values(market: Market) -> None:
    async with market.agent() as exchange:
        with pytest.raises(PriceOffTick) as caught:
            await exchange.place("ETH-USDC", "buy", size=1, price="3000.005")
        refused = caught.value
        assert (refused.code, refused.field, refused.status) == ("price_off_tick", "price", 422)
        assert refused.nearest == ("3000", "3000.01")
        assert refused.request_id
        assert refused.request_id in str(refused)
        market_item = await exchange.market("ETH-USDC")
        rounded = market_item.round_price("3000.005")
        assert (await exchange.place("ETH-USDC", "buy", size=1, price=rounded)).order.is_open


async def test_a_key_does_what_it_was_allowed_and_nothing_else(market: Market) -> None:
    async with market.agent(scopes=["trade"], markets=["ETH-USDC"]) as exchange:
        assert (await exchange.place("ETH-USDC", "buy", size=1, price=2900)).order.is_open
        with pytest.raises(ScopeMissing, match="scope_missing"):
            await exchange.balances()
        with pytest.raises(ScopeMissing, match="market_not_allowed"):
            await exchange.place("WBTC-USDC", "buy", size=1, price=2900)
        with pytest.raises(NoCredential, match="owner's wallet"):
            await exchange.transfer("USDC", 1, to=1)
        with pytest.raises(OwnerOnly):
            await exchange.request("POST", "/v1/transfers", body={})


async def test_without_key_and_wallet_what_is_public_can_be_read(market: Market) -> None:
    await market.quote()
    async with Exchange(market.url) as exchange:
        book = await exchange.book("ETH-USDC", depth=1)
        assert (book.best_bid, book.best_ask) == ((Decimal(2990), Decimal(5)), (Decimal(3000), Decimal(5)))
        assert book.mid == Decimal(2995)
        grouped = await exchange.book("ETH-USDC", group=100)
        assert grouped.best_ask == (Decimal(3000), Decimal(5))
        assert list(await exchange.markets()) == ["ETH-USDC", "WBTC-USDC"]
        assert (await exchange.asset("USDC")).decimals == 6
        assert (await exchange.deployment()).host == "localhost:8000"
        assert (await exchange.time()).time_ms > 0
        assert exchange.rate_limit is not None
        with pytest.raises(KeyError):
            await exchange.market("DOGE-USDC")
        with pytest.raises(NoCredential, match="a key or a wallet"):
            await exchange.balances()


async def test_what_is_not_as_new_yet_is_waited_for_and_then_told(market: Market) -> None:
    async with market.agent() as exchange:
        exchange._http.retries = Retries(attempts=2)
        before = await exchange.orders(status="ended").all()
        async with read_tables_standing_still(market.running):
            placed = await exchange.place("ETH-USDC", "buy", size=1, price=2900)
            await exchange.cancel(placed)
            with pytest.raises(NotYet):
                await exchange.orders(status="ended").all()
        assert before == []
        assert len(await exchange.orders(status="ended").all()) == 1


async def test_ones_own_things_are_read_as_new_as_ones_own_changes(market: Market) -> None:
    async with market.agent() as exchange:
        placed = await exchange.place("ETH-USDC", "buy", size=1, price=2900)
        assert exchange.seq == placed.seq
        await exchange.cancel(placed)
        assert [order.status for order in await exchange.orders(status="ended").all()] == ["cancelled"]
        assert await exchange.find_order(placed.order.client_order_id or "") is not None
