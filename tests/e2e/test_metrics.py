"""`exchange serve` shows its figures where the operator wants them, and nowhere else."""

import asyncio
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.test_withdrawal_terms import (  # noqa: F401 - one is a fixture
    PATIENCE_S,
    environment,
    free_port,
    serving,
)

pytestmark = pytest.mark.timeout(300)


def samples(text: str) -> dict[str, float]:
    """Values by name, and by the projection's name when there is one."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_running_exchange_is_scraped_on_a_listener_of_its_own(
    environment: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    environment["EXCHANGE_METRICS"] = f"127.0.0.1:{free_port()}"
    url = f"http://{environment['EXCHANGE_METRICS']}/metrics"
    async with serving(environment, tmp_path / "output.txt") as client, httpx.AsyncClient() as prometheus:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = samples((await prometheus.get(url)).text)
                if found["exchange_projection_lag_commands clickhouse"] == 0:
                    break
                await asyncio.sleep(0.1)
        seq = (await client.get("/v1/markets")).json()["seq"]
        assert seq <= found["exchange_journal_head_seq"] == found["exchange_commands_committed_total"]
        assert found["exchange_projection_seq clickhouse"] > 0
        assert found["exchange_projection_lag_seconds clickhouse"] == 0
        assert found["exchange_engine_up"] == 1
        assert found["exchange_part_ready postgres"] == found["exchange_part_ready snapshots"] == 1
        assert (await client.get("/metrics")).status_code == httpx.codes.NOT_FOUND
        assert (await prometheus.get(url.replace("/metrics", "/v1/markets"))).status_code == 404


async def test_without_the_setting_there_is_no_listener(
    environment: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    environment.pop("EXCHANGE_METRICS", None)
    log = tmp_path / "output.txt"
    async with serving(environment, log) as client:
        assert (await client.get("/metrics")).status_code == httpx.codes.NOT_FOUND
    assert "metrics" not in log.read_text()
