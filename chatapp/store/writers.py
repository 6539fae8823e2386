"""Which process is writing an answer, and whether it still lives."""

from __future__ import annotations

import functools
import os


@functools.cache
def this_process() -> str:
    """This process's name, which no later one of the same number has."""
    return _process(os.getpid())


def is_alive(process: str) -> bool:
    """Whether a process of that name runs; one that was killed does not, cleared away or not."""
    import psutil

    try:
        number = int(process.partition(":")[0])
        return (
            _process(number) == process and psutil.Process(number).status() != psutil.STATUS_ZOMBIE
        )
    except (psutil.Error, ValueError):
        return False


def _process(number: int) -> str:
    """Raises psutil.Error."""
    import psutil  # only where an answer is being written: it takes a moment to import

    return f"{number}:{psutil.Process(number).create_time():.2f}"
