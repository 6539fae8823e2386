"""The :commands, one function each. A docstring's first line is the command's English help.

`@command` declares the name, the aliases, the arguments and how they are completed; `:help`, Tab
and the README's table come from that. What a command cannot do is a ChatError.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from chatapp.chat import change_settings
from chatapp.errors import CommandError
from chatapp.settings import (
    SETTING_NAMES,
    GenerationSettings,
    expected,
    parse_assignments,
)
from chatapp.terminal.plain import clean, first_line
from chatapp.terminal.session import Session
from chatapp.terminal.view import print_markdown
from chatapp.terminal.wrap import Prose
from chatapp.texts import Texts

Run = Callable[[Session, str], None]
Complete = Callable[[Session, str], Iterable[str]]
"""The words that may stand where the last word of the argument begins."""


@dataclass(frozen=True, slots=True)
class Command:
    """A :command as it is declared."""

    name: str
    aliases: tuple[str, ...]
    arguments: str
    english: str
    run: Run
    complete: Complete

    @property
    def usage(self) -> str:
        return f":{self.name} {self.arguments}".strip()

    def description(self, texts: Texts) -> str:
        return texts.describe(f"command.{self.name}", self.english)


COMMANDS: dict[str, Command] = {}
"""Name -> command, in the order of `:help`; filled by `@command` and complete after import."""


def command(
    name: str,
    *aliases: str,
    arguments: str = "",
    complete: Complete = lambda session, argument: (),
) -> Callable[[Run], Run]:
    """Declare the function below as the :command of that name."""

    def declare(run: Run) -> Run:
        english = (run.__doc__ or "").partition("\n")[0].removesuffix(".")
        COMMANDS[name] = Command(name, aliases, arguments, english, run, complete)
        return run

    return declare


def find(word: str) -> Command:
    """The command of a name or an alias. Raises CommandError with what may have been meant."""
    known = {alias: found for found in COMMANDS.values() for alias in (found.name, *found.aliases)}
    if word.lower() in known:
        return known[word.lower()]
    close = difflib.get_close_matches(word.lower(), COMMANDS, n=1, cutoff=0.5)
    shown = first_line(word, 40)
    if close:
        raise CommandError("command-unknown-close", name=shown, meant=close[0])
    raise CommandError("command-unknown", name=shown)


def run_command(session: Session, line: str) -> None:
    """Do what a line that begins with a colon says. Raises ChatError."""
    word, *rest = line[1:].split(maxsplit=1)[:2] if line[1:2].strip() else ("",)
    found = find(word)
    argument = rest[0].strip() if rest else ""
    if argument and not found.arguments:
        raise CommandError("command-misused", usage=found.usage)
    found.run(session, argument)


def _help_topics(session: Session, argument: str) -> Iterable[str]:
    return (*COMMANDS, *_supported(session))


def _assignments(session: Session, argument: str) -> Iterable[str]:
    name, equals, _ = argument.rpartition(" ")[2].partition("=")
    if not equals:
        return [f"{known}=" for known in _supported(session)]
    if name in SETTING_NAMES and isinstance(getattr(session.settings, name), bool):
        return [f"{name}=true", f"{name}=false"]
    return []


@command("help", "h", "?", arguments="[command]", complete=_help_topics)
def show_help(session: Session, argument: str) -> None:
    """List the commands, or explain one command or setting."""
    texts, topic = session.texts, argument.lstrip(":")
    if topic in SETTING_NAMES:
        described = GenerationSettings.model_fields[topic].description or ""
        session.console.print(Prose(Text(texts.describe(f"setting.{topic}", described))))
        session.console.print(Prose(Text(f"{topic}: {texts(expected(topic)).strip()}", "dim")))
        return
    table = Table.grid(padding=(0, 2))
    for found in [find(topic)] if topic else COMMANDS.values():
        aliases = " ".join(f":{alias}" for alias in found.aliases)
        table.add_row(
            _cell(found.usage, "bold"), _cell(aliases, "dim"), _cell(found.description(texts))
        )
    session.console.print(table)
    if not topic:
        session.say("terminal-keys")


@command("exit", "quit", "q")
def leave(session: Session, argument: str) -> None:
    """Leave."""
    session.leaving = True


@command("clear", "cl")
def clear_screen(session: Session, argument: str) -> None:
    """Clear the screen; the conversation stays (:clear-history ends it)."""
    session.console.clear()


@command("clear-history", "clh")
def clear_history(session: Session, argument: str) -> None:
    """Begin a new conversation with the same settings and system prompt."""
    count = session.conversation.turn
    session.conversation.clear()
    session.say("history-cleared", count=count)


@command("history", "his")
def show_history(session: Session, argument: str) -> None:
    """Show the conversation so far."""
    if not session.conversation.path:
        session.say("history-empty")
    for index, message in enumerate(session.conversation.path):
        if message.role == "user":
            if index:
                session.console.print()
            question = Text.assemble(("> ", "bold cyan"), clean(message.content))
            session.console.print(Prose(question))
        else:
            print_markdown(message.content, session.console)


@command("seed", arguments="[N]")
def show_or_set_seed(session: Session, argument: str) -> None:
    """Show or change the chat's base seed."""
    if argument:
        session.settings = change_settings(session.engine, session.settings, {"seed": argument})
    session.say("seed-now", seed=session.settings.seed)
    answer = session.conversation.answer
    if not argument and answer is not None and answer.record and answer.record.finished:
        session.say("seed-of-answer", seed=answer.record.finished.seed)


@command("conf", arguments="[key=value ...]", complete=_assignments)
def show_or_set_settings(session: Session, argument: str) -> None:
    """Show or change the settings of an answer."""
    if not argument:
        session.console.print(_settings_table(session))
        return
    before, changes = session.settings, parse_assignments(argument)
    session.settings = change_settings(session.engine, before, dict(changes))
    touched = session.settings.differences(before) | set(changes)
    for name in _supported(session):
        if name in touched:
            was, now = (shown_value(getattr(found, name)) for found in (before, session.settings))
            change = f"{name}: {was}" if was == now else f"{name}: {was} → {now}"
            session.console.print(Prose(Text(clean(change))))


@command("reset-conf")
def reset_settings(session: Session, argument: str) -> None:
    """Put the settings back to those of the start."""
    session.settings = session.initial
    session.say("conf-reset")


@command("system", arguments="[text]")
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


@command("regen", arguments="[same]", complete=lambda session, argument: ["same"])
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


@command("undo")
def undo(session: Session, argument: str) -> None:
    """Take back the last question and its answer."""
    question = session.conversation.undo()
    if question is None:
        raise CommandError("undo-nothing")
    session.say("undo-done", question=first_line(question.content, session.console.width // 2))


@command("info")
def show_info(session: Session, argument: str) -> None:
    """Show the model, engine, device, number format, context and memory."""
    engine, texts = session.engine, session.texts
    length = engine.context_length
    facts = {
        "model": engine.model,
        "engine": engine.name,
        "context": texts("info-tokens", count=length) if length else texts("info-context-unknown"),
        "used": texts("info-tokens", count=_tokens_used(session)),
        **engine.details(),
    }
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        label = texts.describe(f"info-{name}", name)
        table.add_row(_cell(label, "dim"), _cell(value))
    session.console.print(table)


def shown_value(value: object) -> str:
    """A setting's value as `:conf` takes it."""
    if isinstance(value, (bool, tuple)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _cell(text: str, style: str = "") -> Text:
    return Text(clean(text), style=style, overflow="fold")


def _supported(session: Session) -> list[str]:
    return [name for name in SETTING_NAMES if name in session.engine.supports]


def _settings_table(session: Session) -> Table:
    texts, defaults = session.texts, session.engine.defaults
    table = Table.grid(padding=(0, 2))
    heads = ("conf-setting", "conf-value", "conf-default")
    table.add_row(*(_cell(texts(head), "dim") for head in heads))
    for name in _supported(session):
        value, default = getattr(session.settings, name), getattr(defaults, name)
        style = "bold" if value != default else ""
        table.add_row(
            _cell(name, style),
            _cell(shown_value(value), style),
            _cell(shown_value(default)),
            _cell(texts("conf-changed") if value != default else "", "yellow"),
        )
    return table


def _tokens_used(session: Session) -> int:
    """What the conversation takes of the context, as far as it was sent."""
    conversation = session.conversation
    answer = conversation.answer
    if answer is not None and answer.record is not None and answer.record.finished is not None:
        return answer.record.finished.usage.total_tokens
    return session.engine.count_tokens(conversation.prompt()) if conversation.path else 0
