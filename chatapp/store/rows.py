"""A message and its row: what stands in the columns, and which of them have their words indexed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias

from chatapp.messages import Message
from chatapp.records import (
    feedback_as_json,
    feedback_from_json,
    packed,
    record_as_json,
    record_from_json,
    storable,
)
from chatapp.store import words
from chatapp.store.writers import is_alive, this_process

State: TypeAlias = tuple[Any, ...]
"""The values of FIELDS, as a message has them; `chosen` as the reply's id."""

FIELDS = ("content", "reasoning", "record", "feedback", "summary", "writing", "chosen")
COLUMNS = ", ".join(FIELDS)


def state_of(message: Message) -> State:
    following = message.following
    chosen = following.id if following is not None else None
    return (*(getattr(message, name) for name in FIELDS[:-1]), chosen)


def take(message: Message, before: State | None, now: State) -> None:
    """Take over those fields that others changed and we did not."""
    mine = state_of(message)
    for index, name in enumerate(FIELDS):
        if now[index] == mine[index] or (before is not None and mine[index] != before[index]):
            continue
        if name != "chosen":
            setattr(message, name, now[index])
            continue
        ids = [reply.id for reply in message.replies]
        message.chosen = ids.index(now[index]) if now[index] in ids else None


def insert(connection: sqlite3.Connection, chat: int, message: Message, state: State) -> None:
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
    _index(connection, cursor.lastrowid)


def update(connection: sqlite3.Connection, id: str, before: State, now: State) -> None:
    """Write those fields that differ; the others may be somebody else's by now."""
    number, content, indexed = connection.execute(
        "SELECT number, content, indexed FROM messages WHERE id = ?", (id,)
    ).fetchone()
    changed = {
        name: _encoded(name, new)
        for name, old, new in zip(FIELDS, before, now, strict=True)
        if old != new
    }
    if indexed and changed.get("content", content) != content:
        words.remove(connection, number, content)
        changed["indexed"] = 0
    connection.execute(
        f"UPDATE messages SET {', '.join(f'{name} = ?' for name in changed)} WHERE number = ?",
        (*changed.values(), number),
    )
    _index(connection, number)


def decoded(columns: Sequence[Any], before: State | None) -> State:
    """The state that stands in a row; what has not changed is the very object that is known."""
    state = tuple(_decoded(*pair) for pair in zip(FIELDS, columns, strict=True))
    pairs = zip(before or state, state, strict=True)
    return tuple(old if old == new else new for old, new in pairs)


def finish_crashed(connection: sqlite3.Connection) -> None:
    """Mark the answers whose writer is gone as ended, and index them."""
    writing = connection.execute(
        "SELECT number, writing FROM messages WHERE writing IS NOT NULL"
    ).fetchall()
    for number, writer in writing:
        if not is_alive(writer):
            connection.execute("UPDATE messages SET writing = NULL WHERE number = ?", (number,))
            _index(connection, number)


def _index(connection: sqlite3.Connection, number: int) -> None:
    """Index what is whole; an answer that is being written is when it ends.

    What counts is the row, not what this process believes: another one may be at work on it.
    """
    found = connection.execute(
        "SELECT content FROM messages WHERE number = ? AND role != 'system' AND content != '' "
        "AND writing IS NULL AND NOT indexed",
        (number,),
    ).fetchone()
    if found is not None:
        words.add(connection, number, found[0])
        connection.execute("UPDATE messages SET indexed = 1 WHERE number = ?", (number,))


def _encoded(field: str, value: Any) -> Any:
    """What stands in a field's column."""
    match field:
        case "record":
            return None if value is None else storable(packed(record_as_json(value)))
        case "feedback":
            return None if value is None else storable(packed(feedback_as_json(value)))
        case "writing":
            return this_process() if value else None
    return storable(value) if isinstance(value, str) else value


def _decoded(field: str, column: Any) -> Any:
    if column is None:
        return False if field == "writing" else None
    try:
        match field:
            case "record":
                return record_from_json(json.loads(column))
            case "feedback":
                return feedback_from_json(json.loads(column))
    except ValueError:  # of a version that writes it in another way: the text is worth showing
        return None
    return is_alive(column) if field == "writing" else column
