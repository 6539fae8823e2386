"""LoRA adapters on disk: where one is, and what it was made for. Reads their config alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chatapp.errors import LoadError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter as PEFT and LLaMA-Factory write it: a folder of the two files above."""

    path: Path
    name: str
    base: str | None
    """The model it changes, by path or hub's name, as its config says."""


def is_adapter(path: Path) -> bool:
    """Whether this is the folder of an adapter, and of no whole model."""
    return (path / CONFIG).is_file() and not (path / "config.json").is_file()


def find_adapter(name: str, download: Callable[[str], Path] = Path) -> Adapter:
    """The adapter in a folder, or of that name on a hub. Raises LoadError where it is none."""
    path = Path(os.path.expanduser(name))
    if not os.path.isdir(path):
        path = download(name)
    try:
        config = json.loads((path / CONFIG).read_bytes())
        kind, base = config["peft_type"], config.get("base_model_name_or_path")
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise LoadError("adapter-not-one", path=path, file=CONFIG) from error
    if kind != "LORA":
        raise LoadError("adapter-kind", path=path, kind=kind)
    if not (path / WEIGHTS).is_file():
        raise LoadError("adapter-not-one", path=path, file=WEIGHTS)
    return Adapter(path, path.resolve().name, base or None)
