"""Text that is safe on a terminal."""

from __future__ import annotations

import io
import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapp.terminal.plain import (
    StatusLine,
    clean,
    first_line,
    fit_columns,
    join_texts,
    tell,
    whole,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;title\x07after", "]0;titleafter"),
        ("\x1b]52;c;aGk=\x1b\\", "]52;c;aGk=\\"),
        ("\x9b2Jgone\x9d\x90", "2Jgone"),
        ("good\rbad\b\b\v\f\x7f", "goodbad"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("tab\tand\nline stay, 你好 👍🏽 é", "tab\tand\nline stay, 你好 👍🏽 é"),
        ("half \ud83d", "half \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_could_steer_a_terminal_is_gone(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text(), st.text())
def test_a_sequence_cut_in_two_is_as_harmless(first: str, second: str) -> None:
    assert clean(first) + clean(second) == clean(first + second)


def test_halves_of_characters_are_replaced_and_the_rest_of_a_question_stays() -> None:
    assert whole("a\udcffb \x1b") == "a\N{REPLACEMENT CHARACTER}b \x1b"


@pytest.mark.parametrize(
    ("text", "width", "line"),
    [
        ("short", 10, "short"),
        ("a rather long line", 8, "a rathe…"),
        ("two\nlines", 10, "two…"),
        ("你好世界", 8, "你好世界"),
        ("你好世界呀", 8, "你好世…"),
        ("\n padded \n", 10, "padded"),
    ],
)
def test_a_first_line_is_cut_to_its_columns_and_says_so(text: str, width: int, line: str) -> None:
    assert first_line(text, width) == line


def test_east_asian_characters_take_two_columns() -> None:
    assert fit_columns("a你b", 2) == "a"
    assert fit_columns("a你b", 3) == "a你"


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["ask", "piped\n"], "ask\n\npiped"),
        ([None, "piped"], "piped"),
        (["ask", None], "ask"),
        (["ask", " \n"], "ask"),
        ([None, ""], ""),
    ],
)
def test_texts_are_joined_by_a_blank_line(texts: list[str | None], joined: str) -> None:
    assert join_texts(texts) == joined


def test_a_status_line_is_silent_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    line = StatusLine(stream)
    line.show("loading")
    line.erase()
    StatusLine(None).show("loading")
    assert stream.getvalue() == ""


def test_a_status_line_is_written_over_and_erased() -> None:
    leader, follower = pty.openpty()
    with open(leader, "rb", buffering=0) as terminal, open(follower, "w") as stream:
        line = StatusLine(stream)
        line.show("one")
        line.show("one")
        line.erase()
        line.erase()
        shown = b""
        while len(shown) < 11:  # a terminal may hand over each writing on its own
            shown += os.read(terminal.fileno(), 100)
        assert shown == b"\r\x1b[Kone\r\x1b[K"


def test_telling_nobody_is_no_fault() -> None:
    tell(None, "hello")
