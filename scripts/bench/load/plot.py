"""The picture of a run: rates beside what they must be, latencies, and the long time if there was one."""

from pathlib import Path

import matplotlib as mpl
from scripts.bench.load.report import ACK_TARGETS_MS, TARGETS
from scripts.bench.load.results import WAYS, Results
from scripts.bench.load.watching import CLICKHOUSE, READ_TABLES

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

SIZE_INCHES = (13, 9)
OURS, OTHERS, MUST = "#2f6f9f", "#b8b8b8", "#c03a2b"
LINES = {"ws": "#2f6f9f", "http_batch": "#d08a1d", "http_single": "#4f8f4f"}


def plot(results: Results, path: Path) -> None:
    """Draws it."""
    figure, axes = plt.subplots(2, 2, figsize=SIZE_INCHES, constrained_layout=True)
    _rates(axes[0][0], results)
    _latencies(axes[0][1], results)
    if results.sustained is not None:
        _long_time(axes[1][0], axes[1][1], results)
    else:
        _processors(axes[1][0], results)
        _saturated_latencies(axes[1][1], results)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _rates(axes: Axes, results: Results) -> None:
    bars: list[tuple[str, float, float | None]] = [
        (WAYS[way], measured.figures.per_s, TARGETS[way]) for way, measured in results.saturated.items()
    ]
    if results.engine is not None:
        bars.append(("engine without HTTP", results.engine.per_s, None))
    for name, measured in results.empty.items():
        title = "empty route, signed" if name == "empty_signed" else "empty route"
        bars.append((title, measured.figures.per_s, None))
    if results.baseline is not None:
        bars.append(("SQL transaction each", results.baseline.figures.per_s, None))
    bars.reverse()
    colors = [OTHERS if must is None else OURS for _, _, must in bars]
    axes.barh([name for name, _, _ in bars], [rate for _, rate, _ in bars], color=colors)
    for place, (_, rate, must) in enumerate(bars):
        axes.text(rate, place, f" {rate:,.0f}", va="center")
        if must is not None:
            axes.plot([must, must], [place - 0.4, place + 0.4], color=MUST)
    axes.set_xlim(right=1.18 * max(max(rate, must or 0) for _, rate, must in bars))
    axes.set_title(f"durable orders/s, {results.open_orders:,} open (red: what must be)")


def _latencies(axes: Axes, results: Results) -> None:
    for way, measured in results.paced.items():
        curve = measured.figures.curve_ms
        axes.plot(_shares(len(curve)), curve, color=LINES[way], label=WAYS[way])
    for (_, ms), nines in zip(ACK_TARGETS_MS.items(), (0.301, 2, 3), strict=True):
        axes.plot(nines, ms, marker="v", color=MUST)
    _latency_axes(axes)
    axes.set_title(f"due to acknowledged at {results.per_s:,} orders/s, ms (red: must be below)")


def _saturated_latencies(axes: Axes, results: Results) -> None:
    for way, measured in results.saturated.items():
        curve = measured.figures.curve_ms
        axes.plot(_shares(len(curve)), curve, color=LINES[way], label=WAYS[way])
    _latency_axes(axes)
    axes.set_title("sent to acknowledged at saturation, ms")


def _shares(points: int) -> list[float]:
    """Of the curve: nines of those that took less."""
    return [4 * step / (points - 1) for step in range(points)]


def _latency_axes(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.set_xticks([0.301, 1, 2, 3, 4], ["p50", "p90", "p99", "p99.9", "p99.99"])
    axes.grid(visible=True, alpha=0.3)
    axes.legend()


def _processors(axes: Axes, results: Results) -> None:
    names = list(dict.fromkeys(name for each in results.saturated.values() for name in each.us_per_operation))
    lefts = [0.0] * len(results.saturated)
    titles = [WAYS[way] for way in results.saturated]
    for name in names:
        widths = [measured.us_per_operation.get(name, 0.0) for measured in results.saturated.values()]
        axes.barh(titles, widths, left=lefts, label=name)
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    axes.legend()
    axes.set_title("processor time of one operation at saturation, us")


def _long_time(memory: Axes, lag: Axes, results: Results) -> None:
    assert results.sustained is not None
    looks, series = results.sustained.looks, results.sustained.measured.figures.series
    minutes = [look.at_s / 60 for look in looks]
    memory.plot(minutes, [look.memory_mib for look in looks], color=OURS, label="memory of the exchange, MiB")
    memory.set_ylim(bottom=0)
    memory.set_xlabel("minutes")
    memory.legend(loc="lower right")
    memory.set_title(f"{results.sustained.per_s:,} orders/s over WebSocket")
    for name, color in ((READ_TABLES, OURS), (CLICKHOUSE, "#d08a1d")):
        lags = [look.lag_s.get(name, float("nan")) for look in looks]
        lag.plot(minutes, lags, color=color, label=f"{name.replace('_', ' ')} behind, s")
    lag.plot(
        [number / 60 for number in range(len(series))],
        [second.p99_ms / 1e3 for second in series],
        color="#4f8f4f",
        alpha=0.7,
        label="p99 of acknowledgements in each second, s",
    )
    lag.axhline(2, color=MUST, linewidth=0.8)
    lag.set_xlabel("minutes")
    lag.legend()
    lag.set_title("behind, s (red: must be below)")
