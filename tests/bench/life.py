"""Loading, starting, stopping, memory."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pexpect
from transformers import AutoModelForCausalLM, AutoTokenizer

from chatapp.engines import ModelOptions
from chatapp.events import Finished, Progress, TextDelta
from chatapp.messages import Message
from tests.bench.contenders import ANCESTOR, BARE, CHATAPP, asked
from tests.bench.course import Course
from tests.bench.model import open_transformers
from tests.bench.texts import opening, story
from tests.bench.values import Figures, Measure, Requirement, Rounds

ROOT = Path(__file__).parents[2]
READY = "\x1b[?2004h"
"""What a prompt that takes keys sends to the terminal (bracketed paste on)."""
PATIENCE = 300.0
"""Seconds for a program to start, or to measure its memory."""
WRITING, READING = "while writing", "while reading a long prompt"


def stopping(course: Course) -> Measure:
    """Seconds from Stop to `Finished`, which the inference thread sends once it is idle."""
    sizes, found = course.sizes, Rounds()
    prompt = [Message("user", story(course.engine, sizes.long_prompt, seed=3000))]
    for number in range(sizes.rounds):
        course.now(f"Stop {WRITING}", number, sizes.rounds)
        found.add(WRITING, _stop(course, opening(4000 + number), _wrote(4)))
        course.now(f"Stop {READING}", number, sizes.rounds)
        again = [Message("user", f"{number}. {prompt[0].content}")]
        found.add(READING, _stop(course, again, _read(0.1 + 0.15 * number)))
    return Measure(
        "stop",
        f"From Stop to idle (the long prompt: {sizes.long_prompt:,} tokens)",
        "s",
        figures=found.figures(),
        requirements=[
            Requirement(
                f"seconds from Stop to idle {where}, the slowest of {sizes.rounds}",
                (max(found.values(where)),),
                0.5,
                at_least=False,
                unit="s",
            )
            for where in (WRITING, READING)
        ],
    )


def loading(course: Course) -> Measure:
    """Seconds to load weights and tokenizer, in a process where the libraries are loaded."""
    found = Rounds()
    options = ModelOptions(str(course.folder), engine="transformers", dtype=course.dtype)

    def load_chatapp() -> None:
        open_transformers(options, lambda _: None).close()

    def load_bare() -> None:
        AutoTokenizer.from_pretrained(course.folder, local_files_only=True)
        AutoModelForCausalLM.from_pretrained(
            course.folder, local_files_only=True, dtype=course.dtype
        ).to(course.engine._model.device)

    loaders = {CHATAPP: load_chatapp, "from_pretrained()": load_bare}
    for number, order in course.rounds(course.sizes.long_rounds, loaders):
        for name in order:
            course.now(name, number, course.sizes.long_rounds)
            found.add(name, _seconds(loaders[name]))
    return Measure("load", "Loading the model", "s", figures=found.figures())


def starting(course: Course) -> Measure:
    """Seconds from the start of the process to a prompt that takes keys."""
    found, rounds = Rounds(), course.sizes.long_rounds
    starts: Mapping[str, Sequence[str]] = {
        "terminal, demo model in llama.cpp": (),
        "terminal, this model in transformers": ("-c", str(course.folder)),
    }
    for number, order in course.rounds(rounds, starts):
        for name in order:
            course.now(name, number, rounds)
            found.add(name, _start(starts[name]))
    return Measure("start", "From the command to the prompt", "s", figures=found.figures())


def memory(course: Course) -> Measure:
    """Most MiB (RSS) that a process held which loaded the model and read a long history."""
    found = []
    for name in (CHATAPP, BARE, ANCESTOR):
        course.say(name)
        command = [sys.executable, "-m", "tests.bench.peak", name, str(course.folder)]
        arguments = [course.dtype, str(course.sizes.history)]
        done = subprocess.run(
            [*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, timeout=PATIENCE, check=True
        )
        found.append(Figures(name, (json.loads(done.stdout) / 2**10,)))
    title = f"Most memory held, two turns after {course.sizes.history:,} tokens"
    return Measure("memory", title, "MiB", figures=found)


def _stop(course: Course, messages: Sequence[Message], when: Callable[[object], bool]) -> float:
    cancel = threading.Event()
    begin: float | None = None
    tokens = min(1000, (course.engine.context_length or 2000) // 2)
    with closing(asked(course.engine, messages, tokens, cancel)) as events:
        for event in events:
            if begin is None and when(event):
                begin = time.perf_counter()
                cancel.set()
            if isinstance(event, Finished):
                end = time.perf_counter()
    if begin is None or event.reason != "stopped":
        raise RuntimeError("the answer ended before it was stopped")
    return end - begin


def _wrote(texts: int) -> Callable[[object], bool]:
    """Tells after so many pieces of text."""
    left = iter(range(texts))
    return lambda event: isinstance(event, TextDelta) and next(left, None) is None


def _read(share: float) -> Callable[[object], bool]:
    """Tells once this share of the prompt is read."""
    return lambda event: (
        isinstance(event, Progress)
        and event.stage == "reading"
        and event.total is not None
        and event.done >= share * event.total
    )


def _start(flags: Sequence[str]) -> float:
    begin = time.perf_counter()
    child = pexpect.spawn(sys.executable, ["cli_demo.py", *flags], cwd=str(ROOT), timeout=PATIENCE)
    try:
        child.expect_exact(READY)
        return time.perf_counter() - begin
    finally:
        child.close(force=True)


def _seconds(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
