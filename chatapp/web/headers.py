"""The security headers of every answer, and the content policy of an HTML page.

The policy names each inline script by its hash, so that no other script runs, whatever a model
may print. `unsafe-eval` stays: Gradio compiles its own templates and our `js=` handlers with it,
and only a script that runs already could use it.
"""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "object-src 'none'; frame-src 'none'; worker-src 'self' blob:; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'; script-src 'self' 'unsafe-eval'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def policy(page: bytes) -> str:
    """The content policy of an HTML page: its own inline scripts may run, and no others."""
    hashes = {
        base64.b64encode(hashlib.sha256(script.replace(b"\r\n", b"\n")).digest()).decode()
        for script in INLINE_SCRIPT.findall(page)
    }
    return " ".join([POLICY, *(f"'sha256-{digest}'" for digest in sorted(hashes))])


class SecuredAnswer:
    """Sends an answer on with the headers; an HTML page in one piece, when its policy is known."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: Message | None = None
        self._page = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if headers.get("content-type", "").startswith("text/html"):
                self._held = message
                return
            headers["Content-Security-Policy"] = POLICY
        elif self._held is not None:
            self._page += message.get("body", b"")
            if message.get("more_body"):
                return
            MutableHeaders(scope=self._held)["Content-Security-Policy"] = policy(self._page)
            await self._send(self._held)
            self._held, message = None, {"type": "http.response.body", "body": self._page}
        await self._send(message)
