"""Plants faults in the ledger, matching and fees, one at a time, and counts those that the tests find.

mutmut works on a copy of the core and its tests in a temporary folder, so the work tree is never touched.
Usage: mutants.py [folder to keep the results in]. The last line reads `mutants: killed=… of=… share=…`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MUTATED = ("ledger", "matching", "fees")
TESTS = (
    "test_ledger.py",
    "test_fees.py",
    "test_matching.py",
    "test_placing.py",
    "test_amending.py",
    "test_cancelling.py",
    "test_self_trade_prevention.py",
    "test_buy_by_amount.py",
    "test_fee_tiers.py",
    "test_triggers.py",
    "test_client_order_ids.py",
    "test_good_till_time.py",
    "test_naive_reference.py",
)
FOUND = {"killed", "timeout", "suspicious", "segfault"}
"""A mutant that makes the tests fail, hang or crash is found."""

SETTINGS = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{mutated}]
also_copy = ["tests"]
pytest_add_cli_args_test_selection = [{tests}]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "-x", "-q"]
use_git_change_detection = false

[tool.pytest.ini_options]
addopts = "--import-mode=importlib"
pythonpath = ["."]
asyncio_mode = "auto"
"""


def main() -> int:
    """Runs mutmut and reports; 1 when it could not be run at all."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        copy_tree(folder)
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        mutmut = Path(sys.executable).with_name("mutmut")
        done = subprocess.run(
            [mutmut, "run", "--max-children", "2"],
            cwd=folder, env=environment, check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        counts, alive = read_results(folder / "mutants")
    total = sum(counts.values())
    if done.returncode or not total:
        print(done.stdout[-3_000:], "mutants: mutmut could not be run", sep="\n", file=sys.stderr)
        return 1
    found = sum(count for status, count in counts.items() if status in FOUND)
    for name in alive:
        print(f"alive: {name}")
    print(f"mutants: killed={found} of={total} share={found / total:.3f}")
    return 0


def copy_tree(folder: Path) -> None:
    """The package under src/, the tests of the core, and settings for both."""
    ignored = shutil.ignore_patterns("__pycache__", "compiled")
    shutil.copytree(ROOT / "backend/exchange", folder / "src/exchange", ignore=ignored, dirs_exist_ok=True)
    shutil.copytree(ROOT / "tests/core", folder / "tests/core", ignore=ignored, dirs_exist_ok=True)
    (folder / "tests/conftest.py").write_text("")
    mutated = ", ".join(f'"src/exchange/core/{name}.py"' for name in MUTATED)
    tests = ", ".join(f'"tests/core/{name}"' for name in TESTS)
    (folder / "pyproject.toml").write_text(SETTINGS.format(mutated=mutated, tests=tests))


def read_results(folder: Path) -> tuple[Counter[str], list[str]]:
    """How many mutants ended how, and the names of those that no test noticed."""
    from mutmut.stats import status_by_exit_code  # noqa: PLC0415

    counts: Counter[str] = Counter()
    alive = []
    for results in sorted(folder.rglob("*.py.meta")):
        for name, exit_code in json.loads(results.read_text())["exit_code_by_key"].items():
            status = status_by_exit_code[exit_code]
            counts[status] += 1
            if status not in FOUND:
                alive.append(f"{name} ({status})")
    return counts, alive


if __name__ == "__main__":
    sys.exit(main())
