"""How the next token of each batched request is chosen: as generate() chooses it alone.

transformers' continuous batching has one way to sample for all requests, and its processors that
differ by request sort the whole vocabulary for every one of them, greedy ones too. So the batch
itself is greedy, and one processor leaves each request's token as the only one to choose: by
generate()'s own processors for that request's settings, with random numbers of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    SuppressTokensLogitsProcessor,
    TopPLogitsWarper,
)
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.requests import FutureRequestState

from chatapp.engines.transformers.generation import FirstLogitsCheck
from chatapp.errors import GenerationError


class Chooser:
    """Chooses the tokens of one request. Used by the batch's thread alone, but for `error`."""

    def __init__(
        self, model: PreTrainedModel, prompt: list[int], config: GenerationConfig, seed: int
    ) -> None:
        self.error: GenerationError | None = None
        """Why there is no next token."""
        processors = model._get_logits_processor(
            config,
            input_ids_seq_length=len(prompt),
            logits_processor=LogitsProcessorList([FirstLogitsCheck()]),
        )
        self._processors = LogitsProcessorList(map(_quicker, processors))
        self._ids = torch.tensor([prompt], device=model.device)
        self._samples = bool(config.do_sample)
        self._random = torch.Generator(model.device).manual_seed(seed)

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """The next token (1, 1) for logits (1, vocabulary). Raises GenerationError."""
        scores = self._processors(self._ids, logits)
        if self._samples:
            shares = scores.softmax(dim=-1)
            token = torch.multinomial(shares, num_samples=1, generator=self._random)
        else:
            token = scores.argmax(dim=-1, keepdim=True)
        self._ids = torch.cat([self._ids, token], dim=-1)
        return token


class _AmongFew(LogitsProcessor):  # type: ignore[misc]
    """top-p without sorting what top-k has left out; the same tokens stay."""

    def __init__(self, original: TopPLogitsWarper) -> None:
        self._original = original

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        (kept,) = (scores[0] > -torch.inf).nonzero(as_tuple=True)
        return scores.index_copy(1, kept, self._original(input_ids, scores[:, kept]))


class _Suppressing(LogitsProcessor):  # type: ignore[misc]
    """Tokens never said, without a look at all the others."""

    def __init__(self, tokens: torch.Tensor) -> None:
        self._tokens = tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        # A tokenizer may name more tokens than its model has logits for: those are left alone, as
        # transformers' own processor leaves them.
        tokens = self._tokens[self._tokens < scores.shape[-1]]
        return scores.index_fill(1, tokens.to(scores.device), -torch.inf)


def _quicker(processor: LogitsProcessor) -> LogitsProcessor:
    """One that does the same to one request's logits (1, vocabulary) in less time, or itself."""
    if isinstance(processor, TopPLogitsWarper):
        return _AmongFew(processor)
    if isinstance(processor, SuppressTokensLogitsProcessor):
        return _Suppressing(processor.suppress_tokens)
    return processor


class Choosers(ContinuousBatchingLogitsProcessor):  # type: ignore[misc]  # untyped here
    """A processor for all requests of a batch, each with its chooser, by the request's name.

    It knows by the order of calls whose logits come next, which holds where batches are neither
    captured (CUDA graphs) nor prepared while another is computed.
    """

    supported_kwargs: Mapping[str, type] = MappingProxyType({})
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.of: dict[str, Chooser] = {}
        self._rows: list[Chooser | None] = []

    def as_list(self) -> ContinuousBatchingLogitsProcessorList:
        """This alone, as a manager of batches takes it."""
        processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([self]))
        processors.tensors_required = 1  # each processor of its kind is given one, used or not
        return processors

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """Nothing is kept in tensors."""

    def prepare_tensor_args(
        self, requests_with_new_token: list[FutureRequestState]
    ) -> torch.Tensor:
        """Note whose logits come next, in the order of their rows."""
        self._rows = [self.of.get(each.state.request_id) for each in requests_with_new_token]
        return torch.empty(0, dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """Logits (requests, vocabulary), in which only the chosen tokens are left."""
        for row, chooser in enumerate(self._rows):
            if chooser is None or chooser.error is not None:  # nobody waits for it any more
                continue
            try:
                token = chooser.choose(scores[row : row + 1])
            except GenerationError as error:
                chooser.error = error
                continue
            scores[row].fill_(-torch.inf)
            scores[row, token] = 0.0
        return scores
