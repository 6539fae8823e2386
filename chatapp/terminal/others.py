"""Others: what other windows, the page and other programs say in the conversation at hand.

While the prompt stands it looks twice a second whether anybody has written into the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from prompt_toolkit.application import get_app, in_terminal

from chatapp.errors import StoreError
from chatapp.messages import Message
from chatapp.store import Kept, Unkept
from chatapp.terminal.plain import first_line
from chatapp.terminal.session import Session
from chatapp.terminal.turns import print_turns

GLANCE = 0.5
"""Seconds between two looks."""


class Others:
    """Takes over what others store, and tells it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: Kept | Unkept | None = None
        self._version: tuple[int, int] | None = None
        self._writing: frozenset[Message] = frozenset()
        """The answers that somebody else is at work on; each is told when it is whole."""
        self._news: list[Callable[[], None]] = []

    def catch_up(self) -> None:
        """Take over and tell what there is."""
        if self.look():
            self.tell()

    def tell(self) -> None:
        """Print the news."""
        news, self._news = self._news, []
        for say in news:
            say()
        self._session.console.print()

    def watch(self) -> None:
        """From a prompt that has just come up: tell the news above it until it is answered."""
        if self._session.chats is not None:
            get_app().create_background_task(self._watching())

    async def _watching(self) -> None:
        while True:
            await asyncio.sleep(GLANCE)
            if self.look():
                async with in_terminal():
                    self.tell()
                get_app().invalidate()

    def look(self) -> bool:
        """Take over what others have stored; whether there is anything to tell."""
        session, chats = self._session, self._session.chats
        if chats is None:
            return False
        if session.kept is not self._kept:
            self._kept, self._version, self._writing = session.kept, None, _in_writing(session)
        try:
            version = chats.version()
            if version == self._version and not self._writing:
                return bool(self._news)
            self._take_over()
            self._version = version
        except StoreError:
            pass  # whoever stores next will hear of it
        return bool(self._news)

    def _take_over(self) -> None:
        session = self._session
        before = [(said, said.content) for said in session.conversation.path]
        known = {said.id for said in session.conversation.root.tree()}
        if not session.kept.refresh():
            return
        path = session.conversation.path
        pairs = zip(before, path, strict=False)
        same = next((i for i, (was, now) in enumerate(pairs) if was[0] is not now), len(before))
        same = min(same, len(path))
        self._note_gone([said for said, _ in before[same:]], path[same:])
        if any(version.id not in known for said in path[:same] for version in said.versions):
            self._note("others-version")
        fresh = self._note_changed(before[:same])
        written, self._writing = self._writing, _in_writing(session)
        for index, said in enumerate(path):
            if said in self._writing - written:
                self._print(fresh, index)
                self._note("others-writing")
            if said in self._writing:
                fresh = max(fresh, index + 1)
        self._print(fresh, len(path))

    def _note_gone(self, gone: Sequence[Message], fresh: Sequence[Message]) -> None:
        """Somebody has left our branch: for another one, or by taking questions back."""
        if gone and fresh:
            self._note("others-branched")
        elif gone:
            question = first_line(gone[0].content, self._session.console.width // 2)
            self._note("others-undone", question=question)

    def _note_changed(self, before: Sequence[tuple[Message, str]]) -> int:
        """Tell what became of messages that were there before, each by itself, and only once it
        is whole; returns the index in the path from which on everything is to be told.
        """
        for index, (said, content) in enumerate(before):
            if said.writing or (said not in self._writing and said.content == content):
                continue
            if said not in self._writing:
                self._note("others-continued")
            if index == len(before) - 1:
                return index
            self._print(max(0, index - 1), index + 1)  # far above by now: with its question
        return len(before)

    def _print(self, begin: int, end: int) -> None:
        session = self._session
        if begin < end:
            self._news.append(lambda: print_turns(session, begin, end))

    def _note(self, sentence: str, **values: object) -> None:
        self._news.append(lambda: self._session.say(sentence, **values))


def _in_writing(session: Session) -> frozenset[Message]:
    return frozenset(said for said in session.conversation.path if said.writing)
