"""Wraps text where its script may be broken. rich breaks at spaces only, and Chinese has none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

IDEOGRAPHS = (
    "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
    "\U00020000-\U0003ffff"
)
OPENING = re.escape("（【《〈「『〔［｛“‘([{")
CLOSING = re.escape("，。、；：？！）】》〉」』〕］｝”’…,.;:?!)]}")
UNITS = re.compile(
    rf"\s+|[{OPENING}]*(?:[{IDEOGRAPHS}]|[^\s{IDEOGRAPHS}{OPENING}]+)?[{CLOSING}]*\s*"
)
"""What stays on one line: a word or an ideograph, with the brackets and signs that belong to it."""


class Prose:
    """Text that is wrapped to the window."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from wrap(self._text, options.max_width)


def wrap(text: Text, width: int) -> list[Text]:
    """The lines of a text, none wider than `width`; only spaces at their ends are gone."""
    wrapped: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        line.expand_tabs(4)
        wrapped += line.divide(_breaks(line.plain, width))
    for line in wrapped:
        line.rstrip()
    return wrapped


def _breaks(line: str, width: int) -> Iterator[int]:
    """Where new lines begin."""
    used = 0
    for found in UNITS.finditer(line):
        unit = found.group()
        size = cell_len(unit.rstrip())
        if used and used + size > width:
            yield found.start()
            used = 0
        if size <= width:
            used += cell_len(unit)
            continue
        for index, character in enumerate(unit):
            size = cell_len(character)
            if used and not character.isspace() and used + size > width:
                yield found.start() + index
                used = 0
            used += size
