"""The process that makes snapshots collects no garbage: what it drops must fall apart by itself."""

import gc
import sys
from collections.abc import Iterator

import pytest
from tests.core.venue import Venue

from exchange.core.image import decode_state, encode_state
from exchange.journal.snapshot_process import let_go


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_state_that_was_let_go_leaves_nothing_in_memory(no_collection: None) -> None:
    venue = Venue(checking=False)
    venue.open_market()
    for name in ("alice", "bob"):
        venue.give(name, apple=10**6, coin=10**9)
    for number in range(400):
        venue.buy("alice", 5, 100 + number % 30, cid=f"order {number}")
        venue.sell("bob", 5, 200 + number % 30)
        venue.buy("bob", 5, 900, stop=600 + number % 30)
    venue.buy("bob", 1, 200, cid="filled at once")
    image = encode_state(venue.state)

    def left(*, untied: bool) -> tuple[int, int]:
        """Blocks of memory that a state takes, and those that are left of it when it is dropped."""
        before = sys.getallocatedblocks()
        state = decode_state(image)
        taken = sys.getallocatedblocks() - before
        if untied:
            let_go(state)
        del state
        return taken, sys.getallocatedblocks() - before

    left(untied=True)  # what is kept for the next time is made the first time
    taken, remaining = left(untied=True)
    assert taken > 1_200
    assert remaining < taken / 50
    taken, remaining = left(untied=False)
    assert remaining > taken / 2, "then let_go is needed no more"
