"""One question to an engine through `respond`, as both faces ask it."""

from __future__ import annotations

import threading
from typing import NamedTuple

from chatapp.chat import respond
from chatapp.engines import Engine
from chatapp.events import Finished, TextDelta
from chatapp.messages import Conversation
from chatapp.settings import GenerationSettings


class Answer(NamedTuple):
    """What was said, and how many tokens it took."""

    text: str
    completion: int
    finished: Finished


def ask(
    engine: Engine,
    question: str,
    settings: GenerationSettings,
    conversation: Conversation | None = None,
) -> Answer:
    """Ask in a conversation, or in a new one."""
    conversation = conversation if conversation is not None else Conversation("Be brief.")
    conversation.ask(question)
    events = list(respond(engine, conversation, settings, threading.Event()))
    finished = events[-1]
    assert isinstance(finished, Finished)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return Answer(text, finished.usage.completion_tokens, finished)
