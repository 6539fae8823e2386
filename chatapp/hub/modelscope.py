"""ModelScope, through its own client."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from chatapp.hub.clients import Meter, RemoteFile, first_bytes, reason, weights_last
from chatapp.texts import Sentence

MAIN = "master"
"""The revision where nobody chose one."""
PIECE = 1 << 16


class ModelScope:
    """modelscope.cn, or where MODELSCOPE_ENDPOINT says."""

    name = "ModelScope"
    cache_variable = "MODELSCOPE_CACHE"

    def __init__(self) -> None:
        from modelscope_hub import HubApi

        logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)
        self._api = HubApi()

    def folder(self, repository: str) -> Path:
        from modelscope_hub import get_default_config

        return Path(get_default_config().cache_dir, "models", repository.replace("/", "--"))

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

    def begin(self, repository: str, revision: str | None, path: str, count: int) -> bytes:
        wanted = {"Range": f"bytes=0-{count - 1}"}
        with self._api.legacy.download_stream(
            repository, "model", path, revision or MAIN, wanted
        ) as answer:
            return first_bytes(answer.iter_content(PIECE), count)

    def fetch(
        self, repository: str, revision: str | None, files: Sequence[RemoteFile], meter: Meter
    ) -> Path:
        from modelscope_hub import ProgressCallback

        class Told(ProgressCallback):  # type: ignore[misc]
            def update(self, size: int) -> None:
                meter.add(size)

        with _without_bars():
            for batch in weights_last(files):
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
            FileIntegrityError,
            FileSizeMismatchError,
            NetworkError,
            NotExistError,
            PermissionDeniedError,
        )

        if isinstance(error, FileDownloadError) and error.failed_files:
            file, error = next(iter(error.failed_files.items()))
            if isinstance(error, FileIntegrityError | FileSizeMismatchError):
                return Sentence("hub-damaged", {"file": file})
        if isinstance(error, NotExistError):
            return Sentence("hub-not-known")
        if isinstance(error, AuthenticationError | PermissionDeniedError):
            url = f"https://modelscope.cn/models/{repository}"
            return Sentence("hub-gated", {"url": url, "token": "MODELSCOPE_API_TOKEN"})
        if isinstance(error, NetworkError):
            return Sentence("hub-unreachable")
        return reason(error)


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
