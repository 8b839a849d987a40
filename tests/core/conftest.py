"""The exchange in memory that the core's scenarios play on."""

import pytest
from tests.core.venue import Venue


@pytest.fixture
def venue() -> Venue:
    """Market 1 is APPLE-COIN, one atom of each per lot and tick, without fees."""
    made = Venue()
    made.open_market()
    return made
