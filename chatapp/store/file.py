"""Store: the file with everybody's conversations; opened, looked through, mended, emptied."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from chatapp import paths
from chatapp.errors import StoreError
from chatapp.store import words
from chatapp.store.chats import Chats
from chatapp.store.database import Database
from chatapp.store.rows import finish_crashed
from chatapp.store.salvage import salvage
from chatapp.texts import Sentence

FILE = "chats.db"
DAYS_DELETED = 7
"""How long a deleted conversation can be brought back."""


def open_store(folder: str | None = None) -> Store:
    """The conversations in a folder, or in the usual place. Raises StoreError."""
    return Store(store_path(folder).parent)


def open_existing_store(folder: str | None = None) -> Store:
    """The conversations in a folder that has some already; nothing is made. Raises StoreError."""
    place = paths.data_place(folder)
    try:
        (place / FILE).stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError("store-not-there", path=place) from error
    except OSError:
        pass  # opening it tells what is wrong
    return open_store(folder)


def store_path(folder: str | None = None) -> Path:
    """Where the file is, or will be; its folder is made on demand. Raises StoreError."""
    try:
        return paths.data_dir(folder) / FILE
    except OSError as error:
        cause = error.strerror or error
        raise StoreError("store-cannot-open", path=error.filename, cause=cause) from error


class Store:
    """The file with everybody's conversations. Threads may share it, and so may processes."""

    def __init__(self, directory: Path) -> None:
        """Open it, or make it. Raises StoreError."""
        self._database = Database(directory / FILE)
        self.path = self._database.path
        self.notices: list[Sentence] = []
        """What a person should know about the file."""
        self.notices += self._salvaged()
        if self._database.log_set_aside is not None:
            log = {"aside": self._database.log_set_aside}
            self.notices.append(Sentence("store-log-set-aside", log))
        try:
            with self._database.writing() as connection:
                finish_crashed(connection)
                _purge(connection, time.time() - DAYS_DELETED * 86_400)
        except StoreError as error:  # a full disk: what is there can still be read
            self.notices.append(error.sentence)

    def chats(self, owner: str = "") -> Chats:
        """What one person has; "" is whoever uses this machine."""
        return Chats(self._database, owner)

    def version(self) -> tuple[int, int]:
        """Something else whenever anybody has written. Raises StoreError."""
        return self._database.version()

    def check(self) -> list[str]:
        """What is wrong with the file, as SQLite says it; nothing: it is sound. Takes a while.

        Where nothing but the index of the words is damaged, it is made again. Raises StoreError.
        """
        try:
            self._check_words()
        except StoreError:
            with self._database.writing() as connection:
                words.rebuild(connection)
            self._check_words()
        with self._database.outside_transactions() as connection:
            found = [said for (said,) in connection.execute("PRAGMA integrity_check")]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        return [said for said in found if said != "ok"] + [f"orphan: {row}" for row in orphans]

    def _check_words(self) -> None:
        with self._database.writing() as connection:
            connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")

    def replace_damaged(self) -> list[Sentence]:
        """Put a file that `check` found damaged aside, for a new one with what can be read of it.

        Returns what a person should know. Raises StoreError.
        """
        self._database.replace()
        return self._salvaged()

    def _salvaged(self) -> list[Sentence]:
        """Of a file that was set aside just now, if any."""
        aside = self._database.set_aside
        if aside is None:
            return []
        said = [Sentence("store-set-aside", {"path": self.path, "aside": aside})]
        try:
            count = salvage(aside, self._database)
        except StoreError as error:
            return [*said, error.sentence]
        return [*said, Sentence("store-salvaged", {"count": count})]

    def counts(self) -> tuple[int, int]:
        """How many conversations and messages the file has, everybody's. Raises StoreError."""
        with self._database.reading() as connection:
            (chats,) = connection.execute(
                "SELECT count(*) FROM chats WHERE deleted IS NULL"
            ).fetchone()
            (messages,) = connection.execute(
                "SELECT count(*) FROM messages JOIN chats ON chats.number = messages.chat "
                "WHERE deleted IS NULL AND parent IS NOT NULL"
            ).fetchone()
        return chats, messages

    def vacuum(self) -> None:
        """Drop deleted conversations for good and give their room back. Raises StoreError."""
        with self._database.writing() as connection:
            _purge(connection, time.time())
        with self._database.outside_transactions() as connection:
            connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._database.close()


def _purge(connection: sqlite3.Connection, until: float) -> None:
    """Take the conversations that were deleted by then, and all their words, out."""
    chats = connection.execute("SELECT number FROM chats WHERE deleted <= ?", (until,)).fetchall()
    for (chat,) in chats:
        for number, content in connection.execute(
            "SELECT number, content FROM messages WHERE chat = ? AND indexed", (chat,)
        ).fetchall():
            words.remove(connection, number, content)
        connection.execute("DELETE FROM chats WHERE number = ?", (chat,))
