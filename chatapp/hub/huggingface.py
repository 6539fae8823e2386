"""Hugging Face, through its own client; unfinished files go on, which the client would not do."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from chatapp.hub.clients import Meter, RemoteFile, first_bytes, reason, weights_last
from chatapp.texts import Sentence

CONNECTIONS = 4
"""Files that are downloaded at the same time, as in ModelScope's client."""
PIECE = 1 << 20


class Damaged(Exception):
    """What came of a file is not what the hub has of it."""


class GivenUp(Exception):
    """Another file of the same download has failed."""


class HuggingFace:
    """huggingface.co, or where HF_ENDPOINT says."""

    name = "Hugging Face"
    cache_variable = "HF_HOME"

    def __init__(self) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import huggingface_hub
        from huggingface_hub.utils import logging as their_logging

        their_logging.set_verbosity(logging.CRITICAL)
        # What is written and told at a time: of its own 10 MiB a slow line brings one in a minute.
        huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = PIECE
        self._client = huggingface_hub

    def folder(self, repository: str) -> Path:
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(HF_HUB_CACHE, _folder_name(repository))

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
        return [
            RemoteFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else None)
            for file in info.siblings or []
        ]

    def begin(self, repository: str, revision: str | None, path: str, count: int) -> bytes:
        url, headers = self._request(repository, revision, path)
        headers["Range"] = f"bytes=0-{count - 1}"
        with self._client.get_session().stream("GET", url, headers=headers) as answer:
            self._client.hf_raise_for_status(answer)
            return first_bytes(answer.iter_bytes(), count)

    def fetch(
        self, repository: str, revision: str | None, files: Sequence[RemoteFile], meter: Meter
    ) -> Path:
        for batch in weights_last(files):
            self._resume_all(repository, revision, batch, meter)
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

    def _resume_all(
        self, repository: str, revision: str | None, files: Sequence[RemoteFile], meter: Meter
    ) -> None:
        """Bring the large files into the client's cache, where it finds them.

        The client itself begins an unfinished file anew (huggingface_hub #4228: a shared partial
        file is damaged where locks do not work) and compares no checksum of what came by HTTP.
        """
        from huggingface_hub.constants import MAX_HTTP_DOWNLOAD_SIZE

        given_up = threading.Event()
        bars = _bars(meter, given_up)
        with ThreadPoolExecutor(CONNECTIONS, "download") as pool:
            jobs = [
                pool.submit(self._resume, repository, revision, file, meter, bars)
                for file in files
                if file.sha256 and file.size <= MAX_HTTP_DOWNLOAD_SIZE  # larger: by Xet alone
            ]
            try:
                for job in as_completed(jobs):
                    job.result()
            except BaseException:
                given_up.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _resume(
        self, repository: str, revision: str | None, file: RemoteFile, meter: Meter, bars: type
    ) -> None:
        """Download what is missing of one file. Raises Damaged when its checksum is wrong."""
        from huggingface_hub.utils import WeakFileLock

        sha256 = str(file.sha256)
        blob = self.folder(repository) / "blobs" / sha256
        blob.parent.mkdir(parents=True, exist_ok=True)
        unfinished = blob.with_name(sha256 + ".incomplete")
        lock = blob.parents[2] / ".locks" / _folder_name(repository) / f"{sha256}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            while not blob.exists():
                here = unfinished.stat().st_size if unfinished.exists() else 0
                if here > file.size:
                    unfinished.unlink()
                    continue
                meter.add(here, before=True)
                self._get(repository, revision, file, unfinished, here, bars)
                if _sha256(unfinished) == sha256:
                    os.replace(unfinished, blob)
                    return
                unfinished.unlink()
                meter.add(-file.size, before=True)
                if not here:
                    raise Damaged(file.path)

    def _get(
        self,
        repository: str,
        revision: str | None,
        file: RemoteFile,
        unfinished: Path,
        here: int,
        bars: type,
    ) -> None:
        from huggingface_hub.file_download import http_get

        url, headers = self._request(repository, revision, file.path)
        with unfinished.open("ab") as target:
            http_get(
                url,
                target,
                resume_size=here,
                headers=headers,
                expected_size=file.size,
                displayed_filename=file.path,
                tqdm_class=bars,
            )

    def _request(
        self, repository: str, revision: str | None, path: str
    ) -> tuple[str, dict[str, str]]:
        """Address and headers of a file; uncompressed, so that its bytes can be counted."""
        from huggingface_hub.utils import build_hf_headers

        url = self._client.hf_hub_url(repository, path, revision=revision)
        return url, {**build_hf_headers(), "Accept-Encoding": "identity"}

    def why(self, error: Exception, repository: str) -> Sentence:
        from huggingface_hub.errors import (
            GatedRepoError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        if isinstance(error, Damaged):
            return Sentence("hub-damaged", {"file": str(error)})
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(error, GatedRepoError) or status == 403:
            url = f"https://huggingface.co/{repository}"
            return Sentence("hub-gated", {"url": url, "token": "HF_TOKEN"})
        if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError) or status == 404:
            return Sentence("hub-not-known")
        if response is None and not isinstance(error, ValueError):
            return Sentence("hub-unreachable")
        return reason(error)


def _bars(meter: Meter, given_up: threading.Event | None = None) -> type:
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
            if given_up is not None and given_up.is_set():
                raise GivenUp
            self.n += int(count or 0)
            if self._is_files:
                meter.add(files=int(count or 0))
            elif self._counts:
                meter.add(int(count or 0))

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *args, **options: None

    return Bar


def _folder_name(repository: str) -> str:
    from huggingface_hub.file_download import repo_folder_name

    return str(repo_folder_name(repo_id=repository, repo_type="model"))


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
