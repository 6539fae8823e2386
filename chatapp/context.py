"""What of a conversation fits into a model's context: what is sent, and how full it is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from chatapp.engines import Engine
from chatapp.errors import ContextOverflow
from chatapp.messages import Conversation, Message
from chatapp.settings import GenerationSettings

NEARLY_FULL = 0.8
"""The share of the context from which a conversation should rather be shortened."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The messages to send, how many of the oldest turns they lack, and the room for an answer."""

    messages: list[Message]
    turns_left_out: int
    room: int | None
    """Tokens left for the answer; None where the context is unknown."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """How much of the context the conversation takes, and what its next question will cost it."""

    used: int
    """Tokens of all that would be sent with the next question, the question aside."""
    context: int | None
    """None: unknown."""
    turns_left_out: int
    """How many of the oldest turns the next question will leave out."""

    @property
    def share(self) -> float | None:
        """`used` of `context`; None where that is unknown."""
        return self.used / self.context if self.context else None

    @property
    def is_nearly_full(self) -> bool:
        """Whether it is time to think of `compact`."""
        return self.turns_left_out > 0 or (self.share or 0) >= NEARLY_FULL


def outlook(engine: Engine, conversation: Conversation, settings: GenerationSettings) -> Outlook:
    """What the next question will find; to be asked between answers."""
    messages = conversation.prompt(Message("user"))
    used = engine.count_tokens(messages)
    try:
        left_out = fit(engine, messages, settings).turns_left_out
    except ContextOverflow:  # the system prompt alone is too long
        left_out = conversation.turn
    return Outlook(used, engine.context_length, left_out)


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
