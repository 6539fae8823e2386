"""The list of a person's chats as HTML: by day, or what a search found. No Gradio.

`assets/page.js` reports clicks on what has `data-do`; every text is escaped.
"""

from __future__ import annotations

import datetime
import html
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from chatapp.store import ChatLine, Hit
from chatapp.texts import Texts

DAYS_OF_A_WEEK = 7
PENCIL = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 20h4L19 9l-4-4L4 16z"/></svg>'
CROSS = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M6 6l12 12M18 6L6 18"/></svg>'


def shelf(
    lines: Sequence[ChatLine],
    current: str,
    answering: Collection[str],
    today: datetime.date,
    texts: Texts,
    *,
    more: bool,
) -> str:
    """The chats, newest first, under the days they were last changed on."""
    parts = []
    for day, group in groupby(lines, lambda line: _day(line.changed, today, texts)):
        rows = "".join(_row(line, _text(line, texts), current, answering, texts) for line in group)
        parts.append(f"<h3>{html.escape(day)}</h3><ul>{rows}</ul>")
    if more:
        parts.append(f'<button data-do="more">{html.escape(texts("page-more"))}</button>')
    return "".join(parts) or f"<p>{html.escape(texts('page-no-chats'))}</p>"


def found(hits: Sequence[Hit], current: str, answering: Collection[str], texts: Texts) -> str:
    """What a search found, the words marked."""
    rows = []
    for hit in hits:
        said = _text(hit.chat, texts)
        if hit.message_id is None:
            said = _marked(hit)
        else:
            said += f"<small>{_marked(hit)}</small>"
        rows.append(_row(hit.chat, said, current, answering, texts, hit.message_id or ""))
    if not rows:
        return f"<p>{html.escape(texts('page-nothing-found'))}</p>"
    return f"<ul>{''.join(rows)}</ul>"


def deleted(line: ChatLine, texts: Texts) -> str:
    """What has just been deleted, and how to have it back."""
    said = html.escape(texts("page-deleted", title=_name(line, texts)))
    undo = html.escape(texts("page-undo"))
    id = html.escape(line.id)
    return (
        f'<p class="deleted" role="status"><span>{said}</span>'
        f'<button data-do="restore" data-chat="{id}">{undo}</button></p>'
    )


def _row(
    line: ChatLine,
    said: str,
    current: str,
    answering: Collection[str],
    texts: Texts,
    message: str = "",
) -> str:
    """A chat's row; a click shows the version with the message of that id, if one is named."""
    id, title = html.escape(line.id), html.escape(line.title)
    marks = ' aria-current="page"' if line.id == current else ""
    marks += ' class="answering"' if line.id in answering else ""
    buttons = "".join(
        f'<button data-do="{what}" data-chat="{id}" data-title="{title}" '
        f'title="{html.escape(texts(f"page-{what}"))}">{picture}</button>'
        for what, picture in (("rename", PENCIL), ("delete", CROSS))
    )
    told = html.escape(_told(line, texts))
    marks += f' data-message="{html.escape(message)}"' if message else ""
    link = f'<a href="?chat={id}" data-do="open" data-chat="{id}" title="{told}"{marks}>{said}</a>'
    return f"<li>{link}{buttons}</li>"


def _told(line: ChatLine, texts: Texts) -> str:
    """All of the title, and what the list has no room for."""
    changed = datetime.datetime.fromtimestamp(line.changed).strftime("%Y-%m-%d %H:%M")
    facts = (line.model, texts("list-turns", count=line.turns), changed)
    return f"{_name(line, texts)}\n{' · '.join(filter(None, facts))}"


def _text(line: ChatLine, texts: Texts) -> str:
    return f"<span>{html.escape(_name(line, texts))}</span>"


def _name(line: ChatLine, texts: Texts) -> str:
    """Its title; a question of nothing but spaces or a code fence's mark gives none."""
    return line.title if line.title.strip() else texts("page-untitled")


def _marked(hit: Hit) -> str:
    return f"<span>{''.join(_pieces(hit))}</span>"


def _pieces(hit: Hit) -> Iterator[str]:
    at = 0
    for begin, end in hit.marks:
        yield html.escape(hit.snippet[at:begin])
        yield f"<mark>{html.escape(hit.snippet[begin:end])}</mark>"
        at = end
    yield html.escape(hit.snippet[at:])


def _day(changed: float, today: datetime.date, texts: Texts) -> str:
    """What the day of a time is called, seen from today."""
    day = datetime.date.fromtimestamp(changed)
    days = (today - day).days
    if days <= 1:
        return texts("page-yesterday" if days == 1 else "page-today")
    if days <= DAYS_OF_A_WEEK:
        return texts("page-last-days", days=DAYS_OF_A_WEEK)
    return texts("page-month", month=day.month, year=day.year)
