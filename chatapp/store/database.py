"""The SQLite file: how it is opened, brought up to date, written to, and set aside if damaged.

Write-ahead log with `synchronous=FULL`: what was committed survives a crash of the program and of
the machine (https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatapp.errors import StoreError
from chatapp.store.schema import MIGRATIONS

SECONDS_FOR_OTHERS = 5.0
"""How long another process may be at the file before we give up."""
CHECKED_WHOLE = 32 * 2**20
"""Bytes up to which the file is looked through when it is opened; larger ones only in part."""


class Database:
    """One connection, which threads take in turns."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises StoreError."""
        self.path = path
        self.set_aside: Path | None = None
        """Where the damaged file went that was found."""
        self._lock = threading.RLock()
        try:
            self._connection = self._opened()
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise _said(error, path) from error
            self.set_aside = _set_aside(path)
            try:
                self._connection = self._opened()
            except sqlite3.Error as second:
                raise _said(second, path) from second

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is stored, or nothing. Raises StoreError."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the file, whoever writes meanwhile. Raises StoreError."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def outside_transactions(self) -> Iterator[sqlite3.Connection]:
        """For what SQLite does on its own: VACUUM, checks. Raises StoreError."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise _said(error, self.path) from error

    def version(self) -> tuple[int, int]:
        """Something else whenever anybody has written. Raises StoreError."""
        with self.outside_transactions() as connection:
            (others,) = connection.execute("PRAGMA data_version").fetchone()
            return others, connection.total_changes

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute(begin)
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise _said(error, self.path) from error
                raise

    def _opened(self) -> sqlite3.Connection:
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self.path.chmod(0o600)
        except OSError as error:
            raise StoreError(
                "store-cannot-open", path=self.path, cause=error.strerror or error
            ) from error
        connection = sqlite3.connect(
            self.path,
            timeout=SECONDS_FOR_OTHERS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _configure(connection)
            _migrate(connection, self.path)
            _look_through(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection


def _configure(connection: sqlite3.Connection) -> None:
    until = time.monotonic() + SECONDS_FOR_OTHERS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:  # here SQLite does not wait for others itself
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
    for setting in (
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {setting}")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older file up to date, leaving a copy of it; refuse a newer one."""
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise StoreError("store-newer", path=path)
        if 0 < version < len(MIGRATIONS):
            _copy(path, path.with_name(f"{path.name}.version-{version}"))
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _copy(path: Path, copy: Path) -> None:
    copy.touch(0o600)
    source, target = sqlite3.connect(path), sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()


def _look_through(connection: sqlite3.Connection, path: Path) -> None:
    """Raises DatabaseError where the file is damaged, as far as a moment's look can tell."""
    if path.stat().st_size <= CHECKED_WHOLE:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise sqlite3.DatabaseError(found[0])
    for table in ("chats", "messages", "words"):
        connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()


def _is_damage(error: sqlite3.Error) -> bool:
    """Malformed, or no database at all; what is merely locked or full is an OperationalError."""
    return type(error) is sqlite3.DatabaseError


def _set_aside(path: Path) -> Path:
    """Move a damaged file, and its log, to a name of its own. Raises StoreError."""
    name = f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    aside, count = path.with_name(name), 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{name}-{count}")
    try:
        for ending in ("", "-wal"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(f"{aside}{ending}")
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
    except OSError as error:
        raise StoreError("store-cannot-open", path=path, cause=error.strerror or error) from error
    return aside


def _said(error: sqlite3.Error, path: Path) -> StoreError:
    """The sentence for what SQLite says."""
    if _is_damage(error):
        return StoreError("store-damaged", path=path)
    if "full" in str(error):
        return StoreError("store-full", path=path)
    if "unable to open" in str(error):
        return StoreError("store-cannot-open", path=path, cause=error)
    return StoreError("store-cannot-write", path=path, cause=error)
