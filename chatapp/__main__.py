"""The console script `chatapp`: `chat` (the default), `web` and `data`."""

from __future__ import annotations

import difflib
import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import cast

FACES = {"chat": "chatapp.terminal", "web": "chatapp.web", "data": "chatapp.data"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is named first, or the terminal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while Python imports: no traceback
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    named = bool(arguments) and not arguments[0].startswith("-")
    face = arguments.pop(0) if named else "chat"
    if face not in FACES:
        sys.stderr.write(f"chatapp: {_unknown(face, arguments)}\n")
        return 2
    run = cast("Callable[[Sequence[str]], int]", importlib.import_module(FACES[face]).main)
    return run(arguments)


def _unknown(word: str, arguments: Sequence[str]) -> str:
    """What is said to a first word that names no face."""
    from chatapp.options import language_asked  # imports come after Ctrl-C is quiet
    from chatapp.texts import Texts

    texts = Texts(language_asked(arguments))
    close = difflib.get_close_matches(word, FACES, n=1)
    if close:
        return texts("face-unknown-close", word=word, meant=close[0])
    return texts("face-unknown", word=word, known=", ".join(FACES))


if __name__ == "__main__":
    sys.exit(main())
