"""A model that loads in a thread, so that signals and the screen need not wait for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress

from chatapp.engines import Engine, ModelOptions, OnProgress, open_engine
from chatapp.errors import ChatError, LoadError
from chatapp.events import Progress

logger = logging.getLogger(__name__)

GLANCE = 0.1
"""Seconds between two looks at how far it is."""


class Loading:
    """An engine on its way; it begins at once."""

    def __init__(
        self, options: ModelOptions, on_progress: OnProgress = lambda progress: None
    ) -> None:
        self.engine: Future[Engine] = Future()
        """The engine, or the ChatError that there is in its place."""
        self.progress: Progress | None = None
        threading.Thread(
            target=self._load, args=[options, on_progress], name="loading", daemon=True
        ).start()

    def wait(self, show: Callable[[Progress | None], None]) -> Engine:
        """The engine; until it is there its progress is shown, then None. Raises LoadError."""
        while not self.engine.done():
            show(self.progress)
            with suppress(NotYet):
                self.engine.exception(timeout=GLANCE)
        show(None)
        return self.engine.result()

    def _load(self, options: ModelOptions, on_progress: OnProgress) -> None:
        def note(progress: Progress) -> None:
            self.progress = progress
            on_progress(progress)

        try:
            self.engine.set_result(open_engine(options, note))
        except ChatError as error:
            self.engine.set_exception(error)
        except BaseException as error:  # a boundary: who waits must hear of it
            logger.debug("loading failed", exc_info=True)
            cause = f"{type(error).__name__}: {error}"
            self.engine.set_exception(LoadError("terminal-not-loaded", cause=cause))
