"""The flags of `chatapp data`, each declared once. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

from chatapp.exchange.training import TRAINING_FORMATS
from chatapp.flags import Parser, program
from chatapp.texts import LANGUAGES, Texts

Said: TypeAlias = Callable[[str, str], str]
"""A flag's name and its English explanation -> the explanation in the reader's language."""

ACTIONS = ("path", "check", "vacuum", "export", "import")
TAKES_WORDS = {"export": "words", "import": "files"}
"""Actions that take words beside flags, and what those are."""
FORMATS = ("json", "markdown", *TRAINING_FORMATS)


def build_parser(action: str | None, texts: Texts) -> argparse.ArgumentParser:
    """The parser of one action; with None, of `chatapp data` alone, whose help lists them all."""
    command = program("data")
    listed = "\n".join(f"  {command} {name:8} {texts(f'about-data-{name}')}" for name in ACTIONS)
    parser = Parser(
        prog=f"{command} {action}" if action else command,
        description=texts(f"about-data-{action}" if action else "about-data"),
        epilog=None if action else listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
        exit_on_error=False,  # `options` says its mistakes in the reader's language
    )

    def said(name: str, english: str) -> str:
        return texts.describe(f"flag.{name}", english).replace("%", "%%")

    if action == "export":
        _add_export_flags(parser, said)
    if action == "import":
        parser.add_argument(
            "files",
            nargs="*",
            metavar="FILE",
            help=said("files", "chatapp's JSON, ShareGPT, OpenAI messages, Alpaca, ChatGPT export"),
        )
    if action in ("export", "import"):
        parser.add_argument(
            "--owner",
            metavar="NAME",
            default="",
            help=said(
                "owner", "whose conversations: a name that signs in to the page; without: yours"
            ),
        )
    if action:
        parser.add_argument(
            "--data-dir",
            metavar="FOLDER",
            help=said("data_dir", "where conversations are stored; or CHATAPP_DATA_DIR"),
        )
    parser.add_argument(
        "--lang", choices=LANGUAGES, help=said("lang", "language of the messages; the locale's")
    )
    parser.add_argument("-h", "--help", action="help", help=said("help", "show this and exit"))
    return parser


def _add_export_flags(parser: argparse.ArgumentParser, said: Said) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD|ID",
        help=said("words", "only conversations with these words in the title, or of these ids"),
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="json",
        help=said(
            "format",
            "json: everything, to import it again; markdown: to read; the others: training data",
        ),
    )
    parser.add_argument(
        "--good-only",
        action="store_true",
        help=said("good_only", "train on answers that were marked good, and what led to them"),
    )
    parser.add_argument(
        "--output",
        metavar="FILE|FOLDER",
        help=said("output", "where to write; -: standard output; without: this folder"),
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=said("overwrite", "write over a file that is there already"),
    )
