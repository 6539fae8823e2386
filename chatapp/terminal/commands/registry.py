"""How a :command is declared, found and run. Knows none of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from chatapp.errors import CommandError
from chatapp.settings import SETTING_NAMES
from chatapp.terminal.plain import clean, first_line
from chatapp.terminal.session import Session
from chatapp.texts import Texts

Run = Callable[[Session, str], None]
Complete = Callable[[Session, str], Iterable[str]]
"""The words that may stand where the last word of the argument begins."""
Room = Literal["program", "answers", "conversations", "settings"]
"""Where `:help` lists a command."""


@dataclass(frozen=True, slots=True)
class Command:
    """A :command as it is declared."""

    name: str
    aliases: tuple[str, ...]
    arguments: str
    english: str
    room: Room
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
    room: Room,
    name: str,
    *aliases: str,
    arguments: str = "",
    complete: Complete = lambda session, argument: (),
) -> Callable[[Run], Run]:
    """Declare the function below as the :command of that name."""

    def declare(run: Run) -> Run:
        english = (run.__doc__ or "").partition("\n")[0].removesuffix(".")
        COMMANDS[name] = Command(name, aliases, arguments, english, room, run, complete)
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


def number_in(argument: str, name: str) -> int | None:
    """The number that is all the argument, None without one. Raises CommandError."""
    if not argument:
        return None
    if not re.fullmatch("[0-9]{1,6}", argument) or int(argument) == 0:
        raise CommandError("command-misused", usage=COMMANDS[name].usage)
    return int(argument)


def supported(session: Session) -> list[str]:
    """The settings that the engine honours."""
    return [name for name in SETTING_NAMES if name in session.engine.supports]


def cell(text: str, style: str = "") -> Text:
    """A text in a table."""
    return Text(clean(text), style=style, overflow="fold")
