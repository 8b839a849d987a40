"""The view built from a state is the view that the fold of all events gives: so a snapshot is enough."""

import copy
from typing import NamedTuple, Self

import pytest
from tests.core.random_commands import PEOPLE, RandomCommands
from tests.core.venue import CHAIN_ID, VAULT, address, key_of, withdrawal_id

from exchange.core.events import (
    AgentApproved,
    AgentRevoked,
    CancelAllAfterFired,
    Event,
    FundsTransferred,
    OrderAmended,
    OrderTriggered,
    RateClassSet,
    SelfTradePrevented,
    Trade,
)
from exchange.core.state import State
from exchange.core.words import SelfTradePrevention
from exchange.sequencer.committed import CommittedView

GENESIS = "0x" + "11" * 32


class Known(NamedTuple):
    """What a reader may ask for."""

    accounts: list[int]
    markets: list[int]
    assets: list[int]
    orders: range

    @classmethod
    def of(cls, state: State) -> Self:
        return cls(list(state.accounts), list(state.markets), list(state.assets), range(1, state.seq + 1))


def everything(view: CommittedView, known: Known) -> dict[str, object]:
    """All that can be read of the view."""
    accounts = known.accounts
    return {
        "place": (view.genesis_id, view.seq, view.time_ns, view.rules_version),
        "assets": (view.assets, view.asset_by_symbol),
        "markets": (view.markets, view.market_by_symbol),
        "depth": [view.depth(market_id, 10**6) for market_id in known.markets],
        "last": [view.last_ticks(market_id) for market_id in known.markets],
        "balances": [view.balances(account_id) for account_id in accounts],
        "each balance": [[view.balance(a, asset_id) for asset_id in known.assets] for a in accounts],
        "orders": [view.open_orders(account_id) for account_id in accounts],
        "orders by id": [view.open_order(order_id) for order_id in known.orders],
        "owners": [(view.owner(a), view.sub_account(a)) for a in accounts],
        "states": [view.account_state(a) for a in accounts],
        "limits": [(view.account_limits(a), view.cancel_all_ns(a)) for a in accounts],
        "people": [(view.sub_accounts(address(p)), view.fee_tier(address(p))) for p in PEOPLE],
        "agents": [view.agent(key_of(f"bot {number}")) for number in range(13)],
        "agents of": [view.agents_of(address(person)) for person in (*PEOPLE, "nobody")],
        "rate classes": [view.rate_class(address(person)) for person in PEOPLE],
        "deposits": view.last_deposit(CHAIN_ID, VAULT),
        "withdrawals": [view.open_withdrawal(withdrawal_id(f"w{number}")) for number in range(30)],
    }


def advance(view: CommittedView, day: RandomCommands) -> None:
    for time_ns, _, events in day.log[view.seq :]:
        view.advance(view.seq + 1, time_ns, [events])


@pytest.mark.parametrize("seed", range(6))
def test_a_view_from_a_state_equals_the_fold_of_all_events(seed: int) -> None:
    day, folded = RandomCommands(seed), CommittedView(GENESIS)
    day.open()
    happened: set[type[Event]] = set()
    for _ in range(6):
        day.steps(250)
        advance(folded, day)
        built, known = CommittedView.from_state(GENESIS, day.state), Known.of(day.state)
        assert everything(built, known) == everything(folded, known), f"seed {seed}, seq {folded.seq}"
    happened.update(type(event) for _, _, events in day.log for event in events)
    wanted = {Trade, OrderAmended, OrderTriggered, SelfTradePrevented, CancelAllAfterFired, FundsTransferred}
    wanted |= {AgentApproved, AgentRevoked, RateClassSet}
    assert wanted <= happened, "the day has everything in it"


@pytest.mark.parametrize("seed", range(3))
def test_a_view_from_a_state_goes_on_as_the_fold_does(seed: int) -> None:
    day, folded = RandomCommands(seed), CommittedView(GENESIS)
    day.open()
    day.steps(500)
    advance(folded, day)
    built = CommittedView.from_state(GENESIS, day.state)
    for _ in range(5):
        day.steps(100)
        advance(built, day)
        advance(folded, day)
        known = Known.of(day.state)
        assert everything(built, known) == everything(folded, known), f"seed {seed}, seq {folded.seq}"


def test_a_view_from_a_state_shares_nothing_with_it() -> None:
    """The engine changes its state before anything is committed: nobody may see that."""
    day = RandomCommands(7)
    day.open()
    day.steps(800)
    built = CommittedView.from_state(GENESIS, day.state)
    known = Known.of(day.state)
    before = copy.deepcopy(everything(built, known))
    day.steps(300)
    for market in day.state.markets.values():
        market.taker_fee_bps += 1
    for asset in day.state.assets.values():
        asset.withdrawal_fee_atoms += 1
    assert everything(built, known) == before


def test_a_market_without_a_trade_has_no_last_price_after_a_restart_either() -> None:
    day = RandomCommands(0)
    day.open()
    assert CommittedView.from_state(GENESIS, day.state).last_ticks(1) is None


def test_the_day_prevents_self_trades_in_every_way() -> None:
    """Else the comparison above would prove less than it says."""
    day = RandomCommands(0)
    day.open()
    day.steps(1_500)
    modes = {order.self_trade_prevention for order in day.state.orders.values()}
    assert modes == set(SelfTradePrevention)
