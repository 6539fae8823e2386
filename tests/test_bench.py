"""The benchmark works: a quick run on a tiny model gives tables, a JSON file and a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.__main__ import main
from tests.bench.sizes import FULL
from tests.bench.values import Requirement, Rounds, ratios

IN_PROCESS = [
    *("decode", "turns", "history", "document", "crowd", "lookup", "stop", "load", "conversations")
]


def test_a_quick_run_of_a_tiny_model(
    tiny_model: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So that a prompt as short as a tiny model's is still read in several chunks.
    monkeypatch.setattr("chatapp.engines.transformers.generation.PROMPT_CHUNK", 64)
    model = ["-c", str(tiny_model("qwen2")), "--dtype", "float32"]
    assert (
        main(
            ["--quick", "--output", str(tmp_path), "--without-serve", *model, "--only", *IN_PROCESS]
        )
        == 0
    )
    shown = capsys.readouterr()
    assert f"[1/{len(IN_PROCESS)}] decode:" in shown.err
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((tmp_path / "benchmark.json").read_text(encoding="utf-8"))
    assert [each["name"] for each in found["measures"]] == IN_PROCESS
    for measure in found["measures"]:
        assert measure["figures"], measure["notes"]
        assert all(value > 0 for figure in measure["figures"] for value in figure["values"])
        for required in measure["requirements"]:
            assert math.isfinite(required["median"])
            assert required["text"] in shown.out


def test_a_model_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", str(tmp_path / "nothing"), "--output", str(tmp_path)]) == 1
    assert "nothing" in capsys.readouterr().err
    assert not (tmp_path / "benchmark.json").exists()


def test_a_ratio_is_one_round_s() -> None:
    rounds = Rounds()
    for ours, theirs in [(10, 5), (2, 1), (100, 25)]:
        rounds.add("ours", ours)
        rounds.add("theirs", theirs)
    found = ratios(rounds.values("ours"), rounds.values("theirs"))
    assert found == (2, 2, 4)
    assert Requirement("", found, 2, at_least=True).is_met
    assert not Requirement("", found, 1.9, at_least=False).is_met


def test_lengths_keep_within_a_short_context() -> None:
    sizes = FULL.within(2048)
    assert sizes.history + sizes.decode < 2048
    assert sizes.document + sizes.document_turns * (sizes.document_answer + 40) < 2048
    assert sizes.turns * (sizes.turn_answer + 40) < 2048
    assert FULL.within(None) == FULL


def test_the_readme_tells_of_the_stored_run(here: Path) -> None:
    found = json.loads((here / "docs/benchmark.json").read_text(encoding="utf-8"))
    assert report.in_readme(found) in (here / "README.md").read_text(encoding="utf-8"), (
        "run: python -m tests.bench --readme"
    )
