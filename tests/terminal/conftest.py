"""What the terminal's tests stand on: a screen of a given size, and a chat drawn on it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

import pyte
import pytest
from rich.console import Console

from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.store import Chats
from chatapp.terminal.markdown import THEME
from chatapp.terminal.session import Session
from chatapp.texts import Language, Texts


class Screen:
    """A console, and what a person sees of it: the window and what scrolled out of it."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.output = io.StringIO()
        self.console = Console(
            file=self.output,
            force_terminal=True,
            width=width,
            height=height,
            theme=THEME,
            highlight=False,
            markup=False,
            emoji=False,
            _environ={},
        )
        self._screen = pyte.HistoryScreen(width, height, history=100_000)
        self._stream = pyte.Stream(self._screen)
        self._fed = 0

    @property
    def raw(self) -> str:
        """All bytes so far."""
        return self.output.getvalue()

    @property
    def window(self) -> list[str]:
        self._feed()
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """Everything there is to see, scrolled out or not, without empty lines at the end."""
        self._feed()
        scrolled = [
            "".join(line[column].data for column in range(self._screen.columns)).rstrip()
            for line in self._screen.history.top
        ]
        return "\n".join([*scrolled, *self.window]).rstrip("\n")

    def _feed(self) -> None:
        fresh, self._fed = self.raw[self._fed :], len(self.raw)
        self._stream.feed(fresh.replace("\n", "\r\n"))


class Chat(Session):
    """A session on a screen of its own, with the engine it talks to at hand."""

    engine: ScriptedEngine

    def __init__(
        self,
        engine: ScriptedEngine,
        screen: Screen,
        language: Language,
        chats: Chats | None = None,
    ) -> None:
        super().__init__(engine, screen.console, Texts(language), system="Be brief.", chats=chats)
        self.screen = screen

    @property
    def said(self) -> str:
        return self.screen.text


@pytest.fixture(scope="session")
def new_screen() -> Callable[..., Screen]:
    return Screen


@pytest.fixture(scope="session")
def new_chat() -> Callable[..., Chat]:
    """Makes a chat: `new_chat("one answer", "another", width=80)`."""

    def build(
        *answers: str | Script,
        width: int = 80,
        language: Language = "en",
        supports: Iterable[str] | None = None,
        context_length: int | None = 4096,
        chats: Chats | None = None,
    ) -> Chat:
        scripts = [Script([answer]) if isinstance(answer, str) else answer for answer in answers]
        engine = ScriptedEngine(scripts, context_length=context_length)
        if supports is not None:
            engine.supports = frozenset(supports)
        return Chat(engine, Screen(width), language, chats)

    return build
