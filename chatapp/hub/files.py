"""Which files of a model are needed: of a hub's repository, or of a folder on this disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from chatapp.errors import LoadError

USUAL_QUANTIZATION = "Q4_K_M"
"""What is taken of a GGUF repository where nobody chose: llama.cpp's own usual compromise."""
PART = re.compile(r"-(\d{5})-of-(\d{5})(?=\.gguf$)", re.IGNORECASE)
SMALL_KINDS = (".json", ".txt", ".model", ".jinja", ".tiktoken")
PICKLED_KINDS = (".bin", ".pt", ".pth")
CONFIGS = ("config.json", "adapter_config.json")
"""What stands beside the weights of a model, or of an adapter."""
NOT_ANSWERING = ("mmproj", "imatrix")
"""GGUF files that accompany a model and are none."""


def needed(
    files: Iterable[str], choice: str | None, name: str, *, allow_pickle: bool, with_code: bool
) -> list[str]:
    """The paths to download, weights last, so that a folder that has those is whole.

    `choice` picks one GGUF file by quantisation or name. Raises LoadError where there are
    several to choose from, or no weights that may be loaded.
    """
    files = sorted(files)
    top = [file for file in files if "/" not in file]
    weights = [file for file in top if file.endswith(".safetensors")]
    if choice is not None or not weights:
        models = gguf_models(files)
        if models or choice is not None:
            return chosen(models, choice, name)
    if any(file.startswith("model") for file in weights):  # Mistral's repositories have both
        weights = [file for file in weights if not file.startswith("consolidated")]
    pickled = [file for file in top if file.endswith(PICKLED_KINDS)]
    if not weights and pickled and not allow_pickle:
        raise LoadError("model-only-pickled", name=name)
    weights = weights or pickled
    if not weights:
        raise LoadError("model-without-weights", name=name)
    small = [
        file
        for file in files
        if (file in top and file.endswith(SMALL_KINDS))
        or (with_code and file.endswith(".py"))
        or file.startswith("additional_chat_templates/")
    ]
    return [*small, *weights]


def is_weights(file: str) -> bool:
    """Whether a file is of the large kind."""
    return file.lower().endswith((".gguf", ".safetensors", *PICKLED_KINDS))


def gguf_models(files: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """Name of a GGUF model (its path without part number and ending) -> its files in order."""
    models: dict[str, list[str]] = {}
    for file in sorted(files):
        if not file.lower().endswith(".gguf"):
            continue
        if not any(word in PurePosixPath(file).name.lower() for word in NOT_ANSWERING):
            models.setdefault(PART.sub("", file)[: -len(".gguf")], []).append(file)
    return models


def parts(path: Path) -> list[Path]:
    """The files of a GGUF model on this disk whose first is given."""
    found = PART.search(path.name)
    if found is None:
        return [path]
    every = [
        PART.sub(f"-{part:05}-of-{found[2]}", path.name) for part in range(1, int(found[2]) + 1)
    ]
    return [path.with_name(name) for name in every if path.with_name(name).is_file()]


def chosen(models: Mapping[str, Sequence[str]], choice: str | None, name: str) -> list[str]:
    """The files of the GGUF model that was chosen, of the usual one, or of the only one."""
    matching = _matching(models, choice or USUAL_QUANTIZATION)
    if choice is None and len(models) == 1:
        matching = list(models)
    if len(matching) == 1:
        return list(models[matching[0]])
    names = ", ".join(PurePosixPath(model).name for model in matching or models)
    if choice is None:
        first = PurePosixPath(next(iter(models))).name
        raise LoadError("gguf-which", name=name, names=names, example=f"{name}:{first}")
    if matching:
        raise LoadError("gguf-several", name=name, choice=choice, names=names)
    if models:
        raise LoadError("gguf-no-such", name=name, choice=choice, names=names)
    raise LoadError("gguf-none", name=name, choice=choice)


def _matching(models: Mapping[str, Sequence[str]], choice: str) -> list[str]:
    """A whole file's name first, else the quantisation as a word of the name."""
    asked = PART.sub("", choice).lower().removesuffix(".gguf")
    exact = [m for m in models if asked in (m.lower(), PurePosixPath(m).name.lower())]
    word = re.compile(rf"(?<![a-z0-9]){re.escape(asked)}(?![a-z0-9_])", re.IGNORECASE)
    return exact or [model for model in models if word.search(model)]


def is_complete(folder: Path, files: Sequence[str]) -> bool:
    """Whether the files of a local copy are all; an interrupted download lacks some of them."""
    parts = [found for file in files if (found := PART.search(file))]
    if files[0].lower().endswith(".gguf"):
        return not parts or len(parts) == int(parts[0][2])
    if not any((folder / config).is_file() for config in CONFIGS):
        return False
    return all(
        (folder / part).is_file()
        for index in files
        if index.endswith(".safetensors.index.json")
        for part in json.loads((folder / index).read_bytes())["weight_map"].values()
    )
