"""Kept: one conversation at hand, what is stored of it, and what others have stored meanwhile.

Messages are only ever added; what can change of one is compared field by field with what was last
known to be stored. So nobody overwrites what another process wrote: of two questions asked at the
same place both stay, as versions, and the conversation goes on with the later one.
"""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from chatapp.errors import StoreError
from chatapp.messages import Conversation, Message, new_id
from chatapp.records import (
    feedback_as_json,
    feedback_from_json,
    packed,
    record_as_json,
    record_from_json,
)
from chatapp.store import words
from chatapp.store.database import Database

State: TypeAlias = tuple[Any, ...]
"""The values of FIELDS, as a message has them; `chosen` as the reply's id."""

FIELDS = ("content", "reasoning", "record", "feedback", "summary", "writing", "chosen")


class Unkept:
    """A private conversation: the interface of Kept, and nothing stored."""

    failure: StoreError | None = None

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation

    def keep(self) -> None:
        """Store nothing."""

    def refresh(self) -> bool:
        """There is nothing new."""
        return False


class Kept:
    """A conversation and its place in the store. Any thread may call, one at a time is served."""

    def __init__(self, database: Database, owner: str, conversation: Conversation) -> None:
        self.conversation = conversation
        self.failure: StoreError | None = None
        """Why the last `keep` has stored nothing; what is said stays in memory until one does."""
        self._database = database
        self._owner = owner
        self._lock = threading.RLock()
        self._stored: dict[str, State] = {}
        self._title = ""
        self._revision = 0
        self._writers: dict[str, str] = {}
        """Messages that another process was at work on when we looked, and which."""

    def keep(self) -> None:
        """Store what is new, all of it or nothing; a conversation without a question is not.

        Returns once it is on disk. Raises nothing: see `failure`.
        """
        with self._lock:
            tree = [said for said in self.conversation.root.tree() if _is_worth_storing(said)]
            states = {message.id: _state(message) for message in tree}
            title = self.conversation.title
            if len(tree) < 2 or (states == self._stored and title == self._title):
                return
            try:
                with self._database.writing() as connection:
                    if self._branch_off(connection, tree):
                        states = {message.id: _state(message) for message in tree}
                    revision = self._write(connection, tree, states, title)
            except StoreError as error:
                self.failure = error
                return
            self.failure = None
            self._stored, self._title, self._revision = states, title, revision

    def refresh(self) -> bool:
        """Take over what others have stored since; returns whether there was anything.

        The messages stay the same objects, and what was changed here and is not stored yet stays.
        Raises StoreError.
        """
        with self._lock, self._database.reading() as connection:
            found = connection.execute(
                "SELECT number, title, named, revision FROM chats WHERE id = ? AND owner = ?",
                (self.conversation.id, self._owner),
            ).fetchone()
            if found is None:
                return False
            number, title, named, revision = found
            if revision == self._revision:
                return self._notice_crashes()
            if self.conversation.title == self._title:
                self.conversation.title = self._title = title if named else ""
            self._take_over(connection, number)
            self._revision = revision
            return True

    def _branch_off(self, connection: sqlite3.Connection, tree: Sequence[Message]) -> bool:
        """Of an answer that somebody else wrote on at as well, ours becomes another version."""
        branched = False
        for message in tree:
            before = self._stored.get(message.id)
            if before is None or message.role == "system" or before[0] == message.content:
                continue
            found = connection.execute(
                "SELECT content FROM messages WHERE id = ?", (message.id,)
            ).fetchone()
            if found is not None and found[0] != _without_halves(before[0]):
                message.id, branched = new_id(), True
        return branched

    def _write(
        self,
        connection: sqlite3.Connection,
        tree: Sequence[Message],
        states: Mapping[str, State],
        title: str,
    ) -> int:
        """Returns the revision that is known now: the file's, unless others have written too."""
        number, revision = self._row(connection)
        stored = self._stored if revision else {}
        said_more = False
        for message in tree:
            before, now = stored.get(message.id), states[message.id]
            if before is None:
                _insert(connection, number, message, now)
            elif before != now:
                _update(connection, message, before, now)
            said_more = said_more or before is None or before[0] != now[0]
        model = next((said.record.model for said in reversed(tree) if said.record), "")
        connection.execute(
            """
            UPDATE chats SET model = ?, turns = ?, deleted = NULL, revision = revision + 1,
                changed = CASE WHEN ? THEN ? ELSE changed END,
                title = CASE WHEN ? THEN ? WHEN named THEN title ELSE ? END,
                named = CASE WHEN ? THEN ? ELSE named END
            WHERE number = ?
            """,
            (
                *(model, self.conversation.turn, said_more, time.time()),
                *(title != self._title, title or self.conversation.name, self.conversation.name),
                *(title != self._title, bool(title), number),
            ),
        )
        return revision + 1 if revision == self._revision else self._revision

    def _row(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """The number and the revision of the conversation's row, which is made on demand."""
        values = (self.conversation.id, self._owner, self.conversation.created, time.time())
        connection.execute(
            """
            INSERT OR IGNORE INTO chats
                (id, owner, title, named, model, turns, created, changed, revision)
            VALUES (?, ?, '', 0, '', 0, ?, ?, 0)
            """,
            values,
        )
        found = connection.execute(
            "SELECT number, revision FROM chats WHERE id = ? AND owner = ?", values[:2]
        ).fetchone()
        if found is None:
            raise StoreError("chat-unknown")  # somebody else has one of that name
        number, revision = found
        return number, revision

    def _take_over(self, connection: sqlite3.Connection, number: int) -> None:
        known = {message.id: message for message in self.conversation.root.tree()}
        rows = connection.execute(
            f"SELECT id, parent, role, created, {', '.join(FIELDS)} FROM messages "
            "WHERE chat = ? ORDER BY number",
            (number,),
        ).fetchall()
        self._writers.clear()
        found: dict[str, State] = {}
        for id, parent, role, created, *columns in rows:
            found[id] = self._decoded(id, columns, self._stored.get(id))
            if id in known:
                continue
            message = known[id] = Message(role, id=id, created=created)
            if parent is None:
                self.conversation.root = message
            else:
                known[parent].add(message)
        for id, state in found.items():
            _take(known[id], self._stored.get(id), state)
        self._stored.update(found)

    def _decoded(self, id: str, columns: Sequence[Any], before: State | None) -> State:
        """A row's state. What has not changed stays the very object that is known."""
        values = dict(zip(FIELDS, columns, strict=True))
        if values["writing"] is not None and values["writing"] != _this_process():
            self._writers[id] = values["writing"]
        state = tuple(_decoded(name, value) for name, value in values.items())
        pairs = zip(before or state, state, strict=True)
        return tuple(old if old == new else new for old, new in pairs)

    def _notice_crashes(self) -> bool:
        gone = [id for id, writer in self._writers.items() if not _is_alive(writer)]
        for id in gone:
            del self._writers[id]
            message = self.conversation.find(id)
            if message is not None:
                message.writing = False
        return bool(gone)


def _is_worth_storing(message: Message) -> bool:
    """An answer is not stored until there is something of it."""
    begun = message.said_something or message.finished is not None or message.replies
    return message.role != "assistant" or bool(begun)


def _state(message: Message) -> State:
    following = message.following
    chosen = following.id if following is not None else None
    return (*(getattr(message, name) for name in FIELDS[:-1]), chosen)


def _take(message: Message, before: State | None, now: State) -> None:
    """Take over those fields that others changed and we did not."""
    mine = _state(message)
    for index, name in enumerate(FIELDS):
        if now[index] == mine[index] or (before is not None and mine[index] != before[index]):
            continue
        if name != "chosen":
            setattr(message, name, now[index])
            continue
        ids = [reply.id for reply in message.replies]
        # A reply that was chosen and never stored had no words yet when its writer crashed.
        fallback = len(ids) - 1 if now[index] and ids else None
        message.chosen = ids.index(now[index]) if now[index] in ids else fallback


def _insert(connection: sqlite3.Connection, chat: int, message: Message, state: State) -> None:
    columns = {
        "id": message.id,
        "chat": chat,
        "parent": message.parent.id if message.parent else None,
        "role": message.role,
        "created": message.created,
        "indexed": 0,
        **{name: _encoded(name, value) for name, value in zip(FIELDS, state, strict=True)},
    }
    cursor = connection.execute(
        f"INSERT INTO messages ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
        tuple(columns.values()),
    )
    assert cursor.lastrowid is not None
    _index(connection, cursor.lastrowid, message.role, state)


def _update(connection: sqlite3.Connection, message: Message, before: State, now: State) -> None:
    number, content, indexed = connection.execute(
        "SELECT number, content, indexed FROM messages WHERE id = ?", (message.id,)
    ).fetchone()
    if indexed and content != now[0]:
        words.remove(connection, number, content)
        indexed = 0
    changed = [index for index, name in enumerate(FIELDS) if before[index] != now[index]]
    assignments = ", ".join(f"{FIELDS[index]} = ?" for index in changed)
    values = [_encoded(FIELDS[index], now[index]) for index in changed]
    connection.execute(
        f"UPDATE messages SET {assignments}, indexed = ? WHERE number = ?",
        (*values, indexed, number),
    )
    if not indexed:
        _index(connection, number, message.role, now)


def _index(connection: sqlite3.Connection, number: int, role: str, state: State) -> None:
    """Index what is whole; an answer that is being written is when it ends."""
    values = dict(zip(FIELDS, state, strict=True))
    if role != "system" and values["content"] and not values["writing"]:
        words.add(connection, number, values["content"])
        connection.execute("UPDATE messages SET indexed = 1 WHERE number = ?", (number,))


def finish_crashed(connection: sqlite3.Connection) -> None:
    """Mark the answers whose writer is gone as ended, and index them."""
    writing = connection.execute(
        "SELECT number, content, writing, indexed FROM messages WHERE writing IS NOT NULL"
    ).fetchall()
    for number, content, writer, indexed in writing:
        if _is_alive(writer):
            continue
        if content and not indexed:
            words.add(connection, number, content)
        connection.execute(
            "UPDATE messages SET writing = NULL, indexed = ? WHERE number = ?",
            (bool(content), number),
        )


def _encoded(field: str, value: Any) -> Any:
    """What stands in a field's column."""
    match field:
        case "record":
            return None if value is None else packed(record_as_json(value))
        case "feedback":
            return None if value is None else packed(feedback_as_json(value))
        case "writing":
            return _this_process() if value else None
    return _without_halves(value) if isinstance(value, str) else value


def _decoded(field: str, column: Any) -> Any:
    match field:
        case "record":
            return None if column is None else record_from_json(json.loads(column))
        case "feedback":
            return None if column is None else feedback_from_json(json.loads(column))
        case "writing":
            return column is not None and _is_alive(column)
    return column


def _without_halves(text: str) -> str:
    """Halves of surrogate pairs, which no encoding takes, are replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@functools.cache
def _this_process() -> str:
    return _process(os.getpid())


def _process(number: int) -> str:
    """A process's name, which no later one of the same number has. Raises psutil.Error."""
    import psutil  # only where an answer is being written: it takes a moment to import

    return f"{number}:{psutil.Process(number).create_time():.2f}"


def _is_alive(process: str) -> bool:
    import psutil

    try:
        return _process(int(process.partition(":")[0])) == process
    except (psutil.Error, ValueError):
        return False
