"""respond() answers, grows, keeps and gives back; fit() leaves out the fewest whole turns."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapp.chat import initial_settings, respond
from chatapp.context import fit
from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import ContextOverflow, GenerationError, SettingError
from chatapp.events import (
    ChatEvent,
    EventStream,
    Finished,
    Progress,
    ReasoningDelta,
    TextDelta,
    TurnsLeftOut,
)
from chatapp.messages import Conversation, Message
from chatapp.settings import GenerationSettings, derive_seed

FAILURE = GenerationError("generation-failed", cause="a scripted failure")
ENDLESS = Script(["word "] * 1000, seconds_per_token=0.001)


def ask(
    engine: ScriptedEngine,
    conversation: Conversation,
    question: str | None = "What is it?",
    *,
    base: int = 1234,
    seed: int | None = None,
) -> list[ChatEvent]:
    """All events of one answer; without a question, of another answer to the last one."""
    if question is not None:
        conversation.ask(question)
    own = GenerationSettings(seed=base)
    return list(respond(engine, conversation, own, threading.Event(), seed=seed))


def text_of(events: Sequence[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def contents(conversation: Conversation) -> list[str]:
    return [message.content for message in conversation.path]


def seed_of(message: Message | None) -> int:
    assert message is not None and message.record is not None
    assert message.record.finished is not None
    return message.record.finished.seed


def until_the_third_word(
    engine: ScriptedEngine, conversation: Conversation, then: Callable[[], None]
) -> None:
    words = 0
    for event in respond(engine, conversation, GenerationSettings(), threading.Event()):
        words += isinstance(event, TextDelta)
        if words == 3:
            then()
            break


# --- answering


def test_the_answer_streams_and_stands_in_the_conversation() -> None:
    conversation = Conversation("Be brief.")
    engine = ScriptedEngine([Script([ReasoningDelta("Hm. "), "It ", "is ", "a test."])])
    events = ask(engine, conversation)
    assert text_of(events) == "It is a test."
    assert contents(conversation) == ["What is it?", "It is a test."]
    answer = conversation.answer
    assert answer is not None and answer.reasoning == "Hm. "
    assert [message.content for message in engine.prompts[0]] == ["Be brief.", "What is it?"]


def test_there_is_exactly_one_finished_and_it_comes_last() -> None:
    events = ask(ScriptedEngine(), Conversation())
    assert [isinstance(event, Finished) for event in events] == [
        *[False] * (len(events) - 1),
        True,
    ]


def test_the_record_says_how_the_answer_came_about() -> None:
    conversation = Conversation()
    events = ask(ScriptedEngine(), conversation)
    answer = conversation.answer
    assert answer is not None and answer.record is not None
    assert (answer.record.engine, answer.record.model) == ("scripted", "scripted")
    assert answer.record.settings == GenerationSettings()
    assert answer.record.finished is events[-1]


def test_the_answer_grows_inside_the_conversation_while_it_streams() -> None:
    conversation = Conversation()
    conversation.ask("What is it?")
    engine = ScriptedEngine([Script(["It ", ReasoningDelta("hm "), "is."])])
    shown = ""
    for event in respond(engine, conversation, GenerationSettings(), threading.Event()):
        shown += event.text if isinstance(event, TextDelta) else ""
        assert conversation.answer is not None
        assert conversation.answer.content == shown
        finished = conversation.answer.record and conversation.answer.record.finished
        assert (finished is not None) == isinstance(event, Finished)


def test_without_a_question_there_is_nothing_to_answer() -> None:
    with pytest.raises(ValueError, match="no question"):
        ask(ScriptedEngine(), Conversation(), question=None)


def test_the_next_question_is_asked_with_what_was_said_before() -> None:
    conversation = Conversation()
    engine = ScriptedEngine([Script(["1"]), Script(["2"])])
    ask(engine, conversation, "one?")
    ask(engine, conversation, "two?")
    assert [message.content for message in engine.prompts[1]] == ["one?", "1", "two?"]


def test_an_answer_ends_at_max_new_tokens_and_at_the_end_of_the_context() -> None:
    for context, limit, said in ((4096, 5, 5), (10, 2048, 7), (10, 3, 3)):
        conversation = Conversation()
        conversation.ask("one two")  # three tokens, as the scripted engine counts
        engine = ScriptedEngine([ENDLESS], context_length=context)
        own = GenerationSettings(max_new_tokens=limit)
        *_, last = respond(engine, conversation, own, threading.Event())
        assert isinstance(last, Finished)
        assert (last.reason, last.usage.completion_tokens) == ("length", said)


def test_a_running_answer_keeps_the_settings_it_began_with() -> None:
    conversation = Conversation()
    conversation.ask("What is it?")
    began_with = GenerationSettings(temperature=0.5)
    stream = respond(ScriptedEngine(), conversation, began_with, threading.Event())
    next(stream)
    began_with.changed({"temperature": "2"})  # another value; nothing is changed in place
    list(stream)
    assert conversation.answer is not None and conversation.answer.record is not None
    assert conversation.answer.record.settings.temperature == 0.5


def test_a_persons_changes_stand_on_the_models_own_defaults() -> None:
    engine = ScriptedEngine()
    assert initial_settings(engine, {}) == engine.defaults
    assert initial_settings(engine, {"top_k": "7"}).differences(engine.defaults) == {"top_k"}
    engine.supports = frozenset({"seed"})
    with pytest.raises(SettingError, match="The engine scripted does not have top_k"):
        initial_settings(engine, {"seed": "7", "top_k": "7"})


# --- stopping


def test_a_stopped_answer_keeps_the_part_that_came() -> None:
    conversation = Conversation()
    conversation.ask("What is it?")
    cancel = threading.Event()
    events = []
    for event in respond(ScriptedEngine([ENDLESS]), conversation, GenerationSettings(), cancel):
        events.append(event)
        if text_of(events) == "word word ":
            cancel.set()
    assert isinstance(events[-1], Finished) and events[-1].reason == "stopped"
    assert contents(conversation) == ["What is it?", "word word "]
    assert conversation.answer is not None and conversation.answer.record is not None
    assert conversation.answer.record.finished is events[-1]


def test_an_answer_stopped_before_its_first_word_never_was() -> None:
    conversation = Conversation()
    conversation.ask("What is it?")
    cancel = threading.Event()
    cancel.set()
    *_, last = respond(ScriptedEngine(), conversation, GenerationSettings(), cancel)
    assert isinstance(last, Finished) and last.reason == "stopped"
    assert conversation.answer is None
    assert contents(conversation) == ["What is it?"]


def test_closing_the_stream_stops_the_engine_and_keeps_the_part() -> None:
    conversation = Conversation()
    conversation.ask("What is it?")
    engine = ScriptedEngine([ENDLESS])
    stream = respond(engine, conversation, GenerationSettings(), threading.Event())
    while conversation.answer is None or conversation.answer.content != "word word word ":
        next(stream)
    stream.close()
    assert engine.tokens == 3
    assert contents(conversation) == ["What is it?", "word word word "]
    assert conversation.answer.record is not None
    assert conversation.answer.record.finished is None
    assert text_of(ask(engine, conversation, "And now?"))  # the place in line is free again


class RememberingEngine(ScriptedEngine):
    """Keeps its streams, so that none ends only because nobody refers to it any more."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        super().__init__(scripts)
        self.streams: list[EventStream] = []

    def stream(self, *arguments: Any) -> EventStream:
        self.streams.append(super().stream(*arguments))
        return self.streams[-1]


def test_the_engines_stream_is_closed_at_once_and_not_when_memory_is_cleared() -> None:
    conversation = Conversation()
    conversation.ask("What is it?")
    engine = RememberingEngine([ENDLESS])
    stream = respond(engine, conversation, GenerationSettings(), threading.Event())
    next(stream)
    stream.close()
    assert list(engine.streams[0]) == []


def test_a_stream_that_is_never_read_changes_nothing() -> None:
    conversation = Conversation()
    conversation.ask("What is it?")
    engine = ScriptedEngine()
    respond(engine, conversation, GenerationSettings(), threading.Event()).close()
    assert contents(conversation) == ["What is it?"]
    assert engine.prompts == []


def test_undo_while_an_answer_is_written_takes_back_its_question_too() -> None:
    conversation = Conversation()
    ask(ScriptedEngine([Script(["1"])]), conversation, "one?")
    conversation.ask("two?")
    until_the_third_word(ScriptedEngine([ENDLESS]), conversation, lambda: conversation.undo())
    assert contents(conversation) == ["one?", "1"]


def test_a_new_chat_while_an_answer_is_written_begins_empty() -> None:
    conversation = Conversation()
    conversation.ask("one?")
    until_the_third_word(ScriptedEngine([ENDLESS]), conversation, conversation.clear)
    assert contents(conversation) == []


def test_another_answer_begun_before_the_first_one_spoke_takes_its_place() -> None:
    conversation = Conversation()
    conversation.ask("What is it?")
    slow = ScriptedEngine([Script(["never said"], seconds_reading=60)])
    first = respond(slow, conversation, GenerationSettings(), threading.Event())
    next(first)
    ask(ScriptedEngine([Script(["A test."])]), conversation, question=None)
    first.close()
    assert contents(conversation) == ["What is it?", "A test."]


def test_a_question_asked_into_an_answer_that_never_came_is_not_lost() -> None:
    conversation = Conversation()
    conversation.ask("one?")
    engine = ScriptedEngine([Script(["never said"], seconds_reading=60)])
    stream = respond(engine, conversation, GenerationSettings(), threading.Event())
    next(stream)
    conversation.ask("two?")
    stream.close()
    assert [text for text in contents(conversation) if text] == ["one?", "two?"]


# --- failing


@pytest.mark.parametrize("failure", [FAILURE, RuntimeError("raw"), MemoryError()])
def test_a_failure_before_the_first_word_leaves_the_question_alone(failure: Exception) -> None:
    conversation = Conversation()
    engine = ScriptedEngine([Script([], error=failure), Script(["Now it works."])])
    with pytest.raises(type(failure)):
        ask(engine, conversation)
    assert contents(conversation) == ["What is it?"]
    assert conversation.answer is None
    ask(engine, conversation, "And now?")
    assert contents(conversation) == ["What is it?", "And now?", "Now it works."]
    assert [message.content for message in engine.prompts[1]] == ["And now?"]


def test_a_failure_in_the_middle_keeps_what_was_said() -> None:
    conversation = Conversation()
    engine = ScriptedEngine([Script(["It ", "is "], error=FAILURE), Script(["Yes."])])
    with pytest.raises(GenerationError):
        ask(engine, conversation)
    assert contents(conversation) == ["What is it?", "It is "]
    ask(engine, conversation, "Go on?")
    assert contents(conversation)[-1] == "Yes."


def test_a_failed_regeneration_brings_the_earlier_answer_back() -> None:
    conversation = Conversation()
    engine = ScriptedEngine([Script(["It is."]), Script([], error=FAILURE)])
    ask(engine, conversation)
    with pytest.raises(GenerationError):
        ask(engine, conversation, question=None)
    assert contents(conversation) == ["What is it?", "It is."]
    assert conversation.question is not None and len(conversation.question.replies) == 1


def test_a_message_longer_than_the_context_leaves_the_conversation_as_it_was() -> None:
    conversation = Conversation("Be brief.")
    engine = ScriptedEngine(context_length=50)
    ask(engine, conversation, "short")
    before = contents(conversation)
    with pytest.raises(ContextOverflow) as caught:
        ask(engine, conversation, "word " * 60)
    assert caught.value.sentence.values == {"tokens": 64, "context": 50}
    assert "64 tokens" in str(caught.value) and "holds 50" in str(caught.value)
    assert contents(conversation) == [*before, "word " * 60]
    assert conversation.answer is None
    assert len(engine.prompts) == 1


# --- regenerating, seeds


def test_another_answer_keeps_the_earlier_version_and_takes_another_seed() -> None:
    conversation = Conversation()
    engine = ScriptedEngine()
    ask(engine, conversation)
    first = conversation.answer
    ask(engine, conversation, question=None)
    second = conversation.answer
    assert conversation.question is not None
    assert conversation.question.replies == [first, second]
    assert seed_of(first) != seed_of(second)
    assert first is not None and second is not None and first.content != second.content
    assert [message.content for message in engine.prompts[1]] == ["What is it?"]


def test_replaying_a_seed_gives_the_same_answer_again() -> None:
    conversation = Conversation()
    engine = ScriptedEngine()
    first = text_of(ask(engine, conversation))
    seed = seed_of(conversation.answer)
    assert text_of(ask(engine, conversation, question=None)) != first
    assert text_of(ask(engine, conversation, question=None, seed=seed)) == first
    assert seed_of(conversation.answer) == seed


def test_seed_zero_is_a_seed_like_any_other() -> None:
    conversation = Conversation()
    ask(ScriptedEngine(), conversation, seed=0)
    assert seed_of(conversation.answer) == 0


def whole_chat(engine: ScriptedEngine, base: int) -> list[tuple[str, int]]:
    conversation = Conversation()
    said = []
    for question in ("one?", "two?", None, "three?"):
        text = text_of(ask(engine, conversation, question, base=base))
        said.append((text, seed_of(conversation.answer)))
    return said


def test_the_same_chat_twice_gives_the_same_texts_and_another_base_seed_others() -> None:
    first, again, other = (whole_chat(ScriptedEngine(), base) for base in (7, 7, 8))
    assert first == again
    assert not set(first) & set(other)
    assert first[0][1] == derive_seed(7, turn=1, version=0)
    assert first[2][1] == derive_seed(7, turn=2, version=1)


def test_chats_at_the_same_time_get_the_texts_they_get_alone() -> None:
    bases = range(8)
    alone = [whole_chat(ScriptedEngine(), base) for base in bases]
    for places in (1, 3):
        engine = ScriptedEngine(places=places)
        with ThreadPoolExecutor(len(bases)) as pool:
            together = list(pool.map(partial(whole_chat, engine), bases))
        assert together == alone


# --- fitting


def history(turns: Sequence[tuple[int, int]], question: int, system: int | None) -> list[Message]:
    """Messages of so many words each."""
    messages = [] if system is None else [Message("system", "s " * system)]
    for asked, answered in turns:
        messages += [Message("user", "q " * asked), Message("assistant", "a " * answered)]
    return [*messages, Message("user", "q " * question)]


words = st.integers(0, 30)
histories = st.builds(
    history, st.lists(st.tuples(words, words), max_size=40), words, st.none() | words
)


@given(histories, st.integers(1, 400), st.integers(1, 200))
@settings(max_examples=500)
def test_the_fewest_whole_turns_are_left_out(
    messages: list[Message], context: int, max_new_tokens: int
) -> None:
    engine = ScriptedEngine(context_length=context)
    own = GenerationSettings(max_new_tokens=max_new_tokens)
    reserve = min(max_new_tokens, max(1, context // 4))
    system = [message for message in messages if message.role == "system"]
    turns = sum(message.role == "user" for message in messages)

    def without(count: int) -> list[Message]:
        return [*system, *messages[len(system) + 2 * count :]]

    def fits(count: int) -> bool:
        return engine.count_tokens(without(count)) + reserve <= context

    least = next((count for count in range(turns) if fits(count)), turns - 1)
    size = engine.count_tokens(without(least))
    if size >= context:
        with pytest.raises(ContextOverflow) as caught:
            fit(engine, messages, own)
        assert caught.value.sentence.values == {"tokens": size, "context": context}
        return
    fitted = fit(engine, messages, own)
    assert fitted.messages == without(least)
    assert fitted.turns_left_out == least
    assert fitted.room == context - size >= 1
    assert fitted == fit(engine, messages, own)
    again = fit(engine, fitted.messages, own)
    assert (again.messages, again.turns_left_out) == (fitted.messages, 0)


@pytest.mark.parametrize("tokens", [63, 64, 65])
def test_the_context_is_used_to_its_last_token(tokens: int) -> None:
    engine = ScriptedEngine(context_length=64)
    messages = history([], question=tokens - 1, system=None)
    if tokens < 64:
        assert fit(engine, messages, GenerationSettings()).room == 64 - tokens
    else:
        with pytest.raises(ContextOverflow, match=f"{tokens} tokens .* holds 64"):
            fit(engine, messages, GenerationSettings())


def test_a_system_prompt_longer_than_the_context_is_refused() -> None:
    with pytest.raises(ContextOverflow):
        fit(ScriptedEngine(context_length=20), history([], 1, 30), GenerationSettings())


def test_where_the_context_is_unknown_everything_is_sent() -> None:
    messages = history([(100, 100)] * 100, 100, 100)
    fitted = fit(ScriptedEngine(context_length=None), messages, GenerationSettings())
    assert fitted.messages == messages
    assert (fitted.turns_left_out, fitted.room) == (0, None)


class CountingEngine(ScriptedEngine):
    """Counts how often it is asked to count."""

    counted = 0

    def count_tokens(self, messages: Sequence[Message]) -> int:
        self.counted += 1
        return super().count_tokens(messages)


@pytest.mark.parametrize("turns", [1, 2, 10, 1000, 10_000])
@pytest.mark.parametrize("context", [10, 100, 10_000, 10_000_000])
def test_a_long_history_is_measured_a_few_times_only(turns: int, context: int) -> None:
    engine = CountingEngine(context_length=context)
    messages = history([(1, 1)] * (turns - 1), 1, 1)
    fit(engine, messages, GenerationSettings())
    assert engine.counted <= 3 + math.log2(turns)


def test_the_person_is_told_how_many_turns_are_left_out_and_all_stay_stored() -> None:
    conversation = Conversation("Be brief.")
    engine = ScriptedEngine([Script(["word "] * 10)] * 6, context_length=60)
    for turn in range(6):
        events = ask(engine, conversation, f"question {turn} of six")
    first = events[0]
    assert isinstance(first, TurnsLeftOut) and first.count > 0
    sent = engine.prompts[-1]
    assert sent[0].role == "system" and sent[1].role == "user" and sent[-1].content[9] == "5"
    assert len(sent) == 1 + 2 * (5 - first.count) + 1
    assert conversation.turn == 6
    assert len(conversation.path) == 12


# --- waiting


def test_who_waits_for_the_model_hears_of_it_and_can_leave() -> None:
    engine = ScriptedEngine([Script(["word "] * 1000, seconds_per_token=0.01)])
    first, second = Conversation(), Conversation()
    first.ask("one?")
    second.ask("two?")
    running = respond(engine, first, GenerationSettings(), threading.Event())
    while not isinstance(next(running), TextDelta):
        pass
    waiting = respond(engine, second, GenerationSettings(), threading.Event())
    begin = time.monotonic()
    assert [next(waiting) for _ in range(3)] == [Progress("queued", 1)] * 3
    assert time.monotonic() - begin < 5
    waiting.close()
    assert contents(second) == ["two?"]
    running.close()
