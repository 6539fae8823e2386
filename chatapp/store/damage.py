"""Damage: how it is noticed, and how a damaged file is put aside, as it is, for a new one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatapp.errors import StoreError

CHECKED_WHOLE = 32 * 2**20
"""Bytes up to which the file is looked through when it is opened; larger ones only in part."""


class StoreDamaged(Exception):
    """The file that was opened is damaged; `inode` tells it from one that replaced it since."""

    def __init__(self, connection: sqlite3.Connection, inode: int) -> None:
        super().__init__(inode)
        self.connection = connection
        self.inode = inode


def look_through(connection: sqlite3.Connection, path: Path) -> None:
    """Raises DatabaseError where the file is damaged, as far as a moment's look can tell."""
    if path.stat().st_size <= CHECKED_WHOLE:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise sqlite3.DatabaseError(found[0])
    for table in ("chats", "messages", "words"):
        connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()


def is_damage(error: sqlite3.Error) -> bool:
    """Malformed, or no database at all; what is merely locked or full is an OperationalError."""
    return type(error) is sqlite3.DatabaseError


def set_aside(path: Path, inode: int) -> Path | None:
    """Move a damaged file, and its log, to a name of its own; None: another process has done so.

    The log goes first: SQLite would play it back into the new file. Raises StoreError.
    """
    try:
        with _alone_in(path.parent):
            if not path.exists() or path.stat().st_ino != inode:
                return None
            aside = _free_name(path)
            with suppress(FileNotFoundError):
                path.with_name(path.name + "-wal").rename(f"{aside}-wal")
            path.with_name(path.name + "-shm").unlink(missing_ok=True)
            path.rename(aside)
    except OSError as error:
        raise cannot_open(path, error) from error
    return aside


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Processes take turns. Raises OSError."""
    if sys.platform == "win32":  # nothing that is open can be moved there in the first place
        yield
        return
    import fcntl

    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def copy_of_damaged_log(path: Path) -> Path | None:
    """Of a log that SQLite would write over, because it does not begin as one: a copy is kept.

    Raises OSError.
    """
    log = path.with_name(path.name + "-wal")
    try:
        with log.open("rb") as opened:
            header = opened.read(32)
            whole = len(header) == 32 and opened.read(1)
    except FileNotFoundError:
        return None
    if not whole or header[:4] in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"):
        return None
    aside = _free_name(log)
    shutil.copyfile(log, aside)
    aside.chmod(0o600)
    return aside


def _free_name(path: Path) -> Path:
    name = f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    aside, count = path.with_name(name), 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{name}-{count}")
    return aside


def cannot_open(path: Path, error: OSError) -> StoreError:
    return StoreError("store-cannot-open", path=path, cause=error.strerror or error)
