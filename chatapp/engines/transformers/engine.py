"""TransformersEngine: one model, one inference thread, and streams of events from it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import torch
from transformers import PreTrainedModel

from chatapp.engines import split_answer
from chatapp.engines.device import process_memory
from chatapp.engines.line import Line
from chatapp.engines.relay import run
from chatapp.engines.transformers.batching import Batcher
from chatapp.engines.transformers.estimate import kv_bytes
from chatapp.engines.transformers.generation import SAMPLING, Generator, end_tokens
from chatapp.engines.transformers.loading import LoadedModel
from chatapp.engines.transformers.prompt import PromptEncoder
from chatapp.engines.transformers.streaming import Cancelled, EventStreamer
from chatapp.errors import LoadError
from chatapp.events import EventStream, Finished
from chatapp.messages import Message
from chatapp.settings import GenerationSettings
from chatapp.texts import Sentence

WORD_TOKENS = 8
"""Tokens of an answer, enough to decode the next one as going on with them."""


class TransformersEngine:
    """A model in transformers."""

    name = "transformers"
    supports = frozenset(SAMPLING) | {"stop", "seed"}

    def __init__(self, loaded: LoadedModel, *, cache_bytes: int, concurrency: int = 1) -> None:
        """`cache_bytes` for the keys and values of recent chats, and as many of batched ones."""
        self.model = loaded.name
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._encoder = PromptEncoder(loaded.tokenizer)
        # A copy: decoding while another thread encodes would trip over the tokenizer's lock.
        self._decoder = copy.deepcopy(getattr(loaded.tokenizer, "_tokenizer", None))
        self._generator = Generator(loaded.model, cache_bytes, loaded.way)
        self._line = Line(places=concurrency)
        self._thread = ThreadPoolExecutor(1, "inference")
        self.notices = self._encoder.notices
        self.defaults = self._generator.defaults
        self.context_length = _context_length(loaded.model)
        self._batcher: Batcher | None = None
        if concurrency > 1:
            self._batcher = self._batching(cache_bytes, concurrency)
            self._requests = ThreadPoolExecutor(concurrency, "request")
            self.notices.append(Sentence("notice-batching", {"concurrency": concurrency}))

    def details(self) -> Mapping[str, str]:
        device = self._model.device
        details = {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "memory": process_memory(),
        }
        if device.type == "cuda":
            held = sum(map(torch.cuda.memory_allocated, range(torch.cuda.device_count())))
            details["gpu memory"] = f"{held / 2**30:.2f} GiB"
        return details

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return len(self._encoder.encode(messages))

    def stream(
        self, messages: Sequence[Message], settings: GenerationSettings, cancel: threading.Event
    ) -> EventStream:
        prompt = self._encoder.encode(messages)
        with self._line.join(cancel) as request:
            streamer = EventStreamer(
                self._tokenizer,
                self._decoder,
                stop=settings.stop + self._encoder.stop,
                stage=self._encoder.stage(messages),
                is_cancelled=request.is_cancelled,
                before=prompt[-WORD_TOKENS:] if split_answer(messages)[1] else (),
            )
            yield from request
            if request.is_cancelled():
                yield streamer.finished("stopped", len(prompt), settings.seed)
                return
            workers = self._thread if self._batcher is None else self._requests
            workers.submit(
                run, streamer.text_queue, lambda: self._answer(prompt, settings, streamer)
            )
            yield from streamer.events()

    def _answer(
        self, prompt: list[int], settings: GenerationSettings, streamer: EventStreamer
    ) -> Finished:
        """Runs in a worker: batched where that honours the settings, else alone."""
        if self._batcher is None:
            return self._generator.generate(prompt, settings, streamer)
        if self._batcher.serves(settings):
            return self._batcher.generate(prompt, settings, streamer)
        try:
            with self._batcher.paused(streamer):
                alone = self._generator.generate
                return self._thread.submit(alone, prompt, settings, streamer).result()
        except Cancelled:
            return streamer.finished("stopped", len(prompt), settings.seed)

    def _batching(self, cache_bytes: int, concurrency: int) -> Batcher:
        """Raises LoadError for a model that cannot be batched."""
        token_bytes = kv_bytes(self._model.config.get_text_config(), self._model.dtype, tokens=1)
        if not (self._generator.keeps_prefixes and token_bytes and self.context_length):
            raise LoadError("concurrency-unsupported", name=self.model)
        tokens = min(concurrency * self.context_length, cache_bytes // token_bytes)
        tokens = max(tokens, self.context_length)  # one chat at least must fit
        return Batcher(self._model, tokens, end_tokens(self._model.generation_config))

    def close(self) -> None:
        self._line.close()
        if self._batcher is not None:
            self._requests.shutdown()
            self._batcher.stop()
        self._thread.shutdown()
        del self._model, self._generator


def _context_length(model: PreTrainedModel) -> int | None:
    """Positions the model was made for; None where it has no such limit (recurrent models)."""
    config = model.config.get_text_config()
    return cast("int | None", getattr(config, "max_position_embeddings", None))
