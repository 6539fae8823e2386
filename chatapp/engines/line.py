"""Line: who waits for a model, in order. First come, first served; bounded; cancellable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chatapp.errors import GenerationError, LineFull
from chatapp.events import Progress

HEARTBEAT = 0.1
"""Seconds after which a stream yields something, whatever happens."""


class Line:
    """At most `places` are served at a time and `capacity` wait; the rest are turned away."""

    def __init__(self, places: int, capacity: int = 64) -> None:
        self._places = places
        self._capacity = capacity
        self._standing: list[Request] = []
        self._moved = threading.Condition()
        self._closed = threading.Event()

    @contextmanager
    def join(self, cancel: threading.Event) -> Iterator[Request]:
        """Stand in line with a request; leaving the `with` ends it.

        Raises LineFull, and GenerationError when the line is closed.
        """
        if self._closed.is_set():
            raise GenerationError("engine-closed")
        request = Request(self._progress, cancel, self._closed)
        with self._moved:
            if len(self._standing) >= self._places + self._capacity:
                raise LineFull("line-full", waiting=self._capacity)
            self._standing.append(request)
        try:
            yield request
        finally:
            request.left.set()
            with self._moved:
                self._standing.remove(request)
                self._moved.notify_all()

    def close(self) -> None:
        """Cancel all requests and take no more."""
        self._closed.set()
        with self._moved:
            self._moved.notify_all()

    def _progress(self, request: Request) -> Iterator[Progress]:
        while not request.is_cancelled():
            with self._moved:
                place = self._place(request)
                if place <= 0:
                    return
            yield Progress("queued", place)
            with self._moved:
                if self._place(request) == place and not request.is_cancelled():
                    self._moved.wait(HEARTBEAT)

    def _place(self, request: Request) -> int:
        """1 for the first of those who wait; 0 and less: being served."""
        return self._standing.index(request) - self._places + 1


class Request(Iterator[Progress]):
    """One who stands in line; iterate it until it ends: it is its turn (or it is cancelled)."""

    def __init__(
        self,
        progress: Callable[[Request], Iterator[Progress]],
        cancel: threading.Event,
        closed: threading.Event,
    ) -> None:
        self.left = threading.Event()
        self._progress = progress(self)
        self._ends = (cancel, self.left, closed)

    def __next__(self) -> Progress:
        return next(self._progress)

    def is_cancelled(self) -> bool:
        """Whether nobody waits for the answer: cancelled, no longer in line, or all is over."""
        return any(end.is_set() for end in self._ends)
