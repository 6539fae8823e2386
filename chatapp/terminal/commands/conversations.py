"""The :commands about conversations as a whole: new ones, stored ones, copies."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable

from chatapp.chat import compact
from chatapp.errors import CommandError
from chatapp.messages import Conversation
from chatapp.store import ChatLine
from chatapp.terminal.commands.answers import nth_question
from chatapp.terminal.commands.registry import command, number_in
from chatapp.terminal.listing import print_chats, print_hits
from chatapp.terminal.plain import first_line, whole
from chatapp.terminal.session import Session
from chatapp.terminal.shelf import ROWS, candidates, nothing_found
from chatapp.terminal.turns import print_last_turns

TURNS_SHOWN = 2
"""How many turns `:resume` shows of what was said last."""
TITLES_COMPLETED = 50


@command("conversations", "new", "clear-history", "clh")
def begin_anew(session: Session, argument: str) -> None:
    """Begin a new conversation with the same settings and system prompt; this one stays stored."""
    count = session.conversation.turn
    session.begin(Conversation(session.conversation.system))
    session.say("new-begun" if session.chats is not None else "new-begun-private", count=count)


@command("conversations", "sessions", "list", arguments="[words | n]")
def list_chats(session: Session, argument: str) -> None:
    """List the stored conversations, newest first; those with the words in their title, or n."""
    chats = session.stored()
    is_count = bool(re.fullmatch("[1-9][0-9]{0,5}", argument))
    count, asked = (int(argument), "") if is_count else (ROWS, argument)
    lines = chats.latest(asked, count + 1)
    if not lines:
        session.say("list-none" if asked else "list-empty")
        return
    print_chats(session, lines[:count])
    session.say("list-more" if len(lines) > count else "list-resume", count=count, next=2 * count)


@command("conversations", "search", arguments="words")
def search(session: Session, argument: str) -> None:
    """Find the words in the titles and texts of all stored conversations."""
    if not argument:
        raise CommandError("search-what")
    hits = session.stored().search(argument, ROWS)
    if not hits:
        session.say("search-none", words=first_line(argument, 60))
        return
    print_hits(session, hits, argument)
    session.say("list-resume")


def _titles(session: Session, argument: str) -> Iterable[str]:
    if session.chats is None:
        return
    for line in session.chats.latest(limit=TITLES_COMPLETED):
        yield from line.title.split()


@command("conversations", "resume", arguments="[n | words]", complete=_titles)
def resume(session: Session, argument: str) -> None:
    """Go on with the conversation before this one, the n-th of the list, or one with the words."""
    chats, present = session.stored(), session.conversation.id
    found = candidates(chats, argument, listed=session.listed, present=present)
    if not found:
        raise nothing_found(argument)
    if len(found) > 1:
        session.say("resume-several")
        print_chats(session, found)
        return
    if found[0].id != present:
        session.take(chats.open(found[0].id))
    if argument.isdecimal() and found[0].id in session.found:
        _show_found(session, session.found[found[0].id])
    else:
        show_resumed(session)


def _show_found(session: Session, id: str) -> None:
    """Go on where a search has found its words, and say where that is."""
    conversation = session.conversation
    message = conversation.find(id)
    elsewhere = message is not None and message not in conversation.path
    if message is not None and elsewhere:
        conversation.choose(message)
    show_resumed(session)
    path = conversation.path
    if message is None or message not in path:
        return  # the system prompt has the words, or they are gone
    turn = sum(said.role == "user" for said in path[: path.index(message) + 1])
    if elsewhere:
        session.say("found-elsewhere", turn=turn)
    elif turn <= conversation.turn - TURNS_SHOWN:
        session.say("found-earlier", turn=turn)


def show_resumed(session: Session) -> None:
    """Say which conversation it is that goes on, and show its end."""
    conversation = session.conversation
    session.say("resumed", title=conversation.name, count=conversation.turn)
    session.console.print()
    print_last_turns(session, TURNS_SHOWN)
    question, answer = conversation.question, conversation.answer
    if answer is not None and answer.interrupted:
        session.warn("resumed-interrupted")
    elif question is not None and answer is None:
        session.warn("resumed-unanswered")
    session.warn_of_full_context()


@command("conversations", "title", arguments="[text]")
def show_or_set_title(session: Session, argument: str) -> None:
    """Show or change the title of this conversation."""
    if argument:
        session.conversation.title = first_line(whole(argument), 200)
        session.say("title-changed")
    elif session.conversation.name:
        session.say("title-now", title=session.conversation.name)
    else:
        session.say("title-none")


@command("conversations", "delete", arguments="[n]")
def delete(session: Session, argument: str) -> None:
    """Delete this conversation, or the n-th of the list; :undelete brings it back."""
    chats, present = session.stored(), session.conversation.id
    number = number_in(argument, "delete")
    found: list[ChatLine | None] = [
        chats.find(present) if number is None else None,
        *(candidates(chats, argument, listed=session.listed) if number else ()),
    ]
    line = next(filter(None, found), None)
    if line is None:
        raise nothing_found(argument) if number else CommandError("delete-nothing")
    if line.id == present:
        session.begin(Conversation(session.conversation.system))
    chats.delete(line.id)
    session.deleted.append((line.id, line.id == present))
    session.say("deleted", title=line.title)


@command("conversations", "undelete")
def undelete(session: Session, argument: str) -> None:
    """Bring back the conversation that was deleted last, until the program ends."""
    chats = session.stored()
    if not session.deleted:
        raise CommandError("undelete-nothing")
    id, was_present = session.deleted[-1]
    chats.restore(id)
    session.deleted.pop()
    kept = chats.open(id)
    session.say("undeleted", title=kept.conversation.name)
    if was_present and not session.conversation.path:
        session.take(kept)
        show_resumed(session)


@command("conversations", "fork", arguments="[n]")
def fork(session: Session, argument: str) -> None:
    """Go on in a copy of this conversation, up to its n-th turn; this one stays as it is."""
    if session.chats is None:
        raise CommandError("fork-private")  # nothing would be left of the original
    number = number_in(argument, "fork")
    question = nth_question(session, number)
    last = None if number is None else question.following or question
    title = session.conversation.title
    session.keep()
    copy = session.conversation.fork(last)
    copy.title = title and session.texts("fork-title", title=title)
    session.begin(copy)
    session.say("forked", count=copy.turn)


@command("conversations", "compact", "compress")
def shorten(session: Session, argument: str) -> None:
    """Let the model sum up the oldest turns; they stay stored, and prompts hold the summary."""
    cancel = threading.Event()
    before = session.outlook()
    stream = compact(
        session.engine, session.conversation, session.settings, cancel, keep=session.kept.keep
    )
    finished = session.draw(stream, cancel)
    after = session.outlook()
    if finished is None or finished.reason == "stopped":
        session.say("compact-stopped")
    elif before is not None and after is not None:
        session.say("compacted", before=before.used, after=after.used)
