"""The prompt: keys, completion and the history file, with real key presses in a pipe."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from chatapp.store import open_store
from chatapp.terminal.commands import COMMANDS
from chatapp.terminal.prompt import (
    HISTORY_BYTES,
    CommandCompleter,
    OwnHistory,
    build_prompt,
    open_history,
)

ENTER = "\r"
ALT_ENTER = "\x1b\r"
CTRL_C, CTRL_D, CTRL_J = "\x03", "\x04", "\x0a"
UP = "\x1b[A"


class Typist:
    """Someone at the keyboard of a prompt."""

    def __init__(self, prompt: PromptSession[str], keys: Any) -> None:
        self.prompt = prompt
        self._keys = keys

    def types(self, text: str) -> str:
        """What the prompt returns for these key presses."""
        self._keys.send_text(text)
        return self.prompt.prompt()


@pytest.fixture
def someone(new_chat: Callable[..., Any]) -> Iterator[Typist]:
    with create_pipe_input() as keys:
        prompt = build_prompt(new_chat(), InMemoryHistory(), input=keys, output=DummyOutput())
        yield Typist(prompt, keys)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (f"hello{ENTER}", "hello"),
        (f"one{ALT_ENTER}two{ENTER}", "one\ntwo"),
        (f"one{CTRL_J}two{ENTER}", "one\ntwo"),
        (f"\x1b[200~one\ntwo\n:exit\x1b[201~{ENTER}", "one\ntwo\n:exit"),
        (f"你好 👍{ENTER}", "你好 👍"),
        (f"wrong{CTRL_C}right{ENTER}", "right"),
    ],
)
def test_keys_become_text(someone: Typist, keys: str, text: str) -> None:
    assert someone.types(keys) == text


def test_ctrl_c_on_an_empty_line_and_ctrl_d_ask_to_leave(someone: Typist) -> None:
    with pytest.raises(KeyboardInterrupt):
        someone.types(CTRL_C)
    with pytest.raises(EOFError):
        someone.types(CTRL_D)


def test_the_up_arrow_brings_back_what_was_sent(someone: Typist) -> None:
    someone.types(f"one{ALT_ENTER}two{ENTER}")
    assert someone.types(f"{UP}!{ENTER}") == "one\ntwo!"


@pytest.fixture
def completed(new_chat: Callable[..., Any]) -> Callable[[str], list[str]]:
    completer = CommandCompleter(new_chat(supports=["temperature", "do_sample", "seed"]))

    def complete(text: str) -> list[str]:
        """What the text may become."""
        found = completer.get_completions(Document(text), CompleteEvent(completion_requested=True))
        return [text[: len(text) + choice.start_position] + choice.text for choice in found]

    return complete


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        (":co", [":continue", ":compact", ":conf "]),
        (":cl", [":clear", ":new"]),
        (":q", [":exit"]),
        (":regen ", [":regen same"]),
        (":conf ", [":conf temperature=", ":conf do_sample=", ":conf seed="]),
        (":conf te", [":conf temperature="]),
        (":conf seed=1 do", [":conf seed=1 do_sample="]),
        (
            ":conf seed=1 ",
            [f":conf seed=1 {name}=" for name in ("temperature", "do_sample", "seed")],
        ),
        (":conf do_sample=", [":conf do_sample=true", ":conf do_sample=false"]),
        (":conf do_sample=f", [":conf do_sample=false"]),
        (":conf temperature=", []),
        (":conf nonsense=", []),
        (":help see", [":help seed", ":help seed"]),
        (":help reset", [":help reset-conf"]),
        (":nonsense ", []),
        (":undo ", []),
        (":resume ", []),
        (":edit a", [":edit answer"]),
        ("hello :co", []),
        ("::co", []),
        ("", []),
    ],
)
def test_tab_completes_commands_and_their_arguments(
    completed: Callable[[str], list[str]], text: str, choices: list[str]
) -> None:
    assert completed(text) == choices


def test_every_command_is_offered_after_a_colon(completed: Callable[[str], list[str]]) -> None:
    assert len(completed(":")) == len(COMMANDS)


def test_the_history_lasts_in_a_file_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "history"
    before = os.umask(0)
    try:
        OwnHistory(path).append_string("one\ntwo")
    finally:
        os.umask(before)
    OwnHistory(path).append_string("你好 \udcff")
    assert list(OwnHistory(path).load_history_strings()) == ["你好 ?", "one\ntwo"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_history_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.touch(0o644)
    OwnHistory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_history_does_not_grow_without_bound(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = OwnHistory(path)
    for number in range(HISTORY_BYTES // 1000 + 10):
        history.store_string(f"{number} " + "x" * 1000)
    OwnHistory(path)
    assert path.stat().st_size < HISTORY_BYTES * 0.6
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = list(OwnHistory(path).load_history_strings())
    assert len(kept) > 400 and kept[0].startswith(f"{HISTORY_BYTES // 1000 + 9} ")
    assert all(entry.split()[1] == "x" * 1000 for entry in kept)
    assert [found.name for found in tmp_path.iterdir()] == ["history"]


def test_one_entry_larger_than_the_whole_history_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "history"
    OwnHistory(path).store_string("x" * 2 * HISTORY_BYTES)
    OwnHistory(path).store_string("next")
    assert next(iter(OwnHistory(path).load_history_strings())) == "next"


def test_a_broken_history_file_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"\x00\xff\xfe no history at all\n+\xff\n")
    assert len(list(OwnHistory(path).load_history_strings())) == 1


def test_without_a_place_for_the_file_the_history_ends_with_the_session(
    new_chat: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHATAPP_DATA_DIR", str(tmp_path / "file"))
    chat = new_chat(chats=open_store(str(tmp_path)).chats())
    assert isinstance(open_history(chat), InMemoryHistory)
    assert chat.said == "What you type will not be remembered for the next time: File exists."
