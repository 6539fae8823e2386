"""Kept: one conversation at hand, what is stored of it, and what others have stored meanwhile.

Messages are only ever added; what can change of one is compared field by field with what was last
known to be stored. So nobody overwrites what another process wrote: of two questions asked at the
same place both stay, as versions, and the conversation goes on with the later one.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from chatapp.errors import StoreError
from chatapp.messages import Conversation, Message, new_id
from chatapp.records import storable
from chatapp.store import rows
from chatapp.store.database import Database
from chatapp.store.rows import FIELDS, State, state_of
from chatapp.store.writers import is_alive, this_process

UNKNOWN = -1
"""The revision while others have stored what was not taken over yet."""


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
        self._number = 0
        self._revision = 0
        self._writers: dict[str, str] = {}
        """Messages that another process was at work on when we looked, and which."""

    def keep(self) -> None:
        """Store what is new, all of it or nothing; a conversation without a question is not.

        Returns once it is on disk. Raises nothing: see `failure`.
        """
        with self._lock:
            tree, states = self._worth_storing()
            title = self.conversation.title
            if len(tree) < 2 or (states == self._stored and title == self._title):
                return
            try:
                with self._database.writing() as connection:
                    if self._branch_off(connection, tree):
                        tree, states = self._worth_storing()
                    number, revision = self._write(connection, tree, states, title)
            except StoreError as error:
                self.failure = error
                return
            self.failure = None
            self._stored, self._title = states, title
            self._number, self._revision = number, revision

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
            if (number, revision) == (self._number, self._revision):
                return self._notice_crashes()
            if self.conversation.title == self._title:
                self.conversation.title = self._title = title if named else ""
            self._take_over(connection, number)
            self._number, self._revision = number, revision
            return True

    def _worth_storing(self) -> tuple[list[Message], dict[str, State]]:
        """The messages, but answers of which there is nothing yet; each after its parent."""
        tree = [
            message
            for message in self.conversation.root.tree()
            if message.id in self._stored or _is_worth_storing(message)
        ]
        return tree, {message.id: state_of(message) for message in tree}

    def _branch_off(self, connection: sqlite3.Connection, tree: Sequence[Message]) -> bool:
        """Of an answer that somebody else wrote on at as well, ours becomes another version."""
        branched = False
        for message in tree:
            before = self._stored.get(message.id)
            ours = (message.content, message.reasoning)
            if before is None or message.parent is None or before[:2] == ours:
                continue
            columns = connection.execute(
                f"SELECT {rows.COLUMNS} FROM messages WHERE id = ?", (message.id,)
            ).fetchone()
            if columns is not None and columns[:2] != tuple(map(storable, before[:2])):
                self._part(message, message.parent, self._decoded(message.id, columns, None))
                branched = True
        return branched

    def _part(self, message: Message, parent: Message, theirs: State) -> None:
        """Leave its name, and those replies that are stored, to what somebody else made of it."""
        other = Message(message.role, id=message.id, created=message.created)
        for reply in [reply for reply in message.replies if reply.id in self._stored]:
            message.withdraw(reply, None)
            other.add(reply)
        theirs = self._stored[other.id] = _resolved(other, theirs)
        rows.take(other, None, theirs)
        message.id, message.created = new_id(), time.time()
        following = parent.following
        parent.withdraw(message, None)
        parent.add(other)
        parent.add(message)
        if following is message:
            parent.chosen = parent.replies.index(message)

    def _write(
        self,
        connection: sqlite3.Connection,
        tree: Sequence[Message],
        states: Mapping[str, State],
        title: str,
    ) -> tuple[int, int]:
        """Returns the number of the conversation's row, and the revision that is known now, which
        is UNKNOWN where others have written too.
        """
        number, revision = self._row(connection)
        stored = self._stored
        if number != self._number:  # new here; or it was dropped for good, and begins again
            found = connection.execute("SELECT id FROM messages WHERE chat = ?", (number,))
            stored = {id: stored[id] for (id,) in found if id in stored}
        said_more = asked = False
        for message in tree:
            before, now = stored.get(message.id), states[message.id]
            if before is None:
                rows.insert(connection, number, message, now)
                asked = asked or message.record is None
            elif before != now:
                rows.update(connection, message.id, before, now)
            said_more = said_more or before is None or before[0] != now[0]
        retitled = title != self._title or revision == 0
        name = storable(self.conversation.name)
        connection.execute(
            """
            UPDATE chats SET model = ?, turns = ?, revision = revision + 1,
                deleted = CASE WHEN ? THEN NULL ELSE deleted END,
                changed = CASE WHEN ? THEN ? ELSE changed END,
                title = CASE WHEN ? THEN ? WHEN named THEN title ELSE ? END,
                named = CASE WHEN ? THEN ? ELSE named END
            WHERE number = ?
            """,
            (
                *(_last_model(tree), self.conversation.turn),
                *(
                    asked,
                    said_more,
                    time.time() if revision else _newest(tree),
                ),  # only a person brings back what was deleted
                *(retitled, storable(title) or name, name),
                *(retitled, bool(title), number),
            ),
        )
        knows_all = revision == 0 or (number, revision) == (self._number, self._revision)
        return number, revision + 1 if knows_all else UNKNOWN

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
        found = connection.execute(
            f"SELECT id, parent, role, created, {rows.COLUMNS} FROM messages "
            "WHERE chat = ? ORDER BY number",
            (number,),
        ).fetchall()
        self._writers.clear()
        states: dict[str, State] = {}
        for id, parent, role, created, *columns in found:
            states[id] = self._decoded(id, columns, self._stored.get(id))
            if id in known:
                continue
            message = known[id] = Message(role, id=id, created=created)
            if parent is None:
                self.conversation.root = message
            else:
                known[parent].add(message)
        for id, state in states.items():
            states[id] = _resolved(known[id], state)
            rows.take(known[id], self._stored.get(id), states[id])
        self._stored = states

    def _decoded(self, id: str, columns: Sequence[Any], before: State | None) -> State:
        """A row's state; who writes it is noted."""
        writer = columns[FIELDS.index("writing")]
        if writer is not None and writer != this_process():
            self._writers[id] = writer
        return rows.decoded(columns, before)

    def _notice_crashes(self) -> bool:
        gone = [id for id, writer in self._writers.items() if not is_alive(writer)]
        for id in gone:
            del self._writers[id]
            message = self.conversation.find(id)
            if message is not None:
                message.writing = False
        return bool(gone)


def _is_worth_storing(message: Message) -> bool:
    """An answer is not stored until there is something of it: one that is stopped before its
    first word will be taken back.
    """
    ended = message.finished is not None and not message.writing
    begun = message.said_something or ended or message.replies
    return message.role != "assistant" or bool(begun)


def _resolved(message: Message, state: State) -> State:
    """Its chosen reply may not be stored: nothing was said yet, or its writer crashed before that.

    Until it comes, the conversation goes on with the latest there is.
    """
    *others, chosen = state
    ids = [reply.id for reply in message.replies]
    if chosen is not None and chosen not in ids:
        chosen = ids[-1] if ids else None
    return (*others, chosen)


def _newest(tree: Sequence[Message]) -> float:
    """When something was last said in what comes from elsewhere."""
    return min(time.time(), max(message.created for message in tree))


def _last_model(tree: Sequence[Message]) -> str:
    """The one that gave the newest answer."""
    answers = [(said.created, said.record) for said in tree if said.record]
    record = max(answers, key=lambda answer: answer[0], default=(0.0, None))[1]
    return storable(record.model) if record else ""
