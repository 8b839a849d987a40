"""The way to a real server, on which things get lost."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from enum import Enum, auto

import httpx


class Fault(Enum):
    """What happens to one request."""

    NONE = auto()
    ANSWER_LOST = auto()
    """The server gets it and answers; the answer does not arrive."""
    REQUEST_LOST = auto()
    """The server does not get it; no answer."""
    NO_CONNECTION = auto()
    GATEWAY_TIMEOUT = auto()
    """Something between answers in the server's place, after the server has done it."""
    NO_BACKEND = auto()
    """The same with 503, which some proxies also say when the server went away in the middle."""
    SLOW_BACKEND = auto()
    """The same with a status that only proxies have."""
    NONSENSE = auto()
    """The server does it; the answer is none."""
    GARBLED = auto()
    """The server does it; the answer can not be unpacked."""


class _Bytes(httpx.AsyncByteStream):
    """A body as it comes over the wire."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


class FaultyWay(httpx.AsyncBaseTransport):
    """Passes requests on, but for faults that were planned for the next ones of a kind."""

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.concerns: Callable[[httpx.Request], bool] = lambda request: request.method != "GET"
        self.sent: list[httpx.Request] = []
        """Those that the faults concern, in their order."""
        self._real = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.concerns(request):
            return await self._real.handle_async_request(request)
        self.sent.append(request)
        match self.faults.popleft() if self.faults else Fault.NONE:
            case Fault.NO_CONNECTION:
                raise httpx.ConnectError("refused", request=request)
            case Fault.REQUEST_LOST:
                raise httpx.ReadTimeout("no answer", request=request)
            case Fault.ANSWER_LOST:
                await self._done(request)
                raise httpx.RemoteProtocolError("disconnected without an answer", request=request)
            case Fault.GATEWAY_TIMEOUT:
                await self._done(request)
                return httpx.Response(504, text="<h1>Gateway Timeout</h1>", request=request)
            case Fault.NO_BACKEND:
                await self._done(request)
                return httpx.Response(503, text="no healthy upstream", request=request)
            case Fault.SLOW_BACKEND:
                await self._done(request)
                return httpx.Response(524, text="<h1>A timeout occurred</h1>", request=request)
            case Fault.GARBLED:
                await self._done(request)
                packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
                return httpx.Response(200, headers=packed, stream=_Bytes(b"no gzip"), request=request)
            case Fault.NONSENSE:
                await self._done(request)
                return httpx.Response(200, text="<h1>Welcome</h1>", request=request)
        return await self._real.handle_async_request(request)

    async def _done(self, request: httpx.Request) -> None:
        response = await self._real.handle_async_request(request)
        await response.aread()
        await response.aclose()

    async def aclose(self) -> None:
        await self._real.aclose()
