import asyncio

import pytest

from exchange.gateway.refusals import SessionRefused
from exchange.gateway.sessions import ENDED_CHANNEL, Sessions
from exchange.gateway.tokens import sha256

OWNER = "0x" + "70" * 20


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_763_841_600_000_000_000

    def __call__(self) -> int:
        return self.now_ns


class CountingPool:
    """A real pool that counts its statements, and holds answers back when told to."""

    def __init__(self, pool) -> None:
        self._pool = pool
        self.statements = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.answered = asyncio.Event()

    async def execute(self, *args):
        self.statements += 1
        return await self._pool.execute(*args)

    async def fetchrow(self, *args):
        self.statements += 1
        row = await self._pool.fetchrow(*args)
        self.answered.set()
        await self.gate.wait()
        return row


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def code_of(sessions: Sessions, token: str) -> str:
    with pytest.raises(SessionRefused) as caught:
        await sessions.find(token)
    return caught.value.code


async def test_a_token_finds_its_session_without_sql(pool, clock):
    counting = CountingPool(pool)
    sessions = Sessions(counting, clock_ns=clock)
    token, session = await sessions.open(OWNER, 1000)
    before = counting.statements
    for _ in range(50):
        assert await sessions.find(token) == session
    assert counting.statements == before


async def test_a_session_outlives_the_process_that_opened_it(pool, clock):
    token, session = await Sessions(pool, clock_ns=clock).open(OWNER, 1000)
    assert await Sessions(pool, clock_ns=clock).find(token) == session


async def test_a_session_ends_when_its_time_is_over(pool, clock):
    sessions = Sessions(pool, clock_ns=clock, lifetime_s=60)
    token, _ = await sessions.open(OWNER, 1000)
    clock.now_ns += 60 * 10**9
    assert await code_of(sessions, token) == "session_expired"
    assert await code_of(Sessions(pool, clock_ns=clock), token) == "session_expired"


async def test_a_revoked_session_is_over_at_once_and_after_a_restart(pool, clock):
    sessions = Sessions(pool, clock_ns=clock)
    token, _ = await sessions.open(OWNER, 1000)
    other, _ = await sessions.open(OWNER, 1000)
    await sessions.revoke(token)
    assert await code_of(sessions, token) == "session_invalid"
    assert await code_of(Sessions(pool, clock_ns=clock), token) == "session_invalid"
    assert (await sessions.find(other)).owner == OWNER


async def test_a_look_up_under_way_does_not_bring_a_revoked_session_back(pool, clock):
    token, _ = await Sessions(pool, clock_ns=clock).open(OWNER, 1000)
    counting = CountingPool(pool)
    sessions = Sessions(counting, clock_ns=clock)
    counting.gate.clear()
    look_up = asyncio.create_task(sessions.find(token))
    await asyncio.wait_for(counting.answered.wait(), 5)
    await sessions.revoke(token)
    counting.gate.set()
    with pytest.raises(SessionRefused):
        await look_up
    assert await code_of(sessions, token) == "session_invalid"


async def test_the_cache_is_bounded_and_falls_back_to_the_table(pool, clock):
    sessions = Sessions(pool, clock_ns=clock, max_cached=2)
    tokens = [(await sessions.open(OWNER, 1000 + index))[0] for index in range(5)]
    assert len(sessions._cache) == 2
    for index, token in enumerate(tokens):
        assert (await sessions.find(token)).account_id == 1000 + index
    assert len(sessions._cache) == 2


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "é" * 43, "x" * 44, "\0" * 43])
async def test_an_unknown_token_is_refused(pool, clock, token):
    assert await code_of(Sessions(pool, clock_ns=clock), token) == "session_invalid"


async def test_the_table_holds_no_token(pool, clock):
    token, _ = await Sessions(pool, clock_ns=clock).open(OWNER, 1000)
    assert token not in str(await pool.fetch("SELECT * FROM sessions"))


async def test_who_watches_is_told_of_each_session_that_is_ended_here_or_elsewhere(pool, clock):
    here, elsewhere = Sessions(pool, clock_ns=clock), Sessions(pool, clock_ns=clock)
    token, _ = await here.open(OWNER, 1000)
    kept, _ = await here.open(OWNER, 1000)
    ended: list[bytes] = []
    here.watch(ended.append, lambda: ())
    await elsewhere.revoke(token)
    assert ended == []
    assert (await here.find(token)).account_id == 1000  # it has not been heard yet
    await here.check()
    assert ended == [sha256(token)]
    assert await code_of(here, token) == "session_invalid"
    await here.revoke(kept)
    assert ended == [sha256(token), sha256(kept)]


async def test_a_session_in_use_is_asked_for_even_when_the_cache_has_forgotten_it(pool, clock):
    here, elsewhere = Sessions(pool, clock_ns=clock, max_cached=1), Sessions(pool, clock_ns=clock)
    token, _ = await here.open(OWNER, 1000)
    await here.open(OWNER, 1000)
    ended: list[bytes] = []
    here.watch(ended.append, lambda: [sha256(token)])
    await here.check()
    assert ended == []
    await elsewhere.revoke(token)
    await here.check()
    assert ended == [sha256(token)]


async def test_ending_a_session_twice_or_one_that_never_was_notifies_nobody(pool, clock):
    sessions = Sessions(pool, clock_ns=clock)
    token, _ = await sessions.open(OWNER, 1000)
    heard: list[object] = []

    def hear(*told: object) -> None:
        heard.append(told[-1])

    async with pool.acquire() as connection:
        await connection.add_listener(ENDED_CHANNEL, hear)
        await sessions.revoke(token)
        await sessions.revoke(token)
        await sessions.revoke("x" * 43)
        await connection.execute("SELECT 1")
        await connection.remove_listener(ENDED_CHANNEL, hear)
    assert heard == [sha256(token).hex()]
