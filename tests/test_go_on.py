"""go_on() writes on at the last answer, in the same message."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from chatapp.chat import go_on, respond
from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import ContextOverflow, GenerationError
from chatapp.events import Finished, ReasoningDelta, TextDelta
from chatapp.messages import Conversation, Message
from chatapp.settings import GenerationSettings

SAID = [ReasoningDelta("Hm. "), "It ", "is ", "a ", "test."]


def cut(engine: ScriptedEngine, limit: int = 3) -> tuple[Conversation, Message]:
    conversation = Conversation("Be brief.")
    conversation.ask("What is it?")
    own = GenerationSettings(max_new_tokens=limit, seed=7)
    list(respond(engine, conversation, own, threading.Event()))
    assert conversation.answer is not None
    return conversation, conversation.answer


def more(
    engine: ScriptedEngine, conversation: Conversation, keep: Callable[[], None] = lambda: None
) -> list[object]:
    return list(go_on(engine, conversation, GenerationSettings(), threading.Event(), keep=keep))


def test_the_same_message_grows_and_its_figures_are_those_of_the_whole() -> None:
    engine = ScriptedEngine([Script(SAID)])
    conversation, answer = cut(engine)
    assert answer.finished is not None and answer.finished.reason == "length"
    seed, seconds = answer.finished.seed, answer.finished.timings.total
    *_, last = more(engine, conversation)
    assert conversation.answer is answer and len(answer.versions) == 1
    assert (answer.content, answer.reasoning) == ("It is a test.", "Hm. ")
    finished = answer.finished
    assert finished is not None and isinstance(last, Finished)
    assert (finished.reason, finished.seed) == ("stop", seed)
    assert finished.usage.completion_tokens == 5
    assert finished.timings.total == pytest.approx(seconds + last.timings.total)
    assert not answer.can_go_on
    assert [said.content for said in engine.prompts[1]] == [
        "Be brief.",
        "What is it?",
        answer.content,
    ]


def test_an_answer_stopped_in_its_reasoning_goes_on_thinking() -> None:
    engine = ScriptedEngine([Script([ReasoningDelta("Hm. "), ReasoningDelta("So. "), "Yes."])])
    conversation, answer = cut(engine, limit=1)
    assert (answer.content, answer.reasoning) == ("", "Hm. ")
    more(engine, conversation)
    assert (answer.content, answer.reasoning) == ("Yes.", "Hm. So. ")


def test_a_failure_before_the_next_word_leaves_the_record_as_it_was() -> None:
    conversation, answer = cut(ScriptedEngine([Script(SAID)]))
    before = answer.record
    failing = ScriptedEngine([Script((), error=GenerationError("engine-closed"))])
    with pytest.raises(GenerationError):
        more(failing, conversation)
    assert answer.record is before and answer.content == "It is " and not answer.writing
    tiny = ScriptedEngine(context_length=3)
    with pytest.raises(ContextOverflow):
        more(tiny, conversation)
    assert answer.record is before


def test_a_failure_after_the_next_word_keeps_it_and_the_answer_is_interrupted() -> None:
    conversation, answer = cut(ScriptedEngine([Script(SAID)]))
    failing = ScriptedEngine([Script(["a "], error=GenerationError("engine-closed"))])
    with pytest.raises(GenerationError):
        more(failing, conversation)
    assert answer.content == "It is a " and answer.interrupted and answer.can_go_on


def test_a_persons_answer_can_be_gone_on_with() -> None:
    conversation = Conversation()
    answer = conversation.ask("What is it?").reply(Message("assistant", "It is "))
    more(ScriptedEngine([Script(["a test."])]), conversation)
    assert answer.content == "It is a test." and answer.finished is not None
    assert answer.record is not None and answer.record.engine == "scripted"


def test_without_an_answer_there_is_nothing_to_go_on_with() -> None:
    conversation = Conversation()
    conversation.ask("What is it?")
    with pytest.raises(ValueError, match="no answer"):
        more(ScriptedEngine(), conversation)


@pytest.mark.parametrize("call", [respond, go_on])
def test_all_is_kept_before_the_engine_is_asked_at_the_first_word_and_at_the_end(
    call: Callable[..., object],
) -> None:
    conversation = Conversation()
    conversation.ask("What is it?").reply(Message("assistant", "It "))
    engine = ScriptedEngine([Script(["is ", "a ", "test."])])
    kept: list[tuple[int, str, bool]] = []

    def keep() -> None:
        answer = conversation.answer
        assert answer is not None
        kept.append((len(engine.prompts), answer.content, answer.writing))

    stream = call(engine, conversation, GenerationSettings(), threading.Event(), keep=keep)
    said = "".join(event.text for event in stream if isinstance(event, TextDelta))  # type: ignore[attr-defined]
    begun = "It " if call is go_on else ""
    assert said == "is a test."
    assert kept == [(0, begun, True), (1, f"{begun}is ", True), (1, f"{begun}is a test.", False)]


def test_what_streams_is_kept_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("chatapp.chat.time.monotonic", lambda: now[0])
    conversation = Conversation()
    conversation.ask("What is it?")
    kept: list[int] = []

    def keep() -> None:
        answer = conversation.answer
        kept.append(len(answer.content.split()) if answer else 0)

    engine = ScriptedEngine([Script(["word "] * 39)])
    for event in respond(engine, conversation, GenerationSettings(), threading.Event(), keep=keep):
        now[0] += 0.125 * isinstance(event, TextDelta)
    assert kept == [0, 1, 9, 17, 25, 33, 39]
