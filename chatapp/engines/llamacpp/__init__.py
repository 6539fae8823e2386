"""GGUF files through llama.cpp: xllamacpp's in-process server, with its slots and prompt cache.

`loading` starts the server, on a device that `placement` chooses, `estimate` says what it takes,
`answer` turns its chunks into events, `engine` joins them. xllamacpp is imported where it is used.
"""

from __future__ import annotations

from chatapp.engines.llamacpp.engine import LlamaCppEngine
from chatapp.engines.llamacpp.estimate import check_fits, estimate
from chatapp.engines.llamacpp.loading import load

__all__ = ["LlamaCppEngine", "check_fits", "estimate", "load"]
