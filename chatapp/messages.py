"""Message and Conversation: plain values; they know no engine, no widget, no database.

A conversation is a tree. Each message holds the replies that were ever given to it, and the one
the conversation goes on with: answering again, editing, or asking something else after an undo
adds a branch and loses none. Views show `path`; engines are sent a part of it.
"""

from __future__ import annotations

import time
import uuid
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Literal

from chatapp.events import Finished
from chatapp.settings import GenerationSettings

Role = Literal["system", "user", "assistant"]

NAME_LENGTH = 60
"""Characters of a question that name its conversation."""


def new_id() -> str:
    """A name that no other conversation or message has, on any machine."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """How an answer came about. `finished` is None while it is written and after a failure."""

    engine: str
    model: str
    settings: GenerationSettings
    finished: Finished | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person thinks of an answer."""

    good: bool
    why: str = ""


@dataclass(slots=True, eq=False)
class Message:
    """One message, and the replies to it. `content` is the text itself, never formatted."""

    role: Role
    content: str = ""
    reasoning: str = ""
    record: AnswerRecord | None = None
    """Of an answer that a model gave; None where a person wrote it."""
    feedback: Feedback | None = None
    summary: str = ""
    """What stands in prompts for everything that came before this question."""
    writing: bool = False
    """Whether a model is at work on it now, here or in another process."""
    id: str = field(default_factory=new_id)
    created: float = field(default_factory=time.time)
    """Seconds since 1970."""
    parent: Message | None = field(default=None, repr=False)
    replies: list[Message] = field(default_factory=list, repr=False)
    chosen: int | None = None
    """Which of `replies` the conversation goes on with; None: it ends here."""

    def reply(self, message: Message) -> Message:
        """Add a reply and go on with it."""
        self.add(message)
        self.chosen = self.replies.index(message)
        return message

    def add(self, message: Message) -> None:
        """Add a reply, by its age; what the conversation goes on with stays."""
        message.parent = self
        following = self.following
        self.chosen = None  # who reads meanwhile finds no wrong one
        insort(self.replies, message, key=lambda reply: reply.created)
        self.chosen = None if following is None else self.replies.index(following)

    def withdraw(self, reply: Message, earlier: Message | None) -> None:
        """Take a reply out again; where it was the chosen one, `earlier` is, if it is still there.

        Another reply that was chosen meanwhile stays chosen.
        """
        chosen = earlier if self.following is reply else self.following
        self.chosen = None  # who reads meanwhile finds no wrong one
        self.replies.remove(reply)
        self.chosen = self.replies.index(chosen) if chosen in self.replies else None

    @property
    def following(self) -> Message | None:
        """The reply the conversation goes on with."""
        return None if self.chosen is None else self.replies[self.chosen]

    @property
    def versions(self) -> list[Message]:
        """What stands or stood in this message's place, itself included, in order of writing."""
        return [self] if self.parent is None else self.parent.replies

    @property
    def said_something(self) -> bool:
        return bool(self.content or self.reasoning)

    @property
    def finished(self) -> Finished | None:
        """The end of an answer that a model brought to one."""
        return None if self.record is None else self.record.finished

    @property
    def interrupted(self) -> bool:
        """Whether it is an answer that a failure or a crash broke off."""
        return self.record is not None and self.record.finished is None and not self.writing

    @property
    def can_go_on(self) -> bool:
        """Whether it is an answer that ended before a model meant it to, or a person's."""
        if self.role != "assistant" or self.writing or not self.said_something:
            return False
        return self.finished is None or self.finished.reason != "stop"

    def tree(self) -> Iterator[Message]:
        """This message and all below it, each after the one it replies to."""
        waiting = [self]
        while waiting:
            message = waiting.pop()
            yield message
            waiting += reversed(message.replies)


class Conversation:
    """A system prompt, and the messages that follow it."""

    def __init__(self, system: str = "", *, root: Message | None = None) -> None:
        self.id = new_id()
        self.title = ""
        """What a person named it; "" where nobody did."""
        self.root = root or Message("system", system)

    @property
    def created(self) -> float:
        return self.root.created

    @property
    def name(self) -> str:
        """Its title, or the first line of the first question, cut at a word; "" without one.

        Where all questions were taken back, it is that of the oldest there was.
        """
        questions = (said for said in self.root.tree() if said.role == "user")
        lines = (cut_at_word(said.content) for said in chain(self.path, questions))
        return self.title or next(filter(None, lines), "")

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

    def find(self, id: str) -> Message | None:
        """The message of that name, on the path or off it."""
        return next((message for message in self.root.tree() if message.id == id), None)

    def ask(self, text: str) -> Message:
        """Add a question."""
        last = self.path[-1] if self.path else self.root
        return last.reply(Message("user", text))

    def undo(self, count: int = 1) -> Message | None:
        """Take back the last questions and their answers.

        Returns the earliest of the questions taken back, None if there is none. All stay in the
        tree, off the path.
        """
        asked = [message for message in self.path if message.role == "user"][-count:][:count]
        if not asked or asked[0].parent is None:
            return None
        asked[0].parent.chosen = None
        return asked[0]

    def clear(self) -> None:
        """Begin again under the same system prompt; what was said stays in the tree."""
        self.root.chosen = None

    def choose(self, message: Message) -> None:
        """Let the path go through a message of the tree; below it the path is as it last was."""
        while message.parent is not None:
            message.parent.chosen = message.parent.replies.index(message)
            message = message.parent

    def edit(self, message: Message, text: str) -> Message:
        """Put another version beside a message and go on with it; nothing follows it yet.

        An edited answer is a person's: it has no record.
        """
        if message.parent is None:
            raise ValueError("the system prompt has no versions")
        self.choose(message)
        return message.parent.reply(Message(message.role, text, summary=message.summary))

    def fork(self, last: Message | None = None) -> Conversation:
        """A conversation of its own that begins as a copy of the path, up to `last`."""
        copy = Conversation(self.system)
        end = copy.root
        for message in self.path:
            end = end.reply(
                replace(
                    message,
                    writing=False,
                    id=new_id(),
                    created=time.time(),
                    parent=None,
                    replies=[],
                    chosen=None,
                )
            )
            if message is last:
                break
        return copy

    def prompt(
        self, following: Message | None = None, *, until: Message | None = None
    ) -> list[Message]:
        """What to send to a model for the last question: it, and the answered turns before it.

        With `following`, for that question instead, asked after all there is, or after all that
        came before `until`. A question that never got an answer is not sent again: it may be what
        the model failed at. What was summed up is not sent either; its summary goes with the
        system prompt.
        """
        path = self.path
        if until is not None:
            path = path[: path.index(until)]
        if following is not None:
            path = [*path, following]
        elif path and path[-1].role == "assistant":
            path = path[:-1]
        begin = max((index for index, said in enumerate(path) if said.summary), default=0)
        summary = path[begin].summary if path else ""
        path = path[begin:]
        sent = [
            message
            for message, after in zip_longest(path, path[1:])
            if message.role == "assistant" or after is None or after.role == "assistant"
        ]
        system = [self.root] if self.system else []
        if summary:
            said = f"Summary of the conversation so far:\n{summary}"
            system = [Message("system", f"{self.system}\n\n{said}" if self.system else said)]
        return [*system, *sent]


def cut_at_word(text: str, length: int = NAME_LENGTH) -> str:
    """The first line of a text that says anything; what is longer is cut at a word."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    line = next((line for line in lines if line and not line.startswith("```")), "")
    if len(line) <= length:
        return line
    cut = line[:length]
    at_word = cut.rpartition(" ")[0]
    return (at_word if len(at_word) > length // 2 else cut[:-1]).rstrip() + "…"
