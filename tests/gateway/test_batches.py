from typing import Any

import pytest

from exchange.core.apply import apply
from exchange.core.commands import (
    AmendOrder,
    CancelClientOrder,
    CancelOrder,
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    SetRules,
)
from exchange.core.state import State
from exchange.core.words import AgentScope, OrderType, Side, TimeInForce
from exchange.gateway.accounts import NOBODY, account_id_to_read, own_account_id, own_open_order
from exchange.gateway.batches import BatchReader, parse_operations
from exchange.gateway.callers import Caller
from exchange.gateway.refusals import AgentRefused, FieldRefused
from exchange.gateway.sessions import Session
from exchange.sequencer.agents import Agent
from exchange.sequencer.committed import CommittedView

NOW_NS = 1_763_841_600_000_000_000
VAULT, USDC, WETH = "0x" + "aa" * 20, "0x" + "cc" * 20, "0x" + "00" * 20
ALICE, BOB = "0x" + "01" * 20, "0x" + "02" * 20
MAIN, SECOND, BOBS = 1_000, 1_001, 1_002
SESSION = Caller.of_session(Session(ALICE, MAIN, 0, 2**62), b"token")
PLACE = {"op": "place", "market": "ETH-USDC", "side": "buy", "price": "3000", "size": "1"}


def resting(account_id: int) -> PlaceOrder:
    return PlaceOrder(account_id, 1, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 100, 1, None, NOW_NS + 10**9)


COMMANDS: list[Command] = [
    SetRules(2),
    ListAsset("ETH", 18, 1, VAULT, WETH),
    ListAsset("USDC", 6, 1, VAULT, USDC),
    OpenMarket("ETH-USDC", "ETH", "USDC", 1, 2, 10**14, 0, 0),
    OpenAccount(ALICE),
    OpenAccount(ALICE, 5),
    OpenAccount(BOB),
    CreditDeposit(1, VAULT, 1, ALICE, USDC, 10**12, "0x", 0, 1),
    CreditDeposit(1, VAULT, 2, BOB, USDC, 10**12, "0x", 0, 1),
    resting(MAIN),
    resting(BOBS),
]
ALICES_ORDER, BOBS_ORDER = "10", "11"


@pytest.fixture
def view() -> CommittedView:
    state, view = State(), CommittedView("0x" + "00" * 32)
    for seq, command in enumerate(COMMANDS, start=1):
        view.advance(seq, NOW_NS, [apply(state, seq, NOW_NS, command)])
    return view


@pytest.fixture
def reader(view: CommittedView) -> BatchReader:
    return BatchReader(SESSION, view, NOW_NS)


def refusal_of(reader: BatchReader, item: Any) -> tuple[str, str | None]:
    with pytest.raises(FieldRefused) as caught:
        reader.parse(item)
    return caught.value.code, caught.value.field


@pytest.mark.parametrize("operations", [None, "x", {}, [], [{}] * 101])
def test_a_batch_is_a_list_of_1_to_100_operations(operations):
    with pytest.raises(FieldRefused) as caught:
        parse_operations({"operations": operations})
    assert caught.value.field == "operations"
    assert len(parse_operations({"operations": [{}] * 100})) == 100


def test_a_batch_has_no_other_field():
    with pytest.raises(FieldRefused) as caught:
        parse_operations({"operations": [{}], "sub_account": 1})
    assert (caught.value.code, caught.value.field) == ("field_unknown", "sub_account")


def test_each_operation_becomes_its_command(reader):
    placed = reader.parse(PLACE).command
    assert isinstance(placed, PlaceOrder)
    assert (placed.account_id, placed.price_ticks, placed.size_lots) == (MAIN, 300_000, 10_000)
    elsewhere = reader.parse(PLACE | {"sub_account": 5}).command
    assert isinstance(elsewhere, PlaceOrder)
    assert elsewhere.account_id == SECOND
    amended = reader.parse({"op": "amend", "order_id": ALICES_ORDER, "price": "2"})
    assert amended.command == AmendOrder(MAIN, 10, 200, 1, NOW_NS + 30 * 10**9)
    assert amended.order is not None
    cancelled = reader.parse({"op": "cancel", "order_id": ALICES_ORDER})
    assert cancelled.command == CancelOrder(MAIN, 10)
    assert cancelled.order is not None


def test_by_a_client_order_id_an_order_is_cancelled_that_nobody_has_seen_yet(reader):
    parsed = reader.parse({"op": "cancel", "client_order_id": "mine"})
    assert (parsed.command, parsed.order) == (CancelClientOrder(MAIN, "mine"), None)
    elsewhere = reader.parse({"op": "cancel", "client_order_id": "mine", "sub_account": 5, "order_id": None})
    assert elsewhere.command == CancelClientOrder(SECOND, "mine")


def test_an_agents_cancel_by_client_order_id_carries_its_markets(view):
    reader = BatchReader(agent(market_ids=(7, 2)), view, NOW_NS)
    assert reader.parse({"op": "cancel", "client_order_id": "a"}).command == CancelClientOrder(
        MAIN, "a", (7, 2)
    )


@pytest.mark.parametrize(
    ("item", "code", "field"),
    [
        (None, "field_invalid", "operations"),
        ([], "field_invalid", "operations"),
        ("place", "field_invalid", "operations"),
        ({}, "field_missing", "op"),
        ({"op": "replace"}, "field_invalid", "op"),
        ({"op": ["place"]}, "field_invalid", "op"),
        (PLACE | {"order_id": "1"}, "field_unknown", "order_id"),
        (PLACE | {"size": 1}, "not_a_decimal", "size"),
        (PLACE | {"sub_account": 6}, "unknown_account", "sub_account"),
        (PLACE | {"sub_account": 128}, "field_invalid", "sub_account"),
        (PLACE | {"sub_account": True}, "field_invalid", "sub_account"),
        (PLACE | {"sub_account": "5"}, "field_invalid", "sub_account"),
        ({"op": "cancel"}, "field_missing", "order_id"),
        ({"op": "cancel", "order_id": 10}, "unknown_order", "order_id"),
        ({"op": "cancel", "order_id": "1e3"}, "unknown_order", "order_id"),
        ({"op": "cancel", "order_id": BOBS_ORDER}, "unknown_order", None),
        ({"op": "cancel", "order_id": ALICES_ORDER, "market": "ETH-USDC"}, "field_unknown", "market"),
        ({"op": "cancel", "order_id": ALICES_ORDER, "sub_account": 0}, "invalid_combination", "sub_account"),
        (
            {"op": "cancel", "order_id": ALICES_ORDER, "client_order_id": "a"},
            "invalid_combination",
            "client_order_id",
        ),
        ({"op": "cancel", "client_order_id": None, "sub_account": 5}, "field_missing", "order_id"),
        ({"op": "cancel", "client_order_id": 7}, "field_invalid", "client_order_id"),
        ({"op": "cancel", "client_order_id": ""}, "field_invalid", "client_order_id"),
        ({"op": "cancel", "client_order_id": "a\n"}, "field_invalid", "client_order_id"),
        ({"op": "cancel", "client_order_id": "x" * 37}, "field_invalid", "client_order_id"),
        ({"op": "cancel", "client_order_id": "a", "sub_account": 6}, "unknown_account", "sub_account"),
        ({"op": "cancel", "client_order_id": "a", "sub_account": "5"}, "field_invalid", "sub_account"),
        ({"op": "cancel", "client_order_id": "a", "market": "ETH-USDC"}, "field_unknown", "market"),
        ({"op": "amend", "client_order_id": "a", "price": "2"}, "field_missing", "order_id"),
        ({"op": "amend", "order_id": BOBS_ORDER, "price": "2"}, "unknown_order", None),
        ({"op": "amend", "order_id": ALICES_ORDER}, "field_missing", "price"),
        ({"op": "amend", "order_id": ALICES_ORDER, "sub_account": 0}, "field_unknown", "sub_account"),
    ],
)
def test_an_operation_that_can_not_be_read_is_refused(reader, item, code, field):
    assert refusal_of(reader, item) == (code, field)


def test_an_order_amended_twice_in_a_batch_must_say_all_of_it_the_second_time(reader):
    amend = {"op": "amend", "order_id": ALICES_ORDER}
    reader.parse(amend | {"price": "2"})
    assert refusal_of(reader, amend | {"size": "0.0002"}) == ("field_missing", "price")
    assert refusal_of(reader, amend | {"price": "2"}) == ("field_missing", "size")
    again = reader.parse(amend | {"price": "3", "size": "0.0002"}).command
    assert isinstance(again, AmendOrder)
    assert (again.price_ticks, again.size_lots) == (300, 2)


def test_a_refused_amendment_does_not_count_as_one(reader):
    amend = {"op": "amend", "order_id": ALICES_ORDER}
    assert refusal_of(reader, amend | {"price": 2}) == ("not_a_decimal", "price")
    assert isinstance(reader.parse(amend | {"price": "2"}).command, AmendOrder)


def test_a_session_speaks_for_all_accounts_of_its_owner_and_no_other(view):
    session = SESSION
    assert [own_account_id(view, session, number) for number in (None, 0, 5)] == [MAIN, MAIN, SECOND]
    assert [account_id_to_read(view, session, number) for number in (0, 5, 6)] == [MAIN, SECOND, NOBODY]
    assert own_open_order(view, session, 10).account_id == MAIN
    for order_id in (11, 12):
        with pytest.raises(FieldRefused) as caught:
            own_open_order(view, session, order_id)
        assert caught.value.code == "unknown_order"
    assert (view.balances(NOBODY), view.open_orders(NOBODY)) == ({}, [])


def agent(market_ids: tuple[int, ...] = (), sub_accounts: tuple[int, ...] = ()) -> Caller:
    key, scopes = "0x" + "e5" * 32, (AgentScope.TRADE,)
    return Caller.of_agent(Agent(key, ALICE, "bot", scopes, market_ids, sub_accounts, 2**62, (), 1, 1), MAIN)


def test_an_agent_uses_the_sub_accounts_that_it_was_allowed(view):
    of_five = agent(sub_accounts=(5, 6))
    assert own_account_id(view, of_five, 5) == SECOND
    assert account_id_to_read(view, of_five, 6) == NOBODY
    for refused in (
        lambda: own_account_id(view, of_five, None),
        lambda: account_id_to_read(view, of_five, 0),
        lambda: own_open_order(view, of_five, 10),
    ):
        with pytest.raises(AgentRefused) as caught:
            refused()
        assert caught.value.code == "sub_account_not_allowed"
    with pytest.raises(FieldRefused) as caught:
        own_open_order(view, of_five, 11)
    assert caught.value.code == "unknown_order"


def test_items_in_a_market_that_the_agent_was_not_allowed_are_refused_by_themselves(view):
    elsewhere = BatchReader(agent(market_ids=(2,)), view, NOW_NS)
    here = BatchReader(agent(market_ids=(1, 2)), view, NOW_NS)
    for item, field in (
        (PLACE, "market"),
        ({"op": "amend", "order_id": ALICES_ORDER, "size": "1"}, "order_id"),
        ({"op": "cancel", "order_id": ALICES_ORDER}, "order_id"),
    ):
        with pytest.raises(AgentRefused) as caught:
            elsewhere.parse(item)
        assert (caught.value.code, caught.value.field) == ("market_not_allowed", field)
        here.parse(item)
