"""Getting a model into memory: device, number format, weights; and GGUF's converted copy."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from chatapp.engines import ModelOptions, OnProgress
from chatapp.engines.device import free_memory
from chatapp.errors import LoadError
from chatapp.events import Progress, Stage
from chatapp.hub import ModelFiles
from chatapp.paths import cache_dir
from chatapp.texts import Sentence

PREFIX_CACHE_SHARE = 4
"""The prefix cache takes at most one part in so many of the memory that is free."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, ready to answer."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_model(files: ModelFiles, options: ModelOptions, on_progress: OnProgress) -> LoadedModel:
    """Load weights and tokenizer onto the chosen device. Raises LoadError."""
    transformers_logging.set_verbosity_error()
    device = choose_device(options)
    dtype = choose_dtype(options.dtype, device)
    folder = _converted(files, dtype, on_progress) if files.is_gguf else files.path
    with _explained(files), _weights_shown(on_progress, "loading"):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # Without its files, transformers makes an empty one up.
        if not any((folder / name).is_file() for name in tokenizer.vocab_files_names.values()):
            raise LoadError("tokenizer-missing", path=folder)
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            device_map=_device_map(device, options),
        )
    return LoadedModel(files.name, model.eval(), tokenizer)


def choose_device(options: ModelOptions) -> torch.device:
    """Where the model runs. Raises LoadError for a GPU that is not there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if options.gpus != "auto" and not options.cpu_only:
        index = int(options.gpus)
        if index >= count:
            known: object = ", ".join(
                f"{number} ({torch.cuda.get_device_name(number)})" for number in range(count)
            )
            raise LoadError("gpu-missing", asked=index, known=known or Sentence("gpu-none"))
        return torch.device("cuda", index)
    if options.cpu_only:
        return torch.device("cpu")
    if count:
        return torch.device("cuda", 0)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_dtype(asked: str, device: torch.device) -> torch.dtype:
    """The number format asked for; `auto`: bfloat16 where the device computes in it."""
    if asked != "auto":
        return {
            "float32": torch.float32,
            "float16": torch.float16,
            "bfloat16": torch.bfloat16,
        }[asked]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    if device.type == "mps":
        return torch.float16
    has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_bfloat16 else torch.float32


def prefix_budget(options: ModelOptions, device: torch.device) -> int:
    """Bytes the prefix cache may take: what was asked for, else a share of what is free now."""
    if options.prefix_cache is not None:
        return options.prefix_cache
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    return free // PREFIX_CACHE_SHARE


def _device_map(device: torch.device, options: ModelOptions) -> object:
    """`auto` splits the layers over all GPUs (accelerate) where there are several."""
    if device.type == "cuda" and options.gpus == "auto" and torch.cuda.device_count() > 1:
        return "auto"
    return {"": device}


def _converted(files: ModelFiles, dtype: torch.dtype, on_progress: OnProgress) -> Path:
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
        with _explained(files), _weights_shown(on_progress, "converting"):
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


@contextmanager
def _explained(files: ModelFiles) -> Iterator[None]:
    """The libraries' many errors as one LoadError that names the files."""
    try:
        yield
    except LoadError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise LoadError("model-too-large", name=files.name) from error
    except ImportError as error:
        raise LoadError("model-needs-package", name=files.name, cause=_first_line(error)) from error
    except Exception as error:
        cause = _first_line(error)
        raise LoadError("model-broken", name=files.name, cause=cause, path=files.path) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


@contextmanager
def _weights_shown(on_progress: OnProgress, stage: Stage) -> Iterator[None]:
    """Report transformers' own progress bars as events, and keep them off the screen."""

    class Bar:
        """What transformers needs of a tqdm bar."""

        def __init__(self, iterable: Any, total: int | None) -> None:
            self._iterable = iterable
            self._total = total if total is not None else getattr(iterable, "__len__", int)()
            self._done = 0

        def __iter__(self) -> Iterator[Any]:
            for item in self._iterable:
                yield item
                self.update()

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def update(self, count: int = 1) -> None:
            self._done += count
            on_progress(Progress(stage, self._done, self._total or None))

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *args, **kwargs: None

    def hook(factory: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bar:
        iterable = args[0] if args else kwargs.get("iterable")
        return Bar(iterable, kwargs.get("total"))

    on_progress(Progress(stage))
    previous = transformers_logging.set_tqdm_hook(hook)
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(previous)
