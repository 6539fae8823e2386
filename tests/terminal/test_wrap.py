"""Wrapping: inside the window, at the right places, and nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from chatapp.terminal.wrap import wrap

TEXTS = st.text(st.sampled_from("ab cdefg  你好，世界。（）「」-\n\té👍"), max_size=120)


def wrapped(text: str, width: int) -> list[str]:
    return [line.plain for line in wrap(Text(text), width)]


@given(TEXTS, st.integers(2, 30))
def test_no_line_is_wider_than_the_window_and_nothing_is_lost(text: str, width: int) -> None:
    lines = wrap(Text(text), width)
    assert all(line.cell_len <= width for line in lines)
    assert "".join("".join(line.plain for line in lines).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 8, ["one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("Python 是一种语言", 11, ["Python 是一", "种语言"]),
        ("你好，世界", 4, ["你", "好，", "世界"]),
        ("世界（你好）", 6, ["世界", "（你", "好）"]),
        ("a\n\nb", 10, ["a", "", "b"]),
        ("", 10, [""]),
    ],
)
def test_words_stay_whole_and_signs_stay_with_theirs(
    text: str, width: int, lines: list[str]
) -> None:
    assert wrapped(text, width) == lines


def test_styles_go_along() -> None:
    first, second = wrap(Text.assemble("one ", ("two", "bold")), 4)
    assert (first.plain, first.spans) == ("one", [])
    assert second.plain == "two" and second.spans[0].style == "bold"
