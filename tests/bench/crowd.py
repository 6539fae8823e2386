"""Several chats at once: tokens per second of all together, beside `transformers serve`.

Everyone has a process of its own (see `own_process`), and the others rest meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from chatapp.engines import ModelOptions
from tests.bench.contenders import CHATAPP
from tests.bench.course import Course
from tests.bench.own_process import NotAnswered, OwnProcess
from tests.bench.serve import ServeFailed, serving
from tests.bench.texts import opening
from tests.bench.together import speed_together
from tests.bench.values import Measure, Requirement, Rounds, ratios

BATCHED = "chatapp, batched"
SERVE = "transformers serve"
SERVE_BATCHED = "transformers serve, batched"
FLAGS: Mapping[str, Sequence[str]] = {SERVE: (), SERVE_BATCHED: ("--continuous-batching",)}


Side: TypeAlias = Callable[[int, int, int], float]
"""Answers so many chats at once, each with so many tokens; their speed. The last is a seed."""


def measure(course: Course) -> Measure:
    sizes, found = course.sizes, Rounds()
    measured = Measure(
        "crowd",
        f"Several chats at once, {sizes.crowd_answer} tokens an answer",
        "tokens/s of all",
        axis="chats at once",
    )
    with ExitStack() as stack:
        try:
            sides = {
                CHATAPP: _own_process(stack, course, CHATAPP, 1),
                BATCHED: _own_process(stack, course, BATCHED, max(sizes.chats)),
            }
        except NotAnswered as error:
            measured.notes.append(f"not measured: {error}")
            return measured
        for name in FLAGS if course.beside_serve else ():
            try:
                sides[name] = _server(stack, course, name)
            except ServeFailed as error:
                measured.notes.append(f"{name} is left out: {error}")
        for name, side in sides.items():
            course.say(f"warming up: {name}")
            side(2, 4, 5000)
        for number, order in course.rounds(sizes.long_rounds, sides):
            for chats in sizes.chats:
                for name in order:
                    course.now(f"{name}, chats: {chats}", number, sizes.long_rounds)
                    seed = 6000 + 1000 * number + 100 * chats
                    speed = sides[name](chats, sizes.crowd_answer, seed)
                    found.add(name, speed, chats)
    measured.figures = found.figures()
    measured.requirements = _requirements(found, sizes.chats, SERVE_BATCHED in sides)
    measured.notes.append(f"chatapp, batched: `--concurrency {max(sizes.chats)}`")
    return measured


def _requirements(found: Rounds, chats: Sequence[int], has_serve: bool) -> list[Requirement]:
    one, many = min(chats), max(chats)
    together = found.values(BATCHED, many)
    required = [
        Requirement(
            f"speed of {many} chats at once, of one chat's ({kind})",
            ratios(together, found.values(name, one)),
            3.0,
            at_least=True,
        )
        for name, kind in {BATCHED: "batched too", CHATAPP: "not batched"}.items()
    ]
    if has_serve:
        required.append(
            Requirement(
                f"speed of {many} chats at once, of `transformers serve`'s with batching",
                ratios(together, found.values(SERVE_BATCHED, many)),
                0.95,
                at_least=True,
            )
        )
    return required


def _own_process(stack: ExitStack, course: Course, name: str, concurrency: int) -> Side:
    """chatapp with room for so many. Raises NotAnswered for a model that cannot be batched."""
    options = ModelOptions(
        str(course.folder), engine="transformers", dtype=course.dtype, concurrency=concurrency
    )
    course.say(f"loading the model for {name}")
    return stack.enter_context(closing(OwnProcess(options))).speed


def _server(stack: ExitStack, course: Course, name: str) -> Side:
    """A server that ends with the stack, and has answered once. Raises ServeFailed."""
    course.say(f"starting {name}")
    log = Path(stack.enter_context(TemporaryDirectory(prefix="chatapp-bench-"))) / "serve.log"
    flags = ("--device", str(course.engine._model.device), *FLAGS[name])
    served = stack.enter_context(serving(course.folder, course.dtype, log, *flags))
    with served.awake():
        served.answer(opening(0), 4)

    def speed(chats: int, tokens: int, seed: int) -> float:
        with served.awake():
            return speed_together(served.answer, chats, tokens, seed)

    return speed
