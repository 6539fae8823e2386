"""chatapp's engine in a process of its own, as it is when people use it.

libgomp keeps a pool of threads for every thread that computes. As soon as a process has more of
them than there are cores, they sleep between two steps instead of spinning, and decoding takes
nearly twice the time: in one process, contenders slow one another down.
"""

from __future__ import annotations

from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection

from chatapp.engines import ModelOptions
from chatapp.errors import ChatError
from tests.bench.contenders import through
from tests.bench.model import open_transformers
from tests.bench.together import speed_together


class NotAnswered(Exception):
    """The process could not load its model, or not answer; the sentence that it said."""


class OwnProcess:
    """A process with an engine, which rests while it is not asked."""

    def __init__(self, options: ModelOptions) -> None:
        """Raises NotAnswered."""
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_answer, args=(theirs, options), daemon=True)
        self._process.start()
        theirs.close()
        if (failure := self._pipe.recv()) is not None:
            raise NotAnswered(failure)

    def speed(self, chats: int, tokens: int, seed: int) -> float:
        """See `speed_together`. Raises NotAnswered."""
        self._pipe.send((chats, tokens, seed))
        said = self._pipe.recv()
        if isinstance(said, str):
            raise NotAnswered(said)
        return float(said)

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()


def _answer(pipe: Connection, options: ModelOptions) -> None:
    """What the process does."""
    try:
        engine = open_transformers(options, lambda _: None)
    except ChatError as error:
        pipe.send(str(error))
        return
    pipe.send(None)
    with closing(engine):
        answer = through(engine)
        while (asked := pipe.recv()) is not None:
            try:
                said = speed_together(lambda messages, n: answer(messages, n).tokens, *asked)
            except ChatError as error:
                said = str(error)
            pipe.send(said)
