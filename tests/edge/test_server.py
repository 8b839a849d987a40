import asyncio
import socket

import httpx
from tests.edge.harness import served

from exchange.edge.app import create_app


async def spoken(url: str, request: bytes) -> bytes:
    """The answer to raw bytes on a connection, up to where the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.transport.abort()


async def test_a_real_server_refuses_a_body_as_soon_as_it_is_too_large(exchange):
    head = b"POST /v1/auth/nonce HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with served(create_app(exchange.edge)) as url:
        declared = await spoken(url, head + b"Content-Length: 1000000\r\n\r\n")
        assert declared.startswith(b"HTTP/1.1 413 ")
        assert b'"body_too_large"' in declared
        chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        endless = await spoken(url, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 9)
        assert endless.startswith(b"HTTP/1.1 413 ")
        assert b"server:" not in endless.lower()


async def test_a_client_that_goes_away_stops_nothing(exchange):
    head = b"POST /v1/auth/nonce HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with served(create_app(exchange.edge)) as url:
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as gone:
            gone.sendall(head + b"Content-Length: 100\r\n\r\n{")
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            assert (await client.get("/v1/health/ready")).status_code == 200


async def test_orders_placed_at_once_over_real_connections_are_all_taken_in(exchange):
    trader = await exchange.trader(USDC=10**12)
    body = {"market": "ETH-USDC", "side": "buy", "price": "10", "size": "0.1"}
    async with (
        served(create_app(exchange.edge)) as url,
        httpx.AsyncClient(
            base_url=url, timeout=20, headers={"Authorization": f"Bearer {trader.token}"}
        ) as client,
    ):
        answers = await asyncio.gather(*(client.post("/v1/orders", json=body) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["order"]["order_id"] for answer in answers}) == 100
    assert len(exchange.view.open_orders(trader.account_id)) == 100
