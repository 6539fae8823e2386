"""The console script `chatapp`: `chat` (the default) and `web`."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import cast

FACES = {"chat": "chatapp.terminal", "web": "chatapp.web"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the face named first, or the terminal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while Python imports: no traceback
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    face = arguments.pop(0) if arguments and arguments[0] in FACES else "chat"
    run = cast("Callable[[Sequence[str]], int]", importlib.import_module(FACES[face]).main)
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
