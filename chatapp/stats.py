"""The line under an answer, and the one while it is awaited. Knows no face."""

from __future__ import annotations

from collections.abc import Iterator

from chatapp.events import Finished, Progress
from chatapp.texts import Texts

SEPARATOR = " · "
MIB = 2**20


def stats_line(finished: Finished, context_length: int | None, texts: Texts) -> str:
    """How an answer came about: why it ended if it was cut, tokens, speed, context, seed."""
    return SEPARATOR.join(_facts(finished, context_length, texts))


def _facts(finished: Finished, context_length: int | None, texts: Texts) -> Iterator[str]:
    usage, timings = finished.usage, finished.timings
    if finished.reason == "length" and context_length and usage.total_tokens >= context_length:
        yield texts("stats-context-full")
    elif finished.reason != "stop":
        yield texts(f"stats-{finished.reason}")
    yield texts("stats", completion=usage.completion_tokens)
    speed = timings.tokens_per_second(usage.completion_tokens)
    if speed is not None:
        yield texts("stats-speed", speed=speed)
    if timings.first_token is not None:
        yield texts("stats-first", seconds=timings.first_token)
    if usage.cached_tokens:
        read = usage.prompt_tokens - usage.cached_tokens
        yield texts("stats-reused", read=read, reused=usage.cached_tokens)
    context = f"{context_length:,}" if context_length else "?"
    yield texts("stats-context", used=f"{usage.total_tokens:,}", context=context)
    yield texts("stats-seed", seed=finished.seed)


def progress_line(progress: Progress, texts: Texts) -> str:
    """Where a slow step stands."""
    said = texts(f"progress-{progress.stage}", done=progress.done, total=progress.total)
    done, total = progress.done, progress.total
    if progress.stage == "queued" or not total:
        return said
    if progress.stage == "downloading":
        return SEPARATOR.join([f"{said} {_mebibytes(done, total)}", *_speed(progress, texts)])
    if progress.stage in ("loading", "converting"):
        return f"{said} {done / total:.0%}"
    return f"{said} {done}/{total}"


def _mebibytes(done: int, total: int) -> str:
    if total < MIB:
        return f"{done / MIB:.1f}/{total / MIB:.1f} MiB"
    return f"{done // MIB}/{total // MIB} MiB"


def _speed(progress: Progress, texts: Texts) -> Iterator[str]:
    """How many files a download has, how quick it is, and how long it still takes."""
    if progress.files is not None:
        yield texts("progress-files", done=progress.files[0], total=progress.files[1])
    if progress.rate is not None and progress.rate > 0:
        yield f"{progress.rate / MIB:.1f} MiB/s"
        left = max(0, (progress.total or 0) - progress.done) / progress.rate
        minutes, seconds = divmod(round(left), 60)
        yield texts("progress-left", time=f"{minutes}:{seconds:02}")
