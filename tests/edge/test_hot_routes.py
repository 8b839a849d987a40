"""The shorter way to the routes that trade answers as the framework does, and is taken for nothing else."""

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from tests.edge.harness import Exchange, Trader

from exchange.edge.hot_routes import HotRoutes
from exchange.sequencer.sequencer import EngineStopped, Overloaded

ORDER = {"market": "ETH-USDC", "side": "buy", "price": "3000", "size": "1"}
HOT = [
    ("POST", "/v1/orders", ORDER),
    ("POST", "/v1/orders", {**ORDER, "price": "3000.001"}),
    ("POST", "/v1/orders", ["no object"]),
    ("POST", "/v1/orders?market=ETH-USDC", ORDER),
    ("DELETE", "/v1/orders?side=buy", None),
    ("DELETE", "/v1/orders?side=buy&side=sell", None),
    ("POST", "/v1/orders/batch", {"operations": [{"op": "place", **ORDER}, {"op": "cancel"}]}),
    ("POST", "/v1/orders/batch", {"operations": []}),
    ("PATCH", "/v1/orders/1", {"size": "0.5"}),
    ("DELETE", "/v1/orders/1", None),
    ("DELETE", "/v1/orders/batch", None),
    ("DELETE", "/v1/orders/%31", None),
    ("DELETE", "/v1/orders/client", None),
    ("DELETE", "/v1/orders/client/mine?sub_account=0", None),
    ("DELETE", "/v1/orders/client/mine?sub_account=x", None),
    ("DELETE", "/v1/orders/client/m%20e", None),
]
NOT_HOT = [
    ("GET", "/v1/orders", None),
    ("GET", "/v1/orders/1", None),
    ("PUT", "/v1/orders", ORDER),
    ("POST", "/v1/orders/", ORDER),
    ("DELETE", "/v1/orders/", None),
    ("DELETE", "/v1/orders/1/2", None),
    ("DELETE", "/v1/orders/client/", None),
    ("DELETE", "/v1/orders/client/mine/2", None),
    ("GET", "/v1/orders/client/mine", None),
    ("PATCH", "/v1/orders/client/mine", {"size": "0.5"}),
    ("POST", "/v1//orders", ORDER),
    ("POST", "/v1/orders/1", ORDER),
    ("PATCH", "/v1/orders/batch/1", {"size": "0.5"}),
]


def without_what_differs(answer: Any) -> Any:
    """An answer but for what no two of them share."""
    if isinstance(answer, dict):
        unlike = {"seq", "order_id", "created_ms", "ended_ms", "request_id", "time_ms"}
        return {name: without_what_differs(value) for name, value in answer.items() if name not in unlike}
    if isinstance(answer, list):
        return [without_what_differs(value) for value in answer]
    return answer


async def answered(trader: Trader, method: str, path: str, body: object) -> tuple[int, Any, set[str]]:
    given = {} if body is None else {"json": body}
    answer = await trader.request(method, path, **given)
    return answer.status_code, without_what_differs(answer.json()), set(answer.headers)


@pytest.fixture
def framework_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths that were handed on to the framework."""
    calls: list[str] = []
    served = HotRoutes.__call__

    async def watched(self: HotRoutes, scope: Scope, receive: Receive, send: Send) -> None:
        framework = self._app

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            calls.append(scope["path"])
            await framework(scope, receive, send)

        self._app = counted
        try:
            await served(self, scope, receive, send)
        finally:
            self._app = framework

    monkeypatch.setattr(HotRoutes, "__call__", watched)
    return calls


@pytest.mark.parametrize(("method", "path", "body"), HOT)
async def test_both_ways_have_one_answer(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: object
) -> None:
    trader = await exchange.trader(USDC=10**11)
    short = await answered(trader, method, path, body)
    monkeypatch.setattr(HotRoutes, "_find", lambda *_: None)
    assert await answered(trader, method, path, body) == short


@pytest.mark.parametrize("error", [EngineStopped(), Overloaded(7), OSError("lost"), ZeroDivisionError()])
async def test_both_ways_have_one_answer_to_an_error(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    trader = await exchange.trader(USDC=10**11)
    exchange.faults.refuse = error
    short = await answered(trader, "POST", "/v1/orders", ORDER)
    monkeypatch.setattr(HotRoutes, "_find", lambda *_: None)
    assert await answered(trader, "POST", "/v1/orders", ORDER) == short
    assert short[0] in {500, 503}


@pytest.mark.parametrize(("method", "path", "body"), HOT)
async def test_what_trades_goes_the_short_way(
    exchange: Exchange, framework_calls: list[str], method: str, path: str, body: object
) -> None:
    trader = await exchange.trader()
    framework_calls.clear()
    await answered(trader, method, path, body)
    assert framework_calls == []


@pytest.mark.parametrize(("method", "path", "body"), NOT_HOT)
async def test_all_else_goes_the_long_way(
    exchange: Exchange, framework_calls: list[str], method: str, path: str, body: object
) -> None:
    trader = await exchange.trader()
    framework_calls.clear()
    await answered(trader, method, path, body)
    assert framework_calls == [path]
