"""A real uvicorn server on a free port, spoken to in raw bytes, with an application that counts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from exchange.edge.http_protocol import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_MESSAGE_BYTES,
    PIECE_BYTES,
    SPARE_CONNECTIONS,
    BoundedProtocol,
)

HEAD = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
LARGE = b"x" * 8_000_000


class Hasty(BoundedProtocol):
    head_timeout_s = 0.2
    write_timeout_s = 0.2


class Application:
    """Answers with the length of the body, once `gate` is open; to /large with 8 MB."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.requests = 0
        self.headers: list[list[tuple[bytes, bytes]]] = []

    async def __call__(self, scope, receive, send) -> None:
        self.requests += 1
        body_bytes, more = 0, scope["method"] != "GET"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body_bytes += len(message["body"])
            more = message["more_body"]
        self.headers.append(scope["headers"])
        await self.gate.wait()
        content = LARGE if scope["path"] == "/large" else b"%d" % body_bytes
        length = (b"content-length", b"%d" % len(content))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": content})


class Served:
    """The server, and connections to it."""

    def __init__(self, port: int, application: Application, server: uvicorn.Server) -> None:
        self.port = port
        self.application = application
        self.server = server

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(20):
                yield reader, writer
        finally:
            writer.transport.abort()


@asynccontextmanager
async def serving(protocol: type[BoundedProtocol] = BoundedProtocol, **options) -> AsyncIterator[Served]:
    application = Application()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            application,
            http=protocol,
            ws="none",
            lifespan="off",
            proxy_headers=False,
            log_config=None,
            **options,
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield Served(listening.getsockname()[1], application, server)
        finally:
            application.gate.set()
            server.should_exit = True
            await asyncio.wait_for(task, 10)


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the server has no event for these
            await asyncio.sleep(0.01)


async def flood(writer: asyncio.StreamWriter, content: bytes) -> None:
    for _ in range(1_000):
        writer.write(content)
        await writer.drain()


async def answers(reader: asyncio.StreamReader, count: int) -> list[tuple[bytes, bytes]]:
    """Status line and body of so many answers."""
    found = []
    for _ in range(count):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"content-length")
        )
        found.append((head.split(b"\r\n")[0], await reader.readexactly(int(length))))
    return found


async def refusal(served: Served, first: bytes, then: bytes) -> bytes:
    """The answer to `first`, which alone must be within the bounds, and `then`, up to the close."""
    async with served.connection() as (reader, writer):
        writer.write(first)
        await until(lambda: len(served.server.server_state.connections) == 1)
        connection = next(iter(served.server.server_state.connections))
        await until(lambda: connection._message_bytes >= len(first) - PIECE_BYTES)
        assert not reader.at_eof()
        writer.write(then)
        answer = await reader.read()
    await until(lambda: not served.server.server_state.connections)
    return answer


async def test_a_head_that_never_ends_is_refused_at_its_bound():
    async with serving() as served:
        header = b"X-Padding: " + b"x" * 9_000 + b"\r\n"
        first = HEAD + header * ((MAX_HEAD_BYTES - PIECE_BYTES) // len(header))
        answer = await refusal(served, first, header * 2)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answer
        assert b'"bad_request"' in answer
        one_header = await refusal(served, HEAD + b"X: ", b"x" * (MAX_HEAD_BYTES + PIECE_BYTES))
        assert one_header.startswith(b"HTTP/1.1 400 ")
        many = await refusal(served, HEAD, b"a:\r\n" * (MAX_HEADERS + 1))
        assert many.startswith(b"HTTP/1.1 400 ")
        assert served.application.requests == 0


async def test_a_head_may_be_as_large_as_browsers_make_them_and_no_larger():
    assert MAX_HEAD_BYTES == 16 * 1024
    async with serving() as served, served.connection() as (reader, writer):
        line = b"X-Padding: " + b"x" * 1_000 + b"\r\n"
        writer.write(HEAD + line * 15 + b"\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


async def test_a_url_that_never_ends_is_refused_at_its_bound():
    async with serving() as served:
        answer = await refusal(served, b"GET /", b"x" * (MAX_HEAD_BYTES + PIECE_BYTES))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert served.application.requests == 0


async def test_a_flood_of_headers_stops_being_read():
    async with serving() as served, served.connection() as (_, writer):
        writer.write(HEAD + b"X-Padding: ")
        with pytest.raises(ConnectionError):
            await flood(writer, b"x" * 100_000)


async def test_a_message_that_never_ends_is_refused_although_nobody_reads_its_body():
    async with serving() as served, served.connection() as (reader, writer):
        writer.write(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n")
        assert (await answers(reader, 1))[0][0] == b"HTTP/1.1 200 OK"
        with pytest.raises(ConnectionError):
            await flood(writer, b"x" * MAX_MESSAGE_BYTES)


@pytest.mark.parametrize(
    "begun", [b"", b"GET /echo", HEAD, b"\r\n", b"GET /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"]
)
async def test_a_connection_that_is_slow_with_its_head_is_closed(begun):
    async with serving(Hasty, timeout_keep_alive=60) as served, served.connection() as (reader, writer):
        writer.write(begun)
        while not reader.at_eof():  # a byte now and then does not keep it open
            try:
                async with asyncio.timeout(0.05):
                    await reader.read(1000)
            except TimeoutError:
                writer.write(b"x" if begun.startswith((b"GET", b"POST")) else b"\r\n"[: len(begun)])
            except ConnectionError:
                break


async def test_an_idle_connection_between_requests_is_not_closed_for_a_late_head():
    async with serving(Hasty, timeout_keep_alive=60) as served, served.connection() as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
            assert await answers(reader, 1) == [(b"HTTP/1.1 200 OK", b"0")]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3 * Hasty.head_timeout_s):
                    await reader.read(1)


async def test_a_slow_answer_does_not_count_against_a_pipelining_client():
    async with serving(Hasty, timeout_keep_alive=60) as served, served.connection() as (reader, writer):
        served.application.gate.clear()
        writer.write(HEAD + b"Content-Length: 0\r\n\r\n" + HEAD)
        await until(lambda: served.application.requests == 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3 * Hasty.head_timeout_s):
                await reader.read(1)
        served.application.gate.set()
        writer.write(b"Content-Length: 0\r\n\r\n")
        assert len(await answers(reader, 2)) == 2


async def test_an_answer_that_nobody_fetches_is_given_up():
    async with serving(Hasty) as served, served.connection() as (_, writer):
        writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: served.application.requests == 1)
        await until(lambda: not served.server.server_state.connections)


async def test_legal_requests_go_on_for_ever_on_one_connection():
    large = b"x" * 60_000
    padding = b"X-Padding: " + b"x" * 15_000 + b"\r\n"
    async with serving() as served, served.connection() as (reader, writer):
        for _ in range(300):
            writer.write(HEAD + b"Content-Length: 3\r\n\r\nabc")
            assert await answers(reader, 1) == [(b"HTTP/1.1 200 OK", b"3")]
        for _ in range(20):
            writer.write(HEAD + padding + b"Content-Length: %d\r\n\r\n" % len(large) + large)
            assert await answers(reader, 1) == [(b"HTTP/1.1 200 OK", b"60000")]
        in_single_bytes = b"1\r\nx\r\n" * 65_536 + b"0\r\n\r\n"
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + in_single_bytes)
        assert await answers(reader, 1) == [(b"HTTP/1.1 200 OK", b"65536")]


async def test_pipelined_requests_are_answered_in_order_and_parsed_no_faster_than_that():
    async with serving() as served, served.connection() as (reader, writer):
        served.application.gate.clear()
        bodies = [b"x" * (number % 50) for number in range(5_000)]
        writer.write(b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies))
        await until(lambda: served.application.requests == 1)
        connection = next(iter(served.server.server_state.connections))
        await until(lambda: connection.flow.read_paused)
        assert len(connection.pipeline) < PIECE_BYTES // len(HEAD)
        served.application.gate.set()
        found = await answers(reader, len(bodies))
        assert [body for _, body in found] == [b"%d" % len(body) for body in bodies]


async def test_a_bad_request_behind_a_good_one_is_not_answered_in_its_place():
    async with serving() as served, served.connection() as (reader, writer):
        served.application.gate.clear()
        writer.write(HEAD + b"Content-Length: 0\r\n\r\nnonsense\r\n\r\n")
        assert await reader.read() == b""


async def test_a_trailer_is_not_taken_for_a_header():
    chunks = b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
    async with serving() as served, served.connection() as (reader, writer):
        writer.write(HEAD + chunks)
        assert await answers(reader, 1) == [(b"HTTP/1.1 200 OK", b"1")]
        assert served.application.headers == [[(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]]


async def test_blanks_around_a_headers_value_are_not_part_of_it():
    async with serving() as served, served.connection() as (reader, writer):
        writer.write(HEAD + b"Content-Length: 0 \r\nExchange-Key:\t 0xab cd \t \r\nEmpty: \r\n\r\n")
        await answers(reader, 1)
        (headers,) = served.application.headers
        assert headers[-3:] == [(b"content-length", b"0"), (b"exchange-key", b"0xab cd"), (b"empty", b"")]


async def test_connections_over_the_limit_are_told_so_and_far_over_it_closed():
    limit = 2
    async with serving(limit_concurrency=limit) as served:
        opened = [
            await asyncio.open_connection("127.0.0.1", served.port) for _ in range(limit + SPARE_CONNECTIONS)
        ]
        await until(lambda: len(served.server.server_state.connections) == len(opened))
        async with served.connection() as (reader, _):
            assert await reader.read() == b""
        reader, writer = opened[0]
        writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
        answer = await reader.read()
        for _, other in opened:
            other.transport.abort()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"overloaded"' in answer
        assert b"retry-after: 1" in answer
        await until(lambda: not served.server.server_state.connections)
        async with served.connection() as (reader, writer):
            writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
            assert (await answers(reader, 1))[0][0] == b"HTTP/1.1 200 OK"
