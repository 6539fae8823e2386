"""Markdown in blocks: what is final, and that all a model wrote is to be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapp.terminal.markdown import Block, code_of, render_block, render_code, split

LINES = st.lists(
    st.sampled_from(
        [
            "text", "", "", "- item", "-", "--", "---", "1. one", "2) two", "  indented",
            "    deep", "```", "```py", "~~~", "> quote", "# head", "#", "===", "a | b", "-|-",
            "| x | y |", "  - nested", "   1. n", "\t- tab", "[a]: b", "*", "* * *", "<b>", "x = 1",
        ]
    ),
    max_size=25,
)  # fmt: skip


def rows_of(screen: Any, source: str) -> list[str]:
    return [
        "".join(segment.text for segment in row)
        for block in split(source)
        for row in render_block(block, screen.console)
    ]


@given(LINES)
def test_all_but_the_last_block_stay_whatever_follows(lines: list[str]) -> None:
    found: list[Block] = []
    rest = Block("")
    for line in lines:
        *final, rest = split(rest.source + line + "\n", joined=rest.joined) or [
            Block(rest.source + line + "\n", rest.joined)
        ]
        found += final
    whole = "".join(line + "\n" for line in lines)
    assert [*found, *split(rest.source, joined=rest.joined)] == split(whole)


@given(LINES)
def test_blocks_are_the_text_less_blank_lines(lines: list[str]) -> None:
    source = "\n".join(lines)
    assert "".join(block.source for block in split(source)).strip() == source.strip()


def test_items_of_a_list_are_blocks_that_join() -> None:
    blocks = split("intro\n\n1. one\n   - deep\n2. two\n\nend\n")
    assert [(block.source.split()[0], block.joined) for block in blocks] == [
        ("intro", False),
        ("1.", False),
        ("2.", True),
        ("end", False),
    ]


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ("# Title\n", ["Title"]),
        ("one\ntwo", ["one", "two"]),
        ("<think>x</think> &lt;b&gt; <b>bold</b>", ["<think>x</think> <b> <b>bold</b>"]),
        ("[red]x[/] [/] :smile: [bold", ["[red]x[/] [/] :smile: [bold"]),
        ("[text](http://a.b/c) ![pic](d.png)", ["text (http://a.b/c) !pic (d.png)"]),
        ("[1]: http://a.b", ["[1]: http://a.b"]),
        (r"\(a_1\) \[ \frac{x}{y} \\ z \] \*", [r"\(a_1\) \[ \frac{x}{y} \\ z \] *"]),
        ("- a\n- b", [" • a", " • b"]),
        ("7. a\n7. b\n10) c", [" 7. a", " 7. b", "10) c"]),
        ("- a\n\n  b\n  > q", [" • a", "   b", "   ▌ q"]),
        ("a&#13;b&#x202E;c", ["abc"]),
        ("***", ["-" * 40]),
        ("~~gone~~", ["gone"]),
        ("|a|b|\n|-|-:|\n|1|22|", [" a   b", " ─────", " 1  22"]),
    ],
)
def test_a_block_is_shown(new_screen: Callable[..., Any], source: str, rows: list[str]) -> None:
    assert [row for row in rows_of(new_screen(40), source) if row] == rows


@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 40, 500])
@pytest.mark.parametrize(
    "source",
    [
        "|a|b|c|d|e|f|g|h|\n|-|-|-|-|-|-|-|-|\n|one|two|three|four|five|six|seven|eightlongword|",
        "> " * 100 + "innermost",
        "".join("  " * depth + f"- level{depth}\n" for depth in range(40)),
        "averyveryverylongwordthatfitsnowhere *emphasis* `code`",
        "```\naveryveryverylongwordthatfitsnowhere\n```",
        "[" * 500 + "deep",
    ],
)
def test_no_window_is_too_narrow_to_show_everything(
    new_screen: Callable[..., Any], source: str, width: int
) -> None:
    screen = new_screen(width)
    shown = "".join(rows_of(screen, source))
    signs = [sign for sign in source if sign.isalpha()]
    assert sorted(sign for sign in shown if sign.isalpha()) == sorted(signs)


@given(st.lists(st.sampled_from(["def f():", "    '''doc", "", "'''", "\tx", " # c"]), max_size=12))
def test_code_has_as_many_lines_as_were_written(
    new_screen: Callable[..., Any], lines: list[str]
) -> None:
    code = "".join(line + "\n" for line in lines)
    for language in ("python", "", "no-such-language", "html", "python title=x"):
        assert len(render_code(code, language, new_screen().console)) == len(lines)


def test_code_is_known_by_its_token() -> None:
    token = code_of(split("```py\nx = 1\n")[0])
    assert token is not None and (token.info, token.content) == ("py", "x = 1\n")
    assert code_of(Block("text")) is None
