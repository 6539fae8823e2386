"""Several chats at once through continuous batching: same texts, nothing mixed, nothing stuck."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch

from chatapp.engines import ModelOptions, open_engine
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.errors import GenerationError, LoadError
from chatapp.events import Event, Finished, TextDelta
from chatapp.messages import Message

WORDS = "fox dog story weather France Paris model assistant".split()


def open_tiny(folder: Path, concurrency: int = 1) -> TransformersEngine:
    options = ModelOptions(str(folder), cpu_only=True, dtype="float32", concurrency=concurrency)
    engine = open_engine(options)
    assert isinstance(engine, TransformersEngine)
    return engine


@pytest.fixture(scope="module")
def batched(tiny_model: Callable[..., Path]) -> Iterator[TransformersEngine]:
    with closing(open_tiny(tiny_model("qwen2"), concurrency=8)) as engine:
        yield engine


@pytest.fixture(scope="module")
def as_on_gpu(tiny_model: Callable[..., Path]) -> Iterator[TransformersEngine]:
    """Batched with transformers' own processors, as where steps are captured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chatapp.engines.transformers.batching.CHOOSING", frozenset())
        engine = open_tiny(tiny_model("qwen2"), concurrency=8)
    with closing(engine):
        yield engine


@pytest.fixture(scope="module")
def alone(tiny_model: Callable[..., Path]) -> Iterator[TransformersEngine]:
    with closing(open_tiny(tiny_model("qwen2"))) as engine:
        yield engine


def answer(
    engine: TransformersEngine,
    number: int,
    cancel: threading.Event | None = None,
    **changes: object,
) -> list[Event]:
    """The answer to a question that no other number has; greedy unless changed."""
    messages = [Message("user", f"{number} {WORDS[number % len(WORDS)]} " * (1 + number % 5))]
    settings = engine.defaults.changed({"temperature": 0, "max_new_tokens": 12} | changes)
    return list(engine.stream(messages, settings, cancel or threading.Event()))


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def at_once(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not any(thread.is_alive() for thread in threads)


def test_thirty_two_chats_at_once_get_the_answers_they_get_alone(
    alone: TransformersEngine, batched: TransformersEngine
) -> None:
    expected = [text_of(answer(alone, number)) for number in range(32)]
    got: dict[int, str] = {}
    at_once(lambda number: got.update({number: text_of(answer(batched, number))}), 32)
    assert [got[number] for number in range(32)] == expected


def test_on_a_gpu_too(alone: TransformersEngine, as_on_gpu: TransformersEngine) -> None:
    expected = [text_of(answer(alone, number)) for number in range(8)]
    got: dict[int, str] = {}
    at_once(lambda number: got.update({number: text_of(answer(as_on_gpu, number))}), 8)
    assert [got[number] for number in range(8)] == expected


@pytest.mark.parametrize("name", ["batched", "as_on_gpu"])
def test_each_request_samples_in_its_own_way(name: str, request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue(name)
    got: dict[int, list[str]] = {}

    def ask(number: int) -> None:
        temperature = 0 if number % 2 else 2
        got[number] = [
            text_of(answer(engine, number, temperature=temperature, seed=seed)) for seed in range(3)
        ]

    at_once(ask, 6)
    assert all(len(set(got[number])) == 1 for number in (1, 3, 5)), "greedy beside the sampled"
    assert all(len(set(got[number])) > 1 for number in (0, 2, 4))


def test_every_setting_and_seed_gives_the_text_it_gives_alone(
    alone: TransformersEngine, batched: TransformersEngine
) -> None:
    each: list[dict[str, object]] = [
        {"temperature": 1, "seed": 5},
        {"temperature": 1, "seed": 6, "top_p": 0.7},
        {"temperature": 1.5, "top_k": 5},
        {"temperature": 1, "min_p": 0.01, "seed": 7},
        {"temperature": 1, "typical_p": 0.8},
        {"repetition_penalty": 1.3},
        {"no_repeat_ngram_size": 2, "max_new_tokens": 40},
        {},
    ]
    expected = [text_of(answer(alone, number, **changes)) for number, changes in enumerate(each)]
    got: dict[int, str] = {}
    at_once(
        lambda number: got.update({number: text_of(answer(batched, number, **each[number]))}), 8
    )
    assert [got[number] for number in range(8)] == expected


def test_what_is_no_number_ends_one_answer_and_not_the_batch(
    tiny_model: Callable[..., Path],
) -> None:
    with closing(open_tiny(tiny_model("llama"), concurrency=4)) as engine:
        expected = text_of(answer(engine, 1))
        weight = engine._model.lm_head.weight
        kept = weight.detach().clone()
        with torch.no_grad():
            weight.fill_(torch.nan)
        with pytest.raises(GenerationError, match="--dtype"):
            answer(engine, 1)
        with torch.no_grad():
            weight.copy_(kept)
        assert text_of(answer(engine, 1)) == expected


def test_a_batch_that_has_failed_is_replaced(tiny_model: Callable[..., Path]) -> None:
    with closing(open_tiny(tiny_model("llama"), concurrency=4)) as engine:
        expected = text_of(answer(engine, 1))

        def fail(*_: object) -> None:
            hook.remove()
            raise RuntimeError("a device-side assert")

        hook = engine._model.register_forward_pre_hook(fail)
        with pytest.raises(GenerationError, match="device-side"):
            answer(engine, 1)
        assert text_of(answer(engine, 1)) == expected


def test_cancelling_one_leaves_the_others(
    alone: TransformersEngine, batched: TransformersEngine
) -> None:
    expected = text_of(answer(alone, 1, max_new_tokens=60))
    cancel = threading.Event()
    got: dict[int, list[Event]] = {}

    def ask(number: int) -> None:
        if number == 1:
            got[1] = answer(batched, 1, max_new_tokens=60)
            return
        events: list[Event] = []
        settings = batched.defaults.changed({"temperature": 0, "max_new_tokens": 400})
        for event in batched.stream([Message("user", "fox")], settings, cancel):
            events.append(event)
            if isinstance(event, TextDelta):
                cancel.set()
        got[0] = events

    at_once(ask, 2)
    assert isinstance(got[0][-1], Finished)
    assert got[0][-1].reason == "stopped"
    assert text_of(got[1]) == expected


def test_a_stop_text_ends_a_batched_answer(batched: TransformersEngine) -> None:
    whole = text_of(answer(batched, 3, max_new_tokens=30))
    word = whole[5:8]
    cut = answer(batched, 3, max_new_tokens=30, stop=(word,))
    assert text_of(cut) == whole[: whole.index(word)]
    assert isinstance(cut[-1], Finished)
    assert cut[-1].reason == "stop"


def test_what_batching_lacks_on_a_gpu_is_answered_alone_in_between(
    alone: TransformersEngine, as_on_gpu: TransformersEngine
) -> None:
    changes = {"repetition_penalty": 1.3}
    expected = text_of(answer(alone, 2, **changes))
    plain = [text_of(answer(alone, number)) for number in range(6)]
    got: dict[int, str] = {}

    def ask(number: int) -> None:
        own = changes if number == 6 else {}
        got[number] = text_of(answer(as_on_gpu, 2 if number == 6 else number, **own))

    at_once(ask, 7)
    assert got[6] == expected
    assert [got[number] for number in range(6)] == plain


def test_a_seed_holds_for_what_is_answered_alone(as_on_gpu: TransformersEngine) -> None:
    changes = {"temperature": 1, "min_p": 0.01, "seed": 5}
    assert text_of(answer(as_on_gpu, 1, **changes)) == text_of(answer(as_on_gpu, 1, **changes))


def test_the_ninth_of_eight_sees_a_place_in_line(batched: TransformersEngine) -> None:
    cancel = threading.Event()
    settings = batched.defaults.changed({"temperature": 0, "max_new_tokens": 400})
    streams = [batched.stream([Message("user", "fox")], settings, cancel) for _ in range(9)]
    first = [next(stream) for stream in streams]
    assert getattr(first[-1], "stage", "") == "queued"
    assert getattr(first[-1], "done", 0) == 1
    cancel.set()
    for stream in streams:
        *_, last = stream
        assert isinstance(last, Finished)


def test_the_person_is_told_what_batching_costs(batched: TransformersEngine) -> None:
    assert "notice-batching" in [notice.key for notice in batched.notices]


def test_a_model_that_cannot_be_batched_is_refused(tiny_model: Callable[..., Path]) -> None:
    with pytest.raises(LoadError, match="leave --concurrency out"):
        open_tiny(tiny_model("recurrent"), concurrency=2)
