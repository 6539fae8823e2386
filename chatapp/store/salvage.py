"""What can still be read of a damaged file comes over into a new one, conversation by conversation.

The damaged file is only ever copied. In the copy, tables are read by ranges of row numbers; a
range that meets a broken page is halved until what lies around the page is read. A message whose
place is lost goes below the one that was written before it.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp.errors import StoreError
from chatapp.messages import Conversation, Message
from chatapp.store import rows
from chatapp.store.database import Database
from chatapp.store.kept import Kept

RANGE = 500
"""Rows that are read at once."""
HIGHEST = 10_000_000
"""The highest number of a row that is looked for: beyond it, a number is damage itself."""
MOST_FAILURES = 20_000
"""After so many rows that cannot be read, the rest of a table is given up."""

_MAGIC = b"SQLite format 3\0"
_CHAT = "number, id, owner, title, named, deleted"
_MESSAGE = f"number, chat, id, parent, role, created, {rows.COLUMNS}"


@dataclass(frozen=True, slots=True)
class _Chat:
    """What is left of a conversation's own row; without it, it is the machine's user's, who can
    read the file anyway.
    """

    id: str | None = None
    owner: str = ""
    title: str = ""
    deleted: bool = False


def salvage(damaged: Path, database: Database) -> int:
    """Bring over what can be read; returns how many conversations that were.

    Raises StoreError where the new file cannot take them (a full disk).
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".salvage-", dir=damaged.parent) as folder:
            copy = _copied(damaged, Path(folder), database.path)
            with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
                # reads a file that was cut off (lockBtree in SQLite's btree.c)
                connection.execute("PRAGMA writable_schema=ON")
                connection.text_factory = lambda text: text.decode("utf-8", "replace")
                size = copy.stat().st_size
                chats, messages = _chats(connection, size), _messages(connection, size)
    except sqlite3.Error:  # nothing of it is a database
        return 0
    except OSError as error:
        cause = error.strerror or error
        raise StoreError("store-cannot-open", path=damaged, cause=cause) from error
    return _taken_over(chats, messages, database)


def _taken_over(
    chats: dict[int, _Chat], messages: dict[int, list[Sequence[Any]]], database: Database
) -> int:
    count = 0
    with database.outside_transactions() as connection:
        connection.execute("PRAGMA synchronous=OFF")  # a crash would lose nothing: it is set aside
    try:
        for number in sorted(messages):
            chat = chats.get(number, _Chat())
            conversation = _conversation(chat, messages[number])
            if chat.deleted or not conversation.root.replies:
                continue
            kept = Kept(database, chat.owner, conversation)
            kept.keep()
            if kept.failure is not None:
                raise kept.failure
            count += 1
    finally:
        with database.outside_transactions() as connection:
            connection.execute("PRAGMA synchronous=FULL")
    return count


def _copied(damaged: Path, folder: Path, new: Path) -> Path:
    """A copy, with its log, that SQLite opens: where the header is lost, the new file's is put in.

    Raises OSError.
    """
    copy = folder / "copy.db"
    shutil.copyfile(damaged, copy)
    log = damaged.with_name(damaged.name + "-wal")
    if log.exists():
        shutil.copyfile(log, folder / "copy.db-wal")
    with copy.open("r+b") as file, new.open("rb") as sound:
        if file.read(len(_MAGIC)) != _MAGIC:
            header = bytearray(sound.read(100))
            page = int.from_bytes(header[16:18], "big")
            header[28:32] = (copy.stat().st_size // page).to_bytes(4, "big")  # pages there are
            header[32:40] = bytes(8)  # none of them free
            file.seek(0)
            file.write(header)
    return copy


def _chats(connection: sqlite3.Connection, size: int) -> dict[int, _Chat]:
    found = {}
    for number, id, owner, title, named, deleted in _rows(connection, "chats", _CHAT, size):
        if isinstance(id, str) and isinstance(owner, str) and isinstance(title, str):
            found[number] = _Chat(id, owner, title if named else "", deleted is not None)
    return found


def _messages(connection: sqlite3.Connection, size: int) -> dict[int, list[Sequence[Any]]]:
    """The rows of each conversation that are what they should be."""
    found: dict[int, list[Sequence[Any]]] = {}
    seen = set()
    for row in _rows(connection, "messages", _MESSAGE, size):
        _, chat, id, _, role, created, content, reasoning, *_, summary, _, _ = row
        texts = (id, content, reasoning, summary)
        if (
            all(isinstance(text, str) for text in texts)
            and id not in seen
            and isinstance(chat, int)
            and isinstance(created, float)
            and role in ("system", "user", "assistant")
        ):
            seen.add(id)
            found.setdefault(chat, []).append(row)
    return found


def _rows(
    connection: sqlite3.Connection, table: str, columns: str, size: int
) -> Iterator[Sequence[Any]]:
    """The rows of a table that can be read, in order of their numbers.

    `size` is the file's, in bytes: what it says of itself may be wrong.
    """
    query = f"SELECT {columns} FROM {table} NOT INDEXED WHERE number BETWEEN ? AND ?"
    waiting = [(1, _highest(connection, table, size))]
    failures = 0
    while waiting and failures < MOST_FAILURES:
        low, high = waiting.pop()
        if high - low >= RANGE:
            waiting += [(low + RANGE, high), (low, low + RANGE - 1)]
            continue
        try:
            yield from connection.execute(query, (low, high)).fetchall()
        except sqlite3.Error:
            if low >= high:  # one row, or none where there is not even a page
                failures += 1
                continue
            middle = (low + high) // 2
            waiting += [(middle + 1, high), (low, middle)]


def _highest(connection: sqlite3.Connection, table: str, size: int) -> int:
    """The highest number there is; where that is lost, one that is hardly exceeded."""
    most = size // 128  # the rows, their share of all pages included, are longer than that
    try:
        (highest,) = connection.execute(f"SELECT max(number) FROM {table}").fetchone()
        return min(int(highest or 0), max(most, HIGHEST))
    except sqlite3.Error:
        return most


def _conversation(chat: _Chat, found: Sequence[Sequence[Any]]) -> Conversation:
    """The conversation that its rows make, in order of their numbers."""
    root: Message | None = None
    placed: dict[str, Message] = {}
    chosen: dict[str, str] = {}
    for _, _, id, parent, role, created, *columns in found:
        content, reasoning, record, feedback, summary, _, choice = rows.decoded(columns, None)
        message = Message(
            role,
            content,
            reasoning,
            record,
            feedback,
            summary,
            id=id,
            created=min(max(created, 0.0), time.time()),
        )
        if role == "system" and root is None:
            root = placed[id] = message
            continue
        if role == "system":
            continue
        if root is None:
            root = Message("system", created=message.created)
            placed[root.id] = root
        above = placed.get(parent) or _before(list(placed.values()), message)
        placed[id] = above.reply(message)
        if isinstance(choice, str):
            chosen[id] = choice
    conversation = Conversation(root=root)
    conversation.title = chat.title
    if chat.id is not None:
        conversation.id = chat.id
    _choose(placed, chosen)
    return conversation


def _before(placed: Sequence[Message], message: Message) -> Message:
    """The last message that this one can be a reply to."""
    if message.role == "user":
        return placed[-1]
    return next((said for said in reversed(placed) if said.role == "user"), placed[0])


def _choose(placed: dict[str, Message], chosen: dict[str, str]) -> None:
    """Where a conversation goes on; with the latest reply where that is lost."""
    for message in placed.values():
        reply = placed.get(chosen.get(message.id, ""))
        if reply is not None and reply.parent is message:
            message.chosen = message.replies.index(reply)
