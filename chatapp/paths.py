"""Where chatapp keeps things on this machine: the user's data, and a cache that may be deleted."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_dir(asked: str | None = None) -> Path:
    """What must last (conversations, the typed history): where it was `asked` for, else
    CHATAPP_DATA_DIR, else the user's own place. Made on demand, readable by its owner only.

    Raises OSError.
    """
    return _made(data_place(asked))


def data_place(asked: str | None = None) -> Path:
    """Where `data_dir` is, or would be: nothing is made."""
    place = asked or os.environ.get("CHATAPP_DATA_DIR") or platformdirs.user_data_dir("chatapp")
    return Path(place).expanduser()


def cache_dir() -> Path:
    """What can be made again (converted models)."""
    place = os.environ.get("CHATAPP_CACHE_DIR") or platformdirs.user_cache_dir("chatapp")
    return _made(Path(place).expanduser())


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory
