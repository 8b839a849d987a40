"""`exchange withdrawals`: the queue of withdrawals that wait for a person, on the command line."""

import time

import asyncpg
from tests.operating.test_commands import run

OWNER = "0x" + "0a" * 20
DESTINATION = "0x" + "d0" * 20
FIRST, SECOND = "0x" + "a1" * 32, "0x" + "b2" * 32


async def hold(pool: asyncpg.Pool, withdrawal_id: str, deadline_s: int, amount_atoms: int) -> None:
    await pool.execute(
        "INSERT INTO assets (asset_id, symbol, decimals, chain_id, vault, token, withdrawal_fee_atoms,"
        " min_withdrawal_atoms, listed) VALUES (1, 'USDC', 6, 31337, $1, $1, 0, 1, TRUE)"
        " ON CONFLICT DO NOTHING",
        OWNER,
    )
    await pool.execute(
        "INSERT INTO payments (withdrawal_id, chain_id, vault, requested_seq, account_id, asset_id, owner,"
        " token, amount_atoms, fee_atoms, destination, deadline_s, state, updated_ms, note)"
        " VALUES ($1, 31337, $2, 7, 1000, 1, $2, $2, $3, 0, $4, $5, 'review', 1, $6)",
        withdrawal_id,
        OWNER,
        amount_atoms,
        DESTINATION,
        deadline_s,
        "amount is [reviewed] by hand",
    )


async def state_of(pool: asyncpg.Pool, withdrawal_id: str) -> tuple[str, str | None, str]:
    row = await pool.fetchrow(
        "SELECT state, reviewed_by, note FROM payments WHERE withdrawal_id = $1", withdrawal_id
    )
    return (row["state"], row["reviewed_by"], row["note"])


async def test_what_waits_is_listed_nearest_deadline_first(database_url: str, pool: asyncpg.Pool) -> None:
    assert await run("withdrawals", url=database_url) == (0, ["withdrawals: in_review=0"], "")
    await hold(pool, FIRST, 2_000_000_000, 1_500_000)
    await hold(pool, SECOND, 1_900_000_000, 2)
    code, lines, _ = await run("withdrawals", url=database_url)
    assert code == 0
    assert lines == [
        f"withdrawal: id={SECOND}",
        f"  0.000002 USDC to {DESTINATION}",
        f"  of {OWNER}, until 2030-03-17T17:46:40+00:00: amount is [reviewed] by hand",
        f"withdrawal: id={FIRST}",
        f"  1.5 USDC to {DESTINATION}",
        f"  of {OWNER}, until 2033-05-18T03:33:20+00:00: amount is [reviewed] by hand",
        "withdrawals: in_review=2",
    ]


async def test_an_approval_moves_it_on_and_keeps_the_name(database_url: str, pool: asyncpg.Pool) -> None:
    await hold(pool, FIRST, 2_000_000_000, 5)
    before_ms = time.time_ns() // 1_000_000
    code, lines, _ = await run("withdrawals", "--approve", FIRST, "--by", "carol", url=database_url)
    assert (code, lines) == (0, ["withdrawals: in_review=0"])
    assert await state_of(pool, FIRST) == ("approved", "carol", "")
    assert await pool.fetchval("SELECT approved_ms FROM payments") >= before_ms


async def test_a_rejection_needs_a_note_and_the_owner_is_shown_it(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await hold(pool, FIRST, 2_000_000_000, 5)
    code, _, errors = await run("withdrawals", "--reject", FIRST, "--by", "carol", url=database_url)
    assert code == 1
    assert errors == 'error: say why: --note "..." is kept with what you do'
    code, lines, _ = await run(
        "withdrawals", "--reject", FIRST, "--note", "asked by phone: not hers", "--by", "carol",
        url=database_url,
    )  # fmt: skip
    assert (code, lines) == (0, ["withdrawals: in_review=0"])
    assert await state_of(pool, FIRST) == ("rejected", "carol", "asked by phone: not hers")


async def test_what_can_not_be_decided_is_said_in_one_line(database_url: str, pool: asyncpg.Pool) -> None:
    await hold(pool, FIRST, 2_000_000_000, 5)
    code, _, errors = await run("withdrawals", "--approve", SECOND, url=database_url)
    assert (code, errors) == (1, f"error: withdrawal {SECOND} is not in review")
    code, _, errors = await run(
        "withdrawals", "--approve", FIRST, "--reject", FIRST, "--note", "x", url=database_url
    )
    assert (code, errors) == (1, "error: --approve and --reject do not go together")
    assert (await state_of(pool, FIRST))[0] == "review"
