"""Parts of a process live exactly as long as what is built on them."""

import asyncio

import pytest

from exchange import parts
from exchange.parts import EndedEarly, running


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_part_is_over_when_its_body_is() -> None:
    ended = asyncio.Event()

    async def part() -> None:
        try:
            await for_ever()
        finally:
            ended.set()

    async with running("part", part()):
        await asyncio.sleep(0)
        assert not ended.is_set()
    assert ended.is_set()


async def test_a_part_that_fails_ends_its_body_with_its_error() -> None:
    async def part() -> None:
        raise ValueError("broken")

    with pytest.raises(ExceptionGroup) as met:
        async with running("part", part()):
            await for_ever()
    assert met.group_contains(ValueError, match="broken")


async def test_a_part_that_returns_ends_its_body() -> None:
    async def part() -> None:
        await asyncio.sleep(0)

    with pytest.raises(ExceptionGroup) as met:
        async with running("part", part()):
            await for_ever()
    assert met.group_contains(EndedEarly, match="part ended by itself")


async def test_a_part_whose_task_ends_as_cancelled_by_itself_ends_its_body() -> None:
    """A task group takes no notice of a child that ends as cancelled."""

    async def part() -> None:
        raise asyncio.CancelledError

    with pytest.raises(ExceptionGroup) as met:
        async with asyncio.timeout(10), running("part", part()):
            await for_ever()
    assert met.group_contains(EndedEarly)


async def test_a_part_that_loses_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clean-up of a cancelled task fails, and its root takes that for one more error to go on after."""
    monkeypatch.setattr(parts, "CANCEL_AGAIN_S", 0.01)
    lost: list[Exception] = []

    async def part() -> None:
        while True:
            try:
                try:
                    await for_ever()
                finally:
                    if not lost:
                        raise ConnectionResetError("the rollback failed")
            except Exception as error:
                lost.append(error)

    async with asyncio.timeout(10), running("part", part()):
        await asyncio.sleep(0)
    assert len(lost) == 1
