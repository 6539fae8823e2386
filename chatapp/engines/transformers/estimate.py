"""What a model will take, from its config and its files' headers: no weight is read."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.quantizers.base import get_keys_to_not_convert

from chatapp import gguf
from chatapp.engines import ModelOptions
from chatapp.engines.device import free_memory
from chatapp.engines.fit import TOKENS, Fit, Footprint
from chatapp.engines.transformers.boundary import explained
from chatapp.engines.transformers.placement import Placement, choose_placement
from chatapp.engines.transformers.quantize import method_of
from chatapp.hub import ModelFiles
from chatapp.hub.files import is_weights, parts

SCALE_4BIT = 1 / 64 + 4 / (64 * 256)
"""Bytes of scales a weight: one of 8 bits for 64, and for 256 of those one of 32 (QLoRA, 2023)."""
SURE = 5
"""Files that fit so many times over need no closer look: at most they grow fourfold (int8 to
float32)."""


@dataclass(frozen=True, slots=True)
class Count:
    """The parameters of a model by what quantising does to them."""

    packed: int
    """In the products that bitsandbytes packs."""
    rows: int
    """Rows of those: int8 keeps a float32 scale for each."""
    rest: int
    buffers: int = 0
    """Bytes of what is no parameter and has a number format of its own."""

    @property
    def all(self) -> int:
        return self.packed + self.rest

    def footprints(self, dtype: torch.dtype) -> dict[str, Footprint]:
        """By number format; `dtype` is that of what is not packed."""
        half = "float16" if dtype == torch.float16 else "bfloat16"
        plain = self.rest * dtype.itemsize + self.buffers
        int8 = int(plain + self.packed + 4 * self.rows)
        int4 = int(plain + self.packed * (0.5 + SCALE_4BIT))
        full = self.all
        return {
            "float32": Footprint("fp32", "--dtype float32", full * 4, full * 4 + self.buffers),
            half: Footprint("fp16/bf16", f"--dtype {half}", full * 2, full * 2 + self.buffers),
            "8bit": Footprint("int8", "--quantize 8bit", full, int8),
            "4bit": Footprint("int4", "--quantize 4bit", full // 2, int4),
        }


def estimate(files: ModelFiles, options: ModelOptions) -> Fit:
    """The model in every number format, and what is free on the device. Raises LoadError."""
    placement = choose_placement(options)
    with explained(files):
        if files.is_gguf:
            return _of_gguf(files, options, placement)
        trust = options.source.trust_remote_code
        config = AutoConfig.from_pretrained(
            files.path, local_files_only=True, trust_remote_code=trust
        )
        count = count_parameters(config, trust)
        kv = kv_bytes(config.get_text_config(), placement.dtype)
        method = method_of(config)
    if method is None:
        return _fit(files, count, kv, options, placement)
    size = sum(map(_data_bytes, files.path.glob("*.safetensors")))
    stored = Footprint(method, "", size, size)
    return Fit(files.name, count.all, (stored,), stored, kv, *_room(placement))


def check_fits(files: ModelFiles, options: ModelOptions) -> None:
    """Raises LoadError, with the flag that would help, for a model that cannot fit."""
    paths = parts(files.path) if files.is_gguf else files.path.glob("*")
    size = sum(path.stat().st_size for path in paths if is_weights(path.name))
    if size * SURE > choose_placement(options).free:
        estimate(files, options).check()


def count_parameters(config: PreTrainedConfig, trust: bool = False) -> Count:
    """The parameters of a model of this config, built on torch's `meta` device: shapes alone."""
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)
    model.tie_weights()
    kept = set(get_keys_to_not_convert(model))
    packed = [
        module.weight
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name not in kept
    ]
    weights = sum(weight.numel() for weight in packed)
    every = sum(parameter.numel() for parameter in model.parameters())
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    return Count(weights, sum(len(weight) for weight in packed), every - weights, buffers)


def kv_bytes(config: PreTrainedConfig, dtype: torch.dtype, tokens: int = TOKENS) -> int:
    """Bytes of keys and values for so many tokens; a sliding window holds no more than itself."""
    queries = getattr(config, "num_attention_heads", None)
    if not queries:  # a recurrent state does not grow
        return 0
    heads = getattr(config, "num_key_value_heads", None) or queries
    width = getattr(config, "head_dim", None) or config.hidden_size // queries
    window = getattr(config, "sliding_window", None) or tokens
    usual = "full_attention" if window == tokens else "sliding_attention"
    kinds = getattr(config, "layer_types", None) or [usual] * config.num_hidden_layers
    held = {"full_attention": tokens, "sliding_attention": min(tokens, window)}
    token = heads * width * 2 * dtype.itemsize
    return int(token * sum(held.get(kind, 0) for kind in kinds))


def _fit(
    files: ModelFiles, count: Count, kv: int, options: ModelOptions, placement: Placement
) -> Fit:
    formats = count.footprints(placement.dtype)
    dtype = str(placement.dtype).removeprefix("torch.")
    chosen = formats[dtype if options.quantize == "none" else options.quantize]
    return Fit(files.name, count.all, tuple(formats.values()), chosen, kv, *_room(placement))


def _room(placement: Placement) -> tuple[str, int, int]:
    """The device's name, its free bytes, and those of GPU and main memory together."""
    together = placement.free + free_memory() if placement.gpus else 0
    return str(placement.device), placement.free, together


def _of_gguf(files: ModelFiles, options: ModelOptions, placement: Placement) -> Fit:
    """A GGUF file is de-quantised; its matrices but those of the vocabulary are packed again."""
    header, shapes = gguf.read_header(files.path), gguf.read_shapes(files.path)
    packed = [
        shape for name, shape in shapes.items() if name.startswith("blk.") and len(shape) == 2
    ]
    weights = sum(map(prod, packed))
    rest = sum(map(prod, shapes.values())) - weights
    count = Count(weights, sum(shape[1] for shape in packed), rest)
    kv = (gguf.kv_bytes_per_token(header) or 0) // gguf.KV_BYTES * placement.dtype.itemsize
    return _fit(files, count, kv * TOKENS, options, placement)


def _data_bytes(path: Path) -> int:
    """The bytes of all tensors in a safetensors file: what follows its header.

    Source: safetensors' format, eight bytes of the header's length and the header.
    """
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    return path.stat().st_size - 8 - header
