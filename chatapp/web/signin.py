"""Signing in: one name and password, a small page to give them, a cookie that remembers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from chatapp.texts import Texts
from chatapp.web.assets import read_asset

PATH = "/login"
WRONG_PAUSE = 1.0
"""Seconds that a wrong password costs; attempts are looked at one after another."""
WAITING_ATTEMPTS = 8
"""More attempts at once are turned away unseen, right or wrong."""


class SignIn:
    """Who may come in. Passwords are compared in constant time, guesses slowed down."""

    def __init__(self, name: str, password: str, port: int, texts: Texts) -> None:
        self._credentials = _digest(name, password)
        self._token = secrets.token_urlsafe(32)
        self._cookie = f"chatapp-{port}"  # cookies do not tell ports apart
        self._texts = texts
        self._turn = asyncio.Lock()
        self._waiting = 0

    def knows(self, cookies: str) -> bool:
        """Whether a Cookie header is one of somebody who signed in."""
        found = cookie_parser(cookies).get(self._cookie, "")
        return _same(found.encode(errors="replace"), self._token.encode())

    def ask(self, *, as_page: bool, error: str = "", status: int = 401) -> Response:
        """The answer to somebody who has not signed in."""
        if not as_page:
            return PlainTextResponse(self._texts("page-sign-in-first"), status)
        values = {key: html.escape(self._texts(f"page-{key}")) for key in _WORDS}
        page = _PAGE.format(logo=read_asset("logo.svg"), error=html.escape(error), **values)
        return HTMLResponse(page, status, headers=_HEADERS)

    async def enter(self, form: bytes, *, secure: bool) -> Response:
        """Look at what was given: a cookie and the way to the page, or the question again."""
        if self._waiting >= WAITING_ATTEMPTS:
            return self.ask(as_page=True, error=self._texts("page-sign-in-busy"), status=429)
        self._waiting += 1
        try:
            async with self._turn:
                if not self._is_right(form):
                    await asyncio.sleep(WRONG_PAUSE)
                    return self.ask(as_page=True, error=self._texts("page-sign-in-wrong"))
        finally:
            self._waiting -= 1
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="lax", secure=secure)
        return response

    def _is_right(self, form: bytes) -> bool:
        given: Mapping[str, list[str]] = parse_qs(form.decode(errors="replace"), max_num_fields=8)
        name, password = (given.get(field, [""])[0] for field in ("name", "password"))
        return _same(_digest(name, password), self._credentials)


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
