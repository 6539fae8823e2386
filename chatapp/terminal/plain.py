"""Text that is safe on a terminal, and a line that is written over. Knows no rich."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from typing import TextIO

USUAL_COLUMNS = 80
"""The width of a terminal that does not tell its own."""

_CONTROLS = [*range(0x20), 0x7F, *range(0x80, 0xA0)]
_BIDI_OVERRIDES = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_HARMFUL = {code: None for code in (*_CONTROLS, *_BIDI_OVERRIDES) if chr(code) not in "\n\t"}
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")
_TABLE: dict[int, str | None] = _HARMFUL | _SURROGATES


def clean(text: str) -> str:
    """The text without what could steer a terminal: C0 and C1 controls, escapes, bidi overrides.

    Character by character, so that a sequence cut in two between calls does no harm either.
    Newlines and tabs stay; halves of surrogate pairs, which no encoding takes, are replaced.
    """
    return text.translate(_TABLE)


def whole(text: str) -> str:
    """What a person typed, without the halves of surrogate pairs that broken bytes leave."""
    return text.translate(_SURROGATES)


def first_line(text: str, width: int) -> str:
    """The first line of a text, cut to that many columns."""
    text = clean(text.strip())
    line = text.partition("\n")[0]
    cut = fit_columns(line, width)
    return cut if cut == text else fit_columns(line, width - 1) + "…"


def fit_columns(text: str, width: int) -> str:
    """As much of a line as fits into so many columns; East Asian characters take two."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > width:
            return text[:index]
    return text


class StatusLine:
    """One line on a terminal that is written over and erased; silent where there is no terminal."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._shown = ""

    def show(self, text: str) -> None:
        if self._stream is not None and text != self._shown:
            columns = os.get_terminal_size(self._stream.fileno()).columns or USUAL_COLUMNS
            self._write(fit_columns(text, columns - 1))
            self._shown = text

    def erase(self) -> None:
        if self._shown:
            self._write("")
            self._shown = ""

    def _write(self, text: str) -> None:
        assert self._stream is not None
        self._stream.write(f"\r\x1b[K{text}")
        self._stream.flush()


def tell(stream: TextIO | None, text: str) -> None:
    """A line for a person, where there is anything to write it to."""
    if stream is not None:
        stream.write(clean(text) + "\n")
        stream.flush()


def join_texts(texts: Iterable[str | None]) -> str:
    """The texts that say something, a blank line between them."""
    return "\n\n".join(text.strip("\n") for text in texts if text is not None and text.strip())
