"""What can go wrong with a projection. The engine never waits for one and never stops for one."""


class ProjectionError(Exception):
    """Root of the projections' errors."""


class CursorMoved(ProjectionError):
    """Another process follows the journal into the same tables and was first; read the cursor again."""

    def __init__(self, name: str, expected: int) -> None:
        self.name = name
        self.expected = expected
        super().__init__(f"the cursor of {name} is no longer at seq {expected}: somebody else moved it")


class CursorMissing(ProjectionError):
    """The row of a cursor is gone: the tables were not migrated, or were edited."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is no cursor {name}; run the migrations")


class ReadTablesBroken(ProjectionError):
    """The read tables do not fit the journal; `reset` rebuilds them from it."""


class ReadTablesWentBack(ProjectionError):
    """The tables are not as far as they were: they are being built anew from the journal."""

    def __init__(self, seq: int, found: int) -> None:
        self.seq = seq
        self.found = found
        super().__init__(f"the read tables were at {seq} and are at {found} now")


class TradesLost(ProjectionError):
    """ClickHouse has not the trades that were inserted; all are filled again from the journal.

    `expected` and `found`: as many trades, and as many in each of the tables that are made of them.
    """

    def __init__(self, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
        self.expected = expected
        self.found = found
        super().__init__(f"ClickHouse has {found} trades and should have {expected}")
