"""The de-quantised copy of a GGUF file that transformers can load, kept for the next start."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from chatapp.engines import OnProgress
from chatapp.engines.transformers.boundary import explained, weights_shown
from chatapp.errors import LoadError
from chatapp.events import Progress
from chatapp.hub import ModelFiles
from chatapp.paths import cache_dir


def converted(files: ModelFiles, dtype: torch.dtype, on_progress: OnProgress) -> Path:
    """The folder with the de-quantised copy of a GGUF file, made when it is not there yet."""
    status = files.path.stat()
    identity = f"{files.path.resolve()}:{status.st_size}:{status.st_mtime_ns}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    kind = str(dtype).removeprefix("torch.")
    folder = cache_dir() / "converted" / f"{files.path.stem}-{kind}-{digest}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    on_progress(Progress("converting"))
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
    try:
        with explained(files), weights_shown(on_progress, "converting"):
            _convert(files, dtype, unfinished)
        os.replace(unfinished, folder)
    except OSError as error:
        if folder.is_dir():  # another chatapp was quicker
            return folder
        raise LoadError("conversion-not-saved", path=folder.parent, cause=error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _convert(files: ModelFiles, dtype: torch.dtype, folder: Path) -> None:
    source: dict[str, Any] = {"gguf_file": files.path.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(files.path.parent, **source)
    with redirect_stderr(io.StringIO()):  # its bar does not go through transformers' hook
        model = AutoModelForCausalLM.from_pretrained(files.path.parent, dtype=dtype, **source)
    # It is an ordinary model now, and saved as one.
    model.hf_quantizer = None
    del model.config.quantization_config
    model.generation_config.update(**files.recommended)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
