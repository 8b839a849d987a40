"""The schema of ClickHouse: numbered files of statements, for one server or for a cluster of them.

The files are the same for both. Where a cluster needs other words they have a placeholder, for which only
names of ours are put in, never a value:

    {on_cluster}   nothing, or ON CLUSTER `name`
    {local}        nothing, or the ending of the tables that hold what a server has itself
    {Replicated}   nothing, or the beginning of the engine that keeps copies on other servers
    {cluster}      its name, in files `*.cluster.sql`, which one server alone passes over
    {database}     the database's name, there as well

In a cluster each table is a Distributed one over `<table>_local` on every server.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from exchange.stores.errors import ClickHouseError, ClusterNameInvalid

MIGRATIONS = Path(__file__).parents[3] / "migrations" / "clickhouse"
"""Where the migrations are in a checkout."""

CLUSTER_ONLY = ".cluster.sql"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Layout:
    """One server, or the servers of a cluster that they all have in their configuration by this name.

    Raises ClusterNameInvalid.
    """

    database: str
    cluster: str | None = None

    def __post_init__(self) -> None:
        for name in filter(None, (self.database, self.cluster)):
            if _NAME.fullmatch(name) is None:
                raise ClusterNameInvalid(name)

    @property
    def on_cluster(self) -> str:
        return "" if self.cluster is None else f" ON CLUSTER `{self.cluster}`"

    def local(self, table: str) -> str:
        """The table that holds the rows."""
        return table if self.cluster is None else f"{table}_local"

    def rendered(self, sql: str) -> str:
        """A statement with every placeholder filled in."""
        names = {
            "{on_cluster}": self.on_cluster,
            "{local}": self.local(""),
            "{Replicated}": "" if self.cluster is None else "Replicated",
            "{database}": f"`{self.database}`",
        }
        if self.cluster is not None:
            names["{cluster}"] = f"`{self.cluster}`"
        for placeholder, name in names.items():
            sql = sql.replace(placeholder, name)
        assert "{" not in sql, f"a placeholder that nobody knows: {sql}"
        return sql

    def migrations(self, folder: Path) -> list[tuple[str, list[str]]]:
        """Name and statements of each file, in order. A statement ends with a semicolon at a line's end.

        Raises ClickHouseError when there are none.
        """
        files = sorted(folder.glob("*.sql"))
        if not files:
            raise ClickHouseError(f"there are no migrations in {folder}")
        return [
            (
                file.name,
                [self.rendered(text) for text in file.read_text().split(";\n") if text.strip()],
            )
            for file in files
            if self.cluster is not None or not file.name.endswith(CLUSTER_ONLY)
        ]

    def create_database(self) -> str:
        return f"CREATE DATABASE IF NOT EXISTS `{self.database}`{self.on_cluster}"

    def create_migrations(self) -> str:
        """The table of the files that were applied; every server of a cluster has all of it."""
        engine = "MergeTree"
        if self.cluster is not None:
            path = f"/clickhouse/exchange/{self.database}/migrations"
            engine = f"ReplicatedMergeTree('{path}', '{{shard}}-{{replica}}')"
        return (
            f"CREATE TABLE IF NOT EXISTS migrations{self.on_cluster} (name String, applied_s UInt64)"
            f" ENGINE = {engine} ORDER BY name"
        )

    def truncate(self, table: str) -> str:
        """Empties a table, however large it is."""
        return (
            f"TRUNCATE TABLE {self.local(table)}{self.on_cluster}"
            " SETTINGS max_table_size_to_drop = 0, max_partition_size_to_drop = 0"
        )
