"""An engine that says what it is told: for tests, demos and screenshots. It needs no model.

Unscripted, it answers with words drawn by the answer's seed, so that seeds, lengths and stops
show as they do with a model. An answer that is to go on is found among the scripts by its text.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chatapp.engines import ModelOptions, OnProgress, split_answer
from chatapp.engines.line import HEARTBEAT, Line, Request
from chatapp.events import (
    EventStream,
    Finished,
    Progress,
    Reason,
    ReasoningDelta,
    TextDelta,
    Timings,
    Usage,
)
from chatapp.hub import ModelFiles
from chatapp.messages import Message
from chatapp.settings import SETTING_NAMES, GenerationSettings
from chatapp.texts import Sentence

WORDS = tuple("the model streams its answer word by word and each of them has a place".split())


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: its pieces (a `str` counts as one token), the pace, and how it fails, if so."""

    pieces: Sequence[str | ReasoningDelta]
    seconds_per_token: float = 0.0
    seconds_reading: float = 0.0
    error: BaseException | None = None
    """Raised after the last piece instead of finishing."""


class ScriptedEngine:
    """Says the scripts in turn, then makes words up."""

    name = "scripted"
    model = "scripted"
    supports = frozenset(SETTING_NAMES)
    notices: Sequence[Sentence] = ()

    def __init__(
        self,
        scripts: Iterable[Script] = (),
        *,
        context_length: int | None = 4096,
        places: int = 1,
        seconds_per_token: float = 0.0,
    ) -> None:
        self.defaults = GenerationSettings(max_new_tokens=256)
        self.context_length = context_length
        self.prompts: list[list[Message]] = []
        """What it was sent, for tests to look at."""
        self.tokens = 0
        """How many tokens it has said in all, for tests of stopping."""
        self._scripts = list(scripts)
        self._said: list[Script] = []
        self._seconds_per_token = seconds_per_token
        self._line = Line(places)

    def details(self) -> Mapping[str, str]:
        return {"device": "none", "dtype": "none"}

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Words of all messages, and one more each, as a template would add."""
        _, answer = split_answer(messages)
        thought = answer.reasoning.split() if answer else ()
        return sum(len(message.content.split()) + 1 for message in messages) + len(thought)

    def stream(
        self, messages: Sequence[Message], settings: GenerationSettings, cancel: threading.Event
    ) -> EventStream:
        begin = time.monotonic()
        first: float | None = None
        said = 0
        reason: Reason = "stop"
        self.prompts.append(list(messages))
        prompt_tokens = self.count_tokens(messages)
        with self._line.join(cancel) as request:
            yield from request
            script = Script(()) if request.is_cancelled() else self._next(messages, settings)
            reading = Progress("reading", prompt_tokens, prompt_tokens)
            yield from _pause(script.seconds_reading, request, reading)
            for piece in script.pieces:
                writing = Progress("writing", said, settings.max_new_tokens)
                yield from _pause(script.seconds_per_token, request, writing)
                if request.is_cancelled() or said == settings.max_new_tokens:
                    reason = "length"
                    break
                if any(stop in str(piece) for stop in settings.stop):
                    break
                if first is None:
                    first = time.monotonic() - begin
                said += 1
                self.tokens += 1
                yield TextDelta(piece) if isinstance(piece, str) else piece
            else:
                if script.error is not None:
                    raise script.error
            if request.is_cancelled():
                reason = "stopped"
            timings = Timings(first, time.monotonic() - begin)
            yield Finished(reason, Usage(prompt_tokens, said), timings, settings.seed)

    def close(self) -> None:
        self._line.close()

    def _next(self, messages: Sequence[Message], settings: GenerationSettings) -> Script:
        """Where an answer is to go on: the rest of the script that began so, if there is one."""
        _, answer = split_answer(messages)
        if answer is not None:
            begun = (rest for said in reversed(self._said) if (rest := _rest(said, answer)))
            if (rest := next(begun, None)) is not None:
                return rest
        script = self._scripts.pop(0) if self._scripts else self._improvise(settings)
        self._said.append(script)
        return (_rest(script, answer) if answer else None) or script

    def _improvise(self, settings: GenerationSettings) -> Script:
        source = random.Random(0 if settings.greedy else settings.seed)
        words = source.choices(WORDS, k=source.randint(12, 40))
        return Script([word + " " for word in words], self._seconds_per_token)


def _rest(script: Script, answer: Message) -> Script | None:
    """The script from where the answer ends; None where it goes otherwise, or not on."""
    given = {TextDelta: answer.content, ReasoningDelta: answer.reasoning}
    left: list[str | ReasoningDelta] = []
    for piece in script.pieces:
        event = TextDelta(piece) if isinstance(piece, str) else piece
        said = given[type(event)][: len(event.text)]
        if not event.text.startswith(said):
            return None
        given[type(event)] = given[type(event)][len(said) :]
        if rest := event.text[len(said) :]:
            left.append(rest if isinstance(piece, str) else ReasoningDelta(rest))
    return replace(script, pieces=left) if left and not any(given.values()) else None


def _pause(seconds: float, request: Request, progress: Progress) -> Iterator[Progress]:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not request.is_cancelled():
        time.sleep(min(left, HEARTBEAT / 5))
        yield progress


def load(files: ModelFiles, options: ModelOptions, on_progress: OnProgress) -> ScriptedEngine:
    """Nothing to load; says slowly enough to be watched."""
    on_progress(Progress("loading", 1, 1))
    return ScriptedEngine(seconds_per_token=0.03)
