"""Trading does not wait for ClickHouse: `exchange serve` beside one that is not there, or says nothing."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.chain.conftest import Wallet
from tests.e2e.test_metrics import samples
from tests.e2e.test_withdrawal_terms import (  # noqa: F401 - one is a fixture
    EXCHANGE,
    PATIENCE_S,
    environment,
    free_port,
    serving,
    sign_in,
)
from tests.fixtures.clickhouse_server import ClickHouseServer, clickhouse_server

from exchange.chain import dev_keys
from exchange.chain.deployment import Deployment
from exchange.chain.rpc import Rpc

pytestmark = pytest.mark.timeout(300)

LAG_S = "exchange_projection_lag_seconds clickhouse"
LAG = "exchange_projection_lag_commands clickhouse"
UP = "exchange_clickhouse_up"


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


@dataclass
class Venue:
    """A running exchange with a seller and a buyer who have plenty."""

    seller: httpx.AsyncClient
    buyer: httpx.AsyncClient
    metrics_url: str
    trades: int = 0
    refusals: int = 0

    async def trade(self, count: int) -> None:
        """So many trades, each order acknowledged."""
        for _ in range(count):
            for client, side in ((self.seller, "sell"), (self.buyer, "buy")):
                body = {"market": "ETH-USDC", "side": side, "price": "100", "size": "0.001"}
                answer = await client.post("/v1/orders", json=body)
                assert answer.status_code == httpx.codes.CREATED, answer.text
        self.trades += count

    async def metrics(self) -> dict[str, float]:
        async with httpx.AsyncClient() as prometheus:
            return samples((await prometheus.get(self.metrics_url)).text)

    async def candles(self, limit: int = 500) -> httpx.Response:
        params = {"interval": "1m", "limit": limit}
        return await self.buyer.get("/v1/markets/ETH-USDC/candles", params=params, timeout=30)

    async def is_refused(self) -> bool:
        """Whether candles that nobody has asked for are unavailable; nothing else may be wrong with them."""
        self.refusals += 1
        answer = await self.candles(limit=self.refusals)
        if answer.status_code == httpx.codes.OK:
            return False
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
        return True

    async def has_caught_up(self) -> bool:
        """Whether every trade is in the candles, once."""
        found = await self.metrics()
        answer = await self.candles()
        if found[LAG] > 0 or answer.status_code != httpx.codes.OK:
            return False
        in_candles = sum(item["trades"] for item in answer.json()["items"])
        assert in_candles <= self.trades
        return in_candles == self.trades and found[UP] == 1

    async def is_healthy(self) -> bool:
        return await self.health() is None

    async def is_unhealthy(self) -> bool:
        return not await self.is_healthy()

    async def is_not_answered(self) -> bool:
        """Whether health says what the driver says of a server that is not there."""
        return await self.health() == "ClickHouseError"

    async def health(self) -> str | None:
        """What the part has said of late; nothing else is unready because of it."""
        answer = await self.buyer.get("/v1/health/ready")
        assert answer.status_code == httpx.codes.OK, answer.text
        [part] = [part for part in answer.json()["parts"] if part["name"] == "clickhouse"]
        assert part["ready"] == (part["detail"] is None)
        return str(part["detail"]) if part["detail"] else None


@contextlib.asynccontextmanager
async def venue(
    environment: dict[str, str],  # noqa: F811
    clickhouse: ClickHouseServer,
    rpc: Rpc,
    deployment: Deployment,
    log: Path,
) -> AsyncIterator[Venue]:
    environment["EXCHANGE_CLICKHOUSE"] = clickhouse.url
    environment["EXCHANGE_METRICS"] = f"127.0.0.1:{free_port()}"
    seller, buyer = (Wallet(rpc, deployment, index) for index in dev_keys.USER_KEYS[:2])
    async with (
        serving(environment, log) as selling,
        httpx.AsyncClient(base_url=environment["EXCHANGE_ORIGIN"], timeout=10) as buying,
    ):
        for client, index in zip((selling, buying), dev_keys.USER_KEYS, strict=False):
            await sign_in(client, dev_keys.dev_account(index))
        await seller.deposit_native(10**18)
        await buyer.approve("USDC")
        await buyer.deposit_token("USDC", 10**9)

        async def credited() -> bool:
            for client in (selling, buying):
                items = (await client.get("/v1/balances")).json()["items"]
                if not any(float(item["available"]) for item in items):
                    return False
            return True

        await until(credited)
        yield Venue(selling, buying, f"http://{environment['EXCHANGE_METRICS']}/metrics")


async def test_trading_goes_on_beside_a_clickhouse_that_is_not_there_and_candles_catch_up(
    environment: dict[str, str],  # noqa: F811
    rpc: Rpc,
    deployment: Deployment,
    tmp_path: Path,
) -> None:
    async with (
        clickhouse_server(tmp_path / "server") as clickhouse,
        venue(environment, clickhouse, rpc, deployment, tmp_path / "output.txt") as exchange,
    ):
        await exchange.trade(3)
        assert await exchange.is_refused()
        await until(exchange.is_not_answered)
        before = await exchange.metrics()
        assert before[UP] == 0
        assert before[LAG_S] > 0
        await exchange.trade(3)
        after = await exchange.metrics()
        assert after[LAG] >= before[LAG] + 6
        assert after[LAG_S] > before[LAG_S]

        await clickhouse.start()
        await until(exchange.has_caught_up)
        await until(exchange.is_healthy)
        await clickhouse.kill()
        await exchange.trade(3)
        assert await exchange.is_refused()
        await clickhouse.start()
        await until(exchange.has_caught_up)

        command = await asyncio.create_subprocess_exec(
            EXCHANGE, "rebuild", "candles", env=environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await command.communicate()
        assert re.match(rf"rebuilt: trades={exchange.trades} candles=\d+ seq=\d+ seconds=", output.decode())
        await until(exchange.has_caught_up)


async def test_trading_goes_on_beside_a_clickhouse_that_never_answers_and_candles_catch_up(
    environment: dict[str, str],  # noqa: F811
    rpc: Rpc,
    deployment: Deployment,
    tmp_path: Path,
) -> None:
    async with clickhouse_server(tmp_path / "server") as clickhouse:
        await clickhouse.start()
        clickhouse.stop_answering()
        async with venue(environment, clickhouse, rpc, deployment, tmp_path / "output.txt") as exchange:
            await exchange.trade(3)
            assert await exchange.is_refused()
            await until(exchange.is_unhealthy)
            clickhouse.go_on()
            await until(exchange.has_caught_up)

            clickhouse.stop_answering()
            await exchange.trade(3)
            assert await exchange.is_refused()
            await exchange.trade(3)
            found = await exchange.metrics()
            assert (found[UP], found[LAG] > 0) == (0, True)
            clickhouse.go_on()
            await until(exchange.has_caught_up)
            clickhouse.stop_answering()
