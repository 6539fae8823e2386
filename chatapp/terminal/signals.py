"""Ctrl-C, SIGTERM and the keyboard while a prompt is not up. Knows nothing of chats."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
BROKEN_PIPE = 128 + 13
"""Exit codes, as a shell would report the signals; Windows has no SIGPIPE to take it from."""


@contextmanager
def interrupts_set(cancel: threading.Event) -> Iterator[None]:
    """Ctrl-C sets `cancel` and disturbs nothing; the next one raises KeyboardInterrupt."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def termination_leaves() -> Iterator[None]:
    """SIGTERM leaves through every `finally`, with the exit code that tells of it."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def silent_keys(terminal: TextIO) -> Iterator[None]:
    """What is typed does not show, and waits unaltered for the next prompt; Ctrl-C still works."""
    if sys.platform == "win32":
        yield
        return
    import termios

    descriptor = terminal.fileno()
    before = termios.tcgetattr(descriptor)
    silent = termios.tcgetattr(descriptor)
    silent[0] &= ~termios.ICRNL  # Enter stays Enter: a newline would be Ctrl-J
    silent[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
