"""Library: one person's chats; those that are open are held once, for all tabs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice

from chatapp.engines import Engine
from chatapp.errors import StoreError
from chatapp.messages import Conversation
from chatapp.store import ChatLine, Chats, Hit, Unkept
from chatapp.web.chats import Chat

IDLE_CHATS_HELD = 200
"""How many chats that no page shows are held; those in the store can be opened again."""


class Library:
    """The chats of one owner, by the ids of their conversations. Everything raises StoreError."""

    def __init__(self, engine: Engine, chats: Chats) -> None:
        self._engine = engine
        self._chats = chats
        self._lock = threading.RLock()
        self._open: OrderedDict[str, Chat] = OrderedDict()

    def new(self, system: str) -> Chat:
        """A chat without a question; it is stored from its first one on."""
        return self._hold(Chat(self._engine, self._chats.add(Conversation(system))))

    def open(self, id: str) -> Chat:
        """The chat of that id, where this person has one."""
        with self._lock:
            chat = self._open.get(id)
            if chat is None:
                return self._hold(Chat(self._engine, self._chats.open(id)))
            stored = not chat.is_private and chat.conversation.path
            if stored and not chat.kept.failure and self._chats.find(id) is None:
                raise StoreError("chat-unknown")
            self._open.move_to_end(id)
            return chat

    def fork(self, chat: Chat, message: str) -> Chat:
        """A copy of a chat up to a message; private where the chat is."""
        copy = chat.conversation.fork(chat.conversation.find(message))
        kept = Unkept(copy) if chat.is_private else self._chats.add(copy)
        forked = self._hold(Chat(self._engine, kept))
        forked.keep()
        return forked

    def take_in(self, conversation: Conversation) -> Chat:
        """Store a conversation that comes from a file."""
        return self._hold(Chat(self._engine, self._chats.take_in(conversation)))

    def set_private(self, chat: Chat, private: bool) -> None:
        """Keep a chat that has no question yet out of the store, or in it."""
        if not chat.conversation.path:
            talk = chat.conversation
            chat.kept = Unkept(talk) if private else self._chats.add(talk)

    def rename(self, id: str, title: str) -> None:
        self._chats.rename(id, title)

    def delete(self, id: str) -> ChatLine | None:
        """Take a chat out of the list, after its answer has ended; what `restore` brings back."""
        line = self._chats.find(id)
        with self._lock:
            chat = self._open.pop(id, None)
        if chat is not None:
            chat.leave(within=2)
        if line is not None:
            self._chats.delete(id)
        return line

    def restore(self, id: str) -> None:
        self._chats.restore(id)

    def has(self, id: str) -> bool:
        """Whether a chat is stored and not deleted."""
        return self._chats.find(id) is not None

    def latest(self, limit: int) -> list[ChatLine]:
        return self._chats.latest(limit=limit)

    def search(self, words: str, limit: int) -> list[Hit]:
        return self._chats.search(words, limit=limit)

    def version(self) -> tuple[int, int]:
        return self._chats.version()

    def being_answered(self) -> frozenset[str]:
        """The ids of the chats in which an answer is written here and now."""
        with self._lock:
            return frozenset(id for id, chat in self._open.items() if chat.writing)

    def held(self) -> Sequence[Chat]:
        with self._lock:
            return list(self._open.values())

    def _hold(self, chat: Chat) -> Chat:
        with self._lock:
            idle = [id for id, one in self._open.items() if not (one.is_watched or one.is_busy)]
            for id in islice(idle, max(0, len(idle) - IDLE_CHATS_HELD)):
                del self._open[id]
            self._open[chat.conversation.id] = chat
        return chat
