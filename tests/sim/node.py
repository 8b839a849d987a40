"""A node of the simulated chain, as the product's `Rpc` asks it: the real client and decoding, our answers.

A node may be silent, refuse, lag behind the chain, or keep a deposit's log to itself.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from tests.sim.chain import (
    BASE_FEE_WEI,
    CHAIN_ID,
    PRIORITY_FEE_WEI,
    VAULT,
    Block,
    ChainLog,
    SimChain,
    sent_transaction,
)
from tests.sim.faults import Faults
from tests.sim.loop import Host, HostGone

from exchange.chain.errors import RpcError, RpcUnavailable
from exchange.chain.rpc import Rpc
from exchange.chain.vault import (
    ACCOUNTED,
    DEPOSIT_COUNT_CALL,
    DEPOSIT_HASH_CALL,
    DEPOSITED,
    OUTFLOW,
    WITHDRAW,
    selector,
)

USED = selector("used(bytes32)")
MAX_RANGE_BLOCKS = 50


class SimRpc(Rpc):
    """Client and node in one, for one process of the exchange."""

    def __init__(self, host: Host, chain: SimChain, random: Random, faults: Faults) -> None:
        super().__init__("http://node.invalid")
        self._host = host
        self._chain = chain
        self._random = random
        self._faults = faults
        self._lag_blocks = 0
        self._answers: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(CHAIN_ID),
            "eth_getBlockByNumber": self._block,
            "eth_getLogs": self._logs,
            "eth_call": self._call,
            "eth_getTransactionCount": self._transaction_count,
            "eth_getBalance": lambda address, which: hex(10**20),
            "eth_maxPriorityFeePerGas": lambda: hex(PRIORITY_FEE_WEI),
            "eth_getTransactionReceipt": self._receipt,
            "eth_sendRawTransaction": self._send,
        }

    async def call(self, method: str, *params: Any) -> Any:
        if not self._host.alive:
            raise HostGone
        await asyncio.sleep(0.001 + self._random.random() * 0.01)
        faults = self._faults
        if faults.happens("rpc_refused", 0.004):
            faults.note("rpc_refused", method)
            raise RpcError(method, -32000, "the simulated node refuses")
        silent = faults.happens("rpc_silent", 0.004)
        if silent:
            faults.note("rpc_silent", method)
            if self._random.random() < 0.5:
                raise RpcUnavailable(method, "refused")
        if faults.happens("rpc_lagging", 0.003):
            self._lag_blocks = self._random.randint(1, 3)
            faults.note("rpc_lagging", self._lag_blocks)
        elif self._lag_blocks and self._random.random() < 0.2:
            self._lag_blocks = 0
        answer = self._answers[method](*params)
        if silent:  # it was done, and nobody heard of it
            raise RpcUnavailable(method, "TimeoutError")
        return answer

    # ---- answers

    @property
    def _blocks(self) -> list[Block]:
        blocks = self._chain.blocks
        return blocks[: max(2, len(blocks) - self._lag_blocks)] if self._lag_blocks else blocks

    def _at(self, block: str | dict[str, Any]) -> Block | None:
        blocks = self._blocks
        if isinstance(block, dict):
            return next((one for one in reversed(blocks) if one.hash == block["blockHash"]), None)
        if block == "latest":
            return blocks[-1]
        if block == "finalized":
            return self._chain.finalized
        number = int(block, 16)
        return blocks[number] if number < len(blocks) else None

    def _block(self, which: str, _full: bool) -> Any:
        block = self._at(which)
        if block is None:
            return None
        return {
            "number": hex(block.number),
            "hash": block.hash,
            "parentHash": block.parent_hash,
            "timestamp": hex(block.time_s),
            "baseFeePerGas": hex(BASE_FEE_WEI),
        }

    def _logs(self, query: dict[str, Any]) -> Any:
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        if last >= len(self._blocks) or last - first >= MAX_RANGE_BLOCKS:
            raise RpcError("eth_getLogs", -32602, "block range is beyond what this node serves")
        found = [
            self._log(block, log)
            for block in self._blocks[first : last + 1]
            for log in block.logs
            if _matches(log, query["topics"])
        ]
        if found and query["topics"] == [DEPOSITED] and self._faults.happens("log_withheld", 0.05):
            self._faults.note("log_withheld")
            del found[self._random.randrange(len(found))]
        return found

    def _log(self, block: Block, log: ChainLog) -> dict[str, Any]:
        return {
            "address": VAULT,
            "topics": log.topics,
            "data": "0x" + log.data.hex(),
            "blockNumber": hex(block.number),
            "blockHash": block.hash,
            "transactionHash": log.tx_hash,
            "logIndex": hex(log.log_index),
        }

    def _call(self, transaction: dict[str, Any], which: str | dict[str, Any]) -> Any:
        block = self._at(which)
        if block is None:
            raise RpcError("eth_call", -32000, "header not found")
        data, state = bytes.fromhex(transaction["data"][2:]), block.state
        match data[:4]:
            case selected if selected == DEPOSIT_COUNT_CALL:
                return f"0x{state.deposits:064x}"
            case selected if selected == DEPOSIT_HASH_CALL:
                return "0x" + state.deposit_hash.hex()
            case selected if selected == USED:
                return f"0x{int('0x' + data[4:].hex() in state.paid):064x}"
            case selected if selected == ACCOUNTED:
                return f"0x{state.accounted.get('0x' + data[-20:].hex(), 0):064x}"
            case selected if selected == OUTFLOW:
                return "0x" + "00" * 96
            case selected if selected == WITHDRAW:
                return "0x"  # the vault skips what it does not pay; it does not revert
        raise AssertionError(f"the simulated node does not know the call {data[:4].hex()}")

    def _transaction_count(self, address: str, which: str) -> Any:
        block = self._at(which)
        assert block is not None
        return hex(block.state.next_nonce)

    def _receipt(self, tx_hash: str) -> Any:
        for block in reversed(self._blocks):
            for sent in block.transactions:
                if sent.tx_hash == tx_hash:
                    return {
                        "transactionHash": tx_hash,
                        "blockNumber": hex(block.number),
                        "blockHash": block.hash,
                        "status": "0x1",
                        "logs": [self._log(block, log) for log in block.logs if log.tx_hash == tx_hash],
                    }
        return None

    def _send(self, raw: str) -> Any:
        sent = sent_transaction(bytes.fromhex(raw[2:]))
        if sent.nonce < self._blocks[-1].state.next_nonce:
            raise RpcError("eth_sendRawTransaction", -32000, "nonce too low")
        pooled = self._chain.pool.get(sent.nonce)
        if pooled is not None:
            if pooled.tx_hash == sent.tx_hash:
                raise RpcError("eth_sendRawTransaction", -32000, "already known")
            if sent.max_fee_wei * 10 < pooled.max_fee_wei * 11:
                raise RpcError("eth_sendRawTransaction", -32000, "replacement transaction underpriced")
        self._chain.pool[sent.nonce] = sent
        return sent.tx_hash


def _matches(log: ChainLog, topics: list[Any]) -> bool:
    for position, wanted in enumerate(topics):
        if wanted is None:
            continue
        options = wanted if isinstance(wanted, list) else [wanted]
        if position >= len(log.topics) or log.topics[position] not in options:
            return False
    return True
