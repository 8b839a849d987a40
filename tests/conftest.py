"""Shared fixtures: real Postgres, chDB and anvil, one of each per test worker."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine is, and how busy, fails no test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

FIXTURES = Path(__file__).parent / "fixtures"

pytest_plugins = [
    f"tests.fixtures.{path.stem}" for path in sorted(FIXTURES.glob("*.py")) if path.stem != "__init__"
]

# What several suites check with, and is no test module. Here, because any of them may import it first.
pytest.register_assert_rewrite("tests.streams.client", "tests.streams.folds", "tests.streams.spec")
