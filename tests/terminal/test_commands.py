"""The :commands, each of them, on a chat with a scripted engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapp.engines.scripted import Script
from chatapp.errors import ChatError, CommandError, SettingError
from chatapp.settings import GenerationSettings
from chatapp.terminal.app import obey
from chatapp.terminal.commands import COMMANDS, find, run_command

NewChat = Callable[..., Any]


def test_the_classic_names_and_aliases_are_all_there() -> None:
    known = {alias: command.name for command in COMMANDS.values() for alias in command.aliases}
    assert list(COMMANDS) == [
        "help", "exit", "clear", "info",
        "history", "regen", "versions", "undo", "edit", "continue", "good", "bad",
        "new", "sessions", "search", "resume", "title", "delete", "undelete", "fork", "compact",
        "export", "import",
        "seed", "conf", "reset-conf", "system",
    ]  # fmt: skip
    assert known == {
        "h": "help", "?": "help", "quit": "exit", "q": "exit", "cl": "clear",
        "his": "history", "retry": "regen", "remove": "undo", "cont": "continue",
        "clear-history": "new", "clh": "new", "list": "sessions", "compress": "compact",
    }  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_says_what_it_does_in_one_line(command: Any) -> None:
    assert command.english and not command.english.endswith(".")
    assert find(command.name.upper()) is command


def test_help_lists_every_command_with_its_aliases_and_arguments(new_chat: NewChat) -> None:
    chat = new_chat(width=160)
    run_command(chat, ":help")
    for command in COMMANDS.values():
        assert command.usage in chat.said and command.english in chat.said
        assert all(f":{alias}" in chat.said for alias in command.aliases)
    assert "Alt-Enter" in chat.said


@pytest.mark.parametrize("topic", ["conf", ":conf"])
def test_help_explains_one_command(new_chat: NewChat, topic: str) -> None:
    chat = new_chat()
    run_command(chat, f":h {topic}")
    assert chat.said == ":conf [key=value ...]    Show or change the settings of an answer"


def test_help_explains_one_setting(new_chat: NewChat) -> None:
    chat = new_chat()
    run_command(chat, ":help top_k")
    assert chat.said.endswith("0 for all\ntop_k: a whole number from 0 to 1000")


def test_help_speaks_chinese(new_chat: NewChat) -> None:
    chat = new_chat(language="zh")
    run_command(chat, ":help exit")
    assert chat.said == ":exit  :quit :q  退出"


@pytest.mark.parametrize("word", ["exit", "quit", "q"])
def test_exit_leaves(new_chat: NewChat, word: str) -> None:
    chat = new_chat()
    run_command(chat, f":{word}")
    assert chat.leaving


def test_clear_clears_the_screen_and_nothing_else(new_chat: NewChat) -> None:
    chat = new_chat("Hello")
    chat.ask("Hi")
    run_command(chat, ":cl")
    assert chat.screen.window == [""] * 24
    assert chat.conversation.turn == 1


def test_clear_history_begins_anew_and_keeps_settings_and_system(new_chat: NewChat) -> None:
    chat = new_chat("Hello", "again")
    chat.ask("Hi")
    run_command(chat, ":seed 5")
    run_command(chat, ":clh")
    assert chat.conversation.path == [] and chat.conversation.system == "Be brief."
    assert chat.settings.seed == 5
    chat.ask("Who?")
    assert [message.content for message in chat.engine.prompts[-1]] == ["Be brief.", "Who?"]


def test_history_shows_questions_and_answers(new_chat: NewChat) -> None:
    chat = new_chat("**Hello**", "Fine")
    run_command(chat, ":history")
    assert chat.said == "The conversation is empty so far."
    chat.ask("Hi [b]you[/b]")
    chat.ask("How?")
    chat.console.clear()
    run_command(chat, ":his")
    assert chat.said == "1 > Hi [b]you[/b]\nHello\n\n2 > How?\nFine"


def test_seed_shows_and_sets_the_base_seed(new_chat: NewChat) -> None:
    chat = new_chat("Hello")
    run_command(chat, ":seed 7")
    assert chat.settings.seed == 7 and chat.said == "The chat's base seed is 7."
    chat.ask("Hi")
    own = chat.conversation.answer.record.finished.seed
    run_command(chat, ":seed")
    assert chat.said.endswith(f"The last answer's own seed was {own}.")


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 30, "1 2"])
def test_a_bad_seed_changes_nothing(new_chat: NewChat, value: str) -> None:
    chat = new_chat()
    with pytest.raises(SettingError):
        run_command(chat, f":seed {value}")
    assert chat.settings == chat.initial


def test_conf_shows_what_the_engine_honours_and_marks_what_is_changed(new_chat: NewChat) -> None:
    chat = new_chat(supports=["temperature", "top_k", "seed"])
    run_command(chat, ":conf temperature=0.5")
    chat.console.clear()
    run_command(chat, ":conf")
    assert [line.split() for line in chat.said.splitlines()] == [
        ["setting", "value", "model's", "default"],
        ["temperature", "0.5", "1.0", "changed"],
        ["top_k", "0", "0"],
        ["seed", "1234", "1234"],
    ]


def test_conf_sets_several_at_once_and_says_what_changed(new_chat: NewChat) -> None:
    chat = new_chat()
    run_command(chat, ':conf temperature=0 stop=["a b", "c"] top_k=0')
    assert chat.settings.temperature == 0 and chat.settings.stop == ("a b", "c")
    assert chat.said.splitlines() == [
        "temperature: 1.0 → 0.0",
        "top_k: 0",
        "do_sample: true → false",
        'stop: [] → ["a b", "c"]',
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("temperature=__import__('os').system('x')", "setting-bad-value"),
        ("top_k=5 temperature=9", "setting-bad-value"),
        ("top_k=5 tempature=1", "setting-unknown-close"),
        ("top_k=5 __class__=1", "setting-unknown"),
        ("top_k=5 trust_remote_code=true", "setting-unknown"),
        ("top_k=5 min_p=0.1", "setting-unsupported"),
        ("top_k=5 nonsense", "setting-not-assigned"),
        ("top_k=5 stop=[" + "[" * 10_000, "setting-bad-value"),
        ("top_k", "setting-not-assigned"),
    ],
)
def test_conf_applies_all_or_nothing(new_chat: NewChat, text: str, key: str) -> None:
    chat = new_chat(supports=["temperature", "top_k", "stop", "seed"])
    with pytest.raises(SettingError) as raised:
        run_command(chat, f":conf {text}")
    assert raised.value.sentence.key == key
    assert chat.settings == chat.initial


def test_reset_conf_goes_back_to_the_settings_of_the_start(new_chat: NewChat) -> None:
    chat = new_chat()
    run_command(chat, ":conf temperature=0.5 seed=1")
    run_command(chat, ":reset-conf")
    assert chat.settings == chat.initial


def test_system_shows_changes_and_removes_the_system_prompt(new_chat: NewChat) -> None:
    chat = new_chat("one", "two")
    run_command(chat, ":system")
    assert chat.said == "The system prompt is:\nBe brief."
    run_command(chat, ":system Speak\nlike a pirate")
    chat.ask("Hi")
    assert chat.engine.prompts[-1][0].content == "Speak\nlike a pirate"
    run_command(chat, ':system ""')
    assert "There is no system prompt." in chat.said
    chat.ask("Hi")
    assert chat.engine.prompts[-1][0].role == "user"


def test_regen_answers_the_same_question_with_another_seed(new_chat: NewChat) -> None:
    chat = new_chat()
    chat.ask("Hi")
    first = chat.conversation.answer
    run_command(chat, ":regen")
    second = chat.conversation.answer
    assert chat.conversation.turn == 1 and len(chat.conversation.question.replies) == 2
    assert first.record.finished.seed != second.record.finished.seed
    assert first.content != second.content


def test_regen_same_replays(new_chat: NewChat) -> None:
    chat = new_chat()
    chat.ask("Hi")
    first = chat.conversation.answer
    run_command(chat, ":regen same")
    assert chat.conversation.answer is not first
    assert chat.conversation.answer.content == first.content


def test_regen_answers_what_failed(new_chat: NewChat) -> None:
    chat = new_chat(Script([], error=CommandError("regen-nothing")), "Hello")
    with pytest.raises(ChatError):
        chat.ask("Hi")
    with pytest.raises(CommandError, match="no seed"):
        run_command(chat, ":regen same")
    run_command(chat, ":regen")
    assert chat.conversation.answer.content == "Hello"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (":regen", "no question"),
        (":regen same", "no question"),
        (":undo", "no question"),
        (":regen other", "used as :regen"),
        (":exit now", "used as :exit"),
        (":help nothing-like-it", "no command :nothing-like-it"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(new_chat: NewChat, line: str, message: str) -> None:
    chat = new_chat()
    with pytest.raises(CommandError, match=message):
        run_command(chat, line)
    assert not chat.leaving


def test_undo_takes_back_the_last_turn_and_says_which(new_chat: NewChat) -> None:
    chat = new_chat("one", "two", "three")
    chat.ask("First?")
    chat.ask("Second?\nWith more.")
    run_command(chat, ":undo")
    assert chat.said.endswith("Taken back, with its answer: Second?…")
    chat.ask("Third?")
    assert [message.content for message in chat.engine.prompts[-1]] == [
        "Be brief.", "First?", "one", "Third?",
    ]  # fmt: skip


def test_info_shows_the_model_the_engine_and_the_context(new_chat: NewChat) -> None:
    chat = new_chat("one two three")
    run_command(chat, ":info")
    assert "used so far    0 tokens" in chat.said
    chat.ask("Hi")
    run_command(chat, ":info")
    for fact in ("model          scripted", "4096 tokens", "device         none"):
        assert fact in chat.said
    assert f"used so far    {chat.outlook().used} tokens" in chat.said


def test_info_knows_no_context_where_the_engine_does_not(new_chat: NewChat) -> None:
    chat = new_chat(context_length=None)
    run_command(chat, ":info")
    assert "context        unknown" in chat.said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (":hlep", "did you mean :help"),
        (":history2", "did you mean :history"),
        (":xyzzy", "no command :xyzzy"),
        (":", "no command :;"),
        (": help", "no command :;"),
        (":)", r"no command :\)"),
        (":\x00\x1b[2J", r"no command :\[2J"),
    ],
)
def test_an_unknown_command_is_a_question_back(new_chat: NewChat, line: str, message: str) -> None:
    chat = new_chat()
    with pytest.raises(CommandError, match=message):
        run_command(chat, line)
    assert chat.engine.prompts == []


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_no_line_is_a_traceback_and_none_with_a_colon_reaches_the_model(
    new_chat: NewChat, text: str
) -> None:
    chat = new_chat()
    obey(chat, ":" + text.lstrip(":"))
    assert chat.engine.prompts == [] or text.strip().startswith("regen")
    assert isinstance(chat.settings, GenerationSettings)


def test_no_line_is_too_long(new_chat: NewChat) -> None:
    chat = new_chat()
    obey(chat, ":" + "x" * 1_000_000)
    assert "There is no command :xxx" in chat.said and len(chat.said) < 500
