"""TransformersEngine: one model, one inference thread, and streams of events from it."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import torch
from transformers import PreTrainedModel

from chatapp.engines.device import process_memory
from chatapp.engines.line import Line
from chatapp.engines.relay import run
from chatapp.engines.transformers.generation import SAMPLING, Generator
from chatapp.engines.transformers.loading import LoadedModel
from chatapp.engines.transformers.prompt import PromptEncoder
from chatapp.engines.transformers.streaming import OPEN_TAG, EventStreamer
from chatapp.events import EventStream, Finished, Timings, Usage
from chatapp.messages import Message
from chatapp.settings import GenerationSettings


class TransformersEngine:
    """A model in transformers."""

    name = "transformers"
    supports = frozenset(SAMPLING) | {"stop", "seed"}

    def __init__(self, loaded: LoadedModel, prefix_budget: int) -> None:
        self.model = loaded.name
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._encoder = PromptEncoder(loaded.tokenizer)
        # A copy: decoding while another thread encodes would trip over the tokenizer's lock.
        self._decoder = copy.deepcopy(getattr(loaded.tokenizer, "_tokenizer", None))
        self._reasons_at_once = self._encoder.opens_reasoning(OPEN_TAG)
        self._generator = Generator(loaded.model, prefix_budget)
        self._line = Line(places=1)
        self._thread = ThreadPoolExecutor(1, "inference")
        self.notices = self._encoder.notices
        self.defaults = self._generator.defaults
        self.context_length = _context_length(loaded.model)

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
                reasoning=self._reasons_at_once,
                is_cancelled=request.is_cancelled,
            )
            yield from request
            if request.is_cancelled():
                timings = Timings(None, time.monotonic() - streamer.begin)
                yield Finished("stopped", Usage(len(prompt), 0), timings, settings.seed)
                return
            self._thread.submit(
                run,
                streamer.text_queue,
                lambda: self._generator.generate(prompt, settings, streamer),
            )
            yield from streamer.events()

    def close(self) -> None:
        self._line.close()
        self._thread.shutdown()
        del self._model, self._generator


def _context_length(model: PreTrainedModel) -> int | None:
    """Positions the model was made for; None where it has no such limit (recurrent models)."""
    config = model.config.get_text_config()
    return cast("int | None", getattr(config, "max_position_embeddings", None))
