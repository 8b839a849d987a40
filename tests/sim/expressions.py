"""SQL expressions as Python functions: each is written out as source once and compiled.

A function takes the execution (for subqueries and the time), the statement's parameters, one row per source,
and the values of the aggregates. NULL is None: it makes every comparison None, and only True passes.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

from tests.sim.syntax import Expression, UnknownSql

Row = tuple[Any, ...]
Function = Callable[[Any, Sequence[Any], Sequence[Row], Sequence[Any]], Any]

AGGREGATES = {"max", "min", "sum", "count"}


@dataclass
class Scope:
    """What names mean: for each source its alias and its columns' positions."""

    sql: str
    sources: list[tuple[str, dict[str, int]]]
    subquery: Callable[[Any, "Scope"], Callable[[Any, Sequence[Any], bool], Any]] | None = None
    """Makes a function of a subquery: its one value, or (True) the list of all."""

    def find(self, qualifier: str, name: str) -> tuple[int, int]:
        """(source, position) of a column. Raises UnknownSql."""
        found = [
            (index, columns[name])
            for index, (alias, columns) in enumerate(self.sources)
            if name in columns and qualifier in {"", alias}
        ]
        if len(found) != 1:
            problem = "ambiguous" if found else "unknown"
            raise UnknownSql(self.sql, f"column {f'{qualifier}.' if qualifier else ''}{name} is {problem}")
        return found[0]


def compiled(expression: Expression, scope: Scope, aggregates: list[Expression] | None = None) -> Function:
    """The expression as a function. Aggregates in it are appended to `aggregates` and become its values."""
    writer = _Writer(scope, aggregates)
    source = writer.write(expression)
    function: Function = eval(_code(f"lambda x, p, e, a: {source}"), _LIBRARY | writer.constants)
    return function


@cache
def _code(source: str) -> CodeType:
    return compile(source, "<sql>", "eval")


def sources_of(expression: Expression, scope: Scope) -> set[int]:
    """The sources whose columns the expression reads, those of subqueries left out."""
    if expression[0] == "column":
        return {scope.find(expression[1], expression[2])[0]}
    if expression[0] == "select":
        return set(range(len(scope.sources)))
    return {index for part in expression if isinstance(part, tuple) for index in sources_of(part, scope)}


class _Writer:
    def __init__(self, scope: Scope, aggregates: list[Expression] | None) -> None:
        self._scope = scope
        self._aggregates = aggregates
        self.constants: dict[str, Any] = {}

    def _constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def write(self, expression: Expression) -> str:
        match expression:
            case ("literal", value):
                return repr(value) if value is None or isinstance(value, int) else self._constant(value)
            case ("param", index):
                return f"p[{index}]"
            case ("column", qualifier, name):
                source, position = self._scope.find(qualifier, name)
                return f"e[{source}][{position}]"
            case ("not", inner):
                return f"_not({self.write(inner)})"
            case ("and" | "or" as word, left, right):
                return f"_{word}({self.write(left)}, {self.write(right)})"
            case ("null", inner):
                return f"({self.write(inner)} is None)"
            case ("in", value, *options):
                return f"_in({self.write(value)}, ({', '.join(map(self.write, options))},))"
            case ("in list", value, ("select", select)):
                assert self._scope.subquery is not None
                listed = self._constant(self._scope.subquery(select, self._scope))
                return f"_in({self.write(value)}, {listed}(x, p, True))"
            case ("any", "=", value, array):
                return f"_in({self.write(value)}, {self.write(array)})"
            case ("select", select):
                assert self._scope.subquery is not None
                return f"{self._constant(self._scope.subquery(select, self._scope))}(x, p, False)"
            case ("call", name, *arguments):
                return self._call(name, arguments, expression)
            case (sign, left, right) if sign in _OPERATORS:
                return f"{_OPERATORS[sign]}({self.write(left)}, {self.write(right)})"
        raise UnknownSql(self._scope.sql, f"expression {expression}")

    def _call(self, name: str, arguments: list[Expression], expression: Expression) -> str:
        if name in AGGREGATES:
            if self._aggregates is None:
                raise UnknownSql(self._scope.sql, f"{name} is not possible here")
            self._aggregates.append(expression)
            return f"a[{len(self._aggregates) - 1}]"
        if name == "now" and not arguments:
            return "x.now()"
        if name not in {"coalesce", "octet_length", "length", "char_length", "greatest", "least"}:
            raise UnknownSql(self._scope.sql, f"function {name}")
        return f"_{name}({', '.join(map(self.write, arguments))})"


def _binary(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda left, right: None if left is None or right is None else apply(left, right)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _and(left: bool | None, right: bool | None) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _or(left: bool | None, right: bool | None) -> bool | None:
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def _in(value: Any, options: Sequence[Any] | None) -> bool | None:
    if value is None or options is None:
        return None
    if value in options:
        return True
    return None if None in options else False


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _octet_length(value: bytes | None) -> int | None:
    return None if value is None else len(value)


def _chosen(choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        known = [value for value in values if value is not None]
        return choose(known) if known else None

    return function


_OPERATORS = {
    "=": "_eq", "<>": "_ne", "<": "_lt", ">": "_gt", "<=": "_le", ">=": "_ge", "+": "_add", "-": "_sub",
    "*": "_mul", "/": "_div", "%": "_mod", "||": "_add", "~": "_like",
}  # fmt: skip

_LIBRARY: dict[str, Any] = {
    "__builtins__": {},
    "_eq": _binary(lambda a, b: a == b),
    "_ne": _binary(lambda a, b: a != b),
    "_lt": _binary(lambda a, b: a < b),
    "_gt": _binary(lambda a, b: a > b),
    "_le": _binary(lambda a, b: a <= b),
    "_ge": _binary(lambda a, b: a >= b),
    "_add": _binary(lambda a, b: a + b),
    "_sub": _binary(lambda a, b: a - b),
    "_mul": _binary(lambda a, b: a * b),
    "_div": _binary(lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)),
    "_mod": _binary(lambda a, b: abs(a) % abs(b) * (1 if a >= 0 else -1)),
    "_like": _binary(lambda text, pattern: re.search(pattern, text) is not None),
    "_not": _not,
    "_and": _and,
    "_or": _or,
    "_in": _in,
    "_coalesce": _coalesce,
    "_octet_length": _octet_length,
    "_length": _octet_length,
    "_char_length": _octet_length,
    "_greatest": _chosen(max),
    "_least": _chosen(min),
}
