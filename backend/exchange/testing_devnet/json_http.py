"""JSON over HTTP, blocking, a connection for each request: what fixtures need, and from any thread."""

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from exchange.testing_devnet.errors import ApiRefused, RpcFailed

TIMEOUT_S = 30.0
TRIES_WHEN_LIMITED = 20
_RATE_LIMITED = 429


def request(
    method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, str, Mapping[str, str]]:
    """Status, body and headers (names in lower case). Raises OSError when nobody answers."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        payload = None if body is None else json.dumps(body)
        sent = {"Content-Type": "application/json", **(headers or {})} if body is not None else headers or {}
        connection.request(method, target, payload, dict(sent))
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {url}: {error!r}") from error
    finally:
        connection.close()


def call(method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
    """The decoded answer; waits where the exchange says that it is asked too often. Raises ApiRefused."""
    for _ in range(TRIES_WHEN_LIMITED):
        status, text, answer_headers = request(method, url, body, headers)
        if status != _RATE_LIMITED:
            break
        time.sleep(float(answer_headers.get("retry-after", "1")))
    if not 200 <= status < 300:
        raise ApiRefused(f"{method} {url}", status, text)
    return json.loads(text) if text else None


def rpc(url: str, method: str, *parameters: object) -> Any:
    """Result of a JSON-RPC call. Raises RpcFailed."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    status, text, _ = request("POST", url, message)
    if status != 200:
        raise RpcFailed(method, f"answered with {status}: {text}")
    answer = json.loads(text)
    if "error" in answer:
        raise RpcFailed(method, str(answer["error"].get("message", answer["error"])))
    return answer.get("result")
