"""Waiting for the first words as a conversation grows; a conversation about a document."""

from __future__ import annotations

import time

from chatapp.messages import Message
from tests.bench.contenders import ANCESTOR, CHATAPP, UNCACHED
from tests.bench.course import Course
from tests.bench.texts import question, story
from tests.bench.values import Measure, Requirement, Rounds, ratios

SEEN = 6
"""Tokens of an answer that is asked for only to see its first words."""


def over_turns(course: Course) -> Measure:
    """Seconds to the first words at some turns of one conversation of short questions."""
    sizes, found = course.sizes, Rounds()
    shown = sorted({1, 2, sizes.turns, *range(5, sizes.turns, 5)})
    tokens: dict[int, int] = {}
    for number in range(sizes.long_rounds):
        messages = [Message("user", f"{number}. {story(course.engine, 80, seed=500 + number)}")]
        for turn in range(1, sizes.turns + 1):
            course.now(f"turn {turn} of {sizes.turns}", number, sizes.long_rounds)
            answered = course.contenders[CHATAPP](messages, sizes.turn_answer)
            if turn in shown:
                tokens.setdefault(turn, course.engine.count_tokens(messages))
                found.add(CHATAPP, answered.first_text, tokens[turn])
                for name in (UNCACHED, ANCESTOR):
                    waited = course.contenders[name](messages, SEEN).first_text
                    found.add(name, waited, tokens[turn])
            messages += [Message("assistant", answered.text), Message("user", question(turn))]
    first, last = tokens[2], tokens[sizes.turns]
    return Measure(
        "turns",
        f"Time to the first words, turn 1 to {sizes.turns} of a conversation",
        "s",
        axis="tokens of the conversation",
        figures=found.figures(),
        requirements=[
            Requirement(
                f"wait at turn {sizes.turns} ({last:,} tokens), of turn 2's ({first:,} tokens)",
                ratios(found.values(CHATAPP, last), found.values(CHATAPP, first)),
                1.5,
                at_least=False,
            )
        ],
    )


def long_history(course: Course) -> Measure:
    """Seconds to the first words of the answer to a short question after a long history."""
    sizes, found = course.sizes, Rounds()
    for number, order in course.rounds(sizes.long_rounds, (CHATAPP, UNCACHED, ANCESTOR)):
        messages = [Message("user", story(course.engine, sizes.history, seed=1000 + number))]
        course.now("reading the history", number, sizes.long_rounds)
        answer = course.contenders[CHATAPP](messages, SEEN).text
        messages += [Message("assistant", answer), Message("user", question(number))]
        for name in order:
            course.now(name, number, sizes.long_rounds)
            found.add(name, course.contenders[name](messages, SEEN).first_text)
    return Measure(
        "history",
        f"Time to the first words, short question after {sizes.history:,} tokens",
        "s",
        figures=found.figures(),
        requirements=[
            Requirement(
                f"wait after {sizes.history:,} tokens of history, of the demos' way's",
                ratios(found.values(CHATAPP), found.values(ANCESTOR)),
                0.1,
                at_least=False,
            )
        ],
    )


def about_document(course: Course) -> Measure:
    """Seconds for a whole conversation about a document."""
    sizes, found = course.sizes, Rounds()
    for number, order in course.rounds(sizes.long_rounds, (CHATAPP, ANCESTOR)):
        document = story(course.engine, sizes.document, seed=2000 + number)
        for name in order:
            course.now(name, number, sizes.long_rounds)
            found.add(name, _converse(course, name, document))
    turns, answer = sizes.document_turns, sizes.document_answer
    return Measure(
        "document",
        f"{turns} turns about a document of {sizes.document:,} tokens, {answer} tokens an answer",
        "s",
        figures=found.figures(),
        requirements=[
            Requirement(
                f"wall time of {turns} turns about a document, of the demos' way's",
                ratios(found.values(CHATAPP), found.values(ANCESTOR)),
                0.6,
                at_least=False,
            )
        ],
    )


def _converse(course: Course, name: str, document: str) -> float:
    begin = time.perf_counter()
    messages = [Message("user", document)]
    for turn in range(course.sizes.document_turns):
        answered = course.contenders[name](messages, course.sizes.document_answer)
        messages += [Message("assistant", answered.text), Message("user", question(turn))]
    return time.perf_counter() - begin
