"""Line: who waits for a model, in order. First come, first served; bounded; cancellable."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chatapp.errors import LineFull
from chatapp.events import Progress

HEARTBEAT = 0.1
"""Seconds after which a stream yields something, whatever happens."""


class Line:
    """At most `places` are served at a time and `capacity` wait; the rest are turned away."""

    def __init__(self, places: int, capacity: int = 64) -> None:
        self._places = places
        self._capacity = capacity
        self._standing: list[object] = []
        self._moved = threading.Condition()

    @contextmanager
    def join(self, cancel: threading.Event) -> Iterator[Iterator[Progress]]:
        """Stand in line; iterate what is given until it ends: it is your turn (or `cancel` is set).

        Raises LineFull.
        """
        ticket = object()
        with self._moved:
            if len(self._standing) >= self._places + self._capacity:
                raise LineFull("line-full", waiting=self._capacity)
            self._standing.append(ticket)
        try:
            yield self._wait(ticket, cancel)
        finally:
            with self._moved:
                self._standing.remove(ticket)
                self._moved.notify_all()

    def _wait(self, ticket: object, cancel: threading.Event) -> Iterator[Progress]:
        while not cancel.is_set():
            with self._moved:
                place = self._place(ticket)
                if place <= 0:
                    return
            yield Progress("queued", place)
            with self._moved:
                if self._place(ticket) == place:
                    self._moved.wait(HEARTBEAT)

    def _place(self, ticket: object) -> int:
        """1 for the first of those who wait; 0 and less: being served."""
        return self._standing.index(ticket) - self._places + 1
