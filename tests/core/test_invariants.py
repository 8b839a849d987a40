"""The audit finds what it is for: each test breaks one thing in a sound state; no assert is left unproved."""

import ast
import inspect
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.core.fields import copy_of
from tests.core.venue import Venue, address, key_of, withdrawal_id

from exchange.core import invariants
from exchange.core.accounts import CHAIN_ACCOUNT, FEES_ACCOUNT, MAX_OPEN_ORDERS, Balance
from exchange.core.agents import MAX_AGENT_LIFE_NS, MAX_AGENTS, MAX_LIVE_AGENTS, MAX_NONCES, Agent
from exchange.core.book import Book, Level
from exchange.core.commands import OpenMarket
from exchange.core.invariants import audit
from exchange.core.orders import Order
from exchange.core.state import State
from exchange.core.units import MAX_ATOMS, MAX_SIZE_LOTS
from exchange.core.words import AccountState, RateClass, Side, TimeInForce, TriggerKind

ALICE, BOB, APPLE, COIN = 1_000, 1_001, 1, 2


def sound() -> State:
    """Asks, bids, a stop, an expiry, a switch, agents; ended orders, transfers, withdrawals."""
    venue = Venue()
    venue.open_market(maker_fee_bps=10, taker_fee_bps=20)
    venue.do(OpenMarket("COARSE", "APPLE", "COIN", 1, 0, 1, 10, 20))
    venue.give("alice", apple=100)
    venue.give("bob", coin=10_000)
    assert (venue.account_id("alice"), venue.account_id("bob")) == (ALICE, BOB)
    venue.trade_at(95)
    venue.sell("alice", 10, at=100, cid="ask")
    venue.buy("bob", 10, at=90)
    venue.buy("bob", 1, at=80, till_ns=venue.time_ns + 10**9)
    venue.sell("alice", 3, at=40, stop=50)
    for number in range(2):
        venue.buy("bob", 1, at=1, tif=TimeInForce.IOC, cid=f"over{number}")
        venue.transfer("bob", "COIN", 1, to=1, cid=f"moved{number}")
        venue.time_ns += 1
    venue.cancel_all_after("bob", 30)
    for label in ("flying", "landed"):
        venue.withdraw("alice", "APPLE", 5, label)
    venue.settle("landed")
    venue.approve("alice", "bot", market_ids=(1,))
    venue.sign("bot")
    venue.set_rate_class("bob", RateClass.MARKET_MAKER)
    audit(venue.state)
    return venue.state


def ask(state: State) -> Order:
    (order,) = next(iter(state.books[1].asks.levels.values()))
    return order


def bid(state: State) -> Order:
    (order,) = state.books[1].bids.levels[90]
    return order


def stop(state: State) -> Order:
    (order,) = state.books[1].falls.levels[50]
    return order


def balance(state: State, account_id: int, asset_id: int) -> Balance:
    return state.accounts[account_id].balances[asset_id]


BREAKING: list[Callable[[State], object]] = []


def breaks(function: Callable[[State], None]) -> Callable[[State], None]:
    BREAKING.append(function)
    return function


# ---- money


@breaks
def gift(state: State) -> None:
    balance(state, BOB, COIN).available_atoms += 1


@breaks
def theft_from_the_vault(state: State) -> None:
    balance(state, CHAIN_ACCOUNT, COIN).available_atoms += 1


@breaks
def overdraft(state: State) -> None:
    balance(state, BOB, COIN).available_atoms -= 2 * 10_000
    balance(state, CHAIN_ACCOUNT, COIN).available_atoms += 2 * 10_000


@breaks
def more_than_128_bits(state: State) -> None:
    balance(state, BOB, COIN).available_atoms += MAX_ATOMS
    balance(state, CHAIN_ACCOUNT, COIN).available_atoms -= MAX_ATOMS


@breaks
def negative_hold(state: State) -> None:
    balance(state, ALICE, COIN).held_atoms -= 1
    balance(state, ALICE, COIN).available_atoms += 1


@breaks
def the_system_holds(state: State) -> None:
    balance(state, FEES_ACCOUNT, COIN).held_atoms += 1
    balance(state, FEES_ACCOUNT, COIN).available_atoms -= 1


@breaks
def negative_fees(state: State) -> None:
    fees = balance(state, FEES_ACCOUNT, COIN)
    balance(state, BOB, COIN).available_atoms += fees.available_atoms + 1
    fees.available_atoms = -1


@breaks
def the_chain_owes(state: State) -> None:
    chain = balance(state, CHAIN_ACCOUNT, COIN)
    balance(state, FEES_ACCOUNT, COIN).available_atoms -= 1 - chain.available_atoms
    chain.available_atoms = 1


@breaks
def lost_hold(state: State) -> None:
    balance(state, ALICE, APPLE).held_atoms -= 1
    balance(state, ALICE, APPLE).available_atoms += 1


# ---- orders


@breaks
def order_held_too_little(state: State) -> None:
    bid(state).held_atoms -= 1
    balance(state, BOB, COIN).held_atoms -= 1
    balance(state, BOB, COIN).available_atoms += 1


@breaks
def order_held_too_much(state: State) -> None:
    bid(state).held_atoms += 1
    balance(state, BOB, COIN).held_atoms += 1
    balance(state, BOB, COIN).available_atoms -= 1


@breaks
def order_under_a_wrong_id(state: State) -> None:
    ask(state).order_id += 1


@breaks
def order_of_the_future(state: State) -> None:
    state.seq = 1


@breaks
def order_with_nothing_left(state: State) -> None:
    ask(state).remaining_lots = 0


@breaks
def order_with_more_left_than_it_has(state: State) -> None:
    ask(state).size_lots = 9


@breaks
def order_larger_than_63_bits(state: State) -> None:
    ask(state).size_lots = MAX_SIZE_LOTS + 1


@breaks
def open_buy_by_amount(state: State) -> None:
    bid(state).quote_atoms = 902


@breaks
def rebate_beyond_the_markets_highest(state: State) -> None:
    ask(state).maker_fee_bps = -1


@breaks
def taker_rate_below_the_markets_lowest(state: State) -> None:
    ask(state).taker_fee_bps = 19


@breaks
def fee_charged_twice(state: State) -> None:
    ask(state).fee_charged_atoms += 1


@breaks
def account_with_another_order_under_the_id(state: State) -> None:
    state.accounts[ALICE].orders[ask(state).order_id] = copy_of(ask(state))


@breaks
def order_of_nobody(state: State) -> None:
    state.accounts[ALICE].orders.clear()


@breaks
def client_order_id_of_another_order(state: State) -> None:
    known = state.accounts[ALICE].client_orders
    known["ask"] = copy_of(known["ask"])


@breaks
def client_order_id_forgotten_too_early(state: State) -> None:
    del state.accounts[ALICE].client_orders["ask"]


@breaks
def two_ids_for_one_order(state: State) -> None:
    known = state.accounts[ALICE].client_orders
    known["alias"] = known["ask"]


@breaks
def ended_client_order_that_is_open(state: State) -> None:
    state.accounts[ALICE].client_orders["ask"].ended = "filled"


@breaks
def client_order_of_somebody_else(state: State) -> None:
    state.accounts[BOB].client_orders["ask"] = state.accounts[ALICE].client_orders["ask"]


@breaks
def ended_client_order_that_has_no_end(state: State) -> None:
    state.accounts[BOB].client_orders["over0"].ended = ""


@breaks
def orders_out_of_order(state: State) -> None:
    account = state.accounts[ALICE]
    account.orders = dict(reversed(account.orders.items()))


@breaks
def frozen_account_with_an_order(state: State) -> None:
    state.accounts[BOB].state = AccountState.FROZEN


@breaks
def restricted_account_of_the_system(state: State) -> None:
    state.accounts[FEES_ACCOUNT].state = AccountState.CANCEL_ONLY


@breaks
def more_open_orders_than_any_limit(state: State) -> None:
    account = state.accounts[ALICE]
    account.orders |= dict.fromkeys(range(-MAX_OPEN_ORDERS, 0), ask(state))


@breaks
def account_with_an_order_that_is_not_open(state: State) -> None:
    account = state.accounts[ALICE]
    account.orders = {1: ask(state)} | account.orders


# ---- books


@breaks
def book_of_no_market(state: State) -> None:
    state.books[3] = Book(0, 0)


@breaks
def rebates_above_taker_rates(state: State) -> None:
    state.books[2].highest_rebate_bps = state.books[2].lowest_taker_bps + 1


@breaks
def crossed_book(state: State) -> None:
    order, book = ask(state), state.books[1]
    book.asks.remove(order)
    order.price_ticks = 90
    book.asks.add(90, order)


@breaks
def order_without_book(state: State) -> None:
    state.books[1].bids.remove(bid(state))


@breaks
def book_without_order(state: State) -> None:
    del state.orders[ask(state).order_id]


@breaks
def book_with_a_copy(state: State) -> None:
    state.books[1].asks.levels[-100].append(copy_of(ask(state)))


@breaks
def waiting_copy(state: State) -> None:
    state.books[1].falls.levels[50].append(copy_of(stop(state)))


def move_to_market_2(state: State, order: Order) -> None:
    order.market_id = 2


@breaks
def order_in_the_book_of_another_market(state: State) -> None:
    move_to_market_2(state, ask(state))


@breaks
def order_waiting_in_another_market(state: State) -> None:
    move_to_market_2(state, stop(state))


@breaks
def sell_among_the_bids(state: State) -> None:
    order, book = ask(state), state.books[1]
    book.asks.remove(order)
    book.bids.add(100, order)


@breaks
def order_at_another_price(state: State) -> None:
    ask(state).price_ticks += 1


@breaks
def waiting_order_in_the_book(state: State) -> None:
    ask(state).awaiting_trigger = True


@breaks
def resting_order_that_may_not_rest(state: State) -> None:
    ask(state).time_in_force = TimeInForce.IOC


@breaks
def order_ahead_of_its_turn(state: State) -> None:
    ask(state).queued_seq = 0


@breaks
def turn_in_the_future(state: State) -> None:
    ask(state).queued_seq = state.seq + 1


@breaks
def unsorted_prices(state: State) -> None:
    state.books[1].bids.keys.reverse()


@breaks
def empty_level(state: State) -> None:
    state.books[1].asks.keys.insert(0, -101)
    state.books[1].asks.levels[-101] = Level(-101)


@breaks
def level_of_another_price(state: State) -> None:
    state.books[1].asks.levels[-100].key = -101


@breaks
def order_of_another_level(state: State) -> None:
    ask(state).level = Level(-100)


@breaks
def order_behind_a_stranger(state: State) -> None:
    ask(state).ahead = bid(state)


@breaks
def queue_with_another_end(state: State) -> None:
    state.books[1].asks.levels[-100].last = bid(state)


@breaks
def price_without_level(state: State) -> None:
    state.books[1].asks.keys.insert(0, -101)


# ---- triggers


@breaks
def fired_order_still_waiting(state: State) -> None:
    stop(state).awaiting_trigger = False


@breaks
def waiting_order_that_was_filled(state: State) -> None:
    stop(state).size_lots += 1


@breaks
def waiting_for_nothing(state: State) -> None:
    stop(state).trigger = None


@breaks
def waiting_at_another_price(state: State) -> None:
    stop(state).trigger_ticks += 1


@breaks
def waiting_for_the_other_direction(state: State) -> None:
    stop(state).trigger = TriggerKind.TAKE_PROFIT


@breaks
def met_trigger_that_no_tick_will_fire(state: State) -> None:
    state.books[1].low_ticks = 50


@breaks
def tick_for_a_trigger_that_is_not_met(state: State) -> None:
    state.met_markets.append(1)


@breaks
def market_queued_twice(state: State) -> None:
    state.books[1].low_ticks = 50
    state.met_markets.extend([1, 1])


@breaks
def rise_remembered_too_long(state: State) -> None:
    state.books[1].high_ticks += 1


@breaks
def fall_remembered_too_long(state: State) -> None:
    state.books[1].low_ticks -= 1


# ---- schedule


@breaks
def lost_expiry(state: State) -> None:
    state.expiries.clear()


@breaks
def lost_switch(state: State) -> None:
    state.switches.clear()


@breaks
def switch_that_is_off(state: State) -> None:
    state.accounts[BOB].cancel_all_ns = 0


@breaks
def work_due_too_late(state: State) -> None:
    state.work_due_ns += 1


# ---- memory


@breaks
def client_order_to_be_forgotten_twice(state: State) -> None:
    state.ended_client_orders.append(state.ended_client_orders[-1])


@breaks
def client_order_never_to_be_forgotten(state: State) -> None:
    state.ended_client_orders.clear()


@breaks
def unknown_client_order_to_be_forgotten(state: State) -> None:
    ghost = copy_of(state.ended_client_orders[-1])
    ghost.order_id, ghost.forget_ns = 1, 2**63
    state.ended_client_orders.append(ghost)


@breaks
def ended_order_that_holds_something(state: State) -> None:
    state.accounts[BOB].client_orders["over0"].held_atoms = 1


@breaks
def ended_order_in_a_queue(state: State) -> None:
    state.accounts[BOB].client_orders["over0"].level = Level(1)


@breaks
def client_orders_forgotten_out_of_order(state: State) -> None:
    state.ended_client_orders.rotate()


@breaks
def transfer_to_be_forgotten_twice(state: State) -> None:
    state.made_transfers.append(state.made_transfers[-1])


@breaks
def transfer_never_to_be_forgotten(state: State) -> None:
    state.made_transfers.clear()


@breaks
def unknown_transfer_to_be_forgotten(state: State) -> None:
    state.made_transfers.append((2**63, ALICE, "ghost"))


@breaks
def transfers_forgotten_out_of_order(state: State) -> None:
    state.made_transfers.rotate()


@breaks
def sub_account_on_another_tier(state: State) -> None:
    state.accounts[BOB].fee_tier = 1


# ---- withdrawals


@breaks
def lost_withdrawal(state: State) -> None:
    state.withdrawals.clear()


@breaks
def miscounted_withdrawals(state: State) -> None:
    state.accounts[ALICE].open_withdrawals += 1


@breaks
def withdrawal_of_another_amount(state: State) -> None:
    label = withdrawal_id("flying")
    state.withdrawals[label] = msgspec.structs.replace(state.withdrawals[label], amount_atoms=6)


@breaks
def withdrawal_both_flying_and_landed(state: State) -> None:
    state.final_withdrawals[withdrawal_id("flying")] = "settled"


@breaks
def final_withdrawal_never_to_be_forgotten(state: State) -> None:
    state.final_withdrawals["0xabc"] = "settled"


@breaks
def final_withdrawal_to_be_forgotten_twice(state: State) -> None:
    state.final_by_deadline.append(state.final_by_deadline[-1])


# ---- agents


def bot(state: State) -> Agent:
    return state.agents[key_of("bot")]


@breaks
def agent_under_another_key(state: State) -> None:
    bot(state).key = key_of("other")


@breaks
def agent_of_another_owner(state: State) -> None:
    bot(state).owner = address("bob")


@breaks
def agent_of_the_future(state: State) -> None:
    bot(state).approved_ns = state.time_ns + 1


@breaks
def agent_for_longer_than_there_is(state: State) -> None:
    bot(state).expires_ns += MAX_AGENT_LIFE_NS


@breaks
def agent_revoked_before_it_was_approved(state: State) -> None:
    agent = bot(state)
    agent.revoked_ns, agent.nonces = agent.approved_ns - 1, []


@breaks
def agent_that_may_do_nothing(state: State) -> None:
    bot(state).scopes = ()


@breaks
def agent_for_a_market_there_is_not(state: State) -> None:
    bot(state).market_ids = (9,)


@breaks
def nonce_used_twice(state: State) -> None:
    bot(state).nonces *= 2


@breaks
def too_many_nonces(state: State) -> None:
    bot(state).nonces = list(range(MAX_NONCES + 1))


@breaks
def nonces_of_a_revoked_agent(state: State) -> None:
    bot(state).revoked_ns = state.time_ns


@breaks
def nonce_of_the_far_future(state: State) -> None:
    bot(state).nonces = [state.time_ns]


@breaks
def agent_that_its_owner_does_not_have(state: State) -> None:
    state.agents_by_owner[address("alice")].pop()


@breaks
def agent_that_its_owner_has_twice(state: State) -> None:
    state.agents_by_owner[address("alice")] *= 2


@breaks
def agent_that_nobody_has(state: State) -> None:
    del state.agents_by_owner[address("alice")]


@breaks
def agent_that_its_owner_has_otherwise(state: State) -> None:
    agents = state.agents_by_owner[address("alice")]
    agents[0] = replace(agents[0])


@breaks
def agents_of_nobody(state: State) -> None:
    del state.account_by_owner[address("alice"), 0]


def more_agents(state: State, count: int, **changes: Any) -> None:
    agents = state.agents_by_owner[address("alice")]
    for number in range(count):
        agent = replace(bot(state), key=f"0x{number}", **changes)
        state.agents[agent.key] = agent
        agents.append(agent)


@breaks
def too_many_live_agents(state: State) -> None:
    more_agents(state, MAX_LIVE_AGENTS)


@breaks
def too_many_agents_ever(state: State) -> None:
    more_agents(state, MAX_AGENTS, revoked_ns=state.time_ns, nonces=[])


@breaks
def rate_class_of_nobody(state: State) -> None:
    state.rate_classes["0x"] = RateClass.MARKET_MAKER


@breaks
def rate_class_that_goes_without_saying(state: State) -> None:
    state.rate_classes[address("bob")] = RateClass.STANDARD


@pytest.mark.parametrize("breaking", BREAKING)
def test_the_audit_finds(breaking: Callable[[State], object]) -> None:
    state = sound()
    breaking(state)
    with pytest.raises((AssertionError, KeyError)):
        audit(state)


def test_the_audit_names_a_crossed_book() -> None:
    state = sound()
    crossed_book(state)
    with pytest.raises(AssertionError, match="crossed"):
        audit(state)


def test_the_audit_names_what_came_out_of_nothing() -> None:
    state = sound()
    gift(state)
    with pytest.raises(AssertionError, match="asset 2: 1 atoms out of nothing"):
        audit(state)


def test_every_assert_of_the_audit_has_been_seen_to_fire() -> None:
    """So that no new one goes without a state that breaks it."""
    source = inspect.getsource(invariants)
    written = {node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)}
    fired = set()
    for breaking in BREAKING:
        state = sound()
        breaking(state)
        try:
            audit(state)
        except AssertionError as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            assert last.lineno is not None
            fired.add(last.lineno)
        except KeyError:
            pass
    lines = source.splitlines()
    assert [lines[number - 1].strip() for number in sorted(written - fired)] == []


def test_the_side_of_an_order_is_what_it_holds(venue: Venue) -> None:
    """A sound state of every side and kind of order is left alone."""
    for name in ("alice", "bob"):
        venue.give(name, apple=100, coin=10_000)
    for side in Side:
        for kind in ("stop", "take_profit"):
            venue.order("alice", side, 1, 10, **{kind: 50})  # type: ignore[arg-type]
    audit(venue.state)
