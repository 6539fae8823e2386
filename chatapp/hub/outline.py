"""The outline of a model that is still on a hub: enough to weigh it, and none of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chatapp import gguf
from chatapp.hub.clients import Hub, RemoteFile
from chatapp.hub.files import CONFIGS, is_weights

HEADER = 1 << 20
"""Bytes of a GGUF header that are asked for at first; with the vocabulary it can have ten times
as many."""


def draw(
    hub: Hub, repository: str, revision: str | None, files: Sequence[RemoteFile], folder: Path
) -> None:
    """Put into the folder what describes the model, and files as long as its weights.

    Of a GGUF file the header is there, of the others the hub has told the length; the rest is a
    hole, which takes no room on the disk. Raises whatever the hub's client does.
    """
    for file in files:
        place = folder / file.path
        if is_weights(file.path):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
            if place.suffix.lower() == ".gguf":
                _draw_header(hub, repository, revision, file, place)
            with place.open("ab") as weights:
                weights.truncate(file.size)
        elif file.path in CONFIGS or file.path.endswith(".py"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(hub.begin(repository, revision, file.path, file.size))


def _draw_header(
    hub: Hub, repository: str, revision: str | None, file: RemoteFile, place: Path
) -> None:
    """As many first bytes as hold the header: nobody knows beforehand how many these are."""
    count = HEADER
    while True:
        place.write_bytes(hub.begin(repository, revision, file.path, min(count, file.size)))
        if count >= file.size:
            return
        try:
            gguf.read_shapes(place)
        except ValueError:
            count *= 4
        else:
            return
