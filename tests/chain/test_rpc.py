"""The client against servers that answer wrongly, late, or not at all."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
import structlog
from aiohttp import web
from tests.fixtures.anvil import free_port

from exchange.chain.backoff import repeat
from exchange.chain.errors import (
    MAX_NODE_TEXT,
    ChainError,
    RpcAnswerInvalid,
    RpcError,
    RpcUnavailable,
    WrongChain,
)
from exchange.chain.rpc import MAX_FAULT_BYTES, Rpc, together


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


def ok(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
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


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Content Too Large", "500 Internal Server Error"])
async def test_a_refusal_with_an_http_error_status_is_the_nodes_error_all_the_same(serve, status):
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32614,"message":"limited to a 10,000 range"}}'
    with pytest.raises(RpcError) as caught:
        await (await serve(ok(body, status))).logs("0x" + "11" * 20, [], 0, 20_000)
    assert (caught.value.code, caught.value.message) == (-32614, "limited to a 10,000 range")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad Request</html>",
        b"null",
        b"[]",
        b"[" * 60_000,
        b'{"result":"0x1"}',
        b'{"error":"overloaded"}',
        b'{"error":{"reason":"overloaded"}}',
        b'{"error":{"code":-32614,"message":"' + b"a" * MAX_FAULT_BYTES + b'"}}',
    ],
)
async def test_an_http_error_without_an_error_of_the_node_is_an_unknown_outcome(serve, body):
    with pytest.raises(RpcUnavailable) as caught:
        await (await serve(ok(body, "400 Bad Request"))).chain_id()
    assert caught.value.cause == "HTTP 400"


async def test_too_many_requests_says_nothing_about_the_request(serve):
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":429,"message":"compute units exceeded"}}'
    with pytest.raises(RpcUnavailable) as caught:
        await (await serve(ok(body, "429 Too Many Requests"))).chain_id()
    assert caught.value.cause == "HTTP 429"


async def test_an_endless_body_of_an_http_error_is_not_waited_for():
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        while True:
            await response.write(b"a" * 65_536)

    app = web.Application()
    app.router.add_post("/", endless)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with Rpc(f"http://127.0.0.1:{port}", timeout_s=60.0) as rpc:
        with pytest.raises(RpcUnavailable) as caught:
            await rpc.chain_id()
    assert caught.value.cause == "HTTP 500"
    await runner.cleanup()


@pytest.mark.parametrize(
    "error",
    [
        b'{"code":-39001,"message":"Unknown block"}',
        b'{"code":-32000,"message":"finalized block not found"}',
        b'{"code":-32001,"message":"block \\"finalized\\" not available (head block: 7)"}',
    ],
)
async def test_a_chain_without_a_finalized_block_has_none_however_the_node_says_so(serve, error):
    assert await (await serve(ok(b'{"error":' + error + b"}"))).finalized() is None


@pytest.mark.parametrize(
    "error",
    [
        b'{"code":-32005,"message":"too many requests"}',
        b'{"code":-32601,"message":"the method is not available"}',
        b'{"code":-32000,"message":"header not found"}',
    ],
)
async def test_another_error_does_not_mean_that_there_is_no_finalized_block(serve, error):
    with pytest.raises(RpcError):
        await (await serve(ok(b'{"error":' + error + b"}"))).finalized()


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[" * 60_000,
        b'{"error":{"code":"nonce too low"}}',
        b'{"error":{"code":[]}}',
        b'{"error":{"code":1.5}}',
        b'{"error":{"code":%s}}' % (b"9" * 400),
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


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b'"a\\u0000b\\u202ec"', "a?b?c"),
        (b'{"reason":"\\u0000"}', "{'reason': '\\x00'}"),
        (b'"' + b"f" * 5_000 + b'"', "f" * MAX_NODE_TEXT),
    ],
)
async def test_the_data_of_an_error_can_be_stored_and_shown_as_its_message_can(serve, data, kept):
    rpc = await serve(ok(b'{"error":{"code":3,"message":"execution reverted","data":' + data + b"}}"))
    with pytest.raises(RpcError) as caught:
        await rpc.view("0x" + "11" * 20, b"")
    assert caught.value.data == kept
    assert str(caught.value) == f"eth_call: error 3 from the node: execution reverted ({kept})"


LOG = {
    "address": "0x" + "11" * 20,
    "topics": ["0x" + "22" * 32],
    "data": "0x",
    "blockNumber": "0x1",
    "blockHash": "0x" + "33" * 32,
    "transactionHash": "0x" + "44" * 32,
    "logIndex": "0x0",
}


@pytest.mark.parametrize(
    "change",
    [
        {"topics": ["0x" + "zz" * 32]},
        {"topics": ["0x" + "22" * 31]},
        {"topics": ["0x" + "22" * 32, "0x\u0000"]},
        {"address": "0x" + "11" * 19},
        {"blockHash": "0x"},
        {"transactionHash": "0x" + "44" * 31 + "4\u0000"},
        {"blockNumber": "0x-1"},
        {"blockNumber": " 0x1"},
        {"logIndex": "0x1_0"},
        {"data": "0xzz"},
    ],
)
async def test_a_log_whose_fields_are_not_what_they_should_be_makes_no_sense(serve, change):
    query = (LOG["address"], [], 1, 1)
    good = await serve(ok(msgspec.json.encode({"result": [LOG]})))
    [log] = await good.logs(*query)
    assert log.topics == ("0x" + "22" * 32,)
    bad = await serve(ok(msgspec.json.encode({"result": [LOG | change]})))
    with pytest.raises(RpcAnswerInvalid):
        await bad.logs(*query)


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
