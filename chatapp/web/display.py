"""Display: what a tab shows, as values for the page's components."""

from __future__ import annotations

import datetime
from typing import Any

import gradio as gr

from chatapp.engines import Engine
from chatapp.errors import StoreError
from chatapp.events import Progress
from chatapp.texts import Texts
from chatapp.web import shelf, view
from chatapp.web.layout import Layout
from chatapp.web.marks import marks
from chatapp.web.tabs import Tab

Updates = dict[Any, Any]
"""Component -> its new value or `gr.update`; components left out stay as they are."""


class Display:
    """Computes what components show; changes nothing."""

    def __init__(self, layout: Layout, engine: Engine, texts: Texts) -> None:
        self._layout = layout
        self._context_length = engine.context_length
        self._texts = texts

    def shown(self, tab: Tab) -> Updates:
        chat, layout, texts = tab.chat, self._layout, self._texts
        path, answer = chat.conversation.path, chat.conversation.answer
        asked = chat.conversation.question is not None
        nearly_full = chat.outlook is not None and chat.outlook.is_nearly_full
        progress = chat.progress if chat.writing else None
        if progress is None and answer is not None and answer.writing:  # in another program
            progress = Progress("writing")
        return {
            layout.chat: view.messages(path, texts),
            layout.earlier: view.earlier_line(path, chat.is_private, texts),
            layout.status: view.status(
                answer.finished if answer else None,
                self._context_length,
                progress,
                chat.turns_left_out,
                (tab.error or chat.error, chat.kept.failure),
                texts,
                tab.notes,
            )
            + ("" if chat.writing else view.taken_back(chat.conversation, texts)),
            **self.buttons(writing=chat.writing),
            layout.regenerate: gr.update(interactive=asked),
            layout.go_on: gr.update(
                visible=answer is not None and answer.can_go_on and not chat.writing
            ),
            layout.undo: gr.update(interactive=asked),
            layout.asked: tab.asked,
            layout.tools: marks(chat, texts),
            layout.shelf: self.shelf(tab),
            layout.meter: view.meter(None if chat.writing else chat.outlook, texts),
            layout.compact: gr.update(visible=nearly_full and not chat.writing),
            layout.downloads: view.downloads(chat.conversation.id, texts) if path else "",
            layout.private: gr.update(visible=not path, value=chat.is_private),
        }

    def shelf(self, tab: Tab) -> str:
        """The list of chats; where the store fails, that is told and the list is empty.

        An answer that streams has the page shown ten times a second: the store is asked again only
        where something else is to be listed.
        """
        current, answering = tab.chat.conversation.id, tab.library.being_answered()
        today, deleted = datetime.date.today(), tuple(line.id for line in tab.deleted)
        try:
            version = tab.library.version()
            state = (version, tab.words, tab.listed, deleted, current, answering, today)
            if tab.shelf[0] != state:
                tab.shelf = state, self._shelf(tab, current, answering, today)
        except StoreError as error:
            tab.error = error
            return ""
        return tab.shelf[1]

    def _shelf(
        self, tab: Tab, current: str, answering: frozenset[str], today: datetime.date
    ) -> str:
        line = tab.gone()
        gone = shelf.deleted(line, self._texts) if line else ""
        if tab.words.strip():
            hits = tab.library.search(tab.words, tab.listed)
            return gone + shelf.found(hits, current, answering, self._texts)
        lines = tab.library.latest(tab.listed + 1)
        more = len(lines) > tab.listed
        shown = lines[: tab.listed]
        return gone + shelf.shelf(shown, current, answering, today, self._texts, more=more)

    def buttons(self, *, writing: bool) -> Updates:
        return {
            self._layout.send: gr.update(visible=not writing),
            self._layout.stop: gr.update(visible=writing),
        }

    def lasting(self, shown: Updates) -> Updates:
        """What every update of a stream must have, changed or not.

        Gradio's client takes what an update lacks out of the one before it, which its page may
        not have looked at yet: a button would stay as it was before both.
        """
        return {
            component: value
            for component, value in shown.items()
            if isinstance(value, dict) and "__type__" in value
        }

    def values(self, tab: Tab) -> Updates:
        """What the side panel shows, in its order."""
        values: Updates = {self._layout.system: tab.chat.conversation.system}
        for name, component in self._layout.controls.items():
            values[component] = view.value(tab.settings, name)
        return values
