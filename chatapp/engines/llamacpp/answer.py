"""One answer being heard: llama.cpp's chunks become events, its errors ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from chatapp.engines.relay import Relay
from chatapp.errors import ContextOverflow, GenerationError
from chatapp.events import Finished, Progress, Reason, ReasoningDelta, TextDelta, Timings, Usage
from chatapp.settings import GenerationSettings


class Answer:
    """Translates the chunks of one answer into events for the relay."""

    def __init__(
        self,
        settings: GenerationSettings,
        relay: Relay,
        begin: float,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self.relay = relay
        self._settings = settings
        self._begin = begin
        self._is_cancelled = is_cancelled
        self._first: float | None = None
        self._usage = Usage(0, 0)
        self._reason: str | None = None  # llama.cpp's words: stop, length
        self._error: Mapping[str, Any] | None = None

    def hear(self, chunk: Mapping[str, Any]) -> bool:
        """Called by llama.cpp with each chunk; returns whether to stop."""
        self._error = chunk.get("error")
        if (reading := chunk.get("prompt_progress")) is not None:
            self.relay.put(Progress("reading", reading["processed"], reading["total"]))
        if (counted := chunk.get("timings")) is not None:
            self._usage = Usage(
                prompt_tokens=counted["cache_n"] + counted["prompt_n"],
                completion_tokens=counted["predicted_n"],
                cached_tokens=counted["cache_n"],
            )
        for choice in chunk.get("choices", ()):
            self._reason = choice["finish_reason"] or self._reason
            self._say(ReasoningDelta, choice["delta"].get("reasoning_content"))
            self._say(TextDelta, choice["delta"].get("content"))
        return self._is_cancelled()

    def _say(self, kind: type[ReasoningDelta] | type[TextDelta], text: str | None) -> None:
        if text:
            if self._first is None:
                self._first = time.monotonic() - self._begin
            self.relay.put(kind(text))

    def conclude(self) -> Finished:
        """The end, once llama.cpp has returned. Raises GenerationError if it failed."""
        if self._error is not None:
            raise translate(self._error)
        if self._reason is None and not self._is_cancelled():
            raise GenerationError("generation-failed", cause="llama.cpp ended without a reason")
        return self.finished(self._reason or "stopped")

    def finished(self, reason: str) -> Finished:
        timings = Timings(self._first, time.monotonic() - self._begin)
        return Finished(cast("Reason", reason), self._usage, timings, self._settings.seed)


def translate(error: Mapping[str, Any]) -> GenerationError:
    """Our error for one of the server's."""
    if error.get("type") == "exceed_context_size_error":
        return ContextOverflow(
            "context-overflow", tokens=error["n_prompt_tokens"], context=error["n_ctx"]
        )
    message = str(error.get("message", "no reason given"))
    return GenerationError("generation-failed", cause=message)
