"""The hubs through their real clients, against a server on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub.machine import Machine, repository
from tests.hub.server import COMMIT

HUBS = ("modelscope", "huggingface")


@pytest.mark.parametrize("hub", HUBS)
def test_a_real_model_is_downloaded_with_what_it_needs_then_taken_from_the_disk(
    hub: str, machine: Machine, tiny_model: Callable[..., Path], tmp_path: Path
) -> None:
    source = tiny_model("qwen2")
    given = tmp_path / "given"
    given.mkdir()
    for file in source.iterdir():
        (given / file.name).symlink_to(file)
    (given / "logo.png").write_bytes(b"png")
    (given / "pytorch_model.bin").write_bytes(b"pickle")
    getattr(machine.server, hub)["Qwen/tiny"] = given
    found = machine.find("Qwen/tiny")
    assert found["name"] == "Qwen/tiny"
    here = {file.name for file in Path(found["path"]).iterdir() if not file.name.startswith(".")}
    assert here == {file.name for file in source.iterdir()}
    for file in source.iterdir():
        assert (Path(found["path"]) / file.name).read_bytes() == file.read_bytes()
    assert f"{len(here)}/{len(here)} files" in found["shown"][-1]
    assert "MiB/s" in found["shown"][-1] and "left" in found["shown"][-1]
    machine.server.requests.clear()
    assert machine.find("Qwen/tiny")["path"] == found["path"]
    assert machine.find("Qwen/tiny", offline=True)["path"] == found["path"]
    assert machine.server.requests == [], "a copy that is whole is used without asking"


def test_modelscope_comes_first_and_prefix_and_flag_choose(
    machine: Machine, tmp_path: Path
) -> None:
    given = repository(tmp_path / "given", model_safetensors=100)
    machine.server.huggingface["some/tiny"] = machine.server.modelscope["some/tiny"] = given
    assert "/huggingface/" in machine.find("hf:some/tiny")["path"]
    assert "/modelscope/" in machine.find("ms:some/tiny")["path"]
    assert "/huggingface/" in machine.find("some/tiny", hub="huggingface")["path"]
    machine.server.huggingface["some/two"] = machine.server.modelscope["some/two"] = given
    assert "/modelscope/" in machine.find("some/two")["path"]


@pytest.mark.parametrize("hub", HUBS)
def test_a_download_that_was_cut_goes_on_where_it_was(
    hub: str, machine: Machine, tmp_path: Path
) -> None:
    size = 11 * 2**20  # Hugging Face's client writes pieces of 10 MiB
    given = repository(tmp_path / "given", model_safetensors=size)
    getattr(machine.server, hub)["some/tiny"] = given
    machine.server.cut["model.safetensors"] = size - 1000
    found = machine.find("some/tiny", hub=hub)
    weights = Path(found["path"]) / "model.safetensors"
    assert weights.read_bytes() == (given / "model.safetensors").read_bytes()
    ranges = [asked for path, asked in machine.server.sent if path == "model.safetensors"]
    assert len(ranges) == 2 and ranges[0] == ""
    assert int(ranges[1].removeprefix("bytes=").rstrip("-").partition("-")[0]) >= 10 * 2**20


@pytest.mark.parametrize("hub", HUBS)
def test_the_next_start_fetches_only_the_files_that_are_missing(
    hub: str, machine: Machine, tmp_path: Path
) -> None:
    parts = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    given = repository(tmp_path / "given", model__1_safetensors=2000, model__2_safetensors=9000)
    (given / "model.safetensors.index.json").write_text(json.dumps(parts))
    getattr(machine.server, hub)["some/tiny"] = given
    # The clients fetch several files at a time: the one that fails is to be the later.
    machine.server.held["model-2.safetensors"] = lambda: machine.has_whole(2000)
    assert "The disk is full" in machine.find("some/tiny", hub=hub, largest_file=5000)["error"]
    machine.server.sent.clear()
    assert "path" in machine.find("some/tiny", hub=hub)
    assert {path for path, _ in machine.server.sent} == {"config.json", "model-2.safetensors"}


@pytest.mark.parametrize("hub", HUBS)
def test_one_file_of_a_gguf_repository_is_downloaded(
    hub: str, machine: Machine, tmp_path: Path
) -> None:
    given = repository(
        tmp_path / "given",
        tiny__Q4_K_M_gguf=1,
        tiny__Q2_gguf=200,
        tiny__Q8__00001__of__00002_gguf=300,
        tiny__Q8__00002__of__00002_gguf=400,
    )
    getattr(machine.server, hub)["some/tiny"] = given
    assert Path(machine.find("some/tiny:q2")["path"]).name == "tiny-Q2.gguf"
    assert {path for path, _ in machine.server.sent} == {"tiny-Q2.gguf"}
    first = Path(machine.find("some/tiny:Q8")["path"])
    assert first.name == "tiny-Q8-00001-of-00002.gguf"
    assert (first.parent / "tiny-Q8-00002-of-00002.gguf").stat().st_size == 400
    error = machine.find("some/tiny:Q6")["error"]
    assert "Q2" in error and "Q8" in error and len(error.splitlines()) == 1


def test_the_error_tells_what_each_hub_said(machine: Machine) -> None:
    machine.server.gated.add("some/gated")
    machine.server.broken.add("some/broken")
    unknown = machine.find("nobody/nothing")
    assert unknown["error"].startswith("nobody/nothing could not be downloaded (ModelScope: no ")
    assert "; Hugging Face: no model" in unknown["error"]
    gated = machine.find("some/gated", hub="huggingface")["error"]
    assert "accept its terms at https://huggingface.co/some/gated" in gated
    assert "token in HF_TOKEN" in gated
    assert "MODELSCOPE_API_TOKEN" in machine.find("some/gated", hub="modelscope")["error"]
    assert "500" in machine.find("some/broken", hub="huggingface")["error"]
    for error in (unknown["error"], unknown["zh"], gated):
        assert len(error.splitlines()) == 1 and len(error) < 400


def test_without_a_network_it_is_one_sentence(machine: Machine) -> None:
    machine.server.address = "http://127.0.0.1:9"  # nobody listens at the discard port
    error = machine.find("some/tiny")["error"]
    assert error.count("cannot be reached") == 2


@pytest.mark.parametrize("hub", HUBS)
def test_a_revision_is_asked_for_by_name(hub: str, machine: Machine, tmp_path: Path) -> None:
    given = repository(tmp_path / "given", model_safetensors=100)
    getattr(machine.server, hub)["some/tiny"] = given
    assert "path" in machine.find("some/tiny", hub=hub, revision="older")
    assert "no model or revision" in machine.find("some/tiny", hub=hub, revision="no")["error"]


def test_offline_asks_nobody(machine: Machine, tmp_path: Path) -> None:
    given = repository(tmp_path / "given", model_safetensors=100)
    machine.server.huggingface["some/tiny"] = given
    error = machine.find("some/tiny", offline=True)["error"]
    assert "--offline asks no hub" in error
    assert machine.server.requests == []


def test_a_copy_that_lacks_a_part_of_the_weights_is_not_taken_for_complete(
    machine: Machine,
) -> None:
    model = machine.home / "huggingface/hub/models--some--tiny"
    folder = repository(model / "snapshots" / COMMIT, model__1_safetensors=1)
    (model / "refs").mkdir()
    (model / "refs/main").write_text(COMMIT)
    parts = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(parts))
    assert "not whole" in machine.find("some/tiny", offline=True)["error"]
    (folder / "model-2.safetensors").write_bytes(b"")
    assert machine.find("some/tiny", offline=True)["path"] == str(folder)


@pytest.mark.parametrize("hub", HUBS)
def test_a_program_that_was_ended_goes_on_within_the_file_when_it_is_started_anew(
    hub: str, machine: Machine, tmp_path: Path
) -> None:
    given = repository(tmp_path / "given", model_safetensors=12 * 2**20)
    getattr(machine.server, hub)["some/tiny"] = given
    machine.server.slow.add("model.safetensors")
    with machine.start("some/tiny", hub=hub) as first:
        until = time.monotonic() + 60
        while sum(file.stat().st_size for file in machine.unfinished()) < 4 * 2**20:
            assert time.monotonic() < until and first.poll() is None
            time.sleep(0.02)
        first.kill()
    machine.server.slow.clear()
    machine.server.sent.clear()
    found = machine.find("some/tiny", hub=hub)
    weights = Path(found["path"]) / "model.safetensors"
    assert weights.read_bytes() == (given / "model.safetensors").read_bytes()
    ((_, asked),) = [sent for sent in machine.server.sent if sent[0] == "model.safetensors"]
    assert int(asked.removeprefix("bytes=").rstrip("-")) >= 4 * 2**20
    assert found["shown"][-1].startswith("downloading 12/12 MiB")
    assert not machine.unfinished()


@pytest.mark.parametrize("hub", HUBS)
def test_a_bit_that_flips_on_the_way_is_found_by_the_checksum(
    hub: str, machine: Machine, tmp_path: Path
) -> None:
    given = repository(tmp_path / "given", model_safetensors=2000)
    getattr(machine.server, hub)["some/tiny"] = given
    machine.server.flipped["model.safetensors"] = 9
    error = machine.find("some/tiny", hub=hub)["error"]
    assert "what it sent of model.safetensors is damaged" in error
    machine.server.flipped.clear()
    weights = Path(machine.find("some/tiny", hub=hub)["path"]) / "model.safetensors"
    assert weights.read_bytes() == (given / "model.safetensors").read_bytes()


@pytest.mark.parametrize("hub", HUBS)
def test_what_the_disk_cannot_take_is_said_before_it_is_downloaded(
    hub: str, machine: Machine, tmp_path: Path
) -> None:
    given = repository(tmp_path / "given")
    with (given / "model.safetensors").open("wb") as weights:
        weights.truncate(4 * 10**12)  # a hole
    getattr(machine.server, hub)["some/large"] = given
    found = machine.find("some/large", hub=hub)
    assert found["error"].startswith("some/large needs 4000.0 GB more, and the disk of ")
    assert {"modelscope": "MODELSCOPE_CACHE", "huggingface": "HF_HOME"}[hub] in found["error"]
    assert "4000.0 GB" in found["zh"]
    assert "model.safetensors" not in {path for path, _ in machine.server.sent}
