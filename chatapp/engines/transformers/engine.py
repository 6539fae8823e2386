"""TransformersEngine: one model, one inference thread, generate() and a stream of its events."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from inspect import signature
from typing import Any, cast

import torch
from transformers import GenerationConfig, PreTrainedModel

from chatapp.engines.device import process_memory
from chatapp.engines.line import Line
from chatapp.engines.relay import run
from chatapp.engines.transformers.loading import LoadedModel
from chatapp.engines.transformers.prompt import PromptEncoder
from chatapp.engines.transformers.streaming import (
    OPEN_TAG,
    Cancelled,
    EventStreamer,
    StopText,
)
from chatapp.events import EventStream, Finished, Progress, Reason, Timings, Usage
from chatapp.messages import Message
from chatapp.settings import GenerationSettings, limits

PROMPT_CHUNK = 512
"""Prompt tokens read at a time: Stop and the progress wait for one such chunk."""

SAMPLING: tuple[str, ...] = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "do_sample",
    "max_new_tokens",
)
"""The settings that generate() knows by our names."""

LIBRARY_DEFAULTS: Mapping[str, object] = {"top_k": 50, "do_sample": False}
"""Where generate()'s own defaults differ from our neutral values (transformers 5)."""


class TransformersEngine:
    """A model in transformers."""

    name = "transformers"
    supports = frozenset(SAMPLING) | {"stop", "seed"}

    def __init__(self, loaded: LoadedModel) -> None:
        self.model = loaded.name
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._encoder = PromptEncoder(loaded.tokenizer)
        # A copy: decoding while another thread encodes would trip over the tokenizer's lock.
        self._decoder = copy.deepcopy(getattr(loaded.tokenizer, "_tokenizer", None))
        self._reasons_at_once = self._encoder.opens_reasoning(OPEN_TAG)
        # generate() splits a prompt only for models with this kind of cache: not for Mamba's.
        self._reads_in_chunks = "past_key_values" in signature(loaded.model.forward).parameters
        self._line = Line(places=1)
        self._thread = ThreadPoolExecutor(1, "inference")
        self._running: set[threading.Event] = set()
        self.notices = self._encoder.notices
        self.defaults = _defaults(loaded.model.generation_config)
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
        ended = threading.Event()  # closing the iterator must not set the caller's `cancel`
        prompt = self._encoder.encode(messages)
        streamer = EventStreamer(
            self._tokenizer,
            self._decoder,
            stop=settings.stop + self._encoder.stop,
            reasoning=self._reasons_at_once,
            is_cancelled=lambda: cancel.is_set() or ended.is_set(),
        )
        with self._line.join(cancel) as waiting:
            yield from waiting
            self._running.add(ended)
            try:
                self._thread.submit(
                    run, streamer.text_queue, lambda: self._generate(prompt, settings, streamer)
                )
                yield from streamer.events()
            finally:
                ended.set()
                self._running.discard(ended)

    def close(self) -> None:
        for ended in tuple(self._running):
            ended.set()
        self._thread.shutdown()
        del self._model

    def _generate(
        self, prompt: list[int], settings: GenerationSettings, streamer: EventStreamer
    ) -> Finished:
        """Runs in the inference thread: the whole answer to one prompt."""
        inputs = torch.tensor([prompt], device=self._model.device)
        chunked = self._reads_in_chunks and len(prompt) > PROMPT_CHUNK
        config = self._config(settings, chunked=chunked)
        reason: Reason = "stop"
        try:
            with _seeded(settings.seed, self._model.device), self._watched(streamer, len(prompt)):
                if streamer.is_cancelled():
                    raise Cancelled
                output = self._model.generate(
                    inputs,
                    attention_mask=torch.ones_like(inputs),
                    generation_config=config,
                    streamer=streamer,
                )
            if int(output[0, -1]) not in _end_tokens(config):
                reason = "length"
        except Cancelled:
            streamer.end()
            reason = "stopped"
        except StopText:
            pass
        usage = Usage(len(prompt), streamer.tokens)
        timings = Timings(streamer.first_token, time.monotonic() - streamer.begin)
        return Finished(reason, usage, timings, settings.seed)

    def _config(self, settings: GenerationSettings, *, chunked: bool) -> GenerationConfig:
        """The model's own generation config with our settings over it, every one explicit."""
        config = copy.deepcopy(self._model.generation_config)
        values = {name: getattr(settings, name) for name in SAMPLING}
        if settings.greedy:
            neutral = GenerationConfig()
            sampling = ("temperature", "top_p", "top_k", "min_p", "typical_p")
            values |= {name: getattr(neutral, name) for name in sampling} | {"do_sample": False}
        config.update(
            **values,
            max_length=None,
            prefill_chunk_size=PROMPT_CHUNK if chunked else None,
            pad_token_id=config.pad_token_id or next(iter(_end_tokens(config)), 0),
        )
        return config

    @contextmanager
    def _watched(self, streamer: EventStreamer, total: int) -> Iterator[None]:
        """Between the chunks of a prompt: report progress, and stop when cancelled."""
        done = 0

        def before_forward(module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            nonlocal done
            if streamer.is_cancelled():
                raise Cancelled
            if streamer.tokens == 0:
                streamer.text_queue.put(Progress("reading", done, total))
                ids = kwargs.get("input_ids")
                done += ids.shape[-1] if ids is not None else 0

        hook = self._model.register_forward_pre_hook(before_forward, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers from this seed inside, and the process's own undisturbed after."""
    devices = range(torch.cuda.device_count()) if device.type == "cuda" else ()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _end_tokens(config: GenerationConfig) -> set[int]:
    end = config.eos_token_id
    return set(end) if isinstance(end, list) else set() if end is None else {end}


def _defaults(config: GenerationConfig) -> GenerationSettings:
    """The model's own recommendation, and generate()'s defaults where it makes none."""
    found: dict[str, object] = dict(LIBRARY_DEFAULTS)
    for name in SAMPLING:
        value = getattr(config, name, None)
        if value is not None:
            low, high = limits(name)
            inside = value if low is None or high is None else min(max(value, low), high)
            found[name] = type(value)(inside)
    return GenerationSettings().changed(found)


def _context_length(model: PreTrainedModel) -> int | None:
    """Positions the model was made for; None where it has no such limit (recurrent models)."""
    config = model.config.get_text_config()
    return cast("int | None", getattr(config, "max_position_embeddings", None))
