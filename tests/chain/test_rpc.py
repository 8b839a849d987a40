"""The client against servers that answer wrongly, late, or not at all."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import structlog
from aiohttp import web
from tests.fixtures.anvil import free_port

from exchange.chain.backoff import repeat
from exchange.chain.errors import ChainError, RpcAnswerInvalid, RpcError, RpcUnavailable, WrongChain
from exchange.chain.rpc import Rpc, together


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[bytes | None], Awaitable[Rpc]]]:
    """A node that gives one answer (an HTTP response) to everything; None: silence."""
    servers: list[asyncio.Server] = []
    clients: list[Rpc] = []

    async def start(answer: bytes | None) -> Rpc:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65_536)
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        client = Rpc(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=0.3)
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()
    for server in servers:
        server.close()
        await server.wait_closed()


def ok(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


async def test_silence_is_an_unknown_outcome(serve):
    with pytest.raises(RpcUnavailable, match="eth_chainId"):
        await (await serve(None)).chain_id()


async def test_a_refused_connection_is_an_unknown_outcome():
    async with Rpc(f"http://127.0.0.1:{free_port()}", timeout_s=1) as rpc:
        with pytest.raises(RpcUnavailable):
            await rpc.head()


async def test_a_broken_off_answer_is_an_unknown_outcome(serve):
    with pytest.raises(RpcUnavailable):
        await (await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")).head()


async def test_neither_errors_nor_logs_tell_the_address_of_the_node_which_may_hold_a_key():
    async def refuse(_: web.Request) -> web.Response:
        raise web.HTTPTooManyRequests

    app = web.Application()
    app.router.add_post("/v2/secret-key", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    told: list[Exception] = []

    async def stop() -> None:
        raise asyncio.CancelledError

    for at in (port, free_port()):  # one refuses the request, the other the connection
        async with Rpc(f"http://user:secret-key@127.0.0.1:{at}/v2/secret-key", timeout_s=2) as rpc:

            async def step(client: Rpc = rpc) -> None:
                if told:
                    raise asyncio.CancelledError
                await client.chain_id()

            with structlog.testing.capture_logs() as logs, pytest.raises(asyncio.CancelledError):
                await repeat("test", step, stop, first_fault_pause_s=0.01, on_fault=told.append)
        error = told.pop()
        assert isinstance(error, RpcUnavailable)
        assert error.cause == ("HTTP 429" if at == port else "ClientConnectorError")
        everything = "".join(traceback.format_exception(error)) + repr(error) + str(logs)
        assert "secret-key" not in everything
        assert str(at) not in everything
    await runner.cleanup()


async def test_an_overloaded_server_is_an_unknown_outcome(serve):
    with pytest.raises(RpcUnavailable):
        await (await serve(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")).head()


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"result":"12"}',
        b'{"result":{"number":"0x1"}}',
        b'{"result":7}',
        b'{"result":null}',
        b'{"result":["0x1"]}',
    ],
)
async def test_an_answer_that_makes_no_sense_is_told_apart(serve, body):
    with pytest.raises(RpcAnswerInvalid):
        await (await serve(ok(body))).head()


async def test_an_error_of_the_node_keeps_code_message_and_data_but_no_control_characters(serve):
    rpc = await serve(ok(b'{"error":{"code":-32000,"message":"nonce\\u0000 too low","data":"0xab"}}'))
    with pytest.raises(RpcError) as caught:
        await rpc.send_raw(b"\x02")
    assert (caught.value.code, caught.value.message, caught.value.data) == (-32000, "nonce? too low", "0xab")


async def test_the_wrong_chain_is_refused(rpc):
    await rpc.check_chain(31337)
    with pytest.raises(WrongChain):
        await rpc.check_chain(1)


async def test_a_revert_is_an_error_of_the_node(rpc, deployment):
    with pytest.raises(RpcError):
        await rpc.view(deployment.vault, b"\x12\x34\x56\x78")


async def test_what_does_not_exist_is_none(rpc):
    assert await rpc.header(10**6) is None
    assert await rpc.receipt("0x" + "12" * 32) is None


async def test_requests_cancelled_at_any_moment_leave_the_client_usable(rpc):
    for attempt in range(50):
        task = asyncio.create_task(rpc.head())
        for _ in range(attempt % 10):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (await rpc.head()).number == 0


async def test_requests_made_together_fail_with_the_first_fault_and_none_left_running(rpc):
    async def fail() -> int:
        raise RpcUnavailable("test", "test")

    with pytest.raises(ChainError):
        await together(rpc.chain_id(), fail(), rpc.chain_id())
    assert await together(rpc.chain_id(), rpc.chain_id()) == [31337, 31337]
