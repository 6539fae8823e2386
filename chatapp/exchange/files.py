"""Files that are exported to and imported from: whole or not at all, nobody's overwritten."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from chatapp.errors import ExchangeError

LARGEST = 2**30
"""Bytes of a file that is imported; it is read into memory."""
LONGEST_NAME, LONGEST_ENCODED = 60, 180
"""Characters, and bytes, of a title that name its file."""


def file_stem(title: str) -> str:
    """A file's name without its ending, which every system takes, from a title."""
    stem = re.sub(r"[^\w-]+", "-", title).strip("-_")[:LONGEST_NAME]
    stem = stem.encode("utf-8", "ignore")[:LONGEST_ENCODED].decode("utf-8", "ignore")
    return stem.strip("-_") or "chat"


def write_atomic(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a file, readable by its owner only: all of it is there at once, or nothing is.

    Raises ExchangeError, also where there is such a file already and it was not to be overwritten.
    """
    try:
        if path.exists() and not overwrite:
            raise FileExistsError
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if overwrite:
                os.replace(temporary, path)
            else:
                _move_without_replacing(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise ExchangeError("exchange-exists", path=path) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        cause = getattr(error, "strerror", None) or error
        raise ExchangeError("exchange-cannot-write", path=path, cause=cause) from error


def read_text(path: Path) -> str:
    """The text of a file, UTF-8 with or without a byte order mark. Raises ExchangeError."""
    try:
        if path.stat().st_size > LARGEST:
            raise ExchangeError("exchange-large", path=path, limit=LARGEST >> 20)
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExchangeError("exchange-not-utf8", name=path) from error
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise ExchangeError("exchange-cannot-read", path=path, cause=cause) from error


def _move_without_replacing(temporary: str, path: Path) -> None:
    """Raises FileExistsError where somebody else has made a file of that name meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.replace(temporary, path)
    else:
        os.unlink(temporary)


def _sync_folder(folder: Path) -> None:
    """Make the new name last, where the system can (POSIX)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
