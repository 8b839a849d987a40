"""The exchange as its clients see it: signing in, and reading back what an account has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

PAGE_LIMIT = 500
TIMEOUT_S = 15.0


class ApiFailed(Exception):
    """A request that must succeed did not."""

    def __init__(self, what: str, status: int, text: str) -> None:
        self.status = status
        super().__init__(f"{what} was answered {status}: {text[:300]}")


@dataclass(frozen=True, slots=True)
class Trader:
    """A signed-in wallet."""

    account_id: int
    address: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def open_session(url: str) -> aiohttp.ClientSession:
    """Connections of their own: those of before a kill are of no use after it."""
    return aiohttp.ClientSession(
        url, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), connector=aiohttp.TCPConnector(limit=0)
    )


async def request(
    http: aiohttp.ClientSession, method: str, path: str, trader: Trader | None = None, **options: Any
) -> dict[str, Any]:
    """An answer of success. Raises ApiFailed, aiohttp.ClientError, TimeoutError."""
    headers = None if trader is None else trader.headers
    async with http.request(method, path, headers=headers, **options) as response:
        if not response.ok:
            raise ApiFailed(f"{method} {path}", response.status, await response.text())
        answer: dict[str, Any] = await response.json()
        return answer


async def sign_in(http: aiohttp.ClientSession, key: LocalAccount) -> Trader:
    """Sign-In-With-Ethereum."""
    issued = await request(http, "POST", "/v1/auth/nonce", json={"address": key.address})
    signature = bytes(key.sign_message(encode_defunct(text=issued["message"])).signature)
    body = {
        "message": issued["message"],
        "signature": "0x" + signature.hex(),
        "pre_login_token": issued["pre_login_token"],
    }
    login = await request(http, "POST", "/v1/auth/login", json=body)
    return Trader(int(login["account_id"]), str(key.address), login["token"])


async def listing(
    http: aiohttp.ClientSession,
    path: str,
    trader: Trader,
    min_seq: int,
    until: Callable[[dict[str, Any]], bool] = lambda item: False,
    **parameters: str,
) -> list[dict[str, Any]]:
    """The items of a listing, newest first, as far as the first of which `until` is true."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"limit": str(PAGE_LIMIT), "min_seq": str(min_seq), **parameters}
        if cursor is not None:
            query["cursor"] = cursor
        page = await request(http, "GET", path, trader, params=query)
        for item in page["items"]:
            if until(item):
                return found
            found.append(item)
        cursor = page["next_cursor"]
        if cursor is None:
            return found
