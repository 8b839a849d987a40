"""Whatever cookies a request has, only ours are looked at, and that takes no time."""

import http.cookies

import httpx
import pytest
from starlette.requests import Request
from tests.edge.harness import ORIGIN, Exchange, problem, served

from exchange.edge.app import create_app
from exchange.edge.cookies import SESSION_COOKIE, cookies_of, own_cookies, take_cookies

SLOW_TO_UNQUOTE = 'theme="' + "\\" * 10_000 + '"'


@pytest.fixture
def never_unquoted(monkeypatch: pytest.MonkeyPatch) -> None:
    def unquote(_: str) -> str:
        raise AssertionError("this takes seconds")

    monkeypatch.setattr(http.cookies, "_unquote", unquote)


@pytest.mark.usefixtures("never_unquoted")
async def test_no_cookie_of_others_is_read_by_any_route(exchange: Exchange) -> None:
    trader = await exchange.trader()
    cookie = {"Cookie": f"{SLOW_TO_UNQUOTE}; {SESSION_COOKIE}={trader.token}; a=b"}
    for path in (
        "/v1/time",
        "/v1/health/live",
        "/v1/markets",
        "/docs",
        "/openapi.json",
        "/v1/me",
        "/nowhere",
    ):
        answer = await exchange.client.get(path, headers=cookie)
        assert answer.status_code == (404 if path == "/nowhere" else 200), path
    placed = await exchange.client.post("/v1/orders", headers=cookie | {"Origin": ORIGIN}, json={})
    problem(placed, 422, "field_missing")


@pytest.mark.usefixtures("never_unquoted")
async def test_none_is_read_at_the_upgrade(exchange: Exchange) -> None:
    async with (
        served(create_app(exchange.edge, exchange.hub)) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Cookie": SLOW_TO_UNQUOTE,
        }
        async with client.stream("GET", "/v1/ws", headers=upgrade) as answer:
            assert answer.status_code == 101


@pytest.mark.parametrize(
    ("lines", "token"),
    [
        ([b"__Host-session=abc"], "abc"),
        ([b"a=b;__Host-session=abc;c=d"], "abc"),
        ([b"a=b; \t__Host-session = abc ; c"], "abc"),
        ([b"__Host-session=abc; __Host-session=def"], "def"),
        ([b"__Host-session=abc", b"__Host-session=def"], "def"),
        ([b"__Host-session="], ""),
        ([b"__Host-session=a=b"], "a=b"),
        ([b'__Host-session="abc"'], '"abc"'),
        ([b"__Host-session=\xff"], "\u00ff"),
        ([b"x__Host-session=abc"], None),
        ([b"__Host-session2=abc"], None),
        ([b"__host-session=abc"], None),
        ([b"__Host-session"], None),
        ([b";" * 60_000], None),
        ([b" " * 60_000], None),
        ([], None),
    ],
)
def test_ours_are_found_wherever_they_stand(lines: list[bytes], token: str | None) -> None:
    headers = [(b"host", b"here"), *((b"cookie", line) for line in lines), (b"x", b"__Host-session=no")]
    assert own_cookies(headers).get(SESSION_COOKIE) == token
    scope = {"type": "http", "headers": headers}
    take_cookies(scope)
    request = Request(scope)
    assert cookies_of(request).get(SESSION_COOKIE) == token
    assert "cookie" not in request.headers
    assert request.headers["x"] == "__Host-session=no"
