"""The prefix cache: what it saves, that nobody can tell from the text, and what it may hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from chatapp import hub
from chatapp.chat import initial_settings, respond
from chatapp.engines import Engine, ModelOptions, open_engine
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.errors import GenerationError
from chatapp.events import Finished
from chatapp.messages import Conversation
from tests.tiny_models import FAMILIES

SMALL_CHUNK = 16
CROPPABLE = {"qwen2", "llama", "glm", "base"}
"""Families whose whole cache is full attention."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that short prompts are read in several."""
    monkeypatch.setattr("chatapp.engines.transformers.generation.PROMPT_CHUNK", SMALL_CHUNK)


def open_tiny(folder: Path, prefix_cache: int | None = None) -> TransformersEngine:
    options = ModelOptions(str(folder), cpu_only=True, dtype="float32", prefix_cache=prefix_cache)
    engine = open_engine(options)
    assert isinstance(engine, TransformersEngine)
    return engine


class Chat:
    """A conversation with an engine, greedy unless said otherwise."""

    def __init__(self, engine: Engine, system: str = "You are a helpful assistant.") -> None:
        self._engine = engine
        self.conversation = Conversation(system)
        self.texts: list[str] = []
        self.cached: list[int] = []
        self.read: list[int] = []

    def ask(self, question: str, stop_after: int | None = None, **changes: str) -> None:
        self.conversation.ask(question)
        self.answer(stop_after, **changes)

    def answer(
        self, stop_after: int | None = None, seed: int | None = None, **changes: str
    ) -> None:
        settings = initial_settings(
            self._engine, {"temperature": "0", "max_new_tokens": "12"} | changes
        )
        cancel = threading.Event()
        for count, event in enumerate(  # noqa: B007  the last is looked at
            respond(self._engine, self.conversation, settings, cancel, seed=seed)
        ):
            if count == stop_after:
                cancel.set()
        assert isinstance(event, Finished)
        self.cached.append(event.usage.cached_tokens)
        self.read.append(event.usage.prompt_tokens - event.usage.cached_tokens)
        answer = self.conversation.answer
        self.texts.append(answer.content if answer else "")


def everything(engine: Engine) -> list[str]:
    """All that one does with a conversation, and what was said."""
    first, second = Chat(engine), Chat(engine)
    first.ask("Tell me about the quick brown fox and the lazy dog.")
    first.ask("And then?")
    second.ask("你好，世界！今天天气怎么样？")
    first.ask("Why is that?")
    first.answer()  # regenerate
    first.conversation.undo()
    first.ask("Why was that so, please?")  # edit
    second.ask("再见")
    first.conversation.undo()
    first.conversation.undo()
    first.ask("Another question.")
    return first.texts + second.texts


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_nobody_can_tell_from_the_text(tiny_model: Callable[..., Path], family: str) -> None:
    with (
        closing(open_tiny(tiny_model(family))) as with_cache,
        closing(open_tiny(tiny_model(family), prefix_cache=0)) as without,
    ):
        assert everything(with_cache) == everything(without)


@pytest.fixture
def qwen(tiny_model: Callable[..., Path]) -> Iterator[TransformersEngine]:
    with closing(open_tiny(tiny_model("qwen2"))) as engine:
        yield engine


@pytest.mark.parametrize("family", sorted(CROPPABLE))
def test_the_next_turn_reads_only_what_is_new(tiny_model: Callable[..., Path], family: str) -> None:
    with closing(open_tiny(tiny_model(family))) as engine:
        chat = Chat(engine)
        chat.ask("The quick brown fox jumps over the lazy dog. " * 8, max_new_tokens="3")
        chat.ask("And then?", max_new_tokens="3")
        assert chat.cached[0] == 0
        assert chat.read[1] < chat.read[0] / 2


def test_regenerate_and_undo_read_at_most_a_chunk_again(qwen: TransformersEngine) -> None:
    chat = Chat(qwen)
    chat.ask("The quick brown fox jumps over the lazy dog. " * 3)
    chat.answer()
    assert chat.read[-1] <= SMALL_CHUNK
    chat.ask("And then?")
    chat.conversation.undo()
    chat.answer()
    assert chat.read[-1] <= SMALL_CHUNK


def test_a_stopped_answer_keeps_its_prefix(qwen: TransformersEngine) -> None:
    chat = Chat(qwen)
    chat.ask("The quick brown fox jumps over the lazy dog. " * 3, stop_after=14)
    chat.ask("And then?")
    assert chat.cached[-1] > chat.read[-1]


def test_two_conversations_share_a_long_system_prompt(qwen: TransformersEngine) -> None:
    system = "You are a helpful assistant. Tell me a story, please. " * 5
    first, second = Chat(qwen, system), Chat(qwen, system)
    first.ask("The quick brown fox?")
    second.ask("The lazy dog?")
    assert second.cached[0] > second.read[0]
    first.ask("And then?")
    assert first.cached[-1] > first.read[-1], "it has not lost its own"


def test_several_conversations_keep_theirs(qwen: TransformersEngine) -> None:
    chats = [Chat(qwen, f"{number} " * 40) for number in range(5)]
    for question in ("The quick brown fox jumps.", "And then?"):
        for chat in chats:
            chat.ask(question, max_new_tokens="3")
    assert all(chat.cached[1] > chat.read[1] for chat in chats)


def test_the_cache_stays_within_its_budget(tiny_model: Callable[..., Path]) -> None:
    budget = 200_000
    with closing(open_tiny(tiny_model("qwen2"), prefix_cache=budget)) as engine:
        prefixes = engine._generator._prefixes
        sizes = []
        for number in range(8):
            Chat(engine, f"{number} " * 30).ask("The quick brown fox jumps over the lazy dog.")
            sizes.append(prefixes.size)
        assert 0 < max(sizes) <= budget
        assert 0 < len(prefixes) < 8, "the least recently used went"


def test_without_a_budget_nothing_is_kept(tiny_model: Callable[..., Path]) -> None:
    with closing(open_tiny(tiny_model("qwen2"), prefix_cache=0)) as engine:
        chat = Chat(engine)
        chat.ask("The quick brown fox")
        chat.ask("And then?")
        assert chat.cached == [0, 0]
        assert len(engine._generator._prefixes) == 0


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory.")])
def test_out_of_memory_empties_the_cache_before_anything_fails(
    qwen: TransformersEngine, error: BaseException
) -> None:
    expected = Chat(qwen)
    expected.ask("And then?")
    other = Chat(qwen, "Another system prompt, to be kept.")
    other.ask("The quick brown fox")
    full = [True]

    def fail(module: object, args: object, kwargs: dict[str, Any]) -> None:
        if full:
            full.clear()
            raise error

    hook = qwen._model.register_forward_pre_hook(fail, with_kwargs=True)
    try:
        chat = Chat(qwen)
        chat.ask("And then?")
    finally:
        hook.remove()
    assert chat.texts == expected.texts
    assert len(qwen._generator._prefixes) == 1, "only what came after"


def test_a_failure_leaves_no_half_read_prefix(qwen: TransformersEngine) -> None:
    chat = Chat(qwen)
    chat.ask("The quick brown fox jumps over the lazy dog. " * 3)

    def fail(module: object, args: object, output: object) -> None:
        raise RuntimeError("half way")

    layer = qwen._model.get_decoder().layers[0]
    hook = layer.register_forward_hook(fail)
    try:
        with pytest.raises(GenerationError):
            chat.ask("And then?")
    finally:
        hook.remove()
    chat.conversation.undo()
    chat.ask("And then?")
    fresh = Chat(qwen)
    fresh.ask("The quick brown fox jumps over the lazy dog. " * 3)
    fresh.ask("And then?")
    assert chat.texts[-1] == fresh.texts[-1]


def test_a_seed_gives_the_same_text_whatever_is_cached(session_cache: Path) -> None:
    """In bfloat16, whose rounding shows every difference in how a prompt was read."""
    options = ModelOptions(hub.DEMO, engine="transformers", cpu_only=True)
    with closing(open_engine(options)) as engine:
        runs = []
        for _ in range(2):
            chat = Chat(engine)
            for question in ("What is the capital of France?", "Tell me a story about it."):
                chat.ask(question, temperature="0.9", max_new_tokens="24")
            said = chat.conversation.answer
            assert said is not None and said.record is not None and said.record.finished is not None
            chat.answer(seed=said.record.finished.seed, temperature="0.9", max_new_tokens="24")
            assert chat.texts[-1] == chat.texts[-2], "replayed"
            runs.append(chat.texts)
        assert runs[0] == runs[1]
