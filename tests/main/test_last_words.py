"""What a command says when it ends by an error: a line about what was foreseen, a traceback about a bug."""

import asyncio
import contextlib
import traceback

import pytest

from exchange.cli import _run
from exchange.journal.errors import AppendUnknown
from exchange.parts import running

PARTS = 20
"""Each lives inside the one before; a traceback shows ten groups within one another."""


async def fail_within_parts(*errors: Exception) -> None:
    """The first ends everything, the others come up while that happens."""

    async def idle() -> None:
        await asyncio.Event().wait()

    async def fail_at_last(error: Exception) -> None:
        try:
            await idle()
        except asyncio.CancelledError:
            raise error from None

    async def fail(error: Exception) -> None:
        raise error

    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(running("engine", fail(errors[0])))
        for error in errors[1:]:
            for _ in range(PARTS):
                await stack.enter_async_context(running("other", idle()))
            await stack.enter_async_context(running("last", fail_at_last(error)))
        await idle()


def test_what_was_foreseen_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        _run(fail_within_parts(AppendUnknown(7, 9), AppendUnknown(10, 11)))
    assert end.value.code == 1
    assert capsys.readouterr().err == "error: no answer to the commit of seq 7..9; its outcome is unknown\n"


def test_a_bug_is_shown_however_deep_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BaseExceptionGroup) as end:
        _run(fail_within_parts(AppendUnknown(7, 9), ZeroDivisionError("deep")))
    shown = "".join(traceback.format_exception(end.value))
    assert "ZeroDivisionError: deep" in shown
    assert "AppendUnknown: no answer to the commit of seq 7..9" in shown, "beside it, what came first"
    assert capsys.readouterr().err == ""
