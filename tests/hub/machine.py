"""A machine with nothing on it yet, which looks for models at a server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.hub.server import HubServer

SCRIPT = """
import json, resource, sys
name, source, largest = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
if largest:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
from chatapp import hub
from chatapp.errors import LoadError
from chatapp.stats import progress_line
from chatapp.texts import Texts
shown = []
try:
    files = hub.find(
        name, lambda step: shown.append(progress_line(step, Texts("en"))), hub.Source(**source)
    )
    print(json.dumps({"path": str(files.path), "name": files.name, "shown": shown}))
except LoadError as error:
    print(json.dumps({"error": str(error), "zh": Texts("zh")(error.sentence), "shown": shown}))
"""


class Machine:
    """A machine with caches of its own that looks for models at one server."""

    def __init__(self, home: Path, server: HubServer) -> None:
        self.home = home
        self.server = server

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.server.environment,
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "huggingface"),
            "MODELSCOPE_CACHE": str(self.home / "modelscope"),
        }

    def start(self, name: str, largest_file: int = 0, **source: object) -> subprocess.Popen[str]:
        """Look for a model in a process of its own, where the clients start afresh."""
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, name, json.dumps(source), str(largest_file)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def find(self, name: str, largest_file: int = 0, **source: object) -> dict[str, str]:
        """What becomes of a name."""
        with self.start(name, largest_file, **source) as process:
            said, complained = process.communicate(timeout=100)
        assert process.returncode == 0, complained
        assert complained == "", "the clients draw nothing on the screen"
        found: dict[str, str] = json.loads(said)
        return found

    def has_whole(self, size: int) -> bool:
        """Whether a file of so many bytes has been downloaded."""
        for file in self.home.rglob("*"):
            with suppress(FileNotFoundError):  # it got its name just now
                if file.suffix != ".incomplete" and file.stat().st_size == size:
                    return True
        return False

    def unfinished(self) -> list[Path]:
        """The files that the clients have a part of."""
        return [*self.home.rglob("*.incomplete")]


def repository(folder: Path, **files: int) -> Path:
    """A folder with files of so many bytes; `_` in a name stands for what Python forbids."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    for name, size in files.items():
        (folder / name.replace("__", "-").replace("_", ".")).write_bytes(os.urandom(size))
    return folder
