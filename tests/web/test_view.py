"""What the page shows, from plain values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapp.context import Outlook
from chatapp.errors import ContextOverflow, GenerationError
from chatapp.events import Finished, Progress, Timings, Usage
from chatapp.messages import Conversation, Message
from chatapp.settings import SETTING_NAMES, GenerationSettings
from chatapp.texts import Texts
from chatapp.web import view

TEXTS = Texts("en")
KINDS = {
    "temperature": "slider",
    "top_k": "slider",
    "no_repeat_ngram_size": "slider",
    "do_sample": "checkbox",
    "max_new_tokens": "number",
    "seed": "number",
    "stop": "text",
}


def conversation(turns: int) -> Conversation:
    talk = Conversation("system")
    for turn in range(turns):
        talk.ask(f"question {turn}").reply(Message("assistant", f"answer {turn}"))
    return talk


@given(st.text())
def test_texts_are_shown_as_they_are_in_blocks(text: str) -> None:
    shown = view.messages([Message("user", text)], TEXTS)
    expected = [{"role": "user", "content": [{"type": "text", "text": text}]}] if text else []
    assert shown == expected


def test_tags_in_an_answer_and_its_reasoning_are_shown_as_text() -> None:
    answer = Message("assistant", "put <b> into `<p>`", reasoning="<i>?")
    thought, said = view.messages([Message("user", "why?"), answer], TEXTS)[1:]
    assert thought["content"] == [{"type": "text", "text": "&lt;i>?"}]
    assert said["content"] == [{"type": "text", "text": "put &lt;b> into `<p>`"}]


def test_reasoning_is_a_message_of_its_own_that_ends_when_the_answer_begins() -> None:
    answer = Message("assistant", reasoning="hm", writing=True)
    path = [Message("user", "why?"), answer]
    _, thought = view.messages(path, TEXTS)
    assert thought["metadata"] == {"title": "Thinking", "status": "pending"}
    answer.content = "because"
    _, thought, said = view.messages(path, TEXTS)
    assert thought["metadata"] == {"title": "Thoughts", "status": "done"}
    assert "metadata" not in said


def test_reasoning_that_was_stopped_is_not_pending() -> None:
    path = [Message("user", "why?"), Message("assistant", reasoning="hm")]
    assert view.messages(path, TEXTS)[1]["metadata"]["status"] == "done"


@pytest.mark.parametrize(("turns", "hidden"), [(0, 0), (1, 0), (20, 0), (21, 2), (50, 60)])
def test_only_the_last_messages_are_shown_from_a_question_on(turns: int, hidden: int) -> None:
    path = conversation(turns).path
    assert view.hidden(path) == hidden
    assert len(view.messages(path, TEXTS)) == len(path) - hidden
    assert bool(view.earlier_line(path, False, TEXTS)) == bool(hidden)


def test_an_unanswered_question_among_many_does_not_break_the_cut() -> None:
    talk = conversation(20)
    talk.ask("unanswered")
    assert view.messages(talk.path, TEXTS)[0]["role"] == "user"


def test_there_is_a_control_for_every_setting_an_engine_honours_and_no_other() -> None:
    everything = view.controls(SETTING_NAMES, TEXTS)
    assert [control.name for control in everything] == list(SETTING_NAMES)
    assert all(control.description for control in everything)
    assert {c.name: c.kind for c in everything if c.name in KINDS} == KINDS
    assert [c.name for c in view.controls({"seed", "top_p"}, TEXTS)] == ["top_p", "seed"]


def test_controls_speak_the_readers_language() -> None:
    english, chinese = (view.controls(["seed"], Texts(code))[0] for code in ("en", "zh"))
    assert english.description != chinese.description


@pytest.mark.parametrize("stop", [(), ("END",), ("a", "b"), ('["x"',), ('"',), ("你好",)])
def test_what_a_control_shows_reads_back_as_the_same_value(stop: tuple[str, ...]) -> None:
    settings = GenerationSettings(stop=stop)
    for name in SETTING_NAMES:
        shown = view.value(settings, name)
        assert settings.changed({name: shown}) == settings


def test_only_what_a_person_changed_is_a_change() -> None:
    settings = GenerationSettings(temperature=0.7)
    shown = {name: view.value(settings, name) for name in SETTING_NAMES}
    assert view.differences(settings, shown) == {}
    assert view.differences(settings, shown | {"temperature": 0.7, "top_k": 5}) == {"top_k": 5}
    assert view.differences(settings, shown | {"seed": None}) == {"seed": ""}


def test_the_status_tells_an_error_what_was_left_out_and_the_figures() -> None:
    finished = Finished("length", Usage(10, 5), Timings(0.5, 1.5), seed=7)
    error = ContextOverflow("context-overflow", tokens=50, context=40)
    shown = view.status(finished, 40, None, 3, [None, error], TEXTS)
    for part in (
        "50 tokens",
        "oldest turns: 3",
        "5 tokens",
        "4.0 tokens/s",
        "15 / 40",
        'role="alert"',
    ):
        assert part in shown
    assert "place 2" in view.status(finished, 40, Progress("queued", 2), 0, [], TEXTS)
    assert view.status(None, 40, None, 0, [], TEXTS) == ""


def test_what_comes_from_elsewhere_is_escaped() -> None:
    error = GenerationError("generation-failed", cause="<img src=x onerror=alert(1)>")
    assert "<img" not in view.status(None, None, None, 0, [error], TEXTS)
    assert "<b>" not in view.header("<b>model</b>", ["<b>notice</b>"], "<svg></svg>")


def test_updates_get_rarer_as_the_page_grows() -> None:
    pauses = [view.pause(count) for count in (0, 10, 40, 1000)]
    assert pauses == sorted(pauses)
    assert 0.08 <= pauses[0] <= 0.12
    assert pauses[-1] <= view.SLOWEST_PAUSE


def test_what_was_taken_back_last_is_offered_until_something_follows() -> None:
    talk = conversation(2)
    assert view.taken_back(talk, TEXTS) == ""
    talk.undo()
    assert "Taken back: question 1" in view.taken_back(talk, TEXTS)
    talk.undo()
    assert "Taken back: question 0" in view.taken_back(talk, TEXTS)
    talk.ask("<b>?")
    talk.undo()
    assert "question 0" in view.taken_back(talk, TEXTS), "the other had no answer"
    talk.ask("<b>?").reply(Message("assistant", "yes"))
    assert view.taken_back(talk, TEXTS) == ""
    talk.undo()
    assert "&lt;b&gt;?" in view.taken_back(talk, TEXTS)


def test_a_private_chat_says_so_once_it_has_begun() -> None:
    assert view.earlier_line([], True, TEXTS) == ""
    assert "not stored" in view.earlier_line(conversation(1).path, True, TEXTS)


def test_the_meter_warns_before_something_is_left_out() -> None:
    assert view.meter(None, TEXTS) == view.meter(Outlook(5, None, 0), TEXTS) == ""
    half = view.meter(Outlook(50, 100, 0), TEXTS)
    assert "50 of 100" in half
    assert "width: 50.0%" in half
    assert "Compact" not in half
    assert "<p" not in half
    assert ">The whole conversation: 75 of 100 tokens" in view.meter(Outlook(75, 100, 0), TEXTS)
    assert "nearly full" in view.meter(Outlook(85, 100, 0), TEXTS)
    assert "oldest turns (2)" in view.meter(Outlook(150, 100, 2), TEXTS)
    assert "width: 100.0%" in view.meter(Outlook(150, 100, 2), TEXTS)
