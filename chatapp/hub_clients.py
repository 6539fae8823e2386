"""The hubs, through their own clients: what a repository holds, and getting it here."""

from __future__ import annotations

import errno
import glob
import logging
import os
import textwrap
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from chatapp.events import Progress
from chatapp.hub_files import is_weights
from chatapp.texts import Sentence

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SPEED_WINDOW = 5.0
"""Seconds over which the speed of a download is measured."""
LONGEST_REASON = 100


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

    def copy(self, repository: str, revision: str | None) -> Path:
        """The folder of the local copy, whole or not. Asks nobody."""

    def files(self, repository: str, revision: str | None) -> list[RemoteFile]:
        """What the repository holds."""

    def fetch(
        self, repository: str, revision: str | None, files: Sequence[RemoteFile], meter: Meter
    ) -> Path:
        """Download files, resuming what was begun, into the folder that is returned."""

    def why(self, error: Exception, repository: str) -> Sentence:
        """What an error of the client means to a person."""


class ModelScope:
    """modelscope.cn, or where MODELSCOPE_ENDPOINT says."""

    name = "ModelScope"

    def __init__(self) -> None:
        from modelscope_hub import HubApi

        logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)
        self._api = HubApi()

    def copy(self, repository: str, revision: str | None) -> Path:
        return Path(
            self._api.download_repo(repository, "model", revision=revision, local_files_only=True)
        )

    def files(self, repository: str, revision: str | None) -> list[RemoteFile]:
        from modelscope_hub import HubApi

        self._api = HubApi(endpoint=self._api.resolve_endpoint_for_read(repository))
        found = self._api.list_repo_files(repository, "model", revision=revision)
        return [
            RemoteFile(file.path, file.size, file.sha256) for file in found if file.type != "tree"
        ]

    def fetch(
        self, repository: str, revision: str | None, files: Sequence[RemoteFile], meter: Meter
    ) -> Path:
        from modelscope_hub import ProgressCallback

        class Told(ProgressCallback):  # type: ignore[misc]
            def update(self, size: int) -> None:
                meter.add(size)

        with _without_bars():
            for batch in _weights_last(files):
                folder = Path(
                    self._api.download_repo(
                        repository,
                        "model",
                        revision=revision,
                        progress_callbacks=[Told],
                        file_list=[
                            {"Path": file.path, "Size": file.size, "Sha256": file.sha256}
                            for file in batch
                        ],
                    )
                )
                meter.add(files=len(batch))
        return folder

    def why(self, error: Exception, repository: str) -> Sentence:
        from modelscope_hub import (
            AuthenticationError,
            FileDownloadError,
            NetworkError,
            NotExistError,
            PermissionDeniedError,
        )

        if isinstance(error, FileDownloadError) and error.failed_files:
            error = next(iter(error.failed_files.values()))
        if isinstance(error, NotExistError):
            return Sentence("hub-not-known")
        if isinstance(error, AuthenticationError | PermissionDeniedError):
            url = f"https://modelscope.cn/models/{repository}"
            return Sentence("hub-gated", {"url": url, "token": "MODELSCOPE_API_TOKEN"})
        if isinstance(error, NetworkError):
            return Sentence("hub-unreachable")
        return _said(error)


class HuggingFace:
    """huggingface.co, or where HF_ENDPOINT says."""

    name = "Hugging Face"

    def __init__(self) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import huggingface_hub
        from huggingface_hub.utils import logging as their_logging

        their_logging.set_verbosity(logging.CRITICAL)
        self._client = huggingface_hub

    def copy(self, repository: str, revision: str | None) -> Path:
        # Its own check for completeness looks at these patterns; ours looks at the weights.
        return Path(
            self._client.snapshot_download(
                repository,
                revision=revision,
                local_files_only=True,
                allow_patterns=["config.json"],
            )
        )

    def files(self, repository: str, revision: str | None) -> list[RemoteFile]:
        info = self._client.HfApi().model_info(repository, revision=revision, files_metadata=True)
        return [RemoteFile(file.rfilename, file.size or 0) for file in info.siblings or []]

    def fetch(
        self, repository: str, revision: str | None, files: Sequence[RemoteFile], meter: Meter
    ) -> Path:
        for batch in _weights_last(files):
            folder = Path(
                self._client.snapshot_download(
                    repository,
                    revision=revision,
                    allow_patterns=[glob.escape(file.path) for file in batch],
                    tqdm_class=_bars(meter),
                )
            )
            missing = [file.path for file in batch if not (folder / file.path).is_file()]
            if missing:  # without a network the client is content with what is here
                raise ConnectionError(missing[0])
        return folder

    def why(self, error: Exception, repository: str) -> Sentence:
        from huggingface_hub.errors import (
            GatedRepoError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(error, GatedRepoError) or status == 403:
            url = f"https://huggingface.co/{repository}"
            return Sentence("hub-gated", {"url": url, "token": "HF_TOKEN"})
        if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError) or status == 404:
            return Sentence("hub-not-known")
        if response is None and not isinstance(error, ValueError):
            return Sentence("hub-unreachable")
        return _said(error)


HUBS: Mapping[str, Callable[[], Hub]] = {"modelscope": ModelScope, "huggingface": HuggingFace}
"""Name for --hub -> the hub, in the order of asking. Making one imports its client."""


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


def _said(error: Exception) -> Sentence:
    """The first line of what a client said about a failure nobody foresaw."""
    said = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return Sentence(
        "hub-said", {"cause": textwrap.shorten(said, LONGEST_REASON, placeholder="...")}
    )


def _weights_last(files: Sequence[RemoteFile]) -> list[list[RemoteFile]]:
    """So that a download that was interrupted is known by the weights it lacks."""
    small = [file for file in files if not is_weights(file.path)]
    large = [file for file in files if is_weights(file.path)]
    return [batch for batch in (small, large) if batch]


@contextmanager
def _without_bars() -> Iterator[None]:
    """ModelScope's client draws bars on the screen and has no switch for them."""
    from modelscope_hub import _download

    previous = _download.tqdm
    _download.tqdm = partial(previous, disable=True)
    try:
        yield
    finally:
        _download.tqdm = previous


def _bars(meter: Meter) -> type:
    """What Hugging Face's client needs of a tqdm class: bars of bytes and of files."""

    class Bar:
        def __init__(self, *args: object, **options: Any) -> None:
            self.total = options.get("total") or 0
            self.n = 0
            # Of the two bars of bytes, one is what the network brought, one what is on the disk.
            self._counts = not str(options.get("desc")).startswith("Downloading")
            self._is_files = options.get("unit") != "B"
            self.format_dict: dict[str, object] = {}

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def update(self, count: float | None = 1) -> None:
            self.n += int(count or 0)
            if self._is_files:
                meter.add(files=int(count or 0))
            elif self._counts:
                meter.add(int(count or 0))

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *args, **options: None

    return Bar
