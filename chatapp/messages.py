"""Message and Conversation: plain values; they know no engine, no widget, no database.

A conversation is a tree. Each message holds the replies that were ever given to it, and the one
the conversation goes on with: answering again, or asking something else after an undo, adds a
branch and loses none. Views show `path`; engines are sent a part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal

from chatapp.events import Finished
from chatapp.settings import GenerationSettings

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """How an answer came about. `finished` is None while it is written and after a failure."""

    engine: str
    model: str
    settings: GenerationSettings
    finished: Finished | None = None


@dataclass(slots=True, eq=False)
class Message:
    """One message, and the replies to it. `content` is the text itself, never formatted."""

    role: Role
    content: str = ""
    reasoning: str = ""
    record: AnswerRecord | None = None
    replies: list[Message] = field(default_factory=list)
    chosen: int | None = None
    """Which of `replies` the conversation goes on with; None: it ends here."""

    def reply(self, message: Message) -> Message:
        """Add a reply and go on with it."""
        self.replies.append(message)
        self.chosen = len(self.replies) - 1
        return message

    def withdraw(self, reply: Message, earlier: Message | None) -> None:
        """Take a reply out again; where it was the chosen one, `earlier` is, if it is still there.

        Another reply that was chosen meanwhile stays chosen.
        """
        chosen = earlier if self.following is reply else self.following
        self.replies.remove(reply)
        self.chosen = self.replies.index(chosen) if chosen in self.replies else None

    @property
    def following(self) -> Message | None:
        """The reply the conversation goes on with."""
        return None if self.chosen is None else self.replies[self.chosen]

    @property
    def said_something(self) -> bool:
        return bool(self.content or self.reasoning)


class Conversation:
    """A system prompt, and the messages that follow it."""

    def __init__(self, system: str = "") -> None:
        self.root = Message("system", system)

    @property
    def system(self) -> str:
        return self.root.content

    @system.setter
    def system(self, text: str) -> None:
        self.root.content = text

    @property
    def path(self) -> list[Message]:
        """The messages the conversation consists of now, without the system prompt."""
        path, message = [], self.root.following
        while message is not None:
            path.append(message)
            message = message.following
        return path

    @property
    def question(self) -> Message | None:
        """The last question, answered or not."""
        return next((message for message in reversed(self.path) if message.role == "user"), None)

    @property
    def answer(self) -> Message | None:
        """The answer to the last question."""
        question = self.question
        return None if question is None else question.following

    @property
    def turn(self) -> int:
        """How many questions the path holds."""
        return sum(message.role == "user" for message in self.path)

    def ask(self, text: str) -> Message:
        """Add a question."""
        last = self.path[-1] if self.path else self.root
        return last.reply(Message("user", text))

    def undo(self) -> Message | None:
        """Take back the last question and its answer; returns the question, None if there is none.

        Both stay in the tree, off the path.
        """
        parent, last = self.root, self.question
        for message in self.path:
            if message is last:
                parent.chosen = None
            parent = message
        return last

    def clear(self) -> None:
        """Begin again under the same system prompt; what was said stays in the tree."""
        self.root.chosen = None

    def prompt(self) -> list[Message]:
        """What to send to a model for the last question: it, and the answered turns before it.

        A question that never got an answer is not sent again: it may be what the model failed at.
        """
        path = self.path
        if path and path[-1].role == "assistant":
            path = path[:-1]
        sent = [
            message
            for message, following in zip_longest(path, path[1:])
            if message.role == "assistant" or following is None or following.role == "assistant"
        ]
        return [self.root, *sent] if self.system else sent
