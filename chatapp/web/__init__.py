"""The page: Gradio in front of the same stream of events that the terminal shows."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from chatapp.dry_run import dry_run
from chatapp.options import parse


def main(arguments: Sequence[str]) -> int:
    """Serve the page until it is interrupted; returns the exit code."""
    options = parse(arguments, "web")
    if options.dry_run:
        return dry_run(options)
    # Gradio takes seconds to import, and `--help` must not wait for it.
    from chatapp.web.server import serve

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return serve(options)
