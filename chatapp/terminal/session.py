"""Session: one chat in a terminal, how its answers are drawn, and where it is kept. Knows no
prompt, no command.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing

from rich.console import Console
from rich.text import Text

from chatapp.chat import go_on, initial_settings, respond
from chatapp.context import Outlook, outlook
from chatapp.engines import Engine
from chatapp.errors import ChatError, CommandError, ContextOverflow
from chatapp.events import (
    ChatStream,
    Finished,
    Progress,
    ReasoningDelta,
    TextDelta,
    TurnsLeftOut,
)
from chatapp.messages import Conversation
from chatapp.stats import SEPARATOR, progress_line, stats_line
from chatapp.store import Chats, Kept, Unkept
from chatapp.terminal.markdown import split
from chatapp.terminal.plain import clean, whole
from chatapp.terminal.signals import interrupts_ignored, interrupts_set
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
        chats: Chats | None = None,
    ) -> None:
        """Without `chats` it is private: nothing is stored.

        Raises SettingError when the engine cannot honour the changes to its settings.
        """
        self.engine = engine
        self.console = console
        self.texts = texts
        self.initial = initial_settings(engine, dict(changes or {}))
        self.settings = self.initial
        self.chats = chats
        self.leaving = False
        self.listed: Sequence[str] = ()
        """The conversations that the last list has numbered, by their ids."""
        self.found: Mapping[str, str] = {}
        """Of those that a search has listed, the message with the words, by its id."""
        self.deleted: list[tuple[str, bool]] = []
        """What was deleted since the program began, the last one last: id, and whether it was
        the conversation at hand."""
        self._failure = ""
        self._unstored: list[Kept | Unkept] = []
        self._outlook: tuple[object, Outlook | None] | None = None
        self._fullness = 0  # of the context, as last told: 1 nearly, 2 turns will be left out
        self.kept = self._placed(Conversation(whole(system)))

    @property
    def conversation(self) -> Conversation:
        return self.kept.conversation

    def begin(self, conversation: Conversation) -> None:
        """Chat in a conversation that is not stored yet."""
        self.take(self._placed(conversation))

    def take(self, kept: Kept | Unkept) -> None:
        """Chat in this conversation from now on; the one before stays as it is stored."""
        self.keep()
        if self.kept.failure is not None:
            self._unstored.append(self.kept)
        self.kept = kept
        self._fullness = 0

    def keep(self) -> None:
        """Store what is new; where that fails, or works again, a sentence says so once."""
        with interrupts_ignored():  # Ctrl-C a moment too late must not cost what was said
            for kept in (self.kept, *self._unstored):
                kept.keep()
        self._unstored = [kept for kept in self._unstored if kept.failure is not None]
        failing = [kept.failure for kept in (self.kept, *self._unstored) if kept.failure]
        told, self._failure = self._failure, str(failing[0]) if failing else ""
        if self._failure and self._failure != told:
            self.complain(failing[0].sentence)
        if told and not self._failure:
            self.say("store-again")

    def stored(self) -> Chats:
        """The stored conversations. Raises CommandError in a private chat."""
        if self.chats is None:
            raise CommandError("private-no-store")
        return self.chats

    def greet(self) -> None:
        """Say who answers, what to know about it, and how to get help."""
        title = Text.assemble((clean(self.engine.model), "bold"), f" ({self.engine.name})")
        self.console.print(title)
        for notice in self.engine.notices:
            self.warn(notice)
        if self.chats is None:
            self.say("private-begun")
        self.say("terminal-hint")
        self.console.print()

    def say(self, sentence: str | Sentence, **values: object) -> None:
        """A sentence of the program."""
        self._print(self.texts(sentence, **values), "dim")

    def warn(self, sentence: str | Sentence, **values: object) -> None:
        """A sentence about what one should know."""
        self._print(self.texts(sentence, **values), "yellow")

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
        keep = self.kept.keep
        stream = respond(
            self.engine, self.conversation, self.settings, cancel, seed=seed, keep=keep
        )
        self._conclude(self.draw(stream, cancel))

    def go_on(self) -> None:
        """Write on at the last answer, from the beginning of its last paragraph on the screen.

        Raises GenerationError; ValueError without an answer.
        """
        cancel = threading.Event()
        answer = self.conversation.answer
        before = (answer.content, answer.reasoning) if answer is not None else ("", "")
        stream = go_on(self.engine, self.conversation, self.settings, cancel, keep=self.kept.keep)
        self._conclude(self.draw(stream, cancel, before))

    def draw(
        self, stream: ChatStream, cancel: threading.Event, before: tuple[str, str] = ("", "")
    ) -> Finished | None:
        """Draw what streams, after the end of a text and a reasoning that were there before.

        Returns its end, None where a second Ctrl-C did not wait for it.
        """
        finished: Finished | None = None
        self.console.print()
        try:
            with interrupts_set(cancel), AnswerView(self.console) as view, closing(stream):
                _begin_with(view, *before)
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
        return finished

    def outlook(self) -> Outlook | None:
        """How full the context is, None where it cannot be told; counted once for each state."""
        said = self.conversation
        state = (
            said.system,
            self.settings.max_new_tokens,
            *((message.id, len(message.content), message.summary) for message in said.path),
        )
        if self._outlook is None or self._outlook[0] != state:
            try:
                view: Outlook | None = outlook(self.engine, said, self.settings)
            except ChatError:  # a template that refuses this conversation: asking will tell
                view = None
            self._outlook = (state, view)
        return self._outlook[1]

    def warn_of_full_context(self) -> None:
        """Say once that the next question will leave turns out, or that it soon comes to that."""
        view, told = self.outlook(), self._fullness
        if view is None or not view.is_nearly_full or not self.conversation.path:
            self._fullness = 0
        elif view.turns_left_out:
            self._fullness = 2
            if told < 2:
                self.warn("context-will-leave-out", count=view.turns_left_out)
        else:
            self._fullness = 1
            if told < 1:
                self.warn("context-nearly-full", share=round(100 * (view.share or 0)))

    def _placed(self, conversation: Conversation) -> Kept | Unkept:
        return Unkept(conversation) if self.chats is None else self.chats.add(conversation)

    def _conclude(self, finished: Finished | None) -> None:
        """The line under an answer, and what to know before the next question."""
        if finished is not None:
            line = stats_line(finished, self.engine.context_length, self.texts)
            answer = self.conversation.answer
            if answer is not None and len(answer.versions) > 1:
                number, count = answer.versions.index(answer) + 1, len(answer.versions)
                version = self.texts("version-of", number=number, count=count)
                line = f"{line}{SEPARATOR}{version}"
            self._print(line, "dim")
        self.warn_of_full_context()

    def _print(self, text: str, style: str) -> None:
        self.console.print(Prose(Text(clean(text), style=style)))


def _begin_with(view: AnswerView, text: str, reasoning: str) -> None:
    """Show the last paragraph again of what goes on."""
    if text:
        view.write(split(text)[-1].source if split(text) else text)
    elif reasoning:
        view.reason(reasoning.rpartition("\n")[2])
