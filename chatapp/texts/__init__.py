"""Every sentence a person reads, one catalogue a language; knows nothing of what happens.

`en.py` is the reference; a test holds the other catalogues to its keys and placeholders. The
descriptions of settings, flags and commands stand in English where each is declared (once), so
`en.py` lacks them and the other catalogues carry them under `setting.*`, `flag.*`, `command.*`.
"""

from __future__ import annotations

import importlib
import os
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, cast, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A line of the catalogues with the values for its placeholders; not yet in any language."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """The catalogue of one language: key -> sentence with `{placeholders}`."""
    module = importlib.import_module(f"chatapp.texts.{language}")
    return cast("Mapping[str, str]", module.SENTENCES)


class _Counting(string.Formatter):
    """`{count:turn|turns}` is the word that goes with the number."""

    def format_field(self, value: Any, format_spec: str) -> str:
        singular, bar, plural = format_spec.partition("|")
        if bar:
            return singular if value == 1 else plural
        return str(super().format_field(value, format_spec))


class Texts:
    """Says sentences in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._sentences = catalogue(language)

    def __call__(self, sentence: str | Sentence, /, **values: object) -> str:
        """The sentence for a key (or for a `Sentence`) with its placeholders filled in."""
        if isinstance(sentence, Sentence):
            return self(sentence.key, **sentence.values)
        spoken = {
            name: self(value) if isinstance(value, Sentence) else value
            for name, value in values.items()
        }
        return _Counting().vformat(self._sentences[sentence], (), spoken)

    def describe(self, key: str, english: str) -> str:
        """The description of a setting, flag or command: the catalogue's, else the English one."""
        return self._sentences.get(key, english)


def preferred_language(environ: Mapping[str, str] = os.environ) -> Language:
    """The language of the locale (POSIX order of variables), English where we lack a catalogue."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return next((known for known in LANGUAGES if environ[name].startswith(known)), "en")
    return "en"
