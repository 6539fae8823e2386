"""Chats: one performer at a time, and nothing of an old answer in what came after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import GenerationError, LineFull
from chatapp.messages import Conversation, Feedback
from chatapp.store import Store, Unkept
from chatapp.web import chats
from chatapp.web.actions import (
    Action,
    Ask,
    Choose,
    Compact,
    Edit,
    GoOn,
    Look,
    Regenerate,
    Undo,
)
from chatapp.web.chats import Chat

SOON = 5.0
ENDLESS = Script(["old "] * 1000, seconds_per_token=0.01)


class Told:
    """A watcher that notes what it could see when it was told."""

    def __init__(self, chat: Chat) -> None:
        self.views: list[list[str]] = []
        self._chat = chat
        chat.attach(self)

    def notify(self) -> None:
        self.views.append(said(self._chat))


def chat_of(engine: ScriptedEngine) -> Chat:
    return Chat(engine, Unkept(Conversation("Be kind.")))


def act(chat: Chat, action: Action, drafts: list[str] | None = None) -> bool:
    give_back = (drafts if drafts is not None else []).append
    return chat.act(action, ScriptedEngine().defaults, give_back)


def wait(chat: Chat) -> None:
    eventually(lambda: not chat.is_busy)


def eventually(condition: Callable[[], object]) -> None:
    until = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def do(chat: Chat, action: Action) -> list[str]:
    """Carry an action out to its end; what went back to the message box."""
    drafts: list[str] = []
    assert act(chat, action, drafts)
    wait(chat)
    return drafts


def ask(chat: Chat, text: str = "why?") -> list[str]:
    return do(chat, Ask(text, chat.asked))


def said(chat: Chat) -> list[str]:
    return [message.content for message in chat.conversation.path]


def begin(chat: Chat, engine: ScriptedEngine) -> None:
    """Ask, and wait until some of the answer is there."""
    assert act(chat, Ask("why?", chat.asked))
    eventually(lambda: engine.tokens > 2)


def test_a_question_is_answered_by_a_thread_of_its_own() -> None:
    chat = chat_of(ScriptedEngine([Script(["because"])]))
    told = Told(chat)
    assert ask(chat) == []
    assert said(chat) == ["why?", "because"]
    assert not chat.writing
    assert told.views[0] == ["why?"]
    assert told.views[-1] == ["why?", "because"]


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_message_is_not_asked(text: str) -> None:
    chat = chat_of(ScriptedEngine())
    assert not act(chat, Ask(text, 0))
    assert said(chat) == []


def test_a_question_from_an_outdated_page_is_not_asked_twice() -> None:
    chat = chat_of(ScriptedEngine([Script(["because"]), Script(["again"])]))
    do(chat, Ask("why?", 0))
    assert not act(chat, Ask("why?", 0))
    assert said(chat) == ["why?", "because"]


def test_a_question_while_another_is_answered_is_not_taken() -> None:
    engine = ScriptedEngine([ENDLESS])
    chat = chat_of(engine)
    begin(chat, engine)
    assert not act(chat, Ask("second", 1))
    chat.stop()
    wait(chat)
    assert "second" not in said(chat)


@pytest.mark.parametrize("action", [Regenerate(), Undo()])
def test_an_action_while_an_answer_is_written_is_done_after_it(action: Action) -> None:
    engine = ScriptedEngine([ENDLESS, Script(["new"])])
    chat = chat_of(engine)
    begin(chat, engine)
    drafts = do(chat, action)
    assert engine.tokens < 1000
    assert said(chat) == (["why?", "new"] if action == Regenerate() else [])
    assert drafts == (["why?"] if action == Undo() else [])


def test_stop_keeps_the_part_and_ends_within_a_token() -> None:
    engine = ScriptedEngine([ENDLESS])
    chat = chat_of(engine)
    begin(chat, engine)
    before = engine.tokens
    chat.stop()
    wait(chat)
    assert engine.tokens <= before + 1
    assert said(chat)[1] == "old " * engine.tokens


def test_a_stopped_answer_is_gone_on_with_in_the_same_message() -> None:
    pieces = [f"{number} " for number in range(40)]
    engine = ScriptedEngine([Script(pieces, seconds_per_token=0.02)])
    chat = chat_of(engine)
    begin(chat, engine)
    chat.stop()
    wait(chat)
    assert said(chat)[1] != "".join(pieces)
    do(chat, GoOn())
    assert said(chat) == ["why?", "".join(pieces)]
    assert len(chat.conversation.answer.versions) == 1
    do(chat, GoOn())  # it has come to its end
    assert len(engine.prompts) == 2


def test_a_stop_after_the_end_does_not_stop_the_next_answer() -> None:
    chat = chat_of(ScriptedEngine([Script(["one"]), Script(["two"])]))
    ask(chat)
    chat.stop()
    ask(chat)
    assert said(chat)[-1] == "two"


def test_an_answer_that_nobody_watches_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chats, "SECONDS_UNWATCHED", 0.2)
    engine = ScriptedEngine([ENDLESS])
    chat = chat_of(engine)
    watcher = Told(chat)
    begin(chat, engine)
    time.sleep(0.4)
    assert chat.is_busy
    chat.detach(watcher)
    wait(chat)
    assert 0 < engine.tokens < 500


def test_a_watcher_that_comes_back_in_time_keeps_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chats, "SECONDS_UNWATCHED", 0.4)
    engine = ScriptedEngine([ENDLESS])
    chat = chat_of(engine)
    watcher = Told(chat)
    begin(chat, engine)
    chat.detach(watcher)
    time.sleep(0.1)
    chat.attach(watcher)
    time.sleep(0.6)
    assert chat.is_busy
    chat.leave(within=SOON)


def test_a_question_that_cannot_be_sent_goes_back_to_the_box() -> None:
    chat = chat_of(ScriptedEngine(context_length=8))
    assert ask(chat, "word " * 20) == ["word " * 20]
    assert chat.error is not None
    assert said(chat) == []


def test_a_full_line_gives_the_question_back_but_keeps_one_that_was_answered() -> None:
    full = Script([], error=LineFull("line-full", waiting=1))
    chat = chat_of(ScriptedEngine([full, Script(["yes"]), full]))
    assert ask(chat) == ["why?"]
    ask(chat)
    assert do(chat, Regenerate()) == []
    assert said(chat) == ["why?", "yes"]


@pytest.mark.parametrize("error", [GenerationError("out-of-memory"), ValueError("private")])
def test_a_failure_keeps_the_part_and_the_next_question_works(error: Exception) -> None:
    chat = chat_of(ScriptedEngine([Script(["a part"], error=error), Script(["fine"])]))
    ask(chat)
    assert said(chat) == ["why?", "a part"]
    assert "private" not in str(chat.error)
    ask(chat)
    assert said(chat)[-1] == "fine"
    assert chat.error is None


def test_pieces_are_merged_by_time_and_the_first_comes_at_once() -> None:
    chat = chat_of(ScriptedEngine([Script(["x"] * 100, seconds_per_token=0.005)]))
    told = Told(chat)
    ask(chat)
    assert len(told.views) < 40
    assert len(next(view[1] for view in told.views if len(view) > 1 and view[1])) < 10
    assert said(chat)[1] == "x" * 100


def test_an_edited_question_is_answered_and_the_earlier_branch_stays() -> None:
    chat = chat_of(ScriptedEngine([Script(["one"]), Script(["two"]), Script(["three"])]))
    ask(chat, "first")
    ask(chat, "second")
    first = chat.conversation.path[0]
    do(chat, Edit(first.id, "other"))
    assert said(chat) == ["other", "three"]
    do(chat, Choose(chat.conversation.path[0].id, -1))
    assert said(chat) == ["first", "one", "second", "two"]
    do(chat, Choose(first.id, -1))  # there is none before it
    assert said(chat)[0] == "first"


def test_an_edited_question_that_cannot_be_sent_leaves_the_branch_as_it_was() -> None:
    chat = chat_of(ScriptedEngine([Script(["one"])], context_length=20))
    ask(chat, "first")
    drafts = do(chat, Edit(chat.conversation.path[0].id, "word " * 30))
    assert drafts == ["word " * 30]
    assert said(chat) == ["first", "one"]
    assert chat.error is not None


def test_an_edited_answer_is_a_version_that_no_model_wrote() -> None:
    engine = ScriptedEngine([Script(["one"])])
    chat = chat_of(engine)
    ask(chat)
    do(chat, Edit(chat.conversation.path[1].id, "better"))
    assert said(chat) == ["why?", "better"]
    assert chat.conversation.answer.record is None
    assert len(engine.prompts) == 1


@pytest.mark.parametrize("action", [Edit("none", "x"), Choose("none", 1), GoOn(), Regenerate()])
def test_what_is_not_there_is_not_acted_upon(action: Action) -> None:
    engine = ScriptedEngine()
    chat = chat_of(engine)
    do(chat, action)
    assert said(chat) == []
    assert engine.prompts == []
    assert chat.error is None


def test_the_outlook_is_known_after_an_answer_and_a_look() -> None:
    engine = ScriptedEngine([Script(["one"])])
    chat = chat_of(engine)
    ask(chat)
    assert chat.outlook is not None
    assert chat.outlook.used == engine.count_tokens([*chat.conversation.prompt()]) + 3
    chat.outlook = None
    do(chat, Look())
    assert chat.outlook is not None


def test_compact_puts_a_summary_before_the_newest_turns() -> None:
    scripts = [Script([f"answer {number}"]) for number in range(4)]
    chat = chat_of(ScriptedEngine([*scripts, Script(["All in short."])]))
    for _ in scripts:
        ask(chat)
    do(chat, Compact())
    assert chat.error is None
    assert any(message.summary == "All in short." for message in chat.conversation.path)
    assert len(said(chat)) == 8


def test_compact_without_anything_to_sum_up_is_told() -> None:
    chat = chat_of(ScriptedEngine())
    do(chat, Compact())
    assert chat.error is not None


def test_a_judgement_is_kept_and_taken_back() -> None:
    chat = chat_of(ScriptedEngine([Script(["one"])]))
    ask(chat)
    question, answer = chat.conversation.path
    chat.judge(answer.id, Feedback(False, "too short"))
    chat.judge(question.id, Feedback(True))
    assert answer.feedback == Feedback(False, "too short")
    assert question.feedback is None
    chat.judge(answer.id, None)
    assert answer.feedback is None


def test_the_question_is_stored_before_the_model_is_asked(tmp_path: Path) -> None:
    engine = ScriptedEngine([Script(["late"], seconds_reading=SOON)])
    store = Store(tmp_path)
    chat = Chat(engine, store.chats().add(Conversation()))
    act(chat, Ask("why?", 0))
    eventually(lambda: engine.prompts)
    other = Store(tmp_path).chats().open(chat.conversation.id)
    assert [message.content for message in other.conversation.path] == ["why?"]
    assert chat.leave(within=SOON)


def test_what_another_window_says_is_shown_while_an_answer_is_written(tmp_path: Path) -> None:
    engine = ScriptedEngine([Script([f"{number} " for number in range(1000)], 0.01)])
    chat = Chat(engine, Store(tmp_path).chats().add(Conversation()))
    begin(chat, engine)
    answer = chat.conversation.path[1]
    other = Store(tmp_path).chats().open(chat.conversation.id)
    eventually(lambda: other.refresh() or len(other.conversation.path) == 2)
    other.conversation.ask("from the terminal")
    other.keep()

    def heard() -> bool:
        chat.refresh()  # as a page does every moment
        return said(chat)[2:] == ["from the terminal"]

    eventually(heard)
    assert chat.is_busy
    assert chat.conversation.path[1] is answer
    before = engine.tokens
    eventually(lambda: engine.tokens > before + 5)
    chat.stop()
    wait(chat)
    written = "".join(f"{number} " for number in range(engine.tokens))
    assert said(chat) == ["why?", written, "from the terminal"]
    other.refresh()
    assert [message.content for message in other.conversation.path] == said(chat)


def test_another_windows_version_leaves_the_running_answer_whole(tmp_path: Path) -> None:
    engine = ScriptedEngine([Script([f"{number} " for number in range(60)], 0.01)])
    chat = Chat(engine, Store(tmp_path).chats().add(Conversation()))
    begin(chat, engine)
    answer = chat.conversation.path[1]
    other = Store(tmp_path).chats().open(chat.conversation.id)
    other.conversation.edit(other.conversation.path[0], "another question")
    other.keep()
    while chat.is_busy:
        chat.refresh()
        time.sleep(0.02)
    chat.refresh()
    assert said(chat) == ["another question"], "the later one"
    assert answer.content == "".join(f"{number} " for number in range(60))
    other.refresh()
    stored = other.conversation.find(answer.id)
    assert stored is not None
    assert stored.content == answer.content


def test_many_chats_at_once_each_get_their_own_answer() -> None:
    engine = ScriptedEngine(places=4, seconds_per_token=0.001)
    running = [chat_of(engine) for _ in range(20)]
    for number, chat in enumerate(running):
        act(chat, Ask(f"question {number}", 0))
    for number, chat in enumerate(running):
        wait(chat)
        question, answer = said(chat)
        assert question == f"question {number}"
        assert answer
    assert not [thread for thread in threading.enumerate() if thread.name == "answer"]
