"""Shared fixtures: real Postgres, chDB and anvil, one of each per test worker."""

from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures"

pytest_plugins = [
    f"tests.fixtures.{path.stem}" for path in sorted(FIXTURES.glob("*.py")) if path.stem != "__init__"
]
