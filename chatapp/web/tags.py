"""Tags in an answer, which its reader is to see: the chatbot's Markdown would take them for HTML.

Code and formulas stay as they are: there the chatbot itself shows every character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FORMULAS = (("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)"))
"""What the chatbot takes for formulas; no single `$`: prices would turn into some."""

_TAG = re.compile(r"(?<!\\)<(?=[A-Za-z/!?])(?!(?:https?://|mailto:)[^\s<>]*>)")
"""What begins a tag, a comment or the like; not an address in angle brackets."""
_FENCE = re.compile(r"(?:[ \t]|>|[-*+][ \t]|\d+[.)][ \t])*(`{3,}(?=[^`]*$)|~{3,})")
"""A line that begins a block of code, in a list or a quotation too."""
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d+[.)])[ \t]")
_INDENTED = re.compile(r" {4}| {0,3}\t")
_CODE = re.compile(r"(?<![`\\])(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
"""Code within a paragraph."""


def escape_tags(text: str) -> str:
    """The text with `&lt;` where a tag begins, but in code and in formulas."""
    if _TAG.search(text) is None:
        return text
    masked = text
    for left, right in FORMULAS:
        between = re.compile(f"{re.escape(left)}.+?{re.escape(right)}", re.DOTALL)
        masked = between.sub(_mask, masked)
    escaped, at = [], 0
    for begin, end in _prose(masked):
        for tag in _TAG.finditer(_CODE.sub(_mask, masked[begin:end])):
            escaped += [text[at : begin + tag.start()], "&lt;"]
            at = begin + tag.end()
    return "".join(escaped) + text[at:]


def _mask(match: re.Match[str]) -> str:
    """As long as it was; lines stay lines."""
    return re.sub(r"[^\n]", "\0", match[0])


def _prose(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each paragraph, or the like, that is not a block of code."""
    begin = at = 0
    fence, blank, in_list = "", True, False
    for line in text.splitlines(keepends=True):
        code = bool(fence) or (blank and not in_list and _INDENTED.match(line) is not None)
        bare = line.strip()
        if fence:
            if len(bare.lstrip("> ")) >= len(fence) and not bare.lstrip("> ").strip(fence[0]):
                fence = ""
        elif not code and (opened := _FENCE.match(line.rstrip("\r\n"))):
            code, fence = True, opened[1]
        elif bare:
            item = _ITEM.match(line) is not None
            in_list = item or (in_list and (not blank or line[0] in " \t"))
        if code or not bare:
            if begin < at:
                yield begin, at
            begin = at + len(line)
        blank = not bare or (blank and code and not fence)
        at += len(line)
    if begin < at:
        yield begin, at
