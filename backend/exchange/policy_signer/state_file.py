"""The signer's own memory: one SQLite file, in which everything is durable before it is relied on.

One process holds the file at a time. Transactions are short and synchronous, so nothing else of this process
runs between reading and writing; numbers beyond 64 bits are kept as decimal text. A file that is lost means
that the windows begin anew and the journal is read from its first row again. Its version is raised when more
is kept of the rows, for what an older file has not kept of those that it has read can not be known any more.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from exchange.policy_signer.refusals import (
    RefusalCode,
    Refused,
    StateOfAnotherDeployment,
    StateUnusable,
)
from exchange.policy_signer.settings import Identity

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (
    singleton  INTEGER PRIMARY KEY CHECK (singleton = 1),
    genesis_id TEXT NOT NULL,
    chain_id   TEXT NOT NULL,
    vault      TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS journal_place (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    seq       INTEGER NOT NULL CHECK (seq >= 0),
    hash      BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE IF NOT EXISTS requests (
    withdrawal_id TEXT PRIMARY KEY,
    account_id    INTEGER NOT NULL,
    seq           INTEGER NOT NULL CHECK (seq > 0),
    row_hash      BLOB NOT NULL CHECK (length(row_hash) = 32),
    owner         TEXT NOT NULL,
    token         TEXT NOT NULL,
    amount_atoms  TEXT NOT NULL,
    max_fee_atoms TEXT NOT NULL,
    fee_atoms     TEXT NOT NULL,
    destination   TEXT NOT NULL,
    nonce         INTEGER NOT NULL,
    deadline_s    INTEGER NOT NULL,
    signature     TEXT NOT NULL,
    final         TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS requests_by_deadline ON requests (deadline_s);

CREATE TABLE IF NOT EXISTS frozen_accounts (
    account_id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE IF NOT EXISTS signed (
    withdrawal_id TEXT PRIMARY KEY,
    token         TEXT NOT NULL,
    amount_atoms  TEXT NOT NULL,
    digest        BLOB NOT NULL CHECK (length(digest) = 32),
    signed_at_s   INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS signed_by_time ON signed (token, signed_at_s);
"""


class StateFile:
    """An open state file. Used in one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    @classmethod
    def open(cls, path: Path, identity: Identity) -> Self:
        """Opens the file, or begins it. Raises StateUnusable, StateOfAnotherDeployment."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StateUnusable(str(path), str(error)) from error
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            _check_version(connection, path)
            connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {_VERSION};COMMIT;")
            _check_identity(connection, path, identity)
        except sqlite3.Error as error:
            connection.close()
            raise StateUnusable(str(path), str(error)) from error
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits durably at its end, or changes nothing.

        Raises Refused (state_unavailable) when the file can not be written; that is then unknown to have
        happened, and doing the same again is harmless.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise Refused(RefusalCode.STATE_UNAVAILABLE, str(error)) from error

    def close(self) -> None:
        self.connection.close()


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    [is_begun] = connection.execute("SELECT count(*) > 0 FROM sqlite_schema").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if is_begun and version != _VERSION:
        raise StateUnusable(str(path), f"another release wrote it (version {version}, not {_VERSION})")


def _check_identity(connection: sqlite3.Connection, path: Path, identity: Identity) -> None:
    ours = (identity.genesis_id, str(identity.chain_id), identity.vault)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT OR IGNORE INTO identity VALUES (1, ?, ?, ?)", ours)
    connection.execute(
        "INSERT OR IGNORE INTO journal_place VALUES (1, 0, ?)", (bytes.fromhex(identity.genesis_id[2:]),)
    )
    connection.execute("COMMIT")
    stored = connection.execute("SELECT genesis_id, chain_id, vault FROM identity").fetchone()
    for field, mine, kept in zip(("exchange", "chain", "vault"), ours, stored, strict=True):
        if mine != kept:
            raise StateOfAnotherDeployment(str(path), field, mine, kept)
