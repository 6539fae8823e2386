"""The :commands about how answers are made: seed, settings, system prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from chatapp.chat import change_settings
from chatapp.settings import SETTING_NAMES, parse_assignments
from chatapp.terminal.commands.registry import cell, command, supported
from chatapp.terminal.plain import clean
from chatapp.terminal.session import Session
from chatapp.terminal.wrap import Prose


def _assignments(session: Session, argument: str) -> Iterable[str]:
    name, equals, _ = argument.rpartition(" ")[2].partition("=")
    if not equals:
        return [f"{known}=" for known in supported(session)]
    if name in SETTING_NAMES and isinstance(getattr(session.settings, name), bool):
        return [f"{name}=true", f"{name}=false"]
    return []


@command("settings", "seed", arguments="[N]")
def show_or_set_seed(session: Session, argument: str) -> None:
    """Show or change the chat's base seed."""
    if argument:
        session.settings = change_settings(session.engine, session.settings, {"seed": argument})
    session.say("seed-now", seed=session.settings.seed)
    answer = session.conversation.answer
    if not argument and answer is not None and answer.record and answer.record.finished:
        session.say("seed-of-answer", seed=answer.record.finished.seed)


@command("settings", "conf", arguments="[key=value ...]", complete=_assignments)
def show_or_set_settings(session: Session, argument: str) -> None:
    """Show or change the settings of an answer."""
    if not argument:
        session.console.print(_settings_table(session))
        return
    before, changes = session.settings, parse_assignments(argument)
    session.settings = change_settings(session.engine, before, dict(changes))
    touched = session.settings.differences(before) | set(changes)
    for name in supported(session):
        if name in touched:
            was, now = (shown_value(getattr(found, name)) for found in (before, session.settings))
            change = f"{name}: {was}" if was == now else f"{name}: {was} → {now}"
            session.console.print(Prose(Text(clean(change))))


@command("settings", "reset-conf")
def reset_settings(session: Session, argument: str) -> None:
    """Put the settings back to those of the start."""
    session.settings = session.initial
    session.say("conf-reset")


@command("settings", "system", arguments="[text]")
def show_or_set_system(session: Session, argument: str) -> None:
    """Show or change the system prompt; :system "" for none."""
    if argument:
        session.conversation.system = "" if argument in ('""', "''") else argument
    if session.conversation.system:
        session.say("system-now")
        session.console.print(Prose(Text(clean(session.conversation.system))))
    else:
        session.say("system-none")
    if argument:
        session.say("system-changed")


def shown_value(value: object) -> str:
    """A setting's value as `:conf` takes it."""
    if isinstance(value, (bool, tuple)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _settings_table(session: Session) -> Table:
    texts, defaults = session.texts, session.engine.defaults
    table = Table.grid(padding=(0, 2))
    heads = ("conf-setting", "conf-value", "conf-default")
    table.add_row(*(cell(texts(head), "dim") for head in heads))
    for name in supported(session):
        value, default = getattr(session.settings, name), getattr(defaults, name)
        style = "bold" if value != default else ""
        table.add_row(
            cell(name, style),
            cell(shown_value(value), style),
            cell(shown_value(default)),
            cell(texts("conf-changed") if value != default else "", "yellow"),
        )
    return table
