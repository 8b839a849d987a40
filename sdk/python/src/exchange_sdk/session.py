"""The owner's session: signed in with the wallet when it is first needed, and again before it is over.

The server writes the text to sign (Sign-In-With-Ethereum). Before it is signed its lines are compared: it
must be for this exchange, this wallet and this chain, so that no server gets a login to another one.
"""

import asyncio
from typing import TYPE_CHECKING

from exchange_sdk.call import Call
from exchange_sdk.errors import OutcomeUnknown, Unreachable, WrongDeployment
from exchange_sdk.models import Model
from exchange_sdk.origin import host_of, require_host
from exchange_sdk.wallet import Wallet

if TYPE_CHECKING:
    from exchange_sdk.transport import Transport

_RENEWED_BEFORE_MS = 60_000
_ASKS = " wants you to sign in with your Ethereum account:"


class _Nonce(Model, frozen=True):
    message: str
    pre_login_token: str
    expires_at_ms: int


class _Login(Model, frozen=True):
    token: str
    address: str
    account_id: str
    expires_at_ms: int


class Session:
    """Gives a token that is good now."""

    def __init__(self, wallet: Wallet, http: "Transport") -> None:
        self.wallet = wallet
        self._http = http
        self._login: _Login | None = None
        self._signing_in = asyncio.Lock()

    @property
    def is_signed_in(self) -> bool:
        return self._login is not None

    async def token(self, refused: str | None = None) -> str:
        """The session's token; never the one that was refused. Raises ExchangeError."""
        async with self._signing_in:
            login = self._login
            if login is None or login.token == refused or self._is_nearly_over(login):
                login = self._login = await self._signed_in()
            return login.token

    async def end(self) -> None:
        """Signs out, where signed in. Raises ExchangeError."""
        login, self._login = self._login, None
        if login is not None:
            call = Call("POST", "/v1/auth/logout", token=login.token, repeatable=False)
            await self._http.send(call, type(None))

    def _is_nearly_over(self, login: _Login) -> bool:
        return login.expires_at_ms - self._http.clock.now_ms() < _RENEWED_BEFORE_MS

    async def _signed_in(self) -> _Login:
        """A login, whose answer may be lost: then another one. Raises Unreachable, and never OutcomeUnknown,
        which would say that what it is needed for may have been done."""
        attempt = 1
        while True:
            try:
                return await self._sign_in()
            except OutcomeUnknown as unknown:
                delay_s = self._http.retries.delay_s(attempt, None)
                if delay_s is None:
                    raise Unreachable("nobody could be signed in: no answer came") from unknown
            attempt += 1
            await self._http.sleep(delay_s)

    async def _sign_in(self) -> _Login:
        await self._http.ready()
        deployment = await self._http.deployment()
        address = self.wallet.address
        nonce = await self._http.send(Call("POST", "/v1/auth/nonce", body={"address": address}), _Nonce)
        require_login_text(nonce.message, self._http.host, address, deployment.chain_id)
        body = {
            "message": nonce.message,
            "signature": self.wallet.sign_text(nonce.message),
            "pre_login_token": nonce.pre_login_token,
        }
        return await self._http.send(Call("POST", "/v1/auth/login", body=body, repeatable=False), _Login)


def require_login_text(text: str, host: str, address: str, chain_id: int) -> None:
    """Raises WrongDeployment unless the text signs this wallet in to this exchange, and does nothing else."""
    lines = text.split("\n")
    asking, _, rest = lines[0].partition(_ASKS)
    if rest or not lines[0].endswith(_ASKS):
        raise WrongDeployment("the server gave something to sign that is no login")
    require_host(asking, host)
    if lines[1:2] != [address]:
        raise WrongDeployment("the server gave a login of another wallet to sign")
    stated = dict(line.split(": ", 1) for line in lines[2:] if ": " in line)
    require_host(host_of(stated.get("URI", "")), host)
    if stated.get("Chain ID") != str(chain_id):
        raise WrongDeployment("the server gave a login for another chain to sign")
