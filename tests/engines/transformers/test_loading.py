"""Loading: devices, number formats, GGUF's converted copy, and files that are broken."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from chatapp import hub
from chatapp.engines import ModelOptions, open_engine
from chatapp.engines.transformers.placement import choose_dtype, choose_placement
from chatapp.errors import LoadError
from chatapp.events import Progress

CPU = torch.device("cpu")


@pytest.fixture
def broken(tiny_model: Callable[..., Path], tmp_path: Path) -> Path:
    """A copy of a tiny model, to be broken."""
    return Path(shutil.copytree(tiny_model("qwen2"), tmp_path / "broken"))


def load(folder: Path) -> None:
    open_engine(ModelOptions(str(folder), cpu_only=True)).close()


def test_the_number_format_asked_for_is_used(tiny_model: Callable[..., Path]) -> None:
    for dtype in ("float32", "bfloat16", "float16"):
        options = ModelOptions(str(tiny_model("qwen2")), cpu_only=True, dtype=dtype)
        with closing(open_engine(options)) as engine:
            assert engine.details()["dtype"] == dtype


def test_auto_takes_bfloat16_where_the_cpu_has_it() -> None:
    has_it = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert choose_dtype("auto", CPU) == (torch.bfloat16 if has_it else torch.float32)


def test_cpu_only_wins_over_everything() -> None:
    assert choose_placement(ModelOptions(cpu_only=True, gpus="0")).device == CPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(LoadError, match="no GPU 3 here"):
        choose_placement(ModelOptions(gpus="3"))


def test_loading_is_told_from_first_to_last_weight(tiny_model: Callable[..., Path]) -> None:
    told: list[Progress] = []
    open_engine(ModelOptions(str(tiny_model("qwen2")), cpu_only=True), told.append).close()
    assert told[0].stage == "loading"
    assert told[-1].done == told[-1].total
    assert told[-1].total


def test_the_demo_model_is_converted_once(session_cache: Path) -> None:
    options = ModelOptions(hub.DEMO, engine="transformers", cpu_only=True)
    open_engine(options).close()
    told: list[Progress] = []
    open_engine(options, told.append).close()
    assert "converting" not in {progress.stage for progress in told}
    assert not list((session_cache / "converted").glob("unfinished-*"))


@pytest.mark.parametrize("size", [0, 7, 100, 5_000])
def test_weights_that_are_cut_short_are_a_sentence(broken: Path, size: int) -> None:
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(LoadError, match="broken could not be loaded"):
        load(broken)


@pytest.fixture
def sharded(broken: Path) -> Path:
    """A tiny model in several files, to be broken."""
    model = AutoModelForCausalLM.from_pretrained(broken)
    (broken / "model.safetensors").unlink()
    model.save_pretrained(broken, max_shard_size="60KB")
    return broken


@pytest.mark.parametrize("size", [0, 7, 100, 5_000, -1, None])
def test_of_several_files_the_broken_or_missing_one_is_named(
    sharded: Path, size: int | None
) -> None:
    load(sharded)
    second = sharded / "model-00002-of-00004.safetensors"
    content = second.read_bytes()
    second.unlink()
    if size is not None:
        second.write_bytes(content[:size])
    with pytest.raises(LoadError, match=re.escape(str(second))):
        load(sharded)


def test_a_bit_that_flips_in_a_name_is_a_sentence_and_no_made_up_weights(sharded: Path) -> None:
    shard = sharded / "model-00002-of-00004.safetensors"
    content = shard.read_bytes()
    at = content.index(b"model.embed_tokens") + len("model.")
    shard.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(
        LoadError, match=r"1 of its weights are missing, among them model\.embed_tokens"
    ):
        load(sharded)


@pytest.mark.parametrize("size", [0, 3, 30, 5_000, 2_000_000, 40_000_000])
def test_a_gguf_file_that_is_cut_short_is_a_sentence_here_too(tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.gguf"
    with hub.find(None).path.open("rb") as whole:
        cut.write_bytes(whole.read(size))
    with pytest.raises(LoadError, match=r"cut could not be loaded: .* Check .*cut\.gguf"):
        open_engine(ModelOptions(str(cut), engine="transformers", cpu_only=True))


def test_missing_weights_are_a_sentence(broken: Path) -> None:
    (broken / "model.safetensors").unlink()
    with pytest.raises(LoadError, match="broken"):
        load(broken)


def test_pickled_weights_are_not_loaded(broken: Path) -> None:
    (broken / "model.safetensors").unlink()
    (broken / "pytorch_model.bin").write_bytes(b"\x80\x04cposix\nsystem\n.")
    with pytest.raises(LoadError, match="broken"):
        load(broken)


def test_a_missing_tokenizer_is_a_sentence(broken: Path) -> None:
    for file in broken.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(LoadError, match="broken has no tokenizer"):
        load(broken)


@pytest.mark.parametrize(
    "config", ["{", "[]", "{}", json.dumps({"model_type": "never-heard-of", "vocab_size": 3})]
)
def test_a_bad_config_is_a_sentence(broken: Path, config: str) -> None:
    (broken / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(LoadError, match="broken"):
        load(broken)


def test_an_architecture_from_the_future_is_a_sentence(broken: Path) -> None:
    (broken / "config.json").write_text('{"model_type": "never-heard-of"}', encoding="utf-8")
    with pytest.raises(LoadError, match=r"broken is of an architecture .* install -U transformers"):
        load(broken)


def test_code_in_a_model_folder_is_not_run(broken: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (broken / "evil.py").write_text(f"open({str(canary)!r}, 'w')", encoding="utf-8")
    config = json.loads((broken / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}
    (broken / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(LoadError):
        load(broken)
    assert not canary.exists()


def test_a_model_with_code_of_its_own_is_refused_with_the_flag_that_runs_it(broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    config |= {
        "model_type": "of_its_own",
        "auto_map": {
            "AutoConfig": "own.OwnConfig",
            "AutoModelForCausalLM": "own.OwnModel",
        },
    }
    (broken / "config.json").write_text(json.dumps(config))
    (broken / "own.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(LoadError, match="use --trust-remote-code if you trust its makers"):
        load(broken)


def test_pickled_weights_are_loaded_where_that_is_allowed(broken: Path) -> None:
    (broken / "model.safetensors").rename(broken / "kept")
    from safetensors.torch import load_file

    torch.save(load_file(broken / "kept"), broken / "pytorch_model.bin")
    with pytest.raises(LoadError, match="use --allow-pickle if you trust its makers"):
        load(broken)
    allowed = hub.Source(allow_pickle=True)
    open_engine(ModelOptions(str(broken), cpu_only=True, source=allowed)).close()
