"""Reads the part of SQL that the product uses: text in, a small tree out.

Expressions are nested tuples whose first word says what they are; statements are dataclasses. Anything else
is refused with the statement's text, so that a new kind of statement is noticed and never half understood.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Expression = tuple[Any, ...]

_TOKEN = re.compile(
    r"\s+|--[^\n]*|(?P<string>'(?:[^']|'')*')|(?P<param>\$\d+)|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z_0-9]*)|(?P<sign><>|<=|>=|!=|\|\||::|[-+*/%=<>(),.;~\[\]])"
)

_COMPARISONS = {"=", "<>", "!=", "<", ">", "<=", ">=", "~"}

_ENDS = {
    "from",
    "where",
    "order",
    "limit",
    "join",
    "on",
    "using",
    "returning",
    "set",
    "as",
    "values",
    "left",
    "for",
    "inner",
    "union",
    "group",
    "having",
    "offset",
    "and",
    "or",
    "not",
    "is",
    "in",
    "between",
    "asc",
    "desc",
    "like",
}


class UnknownSql(Exception):
    """A statement that the simulated database does not understand."""

    def __init__(self, sql: str, why: str) -> None:
        super().__init__(
            f"the simulated database does not know this statement ({why}): {' '.join(sql.split())}"
        )


@dataclass
class Source:
    """What stands in FROM: a table (or a WITH part) by name, or arrays set side by side by unnest."""

    name: str
    alias: str
    arrays: list[Expression] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)


@dataclass
class Select:
    outputs: list[tuple[Expression, str]]
    sources: list[Source]
    conditions: list[Expression]
    order: list[tuple[Expression, bool]]
    limit: Expression | None


@dataclass
class Insert:
    table: str
    alias: str
    columns: list[str]
    rows: list[list[Expression]]
    select: Select | None
    on_conflict: str = ""
    """"", "nothing" or "update"."""
    target: list[str] = field(default_factory=list)
    changes: list[tuple[str, Expression]] = field(default_factory=list)
    conditions: list[Expression] = field(default_factory=list)
    returning: list[tuple[Expression, str]] = field(default_factory=list)


@dataclass
class Update:
    table: str
    alias: str
    changes: list[tuple[str, Expression]]
    sources: list[Source]
    conditions: list[Expression]
    returning: list[tuple[Expression, str]]


@dataclass
class Delete:
    table: str
    conditions: list[Expression]
    returning: list[tuple[Expression, str]]


@dataclass
class With:
    parts: list[tuple[str, Any]]
    body: Any


@dataclass
class Truncate:
    tables: list[str]


@dataclass
class SetLocal:
    name: str
    value: str


@dataclass
class Column:
    name: str
    type: str
    digits: int | None
    not_null: bool = False
    default: Expression | None = None


@dataclass
class CreateTable:
    name: str
    columns: list[Column] = field(default_factory=list)
    key: list[str] = field(default_factory=list)
    uniques: list[list[str]] = field(default_factory=list)
    checks: list[tuple[str, Expression]] = field(default_factory=list)
    """Each with its name, "" for the one that Postgres gives."""


@dataclass
class AlterTable:
    """What is added (in `added`), dropped and loosened."""

    name: str
    added: CreateTable
    dropped: list[str] = field(default_factory=list)
    dropped_checks: list[str] = field(default_factory=list)
    nullable: list[str] = field(default_factory=list)
    not_null: list[str] = field(default_factory=list)
    drop_default: list[str] = field(default_factory=list)
    types: dict[str, tuple[str, int | None]] = field(default_factory=dict)


@dataclass
class DropTable:
    name: str


@dataclass
class Ignored:
    """An index, a comment: nothing that changes an answer."""


def split(script: str) -> list[str]:
    """The statements of a script."""
    statements, start = [], 0
    for match in re.finditer(r"'(?:[^']|'')*'|--[^\n]*|;", script):
        if match[0] == ";":
            statements.append(script[start : match.start()])
            start = match.end()
    statements.append(script[start:])
    return [sql for sql in statements if re.sub(r"--[^\n]*", "", sql).strip()]


@cache
def parsed(sql: str) -> Any:
    """The statement's tree, which nobody may change. Raises UnknownSql."""
    return _Parser(sql).statement()


class _Parser:
    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(sql):
            match = _TOKEN.match(sql, at)
            if match is None:
                raise UnknownSql(sql, f"at {sql[at : at + 12]!r}")
            if match.lastgroup is not None:
                text = match[0].lower() if match.lastgroup == "word" else match[0]
                self._tokens.append((match.lastgroup, text))
            at = match.end()
        self._at = 0

    # ---- words

    def _peek(self, ahead: int = 0) -> str:
        index = self._at + ahead
        return self._tokens[index][1] if index < len(self._tokens) else ""

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def _take(self, *words: str) -> bool:
        if all(self._peek(index) == word for index, word in enumerate(words)):
            self._at += len(words)
            return True
        return False

    def _need(self, *words: str) -> None:
        if not self._take(*words):
            raise UnknownSql(self._sql, f"{' '.join(words)} expected, found {self._peek()!r}")

    def _name(self) -> str:
        if self._kind() != "word":
            raise UnknownSql(self._sql, f"a name expected, found {self._peek()!r}")
        return self._next()

    def _names(self) -> list[str]:
        self._need("(")
        names = [self._name()]
        while self._take(","):
            names.append(self._name())
        self._need(")")
        return names

    # ---- statements

    def statement(self) -> Any:
        tree = self._any_statement()
        self._take(";")
        if self._peek():
            raise UnknownSql(self._sql, f"{self._peek()!r} is left over")
        return tree

    def _any_statement(self) -> Any:
        match self._peek():
            case "select":
                return self._select()
            case "insert":
                return self._insert()
            case "update":
                return self._update()
            case "delete":
                return self._delete()
            case "with":
                return self._with()
            case "truncate":
                self._next()
                self._take("table")
                tables = [self._name()]
                while self._take(","):
                    tables.append(self._name())
                return Truncate(tables)
            case "set":
                self._need("set")
                self._take("local")
                name = self._name()
                self._need("=")
                return SetLocal(name, self._next().strip("'"))
            case "create":
                return self._create()
            case "alter":
                return self._alter()
            case "drop" if self._peek(1) == "table":
                self._need("drop", "table")
                return DropTable(self._name())
            case "comment" | "drop":
                if self._peek() == "comment" or self._peek(1) == "index":
                    self._at = len(self._tokens)
                    return Ignored()
        raise UnknownSql(self._sql, "no such statement")

    def _with(self) -> With:
        self._need("with")
        parts = []
        while True:
            name = self._name()
            self._need("as", "(")
            parts.append((name, self._any_statement()))
            self._need(")")
            if not self._take(","):
                return With(parts, self._any_statement())

    def _select(self) -> Select:
        self._need("select")
        outputs = [self._output()]
        while self._take(","):
            outputs.append(self._output())
        sources: list[Source] = []
        conditions: list[Expression] = []
        if self._take("from"):
            self._from(sources, conditions)
        conditions += self._where()
        order: list[tuple[Expression, bool]] = []
        if self._take("order", "by"):
            while True:
                expression = self._expression()
                descending = self._take("desc")
                self._take("asc")
                order.append((expression, descending))
                if not self._take(","):
                    break
        limit = self._expression() if self._take("limit") else None
        if self._take("for", "update"):
            raise UnknownSql(self._sql, "FOR UPDATE")
        return Select(outputs, sources, conditions, order, limit)

    def _output(self) -> tuple[Expression, str]:
        if self._take("*"):
            return ("star", ""), "*"
        if self._peek(1) == "." and self._peek(2) == "*":
            qualifier = self._name()
            self._need(".", "*")
            return ("star", qualifier), "*"
        expression = self._expression()
        if self._take("as") or (self._kind() == "word" and self._peek() not in _ENDS):
            return expression, self._name()
        if expression[0] == "column":
            return expression, expression[2]
        return expression, expression[1] if expression[0] == "call" else "?column?"

    def _from(self, sources: list[Source], conditions: list[Expression]) -> None:
        sources.append(self._source())
        while True:
            if self._take(","):
                sources.append(self._source())
            elif self._take("join") or self._take("inner", "join"):
                sources.append(self._source())
                if self._take("using"):
                    for name in self._names():
                        left = ("column", sources[-2].alias, name)
                        conditions.append(("=", ("column", sources[-1].alias, name), left))
                else:
                    self._need("on")
                    conditions += _conjuncts(self._expression())
            else:
                return

    def _source(self) -> Source:
        name = self._name()
        if name != "unnest":
            alias = name
            if self._take("as") or (self._kind() == "word" and self._peek() not in _ENDS):
                alias = self._name()
            return Source(name, alias)
        self._need("(")
        arrays = [self._expression()]
        while self._take(","):
            arrays.append(self._expression())
        self._need(")")
        self._take("as")
        alias = self._name()
        return Source(name, alias, arrays, self._names())

    def _where(self) -> list[Expression]:
        return _conjuncts(self._expression()) if self._take("where") else []

    def _returning(self) -> list[tuple[Expression, str]]:
        outputs = []
        if self._take("returning"):
            outputs.append(self._output())
            while self._take(","):
                outputs.append(self._output())
        return outputs

    def _changes(self) -> list[tuple[str, Expression]]:
        changes = []
        while True:
            name = self._name()
            self._need("=")
            changes.append((name, self._expression()))
            if not self._take(","):
                return changes

    def _insert(self) -> Insert:
        self._need("insert", "into")
        table = alias = self._name()
        if self._take("as"):
            alias = self._name()
        insert = Insert(table, alias, [], [], None)
        if self._peek() == "(":
            insert.columns = self._names()
        if self._take("values"):
            while True:
                insert.rows.append(self._arguments())
                if not self._take(","):
                    break
        else:
            insert.select = self._select()
        if self._take("on", "conflict"):
            if self._peek() == "(":
                insert.target = self._names()
            self._need("do")
            if self._take("nothing"):
                insert.on_conflict = "nothing"
            else:
                self._need("update", "set")
                insert.on_conflict = "update"
                insert.changes = self._changes()
                insert.conditions = self._where()
        insert.returning = self._returning()
        return insert

    def _update(self) -> Update:
        self._need("update")
        table = alias = self._name()
        if self._take("as") or self._peek() != "set":
            alias = self._name()
        self._need("set")
        changes = self._changes()
        sources: list[Source] = []
        conditions: list[Expression] = []
        if self._take("from"):
            self._from(sources, conditions)
        conditions += self._where()
        return Update(table, alias, changes, sources, conditions, self._returning())

    def _delete(self) -> Delete:
        self._need("delete", "from")
        return Delete(self._name(), self._where(), self._returning())

    # ---- tables

    def _create(self) -> CreateTable | Ignored:
        self._need("create")
        self._take("unique")
        if self._peek() in {"index", "type", "function", "sequence"}:
            self._at = len(self._tokens)
            return Ignored()
        self._need("table")
        self._take("if", "not", "exists")
        table = CreateTable(self._name())
        self._need("(")
        while True:
            self._table_item(table)
            if not self._take(","):
                break
        self._need(")")
        if self._peek() in {"with", "partition"}:
            self._at = len(self._tokens)
        return table

    def _table_item(self, table: CreateTable) -> None:
        constraint = self._name() if self._take("constraint") else ""
        if self._take("primary", "key"):
            table.key = self._names()
        elif self._take("unique"):
            table.uniques.append(self._names())
        elif self._take("check"):
            table.checks += [(constraint, check) for check in self._arguments()]
        elif self._take("foreign", "key"):
            self._names()
            self._references()
        else:
            self._column(table)

    def _references(self) -> None:
        self._need("references")
        self._name()
        if self._peek() == "(":
            self._names()

    def _column(self, table: CreateTable) -> None:
        name = self._name()
        column = Column(name, *self._type())
        table.columns.append(column)
        while self._peek() not in {",", ")", ";", ""}:
            if self._take("primary", "key"):
                table.key = [name]
            elif self._take("not", "null"):
                column.not_null = True
            elif self._take("null"):
                pass
            elif self._take("unique"):
                table.uniques.append([name])
            elif self._take("default"):
                column.default = self._sum()
            elif self._take("generated", "always", "as", "identity"):
                pass  # nobody in the simulation inserts into such a table; the missing key would say so
            elif self._take("check"):
                table.checks += [("", check) for check in self._arguments()]
            elif self._take("storage") or self._take("collate") or self._take("constraint"):
                self._next()
            elif self._peek() == "references":
                self._references()
            else:
                raise UnknownSql(self._sql, f"column {name}: {self._peek()!r}")

    def _type(self) -> tuple[str, int | None]:
        """A type and its number of digits."""
        kind, digits = self._name(), None
        if self._take("("):
            digits = int(self._next())
            if self._take(","):
                self._next()
            self._need(")")
        if self._take("["):
            self._need("]")
            kind += "[]"
        return kind, digits

    def _alter(self) -> AlterTable:
        self._need("alter", "table")
        self._take("if", "exists")
        self._take("only")
        alter = AlterTable(self._name(), CreateTable(""))
        while True:
            if self._take("add"):
                self._take("column")
                self._take("if", "not", "exists")
                self._table_item(alter.added)
            elif self._take("drop", "constraint"):
                self._take("if", "exists")
                alter.dropped_checks.append(self._name())
            elif self._take("drop", "column"):
                alter.dropped.append(self._name())
            elif self._take("alter"):
                self._take("column")
                name = self._name()
                if self._take("drop", "not", "null"):
                    alter.nullable.append(name)
                elif self._take("set", "not", "null"):
                    alter.not_null.append(name)
                elif self._take("drop", "default"):
                    alter.drop_default.append(name)
                elif self._take("type"):
                    alter.types[name] = self._type()
                else:
                    raise UnknownSql(self._sql, "ALTER COLUMN")
            else:
                raise UnknownSql(self._sql, "ALTER TABLE")
            if not self._take(","):
                return alter

    # ---- expressions, loosest first

    def _arguments(self) -> list[Expression]:
        self._need("(")
        arguments = []
        if not self._take(")"):
            arguments.append(self._expression())
            while self._take(","):
                arguments.append(self._expression())
            self._need(")")
        return arguments

    def _expression(self) -> Expression:
        expression = self._conjunction()
        while self._take("or"):
            expression = ("or", expression, self._conjunction())
        return expression

    def _conjunction(self) -> Expression:
        expression = self._negation()
        while self._take("and"):
            expression = ("and", expression, self._negation())
        return expression

    def _negation(self) -> Expression:
        if self._take("not"):
            return ("not", self._negation())
        return self._comparison()

    def _comparison(self) -> Expression:
        left = self._sum()
        while True:
            if self._peek() in _COMPARISONS:
                sign = self._next().replace("!=", "<>")
                if self._take("any"):
                    [array] = self._arguments()
                    left = ("any", sign, left, array)
                else:
                    left = (sign, left, self._sum())
            elif self._take("is"):
                negated = self._take("not")
                self._need("null")
                left = ("null", left)
                left = ("not", left) if negated else left
            elif self._peek() in {"in", "between"} or (
                self._peek() == "not" and self._peek(1) in {"in", "between"}
            ):
                negated = self._take("not")
                if self._take("in"):
                    if self._peek(1) == "select":
                        left = ("in list", left, self._primary())
                    else:
                        left = ("in", left, *self._arguments())
                else:
                    self._need("between")
                    low = self._sum()
                    self._need("and")
                    left = ("and", (">=", left, low), ("<=", left, self._sum()))
                left = ("not", left) if negated else left
            else:
                return left

    def _sum(self) -> Expression:
        expression = self._product()
        while self._peek() in {"+", "-", "||"}:
            expression = (self._next(), expression, self._product())
        return expression

    def _product(self) -> Expression:
        expression = self._cast()
        while self._peek() in {"*", "/", "%"}:
            expression = (self._next(), expression, self._cast())
        return expression

    def _cast(self) -> Expression:
        expression = self._primary()
        while self._take("::"):
            self._name()
            if self._take("["):
                self._need("]")
        return expression

    def _primary(self) -> Expression:
        kind, text = self._kind(), self._next()
        if kind == "param":
            return ("param", int(text[1:]) - 1)
        if kind == "number":
            return ("literal", int(text))
        if kind == "string":
            return ("literal", text[1:-1].replace("''", "'"))
        if text == "-":
            return ("-", ("literal", 0), self._cast())
        if text == "(":
            expression = ("select", self._select()) if self._peek() == "select" else self._expression()
            self._need(")")
            return expression
        if kind != "word":
            raise UnknownSql(self._sql, f"{text!r} in an expression")
        if text in {"true", "false", "null"}:
            return ("literal", {"true": True, "false": False, "null": None}[text])
        if self._peek() == "(":
            if self._take("(", "*", ")"):
                return ("call", text)
            return ("call", text, *self._arguments())
        if self._take("."):
            return ("column", text, self._name())
        return ("column", "", text)


def _conjuncts(expression: Expression) -> list[Expression]:
    if expression[0] == "and":
        return _conjuncts(expression[1]) + _conjuncts(expression[2])
    return [expression]
