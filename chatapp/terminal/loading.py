"""A model that loads in a thread, so that signals and the screen need not wait for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress

from chatapp.engines import Engine, ModelOptions, open_engine
from chatapp.errors import ChatError, LoadError
from chatapp.events import Progress

logger = logging.getLogger(__name__)

GLANCE = 0.1
"""Seconds between two looks at how far it is."""


class Loading:
    """An engine on its way; it begins at once."""

    def __init__(self, options: ModelOptions) -> None:
        self._engine: Future[Engine] = Future()
        self._progress: Progress | None = None
        threading.Thread(target=self._load, args=[options], name="loading", daemon=True).start()

    def wait(self, show: Callable[[Progress | None], None]) -> Engine:
        """The engine; until it is there its progress is shown, then None. Raises LoadError."""
        while not self._engine.done():
            show(self._progress)
            with suppress(NotYet):
                self._engine.exception(timeout=GLANCE)
        show(None)
        return self._engine.result()

    def _load(self, options: ModelOptions) -> None:
        def note(progress: Progress) -> None:
            self._progress = progress

        try:
            self._engine.set_result(open_engine(options, note))
        except ChatError as error:
            self._engine.set_exception(error)
        except BaseException as error:  # a boundary: who waits must hear of it
            logger.debug("loading failed", exc_info=True)
            cause = f"{type(error).__name__}: {error}"
            self._engine.set_exception(LoadError("terminal-not-loaded", cause=cause))
