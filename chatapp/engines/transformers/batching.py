"""Batcher: several answers at once through transformers' continuous batching.

Batched requests share forward passes, so that eight chats cost little more time than one. In
exchange it keeps nothing from turn to turn, and what is rounded depends on who else is in the
batch. On GPUs it knows fewer settings (see BATCHED) and draws all random numbers from one stream
(a seed does not repeat a sampled answer). While it is at work the model's attention is switched,
so plain generation must wait for `paused()`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, PreTrainedModel

from chatapp.engines.line import HEARTBEAT
from chatapp.engines.transformers.choosing import Chooser, Choosers
from chatapp.engines.transformers.generation import sampling_config
from chatapp.engines.transformers.streaming import Cancelled, EventStreamer, StopText
from chatapp.errors import GenerationError
from chatapp.events import Finished, Reason
from chatapp.settings import GenerationSettings

BATCHED = frozenset(
    {"temperature", "top_p", "top_k", "do_sample", "max_new_tokens", "stop", "seed"}
)
"""The settings that a batched request can have for itself on a GPU; the rest must be neutral."""
CHOOSING = frozenset({"cpu", "mps"})
"""Devices where batches are computed one by one as they come: requests choose for themselves."""
PAGE = 32
"""Tokens in one block of the paged cache."""
TOKENS_PER_STEP = 512
"""Most tokens in one forward pass: prompts are read in chunks of at most that many."""


class Batcher:
    """Serves requests together; `generate` is called from one thread for each."""

    def __init__(self, model: PreTrainedModel, tokens: int, end_tokens: set[int]) -> None:
        """`tokens` of prompts and answers together may be held."""
        self._model = model
        self._end_tokens = end_tokens
        self._blocks = -(-tokens // PAGE)
        self._manager: Any = None
        self._choosers = Choosers() if model.device.type in CHOOSING else None
        self._numbers = count()
        self._heard: dict[str, SimpleQueue[Any]] = {}
        self._change = threading.Condition()
        self._active = 0
        self._paused = False

    def serves(self, settings: GenerationSettings) -> bool:
        """Whether batching honours these settings; what it lacks must be off."""
        if self._choosers is not None:
            return True
        return settings.differences(GenerationSettings()) <= BATCHED

    def generate(
        self, prompt: list[int], settings: GenerationSettings, streamer: EventStreamer
    ) -> Finished:
        """The whole answer to one prompt, into the streamer. Raises GenerationError."""
        try:
            with self._among_others(streamer):
                reason = self._stream(prompt, settings, streamer)
        except Cancelled:
            streamer.end()
            reason = "stopped"
        return streamer.finished(reason, len(prompt), settings.seed)

    @contextmanager
    def paused(self, streamer: EventStreamer) -> Iterator[None]:
        """Wait until nothing is batched, and have the model alone. Raises Cancelled."""
        with self._change:
            self._wait(lambda: not self._paused, streamer)
            self._paused = True
        try:
            with self._change:
                self._wait(lambda: self._active == 0, streamer)
                self.stop()
            yield
        finally:
            with self._change:
                self._paused = False
                self._change.notify_all()

    def stop(self) -> None:
        """End all batching and give the model its attention back."""
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.stop(block=True, hard_stop=True)

    @contextmanager
    def _among_others(self, streamer: EventStreamer) -> Iterator[None]:
        with self._change:
            self._wait(lambda: not self._paused, streamer)
            if self._manager is None or not self._manager.is_running():
                self._start()
            self._active += 1
        try:
            yield
        finally:
            with self._change:
                self._active -= 1
                self._change.notify_all()

    def _wait(self, until: Callable[[], bool], streamer: EventStreamer) -> None:
        while not until():
            if streamer.is_cancelled():
                raise Cancelled
            self._change.wait(HEARTBEAT)

    def _start(self) -> None:
        self.stop()  # what has ended by itself leaves the model's attention switched
        config = GenerationConfig(
            do_sample=self._choosers is None,
            eos_token_id=sorted(self._end_tokens) or -1,
            pad_token_id=next(iter(self._end_tokens), 0),
        )
        if self._choosers is None:
            # Each of these processors is there for all requests only if the manager's config needs
            # it; every request then has values of its own. Greedy is to choose from one token.
            config.update(temperature=0.5, top_k=50, top_p=0.5)
        batching = ContinuousBatchingConfig(
            page_size=PAGE,
            num_blocks=self._blocks,
            max_batch_tokens=TOKENS_PER_STEP,
            per_request_processors=self._choosers is None,
        )
        self._manager = self._model.init_continuous_batching(config, batching)
        if self._choosers is not None:
            self._manager.logit_processor = self._choosers.as_list()
        self._manager.start()
        threading.Thread(target=self._listen, args=[self._manager], daemon=True).start()

    def _listen(self, manager: Any) -> None:
        """Hands each result to the request it belongs to, until the manager has ended."""
        while manager.is_running():
            result = manager.get_result(timeout=HEARTBEAT)
            heard = self._heard.get(result.request_id) if result is not None else None
            if heard is not None:
                heard.put(result)

    def _stream(
        self, prompt: list[int], settings: GenerationSettings, streamer: EventStreamer
    ) -> Reason:
        manager, name = self._manager, f"chat-{next(self._numbers)}"
        heard = self._heard[name] = SimpleQueue()
        chooser = self._choose(name, prompt, settings)
        last = None
        streamer.put(torch.tensor([prompt]))
        try:
            manager.add_request(
                prompt,
                request_id=name,
                max_new_tokens=settings.max_new_tokens,
                streaming=True,
                **(self._sampling(settings) if chooser is None else {}),
            )
            while last is None or not last.is_finished():
                last = self._next(heard, manager, streamer)
                if chooser is not None and chooser.error is not None:
                    raise chooser.error
                for token in last.generated_tokens[len(streamer.answer) :]:
                    streamer.put(torch.tensor([token]))
        except StopText:
            return "stop"
        finally:
            del self._heard[name]
            if self._choosers is not None:
                del self._choosers.of[name]
            if last is None or not last.is_finished():
                manager.cancel_request(name)
        streamer.end()
        ended = bool(streamer.answer) and streamer.answer[-1] in self._end_tokens
        return "stop" if ended else "length"

    def _choose(self, name: str, prompt: list[int], settings: GenerationSettings) -> Chooser | None:
        """The request's chooser, where there are any."""
        if self._choosers is None:
            return None
        config = sampling_config(self._model, settings)
        chooser = Chooser(self._model, prompt, config, settings.seed)
        self._choosers.of[name] = chooser
        return chooser

    def _sampling(self, settings: GenerationSettings) -> dict[str, object]:
        """What transformers' own processors for each request are told."""
        return {
            "temperature": 1.0 if settings.greedy else settings.temperature,
            "top_k": 1 if settings.greedy else settings.top_k or self._model.config.vocab_size,
            "top_p": 1.0 if settings.greedy else settings.top_p,
        }

    def _next(self, heard: SimpleQueue[Any], manager: Any, streamer: EventStreamer) -> Any:
        """The next result of a request. Raises Cancelled, GenerationError."""
        while True:
            if streamer.is_cancelled():
                raise Cancelled
            try:
                result = heard.get(timeout=HEARTBEAT)
            except Empty:
                if not manager.is_running():
                    raise GenerationError(
                        "generation-failed", cause="the batching of requests has ended"
                    ) from None
                continue
            if result.error is not None:
                raise GenerationError("generation-failed", cause=result.error)
            return result
