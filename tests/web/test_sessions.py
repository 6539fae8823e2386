"""Tabs: one performer at a time, and nothing of an old answer in what came after it."""

from __future__ import annotations

import threading

import pytest

from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import GenerationError, LineFull
from chatapp.web import sessions
from chatapp.web.sessions import Ask, NewChat, Regenerate, Session, Sessions, Undo

ENDLESS = Script(["old "] * 1000, seconds_per_token=0.01)


def session_of(engine: ScriptedEngine) -> Session:
    return Session(engine, "Be kind.", engine.defaults)


def ask(session: Session, text: str = "why?") -> list[str | None]:
    return list(session.act(Ask(text, session.asked)))


def said(session: Session) -> list[str]:
    return [message.content for message in session.conversation.path]


class Performing:
    """An action that is carried out in a thread of its own, as Gradio does it."""

    def __init__(self, session: Session, action: sessions.Action) -> None:
        self.drafts: list[str | None] = []
        self.views: list[list[str]] = []
        self._thread = threading.Thread(target=self._run, args=(session, action))
        self._begun = threading.Event()
        self._thread.start()
        assert self._begun.wait(5)

    def _run(self, session: Session, action: sessions.Action) -> None:
        for draft in session.act(action):
            self.drafts.append(draft)
            self.views.append(said(session))
            if len(self.views[-1]) > 1 and self.views[-1][-1]:
                self._begun.set()
        self._begun.set()

    def join(self) -> None:
        self._thread.join(5)
        assert not self._thread.is_alive()


def test_a_question_empties_the_box_and_is_answered() -> None:
    session = session_of(ScriptedEngine([Script(["because"])]))
    assert ask(session)[0] == ""
    assert said(session) == ["why?", "because"]
    assert not session.writing


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_message_is_not_asked(text: str) -> None:
    session = session_of(ScriptedEngine())
    assert list(session.act(Ask(text, 0))) == []
    assert said(session) == []


def test_a_question_from_an_outdated_page_is_not_asked_twice() -> None:
    session = session_of(ScriptedEngine([Script(["because"]), Script(["again"])]))
    list(session.act(Ask("why?", 0)))
    assert list(session.act(Ask("why?", 0))) == []
    assert said(session) == ["why?", "because"]


def test_a_page_of_an_earlier_server_may_ask() -> None:
    session = session_of(ScriptedEngine([Script(["because"])]))
    list(session.act(Ask("why?", seen=5)))
    assert said(session) == ["why?", "because"]


def test_a_question_while_another_is_answered_stays_in_its_box() -> None:
    session = session_of(ScriptedEngine([ENDLESS]))
    running = Performing(session, Ask("first", 0))
    assert list(session.act(Ask("second", 1))) == []
    session.stop()
    running.join()
    assert said(session)[0] == "first"
    assert "second" not in said(session)


@pytest.mark.parametrize("action", [Regenerate(), Undo(), NewChat()])
def test_an_action_while_an_answer_is_written_is_done_after_it_by_the_same_performer(
    action: sessions.Action,
) -> None:
    engine = ScriptedEngine([ENDLESS, Script(["new"])])
    session = session_of(engine)
    running = Performing(session, Ask("why?", 0))
    assert list(session.act(action)) == []
    running.join()
    tokens = engine.tokens
    assert tokens < 1000
    expected = ["why?", "new"] if action == Regenerate() else []
    assert said(session) == running.views[-1] == expected
    assert running.drafts[-1] == ("why?" if action == Undo() else None)
    assert list(session.act(NewChat())) == [None]  # and the tab is free again
    assert engine.tokens == tokens


def test_stop_keeps_the_part_and_ends_within_a_token() -> None:
    engine = ScriptedEngine([ENDLESS])
    session = session_of(engine)
    running = Performing(session, Ask("why?", 0))
    before = engine.tokens
    session.stop()
    running.join()
    assert engine.tokens <= before + 1
    assert said(session)[1] == "old " * engine.tokens


def test_closing_the_stream_ends_the_generation_and_frees_the_tab() -> None:
    engine = ScriptedEngine([ENDLESS, Script(["next"])])
    session = session_of(engine)
    shown = session.act(Ask("why?", 0))
    while engine.tokens < 3:
        next(shown)
    shown.close()
    tokens = engine.tokens
    assert ask(session, "and?")[-1] is None
    assert said(session)[-1] == "next"
    assert engine.tokens == tokens + 1


def test_a_stop_after_the_end_does_not_stop_the_next_answer() -> None:
    session = session_of(ScriptedEngine([Script(["one"]), Script(["two"])]))
    ask(session)
    session.stop()
    ask(session)
    assert said(session)[-1] == "two"


def test_a_question_that_cannot_be_sent_goes_back_to_the_box() -> None:
    session = session_of(ScriptedEngine(context_length=8))
    drafts = ask(session, "word " * 20)
    assert drafts[-1] == "word " * 20
    assert session.error is not None
    assert said(session) == []


def test_a_full_line_gives_the_question_back_but_keeps_one_that_was_answered() -> None:
    full = Script([], error=LineFull("line-full", waiting=1))
    session = session_of(ScriptedEngine([full, Script(["yes"]), full]))
    assert ask(session)[-1] == "why?"
    ask(session)
    assert list(session.act(Regenerate()))[-1] is None
    assert said(session) == ["why?", "yes"]


@pytest.mark.parametrize("error", [GenerationError("out-of-memory"), ValueError("private")])
def test_a_failure_keeps_the_part_and_the_next_question_works(error: Exception) -> None:
    engine = ScriptedEngine([Script(["a part"], error=error), Script(["fine"])])
    session = session_of(engine)
    ask(session)
    assert said(session) == ["why?", "a part"]
    assert "private" not in str(session.error)
    ask(session)
    assert said(session)[-1] == "fine"
    assert session.error is None


def test_pieces_are_merged_by_time_and_the_first_comes_at_once() -> None:
    engine = ScriptedEngine([Script(["x"] * 100, seconds_per_token=0.005)])
    running = Performing(session := session_of(engine), Ask("why?", 0))
    running.join()
    assert len(running.views) < 15
    assert len(next(view[1] for view in running.views if len(view) > 1 and view[1])) < 10
    assert said(session)[1] == "x" * 100


def test_settings_are_taken_over_all_or_none() -> None:
    session = session_of(ScriptedEngine())
    shown = {"temperature": 0.5, "max_new_tokens": 0}
    with pytest.raises(sessions.ChatError):
        session.change("new", shown)
    assert session.settings.temperature == 1
    session.change("new", shown | {"max_new_tokens": 5})
    assert (session.settings.temperature, session.settings.max_new_tokens) == (0.5, 5)
    assert session.conversation.system == "new"
    session.reset_settings()
    assert session.settings == ScriptedEngine().defaults


@pytest.fixture
def tabs(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    monkeypatch.setattr(sessions, "TAB_FREED_WITHIN", 0.1)
    engine = ScriptedEngine()
    return Sessions(lambda: session_of(engine))


def test_a_reloaded_tab_finds_its_session(tabs: Sessions) -> None:
    first = tabs.open("page 1", "")
    tabs.close("page 1")
    assert tabs.open("page 2", first.key) is first
    assert tabs.of("page 2") is first


def test_a_key_that_is_in_use_or_unknown_opens_a_new_session(tabs: Sessions) -> None:
    first = tabs.open("page 1", "")
    second = tabs.open("page 2", first.key)
    third = tabs.open("page 3", "made up")
    assert len({first.key, second.key, third.key}) == 3
    assert tabs.open("page 1", first.key) is first


def test_a_page_that_acts_before_it_has_loaded_keeps_its_session(tabs: Sessions) -> None:
    early = tabs.of("page")
    assert tabs.open("page", "") is early


def test_a_closed_page_that_speaks_again_has_its_session_still(tabs: Sessions) -> None:
    session = tabs.open("page", "")
    tabs.close("page")
    assert tabs.of("page") is session


def test_a_late_close_of_the_old_page_leaves_the_new_one_alone(tabs: Sessions) -> None:
    session = tabs.open("old", "")
    tabs.close("old")
    tabs.open("new", session.key)
    tabs.close("old")
    assert session.page == "new"


def test_closing_a_page_ends_its_answer() -> None:
    engine = ScriptedEngine([ENDLESS])
    tabs = Sessions(lambda: session_of(engine))
    running = Performing(tabs.open("page", ""), Ask("why?", 0))
    tabs.close("page")
    running.join()
    assert engine.tokens < 1000


def test_the_closed_tabs_that_are_kept_are_bounded(
    tabs: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "CLOSED_TABS_KEPT", 3)
    keys = []
    for number in range(10):
        keys.append(tabs.open(f"page {number}", "").key)
        tabs.close(f"page {number}")
    found = [key for key in keys if tabs.open(f"again {key}", key).key == key]
    assert found == keys[-3:]


def test_many_tabs_at_once_each_get_their_own_answer() -> None:
    engine = ScriptedEngine(places=4, seconds_per_token=0.001)
    tabs = Sessions(lambda: session_of(engine))
    running = [Performing(tabs.of(f"page {n}"), Ask(f"question {n}", 0)) for n in range(20)]
    for one in running:
        one.join()
    for number in range(20):
        question, answer = said(tabs.of(f"page {number}"))
        assert question == f"question {number}"
        assert answer
