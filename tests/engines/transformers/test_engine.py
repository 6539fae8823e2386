"""TransformersEngine on tiny models: families, failures, long prompts, the process's own state."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch

from chatapp.chat import initial_settings, respond
from chatapp.engines import ModelOptions, open_engine
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.errors import GenerationError
from chatapp.events import ChatEvent, Event, Finished, Progress, TextDelta, TurnsLeftOut
from chatapp.messages import Conversation, Message
from tests.tiny_models import FAMILIES


def open_tiny(folder: Path) -> TransformersEngine:
    engine = open_engine(ModelOptions(str(folder), cpu_only=True, dtype="float32"))
    assert isinstance(engine, TransformersEngine)
    return engine


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def family(
    request: pytest.FixtureRequest, tiny_model: Callable[..., Path]
) -> Iterator[TransformersEngine]:
    with closing(open_tiny(tiny_model(request.param))) as engine:
        yield engine


@pytest.fixture(scope="module")
def qwen(tiny_model: Callable[..., Path]) -> Iterator[TransformersEngine]:
    with closing(open_tiny(tiny_model("qwen2"))) as engine:
        yield engine


def ask(
    engine: TransformersEngine, conversation: Conversation, question: str, **changes: str
) -> list[ChatEvent]:
    conversation.ask(question)
    settings = initial_settings(engine, {"temperature": "1", "max_new_tokens": "16"} | changes)
    return list(respond(engine, conversation, settings, threading.Event()))


def test_a_chat_in_chinese_runs_on_every_family(family: TransformersEngine) -> None:
    conversation = Conversation("你是一个助手。")
    for question in ("你好", "再说一次"):
        events = ask(family, conversation, question)
        assert isinstance(events[-1], Finished)
    assert [message.role for message in conversation.path] == ["user", "assistant"] * 2

    cancel = threading.Event()
    conversation.ask("你好")
    settings = initial_settings(family, {"temperature": "1", "max_new_tokens": "300"})
    for event in respond(family, conversation, settings, cancel):
        if isinstance(event, TextDelta):
            cancel.set()
    assert isinstance(event, Finished)
    assert event.reason == "stopped"


def test_a_prompt_of_several_chunks_gives_the_same_text_on_every_family(
    family: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [Message("user", "The quick brown fox. " * 20)]
    settings = family.defaults.changed({"temperature": 0, "max_new_tokens": 8})

    def read_and_answer(chunk: int) -> tuple[str, list[Progress]]:
        monkeypatch.setattr("chatapp.engines.transformers.generation.PROMPT_CHUNK", chunk)
        events = list(family.stream(messages, settings, threading.Event()))
        progress = [each for each in events if isinstance(each, Progress) and each.total]
        return "".join(each.text for each in events if isinstance(each, TextDelta)), progress

    whole, _ = read_and_answer(100_000)
    chunked, progress = read_and_answer(16)
    assert chunked == whole
    done = [each.done for each in progress if each.stage == "reading"]
    assert done == sorted(done)
    if family._generator.keeps_prefixes:
        assert len(set(done)) > 3, "the progress moves"


def test_cancelling_while_a_long_prompt_is_read_ends_it_within_a_chunk(
    qwen: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatapp.engines.transformers.generation.PROMPT_CHUNK", 4)
    cancel = threading.Event()
    events: list[Event] = []
    for event in qwen.stream([Message("user", "fox " * 100)], qwen.defaults, cancel):
        events.append(event)
        if isinstance(event, Progress) and event.stage == "reading" and event.done >= 8:
            cancel.set()
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stopped"
    assert events[-1].usage.completion_tokens == 0
    last = [each.done for each in events if isinstance(each, Progress)][-1]
    assert last < events[-1].usage.prompt_tokens


def test_stop_while_a_prompt_is_read_waits_for_a_layer_and_not_for_the_chunk(
    qwen: TransformersEngine,
) -> None:
    cancel = threading.Event()
    layers = qwen._model.get_decoder().layers
    reached: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda *_, index=index: (reached.append(index), cancel.set()))
        for index, layer in enumerate(layers)
    ]
    question = [Message("user", "The quick brown fox jumps over the lazy dog. " * 5)]
    settings = qwen.defaults.changed({"temperature": 0, "max_new_tokens": 8})
    try:
        *_, stopped = qwen.stream(question, settings, cancel)
    finally:
        for hook in hooks:
            hook.remove()
    assert isinstance(stopped, Finished)
    assert (stopped.reason, reached) == ("stopped", [0])

    def answer() -> str:
        events = qwen.stream(question, settings, threading.Event())
        return "".join(event.text for event in events if isinstance(event, TextDelta))

    after_the_stop = answer()
    qwen._generator._prefixes.clear()
    assert after_the_stop == answer(), "no half-read layer is reused"


ERRORS = [
    ValueError("bad value"),
    RuntimeError("CUDA error: device-side assert triggered"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
    MemoryError(),
    KeyboardInterrupt(),
    SystemExit(3),
    StopIteration(),
    GeneratorExit(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_generate_raises_anywhere_reaches_the_reader_at_once(
    qwen: TransformersEngine, error: BaseException
) -> None:
    for position in range(20):
        calls, raised_at = 0, 0.0

        def fail(*_: object, position: int = position) -> None:
            nonlocal calls, raised_at
            calls += 1
            if calls > position:
                raised_at = time.monotonic()
                raise error

        conversation = Conversation()
        hook = qwen._model.register_forward_pre_hook(fail)
        try:
            with pytest.raises(GenerationError) as caught:
                ask(qwen, conversation, "hello", seed="2", max_new_tokens="40")
        finally:
            hook.remove()
        late = time.monotonic() - raised_at
        assert late < 0.5, "by an event, not by a timeout"
        out_of_memory = isinstance(error, MemoryError) or "memory" in str(error)
        assert (caught.value.sentence.key == "out-of-memory") == out_of_memory
        answer = conversation.answer
        assert (answer is not None) == (position > 0), "what was said is kept"
        assert isinstance(ask(qwen, conversation, "and now?")[-1], Finished), "the next one works"


def cancel_at_random(engine: TransformersEngine, times: int) -> None:
    """Cancel answers at random moments; after each the engine must be as if nothing had been."""
    whim = random.Random(7)
    settings = engine.defaults.changed({"temperature": 1, "max_new_tokens": 200, "seed": 3})
    messages = [Message("user", "Tell me a story, please.")]
    threads = threading.active_count()
    whole = "".join(
        event.text
        for event in engine.stream(messages, settings, threading.Event())
        if isinstance(event, TextDelta)
    )
    cancel = threading.Event()
    late = 0

    def count_late(*_: object) -> None:
        nonlocal late
        late += cancel.is_set()

    hook = engine._model.register_forward_hook(count_late)
    try:
        for _ in range(times):
            cancel, late = threading.Event(), 0
            timer = threading.Timer(whim.random() * 0.03, cancel.set)
            timer.start()
            said = ""
            for event in engine.stream(messages, settings, cancel):
                said += event.text if isinstance(event, TextDelta) else ""
            timer.join()
            assert isinstance(event, Finished)
            assert whole.startswith(said), "what it says is what it says uncancelled"
            assert late <= 1, "at most the token under way is finished"
    finally:
        hook.remove()
    assert threading.active_count() <= threads + 1


def test_cancelling_at_any_moment_leaves_no_trace(qwen: TransformersEngine) -> None:
    cancel_at_random(qwen, 200)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_thousand_cancels_leave_no_trace(qwen: TransformersEngine) -> None:
    cancel_at_random(qwen, 10_000)


@pytest.mark.parametrize("temperature", ["0", "1"])
def test_weights_that_give_no_numbers_are_a_sentence(
    tiny_model: Callable[..., Path], temperature: str
) -> None:
    with closing(open_tiny(tiny_model("llama"))) as engine:
        with torch.no_grad():
            engine._model.get_output_embeddings().weight.fill_(float("nan"))
        with pytest.raises(GenerationError, match="--dtype"):
            ask(engine, Conversation(), "hello", temperature=temperature)


def test_the_random_numbers_of_the_process_are_its_own(qwen: TransformersEngine) -> None:
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    ask(qwen, Conversation(), "hello", seed="5")
    assert torch.equal(torch.rand(3), expected)


def test_one_thread_does_all_the_inference(qwen: TransformersEngine) -> None:
    seen: set[int] = set()
    hook = qwen._model.register_forward_pre_hook(lambda *_: seen.add(threading.get_ident()))
    try:
        for _ in range(3):
            ask(qwen, Conversation(), "hello")
    finally:
        hook.remove()
    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_the_oldest_turns_are_left_out_when_the_context_is_full(qwen: TransformersEngine) -> None:
    conversation = Conversation("Be brief.")
    left_out = 0
    for turn in range(12):
        events = ask(qwen, conversation, f"question {turn} about the quick brown fox")
        left_out = next((each.count for each in events if isinstance(each, TurnsLeftOut)), left_out)
        finished = events[-1]
        assert isinstance(finished, Finished)
        assert qwen.context_length is not None
        assert finished.usage.total_tokens <= qwen.context_length
    assert left_out > 0
    assert conversation.turn == 12, "the conversation itself stays whole"


def test_the_models_own_recommendation_is_the_default(tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("qwen2", do_sample=True, temperature=0.3, top_k=7, repetition_penalty=1.1)
    with closing(open_tiny(folder)) as engine:
        assert engine.defaults.temperature == 0.3
        assert engine.defaults.top_k == 7
        assert engine.defaults.repetition_penalty == 1.1
        assert engine.defaults.do_sample


def test_without_a_recommendation_generates_own_defaults_count(qwen: TransformersEngine) -> None:
    assert qwen.defaults.greedy
    assert qwen.defaults.top_k == 50
