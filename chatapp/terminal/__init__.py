"""The terminal face. `main` reads the flags first: `--help` imports nothing of what is behind."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from chatapp.dry_run import dry_run
from chatapp.options import parse


def main(arguments: Sequence[str]) -> int:
    """Chat in the terminal, or answer one prompt; returns the exit code."""
    options = parse(arguments, "chat")
    if options.dry_run:
        return dry_run(options)
    from chatapp.terminal.app import run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return run(options)
