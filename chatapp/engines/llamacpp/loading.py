"""Starting llama.cpp's server with a GGUF file, in this process."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from chatapp import gguf
from chatapp.engines import ModelOptions, OnProgress, require
from chatapp.engines.llamacpp.engine import LlamaCppEngine
from chatapp.engines.llamacpp.estimate import LEAST_CONTEXT, SLOTS, check_fits
from chatapp.engines.llamacpp.placement import choose_device
from chatapp.errors import LoadError
from chatapp.events import Progress
from chatapp.hub import ModelFiles
from chatapp.hub.files import parts
from chatapp.texts import Sentence

PROMPT_CACHE_MIB = 1024


def load(files: ModelFiles, options: ModelOptions, on_progress: OnProgress) -> LlamaCppEngine:
    """Load a GGUF file. Raises LoadError."""
    if not files.is_gguf:
        raise LoadError("llamacpp-needs-gguf", path=files.path)
    require("xllamacpp", engine="llamacpp", install="python -m pip install 'chatapp[llamacpp]'")
    import xllamacpp

    on_progress(Progress("loading"))
    key = secrets.token_urlsafe(32)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(files.path)
    parameters.model_alias = {files.name}
    parameters.api_keys = [key]
    places = options.concurrency or SLOTS
    parameters.n_parallel = places
    # Each chat its own cache: in a shared one they change each other's rounding, so that no seed
    # would give the same text twice, and together they can fill it up.
    parameters.kv_unified = False
    parameters.cache_ram_mib = PROMPT_CACHE_MIB
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.verbosity = -1
    device, free = choose_device(parameters, options, xllamacpp)
    try:
        check_fits(files, options)
        header = gguf.read_header(files.path)
        parameters.n_ctx = places * _context(header, files, free, places)
        server = xllamacpp.Server(parameters)
    except (OSError, ValueError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else Sentence("cause-gguf-damaged")
        raise LoadError("model-broken", name=files.name, cause=cause, path=files.path) from error
    return LlamaCppEngine(server, key, files, header, device=device, places=places)


def _context(header: Mapping[str, object], files: ModelFiles, free: int, places: int) -> int:
    """The context of each chat in tokens: what the model was trained with, if memory allows.

    The caches may take half of what is free (bytes) beside the weights; 0 leaves it to llama.cpp.
    """
    trained = gguf.context_length(header)
    token_bytes = gguf.kv_bytes_per_token(header)
    if trained is None or token_bytes is None:
        return 0
    room = max(0, free - sum(path.stat().st_size for path in parts(files.path))) // 2
    return min(trained, max(LEAST_CONTEXT, room // (places * token_bytes)))
