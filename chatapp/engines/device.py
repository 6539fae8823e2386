"""What this machine has: facts the engines report. Knows no engine."""

from __future__ import annotations

import psutil


def process_memory() -> str:
    """The memory this process holds, for a person to read."""
    return f"{psutil.Process().memory_info().rss / 2**30:.2f} GiB"


def free_memory() -> int:
    """The bytes of main memory that can be had without swapping."""
    return int(psutil.virtual_memory().available)
