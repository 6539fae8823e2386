"""Between a worker and its reader: everything arrives in order, failures at once, never silence."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import pytest

from chatapp.engines import relay
from chatapp.engines.line import HEARTBEAT
from chatapp.errors import ContextOverflow, GenerationError
from chatapp.events import Event, Finished, Progress, ReasoningDelta, TextDelta, Timings, Usage

FINISHED = Finished("stop", Usage(1, 1), Timings(0.0, 0.0), seed=1)


class OwnFailure(BaseException):
    """Nothing any library knows."""


def read_what(work: Callable[[relay.Relay], Finished]) -> list[Event]:
    """What a reader gets from work done in a thread."""
    line: relay.Relay = queue.SimpleQueue()
    thread = threading.Thread(target=relay.run, args=(line, lambda: work(line)))
    thread.start()
    try:
        return list(relay.read(line))
    finally:
        thread.join(10)


def test_everything_arrives_in_order_and_the_stream_ends_with_finished() -> None:
    said: list[Event] = [Progress("reading", 1, 2), ReasoningDelta("hm"), TextDelta("a"), FINISHED]

    def work(line: relay.Relay) -> Finished:
        for event in said[:-1]:
            line.put(event)
        return FINISHED

    assert read_what(work) == said


def test_nothing_is_read_after_finished() -> None:
    line: relay.Relay = queue.SimpleQueue()
    for event in (FINISHED, TextDelta("late")):
        line.put(event)
    assert list(relay.read(line)) == [FINISHED]


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("CUDA error: an illegal memory access"),
        ValueError("two\nlines"),
        KeyError("missing"),
        IndexError(),
        AssertionError(),
        OSError(5, "Input/output error"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        RecursionError("too deep"),
        StopIteration(1),
        StopAsyncIteration(),
        GeneratorExit(),
        KeyboardInterrupt(),
        SystemExit(1),
        queue.Empty(),
        TimeoutError(),
        OwnFailure("?"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_whatever_the_worker_raises_reaches_the_reader_as_one_sentence(
    failure: BaseException,
) -> None:
    def work(line: relay.Relay) -> Finished:
        line.put(TextDelta("a"))
        raise failure

    begin = time.monotonic()
    with pytest.raises(GenerationError) as caught:
        read_what(work)
    assert time.monotonic() - begin < 5
    assert caught.value.__cause__ is failure
    assert failure.__traceback__ is None, "its frames would keep tensors alive"
    assert str(caught.value).startswith(f"The model failed: {type(failure).__name__}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total"),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
)
def test_no_memory_is_said_with_what_to_do(failure: Exception) -> None:
    def work(line: relay.Relay) -> Finished:
        raise failure

    with pytest.raises(GenerationError, match="ran out of memory"):
        read_what(work)


def test_an_error_of_our_own_passes_as_it_is() -> None:
    own = ContextOverflow("context-overflow", tokens=2, context=1)

    def work(line: relay.Relay) -> Finished:
        raise own

    with pytest.raises(ContextOverflow) as caught:
        read_what(work)
    assert caught.value is own


def test_what_came_before_a_failure_is_read_before_it() -> None:
    line: relay.Relay = queue.SimpleQueue()
    line.put(TextDelta("a"))
    line.put(GenerationError("engine-closed"))
    reader = relay.read(line)
    assert next(reader) == TextDelta("a")
    with pytest.raises(GenerationError):
        next(reader)


def test_a_silent_worker_still_gives_its_reader_the_last_progress_ten_times_a_second() -> None:
    line: relay.Relay = queue.SimpleQueue()
    reader = relay.read(line)
    begin = time.monotonic()
    assert [next(reader) for _ in range(3)] == [Progress("reading")] * 3
    line.put(Progress("writing", 7, 9))
    assert [next(reader) for _ in range(3)] == [Progress("writing", 7, 9)] * 3
    passed = time.monotonic() - begin
    assert 5 * HEARTBEAT * 0.9 <= passed < 5 * HEARTBEAT + 2
    reader.close()
