"""respond(): the one use case, and fit(), which decides what of a conversation is sent.

Both faces and the API answer through here; nothing else talks to an engine.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from chatapp.engines import Engine
from chatapp.errors import ContextOverflow
from chatapp.events import ChatStream, Finished, ReasoningDelta, TextDelta, TurnsLeftOut
from chatapp.messages import AnswerRecord, Conversation, Message
from chatapp.settings import GenerationSettings, check_supported, derive_seed


@dataclass(frozen=True, slots=True)
class Fitted:
    """The messages to send, how many of the oldest turns they lack, and the room for an answer."""

    messages: list[Message]
    turns_left_out: int
    room: int | None
    """Tokens left for the answer; None where the context is unknown."""


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
    earlier = question.following
    record = AnswerRecord(engine.name, engine.model, settings)
    answer = question.reply(Message("assistant", record=record))
    finished = False
    try:
        fitted = fit(engine, conversation.prompt(), settings)
        if fitted.turns_left_out:
            yield TurnsLeftOut(fitted.turns_left_out)
        limit = min(settings.max_new_tokens, fitted.room or settings.max_new_tokens)
        own = settings.model_copy(update={"seed": seed, "max_new_tokens": limit})
        with closing(engine.stream(fitted.messages, own, cancel)) as events:
            for event in events:
                match event:
                    case TextDelta(text):
                        answer.content += text
                    case ReasoningDelta(text):
                        answer.reasoning += text
                    case Finished(reason):
                        answer.record = replace(record, finished=event)
                        finished = reason != "stopped"
                yield event
    finally:
        if not finished and not answer.said_something and not answer.replies:
            question.withdraw(answer, earlier)


def fit(engine: Engine, messages: Sequence[Message], settings: GenerationSettings) -> Fitted:
    """Leave out the fewest whole turns, oldest first, so that prompt and answer fit the context.

    The system prompt and the last question always stay. An answer is given the room it may need
    (`max_new_tokens`), but history is not given up for more than a quarter of the context.
    Raises ContextOverflow when the last question alone does not fit.
    """
    context = engine.context_length
    if context is None:
        return Fitted(list(messages), 0, None)
    system = [message for message in messages[:1] if message.role == "system"]
    rest = messages[len(system) :]
    starts = [index for index, message in enumerate(rest) if message.role == "user"]
    reserve = min(settings.max_new_tokens, max(1, context // 4))

    sizes: dict[int, int] = {}

    def without(turns: int) -> list[Message]:
        return [*system, *rest[starts[turns] :]]

    def fits(turns: int) -> bool:
        sizes[turns] = engine.count_tokens(without(turns))
        return sizes[turns] + reserve <= context

    last = len(starts) - 1
    left_out = 0 if fits(0) else bisect_left(range(last), True, min(1, last), key=fits)
    sent = without(left_out)
    size = sizes[left_out] if left_out in sizes else engine.count_tokens(sent)
    if size >= context:
        raise ContextOverflow("context-overflow", tokens=size, context=context)
    return Fitted(sent, left_out, context - size)
