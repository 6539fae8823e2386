"""The page: its layout wired to the tabs' sessions; the server holds the truth, browsers show it.

A handler names its session by the page that sent the request. All conversation is shown by the
one handler that carries actions out (see `sessions`), so that nothing outdated can be shown last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from chatapp.chat import initial_settings
from chatapp.engines import Engine
from chatapp.errors import SettingError
from chatapp.options import Options
from chatapp.texts import Texts
from chatapp.web import view
from chatapp.web.layout import Layout
from chatapp.web.sessions import Action, Ask, NewChat, Regenerate, Session, Sessions, Undo

ANSWERS_AT_ONCE = 128
"""More than an engine's line holds, so that those who wait stand there and see their place."""
TAB_KEY = "chatapp-tab"
FIND_TAB = f"() => [sessionStorage.getItem('{TAB_KEY}') ?? '', innerWidth >= 1000]"
KEEP_TAB = f"(key) => {{ sessionStorage.setItem('{TAB_KEY}', key); }}"
ESCAPE_STOPS = """() => { addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.getElementById("stop")?.click();
}); }"""

Updates = dict[Any, Any]
"""Component -> its new value or `gr.update`; components left out stay as they are."""


class Page:
    """One page for all tabs: `blocks` to mount, `sessions` with what the tabs show."""

    def __init__(self, engine: Engine, options: Options) -> None:
        settings = initial_settings(engine, options.changes)
        self.sessions = Sessions(lambda: Session(engine, options.system, settings))
        self._context_length = engine.context_length
        self._texts = Texts(options.language)
        with gr.Blocks(
            title=engine.model, analytics_enabled=False, fill_height=True
        ) as self.blocks:
            self._layout = Layout(engine, options.system, settings, self._texts)
            self._panel = [self._layout.system, *self._layout.controls.values()]
            self._wire()
        self.blocks.queue(
            default_concurrency_limit=ANSWERS_AT_ONCE, max_size=2 * ANSWERS_AT_ONCE, api_open=False
        )
        # Gradio looks for work every millisecond, which keeps a core awake; 10 ms are not noticed.
        self.blocks._queue.sleep_when_free = 0.01
        self.blocks.state_session_capacity = 2 * ANSWERS_AT_ONCE  # each holds a copy of its chat
        self.blocks.max_threads = ANSWERS_AT_ONCE

    def _wire(self) -> None:
        layout, panel = self._layout, self._panel
        conversation = [
            layout.chat,
            layout.message,
            layout.status,
            layout.earlier,
            layout.send,
            layout.stop,
            layout.regenerate,
            layout.undo,
            layout.asked,
        ]
        ours: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        at_once = ours | {"queue": False}
        # Gradio would drop a second click until the first has ended; a session knows better.
        acting = ours | {"trigger_mode": "multiple"}

        asked = [layout.send.click, layout.message.submit]
        gr.on(asked, self._on_ask, [layout.asked, layout.message, *panel], conversation, **acting)
        layout.regenerate.click(self._on_regenerate, panel, conversation, **acting)
        layout.undo.click(self._on_undo, None, conversation, **acting)
        layout.new_chat.click(self._on_new_chat, None, conversation, **acting)
        layout.stop.click(self._on_stop, None, None, **at_once)

        changed = [component.input for component in panel]
        gr.on(changed, self._on_change, panel, panel, trigger_mode="always_last", **at_once)
        layout.reset.click(self._on_reset, None, panel, **at_once)

        everything = [*conversation, *panel, layout.key, layout.panel]
        self.blocks.load(
            self._on_load, [layout.key, layout.is_wide], everything, js=FIND_TAB, **at_once
        ).then(None, layout.key, None, js=KEEP_TAB, **ours)
        self.blocks.load(None, None, None, js=ESCAPE_STOPS, **ours)
        self.blocks.unload(self._on_unload)

    def _on_ask(self, request: gr.Request, seen: int, text: str, *panel: Any) -> Iterator[Updates]:
        yield from self._act(Ask(text, seen), panel, request)

    def _on_regenerate(self, request: gr.Request, *panel: Any) -> Iterator[Updates]:
        yield from self._act(Regenerate(), panel, request)

    def _on_undo(self, request: gr.Request) -> Iterator[Updates]:
        yield from self._act(Undo(), None, request)

    def _on_new_chat(self, request: gr.Request) -> Iterator[Updates]:
        yield from self._act(NewChat(), None, request)

    def _on_stop(self, request: gr.Request) -> None:
        self._session(request).stop()

    def _on_change(self, request: gr.Request, *panel: Any) -> Updates:
        """Keep what the panel shows; a value that is being typed may be none yet."""
        session = self._session(request)
        unchanged = {self._layout.system: gr.skip()}
        try:
            self._take_over(session, panel)
        except SettingError:
            return unchanged
        follow = {
            component: value
            for (component, value), sent in zip(self._values(session).items(), panel, strict=True)
            if value != sent
        }
        return follow or unchanged

    def _on_reset(self, request: gr.Request) -> Updates:
        session = self._session(request)
        session.reset_settings()
        return self._values(session)

    def _on_load(self, request: gr.Request, key: str, is_wide: bool) -> Updates:
        session = self.sessions.open(request.session_hash or "", key)
        return (
            self._conversation(session)
            | self._buttons(session)
            | self._values(session)
            | {self._layout.key: session.key, self._layout.panel: gr.update(open=is_wide)}
        )

    def _on_unload(self, request: gr.Request) -> None:
        self.sessions.close(request.session_hash or "")

    def _act(
        self, action: Action, panel: Sequence[Any] | None, request: gr.Request
    ) -> Iterator[Updates]:
        """Carry out an action and show how it goes; with the settings that the screen shows."""
        session = self._session(request)
        try:
            if panel is not None:
                self._take_over(session, panel)
        except SettingError as error:
            session.error = error
            yield self._conversation(session)
            return
        shown = session.act(action)
        buttons: Updates = {}
        updates: Updates = {}
        try:
            for draft in shown:
                updates = self._conversation(session)
                if draft is not None:
                    updates[self._layout.message] = draft
                if buttons != self._buttons(session):
                    buttons = self._buttons(session)
                    updates |= buttons
                yield updates
            if not updates:  # Gradio would empty the outputs of a generator that yields nothing
                yield {self._layout.message: gr.skip()}
        finally:
            shown.close()

    def _conversation(self, session: Session) -> Updates:
        path, answer = session.conversation.path, session.conversation.answer
        finished = answer.record.finished if answer and answer.record else None
        return {
            self._layout.chat: view.messages(path, self._texts, writing=session.writing),
            self._layout.earlier: view.earlier_line(path, self._texts),
            self._layout.status: view.status(
                finished,
                self._context_length,
                session.progress if session.writing else None,
                session.turns_left_out,
                session.error,
                self._texts,
            ),
        }

    def _buttons(self, session: Session) -> Updates:
        asked = session.conversation.question is not None
        return {
            self._layout.send: gr.update(visible=not session.writing),
            self._layout.stop: gr.update(visible=session.writing),
            self._layout.regenerate: gr.update(interactive=asked),
            self._layout.undo: gr.update(interactive=asked),
            self._layout.asked: session.asked,
        }

    def _values(self, session: Session) -> Updates:
        """What the side panel shows, in its order."""
        values: Updates = {self._layout.system: session.conversation.system}
        for name, component in self._layout.controls.items():
            values[component] = view.value(session.settings, name)
        return values

    def _take_over(self, session: Session, panel: Sequence[Any]) -> None:
        system, *values = panel
        session.change(system, dict(zip(self._layout.controls, values, strict=True)))

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.of(request.session_hash or "")
