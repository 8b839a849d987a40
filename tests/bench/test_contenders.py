"""The contenders of the benchmarks do the same work: otherwise their rates could not be compared."""

import pytest
from scripts.bench.contenders import Venue, decode_commands
from scripts.bench.peer import Peer
from scripts.bench.workload import BATCH, Workload

from exchange.core.apply import apply
from exchange.core.events import Rejected
from exchange.core.invariants import audit
from exchange.core.ledger import balance

ACCOUNTS = 20
LOADED = 300
MIXED = 1_000


@pytest.fixture
def workload() -> Workload:
    return Workload(11, ACCOUNTS)


def test_book_apply_and_peer_leave_the_book_that_the_workload_says(workload: Workload) -> None:
    book, whole, peer = Venue(ACCOUNTS), Venue(ACCOUNTS), Peer()
    for draw, count in ((workload.load, LOADED), (workload.mixed, MIXED)):
        first_index, operations = workload.drawn, draw(count)
        book.run_book(operations)
        whole.run_apply(whole.writer.batches(operations))
        peer.run(operations, first_index)
    assert book.depth() == whole.depth() == peer.depth() == workload.depth()


def test_the_peer_with_orders_made_beforehand_does_the_same(workload: Workload) -> None:
    peer = Peer()
    peer.run(workload.load(LOADED), 0)
    first_index, operations = workload.drawn, workload.mixed(MIXED)
    peer.run_made_beforehand(operations, first_index)
    assert peer.depth() == workload.depth()


def test_the_book_with_balances_keeps_the_same_ledger_as_the_whole_apply(workload: Workload) -> None:
    book, whole = Venue(ACCOUNTS), Venue(ACCOUNTS)
    for operations in (workload.load(LOADED), workload.mixed(MIXED)):
        book.run_book(operations)
        whole.run_apply(whole.writer.batches(operations))
    assert book.trades == whole.trades > 0
    audit(book.state)
    audit(whole.state)
    for account_id, account in whole.state.accounts.items():
        for asset_id, entry in account.balances.items():
            assert balance(book.state.accounts[account_id], asset_id) == entry


@pytest.mark.parametrize("client_order_ids", [True, False])
def test_no_command_of_the_workload_is_refused(workload: Workload, client_order_ids: bool) -> None:
    venue = Venue(ACCOUNTS, client_order_ids=client_order_ids)
    state = venue.state
    for operations in (workload.load(LOADED), workload.mixed(MIXED)):
        for time_ns, payload in venue.writer.batches(operations):
            for command in decode_commands(payload):
                events = apply(state, state.seq + 1, time_ns, command)
                assert not isinstance(events[0], Rejected), (command, events)
    has_id = {order.client_order_id is not None for order in state.orders.values()}
    assert has_id == {client_order_ids}


def test_every_command_is_timed(workload: Workload) -> None:
    venue = Venue(ACCOUNTS)
    batches = venue.writer.batches(workload.load(BATCH + 1))
    wall_ns, own_ns = venue.time_each(batches)
    assert len(wall_ns) == len(own_ns) == BATCH + 1
    assert min(wall_ns) > 0
    assert venue.depth() == workload.depth()
