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
    yield texts("stats-context", used=usage.total_tokens, context=context_length or "?")
    yield texts("stats-seed", seed=finished.seed)


def progress_line(progress: Progress, texts: Texts) -> str:
    """Where a slow step stands."""
    said = texts(f"progress-{progress.stage}", done=progress.done, total=progress.total)
    done, total = progress.done, progress.total
    if progress.stage == "queued" or not total:
        return said
    if progress.stage == "downloading":
        return f"{said} {done // MIB}/{total // MIB} MiB"
    if progress.stage in ("loading", "converting"):
        return f"{said} {done / total:.0%}"
    return f"{said} {done}/{total}"
