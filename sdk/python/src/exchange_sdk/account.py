"""What an owner, or a key with the scope `read`, may read of the owner's accounts."""

from typing import TypeVar
from urllib.parse import quote

from exchange_sdk.errors import NotFound
from exchange_sdk.history import History, Page
from exchange_sdk.market_data import time_param
from exchange_sdk.models import (
    Agent,
    Balance,
    Deposit,
    DepositAddress,
    Fill,
    LedgerEntry,
    Me,
    Model,
    Order,
    OrderStatus,
    Transfer,
    WhoAmI,
    Withdrawal,
    WithdrawalAddress,
    WithdrawalQuote,
)
from exchange_sdk.numbers import Number, plain
from exchange_sdk.orders import OrderRef, Time, client_order_id_of, order_id_of, time_ms_of
from exchange_sdk.transport import Transport

T = TypeVar("T")


class _Balances(Model, frozen=True):
    seq: int
    items: tuple[Balance, ...]


class _Order(Model, frozen=True):
    seq: int
    order: Order


class _Withdrawal(Model, frozen=True):
    seq: int
    withdrawal: Withdrawal


class _WithdrawalAddresses(Model, frozen=True):
    delay_s: int
    items: tuple[WithdrawalAddress, ...]


class Account:
    """Reads of one's own. Each is at least as new as one's own newest change."""

    _http: Transport

    async def whoami(self) -> WhoAmI:
        """Who asks, for which owner, with which scopes, and what is left of its limits."""
        return await self._http.get("/v1/whoami", WhoAmI, who="trader")

    async def me(self) -> Me:
        """The owner's accounts, their limits and states, and the fee tier."""
        return await self._http.get("/v1/me", Me, who="trader")

    async def agents(self) -> list[Agent]:
        """The keys that the owner has approved, newest first, ended ones too."""
        return await self._history("/v1/agents", Page[Agent], False, None).all()

    async def balances(self, sub_account: int = 0) -> dict[str, Balance]:
        """What an account has, by asset."""
        answer = await self._http.get("/v1/balances", _Balances, {"sub_account": sub_account}, who="trader")
        return {balance.asset: balance for balance in answer.items}

    async def order(self, order: OrderRef) -> Order:
        """One of your orders as it is now, open or ended. Raises UnknownOrder."""
        path = f"/v1/orders/{order_id_of(order)}"
        return (await self._http.get(path, _Order, who="trader")).order

    async def open_orders(self, market: str | None = None, *, sub_account: int = 0) -> list[Order]:
        """All open orders, oldest first; those that wait for a trigger too."""
        return await self.orders(market, status="open", oldest_first=True, sub_account=sub_account).all()

    async def find_order(
        self, client_order_id: str, *, since: Time | None = None, sub_account: int = 0
    ) -> Order | None:
        """The newest order with this client_order_id, or None. Ended ones older than `since` are none."""
        path = f"/v1/orders/client/{client_order_id_of(client_order_id)}"
        try:
            found = (await self._http.get(path, _Order, {"sub_account": sub_account}, who="trader")).order
        except NotFound:
            pass  # or there are too many newer ones to look through for who is to answer at once
        else:
            is_too_old = since is not None and (found.created_ms or 0) < time_ms_of(since, "since")
            return None if is_too_old and found.status != "open" else found
        async for order in self.orders(status="all", since=since, sub_account=sub_account):
            if order.client_order_id == client_order_id:
                return order
        return None

    def orders(
        self,
        market: str | None = None,
        *,
        status: OrderStatus = "all",
        since: Time | None = None,
        until: Time | None = None,
        oldest_first: bool = False,
        resume: str | None = None,
        sub_account: int = 0,
    ) -> History[Order]:
        """Orders by when they were placed, newest first unless asked otherwise."""
        return self._history(
            "/v1/orders",
            Page[Order],
            oldest_first,
            resume,
            **_span(since, until),
            market=market,
            status=status,
            sub_account=sub_account,
        )

    def fills(
        self,
        market: str | None = None,
        *,
        order: OrderRef | None = None,
        since: Time | None = None,
        until: Time | None = None,
        oldest_first: bool = False,
        resume: str | None = None,
        sub_account: int = 0,
    ) -> History[Fill]:
        """Your side of each trade, newest first unless asked otherwise."""
        return self._history(
            "/v1/fills",
            Page[Fill],
            oldest_first,
            resume,
            **_span(since, until),
            market=market,
            order_id=None if order is None else order_id_of(order),
            sub_account=sub_account,
        )

    def ledger(
        self,
        *,
        since: Time | None = None,
        until: Time | None = None,
        oldest_first: bool = False,
        resume: str | None = None,
        sub_account: int = 0,
    ) -> History[LedgerEntry]:
        """Every movement of a balance; their changes add up to the balances."""
        span = _span(since, until)
        return self._history(
            "/v1/ledger", Page[LedgerEntry], oldest_first, resume, **span, sub_account=sub_account
        )

    def transfers(
        self,
        *,
        since: Time | None = None,
        until: Time | None = None,
        oldest_first: bool = False,
        resume: str | None = None,
        sub_account: int = 0,
    ) -> History[Transfer]:
        """Between your own accounts."""
        span = _span(since, until)
        return self._history(
            "/v1/transfers", Page[Transfer], oldest_first, resume, **span, sub_account=sub_account
        )

    def deposits(
        self,
        *,
        since: Time | None = None,
        until: Time | None = None,
        oldest_first: bool = False,
        resume: str | None = None,
    ) -> History[Deposit]:
        """Deposits. Newest first, pending ones come before all others; oldest first they are left out."""
        return self._history("/v1/deposits", Page[Deposit], oldest_first, resume, **_span(since, until))

    def withdrawals(
        self,
        *,
        since: Time | None = None,
        until: Time | None = None,
        oldest_first: bool = False,
        resume: str | None = None,
        sub_account: int = 0,
    ) -> History[Withdrawal]:
        """Withdrawals and how far they are."""
        span = _span(since, until)
        return self._history(
            "/v1/withdrawals", Page[Withdrawal], oldest_first, resume, **span, sub_account=sub_account
        )

    async def withdrawal(self, withdrawal_id: str) -> Withdrawal:
        """One withdrawal as it is now. Raises NotFound."""
        path = f"/v1/withdrawals/{quote(withdrawal_id, safe='')}"
        return (await self._http.get(path, _Withdrawal, who="trader")).withdrawal

    async def withdrawal_quote(
        self, asset: str, amount: Number, *, destination: str | None = None, sub_account: int = 0
    ) -> WithdrawalQuote:
        """What a withdrawal would cost now, and for what it would be refused."""
        return await self._http.get(
            "/v1/withdrawals/quote",
            WithdrawalQuote,
            {
                "asset": asset,
                "amount": plain(amount, "amount"),
                "destination": destination,
                "sub_account": sub_account,
            },
            who="trader",
        )

    async def withdrawal_addresses(self) -> list[WithdrawalAddress]:
        """Where withdrawals may go, where the exchange keeps such a list."""
        answer = await self._http.get("/v1/withdrawal-addresses", _WithdrawalAddresses, who="trader")
        return list(answer.items)

    async def deposit_address(self) -> DepositAddress:
        """An address of your own: what is sent to it is yours. Raises NotFound where there are none."""
        return await self._http.get("/v1/deposit-address", DepositAddress, who="trader")

    def _history(
        self,
        path: str,
        into: type[Page[T]],
        oldest_first: bool,
        resume: str | None,
        **params: str | int | None,
    ) -> History[T]:
        order = "asc" if oldest_first or resume is not None else None

        async def fetch(cursor: str | None, limit: int) -> Page[T]:
            asked = {**params, "cursor": cursor, "limit": limit, "order": order}
            return await self._http.get(path, into, asked, who="trader")

        return History(fetch, resume)


def _span(since: Time | None, until: Time | None) -> dict[str, str | None]:
    return {"from": time_param(since, "since"), "to": time_param(until, "until")}
