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
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from chatapp.errors import StoreError
from chatapp.store.damage import (
    StoreDamaged,
    cannot_open,
    copy_of_damaged_log,
    is_damage,
    look_through,
    set_aside,
)
from chatapp.store.schema import MIGRATIONS

SECONDS_FOR_OTHERS = 5.0
"""How long another process may be at the file before we give up."""
SECONDS_ONCE_LOCKED = 0.1
"""The same, after we gave up: an answer that streams must not wait that long for each flush."""


class Database:
    """One connection, which threads take in turns."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises StoreError."""
        self.path = path
        self.set_aside: Path | None = None
        """Where the damaged file went that was found."""
        self.log_set_aside: Path | None = None
        """Where a copy of its log went, if that was damaged."""
        self._lock = threading.RLock()
        self._waits = SECONDS_FOR_OTHERS
        try:
            self._connection = self._opened()
        except StoreDamaged as error:
            with closing(error.connection):  # what has been moved, SQLite leaves as it is
                self.set_aside = set_aside(path, error.inode)
            try:
                self._connection = self._opened()
            except StoreDamaged as second:
                second.connection.close()
                raise StoreError("store-damaged", path=path) from second

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is stored, or nothing. Raises StoreError."""
        with self._lock, self._transaction("BEGIN IMMEDIATE") as connection:
            self._wait_for_others(SECONDS_FOR_OTHERS)
            if _version(connection) > len(MIGRATIONS):  # brought up to date under our hands
                raise StoreError("store-newer", path=self.path)
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

    def replace(self) -> None:
        """Put the file aside, damaged as it is, and begin a new one. Raises StoreError."""
        with self._lock:
            inode = self.path.stat().st_ino
            with closing(self._connection):  # what has been moved, SQLite leaves as it is
                self.set_aside = set_aside(self.path, inode)
            try:
                self._connection = self._opened()
            except StoreDamaged as error:
                error.connection.close()
                raise StoreError("store-damaged", path=self.path) from error

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
                    if "locked" in str(error):
                        self._wait_for_others(SECONDS_ONCE_LOCKED)
                    raise _said(error, self.path) from error
                raise

    def _wait_for_others(self, seconds: float) -> None:
        """From now on; without an effect on what runs."""
        if seconds != self._waits:
            self._connection.execute(f"PRAGMA busy_timeout={round(seconds * 1000)}")
            self._waits = seconds

    def _opened(self) -> sqlite3.Connection:
        """Raises StoreDamaged; StoreError for whatever else is in the way."""
        try:
            inode = _made(self.path)
            self.log_set_aside = self.log_set_aside or copy_of_damaged_log(self.path)
        except OSError as error:
            raise cannot_open(self.path, error) from error
        connection = sqlite3.connect(
            self.path,
            timeout=SECONDS_FOR_OTHERS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _configure(connection)
            _migrate(connection, self.path)
            look_through(connection, self.path)
        except BaseException as error:
            if isinstance(error, sqlite3.Error) and is_damage(error):
                raise StoreDamaged(connection, inode) from error
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise _said(error, self.path) from error
            raise
        return connection


def _made(path: Path) -> int:
    """The inode of the file, which is made on demand. Raises OSError.

    An existing file is not opened here: closing it again would drop the locks that SQLite has on
    it in this process (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    path.chmod(0o600)
    return path.stat().st_ino


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


def _said(error: sqlite3.Error, path: Path) -> StoreError:
    """The sentence for what SQLite says."""
    if is_damage(error):
        return StoreError("store-damaged", path=path)
    if "full" in str(error):
        return StoreError("store-full", path=path)
    if "unable to open" in str(error):
        return StoreError("store-cannot-open", path=path, cause=error)
    return StoreError("store-cannot-write", path=path, cause=error)
