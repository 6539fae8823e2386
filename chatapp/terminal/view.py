"""Draws one answer on a terminal while it streams. Knows Markdown and rich, nothing of engines.

Finished blocks are printed once and never touched again, and so are finished lines of code; only
the unfinished rest is live: redrawn at most 12 times a second, less often where drawing is slow,
and cropped to the window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import TracebackType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from chatapp.terminal.markdown import (
    Block,
    Row,
    code_of,
    render_block,
    render_code,
    render_rows,
    split,
)
from chatapp.terminal.plain import clean
from chatapp.terminal.wrap import Prose

FRAME = 1 / 12
"""Seconds between two drawings, at least."""
SHARE = 10
"""Drawing takes at most one part in so many of the time."""


class AnswerView:
    """A context: what is told to it inside is on the screen, once and whole, after it."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._tail = _Rows()
        self._live = Live(
            self._tail,
            console=console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._status = ""
        self._thoughts = ""
        self._source = ""
        self._joined = False  # the source begins with an item of the list printed last
        self._lines_shown = 0  # the source begins with code of which so many lines are printed
        self._begun = False
        self._due = 0.0

    def __enter__(self) -> AnswerView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._draw(last=True)
        finally:
            self._live.stop()

    def status(self, text: str) -> None:
        """What goes on, shown until there is something better to show. Keeps the view moving."""
        self._status = clean(text)
        self._draw_if_due()

    def note(self, text: str) -> None:
        """A sentence above the answer."""
        self._console.print(Prose(Text(text, style="yellow")))

    def reason(self, text: str) -> None:
        """More of the reasoning, which stands dim above the answer."""
        self._thoughts += clean(text)
        self._draw_if_due()

    def write(self, text: str) -> None:
        """More of the answer."""
        self._source += clean(text)
        self._draw_if_due()

    def _draw_if_due(self) -> None:
        if self._clock() >= self._due:
            self._draw(last=False)

    def _draw(self, *, last: bool) -> None:
        begin = self._clock()
        rows = self._take_thoughts(last=last)
        rows += self._take_blocks(last=last, begun=self._begun or bool(rows))
        self._begun = self._begun or bool(rows)
        height = max(1, self._console.height - 2)
        self._tail.rows = [] if last else self._unfinished()[-height:]
        if rows:
            self._console.print(_Rows(rows, end="\n"), end="")  # and the tail below, in one go
        else:
            self._live.refresh()
        end = self._clock()
        self._due = end + max(FRAME, SHARE * (end - begin))

    def _take_thoughts(self, *, last: bool) -> list[Row]:
        """The finished lines of the reasoning; all of it once the answer has begun."""
        if not self._begun:
            self._thoughts = self._thoughts.lstrip("\n")
        thoughts, self._thoughts = self._thoughts, ""
        if not (last or self._source):
            end = thoughts.rfind("\n") + 1
            thoughts, self._thoughts = thoughts[:end], thoughts[end:]
        return _dim(thoughts.removesuffix("\n"), self._console) if thoughts else []

    def _take_blocks(self, *, last: bool, begun: bool) -> list[Row]:
        """The finished blocks of the answer; all of them at the end.

        Only whole lines tell: half of one may look like the start of a block and be none.
        """
        end = len(self._source) if last else self._source.rfind("\n") + 1
        blocks = split(self._source[:end], joined=self._joined)
        if not blocks:
            return []
        finished, rest = (blocks, Block("")) if last else (blocks[:-1], blocks[-1])
        rows = self._lay_out(finished, begun=begun)
        if finished:
            self._lines_shown = 0
        self._source = rest.source + self._source[end:]
        self._joined = rest.joined
        if code_of(rest) is not None:
            rows += self._lay_out([rest], begun=begun or bool(rows))
            self._lines_shown = len(_lines(rest, self._console))
        return rows

    def _unfinished(self) -> list[Row]:
        """What is still live."""
        if self._thoughts:
            return _dim(self._thoughts, self._console)
        rows = self._lay_out(split(self._source, joined=self._joined), begun=self._begun)
        if rows or self._begun:
            return rows
        return _dim(self._status, self._console)

    def _lay_out(self, blocks: Sequence[Block], *, begun: bool) -> list[Row]:
        """The rows of blocks, less the lines of code printed already, a blank row between two."""
        rows: list[Row] = []
        skipped = self._lines_shown
        for block in blocks:
            fresh = _lines(block, self._console)[skipped:]
            if fresh and not skipped and not block.joined and (begun or rows):
                rows.append([])
            rows += chain.from_iterable(fresh)
            skipped = 0
        return rows


@dataclass(slots=True)
class _Rows:
    """Rows as they are, with `end` after the last one."""

    rows: list[Row] = field(default_factory=list)
    end: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for index, row in enumerate(self.rows):
            if index:
                yield Segment.line()
            yield from row
        yield Segment(self.end)


def _lines(block: Block, console: Console) -> list[list[Row]]:
    """The rows of each line of a block of code; of any other block, all in one."""
    code = code_of(block)
    if code is None:
        rows = render_block(block, console)
        return [rows] if rows else []
    return render_code(code.content, code.info, console)


def _dim(text: str, console: Console) -> list[Row]:
    return render_rows(Prose(Text(text, style="dim")), console)


def print_markdown(text: str, console: Console) -> None:
    """A finished text, as the view leaves it."""
    with AnswerView(console) as view:
        view.write(text)
