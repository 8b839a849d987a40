from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import structlog
from structlog.testing import LogCapture
from tests.journal.scribe import Scribe
from tests.journal.stored_day import JOURNAL


@pytest.fixture
async def scribe(database_url: str) -> AsyncIterator[Scribe]:
    """The writer of a new journal."""
    writer = await Scribe.start(database_url)
    yield writer
    writer.log._connection.terminate()


@pytest.fixture
def warnings() -> Iterator[LogCapture]:
    """What is logged."""
    capture = LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(processors=before)


@pytest.fixture
async def stored(pool: asyncpg.Pool) -> asyncpg.Pool:
    """A database with `JOURNAL`, its snapshots at `SEQS`."""
    await JOURNAL.store(pool)
    return pool
