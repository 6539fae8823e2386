"""The quicker processors leave exactly the tokens that transformers' own leave."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from chatapp.engines.transformers.choosing import _quicker

VOCABULARY = 5000


@pytest.mark.parametrize("top_k", [1, 20, VOCABULARY])
@pytest.mark.parametrize("top_p", [0.01, 0.5, 0.95])
def test_the_same_tokens_stay_with_the_same_logits(top_k: int, top_p: float) -> None:
    originals = LogitsProcessorList(
        [
            SuppressTokensLogitsProcessor([3, 4, VOCABULARY - 1, VOCABULARY, VOCABULARY + 9]),
            TemperatureLogitsWarper(0.7),
            TopKLogitsWarper(top_k),
            TopPLogitsWarper(top_p),
        ]
    )
    quicker = LogitsProcessorList(map(_quicker, originals))
    ids = torch.tensor([[1, 2]])
    for seed in range(5):
        logits = torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3
        assert torch.equal(quicker(ids, logits.clone()), originals(ids, logits.clone()))
