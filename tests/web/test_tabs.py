"""Tabs and libraries: who sees which chat, and when a page is shown anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import SettingError, StoreError
from chatapp.store import Store
from chatapp.web import clicks, library, tabs
from chatapp.web.actions import Choose, Look, Regenerate, Undo
from chatapp.web.library import Library
from chatapp.web.tabs import Tab, Tabs

SOON = 5.0
ENDLESS = Script(["old "] * 1000, seconds_per_token=0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def tabs_of(store: Store, *scripts: Script) -> Tabs:
    engine = ScriptedEngine(scripts)
    return Tabs(
        lambda library: Tab(engine, library, "Be kind.", engine.defaults),
        lambda owner: Library(engine, store.chats(owner)),
    )


def ask(tab: Tab, text: str = "why?") -> None:
    assert tab.ask(text, tab.asked)
    wait(tab)


def wait(tab: Tab) -> None:
    until = time.monotonic() + SOON
    while tab.chat.is_busy:
        assert time.monotonic() < until
        time.sleep(0.005)


def said(tab: Tab) -> list[str]:
    return [message.content for message in tab.chat.conversation.path]


def titles(tab: Tab) -> list[str]:
    return [line.title for line in tab.library.latest(100)]


def id_of(tab: Tab) -> str:
    return tab.chat.conversation.id


def test_a_reloaded_page_finds_its_chat_by_the_address_and_its_settings_by_the_key(
    store: Store,
) -> None:
    every = tabs_of(store, Script(["because"]))
    first = every.open("", "page 1", "", "")
    first.change("Be brief.", {"temperature": 0.25})
    ask(first)
    every.close("", "page 1")
    again = every.open("", "page 2", first.key, id_of(first))
    assert said(again) == ["why?", "because"]
    assert again.settings.temperature == 0.25
    assert again.chat is first.chat
    begun = every.open("", "page 3", first.key, "")
    assert begun.chat.conversation.system == "Be brief."


def test_a_chat_outlives_the_server(store: Store) -> None:
    first = tabs_of(store, Script(["because"])).open("", "page", "", "")
    ask(first)
    later = tabs_of(store).open("", "page", "", id_of(first))
    assert said(later) == ["why?", "because"]
    assert later.error is None


def test_an_unknown_chat_is_told_and_a_new_one_shown(store: Store) -> None:
    tab = tabs_of(store).open("", "page", "", "0123")
    assert isinstance(tab.error, StoreError)
    assert said(tab) == []


def test_nobody_opens_another_persons_chat(store: Store) -> None:
    every = tabs_of(store, Script(["secret"]))
    mine = every.open("me", "page", "", "")
    ask(mine)
    thief = every.open("you", "page 2", mine.key, id_of(mine))
    assert isinstance(thief.error, StoreError)
    assert said(thief) == []
    assert titles(thief) == []
    for click in ("open", "delete", "restore"):
        with pytest.raises(StoreError):
            clicks.carry_out(thief, {"do": click, "chat": id_of(mine)})
            assert click == "delete", "that one says nothing"
            raise StoreError("chat-unknown")
    with pytest.raises(StoreError):
        clicks.carry_out(thief, {"do": "rename", "chat": id_of(mine), "title": "mine"})
    assert titles(mine) == ["why?"]
    assert every.of("you", "page") is not mine, "the same page name, another person"


def test_two_tabs_share_a_chat_and_both_are_told(store: Store) -> None:
    every = tabs_of(store, Script(["one"]), Script(["two"]))
    one = every.open("", "page 1", "", "")
    ask(one)
    two = every.open("", "page 2", "", id_of(one))
    wait(two)
    list(two.show())
    assert not two.is_outdated
    ask(one, "more?")
    assert two.is_outdated
    assert said(two) == ["why?", "one", "more?", "two"]


def test_a_page_is_shown_by_one_reader_until_nothing_goes_on(store: Store) -> None:
    tab = tabs_of(store, ENDLESS).open("", "page", "", "")
    assert tab.ask("why?", tab.asked)
    shown = tab.show()
    next(shown)
    assert list(tab.show()) == []
    threading.Timer(0.2, tab.chat.stop).start()
    for _ in shown:
        pass
    assert not tab.chat.is_busy
    assert len(list(tab.show())) == 1, "another reader may show now"


def test_a_reader_that_is_closed_lets_another_one_show(store: Store) -> None:
    tab = tabs_of(store, ENDLESS).open("", "page", "", "")
    assert tab.ask("why?", tab.asked)
    shown = tab.show()
    next(shown)
    shown.close()
    assert next(tab.show()) is None
    tab.chat.leave(within=SOON)


def test_a_question_for_another_chat_than_the_one_shown_is_not_taken(store: Store) -> None:
    tab = tabs_of(store, Script(["because"])).open("", "page", "", "")
    seen = tab.asked
    tab.begin()
    assert not tab.ask("why?", seen)
    assert not tab.ask("why?", f"{id_of(tab)}:x")
    assert tab.ask("why?", "")
    wait(tab)


def test_what_another_program_stores_is_seen(store: Store, tmp_path: Path) -> None:
    tab = tabs_of(store, Script(["one"])).open("", "page", "", "")
    ask(tab)
    tab.look()
    assert not tab.look()
    other = Store(tmp_path)
    kept = other.chats().open(id_of(tab))
    kept.conversation.ask("from the terminal")
    kept.keep()
    other.close()
    assert tab.look()
    assert said(tab)[-1] == "from the terminal"


def test_what_is_stored_while_the_context_is_counted_is_seen_after_it(
    store: Store, tmp_path: Path
) -> None:
    tab = tabs_of(store, Script(["one"])).open("", "page", "", "")
    ask(tab)
    tab.look()
    may_count = threading.Event()
    count_tokens = tab.chat._engine.count_tokens
    tab.chat._engine.count_tokens = lambda said: may_count.wait(SOON) and count_tokens(said)  # type: ignore[method-assign]
    assert tab.act(Look())
    other = Store(tmp_path)
    kept = other.chats().open(id_of(tab))
    kept.conversation.ask("from the terminal")
    kept.keep()
    other.close()
    tab.look()
    assert said(tab) == ["why?", "one"]
    may_count.set()
    wait(tab)
    tab.look()
    assert said(tab)[-1] == "from the terminal"


def test_a_page_of_an_earlier_server_shows_its_chat_again(store: Store) -> None:
    first = tabs_of(store, Script(["because"])).open("", "page", "", "")
    ask(first)
    assert said(tabs_of(store).of("", "page", first.asked)) == ["why?", "because"]


def test_delete_shows_a_new_chat_and_restore_brings_the_old_one_back(store: Store) -> None:
    tab = tabs_of(store, ENDLESS).open("", "page", "", "")
    tab.ask("why?", tab.asked)
    id = id_of(tab)
    while not said(tab)[1:]:
        time.sleep(0.01)
    clicks.carry_out(tab, {"do": "delete", "chat": id})
    assert said(tab) == []
    assert titles(tab) == []
    assert tab.gone() is not None
    clicks.carry_out(tab, {"do": "restore", "chat": id})
    assert id_of(tab) == id
    assert said(tab)[0] == "why?"
    assert titles(tab) == ["why?"]


def deleted_chats(store: Store, *questions: str) -> tuple[Tab, list[str]]:
    """A tab whose chats were all deleted in it, in order; and their ids."""
    tab = tabs_of(store, *(Script(["yes"]) for _ in questions)).open("", "page", "", "")
    ids = []
    for question in questions:
        ask(tab, question)
        ids.append(id_of(tab))
        tab.delete(ids[-1])
    return tab, ids


def test_a_second_click_on_delete_leaves_the_first_to_be_undone(store: Store) -> None:
    tab, (id,) = deleted_chats(store, "why?")
    tab.delete(id)
    assert tab.gone() is not None
    tab.restore(id)
    assert titles(tab) == ["why?"]


def test_all_that_was_deleted_can_be_had_back_the_latest_first(store: Store) -> None:
    tab, ids = deleted_chats(store, "first", "second", "third")
    tab.search("anything")
    for id in reversed(ids):
        assert tab.gone() is not None
        assert tab.gone().id == id
        tab.restore(id)
    assert tab.gone() is None
    assert set(titles(tab)) == {"first", "second", "third"}


def test_what_came_back_by_another_way_or_is_gone_for_good_is_not_offered(store: Store) -> None:
    tab, (first, second, third) = deleted_chats(store, "first", "second", "third")
    store.chats().restore(third)
    assert tab.gone() is not None
    assert tab.gone().id == second
    with store._database.writing() as connection:
        connection.execute("DELETE FROM chats WHERE id = ?", (second,))
    with pytest.raises(StoreError):
        tab.restore(second)
    assert tab.gone() is not None
    assert tab.gone().id == first


def test_a_search_hit_in_another_version_opens_that_version(store: Store) -> None:
    every = tabs_of(store, Script(["the needle"]), Script(["something else"]))
    tab = every.open("", "page", "", "")
    ask(tab)
    id = id_of(tab)
    tab.act(Regenerate())
    wait(tab)
    tab.begin()
    (hit,) = tab.library.search("needle", 10)
    for _ in range(2):  # from another chat, and from its own
        clicks.carry_out(tab, {"do": "open", "chat": id, "hit": hit.message_id})
        wait(tab)
        assert said(tab) == ["why?", "the needle"]
        tab.act(Choose(tab.chat.conversation.path[-1].id, 1))
        wait(tab)
    clicks.carry_out(tab, {"do": "open", "chat": id, "hit": "unknown"})
    assert said(tab) == ["why?", "something else"]


def test_a_search_hit_does_not_disturb_an_answer_that_is_written(store: Store) -> None:
    tab = tabs_of(store, Script(["the needle"]), ENDLESS).open("", "page", "", "")
    ask(tab)
    earlier = tab.chat.conversation.path[-1]
    tab.act(Regenerate())
    while not tab.chat.writing:
        time.sleep(0.01)
    tab.open(id_of(tab), earlier.id)
    time.sleep(0.1)
    assert tab.chat.writing
    assert earlier not in tab.chat.conversation.path
    tab.chat.leave(within=SOON)


@pytest.mark.parametrize(("box", "given"), [("", "why?"), (" ", "why?"), ("a draft", None)])
def test_a_question_taken_back_goes_only_into_an_empty_box(
    store: Store, box: str, given: str | None
) -> None:
    tab = tabs_of(store, Script(["one"])).open("", "page", "", "")
    ask(tab)
    tab.box = box
    tab.act(Undo())
    wait(tab)
    assert said(tab) == []
    assert tab.take_draft() == given


@pytest.mark.parametrize(("box", "left"), [("why?", ""), ("a draft", None)])
def test_redo_brings_back_what_was_taken_back_and_leaves_a_draft_alone(
    store: Store, box: str, left: str | None
) -> None:
    tab = tabs_of(store, Script(["one"])).open("", "page", "", "")
    ask(tab)
    question = tab.chat.conversation.path[0]
    tab.act(Undo())
    wait(tab)
    tab.take_draft()
    tab.box = box
    clicks.carry_out(tab, {"do": "redo", "message": question.id})
    wait(tab)
    assert said(tab) == ["why?", "one"]
    assert tab.take_draft() == left


def test_rename_and_fork(store: Store) -> None:
    tab = tabs_of(store, Script(["one"]), Script(["two"])).open("", "page", "", "")
    ask(tab, "first")
    ask(tab, "second")
    id = id_of(tab)
    clicks.carry_out(tab, {"do": "rename", "chat": id, "title": " A \n name "})
    assert titles(tab) == ["A name"]
    answer = tab.chat.conversation.path[1]
    clicks.carry_out(tab, {"do": "fork", "message": answer.id})
    assert id_of(tab) != id
    assert said(tab) == ["first", "one"]
    assert len(titles(tab)) == 2
    assert tab.take_turn()
    assert not tab.take_turn()


def test_a_private_chat_is_not_stored_nor_is_its_fork(store: Store) -> None:
    every = tabs_of(store, Script(["one"]))
    tab = every.open("", "page", "", "")
    tab.set_private(True)
    ask(tab)
    tab.set_private(False)  # too late
    assert tab.chat.is_private
    tab.fork(tab.chat.conversation.path[-1].id)
    assert tab.chat.is_private
    assert titles(tab) == []
    assert every.open("", "page 2", "", id_of(tab)).chat is tab.chat, "a reload finds it"
    assert b"why?" not in store.path.read_bytes()


@pytest.mark.parametrize(
    "click",
    [
        {},
        {"do": "judge"},
        {"do": "choose", "message": "x", "step": 5},
        {"do": "edit", "message": 5, "text": "x"},
        {"do": "explode"},
    ],
)
def test_a_click_that_no_page_sends_is_ignored(store: Store, click: dict[str, object]) -> None:
    tab = tabs_of(store).open("", "page", "", "")
    clicks.carry_out(tab, click)
    assert said(tab) == []


def test_clicks_edit_choose_and_judge(store: Store) -> None:
    tab = tabs_of(store, Script(["one"]), Script(["two"])).open("", "page", "", "")
    ask(tab)
    tab.act(Regenerate())
    wait(tab)
    answer = tab.chat.conversation.path[1]
    click = {"do": "judge", "message": answer.id, "good": False, "why": "too short"}
    clicks.carry_out(tab, click)
    assert answer.feedback is not None
    clicks.carry_out(tab, {"do": "judge", "message": answer.id})
    assert answer.feedback is None
    clicks.carry_out(tab, {"do": "choose", "message": answer.id, "step": -1})
    wait(tab)
    assert said(tab) == ["why?", "one"]
    clicks.carry_out(tab, {"do": "edit", "message": tab.chat.conversation.path[1].id, "text": "x"})
    wait(tab)
    assert said(tab) == ["why?", "x"]


def test_settings_are_taken_over_all_or_none(store: Store) -> None:
    tab = tabs_of(store).open("", "page", "", "")
    shown = {"temperature": 0.5, "max_new_tokens": 0}
    with pytest.raises(SettingError):
        tab.change("new", shown)
    assert tab.settings.temperature == 1
    tab.change("new", shown | {"max_new_tokens": 5})
    assert (tab.settings.temperature, tab.settings.max_new_tokens) == (0.5, 5)
    assert tab.chat.conversation.system == "new"
    tab.reset_settings()
    assert tab.settings == ScriptedEngine().defaults


def test_what_is_held_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "IDLE_CHATS_HELD", 3)
    monkeypatch.setattr(tabs, "CLOSED_TABS_KEPT", 3)
    every = tabs_of(store)
    for number in range(10):
        tab = every.open("", f"page {number}", "", "")
        every.close("", f"page {number}")
    assert len(tab.library.held()) <= 5
    assert len(every._closed) == 3


def test_the_program_ends_all_answers_and_what_was_said_is_stored(store: Store) -> None:
    every = tabs_of(store, ENDLESS)
    tab = every.open("", "page", "", "")
    tab.ask("why?", tab.asked)
    while len(said(tab)) < 2 or not said(tab)[1]:
        time.sleep(0.01)
    every.close_all()
    assert not tab.chat.is_busy
    assert said(tabs_of(store).open("", "page", "", id_of(tab))) == said(tab)
