"""What an engine says while it answers: plain values, the stream both faces and the API read.

A stream is any number of `Progress`, `ReasoningDelta` and `TextDelta`, then exactly one
`Finished`; a failure is an exception of `chatapp.errors`, raised out of the iterator.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Stage = Literal["downloading", "loading", "converting", "queued", "reading", "writing"]
Reason = Literal["stop", "length", "stopped"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a slow step stands; repeated at least every 100 ms so that no reader is ever stuck.

    `done` and `total` count bytes (downloading), weights (loading, converting), prompt tokens
    (reading) or answer tokens (writing); while queued, `done` is the place in line, from 1.
    `total` is None where it is not known.
    """

    stage: Stage
    done: int = 0
    total: int | None = None
    files: tuple[int, int] | None = None
    """Of a download: how many files are here, and of how many."""
    rate: float | None = None
    """Of a download: bytes per second of late; None: not known yet."""


@dataclass(frozen=True, slots=True)
class TurnsLeftOut:
    """The oldest `count` turns do not fit into the context and are not sent; they stay stored."""

    count: int


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's reasoning, which comes before its answer."""

    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; `cached_tokens` of the prompt's were not read again."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds from the request: until the first token (None: there was none), and in all."""

    first_token: float | None
    total: float

    def tokens_per_second(self, tokens: int) -> float | None:
        """Decode speed: tokens after the first, over the time after the first; None if unknown."""
        if self.first_token is None or tokens < 2 or self.total <= self.first_token:
            return None
        return (tokens - 1) / (self.total - self.first_token)


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer: the model stopped, the length limit was met, or it was stopped."""

    reason: Reason
    usage: Usage
    timings: Timings = field(compare=False)
    seed: int


Event: TypeAlias = Progress | ReasoningDelta | TextDelta | Finished
ChatEvent: TypeAlias = Event | TurnsLeftOut
EventStream: TypeAlias = Generator[Event, None, None]
ChatStream: TypeAlias = Generator[ChatEvent, None, None]
