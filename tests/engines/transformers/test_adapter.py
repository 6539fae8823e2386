"""LoRA adapters, made on the spot with PEFT: merged, kept beside packed weights, or refused."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from chatapp import hub
from chatapp.chat import initial_settings
from chatapp.engines import Engine, ModelOptions, open_engine
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.errors import LoadError
from tests import tiny_models
from tests.engines.transformers.asking import ask

QUESTION = "Tell me about the quick brown fox."


def make_adapter(base: Path, folder: Path) -> Path:
    """An adapter that changes what a tiny model says, as training would."""
    model = AutoModelForCausalLM.from_pretrained(base)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "up_proj"], task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.5)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.build("qwen2", tmp_path_factory.mktemp("base"), tiny_models.WIDE)


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(base, tmp_path_factory.mktemp("adapter"))


def open_tiny(checkpoint: Path | None, adapter: Path | None, **how: object) -> Engine:
    options = ModelOptions(
        str(checkpoint) if checkpoint else None,
        adapter=str(adapter) if adapter else None,
        cpu_only=True,
        dtype="float32",
        **how,  # type: ignore[arg-type]
    )
    return open_engine(options)


def say(engine: Engine) -> str:
    return ask(engine, QUESTION, initial_settings(engine, {"temperature": "0"})).text


def expected(base: Path, adapter: Path) -> torch.Tensor:
    """The logits of PEFT's own model for some tokens."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter))
    with torch.no_grad():
        return torch.as_tensor(model(torch.arange(9)[None]).logits)


def test_the_adapter_is_merged_and_its_base_found_in_its_config(base: Path, adapter: Path) -> None:
    with closing(open_tiny(None, adapter)) as engine, closing(open_tiny(base, None)) as plain:
        assert isinstance(engine, TransformersEngine)
        assert engine.model == f"{base.name} + {adapter.name}"
        assert not [name for name, _ in engine._model.named_parameters() if "lora" in name]
        with torch.no_grad():
            logits = engine._model(torch.arange(9)[None]).logits
        torch.testing.assert_close(logits, expected(base, adapter), rtol=1e-4, atol=1e-4)
        assert say(engine) != say(plain)


def test_an_adapter_named_with_c_is_known_for_what_it_is(base: Path, adapter: Path) -> None:
    with closing(open_tiny(adapter, None)) as engine:
        assert engine.model == f"{base.name} + {adapter.name}"


@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_beside_packed_weights_it_stays_apart(base: Path, adapter: Path, quantize: str) -> None:
    with closing(open_tiny(base, adapter, quantize=quantize)) as engine:
        assert isinstance(engine, TransformersEngine)
        assert [name for name, _ in engine._model.named_parameters() if "lora" in name]
        assert engine._generator.keeps_prefixes
        assert say(engine)


def test_an_adapters_own_template_is_used(base: Path, tmp_path: Path) -> None:
    folder = make_adapter(base, tmp_path / "with-template")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = "TRAINED{{ messages[-1]['content'] }}"
    tokenizer.save_pretrained(folder)
    with closing(open_tiny(base, folder)) as engine:
        assert isinstance(engine, TransformersEngine)
        assert engine._tokenizer.chat_template.startswith("TRAINED")


@pytest.mark.parametrize("other", ["wide", "recurrent", "deep"])
def test_a_wrong_base_is_a_sentence(
    base: Path, adapter: Path, other: str, tiny_model: Callable[..., Path], tmp_path: Path
) -> None:
    wrong = {
        "wide": lambda: tiny_model("qwen2"),
        "recurrent": lambda: tiny_model("recurrent"),
        "deep": lambda: tiny_models.build(
            "qwen2", tmp_path, tiny_models.WIDE | {"num_hidden_layers": 1}
        ),
    }[other]()
    with pytest.raises(LoadError, match=f"does not fit .*It was made for {base}: name that"):
        open_tiny(wrong, adapter)


@pytest.mark.parametrize(
    ("config", "weights", "said"),
    [
        (None, True, r"no readable adapter_config\.json"),
        ("{", True, r"no readable adapter_config\.json"),
        ("[]", True, r"no readable adapter_config\.json"),
        ('{"peft_type": "IA3"}', True, "kind IA3, and only LoRA"),
        ('{"peft_type": "LORA"}', False, r"no readable adapter_model\.safetensors"),
        ('{"peft_type": "LORA"}', True, "does not say which model it is for: name it with -c"),
    ],
)
def test_what_is_no_adapter_is_a_sentence(
    tmp_path: Path, config: str | None, weights: bool, said: str
) -> None:
    if config is not None:
        (tmp_path / "adapter_config.json").write_text(config, encoding="utf-8")
    if weights:
        (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(LoadError, match=said):
        open_tiny(None, tmp_path)


def test_broken_weights_of_an_adapter_are_a_sentence(base: Path, tmp_path: Path) -> None:
    config = LoraConfig(
        base_model_name_or_path=str(base), target_modules=["q_proj"], task_type="CAUSAL_LM"
    ).to_dict()
    (tmp_path / "adapter_config.json").write_text(
        json.dumps(config, default=list), encoding="utf-8"
    )
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(LoadError, match=r"no readable adapter_model\.safetensors"):
        open_tiny(None, tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="no xllamacpp")
def test_llamacpp_refuses_an_adapter(adapter: Path) -> None:
    with pytest.raises(LoadError, match="llamacpp cannot use --adapter: it reads no adapters"):
        open_engine(ModelOptions(hub.DEMO, adapter=str(adapter), cpu_only=True))
