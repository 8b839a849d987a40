"""From the chain and back to it. Depositing needs the extra `chain`: `pip install exchange-sdk[chain]`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from exchange_sdk.models import Deposit, Withdrawal
from exchange_sdk.numbers import Number

if TYPE_CHECKING:
    from exchange_sdk.chain import DepositSent
    from exchange_sdk.client import Exchange


class Custody:
    """Deposits and withdrawals, each in one call. They need the owner's wallet."""

    async def deposit(
        self: "Exchange",
        asset: str,
        amount: Number,
        *,
        rpc_url: str,
        account: str | None = None,
        on_progress: Callable[[Deposit], None] | None = None,
        timeout_s: float = 600.0,
    ) -> Deposit:
        """Pays from the wallet into the vault, over the chain's node at `rpc_url`, and waits until it counts.

        It is credited to the wallet's own account, or to the `account` (an address) of somebody else, for
        whom it can not be waited. `on_progress` is told of each change, such as one more confirmation.
        """
        from exchange_sdk.chain import deposit  # noqa: PLC0415 - web3 takes a second to import

        return await deposit(
            self,
            asset,
            amount,
            rpc_url=rpc_url,
            account=account,
            on_progress=on_progress,
            timeout_s=timeout_s,
        )

    async def send_deposit(
        self: "Exchange", asset: str, amount: Number, *, rpc_url: str, account: str | None = None
    ) -> "DepositSent":
        """The same without waiting until it counts: it is in a block. Several can follow each other."""
        from exchange_sdk.chain import send_deposit  # noqa: PLC0415

        return await send_deposit(self, asset, amount, rpc_url=rpc_url, account=account)

    async def wait_for_deposit(
        self: "Exchange",
        sent: "DepositSent | str",
        *,
        on_progress: Callable[[Deposit], None] | None = None,
        timeout_s: float = 600.0,
    ) -> Deposit:
        """Waits until a deposit, given by itself or by its transaction's hash, is credited."""
        from exchange_sdk.chain import wait_for_deposit  # noqa: PLC0415

        return await wait_for_deposit(self, sent, on_progress=on_progress, timeout_s=timeout_s)

    async def withdraw(
        self: "Exchange",
        asset: str,
        amount: Number,
        *,
        destination: str | None = None,
        max_fee: Number | None = None,
        sub_account: int = 0,
        nonce: int | None = None,
        life_s: int = 3_600,
        on_progress: Callable[[Withdrawal], None] | None = None,
        timeout_s: float | None = None,
        wait: bool = True,
    ) -> Withdrawal:
        """Signs a withdrawal with the wallet, asks for it, and waits until it is settled or refunded.

        To the wallet itself, unless there is another `destination`. `amount` is what leaves the balance, the
        fee included, which is at most `max_fee`: what the exchange quotes, unless given. What is not paid
        within `life_s` comes back. With `wait=False` it returns as soon as the exchange has taken it.
        """
        from exchange_sdk.withdrawing import withdraw  # noqa: PLC0415

        return await withdraw(
            self,
            asset,
            amount,
            destination=destination,
            max_fee=max_fee,
            sub_account=sub_account,
            nonce=nonce,
            life_s=life_s,
            on_progress=on_progress,
            timeout_s=timeout_s,
            wait=wait,
        )

    async def wait_for_withdrawal(
        self: "Exchange",
        withdrawal: Withdrawal | str,
        *,
        on_progress: Callable[[Withdrawal], None] | None = None,
        timeout_s: float | None = None,
    ) -> Withdrawal:
        """Waits until a withdrawal, given by itself or by its id, is settled or refunded."""
        from exchange_sdk.withdrawing import wait_for_withdrawal  # noqa: PLC0415

        return await wait_for_withdrawal(self, withdrawal, on_progress=on_progress, timeout_s=timeout_s)
