"""The JSON-RPC client of one Ethereum node: only the calls that the exchange makes, as typed values.

Requests go over aiohttp directly. (web3's asynchronous provider takes a process-wide thread lock in a
worker thread for each request, and a request cancelled at that moment leaves it locked for ever; it also
opens a connection per request.) Nothing is retried here: a caller knows whether asking again is safe, and
after RpcUnavailable the outcome of a request is unknown. Addresses, hashes and ids are lower-case 0x text.
Source: Ethereum JSON-RPC specification; blocks by hash in `eth_call`: EIP-1898.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from exchange.chain.errors import RpcAnswerInvalid, RpcError, RpcUnavailable, WrongChain

MAX_PARALLEL_CALLS = 8

T = TypeVar("T")

_NONSENSE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header. `base_fee_wei` is 0 on a chain without EIP-1559."""

    number: int
    hash: str
    parent_hash: str
    time_s: int
    base_fee_wei: int


@dataclass(frozen=True, slots=True)
class Log:
    """One log entry, undecoded."""

    address: str
    topics: tuple[str, ...]
    data: bytes
    block_number: int
    block_hash: str
    tx_hash: str
    log_index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction. `succeeded` is False when it reverted."""

    tx_hash: str
    block_number: int
    block_hash: str
    succeeded: bool
    logs: tuple[Log, ...]


class Rpc:
    """Client of the node at `url`. Use as an async context manager, or call `close`.

    `timeout_s` covers a whole request, the wait for one of the MAX_PARALLEL_CALLS connections included.
    """

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._requests = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(self, method: str, *params: Any) -> Any:
        """The `result` of one request. Raises RpcUnavailable, RpcError, RpcAnswerInvalid."""
        self._requests += 1
        body = {"jsonrpc": "2.0", "id": self._requests, "method": method, "params": params}
        try:
            answer = msgspec.json.decode(await self._post(msgspec.json.encode(body)))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Not its text, and not chained: both name the URL, which may hold a key.
            raise RpcUnavailable(method, _cause(error)) from None
        except msgspec.DecodeError as error:
            raise RpcAnswerInvalid(method, str(error)) from None
        if not isinstance(answer, dict):
            raise RpcAnswerInvalid(method, answer)
        fault: Any = answer.get("error")
        if fault:
            if not isinstance(fault, dict):
                raise RpcError(method, 0, str(fault))
            raise RpcError(
                method,
                int(fault.get("code") or 0),
                str(fault.get("message", "")),
                str(fault.get("data") or ""),
            )
        if "result" not in answer:
            raise RpcAnswerInvalid(method, answer)
        return answer["result"]

    async def _post(self, body: bytes) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_PARALLEL_CALLS),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers={"Content-Type": "application/json"},
                raise_for_status=True,
            )
        async with self._session.post(self.url, data=body) as response:
            return await response.read()

    async def check_chain(self, chain_id: int) -> None:
        """Raises WrongChain when the node serves another chain."""
        found = await self.chain_id()
        if found != chain_id:
            raise WrongChain(chain_id, found)

    async def chain_id(self) -> int:
        return await self._typed(_number, "eth_chainId")

    async def head(self) -> Header:
        """The newest block."""
        return await self._typed(_header, "eth_getBlockByNumber", "latest", False)

    async def finalized(self) -> Header | None:
        """The newest block that can never be reorganized away; None while there is none."""
        return await self._typed(_optional(_header), "eth_getBlockByNumber", "finalized", False)

    async def header(self, number: int) -> Header | None:
        """The block of that number on the node's present branch; None when it is not there (yet)."""
        return await self._typed(_optional(_header), "eth_getBlockByNumber", hex(number), False)

    async def headers(self, numbers: Iterable[int]) -> dict[int, Header | None]:
        """Several headers by number, asked for in parallel."""
        wanted = list(numbers)
        return dict(zip(wanted, await together(*map(self.header, wanted)), strict=True))

    async def logs(
        self, address: str, topics: list[str | list[str] | None], first_block: int, last_block: int
    ) -> list[Log]:
        """Logs of both blocks and all between, oldest first."""
        query = {
            "address": address,
            "topics": topics,
            "fromBlock": hex(first_block),
            "toBlock": hex(last_block),
        }
        found = await self._typed(_logs, "eth_getLogs", query)
        return sorted(found, key=lambda log: (log.block_number, log.log_index))

    async def view(
        self, to: str, data: bytes, block_hash: str | None = None, sender: str | None = None
    ) -> bytes:
        """Answer of a contract at a block of the present branch (None: the newest). A revert is RpcError."""
        transaction = {"to": to, "data": "0x" + data.hex()}
        if sender is not None:
            transaction["from"] = sender
        block = {"blockHash": block_hash, "requireCanonical": True} if block_hash else "latest"
        return await self._typed(_bytes, "eth_call", transaction, block)

    async def code(self, address: str) -> bytes:
        return await self._typed(_bytes, "eth_getCode", address, "latest")

    async def balance(self, address: str) -> int:
        """Native atoms (wei) of an address."""
        return await self._typed(_number, "eth_getBalance", address, "latest")

    async def transaction_count(self, address: str, block_number: int | None = None) -> int:
        """Next nonce of an address as of a block (None: the newest), the pool not counted."""
        block = "latest" if block_number is None else hex(block_number)
        return await self._typed(_number, "eth_getTransactionCount", address, block)

    async def priority_fee_wei(self) -> int:
        return await self._typed(_number, "eth_maxPriorityFeePerGas")

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """The receipt, None while the transaction is not mined."""
        return await self._typed(_optional(_receipt), "eth_getTransactionReceipt", tx_hash)

    async def send_raw(self, raw: bytes) -> str:
        """Hands signed bytes to the node and answers with their hash. RpcUnavailable: it may have them."""
        return await self._typed(_text, "eth_sendRawTransaction", "0x" + raw.hex())

    async def _typed(self, decode: Callable[[Any], T], method: str, *params: Any) -> T:
        answer = await self.call(method, *params)
        try:
            return decode(answer)
        except _NONSENSE as error:
            raise RpcAnswerInvalid(method, answer) from error


async def together(*requests: Coroutine[Any, Any, T]) -> list[T]:
    """Answers of several requests made at once. The first fault is raised, when all have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(request) for request in requests]
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [task.result() for task in tasks]


def _cause(error: Exception) -> str:
    return f"HTTP {error.status}" if isinstance(error, aiohttp.ClientResponseError) else type(error).__name__


def _optional(decode: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda answer: None if answer is None else decode(answer)


def _number(answer: Any) -> int:
    return int(answer, 16)


def _bytes(answer: Any) -> bytes:
    if not answer.startswith("0x"):
        raise ValueError(answer)
    return bytes.fromhex(answer[2:])


def _text(answer: Any) -> str:
    lower: str = answer.lower()
    if not lower.startswith("0x"):
        raise ValueError(answer)
    return lower


def _header(answer: Any) -> Header:
    return Header(
        number=_number(answer["number"]),
        hash=_text(answer["hash"]),
        parent_hash=_text(answer["parentHash"]),
        time_s=_number(answer["timestamp"]),
        base_fee_wei=_number(answer.get("baseFeePerGas") or "0x0"),
    )


def _log(answer: Any) -> Log:
    return Log(
        address=_text(answer["address"]),
        topics=tuple(map(_text, answer["topics"])),
        data=_bytes(answer["data"]),
        block_number=_number(answer["blockNumber"]),
        block_hash=_text(answer["blockHash"]),
        tx_hash=_text(answer["transactionHash"]),
        log_index=_number(answer["logIndex"]),
    )


def _logs(answer: Any) -> list[Log]:
    return [_log(entry) for entry in answer if not entry.get("removed")]


def _receipt(answer: Any) -> Receipt:
    return Receipt(
        tx_hash=_text(answer["transactionHash"]),
        block_number=_number(answer["blockNumber"]),
        block_hash=_text(answer["blockHash"]),
        succeeded=_number(answer["status"]) == 1,
        logs=tuple(_logs(answer["logs"])),
    )
