"""Draws messages that are there already, as `:history` and `:resume` show them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from chatapp.messages import Message
from chatapp.stats import SEPARATOR
from chatapp.terminal.plain import clean
from chatapp.terminal.session import Session
from chatapp.terminal.view import print_markdown
from chatapp.terminal.wrap import Prose
from chatapp.texts import Texts


def print_turns(session: Session, begin: int = 0, end: int | None = None) -> None:
    """Draw the path between two indices: questions with their numbers, answers."""
    turn = 0
    for index, message in enumerate(session.conversation.path[:end]):
        turn += message.role == "user"
        if index < begin:
            continue
        if message.role == "user" and index > begin:
            session.console.print()
        print_message(session, message, turn)


def print_last_turns(session: Session, count: int) -> None:
    """Draw the last turns of the conversation, and say how many there are before."""
    path = session.conversation.path
    asked = [index for index, message in enumerate(path) if message.role == "user"]
    earlier = max(0, len(asked) - count)
    if earlier:
        session.say("history-earlier", count=earlier)
    print_turns(session, asked[earlier] if asked else 0)


def print_message(session: Session, message: Message, turn: int) -> None:
    """Draw one message; `turn` is the number of its question."""
    if message.role == "user":
        if message.summary:
            session.say("history-summed-up")
        question = Text.assemble((f"{turn} ", "dim"), ("> ", "bold cyan"), clean(message.content))
        session.console.print(Prose(question))
    elif message.content.strip():
        print_markdown(message.content, session.console)
    marked = SEPARATOR.join(_marks(message, session.texts))
    if marked:
        session.console.print(Prose(Text(clean(marked), "dim")))


def _marks(message: Message, texts: Texts) -> Iterator[str]:
    """What there is to know about a message besides its text."""
    if message.writing:
        yield texts("mark-writing")
    elif message.interrupted:
        yield texts("mark-interrupted")
    elif message.finished is not None and message.finished.reason != "stop":
        yield texts(f"stats-{message.finished.reason}")
    if len(message.versions) > 1:
        number, count = message.versions.index(message) + 1, len(message.versions)
        yield texts("version-of", number=number, count=count)
    if message.feedback is not None:
        said = texts("mark-good" if message.feedback.good else "mark-bad")
        yield f"{said}: {message.feedback.why}" if message.feedback.why else said
