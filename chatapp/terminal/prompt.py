"""The prompt: keys, completion, and the history file. Knows the commands' names, runs none."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output
from prompt_toolkit.styles import Style

from chatapp import paths
from chatapp.errors import CommandError
from chatapp.stats import SEPARATOR
from chatapp.terminal.commands import COMMANDS, find
from chatapp.terminal.plain import clean
from chatapp.terminal.session import Session

HISTORY_BYTES = 1_000_000
"""How large the history file may be when a session begins; the older half goes when it is more."""


def build_prompt(
    session: Session, history: History, *, input: Input | None = None, output: Output | None = None
) -> PromptSession[str]:
    """A prompt that returns one message or :command.

    Raises KeyboardInterrupt for Ctrl-C on an empty line, EOFError for Ctrl-D on one.
    """
    return PromptSession(
        [("bold ansicyan", "> ")],
        multiline=True,
        prompt_continuation="  ",
        key_bindings=_build_keys(),
        completer=CommandCompleter(session),
        complete_while_typing=False,
        reserve_space_for_menu=6,
        history=history,
        bottom_toolbar=lambda: meter(session),
        style=Style.from_dict({"bottom-toolbar": "noreverse", "bottom-toolbar.text": "ansigray"}),
        enable_open_in_editor=True,
        enable_suspend=True,
        tempfile_suffix=".md",
        input=input,
        output=output,
    )


def meter(session: Session) -> StyleAndTextTuples:
    """The line below the prompt: whether it is private, how full the context is, the title."""
    texts, view = session.texts, session.outlook()
    facts: StyleAndTextTuples = []
    if session.chats is None:
        facts.append(("bold", texts("meter-private")))
    if view is not None:
        used = f"{view.used:,}"
        said = texts("meter-tokens", used=used)
        if view.context:
            share = round(100 * view.used / view.context)
            said = texts("meter-context", used=used, context=f"{view.context:,}", share=share)
        facts.append(("ansiyellow" if view.is_nearly_full else "", said))
    if session.conversation.name:
        facts.append(("", clean(session.conversation.name)))
    for index in range(len(facts) - 1, 0, -1):
        facts.insert(index, ("", SEPARATOR))
    return facts


def _build_keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    @keys.add("<sigint>")
    def clear_or_leave(event: KeyPressEvent) -> None:
        buffer = event.app.current_buffer
        if not buffer.text:
            event.app.exit(exception=KeyboardInterrupt())
            return
        buffer.append_to_history()  # what was typed is not lost: the up arrow has it
        buffer.reset()

    return keys


class CommandCompleter(Completer):
    """Completes :commands, then their arguments; nothing in a message."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith(":") or text.startswith("::"):
            return
        word, space, argument = text[1:].partition(" ")
        if not space:
            for found in COMMANDS.values():
                if any(name.startswith(word.lower()) for name in (found.name, *found.aliases)):
                    yield Completion(
                        found.name + (" " if found.arguments else ""),
                        start_position=-len(word),
                        display=f":{found.name}",
                        display_meta=found.description(self._session.texts),
                    )
            return
        begun = argument.rpartition(" ")[2]
        with suppress(CommandError):
            for choice in find(word).complete(self._session, argument):
                if choice.startswith(begun):
                    yield Completion(choice, start_position=-len(begun))


class OwnHistory(FileHistory):
    """What was typed, across sessions, in a file that only its owner can read, of bounded size."""

    def __init__(self, path: Path) -> None:
        """Make the file, or shorten it. Raises OSError."""
        super().__init__(str(path))
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        path.chmod(0o600)
        if path.stat().st_size > HISTORY_BYTES:
            self._shorten(path)

    def store_string(self, string: str) -> None:
        with suppress(OSError):  # a full disk must not cost the question itself
            super().store_string(string)

    @staticmethod
    def _shorten(path: Path) -> None:
        """Keep the newer half, from the start of an entry."""
        kept = path.read_bytes()[-HISTORY_BYTES // 2 :]
        shorter = path.with_name(f"{path.name}.{os.getpid()}")
        shorter.touch(0o600)
        shorter.write_bytes(kept[max(0, kept.find(b"\n# ")) :])
        shorter.replace(path)


def open_history(session: Session, data_dir: str | None = None) -> History:
    """The history file; where it cannot be had, one that ends with the session."""
    if session.chats is None:
        return InMemoryHistory()  # a private chat's questions stay nowhere
    try:
        return OwnHistory(paths.data_dir(data_dir) / "history")
    except OSError as error:
        session.say("terminal-no-history", cause=error.strerror or error)
        return InMemoryHistory()
