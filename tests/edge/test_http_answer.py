"""What goes over the wire is what uvicorn alone would send, only in fewer pieces."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exchange.edge.http_answer import PlainAnswer
from exchange.edge.http_protocol import BoundedProtocol
from exchange.edge.server import listen

START = "http.response.start"
BODY = "http.response.body"
TEN = (b"Content-Length", b"10")
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "plain": [
        {"type": START, "status": 201, "headers": [(b"X-Word", b"a b\tc"), (b"content-length", b"10")]},
        {"type": BODY, "body": b"0123456789"},
    ],
    "empty": [{"type": START, "status": 200, "headers": [(b"content-length", b"0")]}, {"type": BODY}],
    "in pieces": [
        {"type": START, "status": 200, "headers": [(b"content-length", b"10")]},
        {"type": BODY, "body": b"01234", "more_body": True},
        {"type": BODY, "body": b"56789"},
    ],
    "without a length": [{"type": START, "status": 200, "headers": []}, {"type": BODY, "body": b"01"}],
    "nothing to say": [{"type": START, "status": 204, "headers": []}, {"type": BODY, "body": b""}],
    "named in capitals": [
        {"type": START, "status": 200, "headers": [TEN]},
        {"type": BODY, "body": b"0123456789"},
    ],
    "the last": [
        {"type": START, "status": 200, "headers": [(b"content-length", b"2"), (b"connection", b"close")]},
        {"type": BODY, "body": b"01"},
    ],
    "too short": [
        {"type": START, "status": 200, "headers": [(b"content-length", b"10")]},
        {"type": BODY, "body": b"01"},
    ],
    "too long": [
        {"type": START, "status": 200, "headers": [(b"content-length", b"1")]},
        {"type": BODY, "body": b"01"},
    ],
    "a header with another in it": [
        {
            "type": START,
            "status": 200,
            "headers": [(b"content-length", b"2"), (b"x-word", b"a\r\nx-evil: 1")],
        },
        {"type": BODY, "body": b"01"},
    ],
    "a name with a colon": [
        {"type": START, "status": 200, "headers": [(b"content-length", b"2"), (b"x: y", b"a")]},
        {"type": BODY, "body": b"01"},
    ],
}
TORN: dict[str, list[dict[str, Any]]] = {
    "two beginnings": [
        {"type": START, "status": 200, "headers": [(b"content-length", b"2")]},
        {"type": START, "status": 200, "headers": [(b"content-length", b"2")]},
    ],
    "no body": [{"type": START, "status": 200, "headers": [(b"content-length", b"2")]}],
}
REQUESTS = {
    "GET": b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD": b"HEAD /%d HTTP/1.1\r\nHost: x\r\n\r\n",
    "one of HTTP/1.0": b"GET /%d HTTP/1.0\r\nHost: x\r\n\r\n",
    "the last": b"GET /%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


@asynccontextmanager
async def serving(protocol: type, answers: list[list[dict[str, Any]]]) -> AsyncIterator[int]:
    """The port of a server that gives the answer of a number at its path."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        for message in answers[int(scope["path"][1:])]:
            await send(dict(message))

    [opened] = listen("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(application, http=protocol, ws="none", lifespan="off", log_config=None)
    )
    task = asyncio.create_task(server.serve([opened]))
    try:
        yield opened.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)


async def received(port: int, requests: bytes) -> bytes:
    """All that comes until the server hangs up; but for the time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(requests)
    async with asyncio.timeout(10):
        content = await reader.read()
    writer.close()
    return re.sub(rb"(?m)^date: .*\r\n", b"", content)


async def test_the_bytes_are_uvicorns(subtests: pytest.Subtests) -> None:
    answers = list(ANSWERS.values())
    last = REQUESTS["the last"] % 0
    async with serving(HttpToolsProtocol, answers) as theirs, serving(BoundedProtocol, answers) as ours:
        for request_name, request in REQUESTS.items():
            for number, name in enumerate(ANSWERS):
                with subtests.test(request=request_name, answer=name):
                    requests = request % number + last
                    assert await received(ours, requests) == await received(theirs, requests)


async def test_of_an_answer_without_a_body_nothing_is_sent(subtests: pytest.Subtests) -> None:
    async with serving(BoundedProtocol, list(TORN.values())) as port:
        for number, name in enumerate(TORN):
            with subtests.test(answer=name):
                assert await received(port, REQUESTS["GET"] % number) == b""


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


async def test_a_plain_answer_is_one_write() -> None:
    transport, done = Transport(), []
    cycle = SimpleNamespace(
        transport=transport,
        scope={"method": "POST"},
        default_headers=[(b"date", b"now")],
        keep_alive=True,
        disconnected=False,
        response_started=False,
        response_complete=False,
        flow=SimpleNamespace(write_paused=False),
        message_event=asyncio.Event(),
        on_response=lambda: done.append(True),
        send=None,
    )
    answer = PlainAnswer(cycle)  # type: ignore[arg-type]
    for message in ANSWERS["plain"]:
        await answer.send(message)
    assert transport.written == [
        b"HTTP/1.1 201 Created\r\ndate: now\r\nx-word: a b\tc\r\ncontent-length: 10\r\n\r\n0123456789"
    ]
    assert done
    assert cycle.response_complete
