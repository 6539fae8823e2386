"""Weights in 8 or 4 bits: bitsandbytes at load time, or as a checkpoint brings them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, BitsAndBytesConfig, PreTrainedConfig

from chatapp.engines.transformers.boundary import require_packages
from chatapp.errors import LoadError

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "gptq": ("optimum", "gptqmodel"),
    "awq": ("gptqmodel",),
    "compressed-tensors": ("compressed_tensors",),
    "bitsandbytes": ("bitsandbytes",),
    "hqq": ("hqq",),
    "quanto": ("optimum.quanto",),
    "torchao": ("torchao",),
}
"""What a checkpoint's `quant_method` needs (transformers, quantizers/)."""

NOISY = ("bitsandbytes.autograd._functions", "bitsandbytes.backends.cpu.ops")
"""bitsandbytes' loggers with the notes below."""
NOTES = ("MatMul8bitLt: inputs will be cast", "Failed to load CPU gemm_4bit_forward")
"""Said at every product: int8 goes through float16. And that a kernel is not fetched from a hub."""


def quantization(asked: str, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """How bitsandbytes shall load the weights: int8, or nf4 whose scales are quantised again.

    Sources: LLM.int8() (Dettmers et al. 2022), QLoRA (Dettmers et al. 2023).
    Raises LoadError where bitsandbytes is missing.
    """
    if asked == "none":
        return None
    require_packages("--quantize", ["bitsandbytes"])
    if asked == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def method_of(config: PreTrainedConfig) -> str | None:
    """How a checkpoint is quantised already: gptq, awq, ...; None: it is not."""
    found: Any = getattr(config, "quantization_config", None)
    if found is None:
        return None
    return str(found.get("quant_method") if isinstance(found, Mapping) else found.quant_method)


def check_quantised(config: PreTrainedConfig, asked: str, name: str) -> None:
    """Raises LoadError for quantising twice, and where a checkpoint's library is missing."""
    method = method_of(config)
    if method is None:
        # A recurrent layer multiplies with its bare weights, which bitsandbytes has packed.
        if asked != "none" and is_recurrent(config):
            raise LoadError("quantize-recurrent", name=name, kind=config.model_type.capitalize())
        return
    if asked != "none":
        raise LoadError("quantized-already", name=name, method=method)
    require_packages(f"{name} ({method})", LIBRARIES.get(method, ()))


def hush() -> None:
    """Keep bitsandbytes' notes off the screen; PEFT imports it too."""
    for logger in NOISY:
        logging.getLogger(logger).addFilter(_is_no_note)


def is_recurrent(config: PreTrainedConfig) -> bool:
    """Whether a model keeps a state of its own kind (Mamba) and no keys and values."""
    model = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    return model is not None and "past_key_values" not in signature(model.forward).parameters


def _is_no_note(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(NOTES)
