"""A process of its own: load the model, answer two turns after a long history, print the peak.

`python -m tests.bench.peak CONTENDER FOLDER DTYPE TOKENS` prints KiB of resident memory.
"""

from __future__ import annotations

import resource
import sys
from contextlib import closing
from pathlib import Path

from chatapp.engines import ModelOptions
from chatapp.messages import Message
from tests.bench.contenders import contenders, without_cache
from tests.bench.model import open_transformers
from tests.bench.texts import question, story


def main(name: str, folder: str, dtype: str, tokens: int) -> int:
    options = ModelOptions(folder, engine="transformers", dtype=dtype)
    with (
        closing(open_transformers(options, lambda _: None)) as engine,
        closing(without_cache(engine)) as uncached,
    ):
        answer = contenders(engine, uncached)[name]
        messages = [Message("user", story(engine, tokens, seed=1))]
        for turn in range(2):
            answered = answer(messages, 16)
            messages += [Message("assistant", answered.text), Message("user", question(turn))]
    return _peak()


def _peak() -> int:
    """KiB; Linux counts the parent's memory into a child's ru_maxrss, but not into VmHWM."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    print(main(*sys.argv[1:4], int(sys.argv[4])))
