"""Two windows in one conversation: each sees what is said in the other, and nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from chatapp.engines.scripted import Script
from chatapp.store import Store, open_store
from chatapp.terminal.app import converse, obey
from chatapp.terminal.others import Others
from chatapp.terminal.prompt import build_prompt

NewChat = Callable[..., Any]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Store]]:
    """One file, opened by two."""
    stores = [open_store(str(tmp_path / "chats")) for _ in range(2)]
    yield stores
    for store in stores:
        store.close()


class Window:
    """A chat, and its eye on the others."""

    def __init__(self, chat: Any) -> None:
        self.chat = chat
        self.others = Others(chat)

    def says(self, line: str) -> None:
        self.others.catch_up()
        obey(self.chat, line)

    def sees(self) -> str:
        """What a look brings to the screen."""
        before = len(self.chat.said)
        self.others.catch_up()
        return str(self.chat.said[before:]).strip("\n")

    @property
    def contents(self) -> list[str]:
        return [message.content for message in self.chat.conversation.path]


@pytest.fixture
def windows(new_chat: NewChat, stores: list[Store]) -> tuple[Window, Window]:
    """Two windows in one conversation with one turn, both up to date."""
    one = Window(new_chat("first", "second", "third", chats=stores[0].chats()))
    one.says("Hi")
    chats = stores[1].chats()
    other = Window(new_chat("fourth", "fifth", "sixth", chats=chats))
    other.chat.take(chats.open(one.chat.conversation.id))
    other.sees()
    one.sees()
    return one, other


def test_what_one_says_appears_in_the_other_and_what_is_typed_next_follows_it(
    windows: tuple[Window, Window],
) -> None:
    one, other = windows
    one.says("What else?")
    assert other.sees() == "2 > What else?\nsecond"
    assert other.sees() == "" and one.sees() == ""
    other.says("And then?")
    assert one.sees() == "3 > And then?\nfourth"
    assert one.contents == ["Hi", "first", "What else?", "second", "And then?", "fourth"]


def test_another_branch_another_title_and_taking_back_are_followed(
    windows: tuple[Window, Window],
) -> None:
    one, other = windows
    one.says(":regen")
    assert "took another branch" in (seen := other.sees()) and "second\nversion 2 of 2" in seen
    one.says(":title About hi")
    assert other.sees() == "" and other.chat.conversation.name == "About hi"
    one.says(":undo")
    assert other.sees() == "Taken back elsewhere: Hi"
    assert other.contents == []


def test_of_two_questions_at_one_place_both_stay_and_both_are_told(
    windows: tuple[Window, Window],
) -> None:
    one, other = windows
    obey(one.chat, "From one?")
    obey(other.chat, "From the other?")  # without having looked
    assert "took another branch" in one.sees()
    assert one.contents == other.contents == ["Hi", "first", "From the other?", "fourth"]
    assert "something else was said in the same place" in other.sees()
    for window in windows:
        versions = [message.content for message in window.chat.conversation.path[1].replies]
        assert sorted(versions) == ["From one?", "From the other?"]


def test_an_answer_in_the_making_is_announced_and_comes_when_it_is_whole(
    windows: tuple[Window, Window],
) -> None:
    one, other = windows
    go = threading.Event()

    def pieces() -> Iterator[str]:
        yield "begun, "
        go.wait(10)
        yield "done"

    one.chat.engine._scripts[:0] = [Script(pieces())]  # type: ignore[arg-type]
    speaking = threading.Thread(target=answered, args=[one.chat, "Slowly?"])
    speaking.start()
    seen = ""
    until = time.monotonic() + 5
    while "being written" not in seen:
        assert time.monotonic() < until, (seen, other.contents, one.contents, one.chat.kept.failure)
        seen += other.sees()
        time.sleep(0.01)
    assert seen.startswith("2 > Slowly?") and "begun" not in seen
    assert other.sees() == ""
    go.set()
    speaking.join()
    assert other.sees() == "begun, done"


def test_an_answer_in_the_making_that_something_was_asked_below_is_told_once_and_whole(
    windows: tuple[Window, Window],
) -> None:
    one, other = windows
    steps = [threading.Event() for _ in range(3)]

    def pieces() -> Iterator[str]:
        for number, step in enumerate(steps):
            yield f"part {number} "
            step.wait(10)

    one.chat.engine._scripts[:0] = [Script(pieces())]  # type: ignore[arg-type]
    speaking = threading.Thread(target=answered, args=[one.chat, "Slowly?"])
    speaking.start()
    seen = seen_until("being written", other)
    obey(other.chat, "Meanwhile?")
    before = len(other.chat.said)
    for step in steps[:2]:
        step.set()
        until = time.monotonic() + 1.2  # an answer is stored once a second while it is written
        while time.monotonic() < until:
            other.others.catch_up()
            time.sleep(0.02)
    assert other.chat.said[before:].strip() == ""
    steps[2].set()
    speaking.join()
    assert other.sees() == "2 > Slowly?\npart 0 part 1 part 2"
    assert other.sees() == "" and seen.count("being written") == 1
    assert other.contents[2:] == ["Slowly?", "part 0 part 1 part 2 ", "Meanwhile?", "fourth"]


def seen_until(words: str, window: Window) -> str:
    seen, until = "", time.monotonic() + 5
    while words not in seen:
        assert time.monotonic() < until, seen
        seen += window.sees()
        time.sleep(0.01)
    return seen


def answered(chat: Any, question: str) -> None:
    """Ask and answer in a thread, where no signal can be caught."""
    from chatapp.chat import respond

    chat.conversation.ask(question)
    stream = respond(
        chat.engine, chat.conversation, chat.settings, threading.Event(), keep=chat.kept.keep
    )
    for _ in stream:
        pass


def test_what_goes_on_elsewhere_is_shown_again(windows: tuple[Window, Window]) -> None:
    one, other = windows
    one.chat.engine._scripts[:0] = [Script(["A part ", "of it"])]
    one.says(":conf max_new_tokens=1")
    one.says("More?")
    other.sees()
    one.says(":conf max_new_tokens=9")
    one.says(":continue")
    assert "gone on with" in (seen := other.sees()) and seen.endswith("A part of it")


def test_news_come_while_the_prompt_stands(windows: tuple[Window, Window]) -> None:
    one, other = windows
    with create_pipe_input() as pipe:

        def meanwhile() -> None:
            answered(one.chat, "Are you there?")
            until = time.monotonic() + 2
            while "second" not in other.chat.screen.raw and time.monotonic() < until:
                time.sleep(0.01)
            pipe.send_text(":exit\r")

        pipe.send_text("half a question")
        thread = threading.Thread(target=meanwhile)
        thread.start()
        pipe.send_text("\x15")
        prompt = build_prompt(other.chat, InMemoryHistory(), input=pipe, output=DummyOutput())
        converse(other.chat, prompt)
        thread.join()
    assert "2 > Are you there?\n" in other.chat.said and "\nsecond" in other.chat.said
