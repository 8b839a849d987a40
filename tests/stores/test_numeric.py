"""The binary NUMERIC codec, against Postgres itself."""

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.stores.numeric import NotAnInteger, decode_numeric, encode_numeric

EDGES = [
    0,
    1,
    -1,
    9_999,
    10_000,
    10_001,
    10**8,
    10**16 - 1,
    10**16,
    2**64,
    10**32 - 1,
    10**32,
    2**128 - 1,
    10**38,
    10**39 - 1,
    10**39,
]


@given(st.integers(min_value=-(10**39), max_value=10**39))
def test_any_amount_survives_the_codec(value: int) -> None:
    assert decode_numeric(encode_numeric(value)) == value


async def test_postgres_reads_and_writes_the_same_numbers(pool: asyncpg.Pool) -> None:
    values = EDGES + [-value for value in EDGES]
    texts = await pool.fetchval(
        "SELECT array_agg(n::TEXT ORDER BY place) FROM unnest($1::NUMERIC[]) WITH ORDINALITY AS t(n, place)",
        values,
    )
    assert texts == [str(value) for value in values]
    back = await pool.fetchval(
        "SELECT array_agg(t::NUMERIC ORDER BY place) FROM unnest($1::TEXT[]) WITH ORDINALITY AS x(t, place)",
        texts,
    )
    assert back == values
    assert all(type(value) is int for value in back)


async def test_decimals_of_zero_are_whole(pool: asyncpg.Pool) -> None:
    assert await pool.fetchval("SELECT '120000.000'::NUMERIC") == 120_000


@pytest.mark.parametrize("text", ["0.5", "10000.0001", "-1.1", "NaN", "Infinity"])
async def test_a_fraction_is_refused_not_rounded(pool: asyncpg.Pool, text: str) -> None:
    with pytest.raises(NotAnInteger):
        await pool.fetchval("SELECT ($1::TEXT)::NUMERIC", text)


@pytest.mark.parametrize("value", [1.0, "1", True, None.__class__])
def test_only_ints_are_taken(value: object) -> None:
    with pytest.raises(TypeError):
        encode_numeric(value)  # type: ignore[arg-type]


async def test_copy_takes_ints_too(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("CREATE TEMPORARY TABLE amounts (atoms NUMERIC(39, 0))")
        await connection.copy_records_to_table("amounts", records=[(value,) for value in EDGES[:-1]])
        assert await connection.fetchval("SELECT sum(atoms) FROM amounts") == sum(EDGES[:-1])
