"""An engine is opened by name, or by what the model's files are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from chatapp.engines import ENGINES, ModelOptions, choose_engine, open_engine, require
from chatapp.errors import LoadError
from chatapp.events import Progress
from chatapp.hub import ModelFiles
from chatapp.texts import Texts

llamacpp = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="the extra llamacpp is not installed"
)


@pytest.mark.parametrize("module", ENGINES.values())
def test_every_engine_of_the_table_has_a_module(module: str) -> None:
    assert importlib.util.find_spec(module)


@llamacpp
def test_a_gguf_file_goes_to_llamacpp_and_a_folder_to_transformers() -> None:
    assert choose_engine(ModelFiles(Path("tiny.gguf"), "tiny")) == "llamacpp"
    assert choose_engine(ModelFiles(Path("tiny.GGUF"), "tiny")) == "llamacpp"
    assert choose_engine(ModelFiles(Path("tiny"), "tiny")) == "transformers"


@llamacpp
def test_the_demo_model_says_that_it_is_one_and_how_to_name_a_real_one() -> None:
    seen: list[Progress] = []
    engine = open_engine(ModelOptions(cpu_only=True), seen.append)
    try:
        first = Texts("en")(engine.notices[0])
        assert first.startswith("This is the demo model SmolLM2-135M-Instruct")
        assert "-c MODEL" in first
        assert engine.defaults.temperature == 0.2
        assert seen
    finally:
        engine.close()


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    require("json", engine="any", install="nothing to do")
    with pytest.raises(LoadError) as caught:
        require("no_such_package", engine="any", install="pip install it")
    assert str(caught.value) == (
        "The engine any needs the package no_such_package. Install it with: pip install it"
    )


def test_a_model_that_is_not_there_opens_nothing() -> None:
    for engine in ("auto", "transformers", "llamacpp"):
        with pytest.raises(LoadError, match="There is no file or folder"):
            open_engine(ModelOptions("./missing", engine=engine))
