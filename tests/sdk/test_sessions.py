"""Which exchange is signed for, and the owner's session with it."""

import asyncio

import httpx
import pytest
from tests.sdk.market import Market

from exchange_sdk import AgentKey, Exchange, Wallet
from exchange_sdk.errors import NotAuthenticated, UnexpectedAnswer, Unreachable, WrongDeployment
from exchange_sdk.origin import host_of, origin_of, require_host
from exchange_sdk.session import require_login_text

HOST, ADDRESS = "exchange.example", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
LOGIN = f"""{HOST} wants you to sign in with your Ethereum account:
{ADDRESS}

Sign in to the exchange.

URI: https://exchange.example
Version: 1
Chain ID: 31337
Nonce: abcdefgh
Issued At: 2026-11-29T10:00:00Z"""


def test_a_login_to_this_exchange_is_signed() -> None:
    require_login_text(LOGIN, HOST, ADDRESS, 31337)


@pytest.mark.parametrize(
    "changed",
    [
        LOGIN.replace(f"{HOST} wants", "other.example wants"),
        LOGIN.replace(f"{HOST} wants", f"{HOST}:444 wants"),
        LOGIN.replace(f"{HOST} wants", f"https://{HOST} wants"),
        LOGIN.replace(ADDRESS, "0x" + "11" * 20),
        LOGIN.replace(f"\n{ADDRESS}", f" \n{ADDRESS}"),
        LOGIN.replace("Chain ID: 31337", "Chain ID: 1"),
        LOGIN.replace("31337", "313370"),
        LOGIN.replace("URI: https://exchange.example", "URI: https://other.example"),
        "Send all my money",
        "",
    ],
)
def test_anything_else_is_not_signed(changed: str) -> None:
    with pytest.raises(WrongDeployment):
        require_login_text(changed, HOST, ADDRESS, 31337)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Exchange.Example", "exchange.example"),
        ("https://exchange.example:443/", "exchange.example"),
        ("https://exchange.example:8443", "exchange.example:8443"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://[::1]:80", "[::1]"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_an_exchange_is_named_as_its_origin_is(url: str, host: str) -> None:
    assert host_of(url) == host
    assert origin_of(url).partition("://")[2] == host


@pytest.mark.parametrize(
    "url",
    ["", "exchange.example", "ftp://exchange.example", "https://exchange.example/v1", "https://me@exchange.example",
     "https://exchange.example?x=1", "https://exchange.example#x", "https://"],
)  # fmt: skip
def test_what_is_no_address_of_an_exchange_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url must be"):
        Exchange(url)


def test_only_on_ones_own_machine_names_are_not_told_apart() -> None:
    for claimed in ("localhost:8000", "127.0.0.1:9", "[::1]:9", "exchange.localhost"):
        require_host(claimed, "127.0.0.1:8000")
    require_host("exchange.example", "exchange.example")
    for claimed, expected in (
        ("exchange.example", "localhost:8000"),
        ("localhost:8000", "exchange.example"),
        ("exchange.example:444", "exchange.example"),
        ("localhost.example", "localhost"),
        ("10.0.0.1", "localhost"),
    ):
        with pytest.raises(WrongDeployment, match="host="):
            require_host(claimed, expected)


async def test_nothing_is_signed_for_an_exchange_that_claims_another_name(market: Market) -> None:
    wallet = await market.wallet(ETH=1)
    for options in ({"key": AgentKey.generate()}, {"wallet": wallet}):
        asked: list[httpx.Request] = []
        way = Watched(asked)
        async with Exchange(market.url, host="exchange.example", http=way, **options) as exchange:  # type: ignore[arg-type]
            with pytest.raises(WrongDeployment, match=r"says that it is 'localhost:8000'"):
                await exchange.balances()
        assert [request.url.path for request in asked] == ["/v1/deployment"]


class Watched(httpx.AsyncHTTPTransport):
    """Keeps what was sent."""

    def __init__(self, sent: list[httpx.Request]) -> None:
        super().__init__()
        self._sent = sent

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._sent.append(request)
        return await super().handle_async_request(request)


class Forging(httpx.AsyncHTTPTransport):
    """A server that hands on another exchange's login."""

    def __init__(self) -> None:
        super().__init__()
        self.logins = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        self.logins += request.url.path == "/v1/auth/login"
        if request.url.path != "/v1/auth/nonce":
            return response
        content = (await response.aread()).replace(b"localhost:8000 wants", b"exchange.example wants")
        await response.aclose()
        return httpx.Response(200, content=content)


async def test_a_login_to_another_exchange_that_the_server_hands_on_is_not_signed(market: Market) -> None:
    forging = Forging()
    async with market.owner(http=forging) as exchange:
        with pytest.raises(WrongDeployment, match=r"exchange\.example"):
            await exchange.balances()
    assert forging.logins == 0


async def test_many_tasks_sign_in_once(market: Market) -> None:
    sent: list[httpx.Request] = []
    async with market.owner(http=Watched(sent)) as exchange:
        await asyncio.gather(*(exchange.balances() for _ in range(20)))
        assert len(exchange._http._client.cookies) == 0, "the login's cookie is for browsers"
    assert [request.url.path for request in sent].count("/v1/auth/login") == 1


async def test_a_session_that_ended_elsewhere_is_replaced(market: Market) -> None:
    async with market.owner() as exchange:
        token = await exchange.session_token()
        headers = {"Authorization": f"Bearer {token}"}
        assert (await market.running.client.post("/v1/auth/logout", headers=headers)).status_code == 204
        tokens = await asyncio.gather(*(exchange.balances() for _ in range(10)))
        assert len(tokens) == 10
        assert await exchange.session_token() != token


async def test_a_session_is_renewed_before_it_is_over(market: Market) -> None:
    async with market.owner() as exchange:
        token = await exchange.session_token()
        market.running.faults.clock_ahead_ns = 3_550 * 10**9  # of the hour that it lasts here
        assert await exchange.session_token() == token
        exchange.clock.forget()
        await exchange._http.ready()
        renewed = await exchange.session_token()
        assert renewed != token
        assert await exchange.session_token() == renewed
        assert (await exchange.balances())["ETH"].total == 10


async def test_a_refused_login_is_told_and_not_tried_for_ever(market: Market) -> None:
    sent: list[httpx.Request] = []
    wallet = Wallet.generate()
    other = Wallet.generate()
    async with Exchange(market.url, wallet=wallet, http=Watched(sent)) as exchange:
        wallet._account = Masked(wallet, other)  # type: ignore[assignment]
        with pytest.raises(NotAuthenticated, match="signature_wrong_signer"):
            await exchange.balances()
    assert [request.url.path for request in sent].count("/v1/auth/login") == 1


class Masked:
    """A wallet that shows one address and signs with another's key."""

    def __init__(self, shown: Wallet, signing: Wallet) -> None:
        self.address = shown.address
        self.sign_message = signing.account.sign_message


async def test_what_is_no_exchange_is_told_from_one() -> None:
    def website(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="<h1>Welcome</h1>")

    async with Exchange("https://exchange.example", http=httpx.MockTransport(website)) as exchange:
        with pytest.raises(UnexpectedAnswer, match="GET /v1/markets: not the answer it should be"):
            await exchange.markets()

    def moved(request: httpx.Request) -> httpx.Response:
        return httpx.Response(301, headers={"Location": "https://other.example/"})

    async with Exchange("https://exchange.example", http=httpx.MockTransport(moved)) as exchange:
        with pytest.raises(UnexpectedAnswer, match="status 301"):
            await exchange.markets()


async def test_where_nothing_listens_is_unreachable() -> None:
    async with Exchange("http://127.0.0.1:1") as exchange:
        exchange._http.sleep = lambda seconds: asyncio.sleep(0)
        with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1 can not be reached"):
            await exchange.markets()


@pytest.mark.parametrize("options", [{"key": "0x12"}, {"wallet": "0x12"}, {"url": 7}])
def test_what_is_no_credential_is_refused_at_once(options: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Exchange(**{"url": "http://localhost:8000"} | options)  # type: ignore[arg-type]
