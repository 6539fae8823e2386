"""Who waits for a model: first come, first served, bounded, and free to leave."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chatapp.engines.line import HEARTBEAT, Line
from chatapp.errors import LineFull
from chatapp.events import Progress


class Guest:
    """Someone in line, who can be asked where they stand without waiting."""

    def __init__(self, line: Line) -> None:
        self.cancel = threading.Event()
        self._stay = ExitStack()
        self._waiting = self._stay.enter_context(line.join(self.cancel))

    def place(self) -> int:
        """0: it is my turn."""
        return next((progress.done for progress in self._waiting), 0)

    def leave(self) -> None:
        self._stay.close()


def places(guests: list[Guest]) -> list[int]:
    return [guest.place() for guest in guests]


def test_one_is_served_at_once_and_the_others_know_their_places() -> None:
    line = Line(1)
    assert places([Guest(line) for _ in range(4)]) == [0, 1, 2, 3]


def test_as_many_are_served_as_there_are_places() -> None:
    line = Line(3)
    assert places([Guest(line) for _ in range(5)]) == [0, 0, 0, 1, 2]


def test_first_come_is_first_served() -> None:
    line = Line(1)
    guests = [Guest(line) for _ in range(4)]
    for expected in ([0, 1, 2], [0, 1], [0]):
        guests.pop(0).leave()
        assert places(guests) == expected


def test_who_leaves_early_moves_those_behind_up_and_nobody_before() -> None:
    line = Line(1)
    guests = [Guest(line) for _ in range(5)]
    guests.pop(2).leave()
    assert places(guests) == [0, 1, 2, 3]
    guests.pop(1).leave()
    assert places(guests) == [0, 1, 2]


def test_setting_cancel_ends_the_waiting_but_not_the_turn_of_another() -> None:
    line = Line(1)
    serving, waiting = Guest(line), Guest(line)
    assert waiting.place() == 1
    waiting.cancel.set()
    with line.join(waiting.cancel) as cancelled:
        assert list(cancelled) == []
    assert serving.place() == 0


def test_a_full_line_turns_away_with_a_sentence_and_takes_in_again_when_one_left() -> None:
    line = Line(1, capacity=2)
    guests = [Guest(line) for _ in range(3)]
    with pytest.raises(LineFull, match="2 requests are waiting"):
        Guest(line)
    assert places(guests) == [0, 1, 2]
    guests.pop().leave()
    assert Guest(line).place() == 2


def test_a_failure_while_served_leaves_the_line() -> None:
    line = Line(1, capacity=0)
    with pytest.raises(ZeroDivisionError), line.join(threading.Event()):
        raise ZeroDivisionError
    assert Guest(line).place() == 0


def test_waiting_says_something_every_tenth_of_a_second() -> None:
    line = Line(1)
    with line.join(threading.Event()), line.join(threading.Event()) as waiting:
        begin = time.monotonic()
        assert [next(waiting) for _ in range(6)] == [Progress("queued", 1)] * 6
        passed = time.monotonic() - begin
    assert 5 * HEARTBEAT * 0.9 <= passed < 5 * HEARTBEAT + 2, "neither silent nor busy"


def seconds_until_the_next_hears() -> float:
    line = Line(1)
    first = Guest(line)
    queued = threading.Event()
    heard: list[float] = []

    def wait(waiting: Iterator[Progress]) -> None:
        for _ in waiting:
            queued.set()
        heard.append(time.monotonic())

    with line.join(threading.Event()) as waiting:
        thread = threading.Thread(target=wait, args=(waiting,))
        thread.start()
        assert queued.wait(10)
        left = time.monotonic()
        first.leave()
        thread.join(10)
    return heard[0] - left


def test_who_is_next_hears_of_it_at_once_and_not_at_the_next_heartbeat() -> None:
    # The best of several: a machine that is busy with other things is no fault of the line.
    assert min(seconds_until_the_next_hears() for _ in range(8)) < HEARTBEAT / 2


@pytest.mark.parametrize("served", [1, 4])
def test_a_storm_of_guests_who_stay_leave_and_cancel_leaves_the_line_empty(served: int) -> None:
    line = Line(served, capacity=1000)
    lock = threading.Lock()
    inside, most, turns = 0, 0, 0

    def come(number: int) -> None:
        nonlocal inside, most, turns
        whim = random.Random(number)
        cancel = threading.Event()
        with line.join(cancel) as waiting:
            for _ in waiting:
                if whim.random() < 0.2:
                    cancel.set()
                if whim.random() < 0.2:
                    return
            if cancel.is_set():
                return
            with lock:
                inside += 1
                most = max(most, inside)
                turns += 1
            with lock:
                inside -= 1

    threads = [threading.Thread(target=come, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert turns > 0
    assert most <= served
    assert places([Guest(line) for _ in range(served + 1)]) == [0] * served + [1]
