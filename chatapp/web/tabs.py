"""Tab: what one open page shows and has set. Tabs: all of them. They know no Gradio.

A tab watches one chat. It tells its page to look (`news`), and one handler at a time shows what
there is, so that nothing outdated can be shown last.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chatapp.chat import change_settings
from chatapp.engines import Engine
from chatapp.errors import ChatError, StoreError
from chatapp.exchange import import_text
from chatapp.settings import GenerationSettings
from chatapp.store import ChatLine
from chatapp.texts import Sentence
from chatapp.web import view
from chatapp.web.actions import Action, Ask, Choose, Look
from chatapp.web.chats import Chat
from chatapp.web.library import Library

CHATS_LISTED = 50
"""How many chats the list shows, and by how many it grows."""
CLOSED_TABS_KEPT = 200
"""How many tabs without a page are remembered, for a reload to find its settings."""
SECONDS_TO_END = 2.0
"""What answers are given to end and to be stored when the program leaves."""
SECONDS_STUCK = 1.0
"""How long a busy chat may say nothing before its page is shown as it is."""


class Tab:
    """One page: the chat it shows, its settings, what belongs into its message box."""

    def __init__(
        self, engine: Engine, library: Library, system: str, settings: GenerationSettings
    ) -> None:
        self.key = secrets.token_urlsafe(16)
        """What the browser tab remembers to find its settings after a reload; a secret."""
        self.settings = settings
        self.library = library
        self.notes: list[Sentence] = []
        """What has been done here that does not show."""
        self.error: ChatError | None = None
        """What the person did wrong here; what went wrong in the chat is told there."""
        self.system = system
        """The system prompt of new chats."""
        self.sent: dict[Any, Any] = {}
        """What the page shows by now: component -> value."""
        self.shelf: tuple[object, str] = (None, "")
        """The list of chats as it was shown last, and what it was made from."""
        self.box = ""
        """What stood in the message box when it was last told: a draft is never replaced."""
        self.words = ""
        """What the list is searched for."""
        self.listed = CHATS_LISTED
        self.deleted: list[ChatLine] = []
        """The chats that were deleted here, the latest last; see `gone`."""
        self._engine = engine
        self._version: tuple[int, int] | None = None
        self._draft: str | None = None
        self._turned = False
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._showing = False
        self.chat = library.new(system)
        self.chat.attach(self)

    def notify(self) -> None:
        self._news.set()

    @property
    def is_outdated(self) -> bool:
        """Whether there is something new that nobody is about to show."""
        return self._news.is_set() and not self._showing

    def look(self) -> bool:
        """Take over what other programs have stored; whether anybody has stored anything."""
        version = self.library.version()
        if version == self._version:
            return False
        if self.chat.refresh():  # else it is looked at again
            self._version = version
        return True

    def show(self) -> Iterator[None]:
        """Yields whenever the page should be shown anew, until nothing goes on any more.

        While one reader does so, another gets nothing: a page is shown by one at a time.
        """
        with self._lock:
            if self._showing:
                return
            self._showing = True
        ended = False
        try:
            while not ended:
                busy = self.chat.is_busy
                self._news.clear()
                yield
                if busy:
                    self._news.wait(SECONDS_STUCK)
                with self._lock:
                    ended = not busy and not self._news.is_set()
                    self._showing = not ended
        finally:
            if not ended:  # closed by its reader; else another one may show by now
                self._showing = False

    def turn_to(self, chat: Chat) -> None:
        """Show another chat."""
        earlier, self.chat = self.chat, chat
        earlier.detach(self)
        chat.attach(self)
        self.error, self.notes, self._turned = None, [], True
        if chat.conversation.path:
            chat.act(Look(), self.settings, self._give_back)
        self.notify()

    def open(self, id: str, message: str = "") -> None:
        """Show the chat of that id, in the version that has the message of that one.

        Raises ChatError where there is no such chat.
        """
        if id != self.chat.conversation.id:
            self.turn_to(self.library.open(id))
        wanted = self.chat.conversation.find(message) if message else None
        if wanted and wanted not in self.chat.conversation.path and not self.chat.writing:
            self.act(Choose(message, 0))

    def begin(self) -> None:
        """Show a new chat."""
        self.turn_to(self.library.new(self.system))

    def fork(self, message: str) -> None:
        """Show a copy of the chat up to a message."""
        self.turn_to(self.library.fork(self.chat, message))

    def rename(self, id: str, title: str) -> None:
        self.library.rename(id, title)
        self.chat.refresh()
        self.notify()

    def delete(self, id: str) -> None:
        """Delete a chat; where it is shown, a new one is."""
        line = self.library.delete(id)
        if line is not None:  # else a second click came too late
            self.deleted = [*self.deleted, line]
        if id == self.chat.conversation.id:
            self.begin()
        self.notify()

    def restore(self, id: str) -> None:
        """Have back what was deleted, and show it; what was deleted before can be had next."""
        try:
            self.library.restore(id)
        except StoreError as error:
            if error.sentence.key == "chat-unknown":  # dropped for good
                self._forget_deleted(id)
            raise
        self._forget_deleted(id)
        self.open(id)
        self.notify()

    def gone(self) -> ChatLine | None:
        """The chat deleted last here that did not come back by another way. Raises StoreError."""
        return next(
            (line for line in reversed(self.deleted) if not self.library.has(line.id)), None
        )

    def _forget_deleted(self, id: str) -> None:
        self.deleted = [line for line in self.deleted if line.id != id]

    def take_in(self, text: str, name: str) -> None:
        """Store the conversations of a file and show the first. Raises ExchangeError."""
        imported = import_text(text, name)
        chats = [self.library.take_in(found) for found in imported.conversations]
        self.turn_to(chats[0])
        said = Sentence("imported", {"name": name, "count": len(chats)})
        self.notes = [*imported.notes, said]

    def search(self, words: str) -> None:
        """List only chats with these words, all of them without."""
        self.words, self.listed = words, CHATS_LISTED
        self.notify()

    def list_more(self) -> None:
        self.listed += CHATS_LISTED
        self.notify()

    def set_private(self, private: bool) -> None:
        """Keep this chat out of the store, or in it, before its first question."""
        self.library.set_private(self.chat, private)
        self.notify()

    @property
    def asked(self) -> str:
        """Which chat this is and how many questions it took, for the page to ask the next."""
        return f"{self.chat.conversation.id}:{self.chat.asked}"

    def ask(self, text: str, seen: str) -> bool:
        """Ask what the page asks that was shown `seen`; False where it is not taken."""
        id, _, asked = (seen or self.asked).partition(":")
        if id != self.chat.conversation.id or not asked.isdecimal():
            return False
        self.box = ""  # the page empties it
        return self.act(Ask(text, int(asked)))

    def act(self, action: Action) -> bool:
        self.error, self.notes = None, []
        taken = self.chat.act(action, self.settings, self._give_back)
        self.notify()
        return taken

    def redo(self, message: str) -> None:
        """Go on with a question that was taken back, which leaves the message box again."""
        question = self.chat.conversation.find(message)
        if question is not None and self.act(Choose(message, 0)):
            if self.box == question.content:
                self._draft = ""

    def take_draft(self) -> str | None:
        """What belongs into the message box now, once."""
        draft, self._draft = self._draft, None
        return draft

    def take_turn(self) -> bool:
        """Whether the tab shows another chat since this was last asked."""
        turned, self._turned = self._turned, False
        return turned

    def change(self, system: str, values: Mapping[str, object]) -> None:
        """Take over what the side panel shows; all settings, or none. Raises SettingError."""
        if system != self.chat.conversation.system:
            self.system = system
            self.chat.prompt_with(system)
        changes = view.differences(self.settings, values)
        self.settings = change_settings(self._engine, self.settings, changes)

    def reset_settings(self) -> None:
        """Go back to what the model recommends."""
        self.settings = self._engine.defaults

    def _give_back(self, text: str) -> None:
        if not self.box.strip():
            self._draft = text
        self.notify()


class Tabs:
    """The tabs that are open by their owners and pages, those closed lately by their keys."""

    def __init__(
        self,
        make_tab: Callable[[Library], Tab],
        make_library: Callable[[str], Library],
    ) -> None:
        self._make_tab = make_tab
        self._make_library = make_library
        self._lock = threading.RLock()
        self._libraries: dict[str, Library] = {}
        self._by_page: dict[tuple[str, str], Tab] = {}
        self._closed: OrderedDict[tuple[str, str], Tab] = OrderedDict()

    def open(self, owner: str, page: str, key: str, chat: str) -> Tab:
        """A tab for a page that was loaded: with the settings its browser tab had before.

        It shows the chat that the address names; one that is not there is told.
        """
        tab = self.of(owner, page)
        with self._lock:
            every = [*self._by_page.items(), *self._closed.items()]
            known = next((one for (own, _), one in every if own == owner and one.key == key), None)
        if known is not None:
            tab.settings, tab.system = known.settings, known.system
            if not tab.chat.conversation.path:
                tab.chat.prompt_with(known.system)
        if chat:
            try:
                tab.open(chat)
            except ChatError as error:
                tab.error = error
        return tab

    def of(self, owner: str, page: str, seen: str = "") -> Tab:
        """The tab of a page; a page that is not known (any more) shows the chat it has `seen`."""
        with self._lock:
            tab = self._by_page.get((owner, page))
            if tab is not None:
                return tab
            tab = self._by_page[owner, page] = self._make_tab(self.library(owner))
        if seen:
            try:
                tab.open(seen.partition(":")[0])
            except ChatError as error:
                tab.error = error
        return tab

    def library(self, owner: str) -> Library:
        """What one person has."""
        with self._lock:
            library = self._libraries.get(owner)
            if library is None:
                library = self._libraries[owner] = self._make_library(owner)
            return library

    def close(self, owner: str, page: str) -> None:
        """A page is gone: its chat goes on for a while, its settings are kept for a reload."""
        with self._lock:
            tab = self._by_page.pop((owner, page), None)
            if tab is None:
                return
            self._closed[owner, tab.key] = tab
            while len(self._closed) > CLOSED_TABS_KEPT:
                self._closed.popitem(last=False)
        tab.chat.detach(tab)

    def close_all(self) -> None:
        """The program ends: all answers do."""
        chats = [chat for library in list(self._libraries.values()) for chat in library.held()]
        for chat in chats:
            chat.leave()
        until = time.monotonic() + SECONDS_TO_END
        for chat in chats:
            chat.leave(within=max(0.0, until - time.monotonic()))
