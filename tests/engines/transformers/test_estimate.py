"""Will it fit: the estimate against what is really taken, the table, and what cannot fit."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch
from transformers import DynamicCache, LlamaConfig

from chatapp import hub
from chatapp.dry_run import describe
from chatapp.engines import ModelOptions, open_engine, weigh
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.engines.transformers.estimate import kv_bytes
from chatapp.errors import LoadError
from chatapp.terminal import main as chat
from chatapp.texts import Texts
from chatapp.web import main as web
from tests import tiny_models

TOLERANCE = 0.1
FORMATS = [("float32", "none"), ("bfloat16", "none"), ("bfloat16", "8bit"), ("bfloat16", "4bit")]
FREE = "chatapp.engines.transformers.placement.free_memory"

llamacpp = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="the extra llamacpp is not installed"
)


@pytest.fixture(scope="session")
def seven_billion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing but the config of a model of seven billion parameters."""
    folder = tmp_path_factory.mktemp("seven") / "Seven-7B"
    LlamaConfig(
        vocab_size=64000,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        architectures=["LlamaForCausalLM"],
    ).save_pretrained(folder)
    return folder


def taken(engine: TransformersEngine) -> int:
    """The bytes of all weights, of what quantising adds to them, and of the buffers."""
    model = engine._model
    tensors = [*model.parameters(), *model.buffers()]
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        if state is not None:
            tensors += [state.absmax, state.state2.absmax]
        if getattr(parameter, "SCB", None) is not None:
            tensors.append(parameter.SCB)
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def compare(options: ModelOptions) -> None:
    expected = weigh(options).chosen.loaded
    with closing(open_engine(options)) as engine:
        assert isinstance(engine, TransformersEngine)
        assert taken(engine) == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("family", ["qwen2", "llama", "gemma", "glm", "mistral"])
def test_the_estimate_is_what_a_tiny_model_takes(family: str, tmp_path: Path) -> None:
    folder = tiny_models.build(family, tmp_path, tiny_models.WIDE)
    for dtype, quantize in FORMATS:
        compare(ModelOptions(str(folder), dtype=dtype, quantize=quantize, cpu_only=True))


@pytest.mark.parametrize(("dtype", "quantize"), FORMATS[1:])
def test_the_estimate_is_what_the_demo_model_takes(dtype: str, quantize: str) -> None:
    options = ModelOptions(
        hub.DEMO, engine="transformers", dtype=dtype, quantize=quantize, cpu_only=True
    )
    compare(options)


def test_a_checkpoint_that_is_quantised_takes_what_its_files_hold(tmp_path: Path) -> None:
    folder = tiny_models.build("qwen2", tmp_path / "plain", tiny_models.WIDE)
    with closing(open_engine(ModelOptions(str(folder), quantize="8bit", cpu_only=True))) as engine:
        assert isinstance(engine, TransformersEngine)
        engine._model.save_pretrained(tmp_path / "int8")
        engine._tokenizer.save_pretrained(tmp_path / "int8")
    compare(ModelOptions(str(tmp_path / "int8"), cpu_only=True))
    assert (
        weigh(ModelOptions(str(tmp_path / "int8"), cpu_only=True)).chosen.format == "bitsandbytes"
    )


@pytest.mark.parametrize("family", ["qwen2", "llama", "gemma", "glm", "mistral", "sliding"])
def test_the_kv_cache_is_what_was_estimated(tiny_model: Callable[..., Path], family: str) -> None:
    tokens = 200
    options = ModelOptions(str(tiny_model(family)), cpu_only=True, dtype="float32")
    with closing(open_engine(options)) as engine:
        assert isinstance(engine, TransformersEngine)
        model = engine._model
        cache = DynamicCache(config=model.config)
        with torch.no_grad():
            model(torch.arange(tokens)[None], past_key_values=cache)
        held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        assert kv_bytes(model.config, torch.float32, tokens) == pytest.approx(held, rel=TOLERANCE)


def test_a_recurrent_model_has_no_kv_cache(tiny_model: Callable[..., Path]) -> None:
    assert weigh(ModelOptions(str(tiny_model("recurrent")), cpu_only=True)).kv == 0


@llamacpp
def test_a_gguf_file_takes_what_it_holds() -> None:
    fit = weigh(ModelOptions(hub.DEMO, cpu_only=True))
    assert fit.parameters == pytest.approx(135e6, rel=0.01)
    assert fit.kv == 30 * 3 * 64 * 2 * 2 * 1000, "layers, KV heads, width, K and V, bytes"
    described = "\n".join(describe(fit, Texts("en")))
    assert "GGUF *" in described and "It fits" in described


@pytest.mark.parametrize("main", [chat, web], ids=["chat", "web"])
def test_the_table_of_seven_billion(
    seven_billion: Path,
    main: Callable[[list[str]], int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FREE, lambda: 10 * 10**9)
    how = ["-c", str(seven_billion), "--dry-run", "--cpu-only", "--dtype", "bfloat16"]
    assert main([*how, "--lang", "en"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Seven-7B: 7 billion parameters\n")
    for row in (
        "fp32         28.0 GB  28.0 GB    no    --dtype float32",
        "fp16/bf16 *  14.0 GB  14.0 GB    no    --dtype bfloat16",
        "int8         7.0 GB   7.5 GB     yes   --quantize 8bit",
        "int4         3.5 GB   4.4 GB     yes   --quantize 4bit",
        "KV cache of 1,000 tokens: 524.3 MB",
        "free on cpu: 10.0 GB",
        "It fits with --quantize 8bit.",
    ):
        assert row in said


@pytest.mark.parametrize(
    ("free", "advice"),
    [
        (16, "It fits with --dtype bfloat16."),
        (9, "It fits with --quantize 8bit."),
        (6, "It fits with --quantize 4bit."),
        (2, "Choose a smaller model, or a .gguf file of it."),
    ],
)
def test_what_cannot_fit_is_refused_before_it_is_read(
    seven_billion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, advice: str
) -> None:
    (tmp_path / "config.json").write_bytes((seven_billion / "config.json").read_bytes())
    with (tmp_path / "model.safetensors").open("wb") as weights:
        weights.truncate(14 * 10**9)  # a hole: nothing is read of it
    monkeypatch.setattr(FREE, lambda: free * 10**9)
    dtype = "float32" if free == 16 else "bfloat16"
    with pytest.raises(LoadError, match="does not fit: it takes") as caught:
        open_engine(ModelOptions(str(tmp_path), cpu_only=True, dtype=dtype))
    assert str(caught.value).endswith(advice)


def test_there_is_nothing_to_weigh_in_the_scripted_engine() -> None:
    with pytest.raises(LoadError, match="leave --dry-run out"):
        weigh(ModelOptions(engine="scripted"))
