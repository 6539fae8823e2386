"""Signing in: names and passwords, a small page to give them, a cookie that remembers.

Who signs in with a name is that person, whatever the browser. Where the program made the password
itself, everybody has the same one, and every browser is a person of its own: it holds a long
random id, which outlives the program; only its digest is known here.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from chatapp.texts import Texts
from chatapp.web.assets import read_asset

PATH = "/login"
WRONG_PAUSE = 1.0
"""Seconds that a wrong password costs; attempts are looked at one after another."""
GUEST = re.compile("[A-Za-z0-9_-]{43}")
"""What `secrets.token_urlsafe(32)` makes."""
SECONDS_OF_A_GUEST = 365 * 86_400
WAITING_ATTEMPTS = 8
"""More attempts at once are turned away unseen, right or wrong."""


class SignIn:
    """Who may come in, and as whom. Passwords are compared in constant time, guesses slowed down.

    `people` are names with their passwords; with `guests` each browser is a person of its own.
    """

    def __init__(
        self, people: Mapping[str, str], port: int, texts: Texts, *, guests: bool = False
    ) -> None:
        self._credentials = {name: _digest(name, people[name]) for name in people}
        self._tokens = {name: secrets.token_urlsafe(32) for name in people}
        self._guests = guests
        self._cookie = f"chatapp-{port}"  # cookies do not tell ports apart
        self._guest_cookie = f"chatapp-guest-{port}"
        self._texts = texts
        self._turn = asyncio.Lock()
        self._waiting = 0

    def owner(self, cookies: str) -> str | None:
        """Whose requests a Cookie header makes; None: of somebody who has not signed in."""
        found = cookie_parser(cookies)
        given = found.get(self._cookie, "").encode(errors="replace")
        names = [name for name, token in self._tokens.items() if _same(given, token.encode())]
        if not names:
            return None
        if not self._guests:
            return names[0]
        guest = found.get(self._guest_cookie, "")
        if not GUEST.fullmatch(guest):
            return None
        return f"guest:{hashlib.sha256(guest.encode()).hexdigest()}"

    def ask(self, *, as_page: bool, error: str = "", status: int = 401) -> Response:
        """The answer to somebody who has not signed in."""
        if not as_page:
            return PlainTextResponse(self._texts("page-sign-in-first"), status)
        values = {key: html.escape(self._texts(f"page-{key}")) for key in _WORDS}
        page = _PAGE.format(logo=read_asset("logo.svg"), error=html.escape(error), **values)
        return HTMLResponse(page, status, headers=_HEADERS)

    async def enter(self, form: bytes, cookies: str, *, secure: bool) -> Response:
        """Look at what was given: a cookie and the way to the page, or the question again."""
        if self._waiting >= WAITING_ATTEMPTS:
            return self.ask(as_page=True, error=self._texts("page-sign-in-busy"), status=429)
        self._waiting += 1
        try:
            async with self._turn:
                name = self._named(form)
                if name is None:
                    await asyncio.sleep(WRONG_PAUSE)
                    return self.ask(as_page=True, error=self._texts("page-sign-in-wrong"))
        finally:
            self._waiting -= 1
        response = RedirectResponse("/", status_code=303)
        shared: dict[str, Any] = {"httponly": True, "samesite": "lax", "secure": secure}
        response.set_cookie(self._cookie, self._tokens[name], **shared)
        if self._guests:
            guest = cookie_parser(cookies).get(self._guest_cookie, "")
            if not GUEST.fullmatch(guest):
                guest = secrets.token_urlsafe(32)
            response.set_cookie(self._guest_cookie, guest, max_age=SECONDS_OF_A_GUEST, **shared)
        return response

    def _named(self, form: bytes) -> str | None:
        """Whose name and password these are; all are looked at, however early one fits."""
        given: Mapping[str, list[str]] = parse_qs(form.decode(errors="replace"), max_num_fields=8)
        name, password = (given.get(field, [""])[0] for field in ("name", "password"))
        digest = _digest(name, password)
        names = [known for known, own in self._credentials.items() if _same(digest, own)]
        return names[0] if names else None


def _digest(name: str, password: str) -> bytes:
    """Of one length whatever is given, so that a comparison tells nothing."""
    joined = f"{len(name)}:{name}:{password}"
    return hashlib.sha256(joined.encode(errors="surrogatepass")).digest()


def _same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


# Without a referrer a browser calls the form's origin "null", which the guard refuses.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
_WORDS = ("sign-in", "name", "password")
_PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>{sign-in}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ display: grid; place-items: center; min-height: 90vh; margin: 0 }}
form {{ display: grid; gap: .75rem; width: min(20rem, 90vw) }}
input, button {{ font: inherit; padding: .5rem .75rem; border-radius: .5rem; width: 100%;
  box-sizing: border-box; border: 1px solid #8886 }}
button {{ background: #4f46e5; color: #fff; border: 0; cursor: pointer }}
p {{ color: #dc2626; margin: 0; min-height: 1.5em }}
</style></head><body>
<form method="post" action="/login">
{logo}
<label>{name}<input name="name" autocomplete="username" autofocus required></label>
<label>{password}<input name="password" type="password" autocomplete="current-password" required>
</label>
<button>{sign-in}</button><p role="alert">{error}</p>
</form></body></html>
"""
