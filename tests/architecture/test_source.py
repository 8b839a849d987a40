"""Rules of style that a machine can check."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

BACKEND = Path(__file__).parents[2] / "backend" / "exchange"
MODULES = sorted(BACKEND.rglob("*.py"))
CORE = sorted((BACKEND / "core").glob("*.py"))

MAX_LINES = 500
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "service", "base", "misc"}
FORBIDDEN_IN_CORE = {
    "asyncio", "asyncpg", "datetime", "decimal", "fractions", "io", "logging", "math", "os", "pathlib",
    "random", "secrets", "socket", "structlog", "subprocess", "sys", "threading", "time", "uuid",
}  # fmt: skip
CHANGING = {
    "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "insert", "move_to_end",
    "pop", "popitem", "popleft", "put", "remove", "reverse", "rotate", "send", "set", "setdefault", "sort",
    "update", "write",
}  # fmt: skip
"""Methods that change what they are called on."""
TASK_ROOTS = frozenset(
    {
        "chain/backoff.py",
        "edge/readiness.py",
        "edge/ws/connection.py",
        "edge/ws/hub.py",  # an error in the streams is no reason for the engine to stop
        "edge/ws/protocol.py",
        "gateway/siwe_package.py",  # an import, of which nobody knows what it raises
        "projections/clickhouse.py",
        "projections/postgres.py",
        "projections/tables_apart.py",  # nor is one in what keeps the read tables
    }
)
"""Modules that may catch Exception, because a task ends there. Each is a decision."""

OUTAGES_BY_NAME = frozenset({"stores/errors.py", "stores/postgres.py", "edge/errors.py"})
"""Where the list is, where it is a shorter one, and where each error is told to clients."""


def name(path: Path) -> str:
    return path.relative_to(BACKEND).as_posix()


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(), filename=str(path))))


def test_there_is_something_to_check() -> None:
    assert len(CORE) > 10
    assert len(MODULES) > len(CORE)


@pytest.mark.parametrize("path", CORE, ids=name)
def test_core_has_no_float_and_no_division(path: Path) -> None:
    for node in nodes(path):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, float | complex), f"{name(path)}:{line}: a float"
        if isinstance(node, ast.BinOp | ast.AugAssign):
            assert not isinstance(node.op, ast.Div), f"{name(path)}:{line}: division"
        if isinstance(node, ast.Name):
            assert node.id not in {"float", "round", "Decimal"}, f"{name(path)}:{line}: {node.id}"


@pytest.mark.parametrize("path", CORE, ids=name)
def test_core_has_no_clock_no_chance_and_no_input(path: Path) -> None:
    for node in nodes(path):
        imported: list[str] = []
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: relative import"
            imported = [node.module or ""]
        for module in imported:
            assert module.partition(".")[0] not in FORBIDDEN_IN_CORE, f"{name(path)} imports {module}"
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"{name(path)} is not synchronous"
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        assert called not in {"open", "print", "input", "hash", "id"}, f"{name(path)} calls {called}"


@pytest.mark.parametrize("path", CORE, ids=name)
def test_core_iterates_no_set(path: Path) -> None:
    """The order of a set of strings differs from process to process."""
    for node in nodes(path):
        if isinstance(node, ast.For | ast.comprehension):
            made = node.iter
            is_set = isinstance(made, ast.Set | ast.SetComp)
            is_call = isinstance(made, ast.Call) and isinstance(made.func, ast.Name)
            assert not is_set, f"{name(path)} iterates a set"
            assert not (is_call and made.func.id in {"set", "frozenset"}), f"{name(path)} iterates a set"  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_asserts_change_nothing(path: Path) -> None:
    """Without them the same must happen: they prove, they do not work."""
    for statement in nodes(path):
        for node in ast.walk(statement) if isinstance(statement, ast.Assert) else ():
            called = (
                node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            )
            assert called not in CHANGING, f"{name(path)}:{statement.lineno}: {called} in an assert"
            assert not isinstance(node, ast.NamedExpr | ast.Await | ast.Yield), (
                f"{name(path)}:{statement.lineno}"
            )


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_module_is_longer_than_500_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_modules_are_named_for_what_they_hold(path: Path) -> None:
    for part in path.relative_to(BACKEND).with_suffix("").parts:
        assert FORBIDDEN_NAMES.isdisjoint(part.split("_")), f"{name(path)} is named {part}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_exception_is_caught_at_task_roots_only(path: Path) -> None:
    if name(path) in TASK_ROOTS:
        return
    for node in nodes(path):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        for kind in caught:
            too_wide = kind is None or (
                isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}
            )
            reraises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            assert not too_wide or reraises, f"{name(path)}:{node.lineno} catches everything"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_outages_of_the_database_are_caught_by_their_list(path: Path) -> None:
    """A list of one's own forgets one of the driver's errors, and is found out when the database dies."""
    if name(path) in OUTAGES_BY_NAME:
        return
    for node in nodes(path):
        of_driver = isinstance(node, ast.Attribute) and node.attr in {"InterfaceError", "InternalClientError"}
        assert not of_driver, f"{name(path)}:{getattr(node, 'lineno', 0)}: use stores.errors.OUTAGES"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_are_absolute(path: Path) -> None:
    for node in nodes(path):
        assert not isinstance(node, ast.ImportFrom) or node.level == 0


@pytest.mark.parametrize("path", sorted(BACKEND.rglob("*/__init__.py")), ids=name)
def test_package_files_are_empty(path: Path) -> None:
    """But for the root's, which has to choose the compiled core before anything imports it."""
    assert path == BACKEND / "__init__.py" or path.read_text().strip() == ""


def test_nothing_of_the_workshop_is_named_in_the_sources() -> None:
    machine_path = re.compile(r"/(work|root|tmp)/")
    named = [name(path) for path in MODULES if machine_path.search(path.read_text())]
    assert named == []
