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


OF_SERVERS = ("fastapi", "uvicorn", "exchange.main", "exchange.devnet", "exchange.policy_signer.process")


def test_what_only_servers_need_is_not_imported_for_a_look_at_the_books() -> None:
    found = run(f"import sys, exchange.cli; print(*sorted({set(OF_SERVERS)!r} & sys.modules.keys()))")
    assert found.split() == []


def test_garbage_is_collected_again_after_the_imports() -> None:
    script = """
import gc, sys
import exchange.cli
async def run_replay(*_, **__):
    print("runs", gc.isenabled())
exchange.cli.run_replay = run_replay
configure = exchange.cli.configure_logging
def configure_logging(**options):
    print("imports", gc.isenabled())
    configure(**options)
exchange.cli.configure_logging = configure_logging
sys.argv = ["exchange", "replay"]
exchange.cli.main()
"""
    assert run(script).split() == ["imports", "False", "runs", "True"]
