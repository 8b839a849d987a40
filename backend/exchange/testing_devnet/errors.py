"""What can go wrong between a test and its devnet."""

import contextlib
import json


class DevnetError(Exception):
    """Root of what a devnet for tests raises."""


class DevnetFailed(DevnetError):
    """The process did not start, or did not stop; the message ends with the last lines of its log."""


class RpcFailed(DevnetError):
    """The chain refused a call, or reverted a transaction."""

    def __init__(self, method: str, problem: str) -> None:
        self.method = method
        super().__init__(f"{method}: {problem}")


class ApiRefused(DevnetError):
    """The exchange answered a request with an error. `code` is the stable one, where the answer has one."""

    def __init__(self, request: str, status: int, body: str) -> None:
        self.status = status
        self.code = _code_in(body)
        super().__init__(f"{request} was answered with {status}: {body}")


class NotCredited(DevnetError):
    """A deposit was mined, and the exchange has not credited it in time."""

    def __init__(self, asset: str) -> None:
        super().__init__(f"a deposit of {asset} is not credited; the devnet's log may tell why")


def _code_in(body: str) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["code"])
    return ""
