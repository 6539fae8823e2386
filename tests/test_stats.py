"""The line under an answer says what is known, and nothing that is not."""

from __future__ import annotations

import pytest

from chatapp.events import Finished, Progress, Reason, Stage, Timings, Usage
from chatapp.stats import progress_line, stats_line
from chatapp.texts import Texts


def finished(
    reason: Reason = "stop", tokens: int = 11, first: float | None = 0.5, total: float = 1.5
) -> Finished:
    return Finished(reason, Usage(20, tokens), Timings(first, total), seed=7)


def test_tokens_speed_first_token_context_and_seed_are_said() -> None:
    assert stats_line(finished(), 4096, Texts("en")) == (
        "11 tokens · 10.0 tokens/s · first after 0.50 s · context 31 / 4,096 · seed 7"
    )
    assert stats_line(finished(), 4096, Texts("zh")).startswith("11 个词元 · 10.0 词元/秒")


@pytest.mark.parametrize(("reason", "word"), [("stopped", "stopped"), ("length", "cut at")])
def test_an_answer_that_was_cut_says_so_first(reason: Reason, word: str) -> None:
    assert stats_line(finished(reason), 4096, Texts("en")).startswith(word)


def test_an_answer_that_filled_the_context_says_that_and_not_another_limit() -> None:
    assert stats_line(finished("length"), 31, Texts("en")).startswith("cut: the context is full")


def test_tokens_of_the_prompt_that_were_not_read_again_are_told() -> None:
    told = Finished("stop", Usage(4020, 5, cached_tokens=3912), Timings(0.1, 0.2), seed=7)
    assert "read 108, reused 3912" in stats_line(told, 8192, Texts("en"))


@pytest.mark.parametrize(
    "timings",
    [
        finished(tokens=1),
        finished(first=None),
        finished(first=1.5),
        finished(tokens=0, first=None),
    ],
)
def test_a_speed_that_is_not_known_is_not_made_up(timings: Finished) -> None:
    assert "tokens/s" not in stats_line(timings, 4096, Texts("en"))


def test_an_unknown_context_is_a_question_mark() -> None:
    assert "context 31 / ?" in stats_line(finished(), None, Texts("en"))


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress("queued", 3), "waiting: place 3 in line"),
        (Progress("reading", 512, 2048), "reading 512/2048"),
        (Progress("reading"), "reading"),
        (Progress("loading", 1, 4), "loading the model 25%"),
        (Progress("downloading", 3 * 2**20, 12 * 2**20), "downloading 3/12 MiB"),
        (Progress("downloading", 3 * 2**20), "downloading"),
        (Progress("writing", 0, 0), "writing"),
    ],
)
def test_a_progress_says_where_it_stands(progress: Progress, line: str) -> None:
    assert progress_line(progress, Texts("en")) == line


@pytest.mark.parametrize("stage", Stage.__args__)  # type: ignore[attr-defined]
def test_every_stage_can_be_said(stage: Stage) -> None:
    assert progress_line(Progress(stage, 1, 2), Texts("zh"))
