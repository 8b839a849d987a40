"""The report of a run: load.json with everything, load.md to be read."""

from pathlib import Path

import msgspec
from scripts.bench.load.results import WAYS, Measured, Results, Sustained
from scripts.bench.load.watching import CLICKHOUSE, READ_TABLES

TARGETS = {"ws": 20_000, "http_batch": 40_000, "http_single": 4_000}
"""Orders/s that must be, DESIGN's section on targets."""
ACK_TARGETS_MS = {"p50": 3, "p99": 15, "p99.9": 50}
COSTS_SHOWN = 20
PERCENTILES = ("p50", "p99", "p99.9", "longest")


def write_report(results: Results, folder: Path) -> None:
    """Both files."""
    (folder / "load.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    (folder / "load.md").write_text("\n".join(lines_of(results)) + "\n", encoding="utf-8")


def lines_of(results: Results) -> list[str]:
    """Markdown."""
    return [
        *_head(results),
        *_saturated(results),
        *_paced(results),
        *_beside(results),
        *(_sustained(results.sustained) if results.sustained is not None else []),
        *_checked(results),
        *_costs(results),
    ]


def _head(results: Results) -> list[str]:
    machine = results.machine
    return [
        "# Load",
        "",
        f"    {results.line()}",
        "",
        (
            f"{machine.at}; {machine.cores} x {machine.processor}, Python {machine.python}, core "
            f"{machine.core}; load before: {machine.load_before:.1f}. {results.open_orders:,} orders were "
            f"open, each measurement took {results.seconds:g} s. Clients, exchange and Postgres share the "
            "machine."
        ),
        "",
        "![the same as a picture](load.png)",
        "",
    ]


def _saturated(results: Results) -> list[str]:
    lines = [
        "## At saturation",
        "",
        "Orders: placements and cancels that were done, each in the journal on the disk before its answer.",
        "",
        *_table(
            "way",
            "orders/s",
            "must be",
            "of them placed",
            "refused",
            "p50",
            "p99",
            "p99.9",
            "longest, ms",
            "read tables behind",
            "ClickHouse behind",
            "up to date after",
        ),
    ]
    for way, measured in results.saturated.items():
        figures = measured.figures
        lines.append(
            _row(
                WAYS[way],
                f"{figures.per_s:,.0f}",
                f"{TARGETS[way]:,}",
                f"{figures.placed / max(1, figures.operations):.0%}",
                _refused(measured),
                *_latencies(measured),
                *(f"{measured.behind_s.get(name, 0):.2f} s" for name in (READ_TABLES, CLICKHOUSE)),
                f"{measured.caught_up_s:.1f} s",
            )
        )
    ways = [f"{WAYS[way]}: {results.connections[way]}" for way in results.saturated]
    return [*lines, "", "; ".join(ways) + ".", "", *_processors(results.saturated)]


def _paced(results: Results) -> list[str]:
    must = ", ".join(f"{name} {ms} ms" for name, ms in ACK_TARGETS_MS.items())
    lines = [
        f"## At {results.per_s:,} orders/s",
        "",
        f"From when a request was due, whoever was late, to its answer. Must be: {must}.",
        "",
        *_table("way", "orders/s", "refused", "p50", "p99", "p99.9", "longest, ms"),
    ]
    for way, measured in results.paced.items():
        lines.append(
            _row(WAYS[way], f"{measured.figures.per_s:,.0f}", _refused(measured), *_latencies(measured))
        )
    return [*lines, "", *_processors(results.paced)]


def _beside(results: Results) -> list[str]:
    lines = [
        "## Beside",
        "",
        *_table("what", "a second", "p50", "p99", "p99.9", "longest, ms"),
    ]
    others: dict[str, Measured] = {}
    if results.baseline is not None:
        others["one SQL transaction for each order, at saturation"] = results.baseline
    if results.baseline_paced is not None:
        others["the same at half of that, or at the pace above"] = results.baseline_paced
    for name, measured in results.empty.items():
        signed = "signature checked" if name == "empty_signed" else "nothing checked"
        others[f"empty route of the same stack, {signed}"] = measured
    for name, measured in others.items():
        lines.append(_row(name, f"{measured.figures.per_s:,.0f}", *_latencies(measured)))
    if results.engine is not None:
        acks = results.engine.acks
        percentiles = (acks.p50_ms, acks.p99_ms, acks.p999_ms, acks.longest_ms)
        lines.append(
            _row(
                f"engine and journal without HTTP, {results.engine.callers:,} callers; latencies at "
                f"{results.per_s:,}/s",
                f"{results.engine.per_s:,.0f}",
                *(f"{ms:.2f}" for ms in percentiles),
            )
        )
    return [*lines, "", *_processors(others)]


def _sustained(sustained: Sustained) -> list[str]:
    figures, looks = sustained.measured.figures, sustained.looks
    lines = [
        f"## {figures.seconds:,.0f} s at {sustained.per_s:,} orders/s, WebSocket",
        "",
        f"{figures.per_s:,.0f} orders/s; refused: {_refused(sustained.measured)}; acknowledged after "
        + ", ".join(f"{name} {figures.latencies_ms[name]:.2f} ms" for name in PERCENTILES)
        + ".",
        "",
        *_table("", "first minute", "last minute", "median", "p99", "highest"),
        _row("memory of the exchange, MiB", *_over_time([look.memory_mib for look in looks], "{:,.0f}")),
    ]
    for name in (READ_TABLES, CLICKHOUSE):
        lags = [look.lag_s[name] for look in looks if name in look.lag_s]
        lines.append(_row(f"{name.replace('_', ' ')} behind, s", *_over_time(lags, "{:.2f}")))
    return [*lines, "", *_processors({"WebSocket": sustained.measured})]


def _over_time(values: list[float], form: str) -> list[str]:
    """Means of the first and the last minute (when it was short: tenth), then of the whole."""
    part = max(1, min(60, len(values) // 10))
    ordered = sorted(values)
    numbers = (
        sum(values[:part]) / part,
        sum(values[-part:]) / part,
        ordered[len(ordered) // 2],
        ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        ordered[-1],
    )
    return [form.format(number) for number in numbers]


def _checked(results: Results) -> list[str]:
    lines = ["## Compared afterwards", ""]
    if results.streams is not None:
        streams = results.streams
        lines.append(
            f"{streams.subscribers} subscribers read {streams.messages:,} updates meanwhile, {streams.gaps} "
            f"gaps; of the book p50 {streams.p50_ms:.1f} ms, p99 {streams.p99_ms:.1f} ms after the commit."
        )
    if results.checked is not None:
        checked = results.checked
        lines.append(
            f"{checked.placed:,} placements and {checked.cancelled:,} cancels were acknowledged, "
            f"{checked.refused:,} operations refused. The journal, of {checked.commands:,} commands, was "
            f"compared with each of them. {checked.open_orders:,} orders were left open."
        )
    faults = results.all_faults()
    return [*lines, "", *(f"- WRONG: {fault}" for fault in faults), *([""] if faults else [])]


def _costs(results: Results) -> list[str]:
    lines: list[str] = []
    for way, measured in results.saturated.items():
        if not measured.costs:
            continue
        lines += [
            f"## What the exchange does: {WAYS[way]}",
            "",
            "Of the samples of its main thread (py-spy).",
            "",
            *_table("function", "in itself", "with all it calls"),
        ]
        shown = sorted(measured.costs, key=lambda cost: -cost.itself)[:COSTS_SHOWN]
        deep = sorted(measured.costs, key=lambda cost: -cost.within)[: 2 * COSTS_SHOWN]
        for cost in [*shown, *(each for each in deep if each not in shown)]:
            lines.append(_row(f"`{cost.name}`", f"{cost.itself:.1%}", f"{cost.within:.1%}"))
        lines.append("")
    return lines


# ---- parts


def _processors(measurements: dict[str, Measured]) -> list[str]:
    names = list(dict.fromkeys(name for each in measurements.values() for name in each.of_a_core))
    lines = [
        "Processors: share of a core, and microseconds for one operation.",
        "",
        *_table("", *names, "everybody else"),
    ]
    for title, measured in measurements.items():
        cells = [
            f"{measured.of_a_core[name]:.0%}, {measured.us_per_operation[name]:.0f} us"
            if name in measured.of_a_core
            else ""
            for name in names
        ]
        lines.append(_row(WAYS.get(title, title), *cells, f"{measured.others:.0%}"))
    return [*lines, ""]


def _latencies(measured: Measured) -> list[str]:
    return [f"{measured.figures.latencies_ms[name]:.2f}" for name in PERCENTILES]


def _refused(measured: Measured) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in measured.figures.refusals.items()) or "none"


def _table(*titles: str) -> list[str]:
    return [_row(*titles), _row(*("---" for _ in titles))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
