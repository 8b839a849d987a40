"""A chain's node that answers as it is told: also with what no node should say."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eth_utils.crypto import keccak

CHAIN_ID = 31337
GARBAGE = "<h1>Welcome</h1>"
"""What a proxy says with status 200."""


class Refuses(Exception):
    """An error of JSON-RPC, with status 200."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}


class Says(Exception):
    """No JSON at all, with status 200."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Answers(Exception):
    """Another result than the true one."""

    def __init__(self, result: Any) -> None:
        super().__init__(result)
        self.result = result


class FakeNode:
    """Has a chain on which every transaction is in a block at once."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: list[str] = []
        """Raw transactions, each as often as it came."""
        self.receipts: dict[str, dict[str, Any]] = {}
        self.before: dict[str, list[Exception]] = {}
        """By method: what the next calls of it are answered with, and nothing is done."""
        self.after: dict[str, list[Exception]] = {}
        """The same, once it is done."""

    def answer(self, method: str, parameters: list[Any]) -> Any:
        """The result. Raises Refuses, Says."""
        try:
            if self.before.get(method):
                raise self.before[method].pop(0)
            result = self._result(method, parameters)
            if self.after.get(method):
                raise self.after[method].pop(0)
        except Answers as instead:
            return instead.result
        return result

    def _result(self, method: str, parameters: list[Any]) -> Any:
        fixed: Mapping[str, Any] = {
            "eth_chainId": hex(CHAIN_ID),
            "eth_feeHistory": {"oldestBlock": "0x1", "baseFeePerGas": ["0x1", "0x1"], "gasUsedRatio": [0.5]},
            "eth_maxPriorityFeePerGas": "0x1",
            "eth_estimateGas": "0x5208",
            "eth_getTransactionCount": "0x1" if self.taken and parameters[-1] == "latest" else "0x0",
        }
        if method in fixed:
            return fixed[method]
        if method == "eth_sendRawTransaction":
            return self._take(parameters[0])
        if method == "eth_getTransactionReceipt":
            return self.receipts.get(parameters[0])
        if method == "eth_getTransactionByHash":
            return {"hash": parameters[0]} if parameters[0] in self.receipts else None
        raise Refuses(-32601, f"there is no {method}")

    def _take(self, raw: str) -> str:
        tx_hash = "0x" + keccak(hexstr=raw).hex()
        self.taken.append(raw)
        self.receipts[tx_hash] = {
            "transactionHash": tx_hash,
            "status": "0x1",
            "blockNumber": "0x2",
            "logs": [],
        }
        return tx_hash


@contextmanager
def fake_node() -> Iterator[FakeNode]:
    """One on a free port."""
    node = FakeNode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
            try:
                text = json.dumps(body | {"result": node.answer(asked["method"], asked["params"])})
            except Refuses as refused:
                text = json.dumps(body | {"error": refused.error})
            except Says as said:
                text = said.text
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        node.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield node
        finally:
            server.shutdown()
            thread.join()
