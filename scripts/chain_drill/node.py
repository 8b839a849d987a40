"""A node as bad as nodes get: the real one, through a client that loses, hides, alters and lags.

What it can not do is to forge what the vault says by `eth_call`: that would be another chain, not a lie about
this one (see `exchange.chain.deposits`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from scripts.chain_drill.faults import Fault

from exchange.chain.errors import RpcError, RpcUnavailable
from exchange.chain.rpc import Rpc

NoteFault = Callable[[Fault], None]
TIMEOUT_S = 0.5
"""Of one request: a node that hangs is given up quickly."""


@dataclass(slots=True)
class Mood:
    """How bad the node is just now; shares are of its answers, 0 to 1."""

    request_lost: float = 0.0
    answer_lost: float = 0.0
    send_answer_lost: float = 0.0
    """Beyond `answer_lost`, of the answers to a transaction that was handed in."""
    log_hidden: float = 0.0
    log_forged: float = 0.0
    behind: float = 0.0
    behind_blocks: int = 0


class BadNode(Rpc):
    """The real client in a mood. `note` is told of each fault as it happens."""

    def __init__(self, url: str, random: Random, note: NoteFault, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(url, timeout_s)
        self.mood = Mood()
        self._random = random
        self._note = note

    async def call(self, method: str, *params: Any) -> Any:
        mood = self.mood
        if self._happens(mood.request_lost):
            self._note(Fault.REQUEST_LOST)
            raise RpcUnavailable(method, "the drill lost the request")
        if self._happens(mood.behind):
            return await self._call_behind(method, params, mood.behind_blocks)
        answer = await super().call(method, *params)
        if method == "eth_sendRawTransaction" and self._happens(mood.send_answer_lost):
            self._note(Fault.SEND_ANSWER_LOST)
            raise RpcUnavailable(method, "the drill lost the answer")
        if self._happens(mood.answer_lost):
            self._note(Fault.ANSWER_LOST)
            raise RpcUnavailable(method, "the drill lost the answer")
        if method == "eth_getLogs" and answer:
            return self._lie(answer)
        return answer

    def _happens(self, share: float) -> bool:
        return share > 0.0 and self._random.random() < share

    def _lie(self, logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        told = []
        for entry in logs:
            if self._happens(self.mood.log_hidden):
                self._note(Fault.LOGS_HIDDEN)
                continue
            if self._happens(self.mood.log_forged):
                self._note(Fault.LOG_FORGED)
                told.append(entry | {"data": _one_atom_more(entry["data"])})
                continue
            told.append(entry)
        return told

    async def _call_behind(self, method: str, params: tuple[Any, ...], blocks: int) -> Any:
        """The answer of a node that has not heard of the newest blocks."""
        head = int((await super().call("eth_blockNumber")), 16) - blocks
        if method == "eth_getBlockByNumber":
            self._note(Fault.NODE_BEHIND)
            which = params[0]
            if which in ("latest", "finalized"):
                number = head if which == "latest" else head - 2
                return await super().call(method, hex(max(0, number)), *params[1:])
            return None if int(which, 16) > head else await super().call(method, *params)
        if method == "eth_getLogs" and int(params[0]["toBlock"], 16) > head:
            self._note(Fault.NODE_BEHIND)
            raise RpcError(method, -32000, "block range extends beyond current head block")
        return await super().call(method, *params)


def _one_atom_more(data: str) -> str:
    """The data of a deposit's log with another amount."""
    return "0x" + format(int(data[2:66], 16) + 1, "064x") + data[66:]
