"""`audit`: proves the whole state from scratch, trusting nothing that was kept up to date along the way."""

from collections import Counter, defaultdict

from exchange.core import ledger
from exchange.core.accounts import (
    CHAIN_ACCOUNT,
    FEES_ACCOUNT,
    MAX_OPEN_ORDERS,
    SUSPENSE_ACCOUNT,
    WITHDRAWALS_ACCOUNT,
)
from exchange.core.admission import may_rest
from exchange.core.agents import MAX_AGENT_LIFE_NS, MAX_AGENTS, MAX_LIVE_AGENTS, MAX_NONCES, highest_nonce
from exchange.core.book import NO_LOW_TICKS, BookSide
from exchange.core.matching import held_asset_id, required_hold_atoms
from exchange.core.orders import Order
from exchange.core.state import NEVER_NS, State
from exchange.core.units import BPS_PER_ONE, MAX_ATOMS, MAX_SIZE_LOTS, div_ceil
from exchange.core.words import AccountState, MarketState, RateClass, Side, TriggerKind


def audit(state: State) -> None:
    """Asserts every invariant of ledger, books, orders and agents. Takes time linear in the state."""
    _audit_conservation(state)
    _audit_holds(state)
    _audit_books(state)
    _audit_schedule(state)
    _audit_memory(state)
    _audit_withdrawals(state)
    _audit_agents(state)


def _audit_conservation(state: State) -> None:
    sums: dict[int, int] = defaultdict(int)
    for account in state.accounts.values():
        for asset_id, entry in account.balances.items():
            sums[asset_id] += entry.available_atoms + entry.held_atoms
            if ledger.is_system(account):
                assert entry.held_atoms == 0
            else:
                assert 0 <= entry.available_atoms <= MAX_ATOMS
                assert 0 <= entry.held_atoms <= MAX_ATOMS
    for asset_id, total in sums.items():
        assert total == 0, f"asset {asset_id}: {total} atoms out of nothing"
    for entry in state.accounts[CHAIN_ACCOUNT].balances.values():
        assert entry.available_atoms <= 0
    for account_id in (FEES_ACCOUNT, WITHDRAWALS_ACCOUNT, SUSPENSE_ACCOUNT):
        for entry in state.accounts[account_id].balances.values():
            assert entry.available_atoms >= 0


def _audit_holds(state: State) -> None:
    holds: dict[tuple[int, int], int] = defaultdict(int)
    for order_id, order in state.orders.items():
        market = state.markets[order.market_id]
        assert order.order_id == order_id
        assert order_id <= state.seq
        assert 0 < order.remaining_lots <= order.size_lots <= MAX_SIZE_LOTS
        assert order.quote_atoms == 0, "a buy by amount never stays open"
        assert order.held_atoms == required_hold_atoms(market, order)
        book = state.books[order.market_id]
        assert -order.maker_fee_bps <= book.highest_rebate_bps, "rebates"
        assert order.taker_fee_bps >= book.lowest_taker_bps, "rebates"
        assert order.fee_charged_atoms == div_ceil(order.fee_numerator, BPS_PER_ONE)
        holds[order.account.account_id, held_asset_id(market, order.side)] += order.held_atoms
        assert not order.ended
        assert order.account.orders[order_id] is order
        if order.client_order_id is not None:
            assert order.account.client_orders[order.client_order_id] is order
    for account in state.accounts.values():
        for asset_id, entry in account.balances.items():
            assert entry.held_atoms == holds.get((account.account_id, asset_id), 0)
        assert len(account.orders) <= MAX_OPEN_ORDERS
        assert not account.orders or account.state is not AccountState.FROZEN
        assert not ledger.is_system(account) or account.state is AccountState.ACTIVE
        assert list(account.orders) == sorted(account.orders)
        for client_order_id, known in account.client_orders.items():
            assert known.client_order_id == client_order_id
            assert known.account is account
            assert (state.orders.get(known.order_id) is None) == bool(known.ended)


def _audit_books(state: State) -> None:
    seen = 0
    assert state.books.keys() == state.markets.keys()
    for market_id, book in state.books.items():
        for side, orders in ((Side.BUY, book.bids), (Side.SELL, book.asks)):
            seen += _audit_side(state, market_id, side, orders)
        seen += _audit_waiting(state, market_id, book.rises) + _audit_waiting(state, market_id, book.falls)
        bid, ask = book.bids.best_ticks(), book.asks.best_ticks()
        assert bid is None or ask is None or bid < ask, "crossed book"
        assert book.highest_rebate_bps <= book.lowest_taker_bps, "rebates"
        is_open = state.markets[market_id].state is MarketState.OPEN
        is_met = book.trigger_is_met()
        assert (market_id in state.met_markets) == (is_open and is_met)
        if len(book.rises) + len(book.falls) and not is_met:
            assert book.high_ticks == book.last_ticks, "range"
            assert book.low_ticks == (book.last_ticks or NO_LOW_TICKS), "range"
    assert len(state.met_markets) == len(set(state.met_markets))
    assert seen == len(state.orders)
    assert seen == sum(len(account.orders) for account in state.accounts.values())


def _audit_side(state: State, market_id: int, side: Side, orders: BookSide) -> int:
    _audit_levels(orders)
    seen = 0
    for price_ticks, level in orders.levels_from_best():
        last_seq = 0
        for order in level:
            assert state.orders[order.order_id] is order
            assert order.market_id == market_id
            assert order.side is side
            assert order.price_ticks == price_ticks
            assert not order.awaiting_trigger
            assert may_rest(order.time_in_force)
            assert last_seq < order.queued_seq <= state.seq, "time priority"
            last_seq = order.queued_seq
            seen += 1
    return seen


def _audit_waiting(state: State, market_id: int, orders: BookSide) -> int:
    _audit_levels(orders)
    for trigger_ticks, level in orders.levels_from_best():
        for order in level:
            assert state.orders[order.order_id] is order
            assert order.market_id == market_id
            assert order.awaiting_trigger
            assert order.remaining_lots == order.size_lots
            assert order.trigger is not None
            assert order.trigger_ticks == trigger_ticks
            assert (orders.sign < 0) == ((order.trigger is TriggerKind.STOP) == (order.side is Side.BUY))
    return len(orders)


def _audit_levels(orders: BookSide) -> None:
    assert orders.keys == sorted(orders.levels)
    for key, level in orders.levels.items():
        assert level.key == key
        assert level.first is not None, "empty level"
        ahead: Order | None = None
        for order in level:
            assert order.level is level
            assert order.ahead is ahead, "broken queue"
            ahead = order
        assert level.last is ahead, "broken queue"


def _audit_schedule(state: State) -> None:
    expiring = [(-o.good_till_ns, -o.order_id) for o in state.orders.values() if o.good_till_ns]
    assert state.expiries == sorted(expiring)
    switches = [(-a.cancel_all_ns, -a.account_id) for a in state.accounts.values() if a.cancel_all_ns]
    assert state.switches == sorted(switches)
    times_ns = [-entry[0] for entry in (*state.expiries, *state.switches)]
    assert state.work_due_ns == (0 if state.met_markets else min(times_ns, default=NEVER_NS))


def _audit_memory(state: State) -> None:
    """What is remembered for replays is remembered exactly until it is forgotten."""
    ended = {order.order_id for order in state.ended_client_orders}
    made = {(account_id, client_id) for _, account_id, client_id in state.made_transfers}
    assert len(ended) == len(state.ended_client_orders)
    assert len(made) == len(state.made_transfers)
    for times_ns in (
        [order.forget_ns for order in state.ended_client_orders],
        [entry[0] for entry in state.made_transfers],
    ):
        assert times_ns == sorted(times_ns)
    remembered = 0
    for account in state.accounts.values():
        for known in account.client_orders.values():
            assert bool(known.ended) == (known.order_id in ended)
            if known.ended:
                assert known.held_atoms == 0
                assert known.level is None
                remembered += 1
        assert all((account.account_id, client_id) in made for client_id in account.client_transfers)
        assert account.fee_tier == state.fee_tiers.get(account.owner, 0)
    assert remembered == len(ended)
    assert sum(len(account.client_transfers) for account in state.accounts.values()) == len(made)


def _audit_withdrawals(state: State) -> None:
    in_flight: dict[int, int] = defaultdict(int)
    for requested in state.withdrawals.values():
        in_flight[requested.asset_id] += requested.amount_atoms
    own = Counter(requested.account_id for requested in state.withdrawals.values())
    for account in state.accounts.values():
        assert account.open_withdrawals == own[account.account_id]
    for asset_id, entry in state.accounts[WITHDRAWALS_ACCOUNT].balances.items():
        assert entry.available_atoms == in_flight[asset_id]
    assert state.withdrawals.keys().isdisjoint(state.final_withdrawals)
    assert {withdrawal_id for _, withdrawal_id in state.final_by_deadline} == state.final_withdrawals.keys()
    assert len(state.final_by_deadline) == len(state.final_withdrawals)


def _audit_agents(state: State) -> None:
    by_owner: dict[str, set[str]] = defaultdict(set)
    for key, agent in state.agents.items():
        by_owner[agent.owner].add(key)
        assert agent.key == key
        assert agent.approved_ns <= state.time_ns
        assert 0 < agent.expires_ns - agent.approved_ns <= MAX_AGENT_LIFE_NS
        assert agent.revoked_ns == 0 or agent.approved_ns <= agent.revoked_ns <= state.time_ns
        assert agent.scopes
        assert all(market_id in state.markets for market_id in agent.market_ids)
        assert agent.nonces == sorted(set(agent.nonces))
        assert len(agent.nonces) <= MAX_NONCES
        if agent.nonces:
            assert agent.revoked_ns == 0
            assert agent.nonces[-1] <= highest_nonce(state.time_ns)
    assert by_owner.keys() == state.agents_by_owner.keys()
    for owner, agents in state.agents_by_owner.items():
        assert (owner, 0) in state.account_by_owner
        assert {agent.key for agent in agents} == by_owner[owner]
        assert len(agents) == len(by_owner[owner])
        assert len(agents) <= MAX_AGENTS
        assert all(state.agents[agent.key] is agent for agent in agents)
        assert sum(agent.is_live(state.time_ns) for agent in agents) <= MAX_LIVE_AGENTS
    for owner, rate_class in state.rate_classes.items():
        assert (owner, 0) in state.account_by_owner
        assert rate_class is not RateClass.STANDARD
