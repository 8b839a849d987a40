"""How the benchmarks make figures of their numbers."""

import gc

from scripts.bench.measure import CollectorWatch, Latencies, Rate, percentile, resident_bytes


def test_a_percentile_is_a_value_that_was_there() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.99) == 100
    assert percentile(values, 1.0) == 100
    assert percentile([7], 0.5) == 7


def test_a_rate_is_the_median_of_its_rounds() -> None:
    rate = Rate.of(100, [1.0, 4.0, 2.0])
    assert (rate.lowest, rate.middle, rate.highest) == (25.0, 50.0, 100.0)


def test_latencies_are_in_milliseconds() -> None:
    latencies = Latencies.of([0.001] * 998 + [0.02, 0.5])
    assert (latencies.p50_ms, latencies.p99_ms, latencies.longest_ms) == (1.0, 1.0, 500.0)
    assert latencies.p999_ms == 500.0


def test_the_collectors_pauses_are_noticed_while_it_is_watched() -> None:
    with CollectorWatch() as watch:
        gc.collect()
    assert watch.runs == 1
    assert watch.longest_ns > 0
    gc.collect()
    assert watch.runs == 1


def test_resident_memory_grows_with_what_is_kept() -> None:
    before_bytes = resident_bytes()
    kept = bytearray(b"x" * 50_000_000)
    assert resident_bytes() - before_bytes > 40_000_000
    assert len(kept) == 50_000_000
