"""The destination allow-list on a real database: what it answers, and what it never forgets."""

import asyncio

import asyncpg
import pytest

from exchange.chain import allow_list
from exchange.chain.allow_list import (
    Added,
    Addition,
    AddressEntry,
    Allowed,
    AllowList,
    Kept,
    ListFull,
    NotListed,
    SignatureUsed,
    Waiting,
)

OWNER, OTHER, SHOP, BANK = ("0x" + digit * 40 for digit in "1234")
NOW_MS = 1_763_841_600_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DAY_S = 86_400


def signed(address: str = SHOP, nonce: int = 1, *, owner: str = OWNER, label: str = "shop") -> Addition:
    """An addition; its digest stands for owner, address and nonce, as the real one does."""
    digest = f"0x{int(owner[2], 16):02x}{address[2] * 30}{nonce:032x}"
    return Addition(owner, address, label, nonce, NOW_MS // 1_000 + 3_600, digest, "0x" + "5e" * 65)


@pytest.fixture
def addresses(pool: asyncpg.Pool) -> AllowList:
    return AllowList(pool, DAY_S)


async def test_a_new_destination_waits_for_the_delay_and_is_allowed_from_then_on(
    addresses: AllowList,
) -> None:
    assert await addresses.check(OWNER, SHOP, NOW_MS) == NotListed()
    added = await addresses.add(signed(), NOW_MS)
    assert added == Added(AddressEntry(SHOP, "shop", NOW_MS, NOW_MS + DAY_MS))
    assert await addresses.check(OWNER, SHOP, NOW_MS) == Waiting(NOW_MS + DAY_MS)
    assert await addresses.check(OWNER, SHOP, NOW_MS + DAY_MS - 1) == Waiting(NOW_MS + DAY_MS)
    assert await addresses.check(OWNER, SHOP, NOW_MS + DAY_MS) == Allowed()


async def test_a_destination_is_listed_for_its_owner_only(addresses: AllowList) -> None:
    await addresses.add(signed(), NOW_MS)
    assert await addresses.check(OTHER, SHOP, NOW_MS + DAY_MS) == NotListed()
    assert await addresses.list(OTHER) == []
    assert await addresses.remove(OTHER, SHOP, NOW_MS) is None
    assert await addresses.check(OWNER, SHOP, NOW_MS + DAY_MS) == Allowed()


async def test_the_owners_own_address_needs_no_entry(addresses: AllowList) -> None:
    assert await addresses.check(OWNER, OWNER, NOW_MS) == Allowed()
    assert await addresses.check(OTHER, OWNER, NOW_MS) == NotListed()


async def test_without_a_delay_everything_is_allowed_and_nothing_is_asked_of_the_database(
    pool: asyncpg.Pool,
) -> None:
    off = AllowList(pool, 0)
    await pool.close()
    assert await off.check(OWNER, SHOP, NOW_MS) == Allowed()


async def test_what_was_listed_while_the_list_was_off_counts_when_it_is_switched_on(
    pool: asyncpg.Pool,
) -> None:
    await AllowList(pool, 0).add(signed(), NOW_MS)
    assert await AllowList(pool, DAY_S).check(OWNER, SHOP, NOW_MS) == Allowed()


async def test_adding_what_is_listed_changes_nothing(addresses: AllowList) -> None:
    await addresses.add(signed(), NOW_MS)
    [first] = await addresses.list(OWNER)
    assert await addresses.add(signed(), NOW_MS + HOUR_MS) == Kept(first)
    assert await addresses.add(signed(nonce=2, label="renamed"), NOW_MS + HOUR_MS) == Kept(first)
    assert await addresses.list(OWNER) == [first]


async def test_a_removed_destination_is_refused_at_once(addresses: AllowList) -> None:
    await addresses.add(signed(), NOW_MS)
    removed = await addresses.remove(OWNER, SHOP, NOW_MS + 2 * DAY_MS)
    assert removed == AddressEntry(SHOP, "shop", NOW_MS, NOW_MS + DAY_MS)
    assert await addresses.check(OWNER, SHOP, NOW_MS + 2 * DAY_MS) == NotListed()
    assert await addresses.list(OWNER) == []
    assert await addresses.remove(OWNER, SHOP, NOW_MS + 2 * DAY_MS) is None


async def test_a_destination_that_is_added_again_waits_anew(addresses: AllowList) -> None:
    await addresses.add(signed(), NOW_MS)
    await addresses.remove(OWNER, SHOP, NOW_MS + 2 * DAY_MS)
    again = await addresses.add(signed(nonce=2), NOW_MS + 3 * DAY_MS)
    assert again == Added(AddressEntry(SHOP, "shop", NOW_MS + 3 * DAY_MS, NOW_MS + 4 * DAY_MS))
    assert await addresses.check(OWNER, SHOP, NOW_MS + 3 * DAY_MS) == Waiting(NOW_MS + 4 * DAY_MS)


@pytest.mark.parametrize("later_ms", [0, HOUR_MS, 400 * DAY_MS])
async def test_the_signature_that_added_a_destination_never_brings_it_back(
    addresses: AllowList, later_ms: int
) -> None:
    await addresses.add(signed(), NOW_MS)
    await addresses.remove(OWNER, SHOP, NOW_MS)
    assert await addresses.add(signed(), NOW_MS + later_ms) == SignatureUsed()
    assert await addresses.check(OWNER, SHOP, NOW_MS + later_ms) == NotListed()


async def test_a_signature_that_was_sent_for_a_listed_destination_does_not_bring_it_back_either(
    addresses: AllowList,
) -> None:
    await addresses.add(signed(), NOW_MS)
    await addresses.add(signed(nonce=2), NOW_MS)
    await addresses.remove(OWNER, SHOP, NOW_MS)
    assert await addresses.add(signed(nonce=2), NOW_MS + HOUR_MS) == SignatureUsed()
    assert isinstance(await addresses.add(signed(nonce=3), NOW_MS + HOUR_MS), Added)


async def test_every_change_is_kept_with_what_was_signed(addresses: AllowList, pool: asyncpg.Pool) -> None:
    await addresses.add(signed(), NOW_MS)
    await addresses.remove(OWNER, SHOP, NOW_MS + HOUR_MS)
    await addresses.add(signed(nonce=2, label="again"), NOW_MS + 2 * HOUR_MS)
    rows = await pool.fetch(
        "SELECT label, added_ms, removed_ms, nonce, digest FROM withdrawal_addresses ORDER BY entry_id"
    )
    assert [tuple(row) for row in rows] == [
        ("shop", NOW_MS, NOW_MS + HOUR_MS, 1, signed().digest),
        ("again", NOW_MS + 2 * HOUR_MS, None, 2, signed(nonce=2).digest),
    ]


async def test_a_clock_that_was_set_back_does_not_stop_a_removal(addresses: AllowList) -> None:
    await addresses.add(signed(), NOW_MS)
    assert await addresses.remove(OWNER, SHOP, NOW_MS - HOUR_MS) is not None
    assert await addresses.check(OWNER, SHOP, NOW_MS) == NotListed()


async def test_a_full_list_takes_no_more_and_removed_entries_count_for_a_day(
    addresses: AllowList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allow_list, "MAX_ENTRIES", 2)
    await addresses.add(signed(), NOW_MS)
    await addresses.add(signed(BANK), NOW_MS)
    assert await addresses.add(signed(OTHER), NOW_MS) == ListFull()
    assert isinstance(await addresses.add(signed(BANK), NOW_MS), Kept)
    await addresses.remove(OWNER, SHOP, NOW_MS)
    assert await addresses.add(signed(OTHER), NOW_MS + DAY_MS - 1) == ListFull()
    assert isinstance(await addresses.add(signed(OTHER), NOW_MS + DAY_MS), Added)
    assert isinstance(await addresses.add(signed(owner=OTHER), NOW_MS), Added)


async def test_additions_at_the_same_time_list_an_address_once_and_never_more_than_there_is_room_for(
    addresses: AllowList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allow_list, "MAX_ENTRIES", 3)
    additions = [signed("0x" + f"{one % 8:x}" * 40, nonce=one) for one in range(24)]
    answers = await asyncio.gather(*(addresses.add(addition, NOW_MS) for addition in additions))
    listed = await addresses.list(OWNER)
    assert len(listed) == len({entry.address for entry in listed}) == 3
    assert {type(answer) for answer in answers} == {Added, Kept, ListFull}
    added = [answer.entry for answer in answers if isinstance(answer, Added)]
    assert sorted(entry.address for entry in added) == sorted(entry.address for entry in listed)


async def test_the_list_has_the_newest_first(addresses: AllowList) -> None:
    await addresses.add(signed(), NOW_MS)
    await addresses.add(signed(BANK), NOW_MS)
    assert [entry.address for entry in await addresses.list(OWNER)] == [BANK, SHOP]


async def test_digests_are_forgotten_a_day_after_their_deadline(
    addresses: AllowList, pool: asyncpg.Pool
) -> None:
    await addresses.add(signed(), NOW_MS)
    await addresses.add(signed(nonce=2), NOW_MS + 3 * DAY_MS)
    kept = await pool.fetchval("SELECT array_agg(digest) FROM withdrawal_address_digests")
    assert kept == [signed(nonce=2).digest]
