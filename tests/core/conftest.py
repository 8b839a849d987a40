"""The exchange in memory that the core's scenarios play on."""

import pytest
from tests.core.venue import Venue


@pytest.fixture
def venue() -> Venue:
    """Market 1 is APPLE-COIN, one atom of each per lot and tick, without fees."""
    made = Venue()
    made.open_market()
    return made


@pytest.fixture
def fair(venue: Venue) -> Venue:
    """Alice, Ann, Bob and Ben have 10,000 apples and 1,000,000 coins each."""
    for name in ("alice", "ann", "bob", "ben"):
        venue.give(name, apple=10_000, coin=1_000_000)
    return venue
