"""Tables of the simulated database: typed columns, keys and checks, and the committed rows."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
from tests.sim.expressions import Expression, Function, Row, Scope, compiled
from tests.sim.syntax import AlterTable, Column, CreateTable, UnknownSql

Key = tuple[Any, ...]

_INTEGERS = {"smallint": 2**15, "integer": 2**31, "int": 2**31, "bigint": 2**63}
_OTHERS: dict[str, tuple[type, ...]] = {
    "text": (str,), "varchar": (str,), "bytea": (bytes,), "boolean": (bool,), "timestamptz": (datetime, int),
    "jsonb": (str,), "integer[]": (list,), "bigint[]": (list,), "text[]": (list,),
}  # fmt: skip


class Table:
    """One table. `rows` holds what is committed, by primary key, in the order in which it was inserted."""

    def __init__(self, made: CreateTable) -> None:
        self.name = made.name
        self.columns: list[Column] = []
        self.positions: dict[str, int] = {}
        self.rows: dict[Key, Row] = {}
        self.key_columns = made.key
        self.uniques: list[list[int]] = []
        self.unique_keys: list[dict[Key, Key]] = []
        self._checks: list[tuple[str, Function]] = []
        self.defaults: list[tuple[int, Function]] = []
        if not made.key:
            raise UnknownSql(made.name, "a table without a primary key")
        self._add(made)
        self.key = tuple(self.positions[name] for name in made.key)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def _add(self, made: CreateTable) -> None:
        for column in made.columns:
            self.positions[column.name] = len(self.columns)
            self.columns.append(replace(column))
        scope = Scope(f"table {self.name}", [(self.name, self.positions)])
        for column in made.columns:
            if column.default is not None:
                default = compiled(column.default, scope)
                self.defaults.append((self.positions[column.name], default))
        for name, check in made.checks:
            self._checks.append((name or self._check_name(check), compiled(check, scope)))
        for unique in made.uniques:
            self.uniques.append([self.positions[name] for name in unique])
            self.unique_keys.append({})
        for row in self.rows.values():
            self._index(row)

    def alter(self, alter: AlterTable) -> None:
        """Adds and drops columns' rules and checks; new columns begin with their default."""
        if alter.added.columns and self.rows:
            raise UnknownSql(f"table {self.name}", "new columns for a table with rows")
        for name in alter.dropped_checks:
            if all(check != name for check, _ in self._checks):
                raise UnknownSql(f"table {self.name}", f"there is no check {name}")
            self._checks = [check for check in self._checks if check[0] != name]
        for name in alter.dropped:
            self._drop(name)
        self._add(alter.added)
        for name, (kind, digits) in alter.types.items():
            column = self.columns[self.positions[name]]
            column.type, column.digits = kind, digits
        for name in alter.nullable:
            self.columns[self.positions[name]].not_null = False
        for name in alter.not_null:
            self.columns[self.positions[name]].not_null = True
        dropped = {self.positions[name] for name in alter.drop_default}
        self.defaults = [default for default in self.defaults if default[0] not in dropped]

    def _drop(self, name: str) -> None:
        """Takes a column away; its place stays, as Postgres has it too, and is NULL in every row."""
        position = self.positions.pop(name)
        column = self.columns[position]
        column.name, column.not_null = f"(dropped {name})", False
        self.defaults = [default for default in self.defaults if default[0] != position]

    def _check_name(self, check: Expression) -> str:
        names = sorted(_columns(check))
        stem = f"{self.name}_{names[0]}_check" if len(names) == 1 else f"{self.name}_check"
        taken = {name for name, _ in self._checks}
        return next(
            name for name in (stem, *(f"{stem}{number}" for number in range(1, 99))) if name not in taken
        )

    # ---- rows

    def key_of(self, row: Row) -> Key:
        return tuple(row[position] for position in self.key)

    def check(self, execution: Any, row: Row) -> None:
        """Raises what Postgres would say about a row that does not fit."""
        for column, value in zip(self.columns, row, strict=True):
            if value is None:
                if column.not_null or column.name in self.key_columns:
                    raise asyncpg.NotNullViolationError(f"{self.name}.{column.name} is null")
            elif column.type in _INTEGERS:
                if type(value) is not int:
                    raise asyncpg.DataError(f"{self.name}.{column.name}: {value!r} is no integer")
                limit = _INTEGERS[column.type]
                if not -limit <= value < limit:
                    raise asyncpg.DataError(f"{self.name}.{column.name}: {value} is out of range")
            elif column.type == "numeric":
                if type(value) not in {int, Decimal}:
                    raise asyncpg.DataError(f"{self.name}.{column.name}: {value!r} is no number")
                if column.digits is not None and abs(value) >= 10**column.digits:
                    raise asyncpg.NumericValueOutOfRangeError(f"{self.name}.{column.name}: {value}")
            elif not isinstance(value, _OTHERS[column.type]):
                raise asyncpg.DataError(f"{self.name}.{column.name}: {value!r} is no {column.type}")
        for name, check in self._checks:
            if check(execution, (), (row,), ()) is False:
                raise asyncpg.CheckViolationError(f"row {row} violates {name}")

    def put(self, key: Key, row: Row | None) -> Row | None:
        """Replaces (None: removes) a committed row and answers with the one before."""
        before = self.rows.get(key)
        if before is not None and self.uniques:
            for positions, index in zip(self.uniques, self.unique_keys, strict=True):
                index.pop(tuple(before[position] for position in positions), None)
        if row is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row
            self._index(row)
        return before

    def _index(self, row: Row) -> None:
        for positions, index in zip(self.uniques, self.unique_keys, strict=True):
            index[tuple(row[position] for position in positions)] = self.key_of(row)

    def dump(self, without: Iterable[str] = ()) -> list[dict[str, Any]]:
        """All committed rows by key, for comparing."""
        left_out = set(without)
        return [
            {name: value for name, value in zip(self.names, row, strict=True) if name not in left_out}
            for _, row in sorted(self.rows.items())
        ]


def _columns(expression: Expression) -> set[str]:
    if expression[0] == "column":
        return {expression[2]}
    return {name for part in expression if isinstance(part, tuple) for name in _columns(part)}
