"""Models that are on a hub: weighed and refused before they are downloaded, adapters and bases."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from chatapp import hub
from tests import tiny_models
from tests.hub.machine import Machine

HUBS = ("modelscope", "huggingface")

llamacpp = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="the extra llamacpp is not installed"
)


def chat(machine: Machine, here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the terminal's program does with one prompt, on a machine with nothing on it."""
    return subprocess.run(
        [sys.executable, "cli_demo.py", "-p", "hi", "--cpu-only", *arguments],
        cwd=here,
        env=machine.environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def sent(machine: Machine) -> set[str]:
    return {path for path, _ in machine.server.sent}


@pytest.fixture
def huge(tmp_path: Path, tiny_model: Callable[..., Path]) -> Path:
    """A model too large for any machine: a config, and weights that are a hole in the disk."""
    folder = tmp_path / "huge"
    shutil.copytree(tiny_model("llama"), folder)
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 2**36}))
    with (folder / "model.safetensors").open("wb") as weights:
        weights.truncate(4 * 10**12)
    return folder


@pytest.mark.parametrize("name", HUBS)
def test_a_model_on_a_hub_is_weighed_by_its_config_alone(
    name: str, machine: Machine, here: Path, huge: Path, tiny_model: Callable[..., Path]
) -> None:
    repositories = getattr(machine.server, name)
    repositories["some/tiny"], repositories["some/huge"] = tiny_model("qwen2"), huge
    for repository, advice in (("tiny", "It fits: "), ("huge", "Choose a smaller model, or a ")):
        done = chat(machine, here, "-c", f"some/{repository}", "--dry-run", "--hub", name)
        assert done.stdout.startswith(f"some/{repository}: "), done.stderr
        assert done.stdout.splitlines()[-1].startswith(advice)
        assert done.stderr == ""
    assert sent(machine) == {"config.json"}
    assert not [*machine.home.rglob("config.json")], "nothing stays on the disk"


@llamacpp
@pytest.mark.parametrize("name", HUBS)
def test_a_gguf_file_on_a_hub_is_weighed_by_its_header(
    name: str, machine: Machine, here: Path, tmp_path: Path
) -> None:
    demo = hub.find(None).path
    given = tmp_path / "given"
    given.mkdir()
    (given / "demo-Q4_K_M.gguf").symlink_to(demo)
    getattr(machine.server, name)["some/demo"] = given
    done = chat(machine, here, "-c", "some/demo", "--dry-run", "--hub", name)
    local = chat(machine, here, "--dry-run")
    assert done.stdout.splitlines()[1:4] == local.stdout.splitlines()[1:4], done.stderr
    assert "GGUF *" in done.stdout
    read = [int(asked.rpartition("-")[2]) for _, asked in machine.server.sent]
    assert max(read) < demo.stat().st_size / 4


@pytest.mark.parametrize("name", HUBS)
def test_what_cannot_fit_is_refused_before_it_is_downloaded(
    name: str, machine: Machine, here: Path, huge: Path
) -> None:
    getattr(machine.server, name)["some/huge"] = huge
    done = chat(machine, here, "-c", "some/huge", "--hub", name)
    assert done.stderr.startswith("some/huge does not fit: it takes ")
    assert len(done.stderr.splitlines()) == 1
    assert sent(machine) == {"config.json"}


def test_a_flag_of_another_engine_is_refused_before_the_download(
    machine: Machine, here: Path, tiny_model: Callable[..., Path]
) -> None:
    machine.server.modelscope["some/tiny"] = tiny_model("qwen2")
    done = chat(machine, here, "-c", "some/tiny", "--engine", "llamacpp", "--dtype", "float32")
    assert "cannot use --dtype" in done.stderr
    assert "model.safetensors" not in sent(machine)


def test_an_error_in_what_is_not_downloaded_yet_names_the_model(
    machine: Machine, here: Path, tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(tiny_model("qwen2"), folder)
    (folder / "config.json").write_text('{"model_type": "qwen2", "hidden_size": "wide"}')
    machine.server.modelscope["some/bad"] = folder
    done = chat(machine, here, "-c", "some/bad", "--dry-run")
    assert "some/bad could not be loaded" in done.stderr and "Check some/bad" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def adapter(base: Path, folder: Path, base_name: str) -> Path:
    """A LoRA adapter for a model that is on a hub."""
    model = AutoModelForCausalLM.from_pretrained(base)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    get_peft_model(model, config).save_pretrained(folder)
    said = json.loads((folder / "adapter_config.json").read_bytes())
    said["base_model_name_or_path"] = base_name
    (folder / "adapter_config.json").write_text(json.dumps(said))
    return folder


@pytest.fixture
def with_adapter(machine: Machine, tmp_path: Path, tiny_model: Callable[..., Path]) -> Machine:
    """A machine whose hubs have an adapter, the model it is for, and another one."""
    wide = tiny_models.build("qwen2", tmp_path / "wide", tiny_models.WIDE)
    lora = adapter(tiny_model("qwen2"), tmp_path / "lora", "some/base")
    for name in HUBS:
        repositories = getattr(machine.server, name)
        repositories["some/base"], repositories["some/wide"] = tiny_model("qwen2"), wide
        repositories["some/lora"] = lora
    return machine


@pytest.mark.parametrize(
    "arguments",
    [
        ("--hub", "modelscope", "--adapter", "some/lora"),
        ("--hub", "huggingface", "-c", "some/lora"),
    ],
)
def test_an_adapter_on_a_hub_brings_its_base_model_from_there(
    arguments: tuple[str, ...], with_adapter: Machine, here: Path
) -> None:
    done = chat(with_adapter, here, *arguments, "--max-new-tokens", "2")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--adapter", "some/lora", "-c", "some/wide"), ("does not fit some/wide", "some/base")),
        (("--adapter", "some/base"), ("holds no LoRA adapter",)),
    ],
)
def test_an_adapter_of_a_hub_that_does_not_fit_is_one_sentence(
    arguments: tuple[str, ...], said: tuple[str, ...], with_adapter: Machine, here: Path
) -> None:
    failed = chat(with_adapter, here, *arguments, "--lang", "en")
    assert failed.returncode == 1 and len(failed.stderr.splitlines()) == 1
    assert all(part in failed.stderr for part in said)
