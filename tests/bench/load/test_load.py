"""The whole thing, small: real processes, a real exchange, a real baseline; nothing may be found wrong."""

from pathlib import Path

import asyncpg
from scripts.bench.load.plot import plot
from scripts.bench.load.report import write_report
from scripts.bench.load.results import Machine, Results
from scripts.bench.load.stages import Options, measure_baseline, measure_engine, measure_exchange


def options(folder: Path) -> Options:
    return Options(
        seconds=0.3,
        open_orders=8_000,
        per_s=200,
        sustained_s=1.0,
        sustained_per_s=500,
        seed=7,
        output=folder,
        profile=False,
    )


async def test_every_way_is_measured_and_every_answer_is_in_the_journal(
    database_url: str, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    chosen = options(tmp_path)
    results = Results(Machine("now", "a processor", 2, "3.11", "compiled", 0.0), 0.3, 8_000, 200, {})
    results.connections = dict.fromkeys(("http_single", "http_batch", "ws"), "some")
    await measure_exchange(chosen, database_url, results)
    assert results.all_faults() == []
    checked = results.checked
    assert checked is not None
    assert checked.refused == 0
    for way in ("http_single", "http_batch", "ws"):
        saturated, paced = results.saturated[way], results.paced[way]
        assert saturated.figures.placed > 0
        assert saturated.figures.cancelled > 0
        assert paced.figures.operations > 0
        assert set(saturated.of_a_core) == {"exchange", "read tables", "Postgres", "subscribers", "clients"}
    counted = [*results.saturated.values(), *results.paced.values()]
    assert results.sustained is not None
    assert results.sustained.looks
    assert checked.placed + checked.cancelled == sum(
        measured.figures.whole for measured in [*counted, results.sustained.measured]
    ), "warm-up and all: what was answered is what was compared"
    accepted = await pool.fetchval("SELECT count(*) FROM orders WHERE client_order_id LIKE 'load-%'")
    assert accepted == checked.placed

    await measure_baseline(chosen, database_url, results)
    await measure_engine(chosen, database_url, results)
    assert results.all_faults() == []
    assert results.baseline is not None
    assert results.baseline.figures.placed > 0
    write_report(results, tmp_path)
    plot(results, tmp_path / "load.png")
    report = (tmp_path / "load.md").read_text()
    assert results.line() in report
    assert "WRONG" not in report
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
