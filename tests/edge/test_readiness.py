"""Readiness is looked at once for all who ask at a time, and soon again."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from tests.edge.harness import served

from exchange.edge import readiness
from exchange.edge.app import create_app
from exchange.edge.readiness import HealthPart, PartState, Readiness

LONG_S = 3_600.0


class Asked:
    """A part that counts how often it is asked, and answers when it is let."""

    def __init__(self) -> None:
        self.times = 0
        self.at_once = 0
        self.most_at_once = 0
        self.wrong: str | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def check(self) -> str | None:
        self.times += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.may_answer.wait()
        finally:
            self.at_once -= 1
        return self.wrong

    @property
    def part(self) -> HealthPart:
        return HealthPart("database", required=True, check=self.check)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_ask_while_the_parts_are_looked_at_get_what_is_found():
    asked = Asked()
    asked.may_answer.clear()
    ready = Readiness([asked.part], kept_s=0.0)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ready.parts()) for _ in range(100)]
        await turns()
        asked.may_answer.set()
    assert {tuple(task.result()) for task in tasks} == {(PartState("database", True, None),)}
    assert asked.times == 1


async def test_what_was_found_is_kept_for_a_while_and_then_looked_at_again():
    asked = Asked()
    ready = Readiness([asked.part], kept_s=LONG_S)
    for _ in range(100):
        assert (await ready.parts())[0].ready
    assert asked.times == 1
    short = Readiness([asked.part], kept_s=0.0)
    assert (await short.parts())[0].ready
    asked.wrong = "gone"
    assert await short.parts() == [PartState("database", True, "gone")]


async def test_the_time_that_it_is_kept_begins_when_it_is_found_and_is_shorter_than_a_second():
    assert 0 < readiness.KEPT_S < 1
    asked = Asked()
    asked.may_answer.clear()
    ready = Readiness([asked.part], kept_s=0.01)
    first = asyncio.ensure_future(ready.parts())
    await asyncio.sleep(0.05)
    second = asyncio.ensure_future(ready.parts())
    await turns()
    asked.may_answer.set()
    assert await first == await second
    assert (asked.times, asked.most_at_once) == (1, 1)
    await asyncio.sleep(0.05)
    await ready.parts()
    assert asked.times == 2


async def test_one_who_asks_first_and_goes_away_leaves_nobody_waiting():
    asked = Asked()
    asked.may_answer.clear()
    ready = Readiness([asked.part], kept_s=LONG_S)
    first, second = [asyncio.ensure_future(ready.parts()) for _ in range(2)]
    await turns()
    first.cancel()
    await turns()
    asked.may_answer.set()
    assert (await second)[0].ready
    gone = Readiness([asked.part], kept_s=LONG_S)
    asked.may_answer.clear()
    only = asyncio.ensure_future(gone.parts())
    await turns()
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    asked.may_answer.set()
    assert (await gone.parts())[0].ready


async def test_any_number_of_requests_ask_the_database_one_at_a_time(exchange):
    asked = Asked()
    config = replace(exchange.edge.config, health_kept_s=LONG_S)
    edge = replace(exchange.edge, config=config, health_parts=(asked.part,))
    async with served(create_app(edge)) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        answers = await asyncio.gather(*(client.get("/v1/health/ready") for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert asked.times == 1
