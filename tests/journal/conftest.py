from collections.abc import AsyncIterator

import pytest
from tests.journal.scribe import Scribe


@pytest.fixture
async def scribe(database_url: str) -> AsyncIterator[Scribe]:
    """The writer of a new journal."""
    writer = await Scribe.start(database_url)
    yield writer
    writer.log._connection.terminate()
