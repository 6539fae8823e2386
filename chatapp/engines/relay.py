"""From a worker thread to one reader: events, then a Finished or an exception."""

from __future__ import annotations

import logging
import queue
import re
from collections.abc import Callable
from typing import TypeAlias

from chatapp.engines.line import HEARTBEAT
from chatapp.errors import ChatError, GenerationError
from chatapp.events import (
    Event,
    EventStream,
    Finished,
    Progress,
    ReasoningDelta,
    TextDelta,
)

logger = logging.getLogger(__name__)

_OUT_OF_MEMORY = re.compile("out of memory|not enough memory|allocate", re.IGNORECASE)
"""How torch and llama.cpp put it, on GPUs and CPUs."""

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
        elif isinstance(item, TextDelta | ReasoningDelta):
            progress = Progress("writing")
        yield item
        if isinstance(item, Finished):
            return


def run(relay: Relay, work: Callable[[], Finished]) -> None:
    """In the worker: do the work; what it returns or raises goes to the reader, whatever it is."""
    try:
        relay.put(work())
    except ChatError as error:
        relay.put(error)
    except BaseException as error:
        logger.debug("the engine failed", exc_info=True)
        relay.put(_explained(error))


def _explained(error: BaseException) -> GenerationError:
    """A foreign error as one of ours; without its frames, which would keep tensors alive."""
    text = str(error).strip().splitlines()
    if isinstance(error, MemoryError) or (text and _OUT_OF_MEMORY.search(text[0])):
        explained = GenerationError("out-of-memory")
    else:
        cause = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
        explained = GenerationError("generation-failed", cause=cause)
    explained.__cause__ = error.with_traceback(None)
    return explained
