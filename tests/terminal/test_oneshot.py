"""One prompt, one answer, on plain streams."""

from __future__ import annotations

import io
from typing import Any

import pytest

from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import CommandError, ContextOverflow, GenerationError
from chatapp.events import ReasoningDelta
from chatapp.options import parse
from chatapp.terminal.oneshot import answer_once, kept_for_one, read_prompt
from chatapp.terminal.plain import StatusLine
from chatapp.texts import Texts

ENGLISH = Texts("en")


class Keyboard(io.StringIO):
    """A terminal someone types into."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("asked", "source", "prompt"),
    [
        ("ask", io.StringIO("piped\n"), "ask\n\npiped"),
        (None, io.StringIO("piped\nmore\n"), "piped\nmore"),
        ("ask", io.StringIO(""), "ask"),
        ("ask", None, "ask"),
        ("ask", Keyboard("not read"), "ask"),
        ("\udce4", None, "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_the_prompt_is_what_is_asked_and_what_is_piped_in(
    asked: str | None, source: Any, prompt: str
) -> None:
    errors = io.StringIO()
    assert read_prompt(asked, source, errors, ENGLISH) == prompt
    assert errors.getvalue() == ""


def test_without_either_the_message_is_typed() -> None:
    errors = io.StringIO()
    assert read_prompt(None, Keyboard("typed\n"), errors, ENGLISH) == "typed"
    assert errors.getvalue() == "Type the message, then press Enter and Ctrl-D.\n"


@pytest.mark.parametrize("source", [None, io.StringIO(""), io.StringIO(" \n\n")])
def test_an_empty_prompt_is_a_sentence(source: io.StringIO | None) -> None:
    with pytest.raises(CommandError, match="nothing to answer"):
        read_prompt(None, source, io.StringIO(), ENGLISH)


def answered(engine: ScriptedEngine, *flags: str, prompt: str = "Hi") -> str:
    output, errors = io.StringIO(), io.StringIO()
    options = parse(["-p", prompt, *flags], "chat")
    try:
        kept = kept_for_one(options, errors, ENGLISH)
        answer_once(engine, prompt, options, kept, output, StatusLine(None), ENGLISH)
    finally:
        answered.output = output.getvalue()  # type: ignore[attr-defined]
        answered.errors = errors.getvalue()  # type: ignore[attr-defined]
    return output.getvalue()


def test_the_output_is_the_answer_and_a_newline() -> None:
    engine = ScriptedEngine([Script([ReasoningDelta("hm"), "**Hello** ", "\x1b[31mthere"])])
    assert answered(engine, "--system", "Be kind.") == "**Hello** [31mthere\n"
    assert [message.content for message in engine.prompts[0]] == ["Be kind.", "Hi"]


def test_an_answer_that_ends_its_line_gets_no_other() -> None:
    assert answered(ScriptedEngine([Script(["Hello\n"])])) == "Hello\n"
    assert answered(ScriptedEngine([Script(["Hello\n", "\r"])])) == "Hello\n"


def test_flags_count() -> None:
    engine = ScriptedEngine([Script(["a ", "b ", "c "])])
    assert answered(engine, "--max-new-tokens", "2") == "a b \n"


def test_the_same_seed_gives_the_same_answer() -> None:
    first, again, other = (answered(ScriptedEngine(), "-s", seed) for seed in ("7", "7", "8"))
    assert first == again != other


def test_a_failure_keeps_what_came_and_ends_the_line() -> None:
    engine = ScriptedEngine([Script(["half"], error=GenerationError("out-of-memory"))])
    with pytest.raises(GenerationError):
        answered(engine)
    assert answered.output == "half\n"  # type: ignore[attr-defined]


def test_a_prompt_that_does_not_fit_is_a_sentence() -> None:
    with pytest.raises(ContextOverflow):
        answered(ScriptedEngine(context_length=10), prompt="word " * 20)
