"""Who answers: chatapp's whole stack, bare generate(), and the demos chatapp descends from.

All run the same model object, greedily, and give exactly as many tokens as asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TextIteratorStreamer

from chatapp.chat import initial_settings, respond
from chatapp.engines.transformers import TransformersEngine
from chatapp.engines.transformers.loading import LoadedModel
from chatapp.events import ChatStream, Finished, TextDelta
from chatapp.messages import Conversation, Message

CHATAPP, UNCACHED, BARE, ANCESTOR = (
    "chatapp",
    "chatapp, prefix cache off",
    "bare generate()",
    "the demos' way",
)


@dataclass(frozen=True)
class Answered:
    """An answer; seconds from the request. Bare generate() shows nothing before its end."""

    text: str
    tokens: int
    first_text: float
    total: float

    @property
    def speed(self) -> float:
        """Tokens per second, prompt and all."""
        return self.tokens / self.total


Contender = Callable[[Sequence[Message], int], Answered]
"""Answers messages, the last of which is a question, with so many tokens."""


def without_cache(engine: TransformersEngine) -> TransformersEngine:
    """Another engine for the same model object, which keeps nothing from turn to turn."""
    loaded = LoadedModel(engine.model, engine._model, engine._tokenizer)
    return TransformersEngine(loaded, cache_bytes=0)


def contenders(engine: TransformersEngine, uncached: TransformersEngine) -> dict[str, Contender]:
    """All that share a model object."""
    return {
        CHATAPP: through(engine),
        UNCACHED: through(uncached),
        BARE: bare(engine),
        ANCESTOR: ancestor(engine),
    }


def through(engine: TransformersEngine) -> Contender:
    """respond(): fitting, prompt, line, inference thread, streamer, events."""

    def answer(messages: Sequence[Message], tokens: int) -> Answered:
        begin = time.perf_counter()
        first: float | None = None
        text = ""
        for event in asked(engine, messages, tokens, threading.Event()):
            if isinstance(event, TextDelta):
                first = first or time.perf_counter() - begin
                text += event.text
            elif isinstance(event, Finished):
                said = event.usage.completion_tokens
        total = time.perf_counter() - begin
        return Answered(text, said, first or total, total)

    return answer


def asked(
    engine: TransformersEngine, messages: Sequence[Message], tokens: int, cancel: threading.Event
) -> ChatStream:
    """The stream of an answer of so many tokens."""
    conversation = Conversation()
    last = conversation.root
    for message in messages:
        last = last.reply(Message(message.role, message.content))
    settings = initial_settings(engine, {"max_new_tokens": tokens, "do_sample": False})
    return respond(engine, conversation, settings, cancel)


def bare(engine: TransformersEngine) -> Contender:
    """model.generate() in this very thread, without a streamer: nothing can be quicker."""

    def answer(messages: Sequence[Message], tokens: int) -> Answered:
        begin = time.perf_counter()
        inputs = _inputs(engine, messages)
        output = engine._model.generate(**inputs, max_new_tokens=tokens)
        new = output[0, inputs["input_ids"].shape[1] :]
        text = engine._tokenizer.decode(new, skip_special_tokens=True)
        total = time.perf_counter() - begin
        return Answered(text, len(new), total, total)

    return answer


def ancestor(engine: TransformersEngine) -> Contender:
    """The Qwen2 demos: a new thread for each request, all of the history read each time, and
    transformers' own TextIteratorStreamer, which shows whole words.
    """

    def answer(messages: Sequence[Message], tokens: int) -> Answered:
        begin = time.perf_counter()
        streamer = TextIteratorStreamer(
            engine._tokenizer, skip_prompt=True, timeout=600.0, skip_special_tokens=True
        )
        options = {**_inputs(engine, messages), "max_new_tokens": tokens, "streamer": streamer}
        thread = threading.Thread(target=engine._model.generate, kwargs=options)
        thread.start()
        first: float | None = None
        text = ""
        for new in streamer:
            if new:
                first = first or time.perf_counter() - begin
            text += new
        total = time.perf_counter() - begin
        thread.join()
        return Answered(text, tokens, first or total, total)

    return answer


def _inputs(engine: TransformersEngine, messages: Sequence[Message]) -> dict[str, Any]:
    chat = [{"role": message.role, "content": message.content} for message in messages]
    rendered = engine._tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=False
    )
    inputs = engine._tokenizer([rendered], return_tensors="pt").to(engine._model.device)
    found: dict[str, torch.Tensor] = {
        name: inputs[name] for name in ("input_ids", "attention_mask")
    }
    return found
