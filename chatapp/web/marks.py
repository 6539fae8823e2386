"""What `assets/page.js` has to know: the address of a chat, and what stands under each message.

Plain values, sent as JSON; the script makes buttons of them and never HTML of a text.
"""

from __future__ import annotations

from typing import TypeAlias

from chatapp.messages import Message
from chatapp.texts import Texts
from chatapp.web import view
from chatapp.web.chats import Chat

Mark: TypeAlias = dict[str, object]

WORDS = (
    "edit",
    "good",
    "bad",
    "why",
    "fork",
    "rename",
    "earlier-version",
    "later-version",
    "save",
    "cancel",
)
"""What the script says; each is a line `page-tool-...` of the catalogues."""


def labels(texts: Texts) -> dict[str, str]:
    return {word: texts(f"page-tool-{word}") for word in WORDS}


def marks(chat: Chat, texts: Texts) -> dict[str, object]:
    """The chat's id, whether the address names it, and a mark for each message that is shown."""
    path = chat.conversation.path
    shown = [message for message in path[view.hidden(path) :] if message.said_something]
    return {
        "chat": chat.conversation.id,
        "named": bool(path),
        "messages": [_mark(message, texts, busy=chat.is_busy) for message in shown],
    }


def _mark(message: Message, texts: Texts, *, busy: bool) -> Mark:
    versions = message.versions
    feedback = message.feedback
    mark: Mark = {
        "id": message.id,
        "role": message.role,
        "version": versions.index(message) + 1,
        "versions": len(versions),
        "writing": message.writing,
    }
    if message.role == "user" or not busy:  # an answer that grows would be sent twice
        mark["text"] = message.content
    if feedback is not None:
        mark["good"] = feedback.good
        mark["why"] = feedback.why
    if message.interrupted and not busy:
        mark["note"] = texts("page-interrupted")
    elif message.role == "assistant" and message.record is None:
        mark["note"] = texts("page-edited")
    return mark
