"""The core and the naive exchange answer the same random commands with the same events."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, Protocol

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.naive import SYSTEM, Naive, NaiveMarket
from tests.core.venue import SECOND, START_NS, Venue

from exchange.core.commands import (
    CancelAll,
    CancelOrder,
    PlaceOrder,
    RefundWithdrawal,
    RequestWithdrawal,
    SettleWithdrawal,
)
from exchange.core.events import Event, WithdrawalRequested
from exchange.core.orders import OrderType, Side, TimeInForce

OWNERS = ("alice", "bob", "carol")
HUGE = 2**127
RESTING = (TimeInForce.GTC, TimeInForce.POST_ONLY)


def stage() -> tuple[Venue, Naive]:
    """Three owners with small, middling and huge means, and three markets with different numbers and fees."""
    venue = Venue(checking=False)
    venue.list_asset("APPLE", 0)
    venue.list_asset("COIN", 0, withdrawal_fee_atoms=2)
    venue.list_asset("GOLD", 18)
    venue.open_market("APPLE", "COIN", maker_fee_bps=7, taker_fee_bps=33)
    venue.open_market("GOLD", "COIN", maker_fee_bps=50, taker_fee_bps=0, lot_atoms=10**18)
    venue.open_market("APPLE", "GOLD", maker_fee_bps=10_000, taker_fee_bps=1, tick=(1, 6), lot_atoms=2**61)
    for owner, means in zip(OWNERS, (400, 100_000, HUGE // 4), strict=True):
        venue.give(owner, apple=means, coin=means, gold=means)
    state = venue.state
    naive = Naive(
        markets={
            m.market_id: NaiveMarket(
                m.base_asset_id, m.quote_asset_id, m.lot_atoms, m.unit_atoms, m.maker_fee_bps, m.taker_fee_bps
            )
            for m in state.markets.values()
        },
        fee_of_withdrawal={asset.asset_id: asset.withdrawal_fee_atoms for asset in state.assets.values()},
        owners={a.account_id: a.owner for a in state.accounts.values() if a.account_id not in SYSTEM},
        total={
            (account.account_id, asset_id): entry.available_atoms
            for account in state.accounts.values()
            for asset_id, entry in account.balances.items()
        },
        seq=state.seq,
    )
    venue.checking = True
    return venue, naive


class Chooser(Protocol):
    """What both a seeded random generator and a Hypothesis draw can do: pick one of a list."""

    def __call__(self, options: Sequence[Any], /) -> Any: ...


def make_command(pick: Chooser, naive: Naive) -> tuple[int, Any]:
    """(seconds to wait, a command): mostly orders that meet, now and then anything at all."""
    wait_s = pick([0] * 40 + [1, 29, 61, 400])
    account = pick([1_000, 1_001, 1_002] * 12 + [7, 2])
    kind = pick(
        ["place"] * 30 + ["cancel"] * 4 + ["withdraw", "settle", "refund"] * 2 + ["cancel all", "again"]
    )
    label = f"0xw{pick(range(12))}"
    deadline_s = max(naive.now, START_NS) // SECOND + pick([600] * 5 + [0, 60, 86_400, 90_000])
    again = [order.command for order in naive.orders if order.command.client_order_id][-2:]
    match kind:
        case "again" if again:
            return wait_s, msgspec.structs.replace(pick(again), expires_ns=30 * SECOND)
        case "place" | "again":
            return wait_s, make_order(pick, account)
        case "cancel":
            real = [(order.command.account_id, order.id) for order in naive.resting]
            return wait_s, CancelOrder(*pick([*real, (account, naive.seq - 3), (account, 0)]))
        case "cancel all":
            return wait_s, CancelAll(account, pick([None, 1, 2, 3, 4]))
        case "withdraw":
            amount = pick([1, 2, 3, 50, 400, -1, 0, 10**6, HUGE, 2**128])
            asset, maximum = pick([1, 2, 3, 4]), pick([2, 2, 1])
            return wait_s, RequestWithdrawal(
                label, account, asset, amount, maximum, "0xd", 1, deadline_s, "0xs"
            )
        case "settle":
            return wait_s, SettleWithdrawal(label, "0xt", 9, pick(["paid", "claimable"]))
        case _:
            return wait_s, RefundWithdrawal(label, 9, deadline_s + pick([0, 1]))


def make_order(pick: Chooser, account: int) -> PlaceOrder:
    tif = pick([TimeInForce.GTC] * 6 + [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY])
    price = pick([*range(1, 9)] * 20 + [0, -1, 150, 2**40, 2**62, 2**63 - 1, 2**63])
    size = pick([*range(1, 13)] * 12 + [0, -1, 37, 3_000, 2**40, 2**60, 2**63 - 1, 2**63])
    return PlaceOrder(
        account,
        pick([1] * 18 + [2] * 9 + [3] * 9 + [9]),
        pick(list(Side)),
        OrderType.MARKET if pick(range(12 if tif in RESTING else 3)) == 0 else OrderType.LIMIT,
        tif,
        price,
        size,
        pick([None] * 8 + ["a", "b"]),
        pick([30] * 40 + [-1, 60, 61]) * SECOND,  # after the time of the command, see `compare`
    )


def without_route(event: Any) -> Any:
    """The naive exchange knows nothing of chains."""
    if isinstance(event, WithdrawalRequested):
        return msgspec.structs.replace(event, chain_id=0, vault="", token="")
    return event


def compare(venue: Venue, naive: Naive, wait_s: int, command: Any) -> list[Event]:
    venue.pass_time(wait_s)
    if isinstance(command, PlaceOrder):
        command = msgspec.structs.replace(command, expires_ns=venue.time_ns + command.expires_ns)
    expected = naive.apply(venue.time_ns, command)
    events = venue.do(command)
    assert [without_route(event) for event in events] == expected
    return events


def compare_balances(venue: Venue, naive: Naive) -> None:
    for account_id in naive.owners:
        for asset_id in naive.fee_of_withdrawal:
            entry = venue.view.balance(account_id, asset_id)
            assert entry.available_atoms == naive.available(account_id, asset_id)
            assert entry.held_atoms == naive.held(account_id, asset_id)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_the_core_agrees_with_the_naive_exchange(data: st.DataObject) -> None:
    venue, naive = stage()
    for _ in range(data.draw(st.integers(5, 25))):
        step = make_command(lambda options: data.draw(st.sampled_from(options)), naive)
        compare(venue, naive, *step)
    compare_balances(venue, naive)


@pytest.mark.parametrize("seed", range(6))
def test_the_core_agrees_with_the_naive_exchange_over_a_long_day(seed: int) -> None:
    random = Random(seed)
    venue, naive = stage()
    venue.checking = False
    seen: Counter[str] = Counter()
    for number in range(3_000):
        step = make_command(random.choice, naive)
        for event in compare(venue, naive, *step):
            seen[type(event).__name__] += 1
        if number % 25 == 0:
            venue.check()
    compare_balances(venue, naive)
    assert seen["Trade"] > 200
    assert min(seen[name] for name in ("OrderEnded", "OrderKnown", "WithdrawalSettled")) > 3
