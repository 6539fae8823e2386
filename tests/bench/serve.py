"""`transformers serve` as a process of its own, and a client that reads its streams."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chatapp.messages import Message

PATIENCE = 180.0
"""Seconds for the server to load a model, and for an answer."""


class ServeFailed(Exception):
    """The server did not start, or did not answer."""


class Served:
    """A running server; it sleeps (SIGSTOP) while others are measured."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, model: str) -> None:
        self._process = process
        self._address = f"http://127.0.0.1:{port}"
        self._model = model
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    @contextmanager
    def awake(self) -> Iterator[None]:
        self._process.send_signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGSTOP)

    def answer(self, messages: Sequence[Message], tokens: int) -> int:
        """Stream one answer; the number of its tokens as the server counts them."""
        body = {
            "model": self._model,
            "messages": [{"role": each.role, "content": each.content} for each in messages],
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
        }
        request = urllib.request.Request(
            self._address + "/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        last: dict[str, Any] = {}
        with self._open(request, timeout=PATIENCE) as lines:
            for line in lines:
                if line.startswith(b"data: {"):
                    last = json.loads(line[6:])
        if not last.get("usage"):
            raise ServeFailed(f"it ended with {last}")
        return int(last["usage"]["completion_tokens"])

    def wait_until_ready(self) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self._open(self._address + "/health", timeout=5).close()
                return
            except OSError:
                time.sleep(0.2)
        raise ServeFailed("it did not come up")


@contextmanager
def serving(folder: Path, dtype: str, log: Path, *flags: str) -> Iterator[Served]:
    """Run the server on loopback with a model. Raises ServeFailed."""
    port = _free_port()
    program = Path(sys.executable).with_name("transformers")
    command = [str(program), "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--dtype", dtype, *flags],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
    served = Served(process, port, str(folder))
    try:
        served.wait_until_ready()
        yield served
    except (OSError, ServeFailed) as error:
        said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise ServeFailed(f"transformers serve {' '.join(flags)}: {error}; {said[0]}") from error
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
