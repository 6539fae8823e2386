"""The application behind the guard: Gradio's page, and the files to download."""

from __future__ import annotations

import os
from collections.abc import Callable

from fastapi import FastAPI

from chatapp.engines import Engine
from chatapp.options import Options
from chatapp.store import Store
from chatapp.texts import Texts
from chatapp.web import files
from chatapp.web.assets import asset, read_asset

GRADIO_PATHS = ("queue/", "run/predict", "heartbeat/", "cancel", "reset", "app_id", "info")
"""Below /gradio_api/, what a page of ours asks for; uploads, proxies and the like stay closed."""


def mounted(engine: Engine, options: Options, store: Store) -> tuple[FastAPI, Callable[[], None]]:
    """The application with the page, and what ends all its answers."""
    _quiet_gradio()
    import gradio as gr

    from chatapp.web.page import Page
    from chatapp.web.theme import theme

    page = Page(engine, options, store)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_route(files.PATH, files.Export(page.tabs, Texts(options.language)).answer)
    gr.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        server_name=options.server_name,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        show_error=False,
        favicon_path=str(asset("logo.svg")),
        max_file_size=0,
        theme=theme(),
        css=read_asset("page.css"),
    )
    return app, page.tabs.close_all


def is_closed(path: str) -> bool:
    """Whether a path is one of Gradio's that no page of ours asks for."""
    asked = path.removeprefix("/gradio_api/")
    return asked != path and not asked.startswith(GRADIO_PATHS)


def _quiet_gradio() -> None:
    """Before Gradio is imported: nothing goes out, and its variables do not overrule our flags."""
    for name in list(os.environ):
        if name.startswith("GRADIO_") and name != "GRADIO_TEMP_DIR":
            del os.environ[name]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
