import asyncio
import gc

from tests.core.venue import CHAIN_ID, VAULT, Venue, address

from exchange.core.events import AccountOpened, Event
from exchange.sequencer.committed import CommittedView


def view() -> CommittedView:
    return CommittedView("0x" + "11" * 32)


def opened(number: int) -> list[Event]:
    return [AccountOpened(number, f"0x{number}", 0)]


async def test_waiting_for_a_seq_that_is_there_does_not_wait() -> None:
    committed = view()
    assert await committed.reached(0, timeout_s=0)
    committed.advance(1, 1, [opened(1)])
    assert await committed.reached(1, timeout_s=0)


async def test_waiting_ends_when_the_seq_is_reached_and_not_before() -> None:
    committed = view()
    waiting = [asyncio.create_task(committed.reached(seq, 10)) for seq in (3, 1, 2, 2)]
    await asyncio.sleep(0)
    committed.advance(2, 1, [opened(1), opened(2)])
    for _ in range(3):
        await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [False, True, True, True]
    committed.advance(3, 1, [opened(3)])
    assert await asyncio.gather(*waiting) == [True] * 4


async def test_waiting_too_long_is_false_and_later_progress_does_no_harm() -> None:
    committed = view()
    assert not await committed.reached(1, timeout_s=0.01)
    committed.advance(1, 1, [opened(1)])
    assert await committed.reached(1, timeout_s=0.01)


async def test_a_reader_that_goes_away_does_no_harm() -> None:
    committed = view()
    gone = asyncio.create_task(committed.reached(1, 10))
    stays = asyncio.create_task(committed.reached(1, 10))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    committed.advance(1, 1, [opened(1)])
    assert await stays
    assert gone.cancelled()


async def test_a_reader_that_gave_up_is_not_remembered() -> None:
    """Anybody may ask for a seq that never comes, as often as they like."""
    committed = view()
    before = waiting_futures()
    for _ in range(3):
        await asyncio.gather(*(committed.reached(2**60, timeout_s=0.01) for _ in range(200)))
    for _ in range(3):
        await asyncio.sleep(0)
    assert waiting_futures() < before + 50


def waiting_futures() -> int:
    gc.collect()
    return sum(isinstance(found, asyncio.Future) for found in gc.get_objects())


def test_a_view_starts_empty() -> None:
    committed = view()
    assert committed.account_id("0xa") is None
    assert committed.balance(1_000, 1).available_atoms == 0
    assert committed.balances(1_000) == {}
    assert committed.open_orders(1_000) == []
    assert committed.open_order(1) is None
    assert committed.depth(1, 10) == ([], [])
    assert committed.last_deposit(CHAIN_ID, VAULT) == 0
    assert committed.open_withdrawal("0x") is None


def test_depth_gives_the_best_levels_first() -> None:
    venue = Venue()
    venue.open_market()
    venue.give("alice", apple=1_000)
    venue.give("bob", coin=100_000)
    for price in (103, 101, 102, 101):
        venue.sell("alice", 5, at=price)
    for price in (97, 99, 98, 99):
        venue.buy("bob", 5, at=price)
    assert venue.view.depth(1, 2) == ([(99, 10), (98, 5)], [(101, 10), (102, 5)])
    assert venue.view.depth(1, 0) == ([], [])


def test_an_open_order_tells_all_that_was_asked_for() -> None:
    venue = Venue()
    venue.open_market()
    venue.give("alice", apple=1_000)
    venue.give("bob", coin=100_000)
    venue.sell("alice", 5, at=100, cid="mine")
    order_id, created_ns = venue.last_order_id, venue.time_ns
    venue.pass_time(5)
    venue.buy("bob", 2, at=100)
    order = venue.view.open_order(order_id)
    assert order is not None
    assert (order.side, order.price_ticks, order.size_lots, order.remaining_lots) == ("sell", 100, 5, 3)
    assert (order.client_order_id, order.created_ns, order.time_in_force) == ("mine", created_ns, "gtc")
    venue.buy("bob", 3, at=100)
    assert venue.view.open_order(order_id) is None


def test_an_unlisted_asset_is_known_but_has_no_symbol_until_it_is_listed() -> None:
    venue = Venue()
    venue.list_asset("APPLE")
    venue.deposit("alice", "DOGE", 5)
    assert [asset.listed for asset in venue.view.assets.values()] == [True, False]
    assert set(venue.view.asset_by_symbol) == {"APPLE"}
    venue.list_asset("DOGE")
    assert set(venue.view.asset_by_symbol) == {"APPLE", "DOGE"}


def test_a_balance_that_was_read_does_not_change_under_its_reader() -> None:
    venue = Venue()
    venue.open_market()
    venue.give("alice", apple=5)
    account_id = venue.view.account_id(address("alice"))
    assert account_id is not None
    read = venue.view.balance(account_id, 1)
    all_read = venue.view.balances(account_id)
    seq = venue.view.seq
    venue.give("alice", apple=5)
    assert (read.available_atoms, all_read[1].available_atoms) == (5, 5), f"what was true as of {seq}"
