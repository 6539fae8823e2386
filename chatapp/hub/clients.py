"""What the hubs have in common: what a repository holds, and how getting it here goes."""

from __future__ import annotations

import errno
import re
import shutil
import textwrap
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chatapp.errors import LoadError
from chatapp.events import Progress
from chatapp.hub.files import is_weights
from chatapp.texts import Sentence

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SPEED_WINDOW = 5.0
"""Seconds over which the speed of a download is measured."""
LONGEST_REASON = 100
UNFINISHED = re.compile(r"\.incomplete$|_\d+_\d+$")
"""How the clients name what they have of a file, or of a part of it."""
SPARE = 64 << 20
"""Bytes that a download leaves free on the disk."""
GB = 10**9


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a hub's repository; its size in bytes."""

    path: str
    size: int
    sha256: str | None = None


class Meter:
    """Adds up what the threads of a download have got, and tells how it goes."""

    def __init__(
        self, files: Sequence[RemoteFile], on_progress: Callable[[Progress], None]
    ) -> None:
        self._total = sum(file.size for file in files)
        self._files = len(files)
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._done = self._files_done = 0
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, count: int = 0, *, files: int = 0, before: bool = False) -> None:
        """So many bytes and files more are here; `before`: they were here before."""
        with self._lock:
            self._done += count
            self._files_done += files
            self._on_progress(
                Progress(
                    "downloading",
                    self._done,
                    self._total,
                    files=(self._files_done, self._files),
                    rate=None if before else self._rate(),
                )
            )

    def _rate(self) -> float | None:
        now = time.monotonic()
        self._seen.append((now, self._done))
        while now - self._seen[0][0] > SPEED_WINDOW and len(self._seen) > 2:
            self._seen.popleft()
        seconds = now - self._seen[0][0]
        return (self._done - self._seen[0][1]) / seconds if seconds > 0 else None


class Hub(Protocol):
    """A hub; every method but `why` raises whatever its client does."""

    name: str
    cache_variable: str
    """The environment variable that moves its downloads elsewhere."""

    def folder(self, repository: str) -> Path:
        """Where the downloads of a repository go, there already or not. Asks nobody."""

    def copy(self, repository: str, revision: str | None) -> Path:
        """The folder of the local copy, whole or not. Asks nobody."""

    def files(self, repository: str, revision: str | None) -> list[RemoteFile]:
        """What the repository holds."""

    def begin(self, repository: str, revision: str | None, path: str, count: int) -> bytes:
        """The first bytes of a file, at most so many."""

    def fetch(
        self, repository: str, revision: str | None, files: Sequence[RemoteFile], meter: Meter
    ) -> Path:
        """Download files, resuming what was begun, into the folder that is returned."""

    def why(self, error: Exception, repository: str) -> Sentence:
        """What an error of the client means to a person."""


def check_room(hub: Hub, repository: str, name: str, missing: int) -> None:
    """Raises LoadError where the disk cannot take so many bytes less what was begun of them."""
    folder = hub.folder(repository)
    begun = [path for path in folder.rglob("*") if UNFINISHED.search(path.name)]
    missing -= sum(path.stat().st_size for path in begun if path.is_file())
    disk = next(place for place in (folder, *folder.parents) if place.is_dir())
    free = shutil.disk_usage(disk).free
    if missing + SPARE > free:
        raise LoadError(
            "disk-too-small",
            name=name,
            missing=f"{missing / GB:.1f} GB",
            path=disk,
            free=f"{free / GB:.1f} GB",
            variable=hub.cache_variable,
        )


def has_no_room(error: BaseException | None) -> bool:
    """Whether a disk that is full, or a quota, is behind an error."""
    while error is not None:
        failed = getattr(error, "failed_files", None) or {}
        if any(has_no_room(each) for each in failed.values()):
            return True
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        error = error.__cause__ or error.__context__
    return False


def reason(error: Exception) -> Sentence:
    """The first line of what a client said about a failure nobody foresaw."""
    said = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return Sentence(
        "hub-said", {"cause": textwrap.shorten(said, LONGEST_REASON, placeholder="...")}
    )


def weights_last(files: Sequence[RemoteFile]) -> list[list[RemoteFile]]:
    """So that a download that was interrupted is known by the weights it lacks."""
    small = [file for file in files if not is_weights(file.path)]
    large = [file for file in files if is_weights(file.path)]
    return [batch for batch in (small, large) if batch]


def first_bytes(chunks: Iterable[bytes], count: int) -> bytes:
    """At most so many bytes of a stream, whatever more would come."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) >= count:
            break
    return bytes(found[:count])
