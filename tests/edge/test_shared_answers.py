"""Answers that are made once for all who ask the same, and not in one turn of the loop."""

import asyncio

import msgspec
import pytest

from exchange.edge.caching import Prepared, prepared
from exchange.edge.errors import unavailable
from exchange.edge.problems import Problem
from exchange.edge.shared_answers import ITEMS_PER_PIECE, MAX_KEPT, SharedAnswers


class Maker:
    """Makes an answer when it is let; counts how often it began."""

    def __init__(self, problem: Problem | None = None) -> None:
        self.begun = 0
        self.problem = problem
        self.may_end = asyncio.Event()

    async def __call__(self) -> Prepared:
        self.begun += 1
        await self.may_end.wait()
        if self.problem is not None:
            raise self.problem
        return prepared(b'{"a":1}', self.begun)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_ask_the_same_get_what_was_made_for_the_first():
    answers, make = SharedAnswers(), Maker()
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(answers.answer((7, "a"), make)) for _ in range(10)]
        await turns()
        make.may_end.set()
    later = await answers.answer((7, "a"), make)
    assert {id(task.result()) for task in asked} == {id(later)}
    assert later.body == b'{"seq":1,"a":1}'
    assert make.begun == 1
    assert await answers.answer((8, "a"), make) is not later
    assert make.begun == 2


async def test_a_problem_is_told_to_all_who_waited_and_not_kept():
    answers, make = SharedAnswers(), Maker(unavailable())
    asked = [asyncio.ensure_future(answers.answer("a", make)) for _ in range(5)]
    await turns()
    make.may_end.set()
    assert await asyncio.gather(*asked, return_exceptions=True) == [make.problem] * 5
    assert make.begun == 1
    make.problem = None
    assert (await answers.answer("a", make)).body == b'{"seq":2,"a":1}'


async def test_when_the_first_goes_away_the_answer_is_made_for_the_next_who_waits():
    answers, make = SharedAnswers(), Maker()
    first, *others = [asyncio.ensure_future(answers.answer("a", make)) for _ in range(4)]
    await turns()
    first.cancel()
    await turns()
    make.may_end.set()
    assert [(await other).body for other in others] == [b'{"seq":2,"a":1}'] * 3
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_one_who_waits_may_go_away_without_harm():
    answers, make = SharedAnswers(), Maker()
    first, second = [asyncio.ensure_future(answers.answer("a", make)) for _ in range(2)]
    await turns()
    second.cancel()
    await turns()
    make.may_end.set()
    assert (await first).body == b'{"seq":1,"a":1}'


async def test_only_the_answers_asked_for_last_are_kept():
    answers, make = SharedAnswers(), Maker()
    make.may_end.set()
    for number in range(MAX_KEPT + 1):
        await answers.answer(0, make)
        await answers.answer(number, make)
    assert make.begun == MAX_KEPT + 1
    await answers.answer(1, make)
    assert make.begun == MAX_KEPT + 2


@pytest.mark.parametrize("length", [0, 1, ITEMS_PER_PIECE, ITEMS_PER_PIECE + 1, 10 * ITEMS_PER_PIECE])
async def test_a_list_is_made_a_piece_of_one_list_at_a_time(length):
    answers = SharedAnswers()
    made_in_this_turn = 0
    most = 0

    def form(number: int) -> dict[str, int]:
        nonlocal made_in_this_turn, most
        made_in_this_turn += 1
        most = max(most, made_in_this_turn)
        return {"n": number}

    async def count_turns() -> None:
        nonlocal made_in_this_turn
        while True:
            made_in_this_turn = 0
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_turns())
    lists = await asyncio.gather(*(answers.json_list(range(length), form) for _ in range(5)))
    counting.cancel()
    assert lists == [msgspec.json.encode([{"n": number} for number in range(length)])] * 5
    assert most <= ITEMS_PER_PIECE
