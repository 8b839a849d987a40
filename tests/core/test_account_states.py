"""What an account may do: everything, nothing new, or nothing at all."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.core.venue import SECOND, Venue, address, ends, refusal, trades

from exchange.core.accounts import MAX_OPEN_ORDERS, SYSTEM_ACCOUNTS
from exchange.core.commands import OpenAccount, SetAccountState
from exchange.core.events import (
    AccountOpened,
    AccountStateSet,
    AllCancelled,
    CancelAllAfterFired,
    CancelAllAfterSet,
    DepositCredited,
    Event,
    FundsTransferred,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderKnown,
    OrderTriggered,
    TransferKnown,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
)
from exchange.core.rejects import RejectReason
from exchange.core.words import AccountState, EndReason, MarketState, SelfTradePrevention, TimeInForce

ACTIVE, CANCEL_ONLY, FROZEN = AccountState
RESTRICTED = {CANCEL_ONLY: RejectReason.ACCOUNT_CANCEL_ONLY, FROZEN: RejectReason.ACCOUNT_FROZEN}


@pytest.fixture
def reducing(fair: Venue) -> Venue:
    """Bob's account takes on nothing new."""
    fair.restrict("bob", CANCEL_ONLY)
    return fair


@pytest.fixture
def frozen(fair: Venue) -> Venue:
    """Bob's account is frozen; so far he had no orders."""
    fair.freeze("bob")
    return fair


def state_of(venue: Venue, name: str, sub_account: int = 0) -> AccountState:
    return venue.state.accounts[venue.account_id(name, sub_account)].state


# ---- setting it


def test_an_account_is_opened_active(fair: Venue) -> None:
    assert state_of(fair, "bob") is ACTIVE


@pytest.mark.parametrize("before", AccountState)
@pytest.mark.parametrize("state", AccountState)
def test_any_state_follows_on_any_other_and_is_answered_with(
    fair: Venue, before: AccountState, state: AccountState
) -> None:
    fair.restrict("bob", before)
    assert fair.restrict("bob", state) == [AccountStateSet(fair.account_id("bob"), state)]
    assert state_of(fair, "bob") is state
    assert fair.view.account_state(fair.account_id("bob")) is state


@pytest.mark.parametrize("account_id", [*SYSTEM_ACCOUNTS, 999, 5_000])
@pytest.mark.parametrize("state", AccountState)
def test_only_accounts_of_users_have_their_state_set(
    fair: Venue, account_id: int, state: AccountState
) -> None:
    assert refusal(fair.do(SetAccountState(account_id, state))) is RejectReason.UNKNOWN_ACCOUNT


@pytest.mark.parametrize("state", RESTRICTED)
def test_an_owners_other_accounts_go_on(fair: Venue, state: AccountState) -> None:
    fair.transfer("bob", "COIN", 1_000, to=1)
    fair.buy("bob", 1, at=10, sub_account=1)
    fair.restrict("bob", state)
    assert state_of(fair, "bob", 1) is ACTIVE
    assert fair.queue(10) == [(fair.state.seq - 1, 1)]
    assert isinstance(fair.buy("bob", 1, at=10, sub_account=1)[0], OrderAccepted)
    assert refusal(fair.buy("bob", 1, at=10)) is RESTRICTED[state]


def test_a_sub_account_does_not_inherit_it(frozen: Venue) -> None:
    (event,) = frozen.do(OpenAccount(address("bob"), 5))
    assert isinstance(event, AccountOpened)
    assert state_of(frozen, "bob", 5) is ACTIVE


@pytest.mark.parametrize("state", RESTRICTED)
def test_an_active_account_does_everything_again(fair: Venue, state: AccountState) -> None:
    fair.restrict("bob", state)
    fair.restrict("bob", ACTIVE)
    assert isinstance(fair.buy("bob", 1, at=10)[0], OrderAccepted)
    assert isinstance(fair.amend("bob", fair.last_order_id, 2, at=11)[0], OrderAmended)
    assert isinstance(fair.transfer("bob", "COIN", 1, to=1)[-1], FundsTransferred)
    assert isinstance(fair.withdraw("bob", "COIN", 1)[0], WithdrawalRequested)


# ---- new orders

NEW_ORDERS: dict[str, Callable[[Venue], list[Event]]] = {
    "limit": lambda v: v.buy("bob", 1, at=10),
    "post only": lambda v: v.sell("bob", 1, at=10, tif=TimeInForce.POST_ONLY),
    "good till a time": lambda v: v.buy("bob", 1, at=10, till_ns=v.time_ns + SECOND),
    "ioc": lambda v: v.sell("bob", 1, at=10, tif=TimeInForce.IOC),
    "fok": lambda v: v.buy("bob", 1, at=10, tif=TimeInForce.FOK),
    "market": lambda v: v.market_sell("bob", 1, worst=1),
    "by amount": lambda v: v.spend("bob", 100, worst=10),
    "stop": lambda v: v.sell("bob", 1, at=10, stop=5),
}


@pytest.mark.parametrize("state", RESTRICTED)
@pytest.mark.parametrize("kind", NEW_ORDERS)
def test_an_account_that_is_not_active_has_no_order_taken(
    fair: Venue, state: AccountState, kind: str
) -> None:
    fair.restrict("bob", state)
    assert refusal(NEW_ORDERS[kind](fair)) is RESTRICTED[state]


@pytest.mark.parametrize("state", RESTRICTED)
def test_an_order_sent_again_is_answered_for_whatever_the_account_may_do(
    fair: Venue, state: AccountState
) -> None:
    fair.buy("bob", 3, at=10, cid="mine")
    fair.restrict("bob", state)
    (known,) = fair.buy("bob", 3, at=10, cid="mine")
    assert isinstance(known, OrderKnown)
    assert known.status == ("open" if state is CANCEL_ONLY else "account_frozen")
    assert known.remaining_lots == 3
    assert refusal(fair.buy("bob", 4, at=10, cid="mine")) is RejectReason.CLIENT_ORDER_ID_REUSED


def test_queued_work_is_told_before_the_accounts_state_and_that_before_the_markets(reducing: Venue) -> None:
    reducing.set_state(MarketState.HALTED)
    reducing.set_limits("bob", 0, 0)
    assert refusal(reducing.buy("bob", 1, at=10)) is RejectReason.ACCOUNT_CANCEL_ONLY
    reducing.cancel_all_after("alice", 1)
    reducing.pass_time(1)
    reducing.ticking = False
    assert refusal(reducing.buy("bob", 1, at=10)) is RejectReason.WORK_QUEUED


# ---- cancel only


@pytest.fixture
def bid(fair: Venue) -> int:
    """Bob's bid for 10 at 50, behind one lot of Ben's; his account takes on nothing new."""
    fair.buy("ben", 1, at=50)
    fair.buy("bob", 10, at=50)
    order_id = fair.last_order_id
    fair.buy("ben", 7, at=50)
    fair.restrict("bob", CANCEL_ONLY)
    return order_id


def test_orders_of_a_cancel_only_account_stay_and_trade(fair: Venue, bid: int) -> None:
    assert [order_id for order_id, _ in fair.queue(50)] == [bid - 1, bid, bid + 1]
    assert trades(fair.sell("alice", 5, at=50)) == [(50, 1), (50, 4)]
    assert fair.open(bid).remaining_lots == 6


def test_a_waiting_order_of_a_cancel_only_account_is_triggered_and_trades(fair: Venue) -> None:
    fair.sell("bob", 5, at=30, stop=40)
    order_id = fair.last_order_id
    fair.restrict("bob", CANCEL_ONLY)
    fair.buy("ben", 5, at=35)
    fair.trade_at(40)
    events = fair.run_due()
    assert isinstance(events[0], OrderTriggered)
    assert trades(events) == [(35, 5)]
    assert (order_id, "filled") in ends(events)


@pytest.mark.parametrize("size", [10, 9, 1])
def test_a_cancel_only_account_may_make_an_order_smaller_in_its_place(
    fair: Venue, bid: int, size: int
) -> None:
    (event,) = fair.amend("bob", bid, size, at=50)
    assert isinstance(event, OrderAmended)
    assert event.kept_priority
    assert fair.queue(50) == [(bid - 1, 1), (bid, size), (bid + 1, 7)]


@pytest.mark.parametrize(("size", "price"), [(11, 50), (10, 49), (10, 51), (1, 49)])
def test_a_cancel_only_account_amends_neither_price_nor_upwards(
    fair: Venue, bid: int, size: int, price: int
) -> None:
    assert refusal(fair.amend("bob", bid, size, at=price)) is RejectReason.ACCOUNT_CANCEL_ONLY


def test_a_cancel_only_account_may_make_a_waiting_order_smaller_and_nothing_else(fair: Venue) -> None:
    fair.sell("bob", 5, at=30, stop=40)
    order_id = fair.last_order_id
    fair.restrict("bob", CANCEL_ONLY)
    assert isinstance(fair.amend("bob", order_id, 4, at=30)[0], OrderAmended)
    for size, price in ((5, 30), (4, 31)):
        assert refusal(fair.amend("bob", order_id, size, at=price)) is RejectReason.ACCOUNT_CANCEL_ONLY


def test_what_is_wrong_with_an_amendment_is_told_before_the_accounts_state_and_the_markets_after(
    fair: Venue, bid: int
) -> None:
    fair.sell("alice", 4, at=50)
    assert refusal(fair.amend("bob", bid, 3, at=51)) is RejectReason.AMEND_BELOW_FILLED
    fair.set_state(MarketState.HALTED)
    assert refusal(fair.amend("bob", bid, 10, at=51)) is RejectReason.ACCOUNT_CANCEL_ONLY
    assert refusal(fair.amend("bob", bid, 9, at=50)) is RejectReason.MARKET_HALTED
    fair.cancel_all_after("alice", 1)
    fair.pass_time(1)
    fair.ticking = False
    assert refusal(fair.amend("bob", bid, 10, at=51)) is RejectReason.WORK_QUEUED


def test_a_cancel_only_account_cancels(fair: Venue, bid: int) -> None:
    assert ends(fair.cancel("bob", bid)) == [(bid, "cancelled")]


def test_a_cancel_only_account_cancels_all_at_once_or_by_its_switch(fair: Venue, bid: int) -> None:
    fair.cancel_all_after("bob", 1)
    fair.pass_time(1)
    assert ends(fair.run_due()) == [(bid, "cancel_all_after")]
    assert fair.cancel_all("bob") == [AllCancelled(fair.account_id("bob"), None, 0)]


def test_the_money_of_a_cancel_only_account_may_come_and_go(reducing: Venue) -> None:
    assert isinstance(reducing.transfer("bob", "COIN", 5, to=1)[-1], FundsTransferred)
    assert isinstance(reducing.transfer("bob", "COIN", 5, to=0, sub_account=1)[0], FundsTransferred)
    assert isinstance(reducing.withdraw("bob", "COIN", 5)[0], WithdrawalRequested)
    assert isinstance(reducing.deposit("bob", "COIN", 5)[0], DepositCredited)
    assert reducing.has("bob", "COIN") == (1_000_000, 0)


# ---- frozen: its orders


def test_freezing_ends_all_open_orders_the_oldest_first_wherever_they_stand(fair: Venue) -> None:
    fair.open_market("PEAR", "COIN")
    mine: list[int] = []
    orders: list[dict[str, Any]] = [
        {"at": 50},
        {"at": 60, "market": 2},
        {"at": 40, "stop": 70},
        {"at": 50, "till_ns": fair.time_ns + 99 * SECOND, "cid": "mine"},
        {"at": 45},
    ]
    for order in orders:
        fair.buy("bob", 2, **order)
        mine.append(fair.last_order_id)
        fair.buy("ben", 1, **{**order, "cid": None})
    fair.set_state(MarketState.HALTED, market=2)
    events = fair.freeze("bob")
    assert ends(events) == [(order_id, "account_frozen") for order_id in mine]
    assert events[-1] == AccountStateSet(fair.account_id("bob"), FROZEN)
    assert len(events) == 6
    assert fair.has("bob", "COIN") == (1_000_000, 0)
    assert len(fair.state.orders) == 5, "Ben's"
    assert fair.state.accounts[fair.account_id("bob")].client_orders["mine"].ended == "account_frozen"


def test_the_ends_of_a_freeze_say_what_was_released_and_whether_it_stood_in_the_book(fair: Venue) -> None:
    fair.sell("bob", 3, at=70)
    fair.sell("bob", 2, at=30, stop=40)
    resting, waiting, _ = fair.freeze("bob")
    assert isinstance(resting, OrderEnded)
    assert isinstance(waiting, OrderEnded)
    assert (resting.released_atoms, resting.remaining_lots, resting.was_resting) == (3, 3, True)
    assert (waiting.released_atoms, waiting.remaining_lots, waiting.was_resting) == (2, 2, False)
    assert resting.reason is waiting.reason is EndReason.ACCOUNT_FROZEN


def test_a_freeze_takes_back_a_trigger_that_is_met_already(fair: Venue) -> None:
    fair.ticking = False
    fair.sell("bob", 2, at=30, stop=40)
    fair.trade_at(40)
    assert fair.state.met_markets == [1]
    fair.freeze("bob")
    assert fair.state.met_markets == []
    (ticked,) = fair.tick()
    assert isinstance(fair.buy("ben", 1, at=10)[0], OrderAccepted), ticked


def test_other_accounts_orders_keep_their_place_when_one_is_frozen(fair: Venue) -> None:
    for name in ("ann", "bob", "ben"):
        fair.buy(name, 1, at=50)
    last = fair.last_order_id
    fair.freeze("bob")
    assert fair.queue(50) == [(last - 2, 1), (last, 1)]


@pytest.mark.parametrize("state", [ACTIVE, CANCEL_ONLY])
def test_only_freezing_ends_orders(fair: Venue, state: AccountState) -> None:
    fair.buy("bob", 1, at=50)
    assert fair.restrict("bob", state) == [AccountStateSet(fair.account_id("bob"), state)]
    assert len(fair.state.orders) == 1


def test_a_cancel_only_account_can_be_frozen(fair: Venue, bid: int) -> None:
    assert ends(fair.freeze("bob")) == [(bid, "account_frozen")]


def test_as_many_orders_as_an_account_may_have_end_in_one_command(fair: Venue) -> None:
    fair.checking = False
    for _ in range(MAX_OPEN_ORDERS):
        fair.buy("bob", 1, at=1)
    events = fair.freeze("bob")
    assert len(events) == MAX_OPEN_ORDERS + 1
    fair.check()


def test_nobody_trades_with_what_was_frozen(fair: Venue) -> None:
    fair.sell("bob", 5, at=50)
    fair.freeze("bob")
    fair.buy("ben", 5, at=50, tif=TimeInForce.IOC)
    assert fair.has("ben", "APPLE") == (10_000, 0)
    assert fair.has("bob", "APPLE") == (10_000, 0)


# ---- frozen: its requests


def test_a_frozen_account_has_nothing_to_amend_or_cancel(fair: Venue, bid: int) -> None:
    fair.freeze("bob")
    assert refusal(fair.amend("bob", bid, 1, at=50)) is RejectReason.UNKNOWN_ORDER
    assert refusal(fair.cancel("bob", bid)) is RejectReason.UNKNOWN_ORDER
    assert fair.cancel_all("bob") == [AllCancelled(fair.account_id("bob"), None, 0)]


def test_the_switch_of_a_frozen_account_may_be_set_and_finds_nothing(fair: Venue) -> None:
    account_id = fair.account_id("bob")
    fair.cancel_all_after("bob", 1)
    fair.freeze("bob")
    assert fair.state.accounts[account_id].cancel_all_ns == fair.time_ns + SECOND
    (event,) = fair.cancel_all_after("bob", 2)
    assert event == CancelAllAfterSet(account_id, fair.time_ns + 2 * SECOND)
    fair.pass_time(2)
    assert fair.run_due()[0] == CancelAllAfterFired(account_id, 0)


def test_nothing_is_transferred_from_a_frozen_account(frozen: Venue) -> None:
    assert refusal(frozen.transfer("bob", "COIN", 1, to=1)) is RejectReason.ACCOUNT_FROZEN
    assert (address("bob"), 1) not in frozen.state.account_by_owner
    frozen.do(OpenAccount(address("bob"), 1))
    assert refusal(frozen.transfer("bob", "COIN", 1, to=1)) is RejectReason.ACCOUNT_FROZEN


def test_nothing_is_transferred_to_a_frozen_account(fair: Venue) -> None:
    fair.transfer("bob", "COIN", 10, to=1)
    fair.transfer("bob", "COIN", 10, to=2, cid="other")
    fair.freeze("bob", 1)
    assert refusal(fair.transfer("bob", "COIN", 1, to=1, cid="a")) is RejectReason.ACCOUNT_FROZEN
    assert isinstance(fair.transfer("bob", "COIN", 1, to=2, cid="b")[0], FundsTransferred)
    assert fair.has("bob", "COIN", 1) == (10, 0)


@pytest.mark.parametrize("sub_account", [0, 2, 127])
def test_no_sub_account_is_opened_by_a_transfer_while_any_account_of_the_owner_is_frozen(
    fair: Venue, sub_account: int
) -> None:
    """Otherwise what is to be frozen, account by account, could run ahead for ever."""
    fair.transfer("bob", "COIN", 10, to=1)
    fair.do(OpenAccount(address("bob"), sub_account))
    fair.freeze("bob", sub_account)
    refused = fair.transfer("bob", "COIN", 1, to=77, sub_account=1, cid="a")
    assert refusal(refused) is RejectReason.ACCOUNT_FROZEN
    assert (address("bob"), 77) not in fair.state.account_by_owner
    assert isinstance(fair.transfer("ben", "COIN", 1, to=77)[-1], FundsTransferred), "another owner's may"
    fair.restrict("bob", ACTIVE, sub_account)
    assert isinstance(fair.transfer("bob", "COIN", 1, to=77, sub_account=1, cid="a")[-1], FundsTransferred)


def test_a_transfer_made_before_the_freeze_is_answered_for_and_what_is_wrong_with_one_is_told(
    fair: Venue,
) -> None:
    fair.transfer("bob", "COIN", 10, to=1)
    fair.freeze("bob")
    assert isinstance(fair.transfer("bob", "COIN", 10, to=1)[0], TransferKnown)
    assert refusal(fair.transfer("bob", "COIN", 11, to=1)) is RejectReason.CLIENT_TRANSFER_ID_REUSED
    assert refusal(fair.transfer("bob", "COIN", 0, to=1, cid="x")) is RejectReason.TRANSFER_INVALID
    assert refusal(fair.transfer("bob", "COIN", 10**9, to=1, cid="x")) is RejectReason.ACCOUNT_FROZEN


def test_nothing_is_withdrawn_from_a_frozen_account(frozen: Venue) -> None:
    assert refusal(frozen.withdraw("bob", "COIN", 1)) is RejectReason.ACCOUNT_FROZEN
    assert refusal(frozen.withdraw("bob", "COIN", 10**9, in_s=0)) is RejectReason.ACCOUNT_FROZEN
    assert frozen.has("bob", "COIN") == (1_000_000, 0)


def test_a_withdrawal_requested_before_the_freeze_is_known_and_ends_as_the_chain_decides(
    fair: Venue,
) -> None:
    for label in ("paid", "late"):
        fair.withdraw("bob", "COIN", 100, label)
    fair.freeze("bob")
    assert refusal(fair.withdraw("bob", "COIN", 100, "paid")) is RejectReason.WITHDRAWAL_REPLAYED
    assert isinstance(fair.settle("paid")[0], WithdrawalSettled)
    assert isinstance(fair.refund("late", fair.time_ns // SECOND + 601)[0], WithdrawalRefunded)
    assert fair.has("bob", "COIN") == (1_000_000 - 100, 0)


def test_a_deposit_is_credited_to_a_frozen_account(frozen: Venue) -> None:
    (event,) = frozen.deposit("bob", "COIN", 5)
    assert isinstance(event, DepositCredited)
    assert event.account_id == frozen.account_id("bob")
    assert frozen.has("bob", "COIN") == (1_000_005, 0)


def test_an_owners_order_that_meets_nothing_of_the_frozen_account_trades(fair: Venue) -> None:
    """Self-trade prevention has nothing to prevent any more."""
    fair.transfer("bob", "APPLE", 100, to=1)
    fair.buy("bob", 5, at=50)
    fair.buy("ben", 5, at=50)
    fair.freeze("bob")
    events = fair.sell("bob", 5, at=50, sub_account=1, stp=SelfTradePrevention.CANCEL_NEWEST)
    assert trades(events) == [(50, 5)]
