"""The :commands about stored conversations, versions, edits and judgements, on a real store."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapp.engines.scripted import Script
from chatapp.errors import CommandError, ExchangeError
from chatapp.messages import Message
from chatapp.store import Store, open_store
from chatapp.terminal.app import obey
from chatapp.terminal.commands import COMMANDS, run_command
from chatapp.terminal.listing import age
from chatapp.texts import Texts

NewChat = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(str(tmp_path / "chats"))
    yield store
    store.close()


@pytest.fixture
def chat(new_chat: NewChat, store: Store) -> Any:
    """A stored chat with an engine that makes its answers up."""
    return new_chat(width=100, chats=store.chats())


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """An editor in which a person does what a Python expression says with the `text`."""

    def use(expression: str) -> None:
        program = tmp_path / "editor.py"
        program.write_text(
            "import pathlib, sys\n"
            "file = pathlib.Path(sys.argv[1])\n"
            "text = file.read_text(encoding='utf-8')\n"
            f"file.write_text({expression}, encoding='utf-8')\n"
        )
        monkeypatch.setenv("VISUAL", f"{sys.executable} {program}")

    return use


def contents(chat: Any) -> list[str]:
    return [message.content for message in chat.conversation.path]


def after(chat: Any, line: str) -> str:
    """What a line brings to the screen."""
    before = len(chat.said)
    obey(chat, line)
    return str(chat.said[before:]).strip("\n")


def flat(text: str) -> str:
    return " ".join(text.split())


def test_what_is_said_is_in_the_store_at_once(chat: Any, store: Store) -> None:
    obey(chat, "Who are you?")
    obey(chat, ":system Be kind.")
    kept = store.chats().open(chat.conversation.id)
    assert [message.content for message in kept.conversation.path] == contents(chat)
    assert kept.conversation.system == "Be kind."
    record = kept.conversation.answer.record
    assert (record.engine, record.model, record.finished.reason) == ("scripted", "scripted", "stop")


def test_a_question_is_stored_before_the_model_is_asked(chat: Any, store: Store) -> None:
    stream = chat.engine.stream
    found: list[str] = []

    def asked(*values: Any) -> Any:
        kept = store.chats().open(chat.conversation.id)
        found.extend(message.content for message in kept.conversation.path)
        return stream(*values)

    chat.engine.stream = asked
    obey(chat, "Who are you?")
    assert found == ["Who are you?"]


def test_an_empty_conversation_is_not_stored(chat: Any, store: Store) -> None:
    obey(chat, ":title Nothing said")
    obey(chat, ":new")
    assert store.chats().latest() == []
    assert after(chat, ":sessions") == "No conversation is stored yet."


def test_sessions_lists_the_newest_first_and_marks_the_one_at_hand(chat: Any) -> None:
    obey(chat, "First question?")
    obey(chat, ":new")
    obey(chat, "Second question?")
    obey(chat, "And on?")
    rows = after(chat, ":sessions").splitlines()
    assert rows[0].split() == "*1 Second question? scripted just now 2 turns".split()
    assert rows[1].split() == "2 First question? scripted just now 1 turn".split()
    assert rows[2] == ":resume N goes on with one."
    assert "Second" not in after(chat, ":list first")
    assert after(chat, ":sessions nowhere").startswith("No title has these words")


@pytest.mark.parametrize("width", [30, 60, 100])
def test_a_list_fits_into_the_window(new_chat: NewChat, store: Store, width: int) -> None:
    chat = new_chat(width=width, chats=store.chats())
    chat.engine.model = "SomeOrganisation/A-model-with-a-very-long-name-of-its-own"
    obey(chat, "请用中文介绍一下杭州市的历史和文化，以及有哪些值得一去的地方？")
    row, hint = after(chat, ":sessions").splitlines()
    assert row.startswith("*1  请") and row.endswith("  just now  1 turn")
    assert ("A-model" in row) == (width >= 60) and hint.startswith(":resume")


def test_a_long_list_is_cut_and_says_how_to_see_more(chat: Any) -> None:
    for number in range(22):
        obey(chat, f"Question {number}")
        obey(chat, ":new")
    first = after(chat, ":sessions")
    assert len(first.splitlines()) == 21 and ":sessions 40 shows more" in first
    whole = after(chat, ":sessions 40")
    assert len(whole.splitlines()) == 23 and "Question 0 " in whole
    obey(chat, ":resume 22")
    assert contents(chat)[0] == "Question 0"


def test_search_shows_where_the_words_are_and_resume_takes_its_numbers(
    new_chat: NewChat, store: Store
) -> None:
    chat = new_chat("我住在杭州市。", "In Paris.", chats=store.chats())
    obey(chat, "Where do you live?")
    obey(chat, ":new")
    obey(chat, "And you?")
    shown = after(chat, ":search 杭州")
    assert shown.splitlines()[0].split() == "1 Where do you live? just now".split()
    assert shown.splitlines()[1].strip() == "我住在杭州市。"
    assert "\x1b[1;33m杭州" in chat.screen.raw
    obey(chat, ":resume 1")
    assert contents(chat) == ["Where do you live?", "我住在杭州市。"]
    chat.console.clear()
    assert after(chat, ":search LIVE").splitlines()[0].startswith("*1  Where do you live?")
    assert "\x1b[1;33mlive" in chat.screen.raw
    assert after(chat, ":search nowhere") == "Nothing that was said has nowhere."


def test_resume_of_what_a_search_found_opens_the_version_with_the_words(
    new_chat: NewChat, store: Store
) -> None:
    chat = new_chat("In Fengtian.", "In Paris.", "other", chats=store.chats())
    obey(chat, "Where do you live?")
    obey(chat, ":regen")
    obey(chat, ":new")
    obey(chat, "Something else?")
    obey(chat, ":search Fengtian")
    shown = after(chat, ":resume 1")
    assert contents(chat) == ["Where do you live?", "In Fengtian."]
    assert "In Fengtian." in shown and "turn 1 of another version" in shown
    obey(chat, ":undo")
    obey(chat, ":new")
    obey(chat, ":search paris")
    obey(chat, ":resume 1")
    assert contents(chat) == ["Where do you live?", "In Paris."]


def test_resume_of_what_a_search_found_says_in_which_turn_the_words_are(
    new_chat: NewChat, store: Store
) -> None:
    chat = new_chat("In Fengtian.", "one", "two", "three", chats=store.chats())
    for question in ("Where do you live?", "And?", "And then?"):
        obey(chat, question)
    obey(chat, ":search fengtian")
    assert after(chat, ":resume 1").endswith("The words are in turn 1; :history shows it.")
    obey(chat, ":sessions")
    assert "The words are" not in after(chat, ":resume 1")


def test_resume_goes_back_to_the_conversation_before_and_shows_its_end(
    new_chat: NewChat, store: Store
) -> None:
    chat = new_chat("one", "two", "three", "other", "four", chats=store.chats())
    for question in ("First?", "Second?", "Third?"):
        obey(chat, question)
    earlier = chat.conversation.id
    obey(chat, ":new")
    obey(chat, "Something else?")
    shown = after(chat, ":resume")
    assert chat.conversation.id == earlier
    assert shown.splitlines() == [
        "Going on with: First? (3 turns)",
        "",
        "Earlier turns: 1 (:history shows them).",
        "2 > Second?",
        "two",
        "",
        "3 > Third?",
        "three",
    ]
    obey(chat, "Fourth?")
    assert [message.content for message in chat.engine.prompts[-1]][1:] == [
        "First?", "one", "Second?", "two", "Third?", "three", "Fourth?",
    ]  # fmt: skip


def test_resume_by_words_asks_back_where_several_fit(chat: Any) -> None:
    for question in ("Tea in China", "Tea in Japan", "Coffee"):
        obey(chat, question)
        obey(chat, ":new")
    shown = after(chat, ":resume tea")
    assert shown.startswith("Several fit") and len(shown.splitlines()) == 3
    obey(chat, ":resume 2")
    assert contents(chat)[0] == "Tea in China"
    obey(chat, ":resume coffee")
    assert contents(chat)[0] == "Coffee"
    obey(chat, f":resume {chat.listed[0]}")
    assert contents(chat)[0] == "Tea in Japan"
    with pytest.raises(CommandError, match="goes by nowhere"):
        run_command(chat, ":resume nowhere")
    with pytest.raises(CommandError, match="goes by 99"):
        run_command(chat, ":resume 99")


def test_resume_offers_to_go_on_with_what_was_interrupted(new_chat: NewChat, store: Store) -> None:
    broken = Script(["half an "], error=RuntimeError("the cable"))
    chat = new_chat(broken, Script(["answer"]), chats=store.chats())
    obey(chat, "Hi")
    obey(chat, ":new")
    shown = after(chat, ":resume")
    assert "half an\ninterrupted\n" in shown and ":continue goes on with it" in shown
    obey(chat, ":continue")
    assert contents(chat) == ["Hi", "half an answer"]


def test_a_title_can_be_given_and_is_stored(chat: Any, store: Store) -> None:
    assert "There is no title yet" in after(chat, ":title")
    obey(chat, "Who?")
    assert after(chat, ":title") == "The title is: Who?"
    obey(chat, ":title About \x1b[2Jwho")
    assert [line.title for line in store.chats().latest()] == ["About [2Jwho"]


def test_what_is_deleted_comes_back(chat: Any, store: Store) -> None:
    with pytest.raises(CommandError, match="nothing to delete"):
        run_command(chat, ":delete")
    obey(chat, "First?")
    obey(chat, ":new")
    obey(chat, "Second?")
    assert after(chat, ":delete") == "Deleted: Second? (:undelete brings it back)."
    assert contents(chat) == []
    obey(chat, ":delete 1")
    assert store.chats().latest() == []
    assert after(chat, ":undelete") == "It is back: First?"
    obey(chat, ":undelete")
    assert contents(chat)[0] == "Second?", "the one that was at hand is at hand again"
    with pytest.raises(CommandError, match="Nothing was deleted"):
        run_command(chat, ":undelete")


def test_regenerate_three_times_go_back_to_the_first_ask_on_and_all_stay_reachable(
    chat: Any, store: Store
) -> None:
    obey(chat, "Who?")
    for _ in range(3):
        obey(chat, ":regen")
    answers = [answer.content for answer in chat.conversation.question.replies]
    assert len(answers) == 4 and "version 4 of 4" in chat.said.replace("\n", " ")
    obey(chat, ":versions 1")
    obey(chat, "And on?")
    assert contents(chat)[:3] == ["Who?", answers[0], "And on?"]
    listed = after(chat, ":versions").splitlines()
    assert listed[0] == "Answers to question 1:" and listed[1].startswith("*1")
    assert "messages after it: 2" in listed[1]
    for number, answer in enumerate(answers, 1):
        obey(chat, f":versions {number}")
        assert contents(chat)[1] == answer
    obey(chat, ":versions 1")
    assert contents(chat)[2] == "And on?"
    again = store.chats().open(chat.conversation.id).conversation
    assert [answer.content for answer in again.path[0].replies] == answers


def test_versions_finds_what_was_taken_back_and_every_earlier_place(
    new_chat: NewChat, store: Store, editor: Callable[[str], None]
) -> None:
    chat = new_chat("one", "two", "three", chats=store.chats())
    with pytest.raises(CommandError, match="no other version"):
        run_command(chat, ":versions")
    obey(chat, "First?")
    editor("'Other?'")
    obey(chat, ":edit")
    obey(chat, "Second?")
    obey(chat, ":undo")
    listed = after(chat, ":versions")
    assert "Taken back, after the end of the conversation:\n 1  Second?" in listed
    assert "Questions in place 1, each with what followed:\n 2  First?" in listed
    obey(chat, ":versions 1")
    assert contents(chat) == ["Other?", "two", "Second?", "three"]
    obey(chat, ":versions 1")
    assert contents(chat) == ["First?", "one"]
    with pytest.raises(CommandError, match="no version 9"):
        run_command(chat, ":versions 9")


def test_undo_takes_several_turns_back(new_chat: NewChat) -> None:
    chat = new_chat()
    for question in ("First?", "Second?", "Third?"):
        obey(chat, question)
    obey(chat, ":undo 2")
    assert contents(chat)[0] == "First?" and chat.conversation.turn == 1
    assert chat.said.endswith("Taken back, 2 turns, from this question on: Second?")


def test_undo_of_more_turns_than_there_are_says_how_many_it_took_back(new_chat: NewChat) -> None:
    chat = new_chat()
    for question in ("First?", "Second?"):
        obey(chat, question)
    assert after(chat, ":undo 99").endswith(
        "all there was (2 turns), from this question on: First?"
    )
    assert contents(chat) == []


def test_a_conversation_whose_only_question_is_taken_back_keeps_its_name(
    chat: Any, store: Store
) -> None:
    obey(chat, "Where is Hangzhou?")
    obey(chat, ":undo")
    assert [line.title for line in store.chats().latest()] == ["Where is Hangzhou?"]
    assert "Where is Hangzhou?" in after(chat, ":sessions")


def test_an_edited_question_is_asked_beside_the_old_one(
    new_chat: NewChat, store: Store, editor: Callable[[str], None]
) -> None:
    chat = new_chat("one", "two", "three", chats=store.chats())
    obey(chat, "First?\n  indented 你好")
    obey(chat, "Second?")
    editor("text.replace('First', 'Better') + '\\n'")
    obey(chat, ":edit 1")
    assert contents(chat) == ["Better?\n  indented 你好", "three"]
    assert len(chat.conversation.root.replies) == 2


def test_an_edited_question_stands_above_its_answer(
    new_chat: NewChat, editor: Callable[[str], None]
) -> None:
    chat = new_chat("one", "two")
    obey(chat, "First?")
    editor("'Better?'")
    lines = after(chat, ":edit").splitlines()
    assert lines[:4] == ["1 > Better?", "version 2 of 2", "", "two"]


@pytest.mark.parametrize("expression", ["''", "' \\n\\n'"])
def test_an_edit_that_leaves_nothing_says_so(
    new_chat: NewChat, editor: Callable[[str], None], expression: str
) -> None:
    chat = new_chat("one")
    obey(chat, "First?")
    editor(expression)
    assert after(chat, ":edit").endswith(
        "The text was empty: nothing is asked, and nothing was changed."
    )
    assert contents(chat) == ["First?", "one"] and len(chat.engine.prompts) == 1


@pytest.mark.parametrize("expression", ["text", "text + '\\n'"])
def test_an_edit_that_changes_nothing_asks_nothing(
    new_chat: NewChat, editor: Callable[[str], None], expression: str
) -> None:
    chat = new_chat("one")
    obey(chat, "First?")
    editor(expression)
    assert after(chat, ":edit").endswith("Nothing was changed, and nothing is asked.")
    assert contents(chat) == ["First?", "one"] and len(chat.engine.prompts) == 1


def test_an_answer_can_be_edited_and_the_model_goes_on_from_it(
    new_chat: NewChat, editor: Callable[[str], None]
) -> None:
    chat = new_chat("one", " and more")
    obey(chat, "First?")
    editor("'My own words'")
    obey(chat, ":edit answer")
    assert contents(chat) == ["First?", "My own words"] and len(chat.engine.prompts) == 1
    obey(chat, ":cont")
    assert contents(chat) == ["First?", "My own words and more"]


@pytest.mark.parametrize("program", ["false", "/no/such/editor", "'"])
def test_an_editor_that_fails_is_a_sentence_and_asks_nothing(
    new_chat: NewChat, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    chat = new_chat("one")
    obey(chat, "First?")
    monkeypatch.setenv("VISUAL", program)
    with pytest.raises(CommandError, match="failed"):
        run_command(chat, ":edit")
    assert contents(chat) == ["First?", "one"]


def test_continue_begins_with_the_last_paragraph_on_the_screen(new_chat: NewChat) -> None:
    chat = new_chat(Script(["First block.\n\n", "- an item\n- half ", "of another"]))
    obey(chat, ":conf max_new_tokens=2")
    obey(chat, "Hi")
    obey(chat, ":conf max_new_tokens=50")
    shown = after(chat, ":continue")
    assert shown.splitlines()[0] == " • half of another"
    assert contents(chat)[1] == "First block.\n\n- an item\n- half of another"
    with pytest.raises(CommandError, match="is complete"):
        run_command(chat, ":continue")


def test_fork_goes_on_in_a_copy(chat: Any, store: Store) -> None:
    obey(chat, "First?")
    obey(chat, "Second?")
    first, original = contents(chat), chat.conversation.id
    obey(chat, ":fork 1")
    assert contents(chat) == first[:2] and chat.conversation.id != original
    obey(chat, "Otherwise?")
    assert [line.turns for line in store.chats().latest()] == [2, 2]
    kept = store.chats().open(original).conversation
    assert [message.content for message in kept.path] == first
    with pytest.raises(CommandError, match="no question 7"):
        run_command(chat, ":fork 7")


def test_compact_puts_a_summary_in_place_of_the_oldest_turns(
    new_chat: NewChat, store: Store
) -> None:
    chat = new_chat(
        "word " * 30, "two", "three", "A summary.", "four", context_length=400, chats=store.chats()
    )
    with pytest.raises(CommandError, match="nothing to sum up"):
        run_command(chat, ":compact")
    for question in ("First?", "Second?", "Third?"):
        obey(chat, question)
    assert "have become" in flat(after(chat, ":compact"))
    assert "A summary." in chat.said
    obey(chat, "Fourth?")
    prompt = chat.engine.prompts[-1]
    assert prompt[0].content.endswith("A summary.") and "word" not in prompt[0].content
    assert contents(chat)[1] == "word " * 30
    assert "What is above stands in prompts as a summary." in after(chat, ":history")


def test_a_warning_comes_before_turns_are_left_out_and_once(new_chat: NewChat) -> None:
    chat = new_chat("word " * 9, "word " * 9, "short", "short", context_length=32)
    obey(chat, "One?")
    assert "compact" not in chat.said
    obey(chat, "Two?")
    warned = flat(chat.said)
    assert "The next question will leave out of the prompt, oldest turns: 1" in warned
    obey(chat, "Three?")
    assert flat(chat.said).count(":compact sums them up instead") == 1


def test_a_warning_comes_when_the_context_is_nearly_full(new_chat: NewChat) -> None:
    chat = new_chat("word " * 9, "word " * 9, "short", context_length=34)
    obey(chat, ":conf max_new_tokens=1")
    obey(chat, "One?")
    assert "compact" not in chat.said
    obey(chat, "Two?")
    assert "The context is 82 % full; :compact sums up" in flat(chat.said)
    obey(chat, ":good")
    obey(chat, ":regen")
    assert flat(chat.said).count(" % full;") == 1


def test_answers_are_judged(chat: Any, store: Store) -> None:
    with pytest.raises(CommandError, match="no answer to judge"):
        run_command(chat, ":good")
    obey(chat, "Hi")
    obey(chat, ":bad too long")
    feedback = store.chats().open(chat.conversation.id).conversation.answer.feedback
    assert (feedback.good, feedback.why) == (False, "too long")
    assert after(chat, ":history").endswith("bad: too long")
    obey(chat, ":good")
    assert store.chats().open(chat.conversation.id).conversation.answer.feedback.good


def test_history_shows_the_last_turns(new_chat: NewChat) -> None:
    chat = new_chat("one", "two", "three")
    for question in ("First?", "Second?", "Third?"):
        obey(chat, question)
    shown = after(chat, ":history 1")
    assert shown == "Earlier turns: 2 (:history shows them).\n3 > Third?\nthree"


def test_info_tells_where_the_conversation_is_stored(chat: Any, store: Store) -> None:
    shown = after(chat, ":info").replace("\n", "").replace(" ", "")
    assert chat.conversation.id in shown and str(store.path) in shown


def test_a_private_chat_is_not_forked_because_the_original_would_be_lost(
    new_chat: NewChat,
) -> None:
    chat = new_chat("one", "two")
    obey(chat, "First?")
    obey(chat, "Second?")
    with pytest.raises(CommandError, match="take turns back with :undo"):
        run_command(chat, ":fork 1")
    assert contents(chat) == ["First?", "one", "Second?", "two"]


@pytest.mark.parametrize("line", [":sessions", ":search x", ":resume", ":delete", ":undelete"])
def test_a_private_chat_keeps_away_from_the_store(new_chat: NewChat, line: str) -> None:
    chat = new_chat("one")
    obey(chat, "Hi")
    with pytest.raises(CommandError, match="This chat is private"):
        run_command(chat, line)
    assert "private, not stored" in after(chat, ":info")
    assert "turns taken off: 1" in flat(after(chat, ":clh"))


def test_a_store_that_fails_is_told_once_and_so_is_that_it_works_again(
    new_chat: NewChat, store: Store
) -> None:
    chat = new_chat("one", "two", "three", "four", chats=store.chats())
    obey(chat, "First?")
    connection = store._database._connection
    connection.execute("PRAGMA query_only=ON")
    assert "Nothing is being stored" in flat(after(chat, "Second?"))
    assert "stored" not in after(chat, "Third?")
    first = chat.conversation.id
    obey(chat, ":new")
    assert "stored" not in after(chat, "Elsewhere?")
    connection.execute("PRAGMA query_only=OFF")
    assert "What is said is stored again." in after(chat, ":info")
    kept = store.chats().open(first).conversation
    assert [message.content for message in kept.path][::2] == ["First?", "Second?", "Third?"]
    assert len(store.chats().latest()) == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "just now"), (61, "1 min ago"), (7300, "2 h ago"), (90_000, "1 d ago")],
)
def test_an_age_is_told_in_the_largest_unit(seconds: float, said: str) -> None:
    assert age(1000.0, Texts("en"), now=1000.0 + seconds) == said


def test_an_age_of_more_than_a_week_is_a_day() -> None:
    then = time.mktime((2026, 3, 4, 12, 0, 0, 0, 0, -1))
    assert age(then, Texts("en"), now=then + 8 * 86_400) == "2026-03-04"


def test_export_and_import_bring_the_same_conversation_back(
    chat: Any, store: Store, tmp_path: Path
) -> None:
    obey(chat, "Who?")
    obey(chat, ":regen")
    obey(chat, f":export {tmp_path}/chat.json")
    assert str(tmp_path / "chat.json") in chat.said.replace("\n", "")
    before = [message.content for message in chat.conversation.root.tree()]
    obey(chat, ":new")
    shown = after(chat, f":import {tmp_path}/chat.json")
    assert "Going on with: Who? (1 turn)" in shown
    assert [message.content for message in chat.conversation.root.tree()] == before
    assert len(store.chats().latest()) == 2


def test_export_without_a_name_takes_the_title_and_overwrites_nothing(
    chat: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match="nothing to export"):
        run_command(chat, ":export")
    obey(chat, "What is ../杭州?")
    for _ in range(2):
        obey(chat, ":export")
    files = sorted(path.name for path in tmp_path.glob("*.md"))
    assert files == ["What-is-杭州-2.md", "What-is-杭州.md"]
    assert "What is ../杭州?" in (tmp_path / files[0]).read_text(encoding="utf-8")
    with pytest.raises(ExchangeError, match="already"):
        run_command(chat, ":export What-is-杭州")
    with pytest.raises(CommandError, match="no format"):
        run_command(chat, ":export chat.docx")


def test_export_into_a_folder_writes_a_file_of_the_title_there(chat: Any, tmp_path: Path) -> None:
    obey(chat, "What is ../杭州?")
    (tmp_path / "notes").mkdir()
    for _ in range(2):
        obey(chat, f":export {tmp_path}/notes")
    files = sorted(path.name for path in (tmp_path / "notes").iterdir())
    assert files == ["What-is-杭州-2.md", "What-is-杭州.md"]
    with pytest.raises(ExchangeError, match="cannot be written"):
        run_command(chat, f":export {tmp_path}/not-there/")
    assert [path.name for path in tmp_path.glob("*.md")] == []


def test_import_of_several_lists_them(chat: Any, tmp_path: Path) -> None:
    lines = [
        json.dumps({"messages": [{"role": "user", "content": f"Q{number}"}]}) for number in (1, 2)
    ]
    (tmp_path / "chats.jsonl").write_text("\n".join(lines))
    shown = after(chat, f":import {tmp_path}/chats.jsonl")
    assert "conversations: 2" in shown and "Q1" in shown
    obey(chat, ":resume 2")
    assert contents(chat) == ["Q2"]
    with pytest.raises(ExchangeError, match="cannot be read"):
        run_command(chat, ":import nowhere.json")


def test_tab_completes_files(chat: Any, tmp_path: Path) -> None:
    (tmp_path / "one.json").touch()
    (tmp_path / "folder").mkdir()
    complete = COMMANDS["import"].complete
    assert list(complete(chat, f"{tmp_path}/o")) == [f"{tmp_path}/one.json"]
    assert f"{tmp_path}/folder/" in list(complete(chat, f"{tmp_path}/"))
    assert list(complete(chat, "/no/such/folder/")) == []


LINES = st.sampled_from(
    ["First?", "Second?", ":regen", ":regen same", ":undo", ":undo 2", ":versions 1", ":versions 3",
     ":versions 5", ":fork", ":fork 1", ":new", ":resume", ":resume 2", ":continue", ":good",
     ":bad", ":title A title", ":delete", ":undelete", ":compact", ":system Be kind.", ":history 1"]
)  # fmt: skip


@given(st.lists(LINES, max_size=25))
@settings(max_examples=40)
def test_whatever_one_does_all_that_was_said_is_stored(
    new_chat: NewChat, tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    with closing(open_store(str(tmp_path_factory.mktemp("chats")))) as store:
        chat = new_chat(chats=store.chats())
        asked = 0
        for line in lines:
            asked += not line.startswith(":")
            obey(chat, line)
            assert "should not have" not in chat.screen.raw
            if len(list(chat.conversation.root.tree())) > 1:
                kept = store.chats().open(chat.conversation.id).conversation
                assert shape(kept.root) == shape(chat.conversation.root)
        for _ in list(chat.deleted):
            obey(chat, ":undelete")
        stored = [store.chats().open(line.id).conversation for line in store.chats().latest()]
        found = {said.id for one in stored for said in one.root.tree() if said.role == "user"}
        assert len(found) >= asked, "a question is gone"
        assert store.check() == []


def shape(message: Message) -> tuple[Any, ...]:
    """A message, and all below it, as plain values."""
    replies = sorted(shape(reply) for reply in message.replies)
    following = message.following
    return (message.id, message.content, following and following.id, replies)
