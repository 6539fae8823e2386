"""The growing cache: transformers' own in all that can be seen of it, without the copies."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, DynamicCache, LlamaConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from chatapp.engines.transformers.growing_cache import ROOM, GrowingLayer, growing_cache
from chatapp.engines.transformers.prefix_cache import CachedPrefix
from tests.tiny_models import FAMILIES, build

HEADS, WIDTH = 2, 8


def states(tokens: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """New keys and values, of different widths as some models have them."""
    return torch.randn(batch, HEADS, tokens, WIDTH), torch.randn(batch, HEADS, tokens, WIDTH + 1)


@pytest.mark.parametrize("seed", range(20))
def test_it_holds_what_transformers_own_holds_whatever_is_done_to_it(seed: int) -> None:
    torch.manual_seed(seed)
    choices = random.Random(seed)
    ours, theirs = GrowingLayer(), DynamicLayer()
    for _ in range(60):
        done = choices.choice(("token", "token", "token", "chunk", "crop", "reorder", "reset"))
        held = theirs.get_seq_length()
        if done == "crop":
            number = -choices.randint(0, held)
            ours.crop(number)
            theirs.crop(number)
        elif done == "reorder":
            ours.reorder_cache(torch.tensor([0]))
            theirs.reorder_cache(torch.tensor([0]))
        elif done == "reset" and choices.random() < 0.2:
            ours.reset()
            theirs.reset()
        else:
            new = states(1 if done == "token" else choices.randint(2, 300))
            for one, other in zip(ours.update(*new), theirs.update(*new), strict=True):
                assert torch.equal(one, other)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(3) == theirs.get_mask_sizes(3)


def test_a_token_is_not_the_end_of_a_copy() -> None:
    layer = GrowingLayer()
    layer.update(*states(10))
    held = layer.keys.data_ptr()
    for _ in range(ROOM):
        layer.update(*states(1))
    assert layer.keys.data_ptr() == held
    layer.update(*states(1))
    assert layer.keys.data_ptr() != held, "there is no room for more"


def test_what_is_copied_does_not_change_with_what_it_was_copied_from() -> None:
    config = LlamaConfig(num_hidden_layers=2)
    prefix = CachedPrefix(growing_cache(config), list(range(20)), [(0, 20)])
    for index in range(2):
        prefix.cache.update(*states(20), index)
    copied = prefix.copied(12, config)
    before = copied.cache.layers[1].keys.clone()
    prefix.crop(0)
    prefix.cache.update(*states(20), 1)
    assert torch.equal(copied.cache.layers[1].keys, before)


def test_the_room_is_counted_and_so_is_what_was_cropped() -> None:
    config = LlamaConfig(num_hidden_layers=1)
    prefix = CachedPrefix(growing_cache(config), list(range(100)))
    assert prefix.size == 0
    prefix.cache.update(*states(100), 0)
    whole = (100 + ROOM) * HEADS * (WIDTH + WIDTH + 1) * 4
    assert prefix.size == whole
    prefix.crop(10)
    assert prefix.size == whole, "the buffers are still there"


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_only_layers_of_full_attention_are_replaced(family: str, tmp_path: Path) -> None:
    config = AutoConfig.from_pretrained(build(family, tmp_path))
    pairs = zip(growing_cache(config).layers, DynamicCache(config=config).layers, strict=True)
    for ours, theirs in pairs:
        expected = GrowingLayer if type(theirs) is DynamicLayer else type(theirs)
        assert type(ours) is expected
        assert getattr(ours, "sliding_window", 0) == getattr(theirs, "sliding_window", 0)
    if family == "sliding":
        assert any(
            type(layer) is DynamicSlidingWindowLayer for layer in growing_cache(config).layers
        )
