"""`exchange audit`: every balance worked out from the journal, and compared with all the other books.

The movements of all events are folded to balances. The engine's state, executed anew from the same commands,
must have the same balances and pass its own audit, per asset they must add up to nothing, and the read tables
must have what the fold had at their cursor. Nothing is written, and a running engine is not in the way.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import asyncpg

from exchange.core.accounts import (
    CHAIN_ACCOUNT,
    FEES_ACCOUNT,
    SUSPENSE_ACCOUNT,
    SYSTEM_ACCOUNTS,
    WITHDRAWALS_ACCOUNT,
)
from exchange.core.events import OrderAccepted, OrderEnded, Trade
from exchange.core.invariants import audit
from exchange.core.markets import Asset
from exchange.core.movements import movements
from exchange.core.state import State
from exchange.journal.chain import Chain
from exchange.journal.errors import HeadLost
from exchange.journal.recovery import go_on, read_genesis_and_head
from exchange.journal.rows import JournalRow
from exchange.projections.cursor import POSTGRES, read_cursor

TABLES_TIMEOUT_S = 600.0

Amounts = tuple[int, int]
"""(available atoms, held atoms)"""
Balances = dict[tuple[int, int], Amounts]
"""By (account id, asset id); nothing where both are 0."""
OpenOrder = tuple[int, int, int, int, int, int, bool]
"""(account id, market id, price_ticks, size_lots, remaining_lots, fee atoms, awaiting its trigger)"""

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two of the books do not agree. `atoms` is by how much, 0 where it is not about an amount."""

    what: str
    atoms: int = 0


@dataclass(frozen=True, slots=True)
class AssetTotals:
    """Who has how much of an asset, in atoms. `total` is the sum of the others, and 0."""

    asset: Asset
    accounts: int
    available: int
    held: int
    withdrawals: int
    fees: int
    suspense: int
    chain: int

    @property
    def total(self) -> int:
        return self.available + self.held + self.withdrawals + self.fees + self.suspense + self.chain


@dataclass(frozen=True, slots=True)
class Audited:
    """The journal up to `seq`, and the read tables as of `tables_seq`."""

    seq: int
    tables_seq: int
    accounts: int
    entries: int
    totals: list[AssetTotals]
    differences: list[Difference]

    @property
    def difference_atoms(self) -> int:
        return sum(difference.atoms for difference in self.differences)


@dataclass(slots=True)
class _Tables:
    """What the read tables say, all as of one moment."""

    seq: int
    balances: Balances
    entry_sums: Balances
    entries: int
    open_orders: dict[int, OpenOrder]
    orders: Counter[str]
    filled_quote_atoms: int
    fee_atoms: int


@dataclass(slots=True)
class _Fold:
    """What the events amount to."""

    sums: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    entries: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    """Orders by what became of them; under "open" those that are."""
    filled_quote_atoms: int = 0
    """Over all orders: each trade fills two."""
    fee_atoms: int = 0

    def take(self, row: JournalRow, state: State) -> None:
        for events in row.events:
            for event in events:
                for account_id, asset_id, available_atoms, held_atoms in movements(event, state.markets):
                    entry = self.sums[account_id, asset_id]
                    entry[0] += available_atoms
                    entry[1] += held_atoms
                    self.entries += 1
                match event:
                    case OrderAccepted():
                        self.orders["open"] += 1
                    case OrderEnded():
                        self.orders["open"] -= 1
                        self.orders[event.reason.value] += 1
                    case Trade():
                        self.filled_quote_atoms += 2 * event.quote_atoms
                        self.fee_atoms += event.maker_fee_atoms + event.taker_fee_atoms
                    case _:
                        pass

    @property
    def balances(self) -> Balances:
        return _without_zeros({key: (entry[0], entry[1]) for key, entry in self.sums.items()})


async def audit_books(connection: asyncpg.Connection, on_progress: OnProgress) -> Audited:
    """Folds, executes and compares everything; `connection` takes and gives NUMERIC as int.

    Raises a JournalError when the journal itself does not verify.
    """
    tables = await _read_tables(connection)
    genesis_id, head = await read_genesis_and_head(connection)
    if tables.seq > head.seq:
        raise HeadLost("the read tables", tables.seq, head.seq)
    chain, fold = Chain.from_genesis(genesis_id), _Fold()
    differences: list[Difference] = []
    compared = tables.seq == 0
    if compared:
        differences += _compare_tables(tables, fold, chain.state)

    def on_row(row: JournalRow) -> None:
        nonlocal compared
        fold.take(row, chain.state)
        if row.seq_last == tables.seq:
            compared = True
            differences.extend(_compare_tables(tables, fold, chain.state))
        on_progress(row.seq_last, head.seq)

    await go_on(connection, chain, head, on_row, may_grow=True)
    if not compared:
        differences.append(
            Difference(f"the read tables stand at seq {tables.seq}, inside a row of the journal")
        )
    differences += _compare_state(fold, chain.state)
    totals = _totals(fold.balances, chain.state)
    differences += [
        Difference(f"{each.asset.symbol}: all accounts together have {each.total} atoms", abs(each.total))
        for each in totals
        if each.total
    ]
    users = len(chain.state.accounts.keys() - SYSTEM_ACCOUNTS.keys())
    return Audited(chain.head.seq, tables.seq, users, fold.entries, totals, differences)


# ---- comparing


def _compare_state(fold: _Fold, state: State) -> Iterator[Difference]:
    engine = {
        (account.account_id, asset_id): (entry.available_atoms, entry.held_atoms)
        for account in state.accounts.values()
        for asset_id, entry in account.balances.items()
    }
    yield from _differing("the state", _without_zeros(engine), fold.balances, state)
    try:
        audit(state)
    except AssertionError as error:
        yield Difference(f"the state does not pass its audit: {error}")


def _compare_tables(tables: _Tables, fold: _Fold, state: State) -> Iterator[Difference]:
    expected = fold.balances
    yield from _differing("the table balances", tables.balances, expected, state)
    yield from _differing("the sums of ledger_entries", tables.entry_sums, expected, state)
    engine = {
        order.order_id: (
            order.account.account_id,
            order.market_id,
            order.price_ticks,
            order.size_lots,
            order.remaining_lots,
            order.fee_charged_atoms,
            order.awaiting_trigger,
        )
        for order in state.orders.values()
    }
    for order_id in sorted(engine.keys() | tables.open_orders.keys()):
        shown, found = tables.open_orders.get(order_id), engine.get(order_id)
        if shown != found:
            yield Difference(f"open order {order_id}: {shown} in the table orders, {found} by the journal")
    counts: tuple[tuple[str, object, object], ...] = (
        ("rows of ledger_entries", tables.entries, fold.entries),
        ("orders by status", dict(sorted(tables.orders.items())), dict(sorted((+fold.orders).items()))),
    )
    for what, in_table, by_journal in counts:
        if in_table != by_journal:
            yield Difference(f"{what}: {in_table} in the read tables, {by_journal} by the journal")
    for what, table_atoms, journal_atoms in (
        ("filled by all orders", tables.filled_quote_atoms, fold.filled_quote_atoms),
        ("fees of all orders", tables.fee_atoms, fold.fee_atoms),
    ):
        if table_atoms != journal_atoms:
            difference_atoms = abs(table_atoms - journal_atoms)
            yield Difference(
                f"{what}: {table_atoms} in the table orders, {journal_atoms} by the journal", difference_atoms
            )


def _differing(where: str, found: Balances, expected: Balances, state: State) -> Iterator[Difference]:
    for key in sorted(found.keys() | expected.keys()):
        is_there, should_be = found.get(key, (0, 0)), expected.get(key, (0, 0))
        if is_there == should_be:
            continue
        account_id, asset_id = key
        asset = state.assets.get(asset_id)
        yield Difference(
            f"account {account_id}, {asset_id if asset is None else asset.symbol}: (available, held) is "
            f"{is_there} in {where}, {should_be} by the ledger entries of the journal",
            abs(is_there[0] - should_be[0]) + abs(is_there[1] - should_be[1]),
        )


def _without_zeros(balances: Mapping[tuple[int, int], Amounts]) -> Balances:
    return {key: amounts for key, amounts in balances.items() if amounts != (0, 0)}


def _totals(balances: Balances, state: State) -> list[AssetTotals]:
    totals: list[AssetTotals] = []
    for asset_id, asset in sorted(state.assets.items()):
        of_users = [
            amounts
            for (account_id, held_id), amounts in balances.items()
            if held_id == asset_id and account_id not in SYSTEM_ACCOUNTS
        ]
        system = {account: sum(balances.get((account, asset_id), (0, 0))) for account in SYSTEM_ACCOUNTS}
        totals.append(
            AssetTotals(
                asset=asset,
                accounts=len(of_users),
                available=sum(available for available, _ in of_users),
                held=sum(held for _, held in of_users),
                withdrawals=system[WITHDRAWALS_ACCOUNT],
                fees=system[FEES_ACCOUNT],
                suspense=system[SUSPENSE_ACCOUNT],
                chain=system[CHAIN_ACCOUNT],
            )
        )
    return totals


# ---- the read tables


async def _read_tables(connection: asyncpg.Connection) -> _Tables:
    async with (
        asyncio.timeout(TABLES_TIMEOUT_S),
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        seq = await read_cursor(connection, POSTGRES)
        balances = await connection.fetch(
            "SELECT account_id, asset_id, available_atoms, held_atoms FROM balances"
        )
        sums = await connection.fetch(
            "SELECT account_id, asset_id, sum(available_delta_atoms), sum(held_delta_atoms), count(*)"
            " FROM ledger_entries GROUP BY account_id, asset_id"
        )
        open_orders = await connection.fetch(
            "SELECT order_id, account_id, market_id, price_ticks, size_lots, remaining_lots, fee_atoms,"
            " awaiting_trigger FROM orders WHERE status = 'open'"
        )
        orders = await connection.fetch(
            "SELECT status, count(*), sum(filled_quote_atoms), sum(fee_atoms) FROM orders GROUP BY status"
        )
    return _Tables(
        seq=seq,
        balances=_without_zeros({(a, b): (available, held) for a, b, available, held in balances}),
        entry_sums=_without_zeros({(a, b): (available, held) for a, b, available, held, _ in sums}),
        entries=sum(count for *_, count in sums),
        open_orders={order_id: tuple(rest) for order_id, *rest in open_orders},
        orders=Counter({status: count for status, count, _, _ in orders}),
        filled_quote_atoms=sum(filled for *_, filled, _ in orders),
        fee_atoms=sum(fee for *_, fee in orders),
    )
