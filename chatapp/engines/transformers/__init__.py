"""Models in Hugging Face layout, and GGUF files by de-quantising, through transformers.

`loading` gets weights into memory, `prompt` turns messages into token ids, `streaming` turns
tokens into events, `engine` joins them around one inference thread. Importing this imports torch.
"""

from __future__ import annotations

from chatapp.engines import ModelOptions, OnProgress
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.engines.transformers.loading import load_model
from chatapp.hub import ModelFiles


def load(files: ModelFiles, options: ModelOptions, on_progress: OnProgress) -> TransformersEngine:
    """Load a model. Raises LoadError."""
    return TransformersEngine(load_model(files, options, on_progress))
