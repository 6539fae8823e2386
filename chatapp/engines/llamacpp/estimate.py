"""What a GGUF file will take in llama.cpp, from its header and its length."""

from __future__ import annotations

from math import prod

from chatapp import gguf
from chatapp.engines import ModelOptions, require
from chatapp.engines.fit import TOKENS, Fit, Footprint
from chatapp.engines.llamacpp.placement import choose_device
from chatapp.errors import LoadError
from chatapp.hub import ModelFiles
from chatapp.hub.files import parts
from chatapp.texts import Sentence

EMBEDDING = "token_embd.weight"
"""A row for each token of the vocabulary."""
FLOAT32 = 4
"""Bytes of a score."""
LEAST_CONTEXT = 2048
"""Tokens for which each chat gets room, however little memory is free."""
SLOTS = 4
"""How many chats are answered at once unless --concurrency says it."""


def estimate(files: ModelFiles, options: ModelOptions) -> Fit:
    """What a GGUF file takes: its length, and the scores of a chunk of the prompt for every token.

    The KV caches of all chats are taken at the start, LEAST_CONTEXT of each at least.
    Raises LoadError.
    """
    if not files.is_gguf:
        raise LoadError("llamacpp-needs-gguf", path=files.path)
    require("xllamacpp", engine="llamacpp", install="python -m pip install 'chatapp[llamacpp]'")
    import xllamacpp

    taken = xllamacpp.CommonParams()
    device, free = choose_device(taken, options, xllamacpp)
    try:
        header = gguf.read_header(files.path)
        shapes = [gguf.read_shapes(path) for path in parts(files.path)]
    except (OSError, ValueError) as error:
        cause = Sentence("cause-gguf-damaged")
        raise LoadError("model-broken", name=files.name, cause=cause, path=files.path) from error
    size = sum(path.stat().st_size for path in parts(files.path))
    vocabulary = max((part[EMBEDDING][-1] for part in shapes if EMBEDDING in part), default=0)
    scores = taken.n_ubatch * vocabulary * FLOAT32
    stored = Footprint("GGUF", "", size, size + scores)
    kv = (gguf.kv_bytes_per_token(header) or 0) * TOKENS
    parameters = sum(prod(shape) for part in shapes for shape in part.values())
    tokens = (options.concurrency or SLOTS) * LEAST_CONTEXT
    return Fit(files.name, parameters, (stored,), stored, kv, device, free, tokens=tokens)


def check_fits(files: ModelFiles, options: ModelOptions) -> None:
    """Raises LoadError for a file that cannot fit."""
    estimate(files, options).check()
