"""What every engine promises (engines.Engine): the same cases through each of them.

The real engines run a tiny model of random weights, and the demo model.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatapp import hub
from chatapp.engines import Engine, ModelOptions, open_engine
from chatapp.engines.scripted import ScriptedEngine
from chatapp.errors import LoadError, SettingError
from chatapp.events import Event, Finished, Progress, ReasoningDelta, TextDelta
from chatapp.messages import Message
from chatapp.settings import SETTING_NAMES, GenerationSettings, check_supported

QUESTION = [
    Message("system", "You are a helpful assistant."),
    Message("user", "Tell me a long story about a fox."),
]


def open_scripted(tiny_model: Callable[..., Path]) -> Engine:
    return ScriptedEngine(seconds_per_token=0.001)


def open_tiny(tiny_model: Callable[..., Path]) -> Engine:
    return open_engine(ModelOptions(str(tiny_model("qwen2")), cpu_only=True, dtype="float32"))


def open_llamacpp(tiny_model: Callable[..., Path]) -> Engine:
    return open_engine(ModelOptions(hub.DEMO, engine="llamacpp", cpu_only=True, concurrency=2))


def open_demo_in_transformers(tiny_model: Callable[..., Path]) -> Engine:
    return open_engine(ModelOptions(hub.DEMO, engine="transformers", cpu_only=True))


@pytest.fixture(
    scope="module", params=[open_scripted, open_tiny, open_llamacpp, open_demo_in_transformers]
)
def engine(
    request: pytest.FixtureRequest, tiny_model: Callable[..., Path], session_cache: Path
) -> Iterator[Engine]:
    try:
        opened = request.param(tiny_model)
    except LoadError as error:
        pytest.skip(str(error))
    with closing(opened):
        yield opened


def settings(engine: Engine, **changes: object) -> GenerationSettings:
    """Sampling at full temperature: random weights have no favourites."""
    return engine.defaults.changed({"temperature": 1, "max_new_tokens": 24, **changes})


def answer(
    engine: Engine, settings: GenerationSettings, cancel: threading.Event | None = None
) -> list[Event]:
    return list(engine.stream(QUESTION, settings, cancel or threading.Event()))


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta | ReasoningDelta))


def finish_of(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def test_a_stream_ends_with_its_one_finished(engine: Engine) -> None:
    events = answer(engine, settings(engine))
    assert sum(isinstance(event, Finished) for event in events) == 1
    finished = finish_of(events)
    assert finished.reason in ("stop", "length")
    assert finished.timings.first_token is not None
    assert 0 < finished.timings.first_token <= finished.timings.total


def test_the_prompt_counted_beforehand_is_the_prompt_sent(engine: Engine) -> None:
    finished = finish_of(answer(engine, settings(engine)))
    assert finished.usage.prompt_tokens == engine.count_tokens(QUESTION)


def test_an_answer_is_no_longer_than_max_new_tokens(engine: Engine) -> None:
    finished = finish_of(answer(engine, settings(engine, max_new_tokens=3, seed=5)))
    assert finished.usage.completion_tokens <= 3
    assert finished.reason == "length" or finished.usage.completion_tokens < 3


def test_the_same_seed_gives_the_same_text_and_another_gives_another(engine: Engine) -> None:
    first, same, other = (
        answer(engine, settings(engine, seed=seed, max_new_tokens=40)) for seed in (7, 7, 8)
    )
    assert text_of(first) == text_of(same) != text_of(other)
    assert finish_of(first).seed == 7


def test_temperature_0_does_not_depend_on_the_seed(engine: Engine) -> None:
    greedy = [settings(engine, temperature=0, seed=seed) for seed in (1, 2)]
    assert text_of(answer(engine, greedy[0])) == text_of(answer(engine, greedy[1]))


def test_two_chats_at_once_do_not_disturb_each_other(engine: Engine) -> None:
    chosen = [settings(engine, seed=seed, max_new_tokens=40) for seed in (11, 12)]
    alone = [text_of(answer(engine, each)) for each in chosen]
    together: dict[int, str] = {}

    def run(index: int) -> None:
        together[index] = text_of(answer(engine, chosen[index]))

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [together[0], together[1]] == alone


def test_cancel_ends_the_stream_and_the_next_question_works(engine: Engine) -> None:
    cancel = threading.Event()
    events: list[Event] = []
    after = 0
    for event in engine.stream(QUESTION, settings(engine, max_new_tokens=400), cancel):
        events.append(event)
        after += cancel.is_set() and isinstance(event, TextDelta)
        if len([each for each in events if isinstance(each, TextDelta)]) == 3:
            cancel.set()
    assert finish_of(events).reason == "stopped"
    assert after <= 2, "a token may be under way, and one in the reader's hands"
    assert finish_of(answer(engine, settings(engine))).reason in ("stop", "length")


def test_a_stream_cancelled_before_it_begins_says_nothing(engine: Engine) -> None:
    cancel = threading.Event()
    cancel.set()
    events = answer(engine, settings(engine), cancel)
    assert finish_of(events).reason == "stopped"
    assert text_of(events) == ""


def test_closing_the_iterator_frees_the_model_for_the_next(engine: Engine) -> None:
    stream = engine.stream(QUESTION, settings(engine, max_new_tokens=400), threading.Event())
    with closing(stream):
        for event in stream:
            if isinstance(event, TextDelta):
                break
    begin = time.monotonic()
    finished = finish_of(answer(engine, settings(engine, max_new_tokens=2)))
    assert finished.usage.completion_tokens <= 2
    assert time.monotonic() - begin < 10, "the abandoned answer would take far longer"


def test_a_stop_text_ends_the_answer_and_is_not_shown(engine: Engine) -> None:
    whole = text_of(answer(engine, settings(engine, seed=3)))
    word = whole.split()[2]
    cut = answer(engine, settings(engine, seed=3, stop=(word,)))
    assert text_of(cut).rstrip() == whole[: whole.index(word)].rstrip()
    assert finish_of(cut).reason == "stop"


def test_an_answer_that_was_cut_goes_on_where_it_ended(engine: Engine) -> None:
    """That both together are the uncut answer, each engine's own tests show."""
    cut = answer(engine, settings(engine, temperature=0, max_new_tokens=8))
    said = Message("assistant", text_of(cut))
    begun = [*QUESTION, said]
    *events, last = engine.stream(
        begun, settings(engine, temperature=0, max_new_tokens=3), threading.Event()
    )
    assert isinstance(last, Finished)
    assert last.usage.prompt_tokens == engine.count_tokens(begun) > engine.count_tokens(QUESTION)
    assert last.usage.completion_tokens <= 3
    assert not text_of(events).startswith(said.content)
    if engine.name != "scripted":
        assert last.usage.cached_tokens > 0
    assert said.content == text_of(cut), "the engine changes no message"


def test_who_waits_hears_of_it_several_times_a_second(engine: Engine) -> None:
    blocking = [
        engine.stream(QUESTION, settings(engine, max_new_tokens=400), threading.Event())
        for _ in range(2)
    ]
    for stream in blocking:  # more than any engine here serves at once, or just as many
        next(event for event in stream if not isinstance(event, Progress) or event.stage)
    cancel = threading.Event()
    waiting = engine.stream(QUESTION, settings(engine), cancel)
    begin = time.monotonic()
    heard = [next(waiting) for _ in range(3)]
    assert time.monotonic() - begin < 5
    assert all(isinstance(event, Progress | TextDelta) for event in heard)
    cancel.set()
    for stream in (*blocking, waiting):
        stream.close()


def test_the_defaults_are_settings_the_engine_honours(engine: Engine) -> None:
    changed = engine.defaults.differences(GenerationSettings())
    assert changed <= engine.supports
    assert {"temperature", "max_new_tokens", "stop", "seed", "do_sample"} <= engine.supports


def test_a_setting_the_engine_lacks_is_refused_by_name(engine: Engine) -> None:
    for name in set(SETTING_NAMES) - engine.supports:
        with pytest.raises(SettingError, match=f"{engine.name} does not have {name}"):
            check_supported([name], engine.supports, engine.name)


def test_an_engine_says_what_it_runs_on(engine: Engine) -> None:
    assert {"device", "dtype"} <= set(engine.details())
    assert engine.model
