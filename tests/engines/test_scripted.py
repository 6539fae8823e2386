"""The scripted engine says what it is told, and behaves as an engine must."""

from __future__ import annotations

import threading
import time

import pytest

from chatapp.engines import ENGINES, ModelOptions, open_engine
from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import GenerationError
from chatapp.events import Event, Finished, Progress, ReasoningDelta, TextDelta
from chatapp.messages import Message
from chatapp.settings import SETTING_NAMES, GenerationSettings

QUESTION = [Message("user", "What is it?")]


def answer(engine: ScriptedEngine, settings: GenerationSettings | None = None) -> list[Event]:
    own = settings or GenerationSettings()
    return list(engine.stream(QUESTION, own, threading.Event()))


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_scripts_are_said_in_turn_and_then_words_are_made_up() -> None:
    engine = ScriptedEngine([Script(["a", ReasoningDelta("b"), "c"]), Script(["d"])])
    assert [event for event in answer(engine) if isinstance(event, TextDelta | ReasoningDelta)] == [
        TextDelta("a"),
        ReasoningDelta("b"),
        TextDelta("c"),
    ]
    assert text_of(answer(engine)) == "d"
    assert len(text_of(answer(engine)).split()) >= 12


def test_made_up_words_depend_on_the_seed_unless_the_answer_is_greedy() -> None:
    engine = ScriptedEngine()
    seeds = [GenerationSettings(seed=seed) for seed in (7, 7, 8)]
    first, again, other = (text_of(answer(engine, own)) for own in seeds)
    assert first == again != other
    greedy = [GenerationSettings(seed=seed, temperature=0) for seed in (7, 8)]
    assert len({text_of(answer(engine, own)) for own in greedy}) == 1


def test_an_answer_ends_at_a_stop_text_or_at_its_longest() -> None:
    pieces = ["a ", "b ", "END", "c "]
    stopped = answer(ScriptedEngine([Script(pieces)]), GenerationSettings(stop=("END",)))
    assert text_of(stopped) == "a b "
    cut = answer(ScriptedEngine([Script(pieces)]), GenerationSettings(max_new_tokens=1))
    assert text_of(cut) == "a "
    assert [events[-1].reason for events in (stopped, cut) if isinstance(events[-1], Finished)] == [
        "stop",
        "length",
    ]


def test_usage_and_timings_are_told_at_the_end() -> None:
    engine = ScriptedEngine([Script(["a", "b"], seconds_per_token=0.01)])
    *_, last = answer(engine, GenerationSettings(seed=7))
    assert isinstance(last, Finished)
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (4, 2)
    assert last.usage.total_tokens == 6
    assert last.seed == 7
    assert last.timings.first_token is not None
    assert 0 < last.timings.first_token < last.timings.total
    assert last.timings.tokens_per_second(2)


def test_reading_takes_its_time_and_says_so() -> None:
    events = answer(ScriptedEngine([Script(["a"], seconds_reading=0.35)]))
    assert events.count(Progress("reading", 4, 4)) >= 3


def test_cancel_from_another_thread_ends_a_long_pause() -> None:
    cancel = threading.Event()
    engine = ScriptedEngine([Script(["a"], seconds_reading=60)])
    timer = threading.Timer(0.05, cancel.set)
    timer.start()
    begin = time.monotonic()
    *_, last = engine.stream(QUESTION, GenerationSettings(), cancel)
    assert time.monotonic() - begin < 10
    timer.join()
    assert isinstance(last, Finished) and last.reason == "stopped"
    assert engine.tokens == 0


def test_a_scripted_failure_comes_after_its_last_piece() -> None:
    engine = ScriptedEngine([Script(["a"], error=ZeroDivisionError())])
    stream = engine.stream(QUESTION, GenerationSettings(), threading.Event())
    heard = ""
    with pytest.raises(ZeroDivisionError):
        for event in stream:
            heard += event.text if isinstance(event, TextDelta) else ""
    assert heard == "a"


def test_who_is_cancelled_while_waiting_is_never_begun() -> None:
    engine = ScriptedEngine([Script(["a "] * 3), Script(["b "])])
    running = engine.stream(QUESTION, GenerationSettings(), threading.Event())
    next(running)
    cancel = threading.Event()
    waiting = engine.stream(QUESTION, GenerationSettings(), cancel)
    assert next(waiting) == Progress("queued", 1)
    cancel.set()
    assert text_of(list(waiting)) == ""
    assert text_of([TextDelta("a "), *running]) == "a a a "
    assert text_of(answer(engine)) == "b ", "the next script is still to be said"


def test_closing_the_engine_stops_what_it_says_and_what_waits_and_refuses_more() -> None:
    engine = ScriptedEngine([Script(["a "] * 1000, seconds_per_token=0.01)])
    own, cancel = GenerationSettings(), threading.Event()
    running = engine.stream(QUESTION, own, cancel)
    while not isinstance(next(running), TextDelta):
        pass
    waiting = engine.stream(QUESTION, own, cancel)
    assert next(waiting) == Progress("queued", 1)
    engine.close()
    for stream in (running, waiting):
        *_, last = stream
        assert isinstance(last, Finished) and last.reason == "stopped"
    assert engine.tokens == 1
    with pytest.raises(GenerationError, match="was closed"):
        answer(engine)


def go_on(engine: ScriptedEngine, begun: Message, **changes: int) -> list[Event]:
    """The new pieces."""
    events = engine.stream([*QUESTION, begun], GenerationSettings(**changes), threading.Event())
    return [event for event in events if isinstance(event, TextDelta | ReasoningDelta)]


def test_an_answer_goes_on_with_the_rest_of_its_script() -> None:
    engine = ScriptedEngine([Script([ReasoningDelta("why "), "a ", "b ", "c"]), Script(["d"])])
    answer(engine, GenerationSettings(max_new_tokens=2))
    assert go_on(engine, Message("assistant", reasoning="wh"), max_new_tokens=1) == [
        ReasoningDelta("y ")
    ]
    rest = [TextDelta(" "), TextDelta("b "), TextDelta("c")]
    assert go_on(engine, Message("assistant", "a", "why ")) == rest
    assert go_on(engine, Message("assistant", "a b c", "why ")) == [TextDelta("d")], "the next one"


def test_a_made_up_answer_goes_on_as_it_would_have() -> None:
    engine = ScriptedEngine()
    cut = text_of(answer(engine, GenerationSettings(max_new_tokens=5)))
    *rest, _ = go_on(engine, Message("assistant", cut), seed=99)
    assert (cut + text_of(rest)) in text_of(answer(engine))


def test_it_is_opened_by_name_without_any_model() -> None:
    seen: list[Progress] = []
    engine = open_engine(ModelOptions("no such model", engine="scripted"), seen.append)
    assert engine.name in ENGINES
    assert engine.supports == set(SETTING_NAMES)
    assert engine.details()
    assert seen == [Progress("loading", 1, 1)]
    engine.close()
