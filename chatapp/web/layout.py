"""Layout: the page's components and where they stand. It knows nothing of what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import gradio as gr

from chatapp.engines import Engine
from chatapp.settings import GenerationSettings
from chatapp.texts import Sentence, Texts
from chatapp.web import marks, view
from chatapp.web.assets import read_asset
from chatapp.web.tags import FORMULAS

DELIMITERS: list[dict[str, str | bool]] = [
    {"left": left, "right": right, "display": left != r"\("} for left, right in FORMULAS
]
SECONDS_BETWEEN_LOOKS = 0.6
"""How often a page asks whether another tab or program has changed what it shows."""


class Layout:
    """All components by name; to be made inside `gr.Blocks`."""

    def __init__(
        self,
        engine: Engine,
        notices: Sequence[Sentence],
        system: str,
        settings: GenerationSettings,
        texts: Texts,
    ) -> None:
        self._texts = texts
        self._notices = notices
        with gr.Sidebar(position="left", open=False, width=270, elem_id="chats") as self.chats:
            self._make_shelf()
        with gr.Sidebar(position="right", open=False, width=340, elem_id="panel") as self.panel:
            self._make_panel(engine, system, settings)
        with gr.Column(elem_id="page"):
            self._make_header(engine)
            self._make_conversation()
            with gr.Row(elem_id="composer"):
                self._make_composer()
            with gr.Row(elem_id="actions"):
                self._make_actions()
        self._make_unseen()

    def _make_shelf(self) -> None:
        self.new_chat = self._button("new-chat", size="md")
        self.search = gr.Textbox(
            placeholder=self._texts("page-search"),
            show_label=False,
            container=False,
            elem_id="search",
        )
        self.shelf = gr.HTML(elem_id="shelf", js_on_load=None, apply_default_css=False)
        self.upload = self._button("upload")

    def _make_panel(self, engine: Engine, system: str, settings: GenerationSettings) -> None:
        gr.HTML(f"<h2>{self._texts('page-settings')}</h2>", js_on_load=None)
        self.system = gr.Textbox(
            system,
            label=self._texts("page-system"),
            lines=2,
            max_lines=8,
            elem_id="system-prompt",
        )
        self.controls = {
            control.name: _control(control, view.value(settings, control.name))
            for control in view.controls(engine.supports, self._texts)
        }
        self.reset = gr.Button(self._texts("page-reset"), size="sm", elem_id="reset")

    def _make_unseen(self) -> None:
        """What carries values and events; events come only from what stands in the page."""
        self.asked = gr.Textbox(visible=False)
        self.key = gr.Textbox(visible=False)
        self.width = gr.Number(0, precision=0, visible=False)
        self.address = gr.Textbox(visible=False)
        self.wake = gr.Number(0, precision=0, visible="hidden")
        self.clock = gr.Timer(SECONDS_BETWEEN_LOOKS)
        self.tools = gr.HTML(
            html_template="",
            js_on_load=read_asset("page.js"),
            elem_id="tools",
            visible="hidden",
            labels=marks.labels(self._texts),
        )

    def _make_header(self, engine: Engine) -> None:
        notices = [self._texts(notice) for notice in (*engine.notices, *self._notices)]
        gr.HTML(
            view.header(engine.model, notices, read_asset("logo.svg")),
            elem_id="header",
            js_on_load=None,
        )

    def _make_conversation(self) -> None:
        self.earlier = gr.HTML(elem_id="earlier", js_on_load=None)
        self.chat = gr.Chatbot(
            elem_id="chat",
            show_label=False,
            height=None,
            scale=1,
            layout="bubble",
            buttons=["copy"],
            latex_delimiters=DELIMITERS,
            placeholder=self._texts("page-empty"),
            allow_file_downloads=False,
        )
        self.status = gr.HTML(elem_id="stats", js_on_load=None)
        self.meter = gr.HTML(elem_id="meter", js_on_load=None)

    def _make_composer(self) -> None:
        self.message = gr.Textbox(
            placeholder=self._texts("page-message"),
            show_label=False,
            container=False,
            lines=1,
            max_lines=8,
            autofocus=True,
            elem_id="message",
        )
        self.send = self._button("send", "primary", size="md")
        self.stop = self._button("stop", size="md", visible=False)

    def _make_actions(self) -> None:
        self.regenerate = self._button("regenerate", interactive=False)
        self.go_on = self._button("continue", visible=False)
        self.undo = self._button("undo", interactive=False)
        self.compact = self._button("compact", visible=False)
        self.downloads = gr.HTML(elem_id="downloads", js_on_load=None)
        self.private = gr.Checkbox(
            label=self._texts("page-private"),
            show_label=False,
            container=False,
            elem_id="private",
            min_width=0,
        )

    def _button(
        self,
        name: str,
        variant: Literal["primary", "secondary"] = "secondary",
        *,
        size: Literal["sm", "md"] = "sm",
        visible: bool = True,
        interactive: bool = True,
    ) -> gr.Button:
        return gr.Button(
            self._texts(f"page-{name}"),
            variant=variant,
            size=size,
            visible=visible,
            interactive=interactive,
            elem_id=name,
        )


def _control(control: view.Control, value: Any) -> Any:
    shared: dict[str, Any] = {
        "label": control.name,
        "info": control.description,
        "elem_id": f"setting-{control.name}",
    }
    match control.kind:
        case "checkbox":
            return gr.Checkbox(value, **shared)
        case "slider":
            low, high = control.minimum or 0, control.maximum or 0
            return gr.Slider(low, high, value, step=control.step, **shared)
        case "number":  # without limits: ours are told in the person's language
            return gr.Number(value, precision=0 if control.step == 1 else None, **shared)
        case "text":
            return gr.Textbox(value, **shared)
