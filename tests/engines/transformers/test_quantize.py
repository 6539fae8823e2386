"""Weights in 8 and 4 bits: what they take, that they answer, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
import torch

from chatapp import hub
from chatapp.chat import initial_settings
from chatapp.engines import ModelOptions, open_engine
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.errors import LoadError
from tests import tiny_models
from tests.engines.transformers.asking import ask

METHODS = ("gptq", "awq", "compressed-tensors")


def open_tiny(folder: Path, **how: object) -> TransformersEngine:
    engine = open_engine(ModelOptions(str(folder), cpu_only=True, **how))  # type: ignore[arg-type]
    assert isinstance(engine, TransformersEngine)
    return engine


@pytest.fixture(scope="module")
def wide_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return cache(
        lambda family: tiny_models.build(family, tmp_path_factory.mktemp(family), tiny_models.WIDE)
    )


@pytest.mark.parametrize("family", ["qwen2", "llama", "gemma", "glm"])
@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_a_quantised_model_answers(
    wide_model: Callable[[str], Path], family: str, quantize: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_tiny(wide_model(family), quantize=quantize)) as engine:
        packed = {parameter.dtype for parameter in engine._model.parameters()}
        assert {torch.int8, torch.uint8} & packed
        settings = initial_settings(engine, {"max_new_tokens": "8"})
        assert ask(engine, "Tell me a story.", settings).completion > 0
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_demo_model_still_knows_its_answer_in_four_bits() -> None:
    options = ModelOptions(hub.DEMO, engine="transformers", cpu_only=True, quantize="4bit")
    with closing(open_engine(options)) as engine:
        settings = initial_settings(engine, {"temperature": "0", "max_new_tokens": "12"})
        assert "Paris" in ask(engine, "What is the capital of France?", settings).text


@pytest.fixture
def packed(tiny_model: Callable[..., Path], tmp_path: Path) -> Callable[[str], Path]:
    """A tiny model whose config says that it is quantised by some method."""

    def make(method: str) -> Path:
        folder = Path(shutil.copytree(tiny_model("qwen2"), tmp_path / method))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["quantization_config"] = {"quant_method": method, "bits": 4, "group_size": 32}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return folder

    return make


@pytest.mark.parametrize("method", METHODS)
def test_quantising_twice_is_refused(packed: Callable[[str], Path], method: str) -> None:
    with pytest.raises(LoadError, match=rf"already \({method}\): leave --quantize out"):
        open_tiny(packed(method), quantize="4bit")


@pytest.mark.parametrize(
    ("method", "package"),
    [
        ("gptq", "optimum gptqmodel"),
        ("awq", "gptqmodel"),
        ("compressed-tensors", "compressed-tensors"),
    ],
)
def test_the_library_of_a_quantised_checkpoint_is_named(
    packed: Callable[[str], Path], method: str, package: str
) -> None:
    if importlib.util.find_spec(package.split()[0].replace("-", "_")):
        pytest.skip(f"{package} is installed")
    with pytest.raises(LoadError, match=f"python -m pip install {package}$"):
        open_tiny(packed(method))


def test_a_recurrent_model_is_not_quantised(tiny_model: Callable[..., Path]) -> None:
    with pytest.raises(LoadError, match=r"Mamba.* leave --quantize out"):
        open_tiny(tiny_model("recurrent"), quantize="4bit")


def test_a_missing_bitsandbytes_is_named(
    tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "chatapp.engines.transformers.boundary.importlib.util.find_spec",
        lambda name: None if name == "bitsandbytes" else found(name),
    )
    with pytest.raises(LoadError, match="python -m pip install bitsandbytes"):
        open_tiny(tiny_model("qwen2"), quantize="8bit")


def test_a_bitsandbytes_checkpoint_loads_as_it_comes(
    wide_model: Callable[[str], Path], tmp_path: Path
) -> None:
    with closing(open_tiny(wide_model("qwen2"), quantize="8bit")) as engine:
        engine._model.save_pretrained(tmp_path / "int8")
        engine._tokenizer.save_pretrained(tmp_path / "int8")
    with closing(open_tiny(tmp_path / "int8")) as engine:
        assert torch.int8 in {parameter.dtype for parameter in engine._model.parameters()}
        settings = initial_settings(engine, {"max_new_tokens": "8"})
        assert ask(engine, "Tell me a story.", settings).completion > 0


def test_llamacpp_refuses_what_only_transformers_can() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the extra llamacpp is not installed")
    with pytest.raises(LoadError, match="llamacpp cannot use --quantize: its files are quantised"):
        open_engine(ModelOptions(cpu_only=True, quantize="4bit"))
    with pytest.raises(LoadError, match="llamacpp cannot use --attn"):
        open_engine(ModelOptions(cpu_only=True, attn="eager"))


def test_the_attention_asked_for_is_used(tiny_model: Callable[..., Path]) -> None:
    for attn in ("sdpa", "eager"):
        with closing(open_tiny(tiny_model("qwen2"), attn=attn)) as engine:
            assert engine._model.config._attn_implementation == attn


def test_a_missing_flash_attention_is_named(tiny_model: Callable[..., Path]) -> None:
    if importlib.util.find_spec("flash_attn"):
        pytest.skip("flash-attn is installed")
    with pytest.raises(LoadError, match="python -m pip install flash-attn"):
        open_tiny(tiny_model("qwen2"), attn="flash_attention_2")


def test_a_limit_for_gpus_needs_one(tiny_model: Callable[..., Path]) -> None:
    with pytest.raises(LoadError, match="--gpu-memory is for GPUs"):
        open_tiny(tiny_model("qwen2"), gpu_memory=2**30)
