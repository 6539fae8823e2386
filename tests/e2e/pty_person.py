"""A person in front of a real pseudo-terminal, who types and looks at the screen."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect
import pyte

ENTER, TAB, UP = "\r", "\t", "\x1b[A"
CTRL_C, CTRL_D = "\x03", "\x04"
SCRIPTED = ("cli_demo.py", "--engine", "scripted")
METER = re.compile(r"^(\S+ · )?[0-9,]+ / [0-9,]+ ")
PATIENCE = 20
"""Seconds to wait for the screen to show something, on a machine that is busy with other things."""


class Person:
    """Someone in front of a terminal."""

    def __init__(
        self, command: Sequence[str], root: Path, size: tuple[int, int], reports: bool
    ) -> None:
        """`reports`: whether the terminal tells where the cursor is, as most do."""
        width, height = size
        environment = {**os.environ, "TERM": "xterm-256color"}
        if not reports:
            environment["PROMPT_TOOLKIT_NO_CPR"] = "1"
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            environment.pop(name, None)
        self.child = pexpect.spawn(
            sys.executable,
            list(command),
            cwd=str(root),
            env=environment,  # type: ignore[arg-type]
            dimensions=(height, width),
            encoding="utf-8",
            preexec_fn=_hear_signals,
        )
        self.child.delaybeforesend = None
        self.raw = ""
        self.meter = ""
        """The line below the prompt, when last looked at; what `looks` gives is without it."""
        self._screen = pyte.HistoryScreen(width, height, history=10_000)
        self._stream = pyte.Stream(self._screen)
        if reports:
            self._screen.write_process_input = self.child.send

    def looks(self) -> str:
        """The screen now, and what scrolled out of it above."""
        try:
            while True:
                fresh = self.child.read_nonblocking(65536, timeout=0)
                self.raw += fresh
                self._stream.feed(fresh)
        except (pexpect.TIMEOUT, pexpect.EOF):
            pass
        scrolled = [
            "".join(line[column].data for column in range(self._screen.columns))
            for line in self._screen.history.top
        ]
        lines = [line.rstrip() for line in (*scrolled, *self._screen.display)]
        self.meter = lines.pop() if METER.search(lines[-1]) else ""
        return "\n".join(lines).rstrip()

    def sees(self, pattern: str, *, times: int = 1) -> str:
        """Wait until the pattern is on the screen that often; returns the screen."""
        until = time.monotonic() + PATIENCE
        while len(re.findall(pattern, screen := self.looks(), re.MULTILINE)) < times:
            assert time.monotonic() < until, f"waited for {pattern!r} {times} times:\n{screen}"
            assert self.child.isalive() or self._has_more(), f"{pattern!r} never came:\n{screen}"
            time.sleep(0.01)
        return screen

    def knows(self, pattern: str) -> None:
        """Wait for the line below the prompt to have the pattern."""
        until = time.monotonic() + PATIENCE
        while self.looks() and not re.search(pattern, self.meter):
            assert time.monotonic() < until, self.meter
            time.sleep(0.01)

    def presses(self, keys: str) -> None:
        self.child.send(keys)

    def says(self, line: str) -> str:
        """Type a line at the prompt, and wait for the prompt after it."""
        prompts = self._prompts()
        self.presses(line + ENTER)
        until = time.monotonic() + PATIENCE
        while self._prompts() <= prompts:
            assert time.monotonic() < until, self.looks()
            time.sleep(0.01)
        return self.looks()

    def is_asked(self) -> None:
        """Wait for a prompt that is ready for keys."""
        self.sees(r"^>\s*\Z")

    def leaves(self, keys: str = CTRL_D) -> int | None:
        """Press the keys and wait for the end; returns the exit code."""
        self.presses(keys)
        return self.is_left()

    def is_left(self, patience: float = PATIENCE) -> int | None:
        self.child.expect(pexpect.EOF, timeout=patience)
        self.raw += self.child.before or ""
        self._stream.feed(self.child.before or "")
        self.child.wait()
        return self.child.exitstatus

    def _prompts(self) -> int:
        """How many prompts became ready so far: each switches bracketed paste on."""
        self.looks()
        return self.raw.count("\x1b[?2004h")

    def _has_more(self) -> bool:
        before = self.raw
        self.looks()
        return self.raw != before


Sit = Callable[..., Person]


def _hear_signals() -> None:
    """A program that was begun in the background ignores these, and so would all it begins."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
