"""What the page shows until the model is loaded; then it is the chat."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatapp.engines import Engine
from chatapp.errors import ChatError
from chatapp.loading import Loading
from chatapp.stats import progress_line
from chatapp.texts import Texts
from chatapp.web.assets import read_asset

PATH = "/loading"
MOMENT = 2.0
"""Seconds that a page which is open has to fetch why there will be no chat."""


class Waiting:
    """An ASGI application: tells how loading goes, then hands on to what `build` makes.

    Where there is no engine in the end, `failure` says why, and `leave` is called once an open
    page has had a moment to show it.
    """

    def __init__(
        self,
        engine: Engine | Loading,
        build: Callable[[Engine], ASGIApp],
        leave: Callable[[], None],
        texts: Texts,
    ) -> None:
        self.failure: ChatError | None = None
        self._loading = engine if isinstance(engine, Loading) else None
        self._engine: Future[Engine] = Future()
        if isinstance(engine, Loading):
            self._engine = engine.engine
        else:
            self._engine.set_result(engine)
        self._build = build
        self._leave = leave
        self._texts = texts
        self._app: ASGIApp | None = None
        self._watched = False
        self._told = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["path"] == PATH:
            await self._state()(scope, receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        else:
            await self._page(scope)(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at once, unless the engine is there already; live on as the chat."""
        startup = [await receive()]
        early = not self._engine.done()
        if early:
            await send({"type": "lifespan.startup.complete"})
        leaving = asyncio.ensure_future(receive())
        loading = asyncio.wrap_future(self._engine)
        either: set[asyncio.Future[Any]] = {leaving, loading}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        app = None if leaving.done() else await self._built(loading)
        if app is None:
            await self._end(leaving, send, early)
            return

        async def hear() -> Message:
            return startup.pop() if startup else await leaving

        async def tell(message: Message) -> None:
            started = message["type"] == "lifespan.startup.complete"
            if started:
                self._app = app
            if not (started and early):
                await send(message)

        await app(scope, hear, tell)

    async def _built(self, loading: asyncio.Future[Engine]) -> ASGIApp | None:
        try:
            return self._build(await loading)
        except ChatError as error:
            self.failure = error
            return None

    async def _end(self, leaving: asyncio.Future[Message], send: Send, early: bool) -> None:
        if not early:
            await send({"type": "lifespan.startup.complete"})
        if self.failure is not None:
            if self._watched:
                showing = asyncio.ensure_future(self._told.wait())
                either: set[asyncio.Future[Any]] = {leaving, showing}
                await asyncio.wait(either, timeout=MOMENT, return_when=asyncio.FIRST_COMPLETED)
                showing.cancel()
            self._leave()
        await leaving
        await send({"type": "lifespan.shutdown.complete"})

    def _state(self) -> Response:
        self._watched = True
        if self.failure is not None:
            self._told.set()
            return JSONResponse({"error": self._texts(self.failure.sentence)})
        return JSONResponse({"ready": self._app is not None, "line": self._line()})

    def _line(self) -> str:
        progress = self._loading.progress if self._loading else None
        return progress_line(progress, self._texts) if progress else ""

    def _page(self, scope: Scope) -> Response:
        """The waiting page to whoever opens the chat; programs are asked to come back."""
        if scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(self._texts("page-not-ready"), 503, {"Retry-After": "2"})
        self._watched = True
        said = html.escape(self._texts("page-loading"))
        page = _PAGE.format(logo=read_asset("logo.svg"), said=said, path=json.dumps(PATH))
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})


_PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>chatapp</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ display: grid; place-items: center; min-height: 90vh; margin: 0; text-align: center }}
main {{ width: min(40rem, 90vw) }}
#line {{ font-variant-numeric: tabular-nums; min-height: 1.5em }}
.error {{ color: #dc2626 }}
</style></head><body>
<main>{logo}<p id="line" role="status"></p><p id="said">{said}</p></main>
<script>
async function look() {{
  const line = document.getElementById("line");
  try {{
    const state = await (await fetch({path}, {{ cache: "no-store" }})).json();
    if (state.ready) {{ location.reload(); return; }}
    line.textContent = state.error ?? state.line;
    if (state.error) {{
      line.className = "error";
      line.setAttribute("role", "alert");
      document.getElementById("said").remove();
      return;
    }}
  }} catch (error) {{ /* the program may be gone; look again */ }}
  setTimeout(look, 300);
}}
look();
</script></body></html>
"""
