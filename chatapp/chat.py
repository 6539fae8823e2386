"""The use cases: respond(), go_on() and compact(), each a stream of events.

Both faces and the API answer through here; nothing else talks to an engine.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TypeAlias

from chatapp.context import Fitted, fit
from chatapp.engines import Engine
from chatapp.errors import CommandError, ContextOverflow, GenerationError
from chatapp.events import ChatStream, Finished, ReasoningDelta, TextDelta, TurnsLeftOut
from chatapp.messages import AnswerRecord, Conversation, Message
from chatapp.settings import GenerationSettings, check_supported, derive_seed

Keep: TypeAlias = Callable[[], None]
"""Stores what is new of the conversation; raises nothing."""

SECONDS_UNSTORED = 1.0
"""The longest that what was said is not stored yet."""
TURNS_KEPT = 2
"""The newest turns, which `compact` leaves as they are."""
SUMMARY_SHARE = 0.2
"""The most of the context that a summary may take."""
SUM_UP = (
    "Sum up our conversation so far, for yourself, so that you can go on with it without reading "
    "it again. Keep names, numbers, decisions, code and open questions. Write in the language of "
    "the conversation, as briefly as you can, and write nothing but the summary."
)


def initial_settings(engine: Engine, changes: Mapping[str, object]) -> GenerationSettings:
    """The model's recommended settings with a person's changes. Raises SettingError."""
    return change_settings(engine, engine.defaults, changes)


def change_settings(
    engine: Engine, settings: GenerationSettings, changes: Mapping[str, object]
) -> GenerationSettings:
    """All changes, or none. Raises SettingError for a bad one, or one the engine lacks."""
    changed = settings.changed(changes)
    check_supported(changes, engine.supports, engine.name)
    return changed


def respond(
    engine: Engine,
    conversation: Conversation,
    settings: GenerationSettings,
    cancel: threading.Event,
    *,
    seed: int | None = None,
    keep: Keep = lambda: None,
) -> ChatStream:
    """Answer the last question, growing the answer inside the conversation while it streams.

    Where the question has an answer already, this makes another version of it, with a seed of its
    own; `seed` replays a given one. What was shown is kept: an answer that is stopped or fails
    stays as far as it came, and one that never began leaves the conversation as it was.
    Raises ContextOverflow, GenerationError; ValueError without a question.
    """
    question = conversation.question
    if question is None:
        raise ValueError("there is no question to answer")
    if seed is None:
        seed = derive_seed(settings.seed, turn=conversation.turn, version=len(question.replies))
    earlier, messages = question.following, conversation.prompt()
    record = AnswerRecord(engine.name, engine.model, settings)
    answer = question.reply(Message("assistant", record=record))
    own = settings.model_copy(update={"seed": seed})
    try:
        for event in _stream(engine, answer, messages, own, cancel, keep):
            if isinstance(event, Finished):
                answer.record = replace(record, finished=event)
            yield event
    finally:
        answer.writing = False
        ended = answer.finished is not None and answer.finished.reason != "stopped"
        if not ended and not answer.said_something and not answer.replies:
            question.withdraw(answer, earlier)
        keep()


def go_on(
    engine: Engine,
    conversation: Conversation,
    settings: GenerationSettings,
    cancel: threading.Event,
    *,
    keep: Keep = lambda: None,
) -> ChatStream:
    """Write on at the last answer, in the same message; its figures become those of the whole.

    Raises ContextOverflow, GenerationError; ValueError where there is no answer.
    """
    answer = conversation.answer
    if answer is None:
        raise ValueError("there is no answer to go on with")
    before, begun = answer.record, len(answer.content) + len(answer.reasoning)
    earlier = before.finished if before else None
    base = earlier.seed if earlier else settings.seed
    seed = derive_seed(base, turn=conversation.turn, version=begun)
    record = before or AnswerRecord(engine.name, engine.model, settings)
    answer.record = replace(record, finished=None)
    own = settings.model_copy(update={"seed": seed})
    try:
        messages = [*conversation.prompt(), answer]
        for event in _stream(engine, answer, messages, own, cancel, keep):
            if isinstance(event, Finished):
                answer.record = replace(record, finished=_together(earlier, event))
            yield event
    finally:
        answer.writing = False
        if len(answer.content) + len(answer.reasoning) == begun and answer.finished is None:
            answer.record = before
        keep()


def _stream(
    engine: Engine,
    answer: Message,
    messages: Sequence[Message],
    settings: GenerationSettings,
    cancel: threading.Event,
    keep: Keep,
) -> ChatStream:
    """Ask the model, and let the answer grow; stored before it is asked, then each second."""
    answer.writing = True
    keep()
    kept_at = time.monotonic()
    fitted = fit(engine, messages, settings)
    if fitted.turns_left_out:
        yield TurnsLeftOut(fitted.turns_left_out)
    limit = min(settings.max_new_tokens, fitted.room or settings.max_new_tokens)
    own = settings.model_copy(update={"max_new_tokens": limit})
    spoken = False
    with closing(engine.stream(fitted.messages, own, cancel)) as events:
        for event in events:
            match event:
                case TextDelta(text):
                    answer.content += text
                case ReasoningDelta(text):
                    answer.reasoning += text
            first = not spoken and isinstance(event, (TextDelta, ReasoningDelta))
            if first or time.monotonic() - kept_at >= SECONDS_UNSTORED:
                keep()
                kept_at = time.monotonic()
            spoken = spoken or first
            yield event


def _together(earlier: Finished | None, later: Finished) -> Finished:
    """The end of an answer that was written in two parts."""
    if earlier is None:
        return later
    tokens = earlier.usage.completion_tokens + later.usage.completion_tokens
    return Finished(
        later.reason,
        replace(earlier.usage, completion_tokens=tokens),
        replace(earlier.timings, total=earlier.timings.total + later.timings.total),
        earlier.seed,
    )


def compact(
    engine: Engine,
    conversation: Conversation,
    settings: GenerationSettings,
    cancel: threading.Event,
    *,
    keep: Keep = lambda: None,
) -> ChatStream:
    """Have the model sum up the oldest turns; prompts hold the summary in their place from then.

    The turns stay in the conversation. What is too long to be summed up at once is summed up in
    parts, each summary with the one before; the stream is that of all of them. Stopped, it
    changes nothing but what parts were done. Raises GenerationError; CommandError where there
    is nothing to sum up.
    """
    asked = [message for message in conversation.path if message.role == "user"]
    begin = max((index for index, question in enumerate(asked) if question.summary), default=0)
    end = len(asked) - min(TURNS_KEPT, len(asked) - begin - 1)
    if not begin < end < len(asked):
        raise CommandError("compact-nothing")
    limit = min(settings.max_new_tokens, int((engine.context_length or 10_000) * SUMMARY_SHARE))
    seed = derive_seed(settings.seed, turn=conversation.turn, version=0)
    own = settings.model_copy(update={"max_new_tokens": max(1, limit), "seed": seed})
    while begin < end:
        begin, messages = _next_part(engine, conversation, asked[: end + 1], begin, own)
        summary, finished = "", None
        with closing(engine.stream(messages, own, cancel)) as events:
            for event in events:
                if isinstance(event, Finished):
                    finished = event
                    break
                if isinstance(event, TextDelta):
                    summary += event.text
                yield event
        if finished is not None and finished.reason != "stopped":
            if not summary.strip():
                raise GenerationError("compact-empty")
            asked[begin].summary = summary.strip()
            keep()
        if finished is not None and (finished.reason == "stopped" or begin == end):
            yield finished
            return


def _next_part(
    engine: Engine,
    conversation: Conversation,
    asked: Sequence[Message],
    begin: int,
    settings: GenerationSettings,
) -> tuple[int, list[Message]]:
    """The most turns from `begin` on that can be summed up at once: their end, and the prompt.

    Raises ContextOverflow where a single turn is too long.
    """

    def fitted(end: int) -> Fitted:
        messages = conversation.prompt(Message("user", SUM_UP), until=asked[end])
        return fit(engine, messages, settings)

    last = len(asked) - 1
    if not (whole := fitted(last)).turns_left_out:
        return last, whole.messages
    ends = range(begin + 1, last)
    found = bisect_left(ends, True, key=lambda end: fitted(end).turns_left_out > 0)
    if found == 0:
        tokens = engine.count_tokens(
            conversation.prompt(Message("user", SUM_UP), until=asked[begin + 1])
        )
        raise ContextOverflow("context-overflow", tokens=tokens, context=engine.context_length)
    end = ends[found - 1]
    return end, fitted(end).messages
