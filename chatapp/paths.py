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
    return _made(
        asked or os.environ.get("CHATAPP_DATA_DIR") or platformdirs.user_data_dir("chatapp")
    )


def cache_dir() -> Path:
    """What can be made again (converted models)."""
    return _made(os.environ.get("CHATAPP_CACHE_DIR") or platformdirs.user_cache_dir("chatapp"))


def _made(path: str) -> Path:
    directory = Path(path).expanduser()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory
