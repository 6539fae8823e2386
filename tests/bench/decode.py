"""Decode speed: tokens per second of one answer to a short question."""

from __future__ import annotations

from tests.bench.contenders import ANCESTOR, BARE, CHATAPP
from tests.bench.course import Course
from tests.bench.texts import opening
from tests.bench.values import Measure, Requirement, Rounds, ratios


def measure(course: Course) -> Measure:
    sizes, found = course.sizes, Rounds()
    names = (CHATAPP, BARE, ANCESTOR)
    for name in names:
        course.say(f"warming up: {name}")
        course.contenders[name](opening(0), 4)
    for number, order in course.rounds(sizes.rounds, names):
        for name in order:
            course.now(name, number, sizes.rounds)
            answered = course.contenders[name](opening(number + 1), sizes.decode)
            assert answered.tokens == sizes.decode
            found.add(name, answered.speed)
    return Measure(
        "decode",
        f"Speed of one answer of {sizes.decode} tokens",
        "tokens/s",
        figures=found.figures(),
        requirements=[
            Requirement(
                "speed through the whole stack, of bare `generate()`'s",
                ratios(found.values(CHATAPP), found.values(BARE)),
                0.97,
                at_least=True,
            )
        ],
    )
