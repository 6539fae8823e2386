"""Guard: the one middleware in front of everything the server answers.

It serves only requests for the page's own host, from the page's own origin, of bounded size, from
somebody who has signed in (where that is needed), says whose they are, and puts security headers
on every answer. It knows nothing of what is behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatapp.texts import Texts
from chatapp.web.headers import SecuredAnswer
from chatapp.web.hosts import Hosts
from chatapp.web.signin import PATH, SignIn

OWNER = "chatapp.owner"
"""Where an ASGI scope says whose request it is: "" for the machine's user, else who signed in."""
LARGEST_BODY = 8 * 2**20
LARGEST_FORM = 4096
NOT_OURS = frozenset(
    (
        b"forwarded",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-gradio-server",
    )
)
"""Headers that would tell Gradio to believe in another host than the one that was checked."""


class Guard:
    """An ASGI application around another; `sign_in` is None where everybody may come in.

    `is_closed` names the paths that the application has and nobody needs.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Hosts,
        sign_in: SignIn | None,
        texts: Texts,
        is_closed: Callable[[str], bool] = lambda path: False,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._sign_in = sign_in
        self._texts = texts
        self._is_closed = is_closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, SecuredAnswer(send).send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        owner: str | None = ""
        if refusal is None and self._sign_in is not None:
            owner = self._sign_in.owner(headers.get("cookie", ""))
            refusal = await self._at_the_door(self._sign_in, owner, scope, headers, receive)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if self._is_closed(scope["path"]):
            await PlainTextResponse("", 404)(scope, receive, send)
            return
        kept = [(name, value) for name, value in scope["headers"] if name not in NOT_OURS]
        passed = {**scope, "headers": kept, OWNER: owner}
        await self._app(passed, _Bounded(receive, LARGEST_BODY).receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        hosts = headers.getlist("host")
        server = scope.get("server")
        if len(hosts) != 1 or not self._hosts.allows(hosts[0], server[0] if server else None):
            return self._refused("page-host-refused", 421)
        origins = headers.getlist("origin")
        foreign = any(not self._hosts.allows_origin(origin, hosts[0]) for origin in origins)
        reads = scope["method"] in ("GET", "HEAD")
        if foreign or (not reads and headers.get("sec-fetch-site") in ("cross-site", "same-site")):
            return self._refused("page-origin-refused", 403)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return self._refused("page-too-large", 413)
        return None

    async def _at_the_door(
        self, sign_in: SignIn, owner: str | None, scope: Scope, headers: Headers, receive: Receive
    ) -> Response | None:
        """The answer to somebody who has to sign in first, or is about to."""
        if scope["path"] == PATH and scope["method"] == "POST":
            form = await _read(receive, LARGEST_FORM)
            if form is None:
                return self._refused("page-too-large", 413)
            public = self._hosts.is_public(headers["host"])
            secure = public or scope["scheme"] == "https"
            return await sign_in.enter(form, headers.get("cookie", ""), secure=secure)
        if owner is not None:
            return None
        return sign_in.ask(as_page="text/html" in headers.get("accept", ""))

    def _refused(self, key: str, status: int) -> Response:
        return PlainTextResponse(self._texts(key), status, headers={"Connection": "close"})


class _Bounded:
    """Hands on a request's body until it gets too long; then the client is as good as gone."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        return message if self._left >= 0 else {"type": "http.disconnect"}


async def _read(receive: Receive, limit: int) -> bytes | None:
    """A whole body, or None where it is longer than `limit`."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            return None
    return body
