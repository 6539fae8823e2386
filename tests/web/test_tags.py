"""Tags in answers: shown in texts, left alone in code and formulas."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapp.web.tags import escape_tags


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "put <script src=a></script> in <head>;",
            "put &lt;script src=a>&lt;/script> in &lt;head>;",
        ),
        ("<details>\n<summary>x</summary>", "&lt;details>\n&lt;summary>x&lt;/summary>"),
        ("a <!-- comment --> <?php", "a &lt;!-- comment --> &lt;?php"),
        ("- a\n\n    <b> in a list", "- a\n\n    &lt;b> in a list"),
        ("> <b> quoted", "> &lt;b> quoted"),
        ("| <b> | `<i>` |\n", "| &lt;b> | `<i>` |\n"),
        ("a ` alone <b>\n\nand ` <i>", "a ` alone &lt;b>\n\nand ` &lt;i>"),
        ("```\n<b>\n```\n<i>", "```\n<b>\n```\n&lt;i>"),
        ("`a` <b> `c`", "`a` &lt;b> `c`"),
        ("\\`<b>\\`", "\\`&lt;b>\\`"),
    ],
)
def test_tags_in_a_text_are_shown(text: str, shown: str) -> None:
    assert escape_tags(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "```html\n<b>\n\n<i>\n```",
        "~~~\n<b>\n```\n<i>\n~~~",
        "````\n```\n<b>\n````",
        "1. so:\n   ```html\n   <b>\n   ```\n",
        "- ```html\n  <b>\n  ```\n",
        "> ```\n> <b>\n> ```\n",
        "```\n<b> an answer that is still being written",
        "use `<b>` and ``<i> ` <u>`` and\n`<p>\n<div>`",
        "so:\n\n    <b>\n\n    <i>\n",
        r"\(a<b\) and $$a<b$$ and \[a <c\]",
        "$$\na <b\n$$",
        r"\<b> is escaped already",
        "1 < 2, a <- b, x << y, <3",
        "<https://example.org/?a=b> <mailto:me@example.org>",
    ],
)
def test_code_formulas_and_addresses_stay_as_they_are(text: str) -> None:
    assert escape_tags(text) == text


@given(st.text(alphabet="<>b/`~ \n\t-1.$\\()&;", max_size=60))
def test_nothing_is_lost_of_any_text(text: str) -> None:
    assert html.unescape(escape_tags(text).replace("&lt;", "<")) == html.unescape(text)
