"""Where the libraries' errors and progress bars become ours."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers.utils import logging as transformers_logging

from chatapp.engines import OnProgress
from chatapp.errors import LoadError
from chatapp.events import Progress, Stage
from chatapp.hub import ModelFiles

PIP_NAMES: Mapping[str, str] = {
    "compressed_tensors": "compressed-tensors",
    "flash_attn": "flash-attn",
    "optimum.quanto": "optimum-quanto",
}
"""Module -> package, where they differ."""


def require_packages(what: str, modules: Sequence[str]) -> None:
    """Raises LoadError naming the pip command for those that `what` needs and that are missing."""
    missing = [PIP_NAMES.get(module, module) for module in modules if not is_installed(module)]
    if missing:
        command = f"python -m pip install {' '.join(missing)}"
        raise LoadError("package-needed", what=what, package=", ".join(missing), command=command)


def is_installed(module: str) -> bool:
    """Whether a module can be imported, without doing so."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False


@contextmanager
def explained(files: ModelFiles) -> Iterator[None]:
    """The libraries' many errors as one LoadError that names the files."""
    try:
        yield
    except LoadError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise LoadError("model-too-large", name=files.name) from error
    except ImportError as error:
        raise LoadError("model-needs-package", name=files.name, cause=first_line(error)) from error
    except Exception as error:
        if "trust_remote_code=True" in str(error):
            raise LoadError("model-needs-code", name=files.name) from error
        cause = first_line(error)
        if "does not recognize this architecture" in cause:
            raise LoadError("architecture-unknown", name=files.name) from error
        path = _damaged(files.path) or files.path
        raise LoadError("model-broken", name=files.name, cause=cause, path=path) from error


def _damaged(folder: Path) -> Path | None:
    """The first safetensors file of a folder whose header does not fit what follows it."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt"):
                pass
        except (SafetensorError, OSError):
            return path
    return None


def first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


@contextmanager
def weights_shown(on_progress: OnProgress, stage: Stage) -> Iterator[None]:
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
