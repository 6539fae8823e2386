"""What `--prompt-lookup` costs in ordinary chat, and what it gains where an answer copies."""

from __future__ import annotations

from contextlib import ExitStack, closing

from chatapp.engines.transformers import TransformersEngine
from chatapp.engines.transformers.faster import Way
from chatapp.engines.transformers.loading import LoadedModel
from chatapp.messages import Message
from tests.bench.contenders import through
from tests.bench.course import Course
from tests.bench.texts import ORDINARY, story
from tests.bench.values import Measure, Rounds, ratios

CHAT, COPYING = "ordinary chat", "copying"


def measure(course: Course) -> Measure:
    """Tokens per second with so many tokens guessed, and without, in turns on the same work."""
    sizes, found = course.sizes, Rounds()
    with ExitStack() as stack:
        sides = {
            number: through(stack.enter_context(closing(_guessing(course.engine, number))))
            for number in (0, *sizes.lookup)
        }
        for number, order in course.rounds(sizes.rounds, sides):
            text = story(course.engine, sizes.copied, seed=7000 + number)
            works = {
                CHAT: ORDINARY[number % len(ORDINARY)],
                COPYING: f"Repeat this text word for word.\n\n{text}",
            }
            for work, asked in works.items():
                for guessed in order:
                    course.now(_named(work, guessed), number, sizes.rounds)
                    answered = sides[guessed]([Message("user", asked)], sizes.decode)
                    found.add(_named(work, guessed), answered.speed)
    measured = Measure(
        "lookup",
        f"Guessing from the prompt, answers of {sizes.decode} tokens",
        "tokens/s",
        figures=found.figures(),
    )
    for guessed in sizes.lookup:
        for work in (CHAT, COPYING):
            gains = ratios(found.values(_named(work, guessed)), found.values(_named(work, 0)))
            low, middle, high = min(gains), sorted(gains)[len(gains) // 2], max(gains)
            measured.notes.append(
                f"`--prompt-lookup {guessed}`, {work}: {middle:.2f} of the speed without "
                f"({low:.2f} to {high:.2f})"
            )
    return measured


def _guessing(engine: TransformersEngine, guessed: int) -> TransformersEngine:
    """Another engine for the same model object, which keeps nothing from turn to turn."""
    way = Way(lookup=guessed)
    loaded = LoadedModel(engine.model, engine._model, engine._tokenizer, way=way)
    return TransformersEngine(loaded, cache_bytes=0)


def _named(work: str, guessed: int) -> str:
    return f"{work}, --prompt-lookup {guessed}" if guessed else work
