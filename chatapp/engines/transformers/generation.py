"""What the inference thread does: generate() from a prompt, on top of what is still cached."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any

import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
)
from transformers.modeling_layers import GradientCheckpointingLayer

from chatapp.engines.transformers.attention import packed_queries
from chatapp.engines.transformers.faster import PLAIN, Way
from chatapp.engines.transformers.prefix_cache import CachedPrefix, PrefixCache
from chatapp.engines.transformers.streaming import Cancelled, EventStreamer, StopText
from chatapp.errors import GenerationError
from chatapp.events import Finished, Progress, Reason
from chatapp.settings import SAMPLING as WARPERS
from chatapp.settings import GenerationSettings, limits

PROMPT_CHUNK = 512
"""Prompt tokens read at a time, and told; Stop waits for one layer only."""

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


class Generator:
    """A model and its prefix cache. All but `defaults` belongs to one thread."""

    def __init__(self, model: PreTrainedModel, prefix_budget: int, way: Way = PLAIN) -> None:
        self._model = model
        self._way = way
        # Models with another kind of cache (Mamba's) read their prompt in one go, each time.
        self.keeps_prefixes = "past_key_values" in signature(model.forward).parameters
        self.keeps_prefixes = self.keeps_prefixes and way.keeps_prefixes(model.config)
        self._prefixes = PrefixCache(prefix_budget, model.config)
        # What a layer of recurrent states has read cannot be taken back: there Stop waits.
        can_break_off = self.keeps_prefixes and DynamicCache(config=model.config).is_croppable
        self._layers = [
            module
            for module in model.modules()
            if can_break_off and isinstance(module, GradientCheckpointingLayer)
        ]
        self.defaults = _defaults(model.generation_config)

    def generate(
        self, prompt: list[int], settings: GenerationSettings, streamer: EventStreamer
    ) -> Finished:
        """The whole answer to one prompt, into the streamer."""
        prefix = self._prefixes.take(prompt) if self.keeps_prefixes else None
        reused = len(prefix.ids) if prefix else 0
        try:
            reason = self._generate(prompt, prefix, settings, streamer)
        except (MemoryError, torch.OutOfMemoryError):
            if not len(self._prefixes) or streamer.answer:
                raise
            reason = None
        if reason is None:  # out of memory: what is cached goes before anything fails
            self._prefixes.clear()
            torch.cuda.empty_cache()
            streamer.next_tokens_are_prompt = True
            return self.generate(prompt, settings, streamer)
        if prefix is not None and prefix.even_out():
            if self._way.guesses:  # some of it is guesses, up to the last token's place
                prefix.forget_after(len(prompt) + len(streamer.answer) - 1)
            prefix.grown(prompt, streamer.answer, PROMPT_CHUNK)
            self._prefixes.put(prefix)
        return streamer.finished(reason, len(prompt), settings.seed, reused)

    def _generate(
        self,
        prompt: list[int],
        prefix: CachedPrefix | None,
        settings: GenerationSettings,
        streamer: EventStreamer,
    ) -> Reason:
        inputs = torch.tensor([prompt], device=self._model.device)
        config = self._config(settings)
        cached = {"past_key_values": prefix.cache} if prefix else {}
        reused = len(prefix.ids) if prefix else 0
        try:
            with (
                _seeded(settings.seed, self._model.device),
                self._watched(streamer, prompt, reused),
                packed_queries(self._model),
                ExitStack() as ahead,
            ):
                if streamer.is_cancelled():
                    raise Cancelled
                if prefix and self._way.guesses:
                    self._read(inputs, prefix)
                    ahead.enter_context(self._sliced(prefix))
                output = self._model.generate(
                    inputs,
                    attention_mask=torch.ones_like(inputs),
                    generation_config=config,
                    streamer=streamer,
                    logits_processor=LogitsProcessorList([FirstLogitsCheck()]),
                    assistant_model=self._way.draft,
                    **cached,
                )
        except Cancelled:
            streamer.end()
            return "stopped"
        except StopText:
            return "stop"
        return "stop" if int(output[0, -1]) in end_tokens(config) else "length"

    @torch.no_grad()
    def _read(self, inputs: torch.Tensor, prefix: CachedPrefix) -> None:
        """Read a prompt's whole chunks: assisted generation would read it in one go."""
        chunks = range(len(prefix.ids), inputs.shape[1] - PROMPT_CHUNK, PROMPT_CHUNK)
        for begin in chunks:
            chunk = inputs[:, begin : begin + PROMPT_CHUNK]
            self._model(input_ids=chunk, past_key_values=prefix.cache, use_cache=True)

    @contextmanager
    def _sliced(self, prefix: CachedPrefix) -> Iterator[None]:
        """Leave what is cached out of the next input: assisted generation (transformers 5.23)
        gives the whole prompt to its first step, on top of the cache.
        """

        def slice_once(module: object, args: object, kwargs: dict[str, Any]) -> Any:
            hook.remove()
            held = prefix.cache.get_seq_length()
            names = [name for name in ("input_ids", "position_ids") if name in kwargs]
            whole = kwargs["input_ids"].shape[-1]
            new = {name: kwargs[name] for name in names if kwargs[name] is not None}
            return args, kwargs | {
                name: ids[..., held:] if ids.shape[-1] == whole else ids
                for name, ids in new.items()
            }

        hook = self._model.register_forward_pre_hook(slice_once, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def _config(self, settings: GenerationSettings) -> GenerationConfig:
        config = sampling_config(self._model, settings)
        config.update(
            **self._way.settings(),
            max_length=None,
            prefill_chunk_size=PROMPT_CHUNK if self.keeps_prefixes else None,
            pad_token_id=config.pad_token_id or next(iter(end_tokens(config)), 0),
        )
        return config

    @contextmanager
    def _watched(self, streamer: EventStreamer, prompt: list[int], done: int) -> Iterator[None]:
        """While a prompt is read: report progress for each chunk, look at each layer for Stop."""

        def before_layer(*_: object) -> None:
            if streamer.is_cancelled():
                raise Cancelled

        def before_forward(module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            nonlocal done
            if streamer.is_cancelled():
                raise Cancelled
            if streamer.answer:
                reading.close()
                return
            streamer.text_queue.put(Progress("reading", done, len(prompt)))
            ids = kwargs.get("input_ids")
            done += ids.shape[-1] if ids is not None else 0

        with ExitStack() as reading:
            for layer in self._layers:
                reading.callback(layer.register_forward_pre_hook(before_layer).remove)
            hook = self._model.register_forward_pre_hook(before_forward, with_kwargs=True)
            try:
                yield
            finally:
                hook.remove()


class FirstLogitsCheck(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped here
    """Refuses to choose the first token from what are no numbers: greedy search would."""

    def __init__(self) -> None:
        self._checked = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Raises GenerationError."""
        if not self._checked and bool(scores.isnan().any()):
            raise GenerationError("not-a-number")
        self._checked = True
        return scores


def sampling_config(model: PreTrainedModel, settings: GenerationSettings) -> GenerationConfig:
    """The model's own generation config with our settings over it, every one explicit."""
    config = copy.deepcopy(model.generation_config)
    values = {name: getattr(settings, name) for name in SAMPLING}
    if settings.greedy:
        neutral = GenerationConfig()
        values |= {name: getattr(neutral, name) for name in WARPERS} | {"do_sample": False}
    config.update(**values)
    return config


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers from this seed inside, and the process's own undisturbed after."""
    devices = range(torch.cuda.device_count()) if device.type == "cuda" else ()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def end_tokens(config: GenerationConfig) -> set[int]:
    """The tokens that end an answer."""
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
