"""The compiled core is used where it fits its sources, and nowhere else; and it does the same."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest
from scripts import compile_core

from exchange import compiled

ROOT = Path(__file__).parents[2]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

needs_compiled = pytest.mark.skipif(
    not compiled.fits(),
    reason=f"no compiled core: {compile_core.what_is_missing() or 'see the test that fails'}",
)


def ask(program: str, backend: Path, environment: Mapping[str, str] = {}) -> str:
    """What the program prints with the package of `backend`."""
    kept = {name: value for name, value in os.environ.items() if name != "EXCHANGE_CORE"}
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, "PYTHONPATH": f"{backend}:{ROOT}", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return answer.stdout.strip()


WHERE = "import exchange.core.matching as m, exchange.core.ledger as l; print(m.__file__, l.__file__)"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, compiled core included, and of what compiles it."""
    ignored = shutil.ignore_patterns("__pycache__", "compiled.new", "compiled.old")
    shutil.copytree(ROOT / "backend/exchange", tmp_path / "backend/exchange", ignore=ignored)
    (tmp_path / "scripts").mkdir()
    shutil.copy2(ROOT / compiled.SCRIPT, tmp_path / "scripts")
    return tmp_path / "backend"


def are_compiled(files: str, package: Path) -> bool:
    folder = package / "exchange/core/compiled"
    return all(file.startswith(str(folder)) and file.endswith(SUFFIX) for file in files.split())


def source_files(package: Path) -> str:
    return f"{package}/exchange/core/matching.py {package}/exchange/core/ledger.py"


def test_where_the_core_can_be_compiled_it_is() -> None:
    """Else a core that mypyc does not take would go unnoticed, and its tests would be skipped."""
    missing = compile_core.what_is_missing()
    if missing:
        pytest.skip(missing)
    assert compiled.fits(), f"run {compiled.SCRIPT}, and see why"


@needs_compiled
def test_a_compiled_core_that_fits_is_used(package: Path) -> None:
    assert are_compiled(ask(WHERE, package), package)


@needs_compiled
def test_the_sources_are_used_when_they_are_asked_for(package: Path) -> None:
    assert ask(WHERE, package, {"EXCHANGE_CORE": "python"}) == source_files(package)


@needs_compiled
@pytest.mark.parametrize("edited", ["ledger.py", "commands.py"])
def test_an_edit_of_any_source_of_the_core_takes_effect_at_once(package: Path, edited: str) -> None:
    with (package / "exchange/core" / edited).open("a") as source:
        source.write("# edited\n")
    assert ask(WHERE, package) == source_files(package)


@needs_compiled
def test_a_source_that_is_gone_or_new_makes_the_compiled_core_unfit(package: Path) -> None:
    (package / "exchange/core/perpetuals.py").write_text("")
    assert ask(WHERE, package) == source_files(package)


@needs_compiled
def test_a_build_that_was_cut_off_is_not_used(package: Path) -> None:
    (package / "exchange/core/compiled" / compiled.STAMP.name).unlink()
    assert ask(WHERE, package) == source_files(package)


def test_without_a_compiled_core_the_sources_are_used(package: Path) -> None:
    shutil.rmtree(package / "exchange/core/compiled", ignore_errors=True)
    assert ask(WHERE, package) == source_files(package)


@needs_compiled
def test_a_day_of_all_commands_is_the_same_compiled_and_interpreted() -> None:
    program = (
        "from exchange import compiled; from tests.core.test_determinism import digest_of_a_day;"
        "print(compiled.is_in_use(), digest_of_a_day())"
    )
    used, digest = ask(program, ROOT / "backend").split()
    interpreted, same = ask(program, ROOT / "backend", {"EXCHANGE_CORE": "python"}).split()
    assert (used, interpreted) == ("True", "False")
    assert digest == same


@needs_compiled
def test_every_module_of_the_list_is_compiled() -> None:
    assert {f"{name}{SUFFIX}" for name in compiled.MODULES} < {
        path.name for path in compiled.FOLDER.iterdir()
    }
    assert all((compiled.CORE / f"{name}.py").exists() for name in compiled.MODULES)


@needs_compiled
def test_broken_invariants_still_end_the_process() -> None:
    """Asserts are the core's last line; the compiler must not leave them out."""
    program = (
        "from exchange.core.ledger import hold; from exchange.core.accounts import Account\n"
        "try: hold(Account(1_000, 'a', 0), 1, 1)\n"
        "except AssertionError: print('stopped')"
    )
    assert ask(program, ROOT / "backend") == "stopped"
