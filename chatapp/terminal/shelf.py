"""Which stored conversation a person means. Knows no rich, so that one answer starts quickly."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chatapp.errors import CommandError
from chatapp.store import ChatLine, Chats

ROWS = 20
"""How many conversations a list shows, unless more are asked for."""


def candidates(
    chats: Chats, asked: str, *, listed: Sequence[str] = (), present: str = ""
) -> list[ChatLine]:
    """The conversations that may be meant by a number, an id or words; nothing: the latest one.

    Numbers are those of the list that was `listed` last, else those of all, newest first.
    Raises StoreError.
    """
    if not asked:
        return [line for line in chats.latest(limit=2) if line.id != present][:1]
    if re.fullmatch("[0-9]{1,6}", asked):
        return _numbered(chats, int(asked), listed)
    whole = chats.find(asked)
    if whole is not None:
        return [whole]
    titled = chats.latest(asked, ROWS)
    same = [line for line in titled if line.title.casefold() == asked.casefold()]
    return same if len(same) == 1 else titled or [hit.chat for hit in chats.search(asked, ROWS)]


def _numbered(chats: Chats, number: int, listed: Sequence[str]) -> list[ChatLine]:
    if number == 0:
        return []
    if not listed:
        return chats.latest(limit=1, offset=number - 1)
    found = chats.find(listed[number - 1]) if number <= len(listed) else None
    return [] if found is None else [found]


def nothing_found(asked: str) -> CommandError:
    """The error for words, or a number, that mean no conversation."""
    return CommandError("resume-unknown", asked=asked) if asked else CommandError("resume-nothing")
