"""The image of a state: canonical, complete, and a state again that goes on like the first."""

import dataclasses
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.fields import LINKS, fields_of
from tests.core.naive_commands import make_command
from tests.core.random_commands import RandomCommands
from tests.core.test_naive_reference import compare, compare_balances, stage
from tests.core.venue import SECOND, Venue, address, key_of

from exchange.core import ledger
from exchange.core.accounts import Account
from exchange.core.agents import Agent
from exchange.core.apply import apply
from exchange.core.book import BookSide, Level
from exchange.core.by_id import ById
from exchange.core.commands import PlaceOrder, UseNonce
from exchange.core.events import Rejected
from exchange.core.image import (
    IMAGE_TAG,
    ImageInvalid,
    decode_state,
    encode_state,
    image_hash,
    state_hash,
)
from exchange.core.image_rows import AgentRow, AssetRow, ClientOrderRow, MarketRow, OrderRow, StateRow
from exchange.core.invariants import audit
from exchange.core.markets import Asset, Market
from exchange.core.orders import Order
from exchange.core.rejects import RejectReason
from exchange.core.state import State
from exchange.core.units import MAX_ATOMS
from exchange.core.words import AccountState, RateClass, TriggerKind

ROOT = Path(__file__).parents[2]


def day(seed: int, steps: int) -> RandomCommands:
    made = RandomCommands(seed)
    made.open()
    made.steps(steps)
    return made


def full_state() -> State:
    """A state that has at least one of everything, and two of what a dict holds."""
    venue = Venue()
    venue.open_market(maker_fee_bps=-1, taker_fee_bps=9)
    venue.open_market("PEAR")
    for name in ("alice", "bob"):
        venue.give(name, apple=10**6, coin=10**6, pear=10**6)
    venue.deposit("carol", "NUT", 5)
    venue.deposit("carol", "NUT", 5, vault="0x" + "fb" * 20)
    venue.set_tier("bob", 2)
    venue.set_tier("alice", 1)
    venue.set_fees((-1, 9), (-2, 8))
    venue.set_limits("bob", 50, 40)
    venue.transfer("alice", "COIN", 5, to=3)
    venue.transfer("alice", "COIN", 6, to=3, cid="another")
    for label in ("open", "also open", "paid", "also paid"):
        venue.withdraw("bob", "COIN", 7, label)
    venue.settle("paid")
    venue.settle("also paid")
    venue.buy("alice", 10, 100)
    venue.buy("bob", 10, 100)
    venue.buy("alice", 9, 99, cid="open order")
    venue.buy("alice", 9, 98, cid="another open order")
    venue.sell("bob", 3, 100, cid="ended order")
    venue.sell("bob", 2, 100, cid="another ended order")
    venue.sell("bob", 4, 130, till_ns=venue.time_ns + 500 * SECOND)
    venue.sell("bob", 4, 99, stop=60)
    venue.buy("bob", 4, 140, stop=101)
    venue.cancel_all_after("alice", 900)
    venue.sell("alice", 1, 101)
    venue.ticking = False
    venue.buy("bob", 1, 101)
    assert venue.state.met_markets == [1]
    venue.restrict("carol", AccountState.CANCEL_ONLY)
    bounds = {"market_ids": (2, 1), "sub_accounts": (3,), "ip_ranges": ("10.0.0.0/8",)}
    venue.approve("alice", "bot", **bounds)
    venue.approve("alice", "gone")
    venue.approve("bob", "another bot")
    venue.revoke("alice", "gone")
    for ahead_us in (0, 50, 10**6):
        venue.sign("bot", ahead_us=ahead_us)
    venue.set_rate_class("alice", RateClass.MARKET_MAKER)
    venue.set_rate_class("bob", RateClass.MARKET_MAKER)
    return venue.state


# ---- canonical


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), before=st.integers(0, 250), after=st.integers(1, 60))
def test_a_state_made_again_from_its_image_is_sound_and_goes_on_like_the_first(
    seed: int, before: int, after: int
) -> None:
    first = day(seed, before)
    image = encode_state(first.state)
    again = decode_state(image)
    audit(again)
    assert encode_state(again) == image
    done = len(first.log)
    first.steps(after)
    for time_ns, command, events in first.log[done:]:
        assert apply(again, again.seq + 1, time_ns, command) == events
    assert encode_state(again) == encode_state(first.state)


def test_a_long_day_with_a_restart_every_few_commands_ends_in_the_same_state() -> None:
    first = day(seed=5, steps=1_500)
    state = State()
    random = Random(5)
    for time_ns, command, events in first.log:
        if random.random() < 0.05:
            state = decode_state(encode_state(state))
        assert apply(state, state.seq + 1, time_ns, command) == events
    assert state_hash(state) == state_hash(first.state)


@pytest.mark.parametrize("rules", [1, 2])
def test_a_day_of_everything_with_restarts_goes_on_as_the_naive_exchange_has_it(rules: int) -> None:
    random = Random(rules)
    venue, naive = stage(rules)
    for number in range(2_500):
        compare(venue, naive, *make_command(random.choice, naive))
        if number % 50 == 0:
            image = encode_state(venue.state)
            venue.state = decode_state(image)
            audit(venue.state)
            assert encode_state(venue.state) == image
    compare_balances(venue, naive)


def test_the_image_of_everything_comes_back_whole() -> None:
    state = full_state()
    again = decode_state(encode_state(state))
    audit(again)
    by_identity: dict[str, Any] = {
        "accounts": {},
        "account_by_owner": {},
        "orders": ById(),
        "books": {},
        "ended_client_orders": deque(),
        "agents": {},
        "agents_by_owner": {},
    }
    assert dataclasses.replace(again, **by_identity) == dataclasses.replace(state, **by_identity)
    assert again.account_by_owner.keys() == state.account_by_owner.keys()
    assert sorted(again.orders) == sorted(state.orders)
    for key, agent in state.agents.items():
        assert [getattr(again.agents[key], name) for name in fields_of(Agent)] == [
            getattr(agent, name) for name in fields_of(Agent)
        ]
        assert again.agents[key] in again.agents_by_owner[agent.owner]


def test_a_queue_keeps_its_order_though_ids_say_otherwise() -> None:
    venue = Venue()
    venue.open_market()
    for name in ("alice", "bob"):
        venue.give(name, apple=100, coin=10_000)
    venue.buy("alice", 5, 10)
    venue.buy("bob", 5, 10)
    venue.amend("alice", venue.last_order_id - 1, at=10, size=6)
    again = decode_state(encode_state(venue.state))
    queue = [order.order_id for order in again.books[1].bids.levels[10]]
    assert queue == [order.order_id for order in venue.state.books[1].bids.levels[10]]
    assert queue != sorted(queue)


def test_markets_whose_triggers_are_met_and_ids_to_forget_stay_in_their_order() -> None:
    state = full_state()
    for name in ("met_markets", "ended_client_orders", "made_transfers"):
        things = getattr(state, name)
        if name == "met_markets":
            things.append(2)
        assert len(things) > 1
        for _ in range(2):
            things.reverse()
            again = getattr(decode_state(encode_state(state)), name)
            assert [told(thing) for thing in again] == [told(thing) for thing in things]


def told(thing: Any) -> Any:
    return (thing.forget_ns, thing.order_id) if isinstance(thing, Order) else thing


def test_an_empty_state_has_an_image() -> None:
    assert encode_state(decode_state(encode_state(State()))) == encode_state(State())


def test_balances_that_were_only_looked_at_are_not_in_the_image() -> None:
    state = full_state()
    before = encode_state(state)
    ledger.balance(state.accounts[1_001], 77)
    assert encode_state(state) == before


def test_only_an_account_that_is_not_active_has_its_state_in_the_image() -> None:
    """So that states from before there was such a thing keep their hashes."""
    venue = Venue()
    venue.account_id("alice")
    before = encode_state(venue.state)
    rows = [[number, "", 0, 1_000, 1_000, 0, [], [], []] for number in (1, 2, 3, 4)]
    rows.append([1_000, address("alice"), 0, 1_000, 1_000, 0, [], [], []])
    assert msgspec.json.decode(before.removeprefix(IMAGE_TAG))[8] == rows
    for state in (AccountState.CANCEL_ONLY, AccountState.FROZEN):
        venue.restrict("alice", state)
        image = encode_state(venue.state)
        assert msgspec.json.decode(image.removeprefix(IMAGE_TAG))[8][-1] == [*rows[-1], state.value]
        assert decode_state(image).accounts[1_000].state is state
    venue.restrict("alice", AccountState.ACTIVE)
    venue.state.seq, venue.state.time_ns = 2, venue.log[0][0]
    assert encode_state(venue.state) == before
    assert decode_state(before).accounts[1_000].state is AccountState.ACTIVE


def test_a_state_without_agents_and_rate_classes_has_nothing_of_them_in_its_image() -> None:
    """So that states from before there were such things keep their hashes."""
    venue = Venue()
    venue.account_id("alice")
    parts = {len(content_of(venue.state))}
    venue.set_rate_class("alice", RateClass.MARKET_MAKER)
    *_, agents, rate_classes = content_of(venue.state)
    assert (agents, rate_classes) == ([], [[address("alice"), "market_maker"]])
    venue.set_rate_class("alice", RateClass.STANDARD)
    parts.add(len(content_of(venue.state)))
    venue.approve("alice", "bot")
    assert content_of(venue.state)[-1][0][0] == key_of("bot")
    assert parts == {16}
    assert len(content_of(venue.state)) == 17


def content_of(state: State) -> list[Any]:
    content: list[Any] = msgspec.json.decode(encode_state(state).removeprefix(IMAGE_TAG))
    return content


def test_nonces_that_are_too_old_are_not_in_the_image_and_are_refused_as_before() -> None:
    venue = Venue()
    venue.approve("alice", "bot")
    used = [venue.time_ns // 1_000 + ahead_us for ahead_us in (0, 10, 20, 50_000_000)]
    for nonce in used:
        venue.sign("bot", nonce)
    venue.time_ns += 60 * SECOND + 10_000
    venue.account_id("somebody, so that the state is of this time")
    again = decode_state(encode_state(venue.state))
    assert again.agents[key_of("bot")].nonces == used[1:]
    assert encode_state(again) == encode_state(venue.state)
    off_time, *taken = (RejectReason.NONCE_OFF_TIME, *[RejectReason.NONCE_USED] * 3)
    for nonce, reason in zip(used, (off_time, *taken), strict=True):
        for state in (venue.state, again):
            events = apply(state, state.seq + 1, venue.time_ns, UseNonce(key_of("bot"), nonce))
            assert events == [Rejected(reason)]


def test_amounts_of_128_bits_come_back_exactly() -> None:
    venue = Venue()
    venue.open_market()
    venue.give("alice", apple=MAX_ATOMS)
    again = decode_state(encode_state(venue.state))
    assert again.accounts[1_000].balances[1].available_atoms == MAX_ATOMS


def test_the_order_in_which_dicts_were_filled_is_no_part_of_the_state() -> None:
    state = full_state()
    before = encode_state(state)
    for name in (
        "assets",
        "markets",
        "books",
        "accounts",
        "fee_tiers",
        "last_deposit",
        "agents",
        "rate_classes",
    ):
        setattr(state, name, dict(reversed(getattr(state, name).items())))
    state.withdrawals = dict(reversed(state.withdrawals.items()))
    for account in state.accounts.values():
        for name in ("balances", "orders", "client_orders", "client_transfers"):
            setattr(account, name, dict(reversed(getattr(account, name).items())))
    assert encode_state(state) == before


def test_the_shape_of_the_heap_of_deadlines_is_no_part_of_the_state() -> None:
    venue = Venue()
    venue.open_market()
    venue.give("alice", coin=1_000)
    for number, in_s in enumerate((900, 300, 700, 500, 100)):
        venue.withdraw("alice", "COIN", 1, f"w{number}", in_s=in_s)
        venue.settle(f"w{number}")
    before = encode_state(venue.state)
    assert venue.state.final_by_deadline != sorted(venue.state.final_by_deadline)
    venue.state.final_by_deadline.sort()
    assert encode_state(venue.state) == before


def image_of_a_day() -> str:
    return state_hash(day(seed=11, steps=400).state).hex()


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_another_process_with_another_hash_seed_makes_the_same_image(hash_seed: str) -> None:
    program = "from tests.core.test_image import image_of_a_day; print(image_of_a_day())"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert answer.stdout.strip() == image_of_a_day()


# ---- complete

REBUILT = {
    State: {
        "asset_by_symbol", "asset_by_route", "market_by_symbol", "account_by_owner", "expiries", "switches",
        "work_due_ns", "orders", "agents_by_owner",
    },
    Account: {"orders", "fee_tier", "open_withdrawals"},
    BookSide: {"sign", "keys"},
}  # fmt: skip
"""What is left out of the image, because it follows from the rest."""

MEMORY = {"asked_price_ticks", "asked_size_lots", "asked_expires_ns", "ended", "forget_ns"}
"""Of an order: what its client order id needs; in the account's part of the image."""


def rebuilt_of_order(order: Order) -> set[str]:
    """Of an ended order only what answers for its client order id is kept; others have no such memory."""
    if order.ended:
        kept = {*ClientOrderRow.__struct_fields__, *PlaceOrder.__struct_fields__, "account", "ended"}
        kept |= {name for name in fields_of(Order) if name.startswith("asked_")} | {"forget_ns"}
        return set(fields_of(Order)) - kept | {"price_ticks"}
    return LINKS | ({"forget_ns"} if order.client_order_id else MEMORY)


def other(value: Any) -> Any:
    """Any value of the same kind that is not this one."""
    match value:
        case bool():
            return not value
        case StrEnum():
            return next(member for member in type(value) if member is not value)
        case int():
            return value + 1
        case str():
            return value + "x"
        case None:
            return next(iter(TriggerKind))
        case tuple():
            return (other(value[0]), *value[1:]) if value else ((1, 1),)
        case Account():
            return Account(value.account_id + 1, "", 0)
        case msgspec.Struct():
            name = value.__struct_fields__[-1]
            return msgspec.structs.replace(value, **{name: other(getattr(value, name))})
        case _:
            raise AssertionError(f"what is another {value!r}?")


def edits(thing: Any, path: str = "state") -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """(what, do, undo) for every single value that the thing is made of, at any depth."""
    if isinstance(thing, dict):
        places = [(f"{path}[{key!r}]", thing, key, thing.__setitem__) for key in thing]
    elif isinstance(thing, Level):
        for order in thing:
            yield from edits(order, f"{path}.order {order.order_id}")
        return
    elif isinstance(thing, list | deque):
        places = [(f"{path}[{key}]", thing, key, thing.__setitem__) for key in range(len(thing))]
    else:
        names = fields_of(type(thing))
        left_out = rebuilt_of_order(thing) if isinstance(thing, Order) else REBUILT.get(type(thing), set())
        places = [
            (f"{path}.{name}", {name: getattr(thing, name)}, name, partial(setattr, thing))
            for name in names
            if name not in left_out
        ]
    for where, holder, key, assign in places:
        value = holder[key]
        frozen = isinstance(value, msgspec.Struct) and value.__struct_config__.frozen
        is_leaf = value is None or frozen or isinstance(value, int | str | tuple)
        if is_leaf or (isinstance(thing, Order) and isinstance(value, Account)):
            yield where, partial(assign, key, other(value)), partial(assign, key, value)
        else:
            yield from edits(value, where)


def differs(state: State, image: bytes) -> bool:
    try:
        return encode_state(state) != image
    except (AssertionError, KeyError):
        return True


def test_no_single_value_of_a_state_is_missing_from_its_image() -> None:
    state = full_state()
    image = encode_state(state)
    missing, count = [], 0
    for where, do, undo in edits(state):
        do()
        if not differs(state, image):
            missing.append(where)
        undo()
        count += 1
    assert missing == []
    assert encode_state(state) == image
    assert count > 300


def test_no_entry_of_a_state_is_missing_from_its_image() -> None:
    state = full_state()
    image = encode_state(state)
    for name in fields_of(State):
        kept = getattr(state, name)
        if name in REBUILT[State] or isinstance(kept, int):
            continue
        assert kept, f"the state of this test has nothing in {name}"
        setattr(state, name, type(kept)())
        assert differs(state, image), name
        setattr(state, name, kept)


def test_rows_of_orders_assets_and_markets_have_the_fields_of_their_classes() -> None:
    """A field that is added there must be added here, at the end; see `image` for how."""
    elsewhere = LINKS | MEMORY
    assert OrderRow.__struct_fields__ == tuple(
        "account_id" if name == "account" else name for name in fields_of(Order) if name not in elsewhere
    )
    assert AssetRow.__struct_fields__ == fields_of(Asset)
    assert MarketRow.__struct_fields__ == fields_of(Market)
    assert AgentRow.__struct_fields__ == fields_of(Agent)


# ---- damaged


def test_bytes_that_are_no_image_are_refused() -> None:
    image = encode_state(full_state())
    for bad in (b"", b"[]", IMAGE_TAG, IMAGE_TAG + b"[]", image[:-1], image + b"x", image[len(IMAGE_TAG) :]):
        with pytest.raises(ImageInvalid):
            decode_state(bad)


def test_an_image_of_a_later_format_is_refused_by_name() -> None:
    image = encode_state(State()).replace(IMAGE_TAG, b"exchange state 2\n")
    with pytest.raises(ImageInvalid, match="exchange state 1"):
        decode_state(image)


def test_no_damage_of_one_byte_goes_unnoticed_by_the_hash_or_crashes_the_reader() -> None:
    image = encode_state(full_state())
    expected = image_hash(image)
    random = Random(3)
    read = 0
    for _ in range(3_000):
        place = random.randrange(len(image))
        damaged = bytearray(image)
        damaged[place] = (damaged[place] + random.randrange(1, 256)) % 256
        assert image_hash(bytes(damaged)) != expected
        try:
            decode_state(bytes(damaged))
            read += 1
        except ImageInvalid:
            pass
    assert read > 0, "it is the hash that finds the others"


def test_an_image_that_names_what_it_does_not_hold_is_refused() -> None:
    def without(change: Callable[[list[Any]], object]) -> bytes:
        content = msgspec.json.decode(encode_state(full_state())[len(IMAGE_TAG) :])
        change(content)
        return IMAGE_TAG + msgspec.json.encode(content)

    fields = StateRow.__struct_fields__
    accounts, books, markets = (fields.index(name) for name in ("accounts", "books", "markets"))
    broken: list[Callable[[list[Any]], object]] = [
        lambda content: content[accounts].pop(0),  # a system account
        lambda content: content[accounts].pop(4),  # the first user, with open orders
        lambda content: content[books].pop(),
        lambda content: content[markets].pop(),
        lambda content: content[books][0][6].append(content[books][0][6][0]),  # an order twice
        lambda content: content[books][1][6].append(content[books][0][6].pop()),  # in another market's book
        lambda content: content[accounts][4][7].clear(),  # the client id of an open order
        lambda content: content[accounts][5][7].clear(),  # the client id of an ended order
        lambda content: content[fields.index("made_transfers")].append([1, 1_000, "never made"]),
        lambda content: content[fields.index("met_markets")].append(9),
        lambda content: content.append(0),
        lambda content: content.__delitem__(slice(fields.index("final_withdrawals"), None)),
    ]
    assert decode_state(without(lambda _: None)).seq > 0
    for change in broken:
        with pytest.raises(ImageInvalid):
            decode_state(without(change))
