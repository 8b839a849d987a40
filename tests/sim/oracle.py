"""What must be true, kept apart from the product: the journal as it was committed, and every acknowledgement.

The oracle reads each journal row in the moment of its commit, from the database itself. It folds the events
into balances, deposits and orders of its own, and answers what was acknowledged against what is durable.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.sim.connection import Record
from tests.sim.tables import Table

from exchange.core.accounts import CHAIN_ACCOUNT, Balance
from exchange.core.agents import MAX_NONCES, lowest_nonce
from exchange.core.apply import apply
from exchange.core.commands import Command, UseNonce
from exchange.core.events import (
    AgentApproved,
    AgentRevoked,
    DepositCredited,
    Event,
    FundsTransferred,
    NonceUsed,
    OrderAccepted,
    OrderEnded,
    Rejected,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
)
from exchange.core.image import state_hash
from exchange.core.invariants import audit
from exchange.core.markets import Market
from exchange.core.movements import movements
from exchange.core.state import State
from exchange.journal.rows import JournalRow, decode_row
from exchange.projections.reference import market_after
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Outcome

MAX_AHEAD_NS = 1_000_000_000


class Wrong(BaseException):
    """The product broke a promise: what the simulation is looking for. No task's root catches it."""


def require(condition: bool, promise: str, *details: object) -> None:
    """Raises Wrong unless the promise is kept."""
    if not condition:
        raise Wrong(f"{promise}: {' '.join(map(str, details))}")


@dataclass(frozen=True, slots=True)
class Done:
    """One committed command."""

    row: int
    time_ns: int
    command: Command
    events: list[Event]


class Oracle:
    """The committed truth, and the promises that are checked against it."""

    def __init__(self, journal: Table) -> None:
        self._journal = journal
        self._names = journal.names
        self.rows: list[JournalRow] = []
        self.done: dict[int, Done] = {}
        self.seq = 0
        self.answers: list[tuple[Command, Outcome]] = []
        self.balances: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.deposits: list[DepositCredited] = []
        self.withdrawals: dict[str, str] = {}
        self.accepted: dict[tuple[int, str], int] = {}
        """Order id by account and client order id."""
        self.transfers: set[tuple[int, str]] = set()
        self.agents: dict[str, AgentApproved] = {}
        self.revoked: set[str] = set()
        self.nonces: dict[str, set[int]] = defaultdict(set)
        """All that were ever used, by key."""
        self.open_orders: dict[int, int] = {}
        self._markets: dict[int, Market] = {}
        self._hashes: dict[int, bytes] = {}

    # ---- the journal

    def committed(self, now_ns: int) -> None:
        """A row was committed: takes it in. `now_ns` is the true time."""
        *_, newest = self._journal.rows.values()
        row = decode_row(Record(zip(self._names, newest, strict=True)))
        require(row.seq_first == self.seq + 1, "rows follow on each other", row.seq_first, self.seq)
        require(
            len(row.commands) == len(row.events) == row.seq_last - self.seq, "a row is whole", row.seq_first
        )
        before = self.rows[-1] if self.rows else None
        require(before is None or row.time_ns >= before.time_ns, "time never goes back", row.seq_first)
        require(before is None or row.epoch >= before.epoch, "epochs never go back", row.seq_first)
        # Whoever keeps a clock that was set has no business here; that frozen ones are late is in order.
        require(
            row.time_ns - now_ns <= MAX_AHEAD_NS, "no stamp is from the future", row.seq_first, row.time_ns
        )
        self.rows.append(row)
        for offset, (command, events) in enumerate(zip(row.commands, row.events, strict=True)):
            self.seq += 1
            assert self.seq == row.seq_first + offset
            self.done[self.seq] = Done(row.seq_first, row.time_ns, command, events)
            for event in events:
                self._take(event, row.time_ns)

    def _take(self, event: Event, time_ns: int) -> None:
        sums: dict[int, int] = defaultdict(int)
        market = market_after(event, self._markets)
        if market is not None:
            self._markets[market.market_id] = market
        for account_id, asset_id, available, held in movements(event, self._markets):
            entry = self.balances[account_id, asset_id]
            entry[0] += available
            entry[1] += held
            sums[asset_id] += available + held
            require(entry[1] >= 0, "nobody holds less than nothing", account_id, asset_id, event)
            require(
                entry[0] >= 0 or account_id == CHAIN_ACCOUNT,
                "nobody has less than nothing",
                account_id,
                event,
            )
        require(not any(sums.values()), "nothing comes from nothing", event)
        match event:
            case DepositCredited():
                require(event.number == len(self.deposits) + 1, "a deposit is credited once, in order", event)
                self.deposits.append(event)
            case WithdrawalRequested():
                require(event.withdrawal_id not in self.withdrawals, "a withdrawal is requested once", event)
                self.withdrawals[event.withdrawal_id] = "requested"
            case WithdrawalSettled() | WithdrawalRefunded():
                state = self.withdrawals.get(event.withdrawal_id)
                require(state == "requested", "a withdrawal ends once", event)
                settled = isinstance(event, WithdrawalSettled)
                self.withdrawals[event.withdrawal_id] = event.outcome if settled else "refunded"
            case OrderAccepted():
                self.open_orders[event.order_id] = event.account_id
                if event.client_order_id is not None:
                    name = event.account_id, event.client_order_id
                    require(name not in self.accepted, "an order is accepted once", event)
                    self.accepted[name] = event.order_id
            case FundsTransferred():
                transfer = event.from_account_id, event.client_transfer_id
                require(transfer not in self.transfers, "a transfer is made once", event)
                self.transfers.add(transfer)
            case AgentApproved():
                require(event.key not in self.agents, "a key is approved once", event)
                self.agents[event.key] = event
            case AgentRevoked():
                require(event.key in self.agents.keys() - self.revoked, "a key is revoked once", event)
                self.revoked.add(event.key)
            case NonceUsed():
                require(event.nonce not in self.nonces[event.key], "a nonce is used once", event)
                require(event.key in self.agents.keys() - self.revoked, "the key of a request is live", event)
                require(time_ns < self.agents[event.key].expires_ns, "and has not expired", event)
                self.nonces[event.key].add(event.nonce)
            case OrderEnded():
                require(event.order_id in self.open_orders, "an order ends once", event)
                del self.open_orders[event.order_id]
            case _:
                pass

    # ---- acknowledgements

    def answered(
        self, commands: Sequence[Command], outcomes: Sequence[Outcome], nonce: UseNonce | None = None
    ) -> None:
        """The engine has answered a caller: it must be in the journal, exactly so, a batch in one row."""
        require(len(commands) == len(outcomes), "every command has an answer", outcomes)
        if nonce is not None and not self._is_taken(nonce, outcomes):
            return
        for command, outcome in zip(commands, outcomes, strict=True):
            self.answers.append((command, outcome))
            self._check_answer(command, outcome)
        rows = {self.done[outcome.seq].row for outcome in outcomes}
        require(len(rows) == 1, "a batch is in one row", outcomes)
        seqs = [outcome.seq for outcome in outcomes]
        require(seqs == sorted(set(seqs)), "a batch is done in its order", seqs)

    def _is_taken(self, nonce: UseNonce, outcomes: Sequence[Outcome]) -> bool:
        """Whether a signed request was: then its nonce was used right before it. Else nothing was done."""
        first = outcomes[0]
        done = self.done.get(first.seq)
        if done is not None and done.command == nonce:
            require(
                isinstance(first.events[0], Rejected), "what is answered for a nonce is its refusal", nonce
            )
            require(all(outcome == first for outcome in outcomes), "and that is all that was done", outcomes)
            self.answers.append((nonce, first))
            self._check_answer(nonce, first)
            return False
        used = self.done.get(first.seq - 1)
        require(
            done is not None
            and used is not None
            and (used.row, used.command, used.events)
            == (done.row, nonce, [NonceUsed(nonce.key, nonce.nonce)]),
            "a nonce is used right before its commands",
            nonce,
            first,
        )
        return True

    def _check_answer(self, command: Command, outcome: Outcome) -> None:
        done = self.done.get(outcome.seq)
        require(done is not None, "what is acknowledged is durable", outcome.seq, command)
        assert done is not None
        require(done.command == command, "what is acknowledged is what was asked", outcome.seq, command)
        require(tuple(done.events) == outcome.events, "what is acknowledged is what happened", outcome.seq)
        require(done.time_ns == outcome.time_ns, "and when it happened", outcome.seq)

    # ---- states

    def check_state(self, state: State, what: str, *, thoroughly: bool) -> None:
        """An engine's, a standby's or a replayed state, as of some committed seq."""
        if state.seq == self.seq:
            mine = {key: entry for key, entry in self.balances.items() if entry != [0, 0]}
            theirs = {
                (account.account_id, asset_id): [entry.available_atoms, entry.held_atoms]
                for account in state.accounts.values()
                for asset_id, entry in account.balances.items()
                if entry.available_atoms or entry.held_atoms
            }
            require(mine == theirs, f"{what} has the balances of the journal", state.seq)
            require(set(state.orders) == self.open_orders.keys(), f"{what} has the open orders", state.seq)
            self._check_agents(state, what)
        if not thoroughly:
            return
        try:
            audit(state)
        except AssertionError as error:
            raise Wrong(f"{what} at {state.seq} fails its audit: {error}") from error
        self.check_hash(state.seq, state_hash(state), what)

    def _check_agents(self, state: State, what: str) -> None:
        """It has every key, and of each the highest nonces that are not too old to matter."""
        require(state.agents.keys() == self.agents.keys(), f"{what} has the agents", state.seq)
        lowest = lowest_nonce(state.time_ns)
        for key, agent in state.agents.items():
            require((agent.revoked_ns != 0) == (key in self.revoked), f"{what} knows what is revoked", key)
            kept = sorted(self.nonces[key])[-MAX_NONCES:] if key not in self.revoked else []
            require(
                [nonce for nonce in agent.nonces if nonce >= lowest] == [n for n in kept if n >= lowest],
                f"{what} has the nonces of the journal",
                state.seq,
                key,
            )

    def check_hash(self, seq: int, digest: bytes, what: str) -> None:
        """Everybody's state at this seq has the same hash."""
        known = self._hashes.setdefault(seq, digest)
        require(known == digest, f"{what} is the same state as everybody's", seq, digest.hex(), known.hex())

    def knows_hash(self, seq: int) -> bool:
        """Whether somebody's state was hashed at this seq, so that another's can be compared."""
        return seq in self._hashes

    def check_view(self, view: CommittedView, state: State) -> None:
        """The committed view of an engine shows the journal."""
        require(view.seq == state.seq, "the view stands where the engine stands", view.seq, state.seq)
        require(view.time_ns == state.time_ns, "the view has the engine's time", view.time_ns, state.time_ns)
        require(view.markets == state.markets, "the view knows the markets", view.seq)
        require(view.assets == state.assets, "the view knows the assets", view.seq)
        loaded = CommittedView.from_state(view.genesis_id, state)
        for market_id in state.markets:
            require(
                view.depth(market_id, 99) == loaded.depth(market_id, 99), "the view has the book", view.seq
            )
            require(view.last_ticks(market_id) == loaded.last_ticks(market_id), "the view has the last price")
        for key, agent in state.agents.items():
            require(view.agent(key) == loaded.agent(key) != None, "the view has the agents", key)  # noqa: E711
            require(
                view.agents_of(agent.owner) == loaded.agents_of(agent.owner),
                "and whose they are",
                agent.owner,
            )
        for owner, _ in state.account_by_owner:
            require(view.rate_class(owner) is loaded.rate_class(owner), "the view has rate classes", owner)
        for account_id in state.accounts:
            mine_is = view.account_limits(account_id), view.cancel_all_ns(account_id)
            theirs_is = loaded.account_limits(account_id), loaded.cancel_all_ns(account_id)
            require(mine_is == theirs_is, "the view has limits and switches", view.seq, account_id)
            shown_state, real_state = view.account_state(account_id), loaded.account_state(account_id)
            require(shown_state is real_state, "the view knows what accounts may do", view.seq, account_id)
        shown: dict[int, tuple[int, int]] = {}
        for account in state.accounts.values():
            for asset_id in state.assets:
                mine = account.balances.get(asset_id) or Balance()  # looking must not add an entry
                theirs = view.balance(account.account_id, asset_id)
                require(
                    (mine.available_atoms, mine.held_atoms) == (theirs.available_atoms, theirs.held_atoms),
                    "the view has the engine's balances",
                    view.seq,
                    account.account_id,
                    asset_id,
                )
            for order in view.open_orders(account.account_id):
                shown[order.order_id] = account.account_id, order.remaining_lots
        real = {
            order.order_id: (order.account.account_id, order.remaining_lots)
            for order in state.orders.values()
        }
        require(shown == real, "the view has the engine's orders", view.seq, shown, real)

    def check_durable(self) -> None:
        """The database's journal is still all that was ever committed, and holds every answer."""
        stored = [
            decode_row(Record(zip(self._names, row, strict=True))) for row in self._journal.rows.values()
        ]
        require(stored == self.rows, "nothing committed is lost or changed", len(stored), len(self.rows))
        for command, outcome in self.answers:
            self._check_answer(command, outcome)

    def check_replay(self) -> State:
        """The journal executed again from nothing gives the same events, and the same state as
        everybody's.
        """
        state = State()
        for row in self.rows:
            for offset, command in enumerate(row.commands):
                events = apply(state, row.seq_first + offset, row.time_ns, command)
                require(events == row.events[offset], "replay gives the same events", row.seq_first + offset)
        self.check_state(state, "a replay from genesis", thoroughly=True)
        return state
