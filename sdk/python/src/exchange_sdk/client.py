"""`Exchange`: everything that can be done over HTTP, and the way to streams and to the chain."""

import logging
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from exchange_sdk.call import Call, Who
from exchange_sdk.clock import ExchangeClock, Nonces
from exchange_sdk.errors import ExchangeError, NoCredential
from exchange_sdk.market_data import MarketData
from exchange_sdk.models import Asset, Deposit, Market, Withdrawal
from exchange_sdk.numbers import Number
from exchange_sdk.ownership import Ownership
from exchange_sdk.retries import Retries
from exchange_sdk.signing import AgentKey
from exchange_sdk.trading import Trading
from exchange_sdk.transport import RateLimit, Transport
from exchange_sdk.version import __version__
from exchange_sdk.wallet import Wallet

if TYPE_CHECKING:
    from exchange_sdk.chain import DepositSent, OnProgress
    from exchange_sdk.errors import DepositPending, WithdrawalPending
    from exchange_sdk.stream import Stream
    from exchange_sdk.withdrawing import OnProgress as OnWithdrawal

log = logging.getLogger("exchange_sdk")


class Exchange(MarketData, Trading, Ownership):
    """One exchange. `async with Exchange(url, key=key) as exchange:`

    With a `key` it trades and reads for the owner who approved it. With a `wallet` it does that and what
    only the owner may; it signs in by itself. With both, the key trades. With neither, it reads what is
    public.
    """

    def __init__(
        self,
        url: str,
        *,
        key: AgentKey | None = None,
        wallet: Wallet | None = None,
        host: str | None = None,
        timeout_s: float = 10.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`url` is like `https://exchange.example`. `host`: the name that the exchange is known by, where
        it is reached by another one; nothing is signed for an exchange that claims another name. `http`:
        another transport of httpx, such as one with a proxy. `timeout_s`: for a connection, and for each
        pause of an answer, which is there as a whole in twice that or counts as none.
        """
        if key is not None and not isinstance(key, AgentKey):
            raise TypeError(f"key must be an AgentKey, not {type(key).__name__}")
        if wallet is not None and not isinstance(wallet, Wallet):
            raise TypeError(f"wallet must be a Wallet, not {type(wallet).__name__}")
        self.key = key
        self.wallet = wallet
        self._assets: dict[str, Asset] = {}
        self._markets: dict[str, Market] = {}
        self._approvals = Nonces()
        self._http = Transport(
            url,
            key=key,
            wallet=wallet,
            host=host,
            timeout_s=timeout_s,
            retries=retries,
            http=http,
            user_agent=f"exchange-sdk/{__version__}",
        )

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return self._http.url

    @property
    def clock(self) -> ExchangeClock:
        """The exchange's time, once something was signed."""
        return self._http.clock

    @property
    def seq(self) -> int:
        """The engine's sequence number of the newest change made here; your own things are read as new."""
        return self._http.seq

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the newest answer said of the budget that is nearest to empty; None where it said nothing."""
        return self._http.rate_limit

    async def session_token(self, *, refused: str | None = None) -> str:
        """The token of the wallet's session: signed in, and renewed, as needed; not the `refused` one."""
        if self._http.session is None:
            raise NoCredential("a session needs the owner's wallet: Exchange(url, wallet=...)")
        return await self._http.session.token(refused)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | None] | None = None,
        body: Mapping[str, Any] | None = None,
        who: Who = "trader",
    ) -> Any:
        """Any other request of the API, signed and with its errors as everywhere; the answer's JSON.

        Only GET and DELETE are sent again by themselves.
        """
        call = Call(
            method.upper(),
            path,
            params or {},
            body=body,
            who=who,
            repeatable=method.upper() in {"GET", "DELETE"},
        )
        answer: Any = await self._http.send(call, Any)
        return answer

    def stream(
        self,
        *,
        timeout_s: float = 10.0,
        silence_s: float = 10.0,
        first_delay_s: float = 0.25,
        longest_delay_s: float = 15.0,
        order_life_s: float = 10.0,
        compressed: bool = False,
    ) -> "Stream":
        """Everything that changes, and orders, over one WebSocket: `async with exchange.stream() as stream:`

        See `Stream` for the parameters.
        """
        from exchange_sdk.stream import Stream  # noqa: PLC0415 - it imports this

        return Stream(
            self,
            timeout_s=timeout_s,
            silence_s=silence_s,
            first_delay_s=first_delay_s,
            longest_delay_s=longest_delay_s,
            order_life_s=order_life_s,
            compressed=compressed,
        )

    async def deposit(
        self,
        asset: str,
        amount: Number,
        *,
        rpc_url: str,
        on_progress: "OnProgress | None" = None,
        timeout_s: float = 600.0,
    ) -> Deposit:
        """Pays from the wallet into the vault, over the chain's node at `rpc_url`, and waits until it counts.

        Needs the extra `chain`: `pip install exchange-sdk[chain]`. `on_progress` is told of each step, and
        awaited where it is a coroutine. Raises ChainError when nothing was deposited; DepositPending when it
        was sent and does not count yet, with which `wait_for_deposit` goes on.
        """
        from exchange_sdk.chain import deposit  # noqa: PLC0415 - web3 is an extra

        done = await deposit(
            self, asset, amount, rpc_url=rpc_url, on_progress=on_progress, timeout_s=timeout_s
        )
        assert isinstance(done, Deposit)
        return done

    async def send_deposit(
        self,
        asset: str,
        amount: Number,
        *,
        rpc_url: str,
        account: str | None = None,
        on_progress: "OnProgress | None" = None,
    ) -> "DepositSent":
        """The same, only until it is in a block: so several can follow each other at once.

        It is the wallet's own, or for the `account` (the address) of somebody else.
        """
        from exchange_sdk.chain import DepositSent, deposit  # noqa: PLC0415

        sent = await deposit(
            self, asset, amount, rpc_url=rpc_url, account=account, on_progress=on_progress, wait=False
        )
        assert isinstance(sent, DepositSent)
        return sent

    async def wait_for_deposit(
        self,
        sent: "DepositSent | DepositPending | str",
        *,
        on_progress: "OnProgress | None" = None,
        timeout_s: float = 600.0,
    ) -> Deposit:
        """Waits until a deposit of one's own counts: one that was sent, or its transaction's hash."""
        from exchange_sdk.chain import wait_for_deposit  # noqa: PLC0415

        return await wait_for_deposit(self, sent, on_progress=on_progress, timeout_s=timeout_s)

    async def withdraw(
        self,
        asset: str,
        amount: Number,
        *,
        destination: str | None = None,
        max_fee: Number | None = None,
        sub_account: int = 0,
        nonce: int | None = None,
        life_s: int | None = None,
        deadline_s: int | None = None,
        on_progress: "OnWithdrawal | None" = None,
        timeout_s: float | None = None,
        wait: bool = True,
    ) -> Withdrawal:
        """Signs a withdrawal with the wallet, asks for it, and waits until it is paid and settled.

        It goes to the wallet itself, unless there is another `destination`. `amount` leaves the balance; what
        arrives is less the fee, which is `max_fee` at most: what the exchange quotes, unless given. What is
        not paid within `life_s`, or by `deadline_s`, comes back. With `wait=False` it returns once the
        exchange has taken it. Called again with the same `max_fee`, `nonce` and `deadline_s`, after a crash
        too, it is the same withdrawal and goes on.

        Raises Refused, WithdrawalFailed when it is not paid, or WithdrawalPending, with which
        `wait_for_withdrawal` goes on.
        """
        from exchange_sdk.withdrawing import withdraw  # noqa: PLC0415 - it imports this

        return await withdraw(
            self,
            asset,
            amount,
            destination=destination,
            max_fee=max_fee,
            sub_account=sub_account,
            nonce=nonce,
            life_s=life_s,
            deadline_s=deadline_s,
            on_progress=on_progress,
            timeout_s=timeout_s,
            wait=wait,
        )

    async def wait_for_withdrawal(
        self,
        withdrawal: "Withdrawal | WithdrawalPending | str",
        *,
        on_progress: "OnWithdrawal | None" = None,
        timeout_s: float | None = None,
    ) -> Withdrawal:
        """Waits until a withdrawal, given by itself or by its id, is settled. Raises as `withdraw`."""
        from exchange_sdk.withdrawing import wait_for_withdrawal  # noqa: PLC0415

        return await wait_for_withdrawal(self, withdrawal, on_progress=on_progress, timeout_s=timeout_s)

    async def claim(self, asset: str, *, rpc_url: str, destination: str | None = None) -> Decimal:
        """Fetches from the vault what a `claimable` withdrawal left there; how much that was.

        To the wallet itself, unless there is another `destination`. Needs the extra `chain`.
        """
        from exchange_sdk.chain import claim  # noqa: PLC0415 - web3 is an extra

        return await claim(self, asset, rpc_url=rpc_url, destination=destination)

    async def aclose(self) -> None:
        """Signs out, where signed in, and ends the connections."""
        try:
            if self._http.session is not None:
                await self._http.session.end()
        except ExchangeError as error:
            log.debug("not signed out: %s", error)
        finally:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        who = ", ".join(repr(one) for one in (self.key, self.wallet) if one is not None)
        return f"Exchange({self.url!r}{', ' if who else ''}{who})"
