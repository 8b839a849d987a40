"""SQL statements as Python functions that read and change rows through an `Execution`.

A statement is planned once: for each source, in order, the cheapest way to its rows (by key, by a list of
keys, backwards from the newest, all of them) and the conditions that can be decided by then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.sim.expressions import AGGREGATES, Function, Row, Scope, compiled, sources_of
from tests.sim.syntax import (
    Delete,
    Expression,
    Ignored,
    Insert,
    Select,
    SetLocal,
    Source,
    Truncate,
    UnknownSql,
    Update,
    With,
    parsed,
)
from tests.sim.tables import Key, Table


@dataclass
class Result:
    """What a statement answers: its status line, and rows if it gives any."""

    status: str
    columns: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)


class Execution(Protocol):
    """One statement under way in one transaction."""

    parts: dict[str, list[Row]]

    def now(self) -> Any: ...
    def rows(self, table: Table) -> Iterable[Row]: ...
    def newest_first(self, table: Table) -> Iterable[Row] | None: ...
    def get(self, table: Table, key: Key) -> Row | None: ...
    def write(self, table: Table, key: Key, row: Row | None) -> None: ...
    def insert(self, table: Table, row: Row, *, or_ignore: bool) -> bool: ...
    def set_local(self, name: str, value: str) -> None: ...


Statement = Callable[[Execution, Sequence[Any]], Result]

ASCENDING = {("journal", "seq_last")}
"""Columns that grow with every inserted row, so that the newest rows are found from the end."""


def planned(sql: str, tables: Mapping[str, Table]) -> Statement:
    """The statement, ready to run. Raises UnknownSql."""
    return _Planner(sql, tables).statement(parsed(sql))


class _Planner:
    def __init__(self, sql: str, tables: Mapping[str, Table]) -> None:
        self._sql = sql
        self._tables = tables
        self._parts: dict[str, list[str]] = {}

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise UnknownSql(self._sql, f"there is no table {name}")
        return self._tables[name]

    def statement(self, tree: Any) -> Statement:
        match tree:
            case Select():
                return self._select(tree)
            case Insert():
                return self._insert(tree)
            case Update():
                return self._update(tree)
            case Delete():
                return self._delete(tree)
            case With():
                return self._with(tree)
            case Truncate(tables):
                return self._truncate([self._table(name) for name in tables])
            case SetLocal(name, value):
                return lambda x, p: (x.set_local(name, value), Result("SET"))[1]
            case Ignored():
                return lambda x, p: Result("OK")
        raise UnknownSql(self._sql, type(tree).__name__)

    # ---- sources

    def _columns_of(self, source: Source) -> dict[str, int]:
        if source.arrays:
            return {name: position for position, name in enumerate(source.columns)}
        if source.name in self._parts:
            return {name: position for position, name in enumerate(self._parts[source.name])}
        return self._table(source.name).positions

    def _scope(self, sources: Sequence[Source], outer: Scope | None = None) -> Scope:
        known = [(source.alias, self._columns_of(source)) for source in sources]
        return Scope(self._sql, known, self._subquery)

    def _subquery(self, select: Select, outer: Scope) -> Callable[[Any, Sequence[Any], bool], Any]:
        """A subquery of one column, which may not read its surroundings."""
        run = self._select(select)

        def value(x: Execution, p: Sequence[Any], listed: bool) -> Any:
            rows = run(x, p).rows
            if listed:
                return [row[0] for row in rows]
            return rows[0][0] if rows else None

        return value

    def _walk(
        self, sources: Sequence[Source], conditions: Sequence[Expression], scope: Scope
    ) -> Callable[[Execution, Sequence[Any]], Iterator[list[Row]]]:
        """All combinations of rows that meet the conditions, one row per source."""
        left = list(conditions)
        levels: list[tuple[Callable[..., Iterable[Row]], list[Function]]] = []
        for index, source in enumerate(sources):
            before = set(range(index))
            access = self._access(source, index, left, before, scope)
            now = [condition for condition in left if sources_of(condition, scope) <= before | {index}]
            left = [condition for condition in left if condition not in now]
            levels.append((access, [compiled(condition, scope) for condition in now]))
        count = len(levels)
        if count == 1:
            only_access, only_checks = levels[0]

            def scan(x: Execution, p: Sequence[Any]) -> Iterator[list[Row]]:
                for row in only_access(x, p, []):
                    e = [row]
                    for check in only_checks:
                        if check(x, p, e, ()) is not True:
                            break
                    else:
                        yield e

            return scan

        def walk(x: Execution, p: Sequence[Any], e: list[Row], at: int) -> Iterator[list[Row]]:
            if at == count:
                yield e
                return
            access, checks = levels[at]
            for row in access(x, p, e):
                e = [*e[:at], row, *e[at + 1 :]]
                if all(check(x, p, e, ()) is True for check in checks):
                    yield from walk(x, p, e, at + 1)

        return lambda x, p: walk(x, p, [()] * count, 0)

    def _access(
        self,
        source: Source,
        index: int,
        conditions: Sequence[Expression],
        before: set[int],
        scope: Scope,
    ) -> Callable[[Execution, Sequence[Any], list[Row]], Iterable[Row]]:
        if source.arrays:
            arrays = [compiled(array, scope) for array in source.arrays]
            return lambda x, p, e: zip(*(array(x, p, e, ()) for array in arrays), strict=True)
        if source.name in self._parts:
            name = source.name
            return lambda x, p, e: x.parts[name]
        table = self._table(source.name)
        equal: dict[str, Function] = {}
        for condition in conditions:
            for column, sign, value in _sides(condition):
                if column[0] != "column" or scope.find(column[1], column[2])[0] != index:
                    continue
                if not sources_of(value, scope) <= before:
                    continue
                if sign == "=":
                    equal[column[2]] = compiled(value, scope)
                elif sign == "any" and table.key_columns == [column[2]]:
                    keys = compiled(value, scope)
                    return lambda x, p, e: _present(x, table, ((key,) for key in keys(x, p, e, ())))
                elif sign == ">" and (table.name, column[2]) in ASCENDING:
                    return _newest(table, table.positions[column[2]], compiled(value, scope))
        if all(name in equal for name in table.key_columns):
            wanted = [equal[name] for name in table.key_columns]
            return lambda x, p, e: _present(x, table, [tuple(value(x, p, e, ()) for value in wanted)])
        for positions, index in zip(table.uniques, table.unique_keys, strict=True):
            names = [table.names[position] for position in positions]
            if all(name in equal for name in names):
                return _by_unique(table, index, [equal[name] for name in names])
        return lambda x, p, e: x.rows(table)

    # ---- statements

    def _outputs(
        self, outputs: Sequence[tuple[Expression, str]], scope: Scope, aggregates: list[Expression] | None
    ) -> tuple[tuple[str, ...], list[Function]]:
        names: list[str] = []
        functions: list[Function] = []
        for expression, name in outputs:
            if expression[0] == "star":
                for alias, columns in scope.sources:
                    if expression[1] in {"", alias}:
                        names += columns
                        functions += [compiled(("column", alias, column), scope) for column in columns]
                continue
            names.append(name)
            functions.append(compiled(expression, scope, aggregates))
        return tuple(names), functions

    def _select(self, tree: Select) -> Statement:
        scope = self._scope(tree.sources)
        walk = self._walk(tree.sources, tree.conditions, scope)
        aggregates: list[Expression] = []
        names, outputs = self._outputs(tree.outputs, scope, aggregates)
        if aggregates:
            assert not tree.order
            sums = [_aggregate(aggregate, scope) for aggregate in aggregates]
            missing = [()] * len(tree.sources)

            def aggregated(x: Execution, p: Sequence[Any]) -> Result:
                found = list(walk(x, p))
                a = [add(x, p, found) for add in sums]
                e = found[-1] if found else missing
                return Result("SELECT 1", names, [tuple(output(x, p, e, a) for output in outputs)])

            return aggregated
        order = [(compiled(expression, scope), descending) for expression, descending in reversed(tree.order)]
        limit = None if tree.limit is None else compiled(tree.limit, scope)

        def select(x: Execution, p: Sequence[Any]) -> Result:
            found = list(walk(x, p))
            for key, descending in order:
                found.sort(key=lambda e: key(x, p, e, ()), reverse=descending)
            if limit is not None:
                found = found[: limit(x, p, (), ())]
            rows = [tuple(output(x, p, e, ()) for output in outputs) for e in found]
            return Result(f"SELECT {len(rows)}", names, rows)

        return select

    def _insert(self, tree: Insert) -> Statement:
        table = self._table(tree.table)
        columns = tree.columns or table.names
        positions = [table.positions[name] for name in columns]
        scope = self._scope([])
        rows = [[compiled(value, scope) for value in row] for row in tree.rows]
        select = None if tree.select is None else self._select(tree.select)
        defaults = [default for default in table.defaults if default[0] not in positions]
        if tree.on_conflict == "update" and sorted(tree.target) != sorted(table.key_columns):
            raise UnknownSql(self._sql, "ON CONFLICT over other columns than the key")
        both = Scope(
            self._sql, [(tree.alias, table.positions), ("excluded", table.positions)], self._subquery
        )
        sets = [
            (table.positions[name], _compiled_set(value, both, tree.alias)) for name, value in tree.changes
        ]
        conditions = [compiled(condition, both) for condition in tree.conditions]
        names, returning = self._outputs(tree.returning, self._scope([Source(table.name, table.name)]), None)
        width = len(table.columns)

        def insert(x: Execution, p: Sequence[Any]) -> Result:
            given = (
                select(x, p).rows
                if select is not None
                else [tuple(value(x, p, (), ()) for value in row) for row in rows]
            )
            done: list[Row] = []
            for values in given:
                new: list[Any] = [None] * width
                for position, default in defaults:
                    new[position] = default(x, p, (), ())
                for position, value in zip(positions, values, strict=True):
                    new[position] = value
                row: Row = tuple(new)
                key = table.key_of(row)
                old = x.get(table, key) if tree.on_conflict == "update" else None
                if old is not None:
                    e = (old, row)
                    if not all(condition(x, p, e, ()) is True for condition in conditions):
                        continue
                    row = _changed(old, [(position, value(x, p, e, ())) for position, value in sets])
                    x.write(table, key, row)
                elif not x.insert(table, row, or_ignore=tree.on_conflict == "nothing"):
                    continue
                done.append(row)
            given_back = [tuple(output(x, p, (row,), ()) for output in returning) for row in done]
            return Result(f"INSERT 0 {len(done)}", names, given_back)

        return insert

    def _update(self, tree: Update) -> Statement:
        table = self._table(tree.table)
        sources = [*tree.sources, Source(tree.table, tree.alias)]
        scope = self._scope(sources)
        walk = self._walk(sources, tree.conditions, scope)
        sets = [(table.positions[name], compiled(value, scope)) for name, value in tree.changes]
        if any(position in table.key for position, _ in sets):
            raise UnknownSql(self._sql, "a change of the key")
        own = self._scope([Source(tree.table, tree.alias)])
        names, returning = self._outputs(tree.returning, own, None)

        def update(x: Execution, p: Sequence[Any]) -> Result:
            changed: dict[Key, Row] = {}
            for e in walk(x, p):
                old = e[-1]
                row = _changed(old, [(position, value(x, p, e, ())) for position, value in sets])
                changed.setdefault(table.key_of(old), row)  # a row is changed once per statement
            for key, row in changed.items():
                x.write(table, key, row)
            given_back = [tuple(output(x, p, (row,), ()) for output in returning) for row in changed.values()]
            return Result(f"UPDATE {len(changed)}", names, given_back)

        return update

    def _delete(self, tree: Delete) -> Statement:
        table = self._table(tree.table)
        sources = [Source(tree.table, tree.table)]
        scope = self._scope(sources)
        walk = self._walk(sources, tree.conditions, scope)
        names, returning = self._outputs(tree.returning, scope, None)

        def delete(x: Execution, p: Sequence[Any]) -> Result:
            gone = [e[0] for e in walk(x, p)]
            for row in gone:
                x.write(table, table.key_of(row), None)
            given_back = [tuple(output(x, p, (row,), ()) for output in returning) for row in gone]
            return Result(f"DELETE {len(gone)}", names, given_back)

        return delete

    def _with(self, tree: With) -> Statement:
        parts = []
        for name, part in tree.parts:
            run = self.statement(part)
            outputs = part.outputs if isinstance(part, Select) else part.returning
            self._parts[name] = [column for _, column in outputs]
            parts.append((name, run))
        body = self.statement(tree.body)

        def run_all(x: Execution, p: Sequence[Any]) -> Result:
            for name, run in parts:
                x.parts[name] = run(x, p).rows
            return body(x, p)

        return run_all

    def _truncate(self, tables: Sequence[Table]) -> Statement:
        def truncate(x: Execution, p: Sequence[Any]) -> Result:
            for table in tables:
                for row in list(x.rows(table)):
                    x.write(table, table.key_of(row), None)
            return Result("TRUNCATE TABLE")

        return truncate


def _sides(condition: Expression) -> Iterator[tuple[Expression, str, Expression]]:
    """(column, sign, value) of a condition that compares a column, read both ways where it can be."""
    match condition:
        case ("any", "=", column, value):
            yield column, "any", value
        case ("=", left, right):
            yield left, "=", right
            yield right, "=", left
        case (">", left, right):
            yield left, ">", right


def _present(x: Execution, table: Table, keys: Iterable[Key]) -> Iterator[Row]:
    for key in keys:
        row = x.get(table, key)
        if row is not None:
            yield row


def _newest(table: Table, position: int, above: Function) -> Callable[..., Iterable[Row]]:
    def rows(x: Execution, p: Sequence[Any], e: list[Row]) -> Iterable[Row]:
        backwards = x.newest_first(table)
        if backwards is None:
            return x.rows(table)
        low = above(x, p, e, ())
        found = []
        for row in backwards:
            if row[position] <= low:
                break
            found.append(row)
        found.reverse()
        return found

    return rows


def _by_unique(table: Table, index: dict[Key, Key], wanted: list[Function]) -> Callable[..., Iterable[Row]]:
    def rows(x: Execution, p: Sequence[Any], e: list[Row]) -> Iterable[Row]:
        if x.newest_first(table) is None:  # own changes, which the index does not know
            return x.rows(table)
        key = index.get(tuple(value(x, p, e, ()) for value in wanted))
        return () if key is None else _present(x, table, [key])

    return rows


def _changed(row: Row, changes: Iterable[tuple[int, Any]]) -> Row:
    new = list(row)
    for position, value in changes:
        new[position] = value
    return tuple(new)


def _compiled_set(value: Expression, scope: Scope, alias: str) -> Function:
    """In ON CONFLICT a bare column is the table's own."""
    if value[0] == "column" and not value[1]:
        value = ("column", alias, value[2])
    return compiled(value, scope)


def _aggregate(call: Expression, scope: Scope) -> Callable[..., Any]:
    name, arguments = call[1], call[2:]
    assert name in AGGREGATES
    if name == "count" and not arguments:
        return lambda x, p, found: len(found)
    value = compiled(arguments[0], scope)
    join = {"max": max, "min": min, "sum": sum, "count": len}[name]

    def aggregate(x: Execution, p: Sequence[Any], found: list[list[Row]]) -> Any:
        values = [one for one in (value(x, p, e, ()) for e in found) if one is not None]
        return join(values) if values or name == "count" else None

    return aggregate
