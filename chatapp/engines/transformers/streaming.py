"""Tokens -> events: transformers' TextIteratorStreamer with the faults of its kind mended.

It decodes with constant work per token and holds nothing back but incomplete characters (the
original waits for spaces and decodes everything again), carries errors to its reader, ends the
generation when it is cancelled or meets a stop text, and tells reasoning from answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Literal, TypeAlias

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from transformers import PreTrainedTokenizerBase, TextIteratorStreamer

from chatapp.engines.relay import Relay, read
from chatapp.events import (
    EventStream,
    Finished,
    Reason,
    ReasoningDelta,
    TextDelta,
    Timings,
    Usage,
)

OPEN_TAG, CLOSE_TAG = "<think>", "</think>"
Stage: TypeAlias = Literal["start", "reasoning", "between", "answer"]
"""Where in an answer a text stands; at the start it may yet become either."""


class Cancelled(Exception):
    """Raised inside generate(), at the next token, when nobody wants the answer any more."""


class StopText(Exception):
    """Raised inside generate() when the answer has come to one of its stop texts."""


class EventStreamer(TextIteratorStreamer):  # type: ignore[misc]  # transformers is untyped here
    """Receives tokens in the inference thread; `events()` yields what they mean in another."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        decoder: Tokenizer | None,
        *,
        stop: tuple[str, ...],
        stage: Stage,
        is_cancelled: Callable[[], bool],
        before: Sequence[int] = (),
    ) -> None:
        """`before`: tokens whose text stands just before the new one; some decoders drop the space
        of what they take for a beginning.
        """
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.text_queue: Relay = SimpleQueue()
        self.next_tokens_are_prompt: bool = True
        self.begin = time.monotonic()
        self.first_token: float | None = None
        self.answer: list[int] = []
        """The tokens of the answer so far."""
        self._decoder = decoder
        self._decode = DecodeStream(list(before), skip_special_tokens=True)
        self.token_cache = list(before)
        self.print_len = len(tokenizer.decode(self.token_cache, skip_special_tokens=True))
        self._undecoded: list[int] = []
        self._cut = StopCutter(stop)
        self._split = ReasoningSplitter(stage)
        self.is_cancelled = is_cancelled

    def events(self) -> EventStream:
        """What the inference thread says, until it has finished or failed."""
        return read(self.text_queue)

    def finished(self, reason: Reason, prompt_tokens: int, seed: int, cached: int = 0) -> Finished:
        """The last event; `cached` of the prompt's tokens were not read again."""
        usage = Usage(prompt_tokens, len(self.answer), cached)
        timings = Timings(self.first_token, time.monotonic() - self.begin)
        return Finished(reason, usage, timings, seed)

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt (once), then new tokens. Raises Cancelled or StopText to end it all."""
        if self.next_tokens_are_prompt:
            self.next_tokens_are_prompt = False
            return
        if self.is_cancelled():
            raise Cancelled
        if self.first_token is None:
            self.first_token = time.monotonic() - self.begin
        new = value.flatten().tolist()
        self.answer += new
        if self._decoder is None:  # a tokenizer without a fast backend: the original's way
            super().put(value)
            return
        for token in new:
            self._undecoded.append(token)
            text = self._decode.step(self._decoder, token)
            if text is not None:
                self._undecoded.clear()
                self.on_finalized_text(text)

    def end(self) -> None:
        """Say what was held back: called by generate() when it ends of itself.

        But for an incomplete character at the end: it is written whole where the answer goes on.
        """
        if self._decoder is None:
            super().end()
        else:
            rest = self.tokenizer.decode(self._undecoded, skip_special_tokens=True)
            if self.tokenizer.encode(rest, add_special_tokens=False) != self._undecoded:
                rest = rest.rstrip("\ufffd")
            self.on_finalized_text(rest, stream_end=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Pass text on, up to a stop text. Raises StopText there."""
        text = self._cut.feed(text)
        if stream_end and not self._cut.met:
            text += self._cut.rest()
        for event in self._split.feed(text):
            self.text_queue.put(event)
        if stream_end or self._cut.met:
            for event in self._split.rest():
                self.text_queue.put(event)
        if self._cut.met and not stream_end:
            raise StopText


class StopCutter:
    """Lets text through up to the first stop text, holding back only what may become one."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = stop
        self._held = ""
        self.met = False

    def feed(self, text: str) -> str:
        """What may be shown of the text so far held back and this."""
        if not self._stop:
            return text
        text = self._held + text
        found = [index for stop in self._stop if (index := text.find(stop)) >= 0]
        if found:
            self.met, self._held = True, ""
            return text[: min(found)]
        held = max(_overlap(text, stop) for stop in self._stop)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """What was held back, once nothing more comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` with which `stop` begins."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if stop.startswith(text[-size:])), 0)


class ReasoningSplitter:
    """Tells the reasoning, which only ever comes first, from the answer, and drops the tags."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._held = ""

    def feed(self, text: str) -> list[ReasoningDelta | TextDelta]:
        """The events for some more text; part of it may be held back: it may become a tag."""
        self._held += text
        events: list[ReasoningDelta | TextDelta] = []
        if self._stage == "start":
            begun = self._held.lstrip()
            if len(begun) < len(OPEN_TAG) and OPEN_TAG.startswith(begun):
                return []
            self._stage = "reasoning" if begun.startswith(OPEN_TAG) else "answer"
            if self._stage == "reasoning":
                self._held = begun[len(OPEN_TAG) :]
        if self._stage == "reasoning":
            thought, closed, after = self._held.partition(CLOSE_TAG)
            keep = 0 if closed else _overlap(thought, CLOSE_TAG)
            shown = thought[: len(thought) - keep]
            if shown:
                events.append(ReasoningDelta(shown))
            self._held = after if closed else thought[len(shown) :]
            self._stage = "between" if closed else "reasoning"
        if self._stage == "between":  # the answer begins at its first visible character
            self._held = self._held.lstrip()
            self._stage = "answer" if self._held else "between"
        return events + self.rest() if self._stage == "answer" else events

    def rest(self) -> list[ReasoningDelta | TextDelta]:
        """What was held back, once nothing more comes."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [ReasoningDelta(held) if self._stage == "reasoning" else TextDelta(held)]
