"""The audit finds what it is for: each test breaks one thing in a sound state."""

from collections.abc import Callable

import pytest
from tests.core.venue import Venue

from exchange.core.accounts import CHAIN_ACCOUNT, FEES_ACCOUNT
from exchange.core.invariants import audit
from exchange.core.state import State
from exchange.core.units import MAX_ATOMS

ALICE, BOB, APPLE, COIN = 1_000, 1_001, 1, 2


@pytest.fixture
def state() -> State:
    venue = Venue()
    venue.open_market(maker_fee_bps=10, taker_fee_bps=20)
    venue.give("alice", apple=100)
    venue.give("bob", coin=10_000)
    assert (venue.account_id("alice"), venue.account_id("bob")) == (ALICE, BOB)
    venue.sell("alice", 10, at=100, cid="ask")
    assert venue.last_order_id == venue.state.accounts[ALICE].client_orders["ask"].order_id
    venue.buy("bob", 10, at=90)
    venue.withdraw("alice", "APPLE", 5)
    audit(venue.state)
    return venue.state


def orders(state: State) -> tuple[int, int]:
    ask, bid = state.orders
    return ask, bid


def gift(state: State) -> None:
    state.accounts[BOB].balances[COIN].available_atoms += 1


def theft_from_the_vault(state: State) -> None:
    state.accounts[CHAIN_ACCOUNT].balances[COIN].available_atoms += 1


def overdraft(state: State) -> None:
    state.accounts[BOB].balances[COIN].available_atoms -= 2 * 10_000
    state.accounts[CHAIN_ACCOUNT].balances[COIN].available_atoms += 2 * 10_000


def more_than_128_bits(state: State) -> None:
    state.accounts[BOB].balances[COIN].available_atoms += MAX_ATOMS
    state.accounts[CHAIN_ACCOUNT].balances[COIN].available_atoms -= MAX_ATOMS


def lost_hold(state: State) -> None:
    state.accounts[ALICE].balances[APPLE].held_atoms -= 1
    state.accounts[ALICE].balances[APPLE].available_atoms += 1


def order_held_too_little(state: State) -> None:
    state.orders[orders(state)[1]].held_atoms -= 1
    state.accounts[BOB].balances[COIN].held_atoms -= 1
    state.accounts[BOB].balances[COIN].available_atoms += 1


def order_held_too_much(state: State) -> None:
    state.orders[orders(state)[1]].held_atoms += 1
    state.accounts[BOB].balances[COIN].held_atoms += 1
    state.accounts[BOB].balances[COIN].available_atoms -= 1


def wrong_level_size(state: State) -> None:
    level = state.books[1].asks.best()
    assert level is not None
    level.size_lots += 1


def order_without_book(state: State) -> None:
    state.books[1].bids.remove(state.orders[orders(state)[1]])


def book_without_order(state: State) -> None:
    del state.orders[orders(state)[0]]


def order_of_nobody(state: State) -> None:
    state.accounts[ALICE].open_orders.clear()


def ended_client_order_that_is_open(state: State) -> None:
    state.accounts[ALICE].client_orders["ask"].ended = "filled"


def lost_withdrawal(state: State) -> None:
    state.withdrawals.clear()


def negative_fees(state: State) -> None:
    state.accounts[FEES_ACCOUNT].balances[COIN] = type(state.accounts[BOB].balances[COIN])(-1)
    state.accounts[BOB].balances[COIN].available_atoms += 1


def memory_of_the_end_lost(state: State) -> None:
    state.final_withdrawals["0xabc"] = "settled"


@pytest.mark.parametrize(
    "breaking",
    [
        gift,
        theft_from_the_vault,
        overdraft,
        more_than_128_bits,
        lost_hold,
        order_held_too_little,
        order_held_too_much,
        wrong_level_size,
        order_without_book,
        book_without_order,
        order_of_nobody,
        ended_client_order_that_is_open,
        lost_withdrawal,
        negative_fees,
        memory_of_the_end_lost,
    ],
)
def test_the_audit_finds(state: State, breaking: Callable[[State], None]) -> None:
    breaking(state)
    with pytest.raises((AssertionError, KeyError)):
        audit(state)


def test_the_audit_finds_a_crossed_book(state: State) -> None:
    ask, bid = (state.orders[number] for number in orders(state))
    book = state.books[1]
    book.asks.remove(ask)
    ask.price_ticks = bid.price_ticks
    book.asks.add(ask)
    with pytest.raises(AssertionError, match="crossed"):
        audit(state)
