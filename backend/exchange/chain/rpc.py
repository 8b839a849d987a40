"""The JSON-RPC client of one Ethereum node: only the calls that the exchange makes, as typed values.

Requests go over aiohttp directly. (web3's asynchronous provider takes a process-wide thread lock in a
worker thread for each request, and a request cancelled at that moment leaves it locked for ever; it also
opens a connection per request.) Nothing is retried here: a caller knows whether asking again is safe, and
after RpcUnavailable the outcome of a request is unknown. Addresses, hashes and ids are lower-case 0x text.
Source: Ethereum JSON-RPC specification; blocks by hash in `eth_call`: EIP-1898.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from exchange.chain.errors import ChainError, RpcAnswerInvalid, RpcError, RpcUnavailable, WrongChain

MAX_PARALLEL_CALLS = 8
MAX_FAULT_BYTES = 65_536
"""More than this is not read of an answer with an HTTP error status."""

T = TypeVar("T")

_NONSENSE = (KeyError, TypeError, ValueError, AttributeError, IndexError)
_HTTP_FAULT, _TOO_MANY_REQUESTS = 400, 429
_MAX_CODE_BITS = 63

_is_number = re.compile("0x[0-9a-fA-F]{1,64}", re.ASCII).fullmatch
_is_word = re.compile("0x[0-9a-f]{64}", re.ASCII).fullmatch
_is_address = re.compile("0x[0-9a-f]{40}", re.ASCII).fullmatch

UNKNOWN_BLOCK = -39001
_says_no_such_block = re.compile("unknown block|block.{0,20} not (found|available)", re.IGNORECASE).search


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
            status, raw = await self._post(msgspec.json.encode(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Not its text, and not chained: both name the URL, which may hold a key.
            raise RpcUnavailable(method, type(error).__name__) from None
        if status >= _HTTP_FAULT:
            raise _http_fault(method, status, raw)
        try:
            answer = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise RpcAnswerInvalid(method, str(error)) from None
        if not isinstance(answer, dict):
            raise RpcAnswerInvalid(method, answer)
        if fault := answer.get("error"):
            raise _fault(method, fault)
        if "result" not in answer:
            raise RpcAnswerInvalid(method, answer)
        return answer["result"]

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        """HTTP status and body of the answer; of a fault's body only what is read of one."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_PARALLEL_CALLS),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers={"Content-Type": "application/json"},
            )
        async with self._session.post(self.url, data=body) as response:
            if response.status < _HTTP_FAULT:
                return response.status, await response.read()
            fault = b""
            while some := await response.content.read(MAX_FAULT_BYTES - len(fault)):
                fault += some
            return response.status, fault

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
        try:
            return await self._typed(_optional(_header), "eth_getBlockByNumber", "finalized", False)
        except RpcError as error:  # some nodes say null, others this
            if error.code == UNKNOWN_BLOCK or _says_no_such_block(error.message):
                return None
            raise

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
        return await self._typed(_hash, "eth_sendRawTransaction", "0x" + raw.hex())

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


def _http_fault(method: str, status: int, raw: bytes) -> ChainError:
    """What an answer with an HTTP error status says.

    Providers refuse a request that way too (400 or 413 for a range of logs that is too wide), with the error
    of JSON-RPC in the body. But 429 is about us, not about the request: it was not looked at.
    """
    unavailable = RpcUnavailable(method, f"HTTP {status}")
    if status == _TOO_MANY_REQUESTS:
        return unavailable
    try:
        answer = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return unavailable
    fault = answer.get("error") if isinstance(answer, dict) else None
    return _fault(method, fault) if isinstance(fault, dict) and "code" in fault else unavailable


def _fault(method: str, fault: Any) -> ChainError:
    if not isinstance(fault, dict):
        return RpcError(method, 0, fault)
    code = 0 if fault.get("code") is None else fault["code"]
    if not isinstance(code, int) or code.bit_length() > _MAX_CODE_BITS:
        return RpcAnswerInvalid(method, fault)
    return RpcError(method, code, fault.get("message", ""), fault.get("data") or "")


def _optional(decode: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda answer: None if answer is None else decode(answer)


def _number(answer: Any) -> int:
    if not _is_number(answer):
        raise ValueError(answer)
    return int(answer, 16)


def _bytes(answer: Any) -> bytes:
    if not answer.startswith("0x"):
        raise ValueError(answer)
    return bytes.fromhex(answer[2:])


def _hash(answer: Any) -> str:
    lower: str = answer.lower()
    if not _is_word(lower):
        raise ValueError(answer)
    return lower


def _address(answer: Any) -> str:
    lower: str = answer.lower()
    if not _is_address(lower):
        raise ValueError(answer)
    return lower


def _header(answer: Any) -> Header:
    return Header(
        number=_number(answer["number"]),
        hash=_hash(answer["hash"]),
        parent_hash=_hash(answer["parentHash"]),
        time_s=_number(answer["timestamp"]),
        base_fee_wei=_number(answer.get("baseFeePerGas") or "0x0"),
    )


def _log(answer: Any) -> Log:
    return Log(
        address=_address(answer["address"]),
        topics=tuple(map(_hash, answer["topics"])),
        data=_bytes(answer["data"]),
        block_number=_number(answer["blockNumber"]),
        block_hash=_hash(answer["blockHash"]),
        tx_hash=_hash(answer["transactionHash"]),
        log_index=_number(answer["logIndex"]),
    )


def _logs(answer: Any) -> list[Log]:
    return [_log(entry) for entry in answer if not entry.get("removed")]


def _receipt(answer: Any) -> Receipt:
    return Receipt(
        tx_hash=_hash(answer["transactionHash"]),
        block_number=_number(answer["blockNumber"]),
        block_hash=_hash(answer["blockHash"]),
        succeeded=_number(answer["status"]) == 1,
        logs=tuple(_logs(answer["logs"])),
    )
