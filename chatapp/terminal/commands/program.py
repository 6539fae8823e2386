"""The :commands about the program itself: help, leaving, the screen, what runs here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from rich.table import Table
from rich.text import Text

from chatapp.settings import SETTING_NAMES, GenerationSettings, expected
from chatapp.terminal.commands.registry import (
    COMMANDS,
    Command,
    Room,
    cell,
    command,
    find,
    supported,
)
from chatapp.terminal.session import Session
from chatapp.terminal.wrap import Prose
from chatapp.texts import Texts


def _help_topics(session: Session, argument: str) -> Iterable[str]:
    return (*COMMANDS, *supported(session))


@command("program", "help", "h", "?", arguments="[command]", complete=_help_topics)
def show_help(session: Session, argument: str) -> None:
    """List the commands, or explain one command or setting."""
    texts, topic = session.texts, argument.lstrip(":")
    if topic in SETTING_NAMES:
        described = GenerationSettings.model_fields[topic].description or ""
        session.console.print(Prose(Text(texts.describe(f"setting.{topic}", described))))
        session.console.print(Prose(Text(f"{topic}: {texts(expected(topic)).strip()}", "dim")))
        return
    table = Table.grid(padding=(0, 2))
    if topic:
        _add(table, find(topic), texts)
    for room in () if topic else get_args(Room):
        table.add_row()
        table.add_row(cell(texts(f"help-{room}"), "dim"))
        for found in COMMANDS.values():
            if found.room == room:
                _add(table, found, texts)
    session.console.print(table)
    if not topic:
        session.console.print()
        session.say("terminal-keys")


def _add(table: Table, found: Command, texts: Texts) -> None:
    aliases = " ".join(f":{alias}" for alias in found.aliases)
    table.add_row(cell(found.usage, "bold"), cell(aliases, "dim"), cell(found.description(texts)))


@command("program", "exit", "quit", "q")
def leave(session: Session, argument: str) -> None:
    """Leave."""
    session.leaving = True


@command("program", "clear", "cl")
def clear_screen(session: Session, argument: str) -> None:
    """Clear the screen; the conversation stays (:new begins another)."""
    session.console.clear()


@command("program", "info")
def show_info(session: Session, argument: str) -> None:
    """Show the model, engine, device, memory, context, and where the conversation is stored."""
    engine, texts = session.engine, session.texts
    length, view = engine.context_length, session.outlook()
    stored = session.chats is not None
    facts = {
        "model": engine.model,
        "engine": engine.name,
        "context": texts("info-tokens", count=length) if length else texts("info-context-unknown"),
        "used": texts("info-tokens", count=view.used if view and session.conversation.path else 0),
        **engine.details(),
        "conversation": session.conversation.id if stored else texts("info-private"),
        **({"stored": str(session.chats.path)} if session.chats is not None else {}),
    }
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        label = texts.describe(f"info-{name}", name)
        table.add_row(cell(label, "dim"), cell(value))
    session.console.print(table)
