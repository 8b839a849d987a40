"""A wallet's transactions: signed here, sent by a node, followed until they are in a block. Needs web3.

web3 is used without its asyncio half, which does not survive cancellation, in a thread of its own. A
transaction is signed once and only ever sent again as the same bytes, so however often a node does not
answer, it happens at most once.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import requests
from eth_account.signers.local import LocalAccount

from exchange_sdk.errors import ChainError, TransactionReverted, TransactionUnknown, Unreachable
from exchange_sdk.models import Model
from exchange_sdk.web3_parts import (
    BadResponseFormat,
    Contract,
    ContractFunction,
    ContractLogicError,
    RequestTimedOut,
    TransactionNotFound,
    Web3,
    Web3Exception,
    Web3RPCError,
)

T = TypeVar("T")

NODE_TIMEOUT_S = 20.0
MINED_S = 600.0
LOOK_S = 0.25
SENT_AGAIN_EVERY_S = 5.0
NONCE_ATTEMPTS = 3
OVERTAKEN_LOOKS = 3
"""So often in turn another transaction is found in its place before that is believed: of several nodes behind
one address some know less than others."""

_TAKEN_NONCE = ("nonce too low", "replacement transaction underpriced", "nonce has already been used")
_KNOWN = ("already known", "already imported", "known transaction", "already in mempool")
_TELLS_NOTHING = frozenset({-32603, -32005})
"""Codes of an error inside the node, and of too many requests: what was sent may be on its way."""
CANNOT_TELL = (Unreachable, Web3Exception, ValueError)
"""What a question may end with that says nothing about a transaction."""

Locks = dict[tuple[int, str, str], asyncio.Lock]
_locks: "WeakKeyDictionary[asyncio.AbstractEventLoop, Locks]" = WeakKeyDictionary()


class Signed(Model, frozen=True):
    """A transaction that can be sent any number of times, and happens once."""

    tx_hash: str
    raw: str
    nonce: int


class ChainWallet:
    """A key on one chain, behind one node. `async with ChainWallet(...) as chain:`"""

    def __init__(self, rpc_url: str, account: LocalAccount, chain_id: int) -> None:
        self._web3 = Web3(Web3.HTTPProvider(rpc_url, request_kwargs={"timeout": NODE_TIMEOUT_S}))
        self._account = account
        self._chain_id = chain_id
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="exchange-sdk-chain")

    @property
    def address(self) -> str:
        """With its checksum."""
        return str(self._account.address)

    async def __aenter__(self) -> Self:
        """Raises ChainError when the node is of another chain, Unreachable when it does not answer."""
        try:
            found = await self.read(lambda: self._web3.eth.chain_id, "the node can not be asked")
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        if found != self._chain_id:
            self._thread.shutdown(wait=False)
            raise ChainError(f"the node is of chain {found}, the exchange of chain {self._chain_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False)

    def contract(self, address: str, abi: list[dict[str, Any]]) -> Contract:
        """A contract at an address."""
        return self._web3.eth.contract(Web3.to_checksum_address(address), abi=abi)

    async def ask(self, question: Callable[[], T]) -> T:
        """Asks the node. Raises Unreachable when it does not answer, or with what is no answer of a node; the
        errors that it answers with are passed on."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, question)
        except (requests.RequestException, OSError, json.JSONDecodeError, BadResponseFormat) as error:
            raise Unreachable(f"the chain's node does not answer: {error}") from error

    async def read(self, question: Callable[[], T], otherwise: str) -> T:
        """Asks the node before anything is sent. Raises ChainError for its errors, Unreachable."""
        try:
            return await self.ask(question)
        except (Web3Exception, ValueError) as error:
            raise ChainError(f"{otherwise}: {error}") from error

    def one_at_a_time(self, what: str) -> asyncio.Lock:
        """Of this key in this loop: nonces, and the permits of a token, are used one after the other."""
        locks = _locks.setdefault(asyncio.get_running_loop(), {})
        return locks.setdefault((self._chain_id, self.address, what), asyncio.Lock())

    async def balance(self) -> int:
        """What the wallet has of the chain's own coin, in atoms."""
        address = self._account.address
        return await self.read(lambda: int(self._web3.eth.get_balance(address)), "the node knows no balance")

    async def would_revert(self, call: ContractFunction) -> bool:
        """Whether the call fails as things are now."""
        try:
            await self.ask(lambda: call.estimate_gas({"from": self._account.address}))
        except (ContractLogicError, Web3RPCError):
            return True
        return False

    async def transact(
        self,
        call: ContractFunction,
        what: str,
        *,
        value: int = 0,
        on_signed: Callable[[Signed], Awaitable[None]] | None = None,
        timeout_s: float = MINED_S,
    ) -> Any:
        """Signs the call, sends it and waits until it is in a block, for so long at most; the receipt.

        Raises ChainError when nothing was sent, TransactionReverted, TransactionUnknown.
        """
        for attempt in range(1, NONCE_ATTEMPTS + 1):
            async with self.one_at_a_time("nonce"):
                signed = await self._sign(call, what, value)
                if on_signed is not None:
                    await on_signed(signed)
                was_taken = await self._send_first(signed, what)
            if was_taken:
                return await self.mined(signed, what, timeout_s)
            if attempt < NONCE_ATTEMPTS:
                await asyncio.sleep(LOOK_S)
        raise ChainError(f"{what}: something else keeps using this wallet's nonces; nothing was sent")

    async def mined(self, signed: Signed, what: str, timeout_s: float = MINED_S) -> Any:
        """Waits until a transaction is in a block, and sends its bytes again now and then; the receipt.

        Raises TransactionReverted, TransactionUnknown.
        """
        loop = asyncio.get_running_loop()
        until_s, send_again_s = loop.time() + timeout_s, loop.time() + SENT_AGAIN_EVERY_S
        overtaken = 0
        while loop.time() < until_s:
            try:
                receipt = await self.receipt(signed.tx_hash)
                if receipt is not None:
                    return _succeeded(receipt, what, signed)
                if loop.time() >= send_again_s:
                    send_again_s = loop.time() + SENT_AGAIN_EVERY_S
                    await self._require_in_play(signed, what)
                    overtaken = 0
            except TransactionReverted:
                raise
            except ChainError:
                overtaken += 1
                if overtaken == OVERTAKEN_LOOKS:
                    raise
            except CANNOT_TELL:
                pass  # it is asked again: this says nothing about the transaction
            await asyncio.sleep(LOOK_S)
        raise TransactionUnknown(f"{what}: in no block after {timeout_s:g} s", signed.tx_hash)

    async def receipt(self, tx_hash: str) -> Any | None:
        """The receipt of a transaction; None while it is in no block. Raises Unreachable."""
        try:
            return await self.ask(lambda: self._web3.eth.get_transaction_receipt(tx_hash))  # type: ignore[arg-type]
        except TransactionNotFound:
            return None

    async def is_known(self, tx_hash: str) -> bool:
        """Whether the node has a transaction, in a block or waiting for one. Raises Unreachable."""
        try:
            await self.ask(lambda: self._web3.eth.get_transaction(tx_hash))  # type: ignore[arg-type]
        except TransactionNotFound:
            return False
        return True

    async def send_again(self, signed: Signed) -> None:
        """Sends the same bytes once more. What the node says to that does not matter."""
        try:
            await self.ask(lambda: self._web3.eth.send_raw_transaction(signed.raw))  # type: ignore[arg-type]
        except CANNOT_TELL:
            return

    # ---- sending

    async def _sign(self, call: ContractFunction, what: str, value: int) -> Signed:
        try:
            transaction = await self.ask(lambda: self._built(call, value))
        except ContractLogicError as error:
            raise ChainError(f"{what}: the contract refuses it: {error.message or error}") from error
        except (Web3Exception, ValueError) as error:
            raise ChainError(f"{what}: the node refuses it: {error}") from error
        signed = self._account.sign_transaction(transaction)
        return Signed(
            tx_hash="0x" + bytes(signed.hash).hex(),
            raw="0x" + bytes(signed.raw_transaction).hex(),
            nonce=int(transaction["nonce"]),
        )

    def _built(self, call: ContractFunction, value: int) -> Any:
        eth = self._web3.eth
        sender = self._account.address
        history = eth.fee_history(1, "latest")
        tip = self._tip()
        gas = call.estimate_gas({"from": sender, "value": Web3.to_wei(value, "wei")})
        return call.build_transaction(
            {
                "from": sender,
                "value": Web3.to_wei(value, "wei"),
                "nonce": eth.get_transaction_count(sender, "pending"),
                "chainId": self._chain_id,
                "gas": gas + gas // 4,
                "maxPriorityFeePerGas": Web3.to_wei(tip, "wei"),
                "maxFeePerGas": Web3.to_wei(2 * int(history["baseFeePerGas"][-1]) + tip, "wei"),
            }
        )

    def _tip(self) -> int:
        try:
            return int(self._web3.eth.max_priority_fee)
        except (Web3Exception, ValueError):
            return 10**9

    async def _send_first(self, signed: Signed, what: str) -> bool:
        """Sends it; False when its nonce is taken. No answer is no answer: it may be on its way.

        Raises ChainError when the node refuses it, and does not have it.
        """
        try:
            await self.ask(lambda: self._web3.eth.send_raw_transaction(signed.raw))  # type: ignore[arg-type]
        except Unreachable:
            return True
        except (Web3Exception, ValueError) as error:
            text = str(error).lower()
            if any(known in text for known in _KNOWN):
                return True
            if any(taken in text for taken in _TAKEN_NONCE):
                return await self._may_be_known(signed)  # sent on twice, it takes the nonce from itself
            if not _tells_nothing(error) and not await self._may_be_known(signed):
                raise ChainError(f"{what}: the node refuses it: {error}") from error
        return True

    async def _may_be_known(self, signed: Signed) -> bool:
        try:
            return await self.is_known(signed.tx_hash)
        except CANNOT_TELL:
            return True

    async def _require_in_play(self, signed: Signed, what: str) -> None:
        """Sends it again. Raises ChainError when its nonce was used by another transaction."""
        used = await self.ask(lambda: self._web3.eth.get_transaction_count(self._account.address, "latest"))
        if used <= signed.nonce:
            await self.send_again(signed)
        elif await self.receipt(signed.tx_hash) is None:
            raise ChainError(f"{what}: another transaction took its nonce {signed.nonce}; nothing was done")


def _tells_nothing(error: Exception) -> bool:
    """Whether an error that a node answers with leaves it open if it took what was sent."""
    if isinstance(error, RequestTimedOut):
        return True
    response: Any = error.rpc_response if isinstance(error, Web3RPCError) else None
    try:
        return response["error"]["code"] in _TELLS_NOTHING
    except (KeyError, TypeError):
        return False


def _succeeded(receipt: Any, what: str, signed: Signed) -> Any:
    """The receipt. Raises TransactionReverted."""
    if receipt["status"] != 1:
        raise TransactionReverted(f"{what}: the transaction failed on the chain", signed.tx_hash)
    return receipt
