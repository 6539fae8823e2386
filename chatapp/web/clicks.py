"""What a click on the page's own buttons (see `assets/page.js`) asks for, carried out."""

from __future__ import annotations

from collections.abc import Mapping

from chatapp.errors import ExchangeError
from chatapp.messages import Feedback
from chatapp.web.actions import Choose, Edit
from chatapp.web.tabs import Tab

LONGEST_TITLE = 200
"""Characters."""
LARGEST_FILE = 6
"""About how many MiB of a file the page takes; `assets/page.js` counts what it is as JSON."""


def carry_out(tab: Tab, click: Mapping[str, object]) -> None:
    """Do what was clicked; what a browser of ours would not send is ignored. Raises ChatError."""
    if "message" in click:
        _at_a_message(tab, click)
    else:
        _at_the_list(tab, click)


def _at_a_message(tab: Tab, click: Mapping[str, object]) -> None:
    match click:
        case {"do": "edit", "message": str(message), "text": str(text)}:
            tab.act(Edit(message, text))
        case {"do": "choose", "message": str(message), "step": (1 | -1) as step}:
            tab.act(Choose(message, step))
        case {"do": "redo", "message": str(message)}:
            tab.redo(message)
        case {"do": "judge", "message": str(message), "good": bool(good), "why": str(why)}:
            tab.chat.judge(message, Feedback(good, why))
        case {"do": "judge", "message": str(message)}:
            tab.chat.judge(message, None)
        case {"do": "fork", "message": str(message)}:
            tab.fork(message)


def _at_the_list(tab: Tab, click: Mapping[str, object]) -> None:
    match click:
        case {"do": "open", "chat": str(chat), "hit": str(hit)}:
            tab.open(chat, hit)
        case {"do": "open", "chat": str(chat)}:
            tab.open(chat)
        case {"do": "new"}:
            tab.begin()
        case {"do": "rename", "chat": str(chat), "title": str(title)}:
            tab.rename(chat, " ".join(title.split())[:LONGEST_TITLE])
        case {"do": "delete", "chat": str(chat)}:
            tab.delete(chat)
        case {"do": "restore", "chat": str(chat)}:
            tab.restore(chat)
        case {"do": "upload", "name": str(name), "text": str(text)}:
            tab.take_in(text, name[:LONGEST_TITLE])
        case {"do": "upload", "name": str(name)}:
            raise ExchangeError("page-upload-large", name=name[:LONGEST_TITLE], limit=LARGEST_FILE)
        case {"do": "more"}:
            tab.list_more()
