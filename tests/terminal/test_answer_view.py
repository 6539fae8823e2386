"""The view of a streaming answer: what is on the screen, while it streams and after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapp.terminal.view import AnswerView, print_markdown

LONG = """# Title

Some *text* with `code`,
and a second line.

1. one is longer than the window is wide, so that it must be wrapped somewhere
2. two
   - nested
10. ten

```python
def f(x):
    '''A docstring
    of two lines.'''

    return x
```

| a | b |
|---|---|
| 1 | 你好 |

> quote

```
unfinished
"""


class Clock:
    """Shows the time it is set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def answering(screen: Any) -> Iterator[Callable[..., None]]:
    """Gives a function that tells the view something a second later: `tell(write="text")`."""
    clock = Clock()
    with AnswerView(screen.console, clock) as view:

        def tell(**told: str) -> None:
            for method, text in told.items():
                clock.now += 1
                getattr(view, method)(text)

        yield tell


def streamed(screen: Any, pieces: Sequence[str]) -> str:
    with answering(screen) as tell:
        for piece in pieces:
            tell(write=piece)
    return str(screen.text)


@pytest.mark.parametrize("size", [1, 3, 7, 50])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (20, 5), (10, 3), (3, 2)])
def test_the_pieces_an_answer_comes_in_do_not_show(
    new_screen: Callable[..., Any], size: int, width: int, height: int
) -> None:
    pieces = [LONG[start : start + size] for start in range(0, len(LONG), size)]
    whole = new_screen(width, height)
    print_markdown(LONG, whole.console)
    assert streamed(new_screen(width, height), pieces) == whole.text


@given(st.lists(st.sampled_from([*LONG.splitlines(keepends=True), "\n", "`", "-", "a"])))
def test_whatever_is_streamed_is_there_once_and_whole(
    new_screen: Callable[..., Any], pieces: list[str]
) -> None:
    whole = new_screen(30, 6)
    print_markdown("".join(pieces), whole.console)
    assert streamed(new_screen(30, 6), pieces) == whole.text


def test_an_answer_begins_at_the_cursor_and_ends_with_its_last_line(
    new_screen: Callable[..., Any],
) -> None:
    screen = new_screen()
    screen.console.print("before")
    streamed(screen, ["\n\none\n\n", "two\n\n"])
    screen.console.print("after")
    assert screen.text == "before\none\n\ntwo\nafter"


def test_what_is_unfinished_is_on_the_screen_already(new_screen: Callable[..., Any]) -> None:
    screen = new_screen()
    with answering(screen) as tell:
        tell(write="a **bo")
        assert screen.text == "a **bo"
        tell(write="ld** word\n\n- it")
        assert screen.text == "a bold word\n\n • it"


def test_finished_text_is_never_drawn_again(new_screen: Callable[..., Any]) -> None:
    screen = new_screen()
    with answering(screen) as tell:
        tell(write="first block\n\n1. first item\n2. second item\n")
        tell(write="\n```python\nx = 'first line'\ny = 2\n")
        before = len(screen.raw)
        for _ in range(50):
            tell(write="word ")
    later = screen.raw[before:]
    assert "first" not in later and "second" not in later and "y" not in later


def test_code_appears_line_by_line_with_the_window_scrolling(
    new_screen: Callable[..., Any],
) -> None:
    screen = new_screen(40, 8)
    with answering(screen) as tell:
        tell(write="```\n")
        for number in range(30):
            tell(write=f"line {number}\n")
        assert screen.window[-2].strip() == "line 29"
        assert [line.strip() for line in screen.text.splitlines()] == [
            f"line {number}" for number in range(30)
        ]


def test_what_is_too_tall_for_the_window_shows_its_end(new_screen: Callable[..., Any]) -> None:
    screen = new_screen(40, 8)
    with answering(screen) as tell:
        tell(write="\n".join(f"line {number}" for number in range(30)))
        assert [line for line in screen.window if line][-1] == "line 29"
        assert "line 0" not in screen.text
    assert screen.text.splitlines() == [f"line {number}" for number in range(30)]


def test_reasoning_stands_dim_above_the_answer(new_screen: Callable[..., Any]) -> None:
    screen = new_screen()
    with answering(screen) as tell:
        tell(reason="Let me ")
        assert screen.text == "Let me"
        tell(reason="think.\nTwice.")
        tell(write="Yes.")
    assert screen.text == "Let me think.\nTwice.\n\nYes."
    assert "\x1b[2mLet me think." in screen.raw


def test_reasoning_alone_is_kept(new_screen: Callable[..., Any]) -> None:
    screen = new_screen()
    with answering(screen) as tell:
        tell(reason="Hm")
    assert screen.text == "Hm"


def test_a_status_shows_until_there_is_text_and_leaves_no_trace(
    new_screen: Callable[..., Any],
) -> None:
    screen = new_screen()
    with answering(screen) as tell:
        tell(status="place 2 in line")
        assert screen.text == "place 2 in line"
        tell(status="reading 1/2")
        assert screen.text == "reading 1/2"
        tell(write="Yes.\n\n")
        tell(status="writing")
        assert screen.text == "Yes."
    assert screen.text == "Yes."


def test_a_note_stands_above_the_answer(new_screen: Callable[..., Any]) -> None:
    screen = new_screen()
    with answering(screen) as tell:
        tell(status="reading")
        tell(note="2 turns are left out.")
        tell(write="Yes.")
    assert screen.text == "2 turns are left out.\nYes."


def test_text_that_came_between_two_drawings_is_drawn_by_a_later_status(
    new_screen: Callable[..., Any],
) -> None:
    clock = Clock()
    screen = new_screen()
    with AnswerView(screen.console, clock) as view:
        view.write("a")
        view.write("b")
        assert screen.text == "a"
        clock.now += 1
        view.status("writing")
        assert screen.text == "ab"


def test_an_error_inside_leaves_what_came_on_the_screen(new_screen: Callable[..., Any]) -> None:
    screen = new_screen()
    with pytest.raises(KeyboardInterrupt), answering(screen) as tell:
        tell(write="one\n\nhalf a sen")
        raise KeyboardInterrupt
    assert screen.text == "one\n\nhalf a sen"
    assert screen.raw.count("\x1b[?25l") == screen.raw.count("\x1b[?25h"), "the cursor is back"


@pytest.mark.parametrize(
    "attack",
    ["\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b]52;c;b3duZWQ=\x07", "\x9b2J", "\r", "\x1b[?1049h",
     "&#x1b;[2J", "[link=http://x]y[/link]", "[/]"],
)  # fmt: skip
def test_nothing_a_model_prints_steers_the_terminal(
    new_screen: Callable[..., Any], attack: str
) -> None:
    screen = new_screen()
    plain = new_screen()
    streamed(screen, ["safe ", *attack, " end\n\n```\n", *attack, "\n```\n"])
    streamed(plain, ["safe ", "x", " end\n\n```\n", "x", "\n```\n"])
    assert screen.text.splitlines()[0].startswith("safe ")
    assert screen.text.splitlines()[0].endswith("end")
    ours = {"\x1b[2K", "\x1b[1A", "\x1b[?25l", "\x1b[?25h"}
    assert "\x9b" not in screen.raw and "\x07" not in screen.raw
    for sequence in screen.raw.split("\x1b")[1:]:
        final = next(index for index, sign in enumerate(sequence) if sign.isalpha())
        full = "\x1b" + sequence[: final + 1]
        assert full in ours or full.endswith("m"), repr(full)


def test_drawing_a_long_answer_takes_a_small_part_of_the_time(
    new_screen: Callable[..., Any],
) -> None:
    text = "```python\n" + "x = [number for number in range(10)]  # a comment\n" * 400
    screen = new_screen()
    begin = time.process_time()
    with AnswerView(screen.console) as view:
        for start in range(0, len(text), 4):
            view.write(text[start : start + 4])
    assert time.process_time() - begin < 3
