"""`chatapp` is one command with two faces; the terminal is the one that needs no name."""

from __future__ import annotations

import subprocess
import sys

import pytest

import chatapp


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chatapp", *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "face"),
    [([], "chat"), (["chat"], "chat"), (["web"], "web")],
    ids=["no name", "chat", "web"],
)
def test_the_first_word_chooses_the_face(arguments: list[str], face: str) -> None:
    done = run(*arguments, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: chatapp {face}")
    assert done.stderr == ""


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"chatapp {chatapp.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["wbe"], "There is no command wbe; did you mean web?"),
        (["serve"], "There is no command serve, but: chat, web"),
        (["serve", "--lang", "zh"], "没有命令 serve，可用的有：chat, web"),
        (["model.gguf", "--cpu-only"], "The name of a model goes after -c"),
    ],
)
def test_a_word_that_is_no_face_is_one_sentence_that_names_those_there_are(
    arguments: list[str], said: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
