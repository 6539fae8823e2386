"""Chats: one person's conversations, their list, and the search in them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp.errors import StoreError
from chatapp.messages import Conversation, new_id
from chatapp.records import storable
from chatapp.store import words
from chatapp.store.database import Database
from chatapp.store.kept import Kept

CANDIDATES = 5_000
"""The most messages with the words asked for that a search looks at."""

_LINE = "id, title, model, turns, changed"


@dataclass(frozen=True, slots=True)
class ChatLine:
    """One conversation in a list."""

    id: str
    title: str
    model: str
    """Of the last answer; "" before the first."""
    turns: int
    changed: float
    """When something was last said; seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A conversation that a search found, with its newest message that has the words."""

    chat: ChatLine
    message_id: str | None
    """None: the title has them."""
    snippet: str
    marks: list[tuple[int, int]]
    """Where in the snippet the words are: begin and end, in characters."""


class Chats:
    """One person's conversations; nobody else's can be had through it."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    @property
    def path(self) -> Path:
        """The file that has them."""
        return self._database.path

    def latest(self, asked: str = "", limit: int = 50, offset: int = 0) -> list[ChatLine]:
        """The newest first; those whose title or model has all the words, if any are asked for.

        Raises StoreError.
        """
        return self._lines(asked, "title || ' ' || model", limit, offset)

    def _lines(self, asked: str, inside: str, limit: int, offset: int = 0) -> list[ChatLine]:
        conditions, values = ["owner = ?", "deleted IS NULL"], [self._owner]
        for word in storable(asked).split():
            conditions.append(f"({inside}) LIKE ? ESCAPE '!'")
            values.append(f"%{_escaped(word)}%")
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_LINE} FROM chats WHERE {' AND '.join(conditions)} "
                "ORDER BY changed DESC, number DESC LIMIT ? OFFSET ?",
                (*values, limit, offset),
            )
            return [ChatLine(*row) for row in rows]

    def search(self, asked: str, limit: int = 20) -> list[Hit]:
        """Conversations with all the words in their title, then in a text, each the newest first.

        Raises StoreError.
        """
        if not asked.strip():
            return []
        hits: dict[str, Hit] = {}
        for line in self._lines(asked, "title", limit):
            hits[line.id] = Hit(line, None, *words.snippet(line.title, asked))
        for wanted in words.queries(asked, self._owner):
            if len(hits) < limit:
                self._find_in_texts(wanted, asked, limit, hits)
        return list(hits.values())

    def add(self, conversation: Conversation) -> Kept:
        """A conversation that is stored from its first question on."""
        return Kept(self._database, self._owner, conversation)

    def take_in(self, conversation: Conversation) -> Kept:
        """Store a conversation that comes from a file, beside all there are.

        It gets other ids where the store knows one of its own already, whoever has it: what is
        imported twice is there twice, and never changes what is stored. Raises StoreError.
        """
        messages = list(conversation.root.tree())
        with self._database.reading() as connection:
            known = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM chats WHERE id = ?) OR EXISTS "
                "(SELECT 1 FROM messages WHERE id IN (SELECT value FROM json_each(?)))",
                (conversation.id, json.dumps([message.id for message in messages])),
            ).fetchone()
        if known != (0,):
            conversation.id = new_id()
            for message in messages:
                message.id = new_id()
        kept = self.add(conversation)
        kept.keep()
        if kept.failure is not None:
            raise kept.failure
        return kept

    def open(self, id: str) -> Kept:
        """A stored conversation. Raises StoreError where there is none of that name."""
        conversation = Conversation()
        conversation.id = id
        kept = Kept(self._database, self._owner, conversation)
        if self.find(id) is None or not kept.refresh():
            raise StoreError("chat-unknown")
        return kept

    def find(self, id: str) -> ChatLine | None:
        """A conversation's line, None where there is none or it was deleted. Raises StoreError."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_LINE} FROM chats WHERE id = ? AND owner = ? AND deleted IS NULL",
                (id, self._owner),
            ).fetchone()
        return None if row is None else ChatLine(*row)

    def rename(self, id: str, title: str) -> None:
        """Give a conversation a title. Raises StoreError."""
        self._change(id, "title = ?, named = 1", storable(title))

    def delete(self, id: str) -> None:
        """Take a conversation out of all lists; for some days `restore` brings it back.

        Raises StoreError.
        """
        self._change(id, "deleted = ?", time.time())

    def restore(self, id: str) -> None:
        """Bring a deleted conversation back. Raises StoreError."""
        self._change(id, "deleted = ?", None)

    def version(self) -> tuple[int, int]:
        """Something else whenever anybody has written. Raises StoreError."""
        return self._database.version()

    def _change(self, id: str, assignment: str, value: Any) -> None:
        with self._database.writing() as connection:
            changed = connection.execute(
                f"UPDATE chats SET {assignment}, revision = revision + 1 "
                "WHERE id = ? AND owner = ?",
                (value, id, self._owner),
            )
            if changed.rowcount == 0:
                raise StoreError("chat-unknown")

    def _find_in_texts(self, wanted: str, asked: str, limit: int, hits: dict[str, Hit]) -> None:
        """Add to the hits, until there are as many as `limit`, one for each conversation."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"""
                SELECT messages.id, messages.content, {_LINE.replace("id", "chats.id", 1)}
                FROM words
                JOIN messages ON messages.number = words.rowid
                JOIN chats ON chats.number = messages.chat
                WHERE words MATCH ? AND chats.owner = ? AND deleted IS NULL
                ORDER BY words.rowid DESC LIMIT ?
                """,
                (wanted, self._owner, CANDIDATES),
            )
            for message, content, id, *line in rows:
                if id not in hits and words.holds(content, asked):
                    hits[id] = Hit(ChatLine(id, *line), message, *words.snippet(content, asked))
                    if len(hits) >= limit:
                        return


def _escaped(word: str) -> str:
    return word.replace("!", "!!").replace("%", "!%").replace("_", "!_")
