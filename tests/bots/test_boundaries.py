"""Bots are clients like any other: what they can do, everybody can."""

import ast
from pathlib import Path

import pytest

MODULES = sorted((Path(__file__).parents[2] / "bots").rglob("*.py"))
PURE = {"flow", "ladder", "mirroring", "quoting", "references", "scoring", "standing", "strategies"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module or "")
    return names


def test_there_is_something_to_check() -> None:
    assert {path.stem for path in MODULES} >= PURE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_bots_know_the_sdk_and_nothing_of_the_exchange_itself(path: Path) -> None:
    assert "exchange" not in {name.partition(".")[0] for name in imported(path)}
    assert len(path.read_text().splitlines()) <= 500


@pytest.mark.parametrize("path", [path for path in MODULES if path.stem in PURE], ids=lambda path: path.stem)
def test_what_decides_about_money_has_no_input_no_clock_and_no_float(path: Path) -> None:
    assert imported(path).isdisjoint({"asyncio", "time", "datetime", "os", "socket", "logging"})
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Constant) and path.stem != "flow"
        ):  # the times and draws of takers are no money
            assert not isinstance(node.value, float), f"{path.name}:{node.lineno}"
