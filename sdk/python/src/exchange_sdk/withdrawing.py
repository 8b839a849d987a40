"""Withdrawals in one call: signed by the wallet, handed in, and followed until they are settled.

What is signed is made here, never taken from the server: its digest is the withdrawal's id, at the exchange
and on the chain, so a withdrawal that is handed in twice is one withdrawal, and is paid once.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from eth_account.messages import encode_typed_data
from eth_utils.address import is_checksum_address, to_checksum_address
from eth_utils.crypto import keccak

from exchange_sdk.errors import (
    ExchangeError,
    NoCredential,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    Unavailable,
    Unreachable,
    WithdrawalFailed,
    WithdrawalPending,
)
from exchange_sdk.models import Model, Withdrawal
from exchange_sdk.numbers import Number, plain, to_atoms
from exchange_sdk.ownership import typed_data
from exchange_sdk.progress import tell
from exchange_sdk.wallet import Wallet

if TYPE_CHECKING:
    from exchange_sdk.client import Exchange

LIFE_S = 3_600
LIFE_REVIEWED_S = 23 * 3_600
"""Where a person looks at it first."""
HAND_IN_S = 60.0
"""For so long it is tried to hand one in."""
LOOK_S = 0.5
_TRIED_AGAIN = (Unreachable, Unavailable, RateLimited, ServerError)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

FIELDS = (
    ("account", "address"),
    ("subAccount", "uint8"),
    ("token", "address"),
    ("amount", "uint256"),
    ("maxFee", "uint256"),
    ("destination", "address"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
)


class _Withdrawal(Model, frozen=True):
    seq: int
    withdrawal: Withdrawal


class _Quote(Model, frozen=True):
    max_fee: Decimal
    reviewed: bool


class WithdrawalProgress(Model, frozen=True):
    """How far a withdrawal is: `signed` here, then its status at the exchange."""

    stage: str
    withdrawal_id: str
    withdrawal: Withdrawal | None = None


OnProgress = Callable[[WithdrawalProgress], Awaitable[None] | None]


async def withdraw(
    exchange: "Exchange",
    asset: str,
    amount: Number,
    *,
    destination: str | None = None,
    max_fee: Number | None = None,
    sub_account: int = 0,
    nonce: int | None = None,
    life_s: int | None = None,
    deadline_s: int | None = None,
    on_progress: OnProgress | None = None,
    timeout_s: float | None = None,
    wait: bool = True,
) -> Withdrawal:
    """See `Exchange.withdraw`."""
    wallet = exchange.wallet
    if wallet is None:
        raise NoCredential("a withdrawal needs the owner's wallet: Exchange(url, wallet=...)")
    target = _checked_address(destination or wallet.address)
    await exchange._http.ready()
    if max_fee is None or (life_s is None and deadline_s is None):
        quote = await _quote(exchange, asset, amount, target, sub_account)
        max_fee = quote.max_fee if max_fee is None else max_fee
        life_s = life_s or (LIFE_REVIEWED_S if quote.reviewed else LIFE_S)
    if deadline_s is None:
        deadline_s = exchange.clock.now_s() + (life_s or LIFE_S)
    body, withdrawal_id = await _signed(
        exchange, wallet, asset, amount, target, max_fee, sub_account, nonce, deadline_s
    )
    await tell(on_progress, WithdrawalProgress(stage="signed", withdrawal_id=withdrawal_id))
    taken = await _hand_in(exchange, body, withdrawal_id)
    if not wait:
        return taken
    try:
        return await _finished(exchange, withdrawal_id, on_progress, timeout_s, taken)
    except (WithdrawalFailed, WithdrawalPending):
        raise
    except ExchangeError as error:  # it was taken, so this is not how it ended
        raise WithdrawalPending(f"it can not be followed: {error}", withdrawal_id) from error


async def wait_for_withdrawal(
    exchange: "Exchange",
    withdrawal: Withdrawal | WithdrawalPending | str,
    *,
    on_progress: OnProgress | None = None,
    timeout_s: float | None = None,
) -> Withdrawal:
    """See `Exchange.wait_for_withdrawal`."""
    withdrawal_id = withdrawal if isinstance(withdrawal, str) else withdrawal.withdrawal_id
    return await _finished(exchange, withdrawal_id, on_progress, timeout_s)


async def _quote(
    exchange: "Exchange", asset: str, amount: Number, destination: str, sub_account: int
) -> _Quote:
    params = {
        "asset": asset,
        "amount": plain(amount, "amount"),
        "destination": destination,
        "sub_account": sub_account or None,
    }
    return await exchange._http.get("/v1/withdrawals/quote", _Quote, params, who="owner")


async def _signed(
    exchange: "Exchange",
    wallet: Wallet,
    asset: str,
    amount: Number,
    destination: str,
    max_fee: Number,
    sub_account: int,
    nonce: int | None,
    deadline_s: int,
) -> tuple[dict[str, Any], str]:
    """The request, and the withdrawal's id."""
    deployment = await exchange.deployment()
    listed = await exchange.asset(asset)
    message = {
        "account": wallet.address,
        "subAccount": sub_account,
        "token": listed.token,
        "amount": to_atoms(amount, listed.decimals, "amount"),
        "maxFee": to_atoms(max_fee, listed.decimals, "max_fee"),
        "destination": destination,
        "nonce": exchange._approvals.next(exchange.clock.now_ns()) if nonce is None else nonce,
        "deadline": deadline_s,
    }
    data = typed_data(deployment, "Withdrawal", FIELDS, message)
    signable = encode_typed_data(full_message=data)
    digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
    body = {
        "asset": listed.symbol,
        "amount": plain(amount, "amount"),
        "max_fee": plain(max_fee, "max_fee"),
        "destination": destination,
        "nonce": str(message["nonce"]),
        "deadline_s": message["deadline"],
        "signature": wallet.sign_typed(data),
    }
    if sub_account:
        body["sub_account"] = sub_account
    return body, "0x" + digest.hex()


async def _hand_in(exchange: "Exchange", body: dict[str, Any], withdrawal_id: str) -> Withdrawal:
    """Until the exchange has taken it, or refused it. Raises Refused, WithdrawalPending."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + HAND_IN_S
    may_be_taken = False
    while True:
        failed: ExchangeError
        try:
            answer = await exchange._http.post(
                "/v1/withdrawals", body, _Withdrawal, who="owner", repeatable=True
            )
        except OutcomeUnknown as unknown:
            may_be_taken, failed = True, unknown
        except _TRIED_AGAIN as error:
            failed = error
        except ExchangeError as error:
            may_be_taken = may_be_taken or error.code == "withdrawal_replayed"
            if not may_be_taken:
                raise
            failed = error
        else:
            return answer.withdrawal
        found = await _found(exchange, withdrawal_id)
        if found is not None:
            return found
        if loop.time() >= until_s:
            if may_be_taken:
                raise WithdrawalPending("it may have been taken or not", withdrawal_id) from failed
            raise failed
        await asyncio.sleep(LOOK_S)


async def _found(exchange: "Exchange", withdrawal_id: str) -> Withdrawal | None:
    """The withdrawal as it is now; None where it is not there, or can not be asked for."""
    try:
        exchange._http.note_seq((await exchange.time()).seq)  # what is read is as new as this
        return await _read(exchange, withdrawal_id)
    except ExchangeError:
        return None


async def _read(exchange: "Exchange", withdrawal_id: str) -> Withdrawal:
    who: Literal["owner", "trader"] = "owner" if exchange.wallet is not None else "trader"
    answer = await exchange._http.get(f"/v1/withdrawals/{withdrawal_id}", _Withdrawal, who=who)
    return answer.withdrawal


async def _finished(
    exchange: "Exchange",
    withdrawal_id: str,
    on_progress: OnProgress | None,
    timeout_s: float | None,
    known: Withdrawal | None = None,
) -> Withdrawal:
    """Looks until it is settled. Raises WithdrawalFailed, WithdrawalPending."""
    loop = asyncio.get_running_loop()
    until_s = None if timeout_s is None else loop.time() + timeout_s
    told: str | None = None
    found = known
    while True:
        if found is not None and found.status != told:
            told = found.status
            await tell(
                on_progress, WithdrawalProgress(stage=told, withdrawal_id=withdrawal_id, withdrawal=found)
            )
        if found is not None and found.status == "settled":
            return found
        if found is not None and found.status in {"rejected", "refunded"}:
            raise WithdrawalFailed(found.status, found.reason, withdrawal_id)
        if until_s is not None and loop.time() >= until_s:
            raise WithdrawalPending(f"it is {told or 'not known'} so far", withdrawal_id)
        await asyncio.sleep(LOOK_S)
        try:
            found = await _read(exchange, withdrawal_id)
        except _TRIED_AGAIN:
            found = None


def _checked_address(address: str) -> str:
    """With its checksum. Raises ValueError for what is none, and where its capitals are those of a typing
    error."""
    if _ADDRESS.fullmatch(address) is None:
        raise ValueError(f"an address is 0x and 40 hex digits, not {address!r}")
    if address[2:] not in {address[2:].lower(), address[2:].upper()} and not is_checksum_address(address):
        raise ValueError(f"the capitals of {address} are not its checksum: is a digit wrong?")
    return to_checksum_address(address)
