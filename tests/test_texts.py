"""Every sentence exists in every language, with the same placeholders."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from chatapp import errors
from chatapp.data.flags import ACTIONS
from chatapp.data.flags import build_parser as data_parser
from chatapp.events import Stage
from chatapp.flags import build_parser
from chatapp.settings import SETTING_NAMES
from chatapp.terminal.commands import COMMANDS
from chatapp.texts import (
    LANGUAGES,
    Language,
    Sentence,
    Texts,
    catalogue,
    preferred_language,
)

OTHERS = [language for language in LANGUAGES if language != "en"]
DECLARED = ("setting.", "flag.", "command.")
"""What is declared in English elsewhere, so that only the other catalogues have it."""


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def declared_keys() -> set[str]:
    flags = {
        action.dest
        for face in ("chat", "web")
        for action in build_parser(face, Texts("en"))._actions
        if action.dest not in SETTING_NAMES
    }
    flags |= {action.dest for name in ACTIONS for action in data_parser(name, Texts("en"))._actions}
    keys = {f"setting.{name}" for name in SETTING_NAMES} | {f"flag.{name}" for name in flags}
    return keys | {f"command.{name}" for name in COMMANDS}


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_has_the_keys_of_the_english_one_and_the_descriptions(
    language: Language,
) -> None:
    keys = set(catalogue(language))
    described = {key for key in keys if key.startswith(DECLARED)}
    assert keys - described == set(catalogue("en"))
    assert described == declared_keys()


@pytest.mark.parametrize("language", OTHERS)
def test_a_sentence_has_the_placeholders_of_the_english_one(language: Language) -> None:
    translated = catalogue(language)
    for key, sentence in catalogue("en").items():
        assert placeholders(translated[key]) == placeholders(sentence), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_can_be_said_and_ends_clean(language: Language) -> None:
    class Anything:
        def __format__(self, spec: str) -> str:
            return format(1.5, spec) if spec else "something"

    texts = Texts(language)
    for key, sentence in catalogue(language).items():
        said = texts(key, **{name: Anything() for name in placeholders(sentence)})
        assert said == said.strip() and said, key
        assert "  " not in said, key


@pytest.mark.parametrize("language", OTHERS)
def test_a_sentence_is_translated_and_not_copied(language: Language) -> None:
    english = catalogue("en")
    copied = [
        key
        for key, said in catalogue(language).items()
        if said == english.get(key) and any(sign.isalpha() for sign in said)
    ]
    assert copied == []


def test_english_lacks_what_is_declared_in_english_elsewhere() -> None:
    assert not [key for key in catalogue("en") if key.startswith(DECLARED)]
    assert Texts("en").describe("setting.top_k", "the English one") == "the English one"
    assert Texts("zh").describe("setting.top_k", "the English one") != "the English one"


def test_a_sentence_inside_a_sentence_is_said_in_the_same_language() -> None:
    limits = Sentence("expected-whole", {"low": 0, "high": 9})
    bad = Sentence("setting-bad-value", {"name": "top_k", "value": "x", "expected": limits})
    assert Texts("en")(bad).endswith("takes a whole number from 0 to 9.")
    assert Texts("zh")(bad).endswith("top_k 的取值：0 到 9 的整数。")


def test_what_a_person_typed_is_never_taken_for_a_placeholder() -> None:
    error = errors.CommandError("setting-not-assigned", text="{0.__class__}")
    assert str(error).startswith("{0.__class__} is not")


def test_every_stage_of_a_progress_has_its_sentence() -> None:
    for stage in Stage.__args__:  # type: ignore[attr-defined]
        assert f"progress-{stage}" in catalogue("en")


def test_no_sentence_is_left_over_that_nobody_says(here: Path) -> None:
    literals: set[str] = set()
    patterns: list[str] = []
    for file in (here / "chatapp").rglob("*.py"):
        if file.parent.name == "texts" and file.name != "__init__.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                literals.add(node.value)
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                patterns.append(str(node.values[0].value))
    prefixes = tuple(prefix for prefix in patterns if prefix.endswith("-"))
    unused = {
        key for key in catalogue("en") if key not in literals and not key.startswith(prefixes)
    }
    assert unused == set()


def test_every_error_that_is_raised_has_its_sentence(here: Path) -> None:
    raised = errors_raised(here)
    assert raised and raised <= set(catalogue("en"))


def errors_raised(here: Path) -> set[str]:
    """The keys that our errors are made with."""
    names = {"Sentence", *(name for name in vars(errors) if name != "Texts")}
    return {
        node.args[0].value
        for file in (here / "chatapp").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in names
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({"LANG": ""}, "en"),
        ({"LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "zh"),
        ({"LC_MESSAGES": "en_US", "LANG": "zh_CN"}, "en"),
        ({"LC_ALL": "zh_CN", "LC_MESSAGES": "en_US", "LANG": "en_US"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        ({"LC_CTYPE": "zh_CN"}, "en"),
    ],
)
def test_the_language_is_the_locales_in_the_order_of_posix(
    environment: dict[str, str], language: Language
) -> None:
    assert preferred_language(environment) == language
