"""The SDK and the bots stand for themselves: programs of other people, which have nothing of the backend."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from tests.architecture.test_source import FORBIDDEN_NAMES, MAX_LINES

ROOT = Path(__file__).parents[2]
SDK = ROOT / "sdk" / "python" / "src" / "exchange_sdk"
BOTS = ROOT / "bots"
MODULES = sorted(SDK.rglob("*.py"))
BOT_MODULES = sorted(BOTS.rglob("*.py"))
DEPENDENCIES = {"eth_account", "eth_keys", "eth_utils", "httpx", "msgspec", "nacl", "websockets"}
"""What the SDK's pyproject.toml names, and what comes with that."""
EXTRA = {"web3", "requests"}
"""The same of its extra `chain`."""
OF_THE_EXTRA = {"chain.py", "chain_wallet.py", "web3_parts.py"}
"""The modules that need it: imported by nothing until they are used."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """The top packages that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: relative import"
            found.add((node.module or "").partition(".")[0])
    return found - set(sys.stdlib_module_names)


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 20
    assert len(BOT_MODULES) > 4


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_sdk_imports_itself_and_what_it_depends_on(path: Path) -> None:
    extra = EXTRA if path.name in OF_THE_EXTRA else set()
    assert imported(path) <= {"exchange_sdk"} | DEPENDENCIES | extra


@pytest.mark.parametrize("path", BOT_MODULES, ids=name)
def test_bots_import_the_sdk_and_nothing_of_the_exchange(path: Path) -> None:
    assert imported(path) <= {"bots", "exchange_sdk"}


@pytest.mark.parametrize("path", [*MODULES, *BOT_MODULES], ids=name)
def test_modules_are_small_and_named_for_what_they_hold(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES
    assert FORBIDDEN_NAMES.isdisjoint(path.stem.split("_"))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_sdk_says_nothing_on_its_own(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        assert called != "print", f"{name(path)} prints"


def test_every_module_can_be_imported_where_there_is_no_backend_and_no_web3() -> None:
    absent = {"exchange", "tests", "bots", *EXTRA}
    modules = [
        ".".join(path.relative_to(SDK.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if path.name not in OF_THE_EXTRA
    ]
    script = f"""
import importlib, sys
for absent in {sorted(absent)!r}:
    sys.modules[absent] = None
for module in {modules!r}:
    importlib.import_module(module)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)
