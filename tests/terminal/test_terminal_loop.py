"""The loop of a chat: questions, failures, interruptions, and how one leaves."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from chatapp.engines import ENGINES, ModelOptions
from chatapp.engines.scripted import Script
from chatapp.errors import GenerationError, LoadError
from chatapp.events import Progress, ReasoningDelta
from chatapp.loading import Loading
from chatapp.terminal.app import converse, obey
from chatapp.terminal.prompt import build_prompt
from chatapp.terminal.signals import interrupts_set, termination_leaves
from chatapp.texts import Sentence

NewChat = Callable[..., Any]


def hold(chat: Any, keys: str) -> None:
    """The conversation someone has who presses these keys."""
    with create_pipe_input() as pipe:
        pipe.send_text(keys)
        converse(chat, build_prompt(chat, InMemoryHistory(), input=pipe, output=DummyOutput()))


def contents(chat: Any) -> list[str]:
    return [message.content for message in chat.conversation.path]


def test_questions_are_answered_until_one_leaves(new_chat: NewChat) -> None:
    chat = new_chat("one", "two")
    hold(chat, "First?\r\r  \rSecond?\r:exit\rnever read\r")
    assert contents(chat) == ["First?", "one", "Second?", "two"]


def test_ctrl_d_leaves(new_chat: NewChat) -> None:
    hold(new_chat(), "\x04")


def test_ctrl_c_twice_leaves_and_says_so_first(new_chat: NewChat) -> None:
    chat = new_chat("one")
    hold(chat, "\x03Hi\r\x03\x03:unread\r")
    assert chat.said.count("Press Ctrl-C again") == 2
    assert contents(chat) == ["Hi", "one"]


def test_a_greeting_names_the_model_and_what_to_know_about_it(new_chat: NewChat) -> None:
    chat = new_chat()
    chat.engine.notices = [Sentence("notice-no-template")]
    chat.greet()
    assert chat.said.startswith("scripted (scripted)\nThis model brings no chat template")
    assert ":help" in chat.said


def test_an_answer_ends_with_its_figures(new_chat: NewChat) -> None:
    chat = new_chat(Script(["Hello ", "there"]), width=120)
    obey(chat, "Hi")
    answer, figures = chat.said.splitlines()[1:]
    assert answer == "Hello there"
    assert figures.startswith("2 tokens") and "context 7 / 4,096" in figures and "seed" in figures


def test_an_answer_cut_by_the_limit_says_so(new_chat: NewChat) -> None:
    chat = new_chat(Script(["Hello ", "there"]))
    obey(chat, ":conf max_new_tokens=1")
    obey(chat, "Hi")
    assert "cut at max_new_tokens · 1 token" in chat.said


def test_two_colons_send_one(new_chat: NewChat) -> None:
    chat = new_chat("yes")
    obey(chat, " ::help me")
    assert contents(chat) == [":help me", "yes"]


def test_a_message_keeps_its_inner_shape(new_chat: NewChat) -> None:
    chat = new_chat("yes")
    obey(chat, "\n    indented\n  code \n\n")
    assert contents(chat)[0] == "    indented\n  code"


def test_reasoning_is_drawn_and_stays_out_of_the_answer(new_chat: NewChat) -> None:
    chat = new_chat(Script([ReasoningDelta("Hm."), "Yes"]))
    obey(chat, "Hi")
    assert chat.said.splitlines()[1:4] == ["Hm.", "", "Yes"]
    assert contents(chat) == ["Hi", "Yes"]


def test_a_failure_is_a_sentence_and_the_next_question_works(new_chat: NewChat) -> None:
    chat = new_chat(Script(["half "], error=GenerationError("out-of-memory")), "whole")
    obey(chat, "First?")
    obey(chat, "Second?")
    assert "half\nThe model ran out of memory." in chat.said
    assert contents(chat) == ["First?", "half ", "Second?", "whole"]


def test_a_fault_nobody_foresaw_is_a_sentence_too(new_chat: NewChat) -> None:
    chat = new_chat(Script([], error=ValueError("[/] \x1b[2J")))
    obey(chat, "Hi")
    assert "Something went wrong that should not have: ValueError: [/] [2J." in chat.said


def test_a_question_that_does_not_fit_is_taken_back(new_chat: NewChat) -> None:
    chat = new_chat("one", "two", context_length=20)
    obey(chat, "Hi")
    obey(chat, "word " * 30)
    assert "This message is too long" in chat.said
    assert contents(chat) == ["Hi", "one"]
    obey(chat, "Again")
    assert contents(chat) == ["Hi", "one", "Again", "two"]


def test_the_turns_that_no_longer_fit_are_told(new_chat: NewChat) -> None:
    chat = new_chat("word " * 9, "word " * 9, "short", context_length=30)
    for question in ("One?", "Two?", "Three?"):
        obey(chat, question)
    assert "left out of the prompt, oldest turns: 1." in chat.said.replace("\n", " ")
    assert chat.conversation.turn == 3


class Interrupting:
    """Presses Ctrl-C once so many tokens are there."""

    def __init__(self, chat: Any, *, after: int, times: int = 1) -> None:
        self._chat, self._after, self._times = chat, after, times
        self._stop = threading.Event()

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            if self._chat.engine.tokens >= self._after and self._times:
                self._times -= 1
                os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_stops_the_answer_keeps_the_part_and_the_model_goes_idle(new_chat: NewChat) -> None:
    chat = new_chat(Script(["word "] * 1000, seconds_per_token=0.01), "next")
    with Interrupting(chat, after=3):
        obey(chat, "First?")
    said = chat.engine.tokens
    assert 3 <= said < 500
    assert contents(chat) == ["First?", "word " * said]
    assert f"stopped · {said} tokens" in chat.said
    obey(chat, "Second?")
    assert contents(chat)[-1] == "next"


def test_ctrl_c_before_the_first_token_leaves_the_question_alone(new_chat: NewChat) -> None:
    chat = new_chat(Script(["never"], seconds_reading=30), "next")
    with Interrupting(chat, after=0):
        obey(chat, "First?")
    assert contents(chat) == ["First?"] and "stopped · 0 tokens" in chat.said


def test_a_second_ctrl_c_does_not_wait_for_the_model() -> None:
    cancel, before = threading.Event(), signal.getsignal(signal.SIGINT)
    with interrupts_set(cancel):
        os.kill(os.getpid(), signal.SIGINT)
        assert cancel.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_answer_that_is_abandoned_stays_as_far_as_it_came(new_chat: NewChat) -> None:
    def pieces() -> Iterator[str]:
        yield "part "
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        yield "never"

    chat = new_chat(Script(pieces()), "next")  # type: ignore[arg-type]
    obey(chat, "First?")
    assert contents(chat) == ["First?", "part "] and "stopped" in chat.said


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGHUP")
def test_a_hangup_leaves_unless_nohup_has_it_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with termination_leaves(), pytest.raises(SystemExit) as left:
            os.kill(os.getpid(), signal.SIGHUP)
        assert left.value.code == 128 + signal.SIGHUP
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with termination_leaves():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_loading_shows_its_progress_and_gives_the_engine() -> None:
    shown: list[Progress | None] = []
    engine = Loading(ModelOptions(engine="scripted")).wait(shown.append)
    assert engine.name == "scripted" and shown[-1] is None


def test_a_fault_in_loading_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "scripted", "no.such.module")  # type: ignore[arg-type]
    with pytest.raises(LoadError, match="could not be loaded: ModuleNotFoundError"):
        Loading(ModelOptions(engine="scripted")).wait(lambda progress: None)


def test_a_model_that_cannot_be_loaded_is_an_error_where_it_is_waited_for(tmp_path: Path) -> None:
    loading = Loading(ModelOptions(checkpoint_path=str(tmp_path / "nowhere")))
    with pytest.raises(LoadError):
        loading.wait(lambda progress: None)
