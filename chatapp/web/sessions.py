"""Session: one browser tab's conversation and settings. Sessions: the tabs. They know no Gradio.

All that is done to a conversation (asking, regenerating, undoing, beginning anew) is done by one
performer at a time: an action that arrives while an answer is written cancels that answer and is
carried out by its performer, after the answer has ended. So there is one writer, and nothing of
an old answer can reach what came after it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

from chatapp.chat import change_settings, respond
from chatapp.engines import Engine
from chatapp.errors import ChatError, ContextOverflow, GenerationError, LineFull
from chatapp.events import Progress, ReasoningDelta, TextDelta, TurnsLeftOut
from chatapp.messages import Conversation, Message
from chatapp.settings import GenerationSettings
from chatapp.web import view

CLOSED_TABS_KEPT = 200
"""How many tabs without a page are remembered, for a reload or a restored tab to find."""
TAB_FREED_WITHIN = 2.0
"""Seconds in which the page that a reload replaces is gone; after them the tab is a duplicate."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a question; `seen` is how many the asking page knew of: a double submit knows too few."""

    text: str
    seen: int


@dataclass(frozen=True, slots=True)
class Regenerate:
    """Answer the last question again."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Take the last question back."""


@dataclass(frozen=True, slots=True)
class NewChat:
    """Begin again under the same system prompt."""


Action: TypeAlias = Ask | Regenerate | Undo | NewChat
Shown: TypeAlias = Generator[str | None, None, None]
"""Yields whenever the page should be shown anew: the text for the message box, or None to leave
the box alone."""


class Session:
    """One browser tab: a conversation, settings, and what to tell about the running answer."""

    def __init__(self, engine: Engine, system: str, settings: GenerationSettings) -> None:
        self.key = secrets.token_urlsafe(16)
        """What the tab remembers to find its conversation after a reload; a secret."""
        self.page: str | None = None
        """The page that shows this session now."""
        self.conversation = Conversation(system)
        self.settings = settings
        self.asked = 0
        """How many questions were ever taken, so that none is taken twice."""
        self.writing = False
        self.progress: Progress | None = None
        self.turns_left_out = 0
        self.error: ChatError | None = None
        self._engine = engine
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._cancel = threading.Event()
        self._next: Action | None = None

    def act(self, action: Action) -> Shown:
        """Carry out an action, or leave it to the performer at work. Closing this cancels."""
        with self._lock:
            if not self._takes(action):
                return
            if not self._idle.is_set():
                self._next = action
                self._cancel.set()
                return
            self._idle.clear()
            self._cancel = threading.Event()
        try:
            current: Action | None = action
            while current is not None:
                yield from self._carry_out(current)
                current = self._take_next()
        except BaseException:  # closed by its reader; else `_take_next` has let others perform
            self.writing = False
            with self._lock:
                self._next = None
                self._idle.set()
            raise

    def stop(self) -> None:
        """End the running answer, if there is one, within one token."""
        with self._lock:
            self._cancel.set()

    def leave(self, *, within: float = 0.0) -> bool:
        """Stop for good: whatever was to follow is dropped. Returns whether all has ended."""
        with self._lock:
            self._next = None
            self._cancel.set()
        return self._idle.wait(within)

    def change(self, system: str, values: Mapping[str, object]) -> None:
        """Take over what the side panel shows; all settings, or none. Raises SettingError."""
        self.conversation.system = system
        changes = view.differences(self.settings, values)
        self.settings = change_settings(self._engine, self.settings, changes)

    def reset_settings(self) -> None:
        """Go back to what the model recommends."""
        self.settings = self._engine.defaults

    def _takes(self, action: Action) -> bool:
        """A question waits in its box while another is answered, and is taken once."""
        if not isinstance(action, Ask):
            return True
        if not self._idle.is_set() or action.seen < self.asked or not action.text.strip():
            return False
        self.asked += 1
        return True

    def _take_next(self) -> Action | None:
        with self._lock:
            following, self._next = self._next, None
            if following is None:
                self._idle.set()
            else:
                self._cancel = threading.Event()
            return following

    def _carry_out(self, action: Action) -> Shown:
        self.error, self.turns_left_out, self.progress = None, 0, None
        match action:
            case Ask(text):
                yield from self._answer(self.conversation.ask(text))
            case Regenerate():
                if self.conversation.question is not None:
                    yield from self._answer(None)
            case Undo():
                question = self.conversation.undo()
                yield question.content if question else None
            case NewChat():
                self.conversation.clear()
                yield None

    def _answer(self, asked: Message | None) -> Shown:
        """Answer the last question; `asked` where it is new and leaves the message box."""
        draft: str | None = None
        self.writing = True
        try:
            yield None if asked is None else ""
            yield from self._stream()
        except (ContextOverflow, LineFull) as error:
            self.error = error
            if asked is not None:
                self.conversation.undo()
                draft = asked.content
        except ChatError as error:
            self.error = error
        except Exception as error:  # the boundary of a request
            logger.debug("answering failed", exc_info=True)
            self.error = GenerationError("generation-failed", cause=type(error).__name__)
        self.writing = False
        yield draft

    def _stream(self) -> Shown:
        """Pass on the first piece at once and the others merged by time: the browser is slow."""
        pause = view.pause(len(self.conversation.path))
        shown_at, spoken = 0.0, False
        stream = respond(self._engine, self.conversation, self.settings, self._cancel)
        with closing(stream) as events:
            for event in events:
                due = time.monotonic() - shown_at >= pause
                match event:
                    case Progress():
                        self.progress = event
                    case TurnsLeftOut(count):
                        self.turns_left_out = count
                    case TextDelta() | ReasoningDelta():
                        due = due or not spoken
                        spoken = True
                        self.progress = Progress("writing")
                if due:
                    yield None
                    shown_at = time.monotonic()


class Sessions:
    """The tabs that are open, and those closed lately, by their secret keys."""

    def __init__(self, make: Callable[[], Session]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._by_key: OrderedDict[str, Session] = OrderedDict()
        self._by_page: dict[str, Session] = {}

    def open(self, page: str, key: str) -> Session:
        """The session a page shows: the one its tab had before a reload, else a new one.

        A tab that was duplicated brings the key of a session that another page shows: it gets a
        session of its own. Waits for the answer of a replaced page to end.
        """
        with self._lock:
            known = self._by_key.get(key)
        if known is None or known.page == page or not self._freed(known):
            return self.of(page)
        known.leave(within=TAB_FREED_WITHIN)
        with self._lock:
            if known.page is None:
                self._attach(known, page)
        return self.of(page)

    def of(self, page: str) -> Session:
        """The session that a page shows; a new one for a page that is not known (any more)."""
        with self._lock:
            session = self._by_page.get(page)
            if session is None:
                session = self._make()
                self._by_key[session.key] = session
            self._attach(session, page)
            return session

    def close(self, page: str) -> None:
        """A page is gone: its answer ends, its conversation is kept for a while."""
        with self._lock:
            session = self._by_page.get(page)
            if session is None or session.page != page:
                return
            session.page = None
            self._forget_oldest()
        session.leave()

    def close_all(self) -> None:
        """The program ends: all answers do."""
        with self._lock:
            sessions = list(self._by_key.values())
        for session in sessions:
            session.leave()

    def _freed(self, session: Session) -> bool:
        until = time.monotonic() + TAB_FREED_WITHIN
        while session.page is not None and time.monotonic() < until:
            time.sleep(0.02)
        return session.page is None

    def _attach(self, session: Session, page: str) -> None:
        self._by_page = {
            known: other for known, other in self._by_page.items() if other is not session
        }
        self._by_page[page] = session
        session.page = page
        self._by_key.move_to_end(session.key)

    def _forget_oldest(self) -> None:
        closed = [session for session in self._by_key.values() if session.page is None]
        for session in closed[:-CLOSED_TABS_KEPT]:
            del self._by_key[session.key]
            self._by_page = {
                page: other for page, other in self._by_page.items() if other is not session
            }
