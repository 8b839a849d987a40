"""`audit_books`: every balance from the ledger entries, against the state and the read tables."""

import asyncpg
import pytest
from tests.projections.conftest import JournaledExchange
from tests.projections.traffic import FIRST_ACCOUNT

from exchange.core.accounts import CHAIN_ACCOUNT, FEES_ACCOUNT
from exchange.journal.errors import HeadLost, JournalCorrupt
from exchange.projections.audit import Audited, audit_books
from exchange.projections.postgres import PostgresProjection


@pytest.fixture
async def exchange(journaled: JournaledExchange, pool: asyncpg.Pool) -> JournaledExchange:
    """A day of traffic, all of it in the read tables."""
    await journaled.random_batches(seed=4, batches=60)
    await catch_up(journaled, pool)
    return journaled


async def catch_up(exchange: JournaledExchange, pool: asyncpg.Pool) -> None:
    projection = PostgresProjection(pool, exchange.tail)
    await projection.load()
    while rows := await exchange.tail.read(projection.seq):
        await projection.apply(rows)


async def audited(pool: asyncpg.Pool) -> Audited:
    async with pool.acquire() as connection:
        return await audit_books(connection, lambda seq, head_seq: None)


async def test_books_that_agree_have_no_differences(exchange: JournaledExchange, pool: asyncpg.Pool) -> None:
    found = await audited(pool)
    assert found.differences == []
    assert found.difference_atoms == 0
    assert found.seq == found.tables_seq == exchange.state.seq
    assert found.accounts == sum(number >= FIRST_ACCOUNT for number in exchange.state.accounts)
    assert found.entries == await pool.fetchval("SELECT count(*) FROM ledger_entries") > 500


async def test_totals_are_those_of_the_state_and_add_up_to_nothing(
    exchange: JournaledExchange, pool: asyncpg.Pool
) -> None:
    found = await audited(pool)
    assert [each.asset for each in found.totals] == list(exchange.state.assets.values())
    for each in found.totals:
        balances = {
            number: account.balances[each.asset.asset_id]
            for number, account in exchange.state.accounts.items()
            if each.asset.asset_id in account.balances
        }
        users = [entry for number, entry in balances.items() if number >= FIRST_ACCOUNT]
        assert each.available == sum(entry.available_atoms for entry in users)
        assert each.held == sum(entry.held_atoms for entry in users) > 0
        assert each.chain == balances[CHAIN_ACCOUNT].available_atoms < 0
        assert each.total == 0
    usdc = found.totals[1]
    assert usdc.fees == exchange.state.accounts[FEES_ACCOUNT].balances[2].available_atoms > 0


async def test_read_tables_that_lag_are_compared_where_they_stand(
    exchange: JournaledExchange, pool: asyncpg.Pool
) -> None:
    stands = exchange.state.seq
    await exchange.random_batches(seed=5, batches=10)
    found = await audited(pool)
    assert (found.tables_seq, found.seq) == (stands, exchange.state.seq)
    assert found.differences == []


async def test_empty_read_tables_are_compared_too(journaled: JournaledExchange, pool: asyncpg.Pool) -> None:
    found = await audited(pool)
    assert (found.tables_seq, found.differences) == (0, [])
    await pool.execute(
        "INSERT INTO balances (account_id, asset_id, available_atoms, held_atoms, updated_seq)"
        " VALUES (1000, 1, 5, 0, 1)"
    )
    found = await audited(pool)
    assert (len(found.differences), found.difference_atoms) == (1, 5)


EDITS = {
    "a balance": ("UPDATE balances SET available_atoms = available_atoms + 7 WHERE {one}", 7),
    "a held balance": ("UPDATE balances SET held_atoms = held_atoms + 7 WHERE {one}", 7),
    "a missing balance": ("DELETE FROM balances WHERE {one}", None),
    "an invented balance": ("INSERT INTO balances VALUES (1234567, 1, 7, 0, 1)", 7),
    "a ledger entry": (
        "UPDATE ledger_entries SET available_delta_atoms = available_delta_atoms + 7 WHERE {entry}",
        7,
    ),
    "a missing ledger entry": ("DELETE FROM ledger_entries WHERE {entry}", None),
    "a missing open order": ("DELETE FROM orders WHERE {open}", None),
    "the rest of an open order": ("UPDATE orders SET remaining_lots = remaining_lots + 1 WHERE {open}", 0),
    "the price of an open order": ("UPDATE orders SET price_ticks = price_ticks + 1 WHERE {open}", 0),
    "the owner of an open order": ("UPDATE orders SET account_id = account_id + 1 WHERE {open}", 0),
    "the fee of an open order": ("UPDATE orders SET fee_atoms = fee_atoms + 7 WHERE {open}", 7),
    "how an order ended": ("UPDATE orders SET status = 'expired' WHERE {ended}", 0),
    "what an ended order filled": (
        "UPDATE orders SET filled_quote_atoms = filled_quote_atoms + 7 WHERE {ended}", 7,
    ),
    "what an ended order paid": ("UPDATE orders SET fee_atoms = fee_atoms + 7 WHERE {ended}", 7),
}  # fmt: skip
ENTRY = "account_id, seq, event_index, entry_index"
PARTLY_FILLED = "SELECT max(order_id) FROM orders WHERE status = 'open' AND remaining_lots < size_lots"
PLACES = {
    "one": "account_id = 1001 AND asset_id = 2",
    "entry": f"({ENTRY}) = (SELECT {ENTRY} FROM ledger_entries LIMIT 1)",
    "open": f"order_id = ({PARTLY_FILLED})",
    "ended": "order_id = (SELECT max(order_id) FROM orders WHERE status = 'cancelled')",
}


@pytest.mark.parametrize("what", EDITS)
async def test_an_edit_of_the_read_tables_is_found_in(
    exchange: JournaledExchange, pool: asyncpg.Pool, what: str
) -> None:
    statement, atoms = EDITS[what]
    status = await pool.execute(statement.format(**PLACES))
    assert status.endswith(" 1")
    found = await audited(pool)
    assert found.differences
    if atoms is not None:
        assert found.difference_atoms == atoms


async def test_a_cursor_inside_a_row_is_a_difference(exchange: JournaledExchange, pool: asyncpg.Pool) -> None:
    inside = await pool.fetchval("SELECT max(seq_first) FROM journal WHERE seq_first < seq_last")
    await pool.execute("UPDATE projection_cursors SET seq = $1 WHERE name = 'postgres'", inside)
    assert "inside a row" in (await audited(pool)).differences[0].what


async def test_read_tables_ahead_of_the_journal_mean_that_rows_are_lost(
    exchange: JournaledExchange, pool: asyncpg.Pool
) -> None:
    await pool.execute("UPDATE projection_cursors SET seq = seq + 1 WHERE name = 'postgres'")
    with pytest.raises(HeadLost, match="the read tables"):
        await audited(pool)


async def test_a_journal_that_does_not_verify_is_not_audited(
    exchange: JournaledExchange, pool: asyncpg.Pool
) -> None:
    await pool.execute("UPDATE journal SET time_ns = time_ns + 1 WHERE seq_first = 1")
    with pytest.raises(JournalCorrupt):
        await audited(pool)


async def test_a_state_that_went_wrong_is_found_by_the_fold(
    exchange: JournaledExchange, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A movement that the fold does not see, as if the core moved funds without an event that says so."""
    from exchange.core.movements import movements
    from exchange.projections import audit

    skipped: list[object] = []

    def forgetful(event: object, markets: object) -> list[object]:
        moved = movements(event, markets)  # type: ignore[arg-type]
        if len(moved) > 1 and not skipped:
            skipped.append(moved.pop())
        return list(moved)

    monkeypatch.setattr(audit, "movements", forgetful)
    found = await audited(pool)
    assert any("in the state" in difference.what for difference in found.differences)
    assert any("all accounts together" in difference.what for difference in found.differences)
    assert found.difference_atoms > 0


async def test_a_state_that_fails_its_own_audit_is_a_difference(
    exchange: JournaledExchange, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(state: object) -> None:
        raise AssertionError("crossed book")

    monkeypatch.setattr("exchange.projections.audit.audit", failing)
    (difference,) = (await audited(pool)).differences
    assert "crossed book" in difference.what
