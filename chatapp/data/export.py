"""`chatapp data export`: which conversations, into which files."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from chatapp.errors import ExchangeError
from chatapp.exchange import (
    TRAINING_FORMATS,
    add_dataset,
    dataset_info,
    export_json,
    export_markdown,
    export_training,
    file_stem,
    read_text,
    training,
    write_atomic,
)
from chatapp.messages import Conversation
from chatapp.store import Chats
from chatapp.texts import Texts

DATASET_INFO = "dataset_info.json"


@dataclass(frozen=True, slots=True)
class Done:
    """How much was written, and where; no files: to standard output."""

    count: int
    files: list[Path]


def export(chats: Chats, found: argparse.Namespace, texts: Texts) -> Done:
    """Write what was asked for. Raises ExchangeError, StoreError."""
    if found.good_only and found.format not in TRAINING_FORMATS:
        formats = ", ".join(TRAINING_FORMATS)
        raise ExchangeError("data-good-only", formats=formats)
    conversations = _asked(chats, found.words)
    if not conversations and found.words:
        raise ExchangeError("data-nothing")
    if not conversations:
        raise ExchangeError("data-none-owner" if found.owner else "data-none", owner=found.owner)
    if found.format == "markdown":
        return _export_markdown(conversations, found, texts)
    if found.format == "json":
        return _written(export_json(conversations), len(conversations), _target(found), found)
    records = training(conversations, found.format, good_only=found.good_only)
    if not records:
        raise ExchangeError("data-nothing-good" if found.good_only else "data-nothing-answered")
    file = _target(found)
    if file is None:
        return _written(export_training(records), len(records), file, found)
    info = file.with_name(DATASET_INFO)
    entry = dataset_info(file.name, found.format)
    merged = add_dataset(read_text(info) if info.exists() else "", file.stem, entry, info)
    done = _written(export_training(records), len(records), file, found)
    write_atomic(info, merged, overwrite=True)
    return Done(done.count, [file, info])


def _asked(chats: Chats, words: list[str]) -> list[Conversation]:
    """The conversations of these ids, or with all these words in the title; the oldest first."""
    ids = [word for word in words if chats.find(word)]
    if not words or len(ids) < len(words):
        ids = [line.id for line in reversed(chats.latest(" ".join(words), limit=-1))]
    return [chats.open(id).conversation for id in ids]


def _target(found: argparse.Namespace) -> Path | None:
    """The file to write; None: standard output."""
    if found.output == "-":
        return None
    named = found.output or "."
    path, trains = Path(named).expanduser(), found.format in TRAINING_FORMATS
    if path.is_dir() or named.endswith(("/", "\\")) or (trains and not path.suffix):
        _make(path)
        return path / f"{_default_name(found)}.json"
    if trains and path.suffix != ".json":
        raise ExchangeError("data-needs-json", path=path)
    return path


def _written(text: str, count: int, path: Path | None, found: argparse.Namespace) -> Done:
    if path is None:
        sys.stdout.write(text)
        return Done(count, [])
    write_atomic(path, text, overwrite=found.overwrite)
    return Done(count, [path])


def _default_name(found: argparse.Namespace) -> str:
    return f"chatapp-{found.format}-{time.strftime('%Y%m%d-%H%M%S')}"


def _export_markdown(
    conversations: list[Conversation], found: argparse.Namespace, texts: Texts
) -> Done:
    """One conversation into the file that is named, several into a folder, a file each."""
    documents = [export_markdown(conversation, texts) for conversation in conversations]
    if found.output == "-":
        sys.stdout.write("\n".join(documents))
        return Done(len(documents), [])
    path = Path(found.output or (".", _default_name(found))[len(documents) > 1]).expanduser()
    if len(documents) == 1 and path.suffix and not path.is_dir():
        write_atomic(path, documents[0], overwrite=found.overwrite)
        return Done(1, [path])
    _make(path)
    taken: set[str] = set()
    files = []
    for conversation, document in zip(conversations, documents, strict=True):
        file = path / _file_name(conversation.name or texts("export-untitled"), taken)
        write_atomic(file, document, overwrite=found.overwrite)
        files.append(file)
    return Done(len(files), files)


def _file_name(title: str, taken: set[str]) -> str:
    """A file's name from a title; another one for each of the same title."""
    stem = name = file_stem(title)
    count = 1
    while name.casefold() in taken:
        count += 1
        name = f"{stem}-{count}"
    taken.add(name.casefold())
    return f"{name}.md"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise ExchangeError("exchange-cannot-write", path=folder, cause=cause) from error
