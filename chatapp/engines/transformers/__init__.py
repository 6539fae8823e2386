"""Models in Hugging Face layout, and GGUF files by de-quantising, through transformers.

`loading` gets weights into memory, `prompt` turns messages into token ids, `streaming` turns
tokens into events, `generation` and `prefix_cache` are what the inference thread does and keeps,
`batching` answers several at once, `engine` joins them. Importing this imports torch.
"""

from __future__ import annotations

from chatapp import hub
from chatapp.engines import ModelOptions, OnProgress
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.engines.transformers.estimate import check_fits, estimate
from chatapp.engines.transformers.loading import load_model, prefix_budget, with_draft
from chatapp.hub import ModelFiles

__all__ = ["check_fits", "estimate", "load"]


def load(files: ModelFiles, options: ModelOptions, on_progress: OnProgress) -> TransformersEngine:
    """Load a model. Raises LoadError, before any weight is read where it cannot fit."""
    check_fits(files, options)
    loaded = load_model(files, options, on_progress)
    if options.draft_model is not None:
        draft = hub.find(options.draft_model, on_progress, options.source)
        loaded = with_draft(loaded, options, draft, on_progress)
    return TransformersEngine(
        loaded,
        cache_bytes=prefix_budget(options, loaded.model.device),
        concurrency=options.concurrency or 1,
    )
