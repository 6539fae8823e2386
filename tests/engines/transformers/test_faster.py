"""Guessing ahead and other caches: the same text, a prefix cache that stays right, refusals."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from chatapp.chat import initial_settings, respond
from chatapp.engines import ModelOptions, open_engine
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.errors import LoadError
from chatapp.events import Finished, Progress
from chatapp.messages import Conversation
from tests import tiny_models
from tests.engines.transformers.asking import ask

QUESTIONS = (
    "The quick brown fox jumps over the lazy dog. " * 6 + "Say that again, please.",
    "And then? The quick brown fox jumps over the lazy dog.",
    "你好，世界！",
)
FAMILIES = ["qwen2", "llama", "gemma", "sliding"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatapp.engines.transformers.generation.PROMPT_CHUNK", 16)


def open_tiny(folder: Path, **how: Any) -> TransformersEngine:
    engine = open_engine(ModelOptions(str(folder), cpu_only=True, dtype="float32", **how))
    assert isinstance(engine, TransformersEngine)
    return engine


def talk(engine: TransformersEngine) -> tuple[list[str], list[int]]:
    """A conversation of some turns, one of them regenerated: texts, and tokens reused."""
    settings = initial_settings(engine, {"temperature": "0", "max_new_tokens": "12"})
    conversation = Conversation("Be brief.")
    answers = [ask(engine, question, settings, conversation) for question in QUESTIONS]
    conversation.undo()
    answers.append(ask(engine, QUESTIONS[-1], settings, conversation))
    return [each.text for each in answers], [each.finished.usage.cached_tokens for each in answers]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_text_is_that_of_the_plain_way(
    tiny_model: Callable[..., Path], family: str, tmp_path: Path
) -> None:
    folder = tiny_model(family)
    draft = tiny_models.build(family, tmp_path, {"num_hidden_layers": 1, "layer_types": None})
    with closing(open_tiny(folder, prefix_cache=0)) as plain:
        expected, _ = talk(plain)
    for how in ({"prompt_lookup": 4}, {"draft_model": str(draft)}):
        with closing(open_tiny(folder, **how)) as engine:
            said, cached = talk(engine)
        assert said == expected, how
        assert family in ("gemma", "sliding") or cached[1] > 0, "prefixes are kept"


@pytest.mark.parametrize("how", [{"prompt_lookup": 4}, {"draft_model": "itself"}])
def test_what_is_stopped_in_the_middle_leaves_no_guess_behind(
    tiny_model: Callable[..., Path], how: dict[str, Any]
) -> None:
    folder = tiny_model("qwen2")
    if "draft_model" in how:
        how = {"draft_model": str(folder)}
    with closing(open_tiny(folder, prefix_cache=0)) as plain:
        settings = initial_settings(plain, {"temperature": "0", "max_new_tokens": "24"})
        conversation = Conversation("Be brief.")
        first = ask(plain, QUESTIONS[0], settings, conversation).text
        expected = ask(plain, QUESTIONS[1], settings, conversation).text
    with closing(open_tiny(folder, **how)) as engine:
        for stop in (first[3:5], first[7:9], first[10:11]):
            stopped = settings.changed({"stop": [stop]})
            ask(engine, QUESTIONS[0], stopped)
        for after in (0, 1, 3, 5, 8):
            cancel = threading.Event()
            conversation = Conversation("Be brief.")
            conversation.ask(QUESTIONS[0])
            spoken = 0
            if after == 0:
                cancel.set()
            for event in respond(engine, conversation, settings, cancel):
                spoken += not isinstance(event, Progress)
                if spoken == after:
                    cancel.set()
        conversation = Conversation("Be brief.")
        assert ask(engine, QUESTIONS[0], settings, conversation).text == first
        assert ask(engine, QUESTIONS[1], settings, conversation).text == expected


def test_a_long_prompt_is_read_in_chunks(tiny_model: Callable[..., Path]) -> None:
    with closing(open_tiny(tiny_model("qwen2"), prompt_lookup=3)) as engine:
        settings = initial_settings(engine, {"max_new_tokens": "2"})
        conversation = Conversation("Be brief.")
        conversation.ask(QUESTIONS[0])
        events = list(respond(engine, conversation, settings, threading.Event()))
        read = {event.done for event in events if isinstance(event, Progress)}
        assert len(read) > 4
        assert isinstance(events[-1], Finished)


def test_guessing_right_takes_fewer_steps(tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("qwen2")
    steps = {}
    for draft in (None, str(folder)):
        with closing(open_tiny(folder, draft_model=draft)) as engine:
            settings = initial_settings(engine, {"temperature": "0", "max_new_tokens": "24"})
            count: list[object] = []
            engine._model.register_forward_pre_hook(lambda *_, count=count: count.append(None))
            answer = ask(engine, "And then?", settings)
            steps[draft] = len(count)
            assert answer.completion == 24
    assert steps[str(folder)] < steps[None] * 0.7


def test_a_seed_gives_the_same_text_twice(tiny_model: Callable[..., Path]) -> None:
    with closing(open_tiny(tiny_model("qwen2"), prompt_lookup=3, prefix_cache=0)) as engine:
        settings = initial_settings(engine, {"temperature": "1", "max_new_tokens": "12"})
        assert ask(engine, "Hi", settings).text == ask(engine, "Hi", settings).text


def test_a_recurrent_model_cannot_guess(tiny_model: Callable[..., Path]) -> None:
    with pytest.raises(LoadError, match="cannot use --prompt-lookup: its state"):
        open_tiny(tiny_model("recurrent"), prompt_lookup=3)
    with pytest.raises(LoadError, match="cannot use --draft-model: its state"):
        open_tiny(tiny_model("qwen2"), draft_model=str(tiny_model("recurrent")))


def test_a_draft_model_with_other_tokens_is_refused(tiny_model: Callable[..., Path]) -> None:
    with pytest.raises(LoadError, match="has other tokens than the model"):
        open_tiny(tiny_model("qwen2"), draft_model=str(tiny_model("llama")))


@pytest.mark.parametrize(
    "how",
    [
        {"prompt_lookup": 3, "draft_model": "x"},
        {"prompt_lookup": 3, "concurrency": 2},
        {"prompt_lookup": 3, "kv_cache": "quantized"},
    ],
)
def test_ways_that_do_not_go_together_are_refused(
    tiny_model: Callable[..., Path], how: dict[str, Any]
) -> None:
    with pytest.raises(LoadError, match="do not work together"):
        open_tiny(tiny_model("qwen2"), **how)


def test_a_quantised_cache_names_its_library(tiny_model: Callable[..., Path]) -> None:
    if importlib.util.find_spec("hqq") or importlib.util.find_spec("optimum"):
        pytest.skip("a library for it is installed")
    with pytest.raises(LoadError, match="python -m pip install optimum-quanto"):
        open_tiny(tiny_model("qwen2"), kv_cache="quantized")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_compiling_needs_a_gpu(tiny_model: Callable[..., Path]) -> None:
    with pytest.raises(LoadError, match="--compile is for GPUs with CUDA"):
        open_tiny(tiny_model("qwen2"), compile=True)
