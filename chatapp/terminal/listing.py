"""Tables of stored conversations, numbered for :resume."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from chatapp.store import ChatLine, Hit
from chatapp.terminal.plain import clean
from chatapp.terminal.session import Session
from chatapp.texts import Texts

MINUTE, HOUR, DAY = 60, 3600, 86_400
MODEL_WIDTH = 24
NARROW = 60
"""Columns below which a list leaves the model out."""
GAP = 2
FOUND = "bold yellow"


def print_chats(session: Session, lines: Sequence[ChatLine]) -> None:
    """A numbered table: title, model, age, turns; the conversation at hand has a star."""
    session.listed, session.found = [line.id for line in lines], {}
    rows = [_row(session, number, line) for number, line in enumerate(lines, 1)]
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    model = min(widths[2], MODEL_WIDTH if session.console.width >= NARROW else 0)
    others = [widths[0], model, *widths[3:]]
    room = session.console.width - sum(others) - GAP * len(others)
    table = Table.grid(padding=(0, GAP, 0, 0))
    for index, width in enumerate((widths[0], min(widths[1], max(1, room)), *others[1:])):
        justify: JustifyMethod = "left" if index else "right"
        table.add_column(width=width, justify=justify, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    session.console.print(table)


def print_hits(session: Session, hits: Sequence[Hit], asked: str) -> None:
    """The conversations that a search found, each with the place where the words are."""
    session.listed = [hit.chat.id for hit in hits]
    session.found = {hit.chat.id: hit.message_id for hit in hits if hit.message_id is not None}
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for number, hit in enumerate(hits, 1):
        star, title, _, when, _ = _row(session, number, hit.chat)
        if hit.message_id is None:
            title.highlight_words(asked.split(), FOUND, case_sensitive=False)
        table.add_row(star, Text.assemble(title, "  ", when))
        if hit.message_id is not None:
            table.add_row("", _snippet(hit))
    session.console.print(table)


def age(changed: float, texts: Texts, now: float | None = None) -> str:
    """How long ago that was (seconds since 1970); after a week, the day."""
    seconds = (time.time() if now is None else now) - changed
    if seconds < MINUTE:
        return texts("age-now")
    if seconds < HOUR:
        return texts("age-minutes", count=int(seconds // MINUTE))
    if seconds < DAY:
        return texts("age-hours", count=int(seconds // HOUR))
    if seconds < 7 * DAY:
        return texts("age-days", count=int(seconds // DAY))
    return time.strftime("%Y-%m-%d", time.localtime(changed))


def _row(session: Session, number: int, line: ChatLine) -> list[Text]:
    present = line.id == session.conversation.id
    star, style = (("*", "bold"), "bold") if present else ((" ", ""), "")
    turns = session.texts("list-turns", count=line.turns)
    return [
        Text.assemble(star, str(number)),
        Text(clean(line.title), style),
        Text(clean(line.model.rpartition("/")[2]), "dim"),
        Text(age(line.changed, session.texts), "dim"),
        Text(turns, "dim"),
    ]


def _snippet(hit: Hit) -> Text:
    """What was found, its words marked. Marks are those of the text before it is cleaned."""
    shown = Text()
    end = 0
    for begin, after in hit.marks:
        shown.append(clean(hit.snippet[end:begin]))
        shown.append(clean(hit.snippet[begin:after]), FOUND)
        end = after
    shown.append(clean(hit.snippet[end:]))
    return shown
