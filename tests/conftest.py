"""What all tests stand on: nothing touches the home of whoever runs them, English is spoken."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.hub.machine import Machine
from tests.hub.server import serving

# Shared machines are slow at times: a slow example is no failure. The same run twice is equal.
settings.register_profile("chatapp", deadline=None, derandomize=True, database=None)
settings.load_profile("chatapp")

# Threads that compute together soon sleep while they wait (libgomp reads this when torch or
# llama.cpp is loaded). Spinning, they are 5 to 20 times slower as soon as others need the cores.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

FOREIGN = ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "CHATAPP_AUTH")
"""Variables of the person who runs the tests that would change what the program does."""


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of the whole session, so that a converted model is converted once."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        for name in FOREIGN:
            patch.delenv(name, raising=False)
        patch.setenv("LANG", "C.UTF-8")
        patch.setenv("CHATAPP_CACHE_DIR", str(cache))
        patch.setenv("CHATAPP_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield cache


@pytest.fixture(autouse=True)
def own_data_dir(session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own for every test; child processes inherit it."""
    monkeypatch.setenv("CHATAPP_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine without models, and a server of both hubs that it asks: `machine.server`."""
    home = tmp_path / "home"
    home.mkdir()
    with serving() as server:
        yield Machine(home, server)


@pytest.fixture(scope="session")
def here() -> Path:
    """The root of the repository."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes (once a session) the folder of a tiny model: `tiny_model("qwen2")`."""
    made: dict[tuple[object, ...], Path] = {}

    def build(family: str, **recommended: object) -> Path:
        from tests import tiny_models

        key = (family, *sorted(recommended.items()))
        if key not in made:
            made[key] = tiny_models.build(family, tmp_path_factory.mktemp(family), **recommended)
        return made[key]

    return build
