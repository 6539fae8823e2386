"""The direction of traffic: which room may import which, and which library lives where."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "chatapp").rglob("*.py"))

HOMES = {
    "torch": "chatapp/engines/transformers",
    "transformers": "chatapp/engines/transformers",
    "tokenizers": "chatapp/engines/transformers",
    "safetensors": "chatapp/engines/transformers",
    "accelerate": "chatapp/engines/transformers",
    "peft": "chatapp/engines/transformers",
    "bitsandbytes": "chatapp/engines/transformers",
    "xllamacpp": "chatapp/engines/llamacpp",
    "openai": "chatapp/engines/openai.py",
    "gradio": "chatapp/web",
    "fastapi": "chatapp/web",
    "starlette": "chatapp/web",
    "uvicorn": "chatapp/web",
    "rich": "chatapp/terminal",
    "prompt_toolkit": "chatapp/terminal",
    "modelscope_hub": "chatapp/hub/modelscope.py",
    "huggingface_hub": "chatapp/hub/huggingface.py",
}
"""Where each heavy library may be imported, at the top of a module or inside a function."""

STOREYS = (
    ("chatapp.texts",),
    ("chatapp.errors", "chatapp.paths", "chatapp.events"),
    ("chatapp.settings", "chatapp.messages", "chatapp.records"),
    ("chatapp.gguf", "chatapp.hub.files", "chatapp.hub.clients"),
    ("chatapp.hub.modelscope", "chatapp.hub.huggingface", "chatapp.hub.outline"),
    ("chatapp.hub",),
    ("chatapp.engines",),
    ("chatapp.context",),
    ("chatapp.chat", "chatapp.store", "chatapp.exchange", "chatapp.loading"),
    ("chatapp.flags", "chatapp.options", "chatapp.stats", "chatapp.dry_run"),
    ("chatapp.terminal", "chatapp.web", "chatapp.data"),
    ("chatapp.__main__",),
)
"""From the ground up: a room imports from its own storey and those below."""


def imported(file: Path) -> Iterator[str]:
    """Full names of all modules a file imports anywhere."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(place: str, home: str) -> bool:
    return place == home or place.startswith(home + ("." if "/" not in home else "/"))


def storey(module: str) -> int | None:
    return next(
        (
            number
            for number, rooms in enumerate(STOREYS)
            if any(within(module, room) for room in rooms)
        ),
        None,
    )


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_heavy_library_is_imported_only_where_it_lives(file: Path) -> None:
    for module in imported(file):
        home = HOMES.get(module.partition(".")[0])
        assert home is None or within(name_of(file), home), module


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_room_imports_from_its_own_storey_and_those_below(file: Path) -> None:
    own = storey(module_of(file))
    for module in imported(file):
        other = storey(module)
        if own is not None and other is not None:
            assert other <= own, f"{module_of(file)} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_neither_face_imports_the_other_and_nobody_below_imports_a_face(file: Path) -> None:
    faces = {"chatapp.terminal", "chatapp.web"}
    own = {face for face in faces if within(module_of(file), face)}
    for module in imported(file):
        assert not any(within(module, face) for face in faces - own), module


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_engines_do_not_import_one_another(file: Path) -> None:
    engines = {"llamacpp", "transformers", "scripted", "openai"}
    own = {engine for engine in engines if within(module_of(file), f"chatapp.engines.{engine}")}
    for module in imported(file):
        for engine in engines - own:
            assert not own or not within(module, f"chatapp.engines.{engine}"), module


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_is_evaluated(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "compile", "__import__"), node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in ("literal_eval", "unsafe_load"), node.lineno


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_module_has_global_state_that_is_rebound(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Global), node.lineno


def test_every_room_has_its_storey() -> None:
    rooms = {module_of(file) for file in FILES} - {"chatapp"}
    assert {room for room in rooms if storey(room) is None} == set()


def test_the_core_loads_no_heavy_library_and_writes_nothing(tmp_path: Path) -> None:
    script = """
import json, sys
import chatapp.chat, chatapp.options, chatapp.hub, chatapp.engines.scripted, chatapp.texts
import chatapp.engines.relay, chatapp.paths, chatapp.terminal, chatapp.web
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    data, cache = tmp_path / "data", tmp_path / "cache"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"CHATAPP_DATA_DIR": str(data), "CHATAPP_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not set(HOMES) & set(json.loads(done.stdout))
    assert not data.exists() and not cache.exists(), "nothing happens at import"
