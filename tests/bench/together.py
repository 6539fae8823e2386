"""How quickly several people are answered who ask at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from chatapp.messages import Message
from tests.bench.texts import opening

Ask: TypeAlias = Callable[[Sequence[Message], int], int]
"""Answers messages with so many tokens; gives how many there were. Called from threads."""


def speed_together(ask: Ask, chats: int, tokens: int, seed: int) -> float:
    """Tokens per second, from the first request to the end of the last answer."""
    questions = [opening(seed + number) for number in range(chats)]
    with ThreadPoolExecutor(chats) as people:
        begin = time.perf_counter()
        said = sum(people.map(ask, questions, [tokens] * chats))
        return said / (time.perf_counter() - begin)
