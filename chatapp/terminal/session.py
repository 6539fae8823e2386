"""Session: one chat in a terminal, and how its answers are drawn. Knows no prompt, no command."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import closing

from rich.console import Console
from rich.text import Text

from chatapp.chat import initial_settings, respond
from chatapp.engines import Engine
from chatapp.errors import ContextOverflow
from chatapp.events import Finished, Progress, ReasoningDelta, TextDelta, TurnsLeftOut
from chatapp.messages import Conversation
from chatapp.stats import progress_line, stats_line
from chatapp.terminal.plain import clean, whole
from chatapp.terminal.signals import interrupts_set
from chatapp.terminal.view import AnswerView
from chatapp.terminal.wrap import Prose
from chatapp.texts import Sentence, Texts


class Session:
    """What a chat consists of; the :commands work on it."""

    def __init__(
        self,
        engine: Engine,
        console: Console,
        texts: Texts,
        *,
        system: str = "",
        changes: Mapping[str, str] | None = None,
    ) -> None:
        """Raises SettingError when the engine cannot honour the changes to its settings."""
        self.engine = engine
        self.console = console
        self.texts = texts
        self.initial = initial_settings(engine, dict(changes or {}))
        self.settings = self.initial
        self.conversation = Conversation(whole(system))
        self.leaving = False

    def greet(self) -> None:
        """Say who answers, what to know about it, and how to get help."""
        title = Text.assemble((clean(self.engine.model), "bold"), f" ({self.engine.name})")
        self.console.print(title)
        for notice in self.engine.notices:
            self._print(self.texts(notice), "yellow")
        self.say("terminal-hint")
        self.console.print()

    def say(self, sentence: str | Sentence, **values: object) -> None:
        """A sentence of the program."""
        self._print(self.texts(sentence, **values), "dim")

    def complain(self, sentence: Sentence) -> None:
        """A sentence about what went wrong."""
        self._print(self.texts(sentence), "red")

    def ask(self, text: str) -> None:
        """Ask a question and draw the answer; a question that cannot be sent is taken back.

        Raises GenerationError.
        """
        self.conversation.ask(whole(text))
        try:
            self.answer()
        except ContextOverflow:
            self.conversation.undo()
            raise

    def answer(self, seed: int | None = None) -> None:
        """Answer the last question. Ctrl-C stops and keeps what came; twice, it does not wait.

        Raises GenerationError.
        """
        cancel = threading.Event()
        finished: Finished | None = None
        self.console.print()
        stream = respond(self.engine, self.conversation, self.settings, cancel, seed=seed)
        try:
            with interrupts_set(cancel), AnswerView(self.console) as view, closing(stream):
                for event in stream:
                    match event:
                        case TextDelta(text):
                            view.write(text)
                        case ReasoningDelta(text):
                            view.reason(text)
                        case Progress():
                            view.status(progress_line(event, self.texts))
                        case TurnsLeftOut(count):
                            view.note(self.texts("turns-left-out", count=count))
                        case Finished():
                            finished = event
        except KeyboardInterrupt:
            self.say("stats-stopped")
        if finished is not None:
            self._print(stats_line(finished, self.engine.context_length, self.texts), "dim")

    def _print(self, text: str, style: str) -> None:
        self.console.print(Prose(Text(clean(text), style=style)))
