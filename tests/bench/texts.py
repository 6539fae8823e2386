"""What the contenders are asked: made-up texts of a given length, another one for each seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from chatapp.engines import Engine
from chatapp.messages import Message

NOUNS = "harbour lantern winter orchard river letter captain garden bridge market".split()
VERBS = "crossed found kept painted sold followed measured forgot mended described".split()
PLACES = "beyond the hill|at the old mill|near the station|under the roof|by the sea".split("|")
ORDINARY = (
    "What is the capital of France, and what is it known for?",
    "Explain in simple words how a bicycle stays upright.",
    "Write a short poem about the sea in winter.",
    "What should I cook tonight with rice, eggs and tomatoes?",
    "Give me three ideas for a birthday present for my sister.",
)
"""What people ask; each of another kind."""
QUESTIONS = ("What happened next?", "Who was there?", "Where was it?", "Why?", "And then?")


def story(engine: Engine, tokens: int, seed: int) -> str:
    """The longest text (whole sentences) that makes a prompt of at most so many tokens."""
    generator = random.Random(seed)
    sentences: list[str] = []
    while _size(engine, sentences) <= tokens:
        sentences += [_sentence(generator) for _ in range(max(8, len(sentences)))]
    low, high = 0, len(sentences)  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        fits = _size(engine, sentences[:middle]) <= tokens
        low, high = (middle, high) if fits else (low, middle)
    return " ".join(sentences[:low])


def question(turn: int) -> str:
    return QUESTIONS[turn % len(QUESTIONS)]


def opening(seed: int) -> list[Message]:
    """A short first question; its beginning is unlike that of every other seed."""
    generator = random.Random(seed)
    about = " ".join(_sentence(generator) for _ in range(2))
    return [Message("user", f"{seed}. {about} Tell the story in detail.")]


def _size(engine: Engine, sentences: Sequence[str]) -> int:
    return engine.count_tokens([Message("user", " ".join(sentences))])


def _sentence(generator: random.Random) -> str:
    """About fifteen tokens."""
    noun, other = generator.sample(NOUNS, 2)
    return (
        f"In {generator.randint(1000, 2000)} the {noun} {generator.choice(VERBS)} "
        f"the {other} {generator.choice(PLACES)}."
    )
