"""The :commands about what was said: again, otherwise, further, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from chatapp.errors import CommandError
from chatapp.messages import Feedback, Message
from chatapp.terminal.commands.registry import COMMANDS, cell, command, number_in
from chatapp.terminal.editor import edited
from chatapp.terminal.plain import first_line, whole
from chatapp.terminal.session import Session
from chatapp.terminal.turns import print_last_turns, print_turns


@command("answers", "history", "his", arguments="[n]")
def show_history(session: Session, argument: str) -> None:
    """Show the conversation so far, or its last n turns."""
    count = number_in(argument, "history")
    if not session.conversation.path:
        session.say("history-empty")
    elif count is None:
        print_turns(session)
    else:
        print_last_turns(session, count)


@command("answers", "regen", "retry", arguments="[same]", complete=lambda session, said: ["same"])
def answer_again(session: Session, argument: str) -> None:
    """Answer the last question again with another seed; same: with the same one."""
    if argument not in ("", "same"):
        raise CommandError("command-misused", usage=COMMANDS["regen"].usage)
    if session.conversation.question is None:
        raise CommandError("regen-nothing")
    if not argument:
        session.answer()
        return
    answer = session.conversation.answer
    if answer is None or answer.record is None or answer.record.finished is None:
        raise CommandError("regen-no-seed")
    session.answer(seed=answer.record.finished.seed)


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the conversation that several messages stood in, one after the other."""

    versions: list[Message]
    present: Message | None
    turn: int
    key: str


def _places(session: Session) -> Iterator[_Place]:
    """The places with several versions, from the end of the conversation back."""
    conversation = session.conversation
    path, turn = [conversation.root, *conversation.path], conversation.turn
    if path[-1].replies:
        asks = path[-1].role != "user"
        yield _Place(path[-1].replies, None, turn + asks, "versions-undone")
    for message in reversed(path[1:]):
        if len(message.versions) > 1:
            key = "versions-question" if message.role == "user" else "versions-answer"
            yield _Place(message.versions, message, turn, key)
        turn -= message.role == "user"


@command("answers", "versions", arguments="[n]")
def show_or_choose_version(session: Session, argument: str) -> None:
    """List what else was asked and answered, taken back or again; n: go back to that one."""
    number = number_in(argument, "versions")
    places = list(_places(session))
    versions = [message for place in places for message in place.versions]
    if not versions:
        raise CommandError("versions-none")
    if number is None:
        _print_versions(session, places)
        return
    if number > len(versions):
        raise CommandError("versions-no-such", number=number, count=len(versions))
    chosen = versions[number - 1]
    session.conversation.choose(chosen)
    path = session.conversation.path
    begin = path.index(chosen) - (chosen.role == "assistant")
    session.console.print()
    print_turns(session, begin)


def _print_versions(session: Session, places: list[_Place]) -> None:
    number, width = 0, len(str(sum(len(place.versions) for place in places))) + 1
    for place in places:
        session.say(place.key, turn=place.turn)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(justify="right", no_wrap=True, min_width=width)
        for message in place.versions:
            number += 1
            star, style = ("*", "bold") if message is place.present else ("", "")
            line = first_line(
                " ".join(message.content.split()), max(20, session.console.width - 30)
            )
            after = sum(1 for _ in message.tree()) - 1
            more = session.texts("versions-after", count=after) if after else ""
            table.add_row(cell(f"{star}{number}", style), cell(line, style), cell(more, "dim"))
        session.console.print(table)
    session.say("versions-choose")


@command("answers", "undo", "remove", arguments="[n]")
def undo(session: Session, argument: str) -> None:
    """Take back the last question and its answer, or the last n; :versions has them still."""
    asked, before = number_in(argument, "undo") or 1, session.conversation.turn
    question = session.conversation.undo(asked)
    if question is None:
        raise CommandError("undo-nothing")
    count = before - session.conversation.turn
    key = "undo-all" if count < asked else "undo-several" if count > 1 else "undo-done"
    line = first_line(question.content, session.console.width // 2)
    session.say(key, count=count, question=line)


@command("answers", "edit", arguments="[n] | answer [n]", complete=lambda session, said: ["answer"])
def edit(session: Session, argument: str) -> None:
    """Edit the last question, or the n-th, in your editor and ask it; or an answer."""
    found = re.fullmatch("(answer)? *([0-9]{1,6})?", argument)
    if found is None:
        raise CommandError("command-misused", usage=COMMANDS["edit"].usage)
    message = nth_question(session, int(found[2]) if found[2] else None)
    if found[1]:
        if message.following is None:
            raise CommandError("edit-no-answer")
        message = message.following
    text = whole(edited(message.content))
    if not text.strip() or text == message.content:
        session.say("edit-unchanged" if text.strip() else "edit-empty")
        return
    session.conversation.edit(message, text)
    if message.role == "user":
        session.console.print()
        print_turns(session, len(session.conversation.path) - 1)
        session.answer()
    else:
        session.say("edit-answered")


def nth_question(session: Session, number: int | None) -> Message:
    """The n-th question of the conversation, or the last. Raises CommandError."""
    asked = [message for message in session.conversation.path if message.role == "user"]
    if not asked:
        raise CommandError("question-none")
    if number is None:
        return asked[-1]
    if not 0 < number <= len(asked):
        raise CommandError("question-no-such", number=number, count=len(asked))
    return asked[number - 1]


@command("answers", "continue", "cont")
def go_on(session: Session, argument: str) -> None:
    """Go on writing an answer that was stopped or cut, where it ends."""
    if session.conversation.question is None:
        raise CommandError("continue-nothing")
    answer = session.conversation.answer
    if answer is None:
        session.answer()  # the question was interrupted before there was any
    elif answer.can_go_on:
        session.go_on()
    else:
        raise CommandError("continue-complete")


@command("answers", "good", arguments="[why]")
def praise(session: Session, argument: str) -> None:
    """Mark the last answer as good."""
    _judge(session, Feedback(True, argument))


@command("answers", "bad", arguments="[why]")
def blame(session: Session, argument: str) -> None:
    """Mark the last answer as bad."""
    _judge(session, Feedback(False, argument))


def _judge(session: Session, feedback: Feedback) -> None:
    answers = (said for said in reversed(session.conversation.path) if said.role == "assistant")
    answer = next((said for said in answers if not said.writing), None)
    if answer is None:
        raise CommandError("judge-nothing")
    answer.feedback = feedback
    session.say("judged-good" if feedback.good else "judged-bad")
