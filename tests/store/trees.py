"""When two conversations are the same, and when an index has just the words of the texts."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from chatapp.messages import Conversation, Message
from chatapp.store import words
from chatapp.store.schema import MIGRATIONS

Tree = tuple[Any, ...]


def tree_of(conversation: Conversation) -> Tree:
    """All that lasts of a conversation: what is stored and comes back."""
    return (conversation.id, conversation.title, _tree(conversation.root))


def _tree(message: Message) -> Tree:
    following = message.following
    return (
        *(message.id, message.role, message.created, message.content, message.reasoning),
        *(message.record, message.feedback, message.summary, message.writing),
        following.id if following is not None else None,
        *map(_tree, message.replies),
    )


def words_agree(file: Path) -> bool:
    """Whether the index has every word at every place of the texts that are whole, and no other.

    A second index is made of the texts, and the two are compared word by word.
    """
    connection = sqlite3.connect(file)
    try:
        (make,) = [said for said in MIGRATIONS[0] if "TABLE words" in said]
        connection.execute(make.replace("TABLE words", "TABLE temp.fresh"))
        indexed = []
        for number, owner, role, content, writing, flag in connection.execute(
            "SELECT messages.number, owner, role, content, writing, indexed FROM messages"
            " JOIN chats ON chats.number = chat"
        ).fetchall():
            if role != "system" and content and writing is None:
                indexed.append(number)
                connection.execute(
                    "INSERT INTO temp.fresh (rowid, text, owner) VALUES (?, ?, ?)",
                    (number, words.spaced(content), words._owner_word(owner)),
                )
            assert bool(flag) == (number in indexed) or writing is not None
        instances = []
        for name in ("main, words", "temp, fresh"):
            connection.execute("DROP TABLE IF EXISTS temp.instances")
            connection.execute(
                f"CREATE VIRTUAL TABLE temp.instances USING fts5vocab({name}, instance)"
            )
            instances.append(connection.execute("SELECT * FROM temp.instances").fetchall())
        return instances[0] == instances[1]
    finally:
        connection.close()
