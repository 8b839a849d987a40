"""The core and the naive exchange answer the same random commands with the same events."""

from collections import Counter
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.naive import Naive
from tests.core.naive_commands import HUGE, OWNERS, make_command, timed
from tests.core.venue import SECOND, Venue, address

from exchange.core import ledger
from exchange.core.commands import OpenMarket, SetFees, SetFeeTier, TransferFunds
from exchange.core.events import Event, OrderEnded, Rejected
from exchange.core.rejects import RejectReason
from exchange.core.schedule import work_is_due
from exchange.core.words import EndReason


def stage(rules: int = 2) -> tuple[Venue, Naive]:
    """Four owners with small, middling and huge means, two with a second account, and four markets. Dan has
    as many agents as there may be, but for one.

    The second market has lots of 10^18 atoms, the third notionals near 2^128, the fourth bands and rebates.
    Neither exchange puts Ticks before the commands of its own.
    """
    venue = Venue(checking=False, ticking=False, rules=rules)
    venue.list_asset("APPLE", 0)
    venue.list_asset("COIN", 0, withdrawal_fee_atoms=2)
    venue.list_asset("GOLD", 18)
    venue.open_market("APPLE", "COIN", maker_fee_bps=7, taker_fee_bps=33)
    venue.open_market("GOLD", "COIN", maker_fee_bps=50, taker_fee_bps=0, lot_atoms=10**18)
    venue.open_market("APPLE", "GOLD", maker_fee_bps=10_000, taker_fee_bps=1, tick=(1, 6), lot_atoms=2**61)
    rates = (-4, 20) if rules > 1 else (0, 20)
    venue.do(OpenMarket("BAND", "APPLE", "COIN", 1, 0, 1, *rates, price_band_bps=800, market_band_bps=300))
    venue.do(SetFees(4, ((-4, 20), (-8, 12), (-10, 10))))
    for owner, means in zip(OWNERS, (400, 100_000, HUGE // 4, HUGE // 8), strict=True):
        venue.give(owner, apple=means, coin=means, gold=min(means * 10**18, HUGE // 4))
    for owner in ("bob", "carol"):
        account = venue.account_id(owner)
        for asset, entry in list(venue.state.accounts[account].balances.items()):
            half, in_30_s = entry.available_atoms // 2, venue.time_ns + 30 * SECOND
            venue.do(TransferFunds(account, 1, asset, half, f"stage {asset}", in_30_s))
    venue.do(SetFeeTier(address("bob"), 1))
    for number in range(49):
        venue.approve("dan", f"dan's {number}", days=360)
    naive = Naive()
    for time_ns, command, events in venue.log:
        assert naive.apply(time_ns, command) == events
    return venue, naive


def compare(venue: Venue, naive: Naive, wait_s: int, command: Any) -> list[Event]:
    venue.pass_time(wait_s)
    command = timed(command, venue.time_ns)
    expected = naive.apply(venue.time_ns, command)
    events = venue.do(command)
    assert events == expected, command
    return events


def compare_balances(venue: Venue, naive: Naive) -> None:
    """Of all accounts, the system's too, in all assets; and what a Tick would find to do."""
    for account in venue.state.accounts.values():
        for asset_id in venue.state.assets:
            entry = ledger.balance(account, asset_id)
            assert entry.available_atoms == naive.available(account.account_id, asset_id)
            assert entry.held_atoms == naive.held(account.account_id, asset_id)
    assert work_is_due(venue.state, venue.time_ns) == naive.work_is_due()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_the_core_agrees_with_the_naive_exchange(data: st.DataObject) -> None:
    venue, naive = stage()
    for _ in range(data.draw(st.integers(5, 25))):
        step = make_command(lambda options: data.draw(st.sampled_from(options)), naive)
        compare(venue, naive, *step)
    compare_balances(venue, naive)


def run_a_day(seed: int, commands: int, rules: int) -> Counter[str]:
    """Compares a random day; answers with how often each event and each reason of a refusal or end came."""
    random = Random(seed)
    venue, naive = stage(rules)
    for number in range(commands):
        compare(venue, naive, *make_command(random.choice, naive))
        if number % 25 == 0:
            venue.check()
            compare_balances(venue, naive)
    compare_balances(venue, naive)
    seen: Counter[str] = Counter()
    for _, _, events in venue.log:
        for event in events:
            seen[type(event).__name__] += 1
            if isinstance(event, Rejected | OrderEnded):
                seen[event.reason.name] += 1
                seen[f"{type(event).__name__} {event.reason.name}"] += 1
    return seen


EVERYTHING = {event.__name__ for event in get_args(Event)} | set(RejectReason.__members__)
EVERYTHING |= set(EndReason.__members__)
EVERYTHING -= {"WORK_LIMIT", "NONCE_TOO_OLD"}
"""What a long day must have seen. These two take more orders, or more in a minute, than a day has: see
test_naive_limits.
"""


@pytest.mark.parametrize("seed", range(4))
def test_the_core_agrees_with_the_naive_exchange_over_a_long_day_of_everything(seed: int) -> None:
    seen = run_a_day(seed, commands=7_000, rules=2)
    assert EVERYTHING - seen.keys() == set()
    assert seen["OrderEnded POST_ONLY_WOULD_CROSS"] > 0, "the one name that both an end and a refusal have"
    assert seen["Rejected POST_ONLY_WOULD_CROSS"] > 0
    assert seen["Trade"] > 300
    assert seen["OrderTriggered"] > 50


def test_the_core_agrees_with_the_naive_exchange_under_the_first_rules() -> None:
    seen = run_a_day(seed=4, commands=4_000, rules=1)
    assert "RulesSet" not in seen
    assert "NO_REFERENCE_PRICE" not in seen, "a market order must say its worst price"
    assert seen["Trade"] > 100
