"""`audit`: proves the whole state from scratch, trusting nothing that was kept up to date along the way."""

from collections import Counter, defaultdict

from exchange.core import ledger
from exchange.core.accounts import (
    CHAIN_ACCOUNT,
    FEES_ACCOUNT,
    SUSPENSE_ACCOUNT,
    WITHDRAWALS_ACCOUNT,
)
from exchange.core.book import BookSide
from exchange.core.matching import held_asset_id, required_hold_atoms
from exchange.core.state import State
from exchange.core.units import MAX_ATOMS


def audit(state: State) -> None:
    """Asserts every invariant of the ledger, the books and the orders. Takes time linear in the state."""
    _audit_conservation(state)
    _audit_holds(state)
    _audit_books(state)
    _audit_withdrawals(state)


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
    for account_id in (FEES_ACCOUNT, WITHDRAWALS_ACCOUNT, SUSPENSE_ACCOUNT):
        for entry in state.accounts[account_id].balances.values():
            assert entry.available_atoms >= 0
    for entry in state.accounts[CHAIN_ACCOUNT].balances.values():
        assert entry.available_atoms <= 0


def _audit_holds(state: State) -> None:
    holds: dict[tuple[int, int], int] = defaultdict(int)
    for order in state.orders.values():
        market = state.markets[order.market_id]
        assert order.held_atoms == required_hold_atoms(market, order)
        holds[order.account.account_id, held_asset_id(market, order.side)] += order.held_atoms
        assert order.account.open_orders[order.order_id] is order
    for account in state.accounts.values():
        for asset_id, entry in account.balances.items():
            assert entry.held_atoms == holds.get((account.account_id, asset_id), 0)
        for client_order_id, known in account.client_orders.items():
            is_open = account.open_orders.get(known.order_id)
            assert (is_open is None) == bool(known.ended)
            assert is_open is None or is_open.client_order_id == client_order_id


def _audit_books(state: State) -> None:
    seen = 0
    for book in state.books.values():
        seen += _audit_side(state, book.bids) + _audit_side(state, book.asks)
        bid, ask = book.bids.best(), book.asks.best()
        assert bid is None or ask is None or bid.price_ticks < ask.price_ticks, "crossed book"
    assert seen == len(state.orders)
    assert seen == sum(len(account.open_orders) for account in state.accounts.values())


def _audit_side(state: State, side: BookSide) -> int:
    seen = 0
    previous: int | None = None
    for level in side.levels():
        assert level.orders
        assert level.size_lots == sum(order.remaining_lots for order in level.orders.values())
        assert previous is None or side.reaches(level, previous) is False
        previous = level.price_ticks
        last_order_id = 0
        for order_id, order in level.orders.items():
            assert order_id > last_order_id, "time priority"
            last_order_id = order_id
            assert state.orders[order_id] is order
            assert order.side is side.side
            assert order.price_ticks == level.price_ticks
            assert 0 < order.remaining_lots <= order.size_lots
        seen += len(level.orders)
    return seen


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
    assert len(state.final_by_deadline) == len(state.final_withdrawals)
