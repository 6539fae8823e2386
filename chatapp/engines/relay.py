"""From a worker thread to one reader: events, then a Finished or an exception."""

from __future__ import annotations

import queue
from typing import TypeAlias

from chatapp.engines.line import HEARTBEAT
from chatapp.events import Event, EventStream, Finished, Progress

Relay: TypeAlias = "queue.SimpleQueue[Event | BaseException]"


def read(relay: Relay) -> EventStream:
    """Yield what the worker puts, at least something every 100 ms; raise what it raised.

    Nothing ends this but a Finished or an exception from the worker, which owes one of them.
    """
    progress = Progress("reading")
    while True:
        try:
            item = relay.get(timeout=HEARTBEAT)
        except queue.Empty:
            yield progress
            continue
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, Progress):
            progress = item
        yield item
        if isinstance(item, Finished):
            return
