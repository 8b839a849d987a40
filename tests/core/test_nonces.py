"""A request that an agent signed is taken once: not again in any order, after any time, over any restart."""

from random import Random

import pytest
from tests.core.venue import SECOND, Venue, key_of, refusal

from exchange.core.agents import MAX_NONCES, NONCE_WINDOW_US
from exchange.core.events import NonceUsed
from exchange.core.image import decode_state, encode_state
from exchange.core.rejects import RejectReason


@pytest.fixture(name="bot")
def approved_bot(venue: Venue) -> Venue:
    venue.approve("alice", "bot")
    return venue


def now_us(venue: Venue) -> int:
    return venue.time_ns // 1_000


def remembered(venue: Venue) -> list[int]:
    return list(venue.state.agents[key_of("bot")].nonces)


def test_a_nonce_is_taken_once(bot: Venue) -> None:
    nonce = now_us(bot)
    assert bot.sign("bot", nonce) == [NonceUsed(key_of("bot"), nonce)]
    assert refusal(bot.sign("bot", nonce)) is RejectReason.NONCE_USED


def test_nonces_may_come_in_any_order(bot: Venue) -> None:
    for ahead_us in (5, 1, 9, 2, -3, 8):
        assert isinstance(bot.sign("bot", ahead_us=ahead_us)[0], NonceUsed)
    for ahead_us in (5, 1, 9, 2, -3, 8):
        assert refusal(bot.sign("bot", ahead_us=ahead_us)) is RejectReason.NONCE_USED
    assert remembered(bot) == [now_us(bot) + ahead_us for ahead_us in (-3, 1, 2, 5, 8, 9)]


def test_each_key_has_nonces_of_its_own(bot: Venue) -> None:
    bot.approve("alice", "other")
    for name in ("bot", "other"):
        assert isinstance(bot.sign(name)[0], NonceUsed)


def test_a_nonce_is_within_a_minute_of_the_time(bot: Venue) -> None:
    assert NONCE_WINDOW_US == 60_000_000
    for ahead_us in (-60_000_001, 60_000_001, -(10**15), 10**15, 2**64):
        assert refusal(bot.sign("bot", ahead_us=ahead_us)) is RejectReason.NONCE_OFF_TIME
    for ahead_us in (-60_000_000, 60_000_000):
        assert isinstance(bot.sign("bot", ahead_us=ahead_us)[0], NonceUsed)


@pytest.mark.parametrize("nonce", [0, -1, 1, 2**63, 1_700_000_000, 1_700_000_000_000, 1_700_000_000 * SECOND])
def test_seconds_milliseconds_and_nanoseconds_are_off_time(bot: Venue, nonce: int) -> None:
    assert refusal(bot.sign("bot", nonce)) is RejectReason.NONCE_OFF_TIME


def test_of_many_the_highest_128_are_remembered_and_nothing_below_them_is_taken(bot: Venue) -> None:
    for ahead_us in range(2, 2 * MAX_NONCES + 2, 2):
        bot.sign("bot", ahead_us=ahead_us)
    assert len(remembered(bot)) == MAX_NONCES == 128
    for ahead_us in (1, 0, -50):
        assert refusal(bot.sign("bot", ahead_us=ahead_us)) is RejectReason.NONCE_TOO_OLD
    assert isinstance(bot.sign("bot", ahead_us=3)[0], NonceUsed), "unused, and not below the lowest"
    assert remembered(bot)[0] == now_us(bot) + 3
    assert len(remembered(bot)) == MAX_NONCES
    assert refusal(bot.sign("bot", ahead_us=2)) is RejectReason.NONCE_TOO_OLD, "used, and forgotten"


def test_as_long_as_there_is_room_lower_ones_are_taken(bot: Venue) -> None:
    for ahead_us in range(2, MAX_NONCES + 1):
        bot.sign("bot", ahead_us=ahead_us)
    assert isinstance(bot.sign("bot", ahead_us=0)[0], NonceUsed), "the 128th"
    assert refusal(bot.sign("bot", ahead_us=-1)) is RejectReason.NONCE_TOO_OLD


def test_a_refused_nonce_may_be_used_when_its_time_comes(bot: Venue) -> None:
    nonce = now_us(bot) + 60_000_001
    assert refusal(bot.sign("bot", nonce)) is RejectReason.NONCE_OFF_TIME
    bot.time_ns += 1_000
    assert isinstance(bot.sign("bot", nonce)[0], NonceUsed)


def test_why_the_key_can_not_sign_comes_before_what_is_wrong_with_the_nonce(venue: Venue) -> None:
    assert refusal(venue.sign("bot", 0)) is RejectReason.AGENT_UNKNOWN
    venue.approve("alice", "bot", days=1)
    venue.pass_time(86_400 - 1e-9)
    assert isinstance(venue.sign("bot")[0], NonceUsed)
    venue.time_ns = venue.state.agents[key_of("bot")].expires_ns
    assert refusal(venue.sign("bot", 0)) is RejectReason.AGENT_EXPIRED
    venue.revoke("alice", "bot")
    assert refusal(venue.sign("bot", 0)) is RejectReason.AGENT_REVOKED


def test_a_revoked_key_has_no_nonces_to_remember(bot: Venue) -> None:
    bot.sign("bot")
    bot.revoke("alice", "bot")
    assert remembered(bot) == []
    assert refusal(bot.sign("bot")) is RejectReason.AGENT_REVOKED


@pytest.mark.parametrize("seed", range(4))
def test_no_nonce_is_ever_taken_twice_over_restarts_and_time(seed: int) -> None:
    """Nonces from a narrow range, so that they often come again; now and then a restart from the image."""
    random = Random(seed)
    venue = Venue(checking=False)
    venue.approve("alice", "bot")
    taken: list[int] = []
    begin_us = now_us(venue)
    for _ in range(4_000):
        venue.time_ns += random.choice((0, 0, 0, 0, 1_000_000))
        nonce = now_us(venue) + random.choice((-1, 1)) * random.choice((300, 300, 60_000_100))
        nonce += random.randrange(-300, 300)
        if random.random() < 0.3 and taken:
            nonce = random.choice(taken)
        if random.random() < 0.01:
            venue.time_ns += random.randrange(70) * SECOND
        if random.random() < 0.02:
            venue.state = decode_state(encode_state(venue.state))
        (event,) = venue.sign("bot", nonce)
        if isinstance(event, NonceUsed):
            assert nonce not in taken
            taken.append(nonce)
        assert len(remembered(venue)) <= MAX_NONCES
    assert len(taken) > 500
    assert now_us(venue) - begin_us > 10 * NONCE_WINDOW_US
