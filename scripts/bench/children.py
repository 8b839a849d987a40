"""The processes of a run: each a module of `scripts.bench`, told words on its standard input, one a line.

A word may have an argument, which is JSON; each has one answer, a line of JSON. A child ends when its input
does, so none outlives the run.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, TypeVar

import msgspec

ANSWER_BYTES = 16 * 2**20
ANSWER_TIMEOUT_S = 180.0
END_TIMEOUT_S = 30.0

Answered = TypeVar("Answered")
Argument = TypeVar("Argument", bound=msgspec.Struct)
Word = Callable[[], Awaitable[object]]


class ChildFailed(Exception):
    """A child ended, or gave no answer, when one was due."""


class Child:
    """One process, as its parent sees it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    @classmethod
    async def start(cls, name: str, settings: msgspec.Struct) -> Self:
        """Starts `scripts.bench.<name>` with its settings, as JSON, for its only argument."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"scripts.bench.{name}",
            msgspec.json.encode(settings).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=ANSWER_BYTES,
        )
        return cls(name, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(
        self,
        word: str,
        answer: type[Answered],
        argument: msgspec.Struct | None = None,
        *,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Answered:
        """Says a word and waits for what comes of it. Raises ChildFailed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        said = word.encode("ascii") + (b" " + msgspec.json.encode(argument) if argument is not None else b"")
        try:
            async with asyncio.timeout(timeout_s):
                self._process.stdin.write(said + b"\n")
                await self._process.stdin.drain()
                line = await self._process.stdout.readline()
        except (OSError, TimeoutError) as error:
            raise ChildFailed(f"{self.name} gave no answer to {word!r}") from error
        if not line:
            raise ChildFailed(f"{self.name} ended when it was told {word!r}; its last words are above")
        return msgspec.json.decode(line, type=answer)

    async def stop(self) -> None:
        """Ends it: by the end of its input, or, when it does not heed that, for good."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def say(answer: object) -> None:
    """A child's answer to its parent."""
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


class Told:
    """A word that has an argument: of this type, and given to this function."""

    def __init__(self, argument: type[Argument], act: Callable[[Argument], Awaitable[object]]) -> None:
        self._argument = argument
        self._act: Callable[[Any], Awaitable[object]] = act

    async def act(self, text: bytes) -> object:
        return await self._act(msgspec.json.decode(text, type=self._argument))


async def obey(words: Mapping[str, Word | Told]) -> None:
    """A child's life: does what each word means and answers with what comes of it, until its input ends."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        word, _, text = line.strip().partition(b" ")
        meant = words[word.decode("ascii")]
        say(await (meant.act(text) if isinstance(meant, Told) else meant()))
