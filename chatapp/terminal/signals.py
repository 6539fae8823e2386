"""Ctrl-C, SIGTERM and the keyboard while a prompt is not up. Knows nothing of chats."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

INTERRUPTED = 128 + signal.SIGINT
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
def signals_end_at_once(clean_up: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM clean up and end the process where it stands.

    For a time with nothing to lose and a library at work in another thread: an exception may get
    lost inside an import, and the interpreter may crash when it ends around that thread.
    """

    def end(number: int, frame: FrameType | None) -> None:
        clean_up()
        os._exit(128 + number)

    previous = [signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous[0])
        signal.signal(signal.SIGTERM, previous[1])


@contextmanager
def termination_leaves() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that is closed, leave through every `finally`, with the
    exit code that tells of it.
    """

    def terminate(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)  # nohup has it ignored
    previous = [signal.signal(number, terminate) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Ctrl-C is for the program that runs in the foreground meanwhile, which has it as usual."""
    previous = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def usual_keys(terminal: TextIO | None) -> Iterator[None]:
    """What is typed shows and comes by lines, for another program in between `silent_keys`."""
    if sys.platform == "win32" or terminal is None or not terminal.isatty():
        yield
        return
    import termios

    descriptor = terminal.fileno()
    before = termios.tcgetattr(descriptor)
    usual = termios.tcgetattr(descriptor)
    usual[0] |= termios.ICRNL
    usual[3] |= termios.ECHO | termios.ICANON
    termios.tcsetattr(descriptor, termios.TCSADRAIN, usual)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def silent_keys(terminal: TextIO) -> Iterator[Callable[[], None]]:
    """What is typed does not show, and waits unaltered for the next prompt; Ctrl-C still works.

    What it gives puts the terminal back as it was, early.
    """
    if sys.platform == "win32":
        yield lambda: None
        return
    import termios

    descriptor = terminal.fileno()
    before = termios.tcgetattr(descriptor)
    silent = termios.tcgetattr(descriptor)
    silent[0] &= ~termios.ICRNL  # Enter stays Enter: a newline would be Ctrl-J
    silent[3] &= ~(termios.ECHO | termios.ICANON)

    def restore() -> None:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
    try:
        yield restore
    finally:
        restore()
