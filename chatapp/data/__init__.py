"""`chatapp data`: the stored conversations as files. Needs no model, and no face."""

from __future__ import annotations

import difflib
import signal
import sys
from collections.abc import Sequence

from chatapp.data.flags import ACTIONS, TAKES_WORDS, build_parser
from chatapp.errors import ChatError
from chatapp.flags import program
from chatapp.options import language_asked, read_flags, refuse_unknown
from chatapp.texts import Sentence, Texts


def main(arguments: Sequence[str]) -> int:
    """Do what is named first; returns the exit code: 1 if something is wrong, 2 for a mistake."""
    arguments = list(arguments)
    texts = Texts(language_asked(arguments))
    if not arguments or arguments[0].startswith("-"):
        parser = build_parser(None, texts)
        try:
            refuse_unknown(parser, read_flags(parser, arguments)[1])
        except ChatError as error:
            parser.error(texts(error.sentence))
        parser.print_help()
        return 0
    action = arguments.pop(0)
    if action not in ACTIONS:
        sys.stderr.write(f"{program('data')}: {texts(_unknown(action))}\n")
        return 2
    parser = build_parser(action, texts)
    try:
        found, unknown = read_flags(parser, arguments)
        words = [word for word in unknown if not word.startswith("-")]
        if words and action not in TAKES_WORDS:
            raise ChatError("data-stray", action=action, text=words[0])
        # argparse takes the words of one place alone, before or after the flags
        getattr(found, TAKES_WORDS.get(action, ""), []).extend(words)
        refuse_unknown(parser, [word for word in unknown if word.startswith("-")])
    except ChatError as error:
        parser.error(texts(error.sentence))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from chatapp.data.actions import run

    return run(action, found, texts)


def _unknown(word: str) -> Sentence:
    close = difflib.get_close_matches(word, ACTIONS, n=1)
    if close:
        return Sentence("data-unknown-close", {"word": word, "meant": close[0]})
    return Sentence("data-unknown", {"word": word, "known": ", ".join(ACTIONS)})
