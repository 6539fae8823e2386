"""Getting a model into memory: device, number format, weights; and GGUF's converted copy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from chatapp.engines import ModelOptions, OnProgress
from chatapp.engines.adapters import Adapter, find_adapter
from chatapp.engines.device import free_memory
from chatapp.engines.transformers.boundary import explained, require_packages, weights_shown
from chatapp.engines.transformers.conversion import converted
from chatapp.engines.transformers.faster import (
    PLAIN,
    Way,
    check_apart,
    check_draft,
    check_guessing,
    other_cache,
)
from chatapp.engines.transformers.placement import choose_placement
from chatapp.engines.transformers.quantize import check_quantised, hush, method_of, quantization
from chatapp.errors import LoadError
from chatapp.hub import ModelFiles, Source
from chatapp.hub.files import PICKLED_KINDS
from chatapp.texts import Sentence

PREFIX_CACHE_SHARE = 4
"""The prefix cache takes at most one part in so many of the memory that is free."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, ready to answer."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    way: Way = PLAIN


def with_draft(
    loaded: LoadedModel, options: ModelOptions, files: ModelFiles, on_progress: OnProgress
) -> LoadedModel:
    """With the small model whose guesses this one checks. Raises LoadError."""
    plain = replace(options, draft_model=None, quantize="none", adapter=None)
    draft = load_model(files, plain, on_progress)
    check_guessing(options, draft.model, draft.name)
    check_draft(draft.tokenizer, loaded.tokenizer, draft.name)
    return replace(loaded, way=Way(draft=draft.model))


def load_model(files: ModelFiles, options: ModelOptions, on_progress: OnProgress) -> LoadedModel:
    """Load weights and tokenizer onto the chosen device. Raises LoadError."""
    transformers_logging.set_verbosity_error()
    hush()
    check_apart(options)
    way = other_cache(options)
    placement = choose_placement(options)
    if options.attn == "flash_attention_2":
        require_packages("--attn flash_attention_2", ["flash_attn"])
    how = quantization(options.quantize, placement.dtype)
    folder = converted(files, placement.dtype, on_progress) if files.is_gguf else files.path
    adapter = find_adapter(options.adapter) if options.adapter else None
    with explained(files), weights_shown(on_progress, "loading"):
        check_trusted(folder, files.name, options.source)
        # Said, not left out: asked nothing, transformers would ask the person at the terminal.
        trust: dict[str, Any] = {
            "local_files_only": True,
            "trust_remote_code": options.source.trust_remote_code,
        }
        tokenizer = _tokenizer(folder, adapter, **trust)
        config = AutoConfig.from_pretrained(folder, **trust)
        check_quantised(config, options.quantize, files.name)
        model, loaded = AutoModelForCausalLM.from_pretrained(
            folder,
            **trust,
            output_loading_info=True,
            use_safetensors=None if options.source.allow_pickle else True,
            dtype=placement.dtype,
            device_map=placement.device_map,
            max_memory=placement.max_memory,
            attn_implementation=None if options.attn == "auto" else options.attn,
            # Given as None it would take away the checkpoint's own.
            **({} if how is None else {"quantization_config": how}),
        )
        check_whole(model, loaded["missing_keys"], files)
        check_guessing(options, model, files.name)
        if adapter is None:
            return LoadedModel(files.name, model.eval(), tokenizer, way)
        from chatapp.engines.transformers.adapter import attach  # PEFT takes its time

        merge = method_of(model.config) is None  # packed weights would lose by it
        model = attach(model, adapter, name=files.name, merge=merge)
    return LoadedModel(f"{files.name} + {adapter.name}", model, tokenizer, way)


def _tokenizer(folder: Path, adapter: Adapter | None, **trust: Any) -> PreTrainedTokenizerBase:
    """The model's tokenizer, or an adapter's own: it brings the template it was trained with."""
    if adapter is not None and (adapter.path / "tokenizer_config.json").is_file():
        folder = adapter.path
    tokenizer = AutoTokenizer.from_pretrained(folder, **trust)
    # Without its files, transformers makes an empty one up.
    if not any((folder / name).is_file() for name in tokenizer.vocab_files_names.values()):
        raise LoadError("tokenizer-missing", path=folder)
    return tokenizer


def check_trusted(folder: Path, name: str, source: Source) -> None:
    """Raises LoadError for a folder with pickled weights alone, where nobody allowed them."""
    kinds = {file.suffix for file in folder.glob("*") if file.is_file()}
    if not source.allow_pickle and ".safetensors" not in kinds and kinds & {*PICKLED_KINDS}:
        raise LoadError("model-only-pickled", name=name)


def check_whole(model: PreTrainedModel, missing: Collection[str], files: ModelFiles) -> None:
    """Raises LoadError where weights are missing: transformers would make them up."""
    lost = sorted({*missing} & {name for name, _ in model.named_parameters()})
    if lost:
        cause = Sentence("cause-weights-missing", {"weights": lost[0], "count": len(lost)})
        raise LoadError("model-broken", name=files.name, cause=cause, path=files.path)


def prefix_budget(options: ModelOptions, device: torch.device) -> int:
    """Bytes the prefix cache may take: what was asked for, else a share of what is free now."""
    if options.prefix_cache is not None:
        return options.prefix_cache
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    return free // PREFIX_CACHE_SHARE
