"""A state that is checked after every command, in ways that share no code with the engine's.

After each command the state is audited from scratch. The movements of all events are folded to balances, the
events of each order to what it holds and to the fees it owes, and both are compared with the engine's. The
committed view, a third way to the same numbers, is compared with all of them.
"""

from collections import defaultdict, deque
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from exchange.core import ledger
from exchange.core.apply import apply
from exchange.core.commands import Command, Tick
from exchange.core.events import (
    Event,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    Rejected,
    SelfTradePrevented,
    Trade,
)
from exchange.core.image import encode_state
from exchange.core.invariants import audit
from exchange.core.movements import movements
from exchange.core.schedule import work_is_due
from exchange.core.state import State
from exchange.core.words import RateClass, Side
from exchange.sequencer.committed import CommittedView

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND


@dataclass
class ToldOrder:
    """What the events alone say of one open order."""

    side: Side
    maker_fee_bps: int
    taker_fee_bps: int
    held_atoms: int
    owed_atoms: Fraction = Fraction(0)
    """The exact fee on its fills so far."""
    paid_atoms: int = 0

    def fill(self, trade: Trade, fee_atoms: int, rate_bps: int) -> None:
        self.owed_atoms += Fraction(trade.quote_atoms * rate_bps, 10_000)
        self.paid_atoms += fee_atoms
        assert self.paid_atoms == ceil(self.owed_atoms), "fees are exact and rounded once per order"
        if self.side is Side.BUY:
            self.held_atoms -= trade.quote_atoms + fee_atoms + trade.buyer_released_atoms
        else:
            self.held_atoms -= trade.base_atoms


class CheckedState:
    """A state, its events so far, and independent folds of these events.

    As the sequencer does, it runs Ticks before a command while work is due; not when `ticking` is False.
    """

    def __init__(self, *, checking: bool = True, ticking: bool = True) -> None:
        self.state = State()
        self.view = CommittedView(genesis_id="0x" + "00" * 32)
        self.time_ns = START_NS
        self.checking = checking
        self.ticking = ticking
        self.log: list[tuple[int, Command, list[Event]]] = []
        self.folded: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.told: dict[int, ToldOrder] = {}

    # ---- running commands

    def do(self, command: Command) -> list[Event]:
        """The command's events; those of the Ticks before it are in the log."""
        if self.ticking and not isinstance(command, Tick):
            self.run_due()
        return self._apply(command)

    def run_due(self) -> list[Event]:
        """Runs Ticks until no work is due, and answers with all their events."""
        events: list[Event] = []
        while work_is_due(self.state, self.time_ns):
            events += self._apply(Tick())
        return events

    def pass_time(self, seconds: float) -> None:
        self.time_ns += int(seconds * SECOND)

    def _apply(self, command: Command) -> list[Event]:
        before = self._content() if self.checking else None
        events = apply(self.state, self.state.seq + 1, self.time_ns, command)
        if self.checking and isinstance(events[0], Rejected):
            assert len(events) == 1
            assert self._content() == before, "a refusal changes nothing"
        self.log.append((self.time_ns, command, events))
        for event in events:
            self._fold_order(event)
            for account_id, asset_id, available, held in movements(event, self.state.markets):
                entry = self.folded[account_id, asset_id]
                entry[0] += available
                entry[1] += held
        self.view.advance(self.state.seq, self.time_ns, [events])
        if self.checking:
            self.check()
        return events

    def _content(self) -> bytes:
        """The state's image without its stamp and without what is remembered for a time: that may end."""
        state = self.state
        kept = (
            state.seq,
            state.time_ns,
            state.ended_client_orders,
            state.made_transfers,
            state.final_by_deadline,
        )
        memories = [(account.client_orders, account.client_transfers) for account in state.accounts.values()]
        state.seq = state.time_ns = 0
        state.ended_client_orders, state.made_transfers, state.final_by_deadline = deque(), deque(), []
        for account in state.accounts.values():
            account.client_orders = {k: v for k, v in account.client_orders.items() if not v.ended}
            account.client_transfers = {}
        image = encode_state(state)
        (
            state.seq,
            state.time_ns,
            state.ended_client_orders,
            state.made_transfers,
            state.final_by_deadline,
        ) = kept
        for account, memory in zip(state.accounts.values(), memories, strict=True):
            account.client_orders, account.client_transfers = memory
        return image

    def _fold_order(self, event: Event) -> None:
        match event:
            case OrderAccepted():
                self.told[event.order_id] = ToldOrder(
                    event.side, event.maker_fee_bps, event.taker_fee_bps, event.hold_atoms
                )
            case OrderAmended():
                self.told[event.order_id].held_atoms += event.hold_change_atoms
            case Trade():
                maker, taker = self.told[event.maker_order_id], self.told[event.taker_order_id]
                maker.fill(event, event.maker_fee_atoms, maker.maker_fee_bps)
                taker.fill(event, event.taker_fee_atoms, taker.taker_fee_bps)
            case SelfTradePrevented():
                self.told[event.maker_order_id].held_atoms -= event.maker_released_atoms
                self.told[event.taker_order_id].held_atoms -= event.taker_released_atoms
            case OrderEnded():
                ended = self.told.pop(event.order_id)
                assert ended.held_atoms == event.released_atoms, "an order that ends holds nothing"
            case _:
                pass

    # ---- checking

    def check(self) -> None:
        audit(self.state)
        self._check_balances()
        held = {order.order_id: order.held_atoms for order in self.state.orders.values()}
        assert held == {order_id: told.held_atoms for order_id, told in self.told.items()}
        self._check_view()

    def _check_balances(self) -> None:
        engine = {
            (account.account_id, asset_id): [entry.available_atoms, entry.held_atoms]
            for account in self.state.accounts.values()
            for asset_id, entry in account.balances.items()
            if entry.available_atoms or entry.held_atoms
        }
        assert engine == {key: value for key, value in self.folded.items() if value != [0, 0]}
        for account in self.state.accounts.values():
            for asset_id in self.state.assets:
                mine, theirs = (
                    ledger.balance(account, asset_id),
                    self.view.balance(account.account_id, asset_id),
                )
                assert (mine.available_atoms, mine.held_atoms) == (theirs.available_atoms, theirs.held_atoms)

    def _check_view(self) -> None:
        view, state = self.view, self.state
        assert (view.seq, view.time_ns, view.rules_version) == (state.seq, state.time_ns, state.rules_version)
        assert view.assets == state.assets
        assert view.markets == state.markets
        assert view.asset_by_symbol == {a.symbol: a for a in state.assets.values() if a.listed}
        assert view.market_by_symbol == state.market_by_symbol
        for (owner, sub_account), account in state.account_by_owner.items():
            account_id = account.account_id
            assert view.account_id(owner, sub_account) == account_id
            assert (view.owner(account_id), view.sub_account(account_id)) == (owner, sub_account)
            assert view.account_limits(account_id) == (account.max_open_orders, account.max_orders_per_market)
            assert view.account_state(account_id) is account.state
            assert view.cancel_all_ns(account_id) == account.cancel_all_ns
            assert view.fee_tier(owner) == account.fee_tier
        self._check_orders()
        self._check_agents()
        for market_id in state.markets:
            assert view.depth(market_id, 1_000_000) == self.depth(market_id)
            assert view.last_ticks(market_id) == (state.books[market_id].last_ticks or None)
        for (chain_id, vault), number in state.last_deposit.items():
            assert view.last_deposit(chain_id, vault) == number
        for label, requested in state.withdrawals.items():
            assert view.open_withdrawal(label) == requested
        for label in state.final_withdrawals:
            assert view.open_withdrawal(label) is None

    def _check_agents(self) -> None:
        """The view has the same agents, and of each all but its nonces."""
        for key, agent in self.state.agents.items():
            seen = self.view.agent(key)
            assert seen is not None
            for name in seen.__struct_fields__:
                assert getattr(seen, name) == getattr(agent, name), name
            assert seen in self.view.agents_of(agent.owner)
        for owner, agents in self.state.agents_by_owner.items():
            times_ns = [seen.approved_ns for seen in self.view.agents_of(owner)]
            assert times_ns == sorted((agent.approved_ns for agent in agents), reverse=True)
        for owner, _ in self.state.account_by_owner:
            assert self.view.rate_class(owner) is self.state.rate_classes.get(owner, RateClass.STANDARD)

    def _check_orders(self) -> None:
        """The view has the same open orders, and of each all that it shows of it."""
        for account in self.state.accounts.values():
            mine = list(account.orders)
            assert [seen.order_id for seen in self.view.open_orders(account.account_id)] == mine
        for order in self.state.orders.values():
            seen = self.view.open_order(order.order_id)
            assert seen is not None
            assert seen.account_id == order.account.account_id
            for name in seen.__struct_fields__:
                if name != "account_id":
                    assert getattr(seen, name) == getattr(order, name), name

    def depth(self, market_id: int = 1) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks of the engine's own book, the best first, as (price, size)."""
        book = self.state.books[market_id]
        bids, asks = (
            [
                (price, sum(order.remaining_lots for order in level))
                for price, level in side.levels_from_best()
            ]
            for side in (book.bids, book.asks)
        )
        return bids, asks
