"""Chat: one open conversation, which a thread of the server writes and any number of tabs watch.

All that is done to a conversation (asking, answering again, editing, taking back) is done by one
performer at a time: an action that arrives while an answer is written cancels that answer and is
carried out after it has ended. So there is one writer, and nothing of an old answer can reach what
came after it. Tabs come and go meanwhile: an answer nobody watches is stopped after a while.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from typing import Protocol

from chatapp.chat import compact, go_on, respond
from chatapp.context import Outlook, outlook
from chatapp.engines import Engine
from chatapp.errors import ChatError, ContextOverflow, GenerationError, LineFull, StoreError
from chatapp.events import ChatStream, Progress, ReasoningDelta, TextDelta, TurnsLeftOut
from chatapp.messages import Conversation, Feedback, Message
from chatapp.settings import GenerationSettings
from chatapp.store import Kept, Unkept
from chatapp.web import view
from chatapp.web.actions import (
    Action,
    Ask,
    Choose,
    Compact,
    Edit,
    GiveBack,
    GoOn,
    Job,
    Look,
    Regenerate,
    Undo,
)

SECONDS_UNWATCHED = 60.0
"""How long an answer goes on that no page shows: a reload or a lost connection comes back."""

logger = logging.getLogger(__name__)


class Watcher(Protocol):
    """A tab that shows a chat."""

    def notify(self) -> None:
        """There is something new to show."""


class Chat:
    """One conversation, its performer, and what to tell about the running answer."""

    def __init__(self, engine: Engine, kept: Kept | Unkept) -> None:
        self.kept = kept
        self.asked = 0
        """How many questions were ever taken, so that none is taken twice."""
        self.writing = False
        self.progress: Progress | None = None
        self.turns_left_out = 0
        self.error: ChatError | None = None
        self.outlook: Outlook | None = None
        self._engine = engine
        self._lock = threading.Lock()
        self._storing = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._cancel = threading.Event()
        self._others = threading.Event()
        """Others have stored something, which is taken over between two pieces of an answer."""
        self._next: Job | None = None
        self._current: Action | None = None
        self._watchers: list[Watcher] = []
        self._unwatched_since = time.monotonic()

    @property
    def conversation(self) -> Conversation:
        return self.kept.conversation

    @property
    def is_private(self) -> bool:
        return isinstance(self.kept, Unkept)

    @property
    def is_busy(self) -> bool:
        return not self._idle.is_set()

    @property
    def is_watched(self) -> bool:
        return bool(self._watchers)

    def attach(self, watcher: Watcher) -> None:
        with self._lock:
            self._watchers.append(watcher)

    def detach(self, watcher: Watcher) -> None:
        with self._lock:
            self._watchers = [other for other in self._watchers if other is not watcher]
            self._unwatched_since = time.monotonic()

    def act(self, action: Action, settings: GenerationSettings, give_back: GiveBack) -> bool:
        """Have an action carried out; False where it is not taken."""
        with self._lock:
            if not self._takes(action):
                return False
            self._next = Job(action, settings, give_back)
            if self.is_busy:
                self._cancel.set()
                return True
            self._current = action
            self._idle.clear()
        threading.Thread(target=self._perform, name="answer", daemon=True).start()
        return True

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

    def judge(self, message: str, feedback: Feedback | None) -> None:
        """Note what a person thinks of an answer."""
        judged = self.conversation.find(message)
        if judged is not None and judged.role == "assistant":
            judged.feedback = feedback
            self.keep()

    def prompt_with(self, system: str) -> None:
        """Set the system prompt."""
        if system != self.conversation.system:
            self.conversation.system = system
            if self.conversation.path:
                self.keep()

    def keep(self) -> None:
        """Store what is new."""
        with self._storing:
            self.kept.keep()
        self._tell()

    def refresh(self) -> bool:
        """Take over what other programs wrote.

        False while an action is carried out here: its performer does so, if it writes an answer.
        """
        if self.is_busy:
            self._others.set()
            return False
        if self._take_over():
            self._tell()
        return True

    def _take_over(self) -> bool:
        self._others.clear()
        with self._storing:
            return self.kept.refresh()

    def _takes(self, action: Action) -> bool:
        """A question waits in its box while another is answered, and is taken once."""
        if isinstance(action, Look):
            return not self.is_busy
        if not isinstance(action, Ask):
            return True
        looking = self._next is None and isinstance(self._current, Look)
        if self.is_busy and not looking:
            return False
        if action.asked < self.asked or not action.text.strip():
            return False
        self.asked += 1
        return True

    def _perform(self) -> None:
        while (job := self._take_next()) is not None:
            try:
                self._take_over()
                self._carry_out(job)
            except ChatError as error:
                self.error = error
            except Exception as error:  # the boundary of a request
                logger.debug("answering failed", exc_info=True)
                self.error = GenerationError("generation-failed", cause=type(error).__name__)
            self.writing = False
            self._look(job.settings)
        self._tell()

    def _take_next(self) -> Job | None:
        with self._lock:
            following, self._next = self._next, None
            self._current = following.action if following else None
            if following is None:
                self._idle.set()
            else:
                self._cancel = threading.Event()
            return following

    def _carry_out(self, job: Job) -> None:
        if not isinstance(job.action, Look):
            self.error, self.turns_left_out, self.progress = None, 0, None
        talk = self.conversation
        match job.action:
            case Ask(text):
                self._ask(text, job)
            case Regenerate() if talk.question is not None:
                self._answer(job)
            case GoOn() if talk.answer is not None and talk.answer.can_go_on:
                self._show(go_on(self._engine, talk, job.settings, self._cancel, keep=self.keep))
            case Undo():
                if (question := talk.undo()) is not None:
                    job.give_back(question.content)
                    self.keep()
            case Edit(id, text) if (message := talk.find(id)) is not None and text.strip():
                self._edit(message, text, job)
            case Choose(id, step) if (message := talk.find(id)) is not None:
                versions = message.versions
                place = versions.index(message) + step
                talk.choose(versions[min(max(place, 0), len(versions) - 1)])
                self.keep()
            case Compact():
                stream = compact(self._engine, talk, job.settings, self._cancel, keep=self.keep)
                self._show(stream)

    def _ask(self, text: str, job: Job) -> None:
        asked = self.conversation.ask(text)
        try:
            self._answer(job)
        except (ContextOverflow, LineFull):
            self._take_out(asked)
            job.give_back(text)
            raise

    def _edit(self, message: Message, text: str, job: Job) -> None:
        if text == message.content:
            return
        earlier = message.parent.following if message.parent else None
        edited = self.conversation.edit(message, text)
        if message.role == "assistant":
            self.keep()
            return
        try:
            self._answer(job)
        except (ContextOverflow, LineFull):
            self._take_out(edited, earlier)
            job.give_back(text)
            raise

    def _take_out(self, question: Message, earlier: Message | None = None) -> None:
        """A question that could not be sent goes off the path, where it was the first version."""
        if question.parent is not None and question.parent.following is question:
            question.parent.chosen = None
            if earlier is not None:
                self.conversation.choose(earlier)
        self.keep()

    def _answer(self, job: Job) -> None:
        talk = self.conversation
        stream = respond(self._engine, talk, job.settings, self._cancel, keep=self.keep)
        self._show(stream, alone=False)

    def _show(self, stream: ChatStream, *, alone: bool = True) -> None:
        """Tell of the first piece at once and of the others merged by time: browsers are slow.

        A new answer is nobody else's, so that what others say may join it unless it is `alone`.
        """
        self.writing = True
        self._tell()
        pause = view.pause(len(self.conversation.path))
        shown_at, spoken = 0.0, False
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
                if self._others.is_set() and not alone:
                    due = self._hear_others() or due
                if due:
                    self._tell()
                    shown_at = time.monotonic()
                    self._stop_unwatched()

    def _hear_others(self) -> bool:
        try:
            return self._take_over()
        except StoreError:  # whoever stores next will tell it
            return False

    def _look(self, settings: GenerationSettings) -> None:
        """See how full the context is; a failure of the engine is not told for that."""
        if self._cancel.is_set() and self._next is not None:
            return
        try:
            self.outlook = outlook(self._engine, self.conversation, settings)
        except Exception:  # the boundary of an engine
            logger.debug("counting failed", exc_info=True)
            self.outlook = None

    def _stop_unwatched(self) -> None:
        with self._lock:
            left = time.monotonic() - self._unwatched_since
            if not self._watchers and left > SECONDS_UNWATCHED:
                self._cancel.set()

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            watcher.notify()
