"""Queries that are packed: the same numbers up to rounding, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from chatapp.engines.transformers.attention import packed_queries

GROUPED = ("qwen2", "llama", "glm", "mistral", "sliding")


def load(folder: Path, dtype: str = "bfloat16") -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    return model


def hooks(model: PreTrainedModel) -> int:
    return sum(len(module._forward_pre_hooks) for module in model.modules())


@torch.no_grad()
def logits(model: PreTrainedModel, *, packed: bool) -> torch.Tensor:
    """Of twenty tokens read one by one after forty, longer than the windows of some."""
    cache = DynamicCache(config=model.config)
    ids = torch.arange(60)[None] * 7 % 90
    with packed_queries(model) if packed else nullcontext():
        steps = [ids[:, :40], *ids[:, 40:].split(1, dim=1)]
        return torch.stack(
            [model(step, past_key_values=cache).logits[:, -1].float() for step in steps]
        )


@pytest.mark.parametrize("family", GROUPED)
def test_the_numbers_are_the_same_up_to_rounding(
    tiny_model: Callable[..., Path], family: str
) -> None:
    model = load(tiny_model(family))
    torch.testing.assert_close(
        logits(model, packed=True), logits(model, packed=False), atol=0.02, rtol=0.02
    )


def test_only_where_it_is_of_use_and_only_inside(tiny_model: Callable[..., Path]) -> None:
    for dtype, expected in {"bfloat16": 2, "float16": 2, "float32": 0}.items():
        model = load(tiny_model("llama"), dtype)
        with packed_queries(model):
            assert hooks(model) == expected
        assert hooks(model) == 0


def test_a_step_of_one_token_has_a_mask_and_others_have_theirs(
    tiny_model: Callable[..., Path],
) -> None:
    model, masks = load(tiny_model("llama")), []

    def note(module: object, args: object, kwargs: dict[str, object]) -> None:
        masks.append(kwargs["attention_mask"])

    with packed_queries(model):
        model.model.layers[0].self_attn.register_forward_pre_hook(note, with_kwargs=True)
        cache = DynamicCache(config=model.config)
        for tokens in (5, 1):
            model(torch.ones(1, tokens, dtype=torch.long), past_key_values=cache)
    assert masks[0] is None
    assert isinstance(masks[1], torch.Tensor)
    assert masks[1].shape == (1, 1, 1, 6)
    assert not masks[1].any()
