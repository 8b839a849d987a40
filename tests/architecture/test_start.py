"""What a start does not wait for: each of these takes long to import, and serving can begin without it."""

import subprocess
import sys

import pytest

SLOW = ("alembic", "sqlalchemy", "mako", "siwe", "web3", "abnf", "chdb")
"""alembic and its own only to migrate; siwe and its own, and chDB, in threads of their own."""


def run(script: str) -> str:
    """What the script prints, in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True, timeout=60
    ).stdout


@pytest.mark.parametrize("entry", ["exchange.cli", "exchange.main"])
def test_what_is_slow_to_import_is_not_imported_at_the_start(entry: str) -> None:
    found = run(f"import sys, {entry}; print(*sorted({set(SLOW)!r} & sys.modules.keys()))")
    assert found.split() == []


def test_garbage_is_collected_again_after_the_imports() -> None:
    assert run("import exchange.cli, gc; print(gc.isenabled())").strip() == "True"
