"""The schema's files, for one server and for a cluster.

There is no cluster here to run the latter: its statements are parsed by the engine, and compared.
"""

import re
from typing import Any

import pytest

from exchange.stores.clickhouse import ClickHouse, Row
from exchange.stores.clickhouse_schema import CLUSTER_ONLY, MIGRATIONS, Layout
from exchange.stores.errors import ClusterNameInvalid, LayoutDiffers

ALONE, CLUSTER = Layout("exchange"), Layout("exchange", "market-data")
FIRST_VERSION = ("0001_trades.sql", "0002_candles_1m.sql")
"""Which nothing but their being dropped is left of."""
TABLES = ("account_volumes_daily", "candles", "candles_1s", "trades")


def statements(layout: Layout) -> list[str]:
    return [
        *(layout.create_database(), layout.create_migrations()),
        *(text for _, texts in layout.migrations(MIGRATIONS) for text in texts),
        *(layout.truncate(table) for table in TABLES),
    ]


def code(statement: str) -> str:
    """Without comments, on one line."""
    return " ".join(re.sub(r"--.*", "", statement).split())


@pytest.mark.parametrize("layout", [ALONE, CLUSTER])
async def test_the_engine_can_parse_every_statement(clickhouse: ClickHouse, layout: Layout) -> None:
    for statement in statements(layout):
        [(formatted,)] = await clickhouse.query("SELECT formatQuery({sql:String})", {"sql": statement})
        assert formatted


def test_one_server_has_nothing_of_a_cluster() -> None:
    for statement in statements(ALONE):
        assert not re.search("ON CLUSTER|Replicated|Distributed|_local", code(statement)), statement


def test_in_a_cluster_every_table_is_on_all_its_servers_replicated() -> None:
    of_old = {
        text for name, texts in CLUSTER.migrations(MIGRATIONS) if name in FIRST_VERSION for text in texts
    }
    for statement in map(code, (text for text in statements(CLUSTER) if text not in of_old)):
        assert statement.count("ON CLUSTER `market-data`") == 1, statement
        if "MergeTree" in statement:
            assert re.search(r"ENGINE = Replicated(Aggregating)?MergeTree", statement), statement


def test_in_a_cluster_rows_are_kept_and_views_made_by_each_server_for_itself() -> None:
    whole = " ".join(map(code, statements(CLUSTER)))
    for table in TABLES:
        assert f"CREATE TABLE IF NOT EXISTS {table}_local ON CLUSTER `market-data` (" in whole
        assert (
            f"CREATE TABLE IF NOT EXISTS {table} ON CLUSTER `market-data` AS {table}_local"
            f" ENGINE = Distributed(`market-data`, `exchange`, {table}_local, market_id)"
        ) in whole
        assert f"TRUNCATE TABLE {table}_local ON CLUSTER" in whole
    views = re.findall(
        r"CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) ON CLUSTER `market-data` TO (\w+)", whole
    )
    assert views == [
        ("candles_1s_of_trades", "candles_1s_local"),
        ("candles_of_seconds", "candles_local"),
        ("account_volumes_of_trades", "account_volumes_daily_local"),
    ]
    assert re.findall(r"FROM (\w+_local) AS", whole) == ["trades_local", "candles_1s_local", "trades_local"]


def test_a_repeated_block_is_dropped_by_every_table_of_either() -> None:
    for layout, window in ((ALONE, "non_replicated"), (CLUSTER, "replicated")):
        for name, texts in layout.migrations(MIGRATIONS):
            for text in texts:
                if "MergeTree" in text and name not in FIRST_VERSION:
                    assert re.search(rf"[ ]{window}_deduplication_window = 1000", text), text


@pytest.mark.parametrize("name", ["", "a b", "a`; DROP DATABASE x; --", "1a", "{cluster}", "é", "a" * 64])
def test_names_are_checked_before_they_come_near_a_statement(name: str) -> None:
    for database, cluster in ((name, None), ("exchange", name)):
        if database:
            with pytest.raises(ClusterNameInvalid):
                Layout(database, cluster if cluster is None else cluster or " ")
    if name:
        with pytest.raises(ClusterNameInvalid):
            ClickHouse.at("http://clickhouse:8123", name)


@pytest.mark.parametrize(
    ("where", "database"),
    [
        ("http://clickhouse:8123", "exchange"),
        ("https://user:password@clickhouse:8443/", "exchange"),
        ("http://clickhouse:8123/venue_2", "venue_2"),
    ],
)
async def test_an_address_may_name_the_database(where: str, database: str) -> None:
    clickhouse = ClickHouse.at(where)
    assert clickhouse.database == database
    await clickhouse.close()


class Listening(ClickHouse):
    """A cluster's server that takes whatever it is told."""

    def __init__(self, engine: str | None) -> None:
        super().__init__(url="http://nowhere.invalid", cluster="market-data")
        self.engine = engine
        self.told: list[str] = []

    async def query(
        self, sql: str, parameters: Any = None, *, timeout_s: float = 10.0, for_writer: bool = False
    ) -> list[Row]:
        self.told.append(sql)
        return [(self.engine,)] if self.engine and "system.tables" in sql else []

    async def command(self, sql: str, *, timeout_s: float = 10.0) -> None:
        self.told.append(sql)

    async def insert_columns(self, table: str, names: Any, columns: Any, **options: Any) -> None:
        self.told.append(f"INSERT INTO {table} {columns[0][0]}")


async def test_a_cluster_is_told_the_files_in_order_and_each_is_recorded() -> None:
    cluster = Listening("ReplicatedMergeTree")
    await cluster.migrate()
    names = [name for name, _ in CLUSTER.migrations(MIGRATIONS)]
    assert [told.split()[-1] for told in cluster.told if told.startswith("INSERT")] == names
    assert names[-1].endswith(CLUSTER_ONLY)
    assert cluster.told.index(CLUSTER.create_migrations()) < cluster.told.index(
        "SYSTEM SYNC REPLICA migrations"
    )
    await cluster.close()


async def test_tables_of_one_server_are_not_taken_for_a_clusters_nor_the_other_way_round(
    clickhouse: ClickHouse,
) -> None:
    cluster = Listening("MergeTree")
    with pytest.raises(LayoutDiffers, match=r"was made for one server .* the cluster market-data"):
        await cluster.migrate()
    await cluster.close()
    await clickhouse.migrate()

    class Alone(Listening):
        def __init__(self) -> None:
            ClickHouse.__init__(self, url="http://nowhere.invalid")
            self.engine, self.told = "ReplicatedMergeTree", []

    alone = Alone()
    with pytest.raises(LayoutDiffers, match=r"was made for a cluster .* one server"):
        await alone.migrate()
    assert not any(told.startswith("CREATE") for told in alone.told)
    await alone.close()
