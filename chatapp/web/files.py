"""Downloads: a chat as a file, by a plain GET that the guard has let in."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from chatapp.errors import StoreError
from chatapp.exchange import export_json, export_markdown, file_stem
from chatapp.texts import Texts
from chatapp.web.guard import OWNER
from chatapp.web.tabs import Tabs

PATH = "/export/{id}.{format}"
TYPES = {"md": "text/markdown; charset=utf-8", "json": "application/json"}


class Export:
    """Answers with a chat of the one who asks, as Markdown or as lossless JSON."""

    def __init__(self, tabs: Tabs, texts: Texts) -> None:
        self._tabs = tabs
        self._texts = texts

    def answer(self, request: Request) -> Response:
        id, format = request.path_params["id"], request.path_params["format"]
        if format not in TYPES:
            return PlainTextResponse("", 404)
        try:
            chat = self._tabs.library(request.scope[OWNER]).open(id)
        except StoreError as error:
            return PlainTextResponse(self._texts(error.sentence), 404)
        talk = chat.conversation
        text = export_json([talk]) if format == "json" else export_markdown(talk, self._texts)
        name = quote(f"{file_stem(talk.name)}.{format}", safe="")
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Cache-Control": "no-store",
        }
        return Response(text, media_type=TYPES[format], headers=headers)
