"""The line under an answer, and the one while it is awaited."""

from __future__ import annotations

import pytest

from chatapp.events import Finished, Progress, Reason, Timings, Usage
from chatapp.stats import progress_line, stats_line
from chatapp.texts import Texts


def test_a_whole_answer_shows_its_figures() -> None:
    finished = Finished("stop", Usage(20, 11), Timings(0.25, 1.25), seed=7)
    assert stats_line(finished, 4096, Texts("en")) == (
        "11 tokens · 10.0 tokens/s · first after 0.25 s · context 31/4096 · seed 7"
    )


@pytest.mark.parametrize(
    ("reason", "said"), [("stopped", "stopped"), ("length", "cut at max_new_tokens")]
)
def test_an_answer_that_was_cut_says_so_first(reason: Reason, said: str) -> None:
    line = stats_line(Finished(reason, Usage(20, 3), Timings(0.1, 1.0), seed=7), 4096, Texts("en"))
    assert line.startswith(f"{said} · 3 tokens")


def test_an_answer_without_a_token_has_no_speed_and_no_first_one() -> None:
    line = stats_line(Finished("stopped", Usage(5, 0), Timings(None, 0.3), 7), None, Texts("en"))
    assert line == "stopped · 0 tokens · context 5/? · seed 7"


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress("queued", 2), "waiting: place 2 in line"),
        (Progress("reading", 64, 128), "reading 64/128"),
        (Progress("reading"), "reading"),
        (Progress("loading", 1, 4), "loading the model 25%"),
        (Progress("downloading", 3 * 2**20, 5 * 2**20), "downloading 3/5 MiB"),
    ],
)
def test_progress_is_said_in_the_measure_of_its_stage(progress: Progress, line: str) -> None:
    assert progress_line(progress, Texts("en")) == line
