"""The exchange that journals, for the tests that read from ClickHouse."""

from tests.projections.conftest import journaled

__all__ = ["journaled"]
