"""Several chats at once: tokens per second of all together, beside `transformers serve`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from chatapp.engines import ModelOptions
from chatapp.engines.transformers import TransformersEngine
from chatapp.errors import LoadError
from chatapp.messages import Message
from tests.bench.contenders import CHATAPP, through
from tests.bench.course import Course
from tests.bench.model import open_transformers
from tests.bench.serve import ServeFailed, serving
from tests.bench.texts import opening
from tests.bench.values import Measure, Requirement, Rounds, ratios

BATCHED = "chatapp, batched"
SERVE = "transformers serve"
SERVE_BATCHED = "transformers serve, batched"
FLAGS: Mapping[str, Sequence[str]] = {SERVE: (), SERVE_BATCHED: ("--continuous-batching",)}


@dataclass(frozen=True)
class Side:
    """One who answers several at once."""

    ask: Callable[[Sequence[Message], int], int]
    """Answers messages with so many tokens; gives how many there were. Called from threads."""
    awake: Callable[[], AbstractContextManager[None]] = nullcontext
    """It answers only inside of this, and takes no time of the machine outside."""


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
            sides = {CHATAPP: _side(course.engine), BATCHED: _batched(stack, course)}
        except LoadError as error:
            measured.notes.append(f"not measured: {error}")
            return measured
        for name in FLAGS if course.beside_serve else ():
            try:
                sides[name] = _server(stack, course, name)
            except ServeFailed as error:
                measured.notes.append(f"{name} is left out: {error}")
        for name, side in sides.items():
            course.say(f"warming up: {name}")
            _crowd(side, 2, 4, seed=5000)
        for number, order in course.rounds(sizes.long_rounds, sides):
            for chats in sizes.chats:
                for name in order:
                    course.now(f"{name}, chats: {chats}", number, sizes.long_rounds)
                    seed = 6000 + 1000 * number + 100 * chats
                    speed = _crowd(sides[name], chats, sizes.crowd_answer, seed)
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


def _crowd(side: Side, chats: int, tokens: int, seed: int) -> float:
    """Tokens per second, from the first request to the end of the last answer."""
    questions = [opening(seed + number) for number in range(chats)]
    with side.awake(), ThreadPoolExecutor(chats) as people:
        begin = time.perf_counter()
        said = sum(people.map(side.ask, questions, [tokens] * chats))
        return said / (time.perf_counter() - begin)


def _side(engine: TransformersEngine) -> Side:
    answer = through(engine)
    return Side(lambda messages, tokens: answer(messages, tokens).tokens)


def _batched(stack: ExitStack, course: Course) -> Side:
    """chatapp with room for all. Raises LoadError for a model that cannot be batched."""
    most = max(course.sizes.chats)
    options = ModelOptions(
        str(course.folder), engine="transformers", dtype=course.dtype, concurrency=most
    )
    course.say(f"loading the model for {BATCHED}")
    return _side(stack.enter_context(closing(open_transformers(options, lambda _: None))))


def _server(stack: ExitStack, course: Course, name: str) -> Side:
    """A server that ends with the stack, and has answered once. Raises ServeFailed."""
    course.say(f"starting {name}")
    log = Path(stack.enter_context(TemporaryDirectory(prefix="chatapp-bench-"))) / "serve.log"
    flags = ("--device", str(course.engine._model.device), *FLAGS[name])
    served = stack.enter_context(serving(course.folder, course.dtype, log, *flags))
    with served.awake():
        served.answer(opening(0), 4)
    return Side(served.answer, served.awake)
