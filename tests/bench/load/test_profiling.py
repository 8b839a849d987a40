"""Stacks of py-spy become the functions that took most."""

from scripts.bench.load.profiling import costs_of

BEGIN = "_run_module_as_main (<frozen runpy>:198);<module> (exchange.py:9);run"
STACKS = [
    f"{BEGIN} (loop.py:5);place (orders.py:10) 60",
    f"{BEGIN} (loop.py:7);place (orders.py:20) 20",
    f"{BEGIN} (loop.py:5) 20",
    "_bootstrap (threading.py:1);_worker (thread.py:8) 900",
]


def test_a_function_has_its_lines_together_and_other_threads_do_not_count() -> None:
    costs = {cost.name: cost for cost in costs_of(STACKS)}
    place, run = costs["place (orders.py)"], costs["run (loop.py)"]
    assert (round(place.itself, 3), round(place.within, 3)) == (0.8, 0.8)
    assert (round(run.itself, 3), round(run.within, 3)) == (0.2, 1.0)
    assert not any("_worker" in name for name in costs)
    assert costs_of(STACKS)[0].name == "place (orders.py)"
