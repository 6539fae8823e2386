"""The page: its layout wired to the tabs; the server holds the truth, browsers show it.

A handler finds its tab by the page that sent the request. It does what was asked and wakes the
one handler that shows things (`_on_wake`), so that nothing outdated can be shown last. Answers
are written by the server itself (see `chats`): a page that comes back shows them from where they
are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import gradio as gr

from chatapp.chat import initial_settings
from chatapp.engines import Engine
from chatapp.errors import ChatError, SettingError
from chatapp.options import Options
from chatapp.store import Store
from chatapp.texts import Texts
from chatapp.web import clicks
from chatapp.web.actions import Compact, GoOn, Regenerate, Undo
from chatapp.web.display import Display, Updates
from chatapp.web.guard import OWNER
from chatapp.web.layout import Layout
from chatapp.web.library import Library
from chatapp.web.tabs import Tab, Tabs

PAGES_AT_ONCE = 128
"""More than an engine's line holds, so that those who wait stand there and see their place."""
TAB_KEY = "chatapp-tab"
FIND_TAB = f"""() => [sessionStorage.getItem('{TAB_KEY}') ?? '', innerWidth,
    new URLSearchParams(location.search).get('chat') ?? '']"""
KEEP_TAB = f"(key) => {{ sessionStorage.setItem('{TAB_KEY}', key); }}"

WIDE_ENOUGH_FOR_CHATS = 800
WIDE_ENOUGH_FOR_BOTH = 1400
"""Pixels from which the list of chats, and the settings too, stand beside the chat at first."""


class Page:
    """One page for all tabs: `blocks` to mount, `tabs` with what they show."""

    def __init__(self, engine: Engine, options: Options, store: Store) -> None:
        settings = initial_settings(engine, options.changes)
        self.tabs = Tabs(
            lambda library: Tab(engine, library, options.system, settings),
            lambda owner: Library(engine, store.chats(owner)),
        )
        self._texts = Texts(options.language)
        self._wakes = count(1)
        with gr.Blocks(
            title=engine.model, analytics_enabled=False, fill_height=True
        ) as self.blocks:
            self._layout = Layout(engine, store.notices, options.system, settings, self._texts)
            self._display = Display(self._layout, engine, self._texts)
            self._panel = [self._layout.system, *self._layout.controls.values()]
            self._wire()
        self.blocks.queue(
            default_concurrency_limit=PAGES_AT_ONCE, max_size=2 * PAGES_AT_ONCE, api_open=False
        )
        # Gradio looks for work every millisecond, which keeps a core awake; 10 ms are not noticed.
        self.blocks._queue.sleep_when_free = 0.01
        self.blocks.state_session_capacity = 2 * PAGES_AT_ONCE  # each holds a copy of its chat
        self.blocks.max_threads = 2 * PAGES_AT_ONCE

    def _wire(self) -> None:
        layout, panel = self._layout, self._panel
        ours: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        # Gradio would drop a second click until the first has ended; a chat knows better.
        acting = ours | {"queue": False, "trigger_mode": "multiple"}
        wake, seen = layout.wake, layout.asked

        asked = [layout.send.click, layout.message.submit]
        at_once = [layout.message, layout.send, layout.stop, wake]
        gr.on(asked, self._on_ask, [seen, layout.message, *panel], at_once, **acting)
        layout.regenerate.click(self._on_regenerate, [seen, *panel], wake, **acting)
        layout.go_on.click(self._on_go_on, [seen, *panel], wake, **acting)
        layout.undo.click(self._on_undo, [seen, layout.message], wake, **acting)
        layout.compact.click(self._on_compact, [seen, *panel], wake, **acting)
        layout.new_chat.click(self._on_new_chat, seen, wake, **acting)
        layout.stop.click(self._on_stop, seen, None, **acting)
        layout.tools.click(self._on_tool, [seen, layout.message], wake, **acting)
        layout.clock.tick(self._on_tick, seen, wake, **(ours | {"queue": False}))

        changed = [component.input for component in panel]
        following = ours | {"queue": False, "trigger_mode": "always_last"}
        gr.on(changed, self._on_change, [seen, *panel], panel, **following)
        layout.reset.click(self._on_reset, seen, panel, **acting)
        layout.search.change(self._on_search, [seen, layout.search], wake, **following)
        layout.private.input(self._on_private, [seen, layout.private], wake, **following)

        everything = [
            layout.chat,
            layout.message,
            layout.status,
            layout.earlier,
            layout.send,
            layout.stop,
            layout.regenerate,
            layout.go_on,
            layout.undo,
            layout.asked,
            layout.tools,
            layout.system,
            layout.shelf,
            layout.meter,
            layout.compact,
            layout.private,
            layout.downloads,
        ]
        wake.change(self._on_wake, seen, everything, trigger_mode="multiple", **ours)
        found = [layout.key, layout.width, layout.address]
        arrived = [*panel, layout.key, layout.asked, layout.chats, layout.panel, wake]
        self.blocks.load(self._on_load, found, arrived, js=FIND_TAB, **acting).then(
            None, layout.key, None, js=KEEP_TAB, **ours
        )
        self.blocks.unload(self._on_unload)

    def _on_ask(self, request: gr.Request, seen: str, text: str, *panel: Any) -> Updates:
        tab = self._tab(request, seen)
        if self._take_over(tab, panel) and tab.ask(text, seen):
            return {self._layout.message: ""} | self._display.buttons(writing=True) | self._wake()
        return self._wake()

    def _on_regenerate(self, request: gr.Request, seen: str, *panel: Any) -> Updates:
        tab = self._tab(request, seen)
        if self._take_over(tab, panel):
            tab.act(Regenerate())
        return self._wake()

    def _on_go_on(self, request: gr.Request, seen: str, *panel: Any) -> Updates:
        tab = self._tab(request, seen)
        if self._take_over(tab, panel):
            tab.act(GoOn())
        return self._wake()

    def _on_undo(self, request: gr.Request, seen: str, box: str) -> Updates:
        tab = self._tab(request, seen)
        tab.box = box
        tab.act(Undo())
        return self._wake()

    def _on_compact(self, request: gr.Request, seen: str, *panel: Any) -> Updates:
        tab = self._tab(request, seen)
        if self._take_over(tab, panel):
            tab.act(Compact())
        return self._wake()

    def _on_search(self, request: gr.Request, seen: str, words: str) -> Updates:
        self._tab(request, seen).search(words)
        return self._wake()

    def _on_private(self, request: gr.Request, seen: str, private: bool) -> Updates:
        self._tab(request, seen).set_private(private)
        return self._wake()

    def _on_new_chat(self, request: gr.Request, seen: str) -> Updates:
        self._tab(request, seen).begin()
        return self._wake()

    def _on_stop(self, request: gr.Request, seen: str) -> None:
        self._tab(request, seen).chat.stop()

    def _on_tool(self, request: gr.Request, event: gr.EventData, seen: str, box: str) -> Updates:
        tab = self._tab(request, seen)
        tab.box = box
        try:
            clicks.carry_out(tab, event._data)
        except ChatError as error:
            tab.error = error
        return self._wake()

    def _on_tick(self, request: gr.Request, seen: str) -> Updates:
        """Another tab, or another program, may have changed what this one shows."""
        tab = self._tab(request, seen)
        if tab.look() and self._display.shelf(tab) != tab.sent.get(self._layout.shelf):
            tab.notify()
        return self._wake() if tab.is_outdated else {self._layout.wake: gr.skip()}

    def _on_change(self, request: gr.Request, seen: str, *panel: Any) -> Updates:
        """Keep what the panel shows; a value that is being typed may be none yet."""
        tab = self._tab(request, seen)
        unchanged = {self._layout.system: gr.skip()}
        try:
            self._set(tab, panel)
        except SettingError:
            return unchanged
        follow = {
            component: value
            for (component, value), sent in zip(
                self._display.values(tab).items(), panel, strict=True
            )
            if value != sent
        }
        return follow or unchanged

    def _on_reset(self, request: gr.Request, seen: str) -> Updates:
        tab = self._tab(request, seen)
        tab.reset_settings()
        return self._display.values(tab)

    def _on_load(self, request: gr.Request, key: str, width: int, chat: str) -> Updates:
        tab = self.tabs.open(_owner(request), request.session_hash or "", key, chat)
        tab.notify()
        shown = {
            self._layout.key: tab.key,
            self._layout.asked: tab.asked,
            self._layout.chats: gr.update(open=width >= WIDE_ENOUGH_FOR_CHATS),
            self._layout.panel: gr.update(open=width >= WIDE_ENOUGH_FOR_BOTH),
        }
        return self._display.values(tab) | shown | self._wake()

    def _on_unload(self, request: gr.Request) -> None:
        self.tabs.close(_owner(request), request.session_hash or "")

    def _on_wake(self, request: gr.Request, seen: str) -> Iterator[Updates]:
        """Show the tab's chat until nothing goes on any more."""
        tab = self._tab(request, seen)
        for component in self._display.buttons(writing=False):
            tab.sent.pop(component, None)  # an answer to `_on_ask` may have overtaken us
        tab.notify()
        silent = True
        for _ in tab.show():
            shown = self._display.shown(tab)
            updates = {
                component: value
                for component, value in shown.items()
                if component not in tab.sent or tab.sent[component] != value
            }
            tab.sent = shown
            if (draft := tab.take_draft()) is not None:
                updates[self._layout.message] = draft
            if tab.take_turn():  # else it stays as it is being typed
                updates[self._layout.system] = tab.chat.conversation.system
            if updates:
                silent = False
                yield self._display.lasting(shown) | updates
        if silent:  # Gradio would empty the outputs of a generator that yields nothing
            yield {self._layout.message: gr.skip()}

    def _set(self, tab: Tab, panel: Sequence[Any]) -> None:
        system, *values = panel
        tab.change(system, dict(zip(self._layout.controls, values, strict=True)))

    def _take_over(self, tab: Tab, panel: Sequence[Any]) -> bool:
        """Take over what the screen shows; where it cannot be, that is told."""
        try:
            self._set(tab, panel)
        except SettingError as error:
            tab.error = error
            return False
        return True

    def _wake(self) -> Updates:
        return {self._layout.wake: next(self._wakes)}

    def _tab(self, request: gr.Request, seen: str) -> Tab:
        return self.tabs.of(_owner(request), request.session_hash or "", seen)


def _owner(request: gr.Request) -> str:
    """Whose chats these are, as the guard found out; "" is the machine's user."""
    inner = request.request
    return str(inner.scope[OWNER]) if inner is not None else ""
