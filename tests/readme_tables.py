"""The tables of the README, made from the code: `python tests/readme_tables.py` writes them there.

They stand between `<!-- NAME -->` and `<!-- /NAME -->`; test_readme.py holds the README to them.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from chatapp.flags import build_parser
from chatapp.settings import SETTING_NAMES, GenerationSettings, expected
from chatapp.terminal.commands import COMMANDS
from chatapp.texts import Texts

README = Path(__file__).parents[1] / "README.md"
TEXTS = Texts("en")


def commands() -> str:
    """Every :command with its aliases, as `:help` explains it."""
    return _table(
        ("Command", "Short", "What it does"),
        (
            (
                f"`{command.usage}`",
                " ".join(f"`:{alias}`" for alias in command.aliases),
                command.description(TEXTS),
            )
            for command in COMMANDS.values()
        ),
    )


def settings() -> str:
    """Every setting; its flag has the same name with dashes."""
    return _table(
        ("Setting", "What it does", "Takes", "Neutral value"),
        (
            (
                f"`{name}`",
                str(field.description),
                TEXTS(expected(name)),
                f"`{json.dumps(field.default)}`",
            )
            for name, field in GenerationSettings.model_fields.items()
        ),
    )


def flags() -> str:
    """Every flag but those of the settings, and the face that has it."""
    faces = {face: _flags(build_parser(face, TEXTS)) for face in ("chat", "web")}
    both = {**faces["chat"], **faces["web"]}
    return _table(
        ("Flag", "What it does", "Where"),
        (
            (
                f"`{flag}`",
                described,
                "both"
                if flag in faces["chat"] and flag in faces["web"]
                else ("terminal" if flag in faces["chat"] else "page"),
            )
            for flag, described in both.items()
        ),
    )


TABLES: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "flags": flags,
}


def marked(name: str) -> re.Pattern[str]:
    """What stands between the two marks of a table, marks included."""
    return re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)


def between_marks(name: str) -> str:
    return f"<!-- {name} -->\n\n{TABLES[name]()}\n<!-- /{name} -->"


def _flags(parser: argparse.ArgumentParser) -> dict[str, str]:
    return {
        "/".join(action.option_strings): (action.help or "").replace("%%", "%")
        for action in parser._actions
        if action.dest not in SETTING_NAMES
    }


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    for name in TABLES:
        text = marked(name).sub(lambda _, name=name: between_marks(name), text)
    README.write_text(text, encoding="utf-8")
