"""Several chats at once through continuous batching: same texts, nothing mixed, nothing stuck."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatapp.engines import ModelOptions, open_engine
from chatapp.engines.transformers.engine import TransformersEngine
from chatapp.errors import LoadError
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


def test_each_request_samples_in_its_own_way(batched: TransformersEngine) -> None:
    got: dict[int, list[str]] = {}

    def ask(number: int) -> None:
        temperature = 0 if number % 2 else 2
        got[number] = [text_of(answer(batched, number, temperature=temperature)) for _ in range(3)]

    at_once(ask, 6)
    assert all(len(set(got[number])) == 1 for number in (1, 3, 5)), "greedy beside the sampled"
    assert all(len(set(got[number])) > 1 for number in (0, 2, 4))


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


def test_what_batching_lacks_is_answered_alone_in_between(
    alone: TransformersEngine, batched: TransformersEngine
) -> None:
    changes = {"repetition_penalty": 1.3}
    expected = text_of(answer(alone, 2, **changes))
    plain = [text_of(answer(alone, number)) for number in range(6)]
    got: dict[int, str] = {}

    def ask(number: int) -> None:
        own = changes if number == 6 else {}
        got[number] = text_of(answer(batched, 2 if number == 6 else number, **own))

    at_once(ask, 7)
    assert got[6] == expected
    assert [got[number] for number in range(6)] == plain


def test_a_seed_holds_for_what_is_answered_alone(batched: TransformersEngine) -> None:
    changes = {"temperature": 1, "min_p": 0.01, "seed": 5}
    assert text_of(answer(batched, 1, **changes)) == text_of(answer(batched, 1, **changes))


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
