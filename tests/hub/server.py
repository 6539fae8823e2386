"""A small server on loopback that speaks both hubs' protocols, as far as their clients need."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

COMMIT = "0" * 40
PIECE = 1 << 18
HUGGINGFACE_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?")
HUGGINGFACE_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
MODELSCOPE = re.compile(r"/api/v1/models/([^/]+/[^/]+)/(repo|repo/files)")


@dataclass
class HubServer:
    """What the server has and does; `address` is its URL."""

    address: str = ""
    huggingface: dict[str, Path] = field(default_factory=dict)
    """Repository -> the folder with its files."""
    modelscope: dict[str, Path] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    """Repositories whose every request is answered with 500."""
    cut: dict[str, int] = field(default_factory=dict)
    """File -> bytes after which the connection breaks off, once."""
    flipped: dict[str, int] = field(default_factory=dict)
    """File -> how many times more it is sent with one bit wrong."""
    slow: set[str] = field(default_factory=set)
    """Files that are sent slowly."""
    held: dict[str, Callable[[], bool]] = field(default_factory=dict)
    """File -> what must have come true before it is sent."""
    requests: list[str] = field(default_factory=list)
    """Every request as `METHOD /path range`."""
    sent: list[tuple[str, str]] = field(default_factory=list)
    """(file, range) of what was sent, the range "" for all of it."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HF_ENDPOINT": self.address,
            "MODELSCOPE_ENDPOINT": self.address,
            "MODELSCOPE_API_MAX_RETRIES": "1",
            "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "2",
        }


@contextmanager
def serving() -> Iterator[HubServer]:
    hub = HubServer()

    class Handler(_Handler):
        has = hub

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    has: HubServer

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        self.has.requests.append(f"{self.command} {asked.path}")
        if found := MODELSCOPE.fullmatch(asked.path):
            repository, what = found.groups()
            self._modelscope(repository, what, query)
        elif found := HUGGINGFACE_API.fullmatch(asked.path):
            self._huggingface(*found.groups())
        elif found := HUGGINGFACE_FILE.fullmatch(asked.path):
            repository, _, path = found.groups()
            if self._may(self.has.huggingface, repository):
                self._file(self.has.huggingface[repository] / path, path)
        else:
            self._refuse(404, "EntryNotFound")

    do_HEAD = do_POST = do_GET

    def _modelscope(self, repository: str, what: str, query: dict[str, str]) -> None:
        if not self._may(self.has.modelscope, repository, query.get("Revision", "master")):
            return
        folder = self.has.modelscope[repository]
        if what == "repo":
            self._file(folder / query["FilePath"], query["FilePath"])
            return
        files = [
            {"Path": path, "Size": file.stat().st_size, "Sha256": sha256(file), "Type": "blob"}
            for path, file in files_of(folder)
        ]
        self._json({"Code": 200, "Data": {"Files": files}, "Success": True})

    def _huggingface(self, repository: str, what: str | None, revision: str | None) -> None:
        if not self._may(self.has.huggingface, repository, revision or "main"):
            return
        files = list(files_of(self.has.huggingface[repository]))
        if what == "tree":
            self._json(
                [
                    {"type": "file", "path": path, "size": file.stat().st_size, "oid": sha256(file)}
                    for path, file in files
                ]
            )
            return
        siblings = [
            {"rfilename": path, "size": file.stat().st_size}
            | ({"lfs": large_file(file)} if is_large(path) else {})
            for path, file in files
        ]
        self._json({"id": repository, "sha": COMMIT, "siblings": siblings})

    def _may(self, repositories: dict[str, Path], repository: str, revision: str = "main") -> bool:
        if repository in self.has.broken:
            self._refuse(500, "")
        elif repository in self.has.gated:
            self._refuse(403, "GatedRepo")
        elif repository not in repositories:
            self._refuse(404, "RepoNotFound")
        elif revision not in ("main", "master", COMMIT, "older"):
            self._refuse(404, "RevisionNotFound")
        else:
            return True
        return False

    def _file(self, file: Path, path: str) -> None:
        if not file.is_file():
            self._refuse(404, "EntryNotFound")
            return
        size = file.stat().st_size
        asked = self.headers.get("Range", "")
        start, end = 0, size
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", asked):
            start = int(found[1])
            end = min(end, int(found[2]) + 1) if found[2] else end
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{sha256(file)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.has.sent.append((path, asked))
        if path in self.has.held:
            wait_until(self.has.held[path])
        stop = self.has.cut.pop(path, None)
        with file.open("rb") as content:
            content.seek(start)
            sent = content.read(end - start if stop is None else stop)
        if self.has.flipped.get(path, 0):
            self.has.flipped[path] -= 1
            sent = sent[:-1] + bytes([sent[-1] ^ 1])
        with suppress(ConnectionError):  # whoever asked may be gone
            for piece in range(0, len(sent), PIECE):
                self.wfile.write(sent[piece : piece + PIECE])
                time.sleep(0.05 if path in self.has.slow else 0)
        self.close_connection = stop is not None

    def _json(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str) -> None:
        said = {"X-Error-Code": code, "X-Error-Message": "refused by the test"}
        self._answer(status, b'{"Code": 1, "Message": "refused by the test"}', said)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def wait_until(happened: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file


def is_large(path: str) -> bool:
    """Whether the hubs would keep a file of this name in LFS, which tells its checksum."""
    return path.endswith((".safetensors", ".gguf", ".bin"))


def large_file(file: Path) -> dict[str, object]:
    return {"size": file.stat().st_size, "sha256": sha256(file), "pointerSize": 134}


def sha256(file: Path) -> str:
    if file.stat().st_size > 2**30:  # a hole that nobody downloads
        return "0" * 64
    return hashlib.sha256(file.read_bytes()).hexdigest()
