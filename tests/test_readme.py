"""The README is true: its tables are those of the code, its flags, targets and files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chatapp.data.flags import ACTIONS
from chatapp.data.flags import build_parser as data_parser
from chatapp.flags import build_parser
from chatapp.texts import Texts
from tests.readme_tables import README, TABLES, between_marks, marked

FOREIGN_FLAGS = {"--no-deps", "--version", "--help"}
"""Flags of other programs that the README may name, and those every program has."""


@pytest.fixture(scope="module")
def readme() -> str:
    return README.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def code(readme: str) -> str:
    """What stands in fences and in backticks."""
    fences = re.findall(r"```.*?```", readme, re.DOTALL)
    spans = re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", readme, flags=re.DOTALL))
    return "\n".join([*fences, *spans])


@pytest.mark.parametrize("name", ["commands", "settings"])
def test_a_table_is_there(readme: str, name: str) -> None:
    assert len(marked(name).findall(readme)) == 1


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_the_one_of_the_code(readme: str, name: str) -> None:
    for found in marked(name).findall(readme):
        assert found == between_marks(name), "run: python tests/readme_tables.py"


def test_every_flag_it_names_exists(code: str) -> None:
    texts = Texts("en")
    parsers = [build_parser("chat", texts), build_parser("web", texts)]
    parsers += [data_parser(action, texts) for action in ACTIONS]
    known = {
        flag for parser in parsers for action in parser._actions for flag in action.option_strings
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", code)) <= known | FOREIGN_FLAGS


def test_every_make_target_it_names_exists(code: str, here: Path) -> None:
    makefile = (here / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*)\s*:(?!=)", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|[`$&;]\s*)make ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)", code, re.M))
    assert {"chat", "web", "test", "install", "check"} <= targets
    assert {target for several in named for target in several.split()} <= targets


def test_every_file_it_links_to_exists(readme: str, here: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", readme)
    links += re.findall(r'src="(?!https?:)([^"]+)"', readme)
    assert [link for link in links if not (here / link).exists()] == []
