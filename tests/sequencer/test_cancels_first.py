"""Under a backlog cancels are served first, and nobody's own order of things is changed by it."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from tests.core.venue import Venue, key_of
from tests.sequencer.engine import GatedLog, HandClock, account_of, running

from exchange.core import commands as c
from exchange.core.events import OrderEnded
from exchange.core.words import AccountState, OrderType, Side, TimeInForce
from exchange.sequencer.inbox import MAX_OVERTAKING, Group, Inbox

ALICE, BOB, CAROL = 1_000, 1_001, 1_002


def place(account_id: int) -> c.PlaceOrder:
    return c.PlaceOrder(account_id, 1, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 1, 1, None, 1)


def cancel(account_id: int) -> c.CancelOrder:
    return c.CancelOrder(account_id, 1)


class Line:
    """An inbox, what was put into it by number, and in which order that is taken."""

    def __init__(self) -> None:
        self.inbox = Inbox(100_000)
        self.put_in: list[Group] = []

    def put(self, *commands: c.Command, nonce: c.UseNonce | None = None) -> None:
        group = Group(commands, [], lambda _: None, nonce)
        self.put_in.append(group)
        self.inbox.put(group)

    def take(self) -> int:
        return self.put_in.index(self.inbox.take())

    def taken(self) -> list[int]:
        numbers = []
        while self.inbox:
            numbers.append(self.take())
        assert self.inbox.commands == 0
        return numbers


@pytest.fixture(name="line")
async def empty_line() -> Line:
    return Line()


@pytest.mark.parametrize(
    "going_first",
    [
        cancel(BOB),
        c.CancelClientOrder(BOB, "mine"),
        c.CancelAll(BOB, None),
        c.CancelAllAfter(BOB, 5),
        c.CancelAllAfter(BOB, 0),
    ],
)
async def test_cancels_overtake_what_others_wait_for(line: Line, going_first: c.Command) -> None:
    line.put(place(ALICE))
    line.put(account_of("carol"))
    line.put(going_first)
    line.put(place(CAROL))
    line.put(going_first, cancel(BOB))
    assert line.taken() == [2, 4, 0, 1, 3]


@pytest.mark.parametrize(
    "not_first",
    [
        place(BOB),
        c.AmendOrder(BOB, 1, 1, 1, 1),
        c.RequestWithdrawal("0x", BOB, 1, 1, 1, "0x", 1, 1, "0x"),
        c.SetAccountState(BOB, AccountState.FROZEN),
        c.RevokeAgent("0x", "0x"),
        c.Tick(),
    ],
)
async def test_nothing_but_cancels_overtakes(line: Line, not_first: c.Command) -> None:
    line.put(place(ALICE))
    line.put(not_first)
    line.put(cancel(CAROL), not_first)
    assert line.taken() == [0, 1, 2]


async def test_a_cancel_does_not_overtake_anything_of_its_own_account(line: Line) -> None:
    line.put(place(ALICE))
    line.put(place(BOB), place(CAROL))
    line.put(c.CancelClientOrder(ALICE, "placed-just-now"))
    line.put(cancel(CAROL))
    line.put(c.CancelAll(1_003, None))
    line.put(cancel(1_003), cancel(BOB))
    assert line.taken() == [4, 0, 1, 2, 3, 5]


async def test_a_cancel_that_waits_with_the_others_is_waited_for_by_the_next(line: Line) -> None:
    line.put(place(ALICE))
    line.put(cancel(ALICE))
    assert line.take() == 0
    line.put(cancel(ALICE))
    line.put(cancel(BOB))
    assert line.taken() == [3, 1, 2]


async def test_when_all_of_an_account_was_taken_its_cancels_go_first_again(line: Line) -> None:
    line.put(place(ALICE))
    line.put(place(BOB))
    assert line.take() == 0
    line.put(cancel(ALICE))
    assert line.taken() == [2, 1]


async def test_what_comes_after_a_cancel_of_the_account_does_not_overtake_it(line: Line) -> None:
    for _ in range(3):
        line.put(cancel(ALICE))
    line.put(place(ALICE))
    assert line.taken() == [0, 1, 2, 3]


async def test_requests_of_one_key_stay_in_their_order_also_for_two_accounts(line: Line) -> None:
    """Else many cancels could overtake an order, whose nonce would then be too old."""
    first, second, third = (c.UseNonce(key_of(f"bot {number}"), 1) for number in range(3))
    line.put(place(ALICE), nonce=first)
    line.put(cancel(BOB), nonce=first)
    line.put(cancel(BOB), nonce=second)
    line.put(cancel(CAROL), nonce=second)
    line.put(cancel(CAROL), nonce=third)
    line.put(cancel(1_003), nonce=third)
    assert line.taken() == [0, 1, 2, 3, 4, 5], "each waits for something of its account or of its key"
    line.put(place(ALICE), nonce=first)
    line.put(cancel(BOB), nonce=second)
    assert line.taken() == [7, 6]


async def test_a_cancel_does_not_overtake_the_revocation_of_its_key(line: Line) -> None:
    line.put(c.RevokeAgent("0x", key_of("bot")))
    line.put(cancel(BOB), nonce=c.UseNonce(key_of("bot"), 1))
    line.put(cancel(CAROL), nonce=c.UseNonce(key_of("other"), 1))
    assert line.taken() == [2, 0, 1]


async def test_the_others_have_a_turn_after_every_hundred_commands_that_came_later(line: Line) -> None:
    for account_id in range(2_000, 2_003):
        line.put(place(account_id))
    for _ in range(25):
        line.put(*[cancel(ALICE)] * 10)
    assert MAX_OVERTAKING == 100
    cancels = list(range(3, 28))
    assert line.taken() == [*cancels[:10], 0, *cancels[10:20], 1, *cancels[20:], 2]


async def test_a_turn_of_the_others_is_never_before_a_cancel_that_came_earlier(line: Line) -> None:
    for _ in range(300):
        line.put(cancel(ALICE))
    line.put(place(ALICE))
    assert line.taken() == list(range(301))


@pytest.mark.parametrize("seed", range(20))
async def test_in_any_traffic_every_account_and_key_has_its_order_and_everything_its_turn(
    line: Line, seed: int
) -> None:
    random = Random(seed)
    accounts, keys = range(random.choice((2, 6, 40))), random.choice((2, 9))
    taken: list[int] = []
    for _ in range(1_500):
        if random.random() < 0.55:
            make = random.choice((place, cancel, cancel))
            commands: Sequence[c.Command] = [
                make(random.choice(accounts)) for _ in range(random.choice((1, 1, 1, 2, 30)))
            ]
            signed = random.random() < 0.5
            nonce = c.UseNonce(key_of(f"bot {random.randrange(keys)}"), 1) if signed else None
            line.put(*commands, nonce=nonce)
        elif line.inbox:
            taken.append(line.take())
    taken += line.taken()
    assert sorted(taken) == list(range(len(line.put_in)))
    for name in {name for group in line.put_in for name in group.names}:
        own = [number for number in taken if name in line.put_in[number].names]
        assert own == sorted(own), f"seed {seed}: {name}"
    others = [
        n for n in taken if not all(isinstance(command, c.CancelOrder) for command in line.put_in[n].commands)
    ]
    assert others == sorted(others), f"seed {seed}: those that never overtake"
    for place_taken, number in enumerate(taken):
        overtaken_by = [line.put_in[n].size for n in taken[:place_taken] if n > number]
        ahead = [n for n in others if n < number]
        assert sum(overtaken_by) <= (len(ahead) + 1) * (MAX_OVERTAKING + 30) or number not in others


async def test_in_a_full_engine_a_cancel_is_done_before_the_orders_that_came_earlier() -> None:
    venue = Venue()
    venue.open_market()
    for name in ("alice", "bob"):
        venue.give(name, coin=1_000_000)
    venue.buy("bob", 1, at=9)
    resting_id, log = venue.last_order_id, GatedLog(head_seq=venue.state.seq)
    clock = HandClock(last_ns=venue.time_ns, wall_ns=venue.time_ns)
    async with running(log, clock=clock, state=venue.state, max_batch=10) as engine:
        first = engine.hand_in(account_of("first"))
        await log.until_asked()
        orders = engine.hand_in(*(place(venue.account_id("alice")) for _ in range(50)))
        (cancelling,) = engine.hand_in(c.CancelOrder(venue.account_id("bob"), resting_id))
        await asyncio.sleep(0)
        log.let_through.set()
        outcome = await cancelling
        assert isinstance(outcome.events[0], OrderEnded)
        assert [caller.done() for caller in orders].count(True) <= 9, "only those of its own row"
        assert outcome.seq < min([(await caller).seq for caller in orders])
        await asyncio.gather(*first)
