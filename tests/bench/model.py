"""The model everyone runs: the same weights, without an end token, so that lengths are equal."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import AutoTokenizer

from chatapp.engines import ModelOptions, OnProgress, open_engine
from chatapp.engines.transformers import TransformersEngine


def open_transformers(options: ModelOptions, on_progress: OnProgress) -> TransformersEngine:
    engine = open_engine(options, on_progress)
    if not isinstance(engine, TransformersEngine):
        raise TypeError(f"the benchmark measures the engine transformers, not {engine.name}")
    return engine


def folder_of(engine: TransformersEngine) -> Path:
    """Where the weights were read from: for a GGUF file, the folder it was converted to."""
    return Path(engine._model.name_or_path)


def endless(source: Path, target: Path) -> Path:
    """A folder with the weights of another (links), whose model never ends an answer by itself.

    Special tokens are never said: a text that holds none is read again as the tokens it was.
    """
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.name != "generation_config.json":
            (target / file.name).symlink_to(file.resolve())
    special = AutoTokenizer.from_pretrained(source, local_files_only=True).all_special_ids
    config = {"do_sample": False, "pad_token_id": special[0], "suppress_tokens": sorted(special)}
    (target / "generation_config.json").write_text(json.dumps(config))
    return target
