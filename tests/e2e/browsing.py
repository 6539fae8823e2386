"""A page that is served, and a browser tab as its user sees it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.web.server import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOON = 20.0
"""Seconds after which something is not coming any more, also on a busy machine."""

WITH_IMPORTS = 60.0
"""Seconds for the first page: Gradio is imported for it."""


def eventually(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < until, f"it never came about: {what}"
        time.sleep(0.02)


def endless(word: str = "word ") -> Script:
    """An answer that goes on for half a minute unless it is stopped."""
    return Script([word] * 1000, seconds_per_token=0.03)


@contextmanager
def running(site: Site) -> Iterator[Site]:
    thread = threading.Thread(target=site.run)
    thread.start()
    try:
        yield site
    finally:
        site.leave()
        thread.join(SOON)
        assert not thread.is_alive()


@dataclass
class Stage:
    """A page that is served, and the engine behind it."""

    site: Site
    engine: ScriptedEngine

    @property
    def url(self) -> str:
        return self.site.url


class Tab:
    """A browser tab as its user sees it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.message = page.locator("#message textarea")
        self.users = page.locator("#chat [data-testid=user] > .typed")
        self.answers = page.locator("#chat [data-testid=bot]")
        self.stats = page.locator("#stats")
        self.send = page.locator("#send")
        self.stop = page.locator("#stop")

    def open(self, url: str) -> Tab:
        self.page.goto(url)
        self.wait_until_shown()
        return self

    def wait_until_shown(self) -> None:
        """Until the server has said what this tab shows: it wrote the tab's key."""
        expect(self.message).to_be_visible()
        self.page.wait_for_function("() => sessionStorage.getItem('chatapp-tab')")

    def ask(self, text: str) -> None:
        self.message.fill(text)
        self.message.press("Enter")
        expect(self.message).to_have_value("")

    def wait_until_idle(self) -> None:
        expect(self.send).to_be_visible()
        expect(self.stop).to_be_hidden()

    def turn(self, to: str) -> None:
        """Go to the "earlier" or "later" version of the first message that has one.

        Playwright clicks again where the page was drawn anew meanwhile, which would be twice.
        """
        arrow = self.page.locator(f"#chat .{to}-version:enabled").first
        arrow.dispatch_event("click")

    def click(self, name: str) -> None:
        self.page.click(f"#{name}")

    def number(self, setting: str) -> object:
        return self.page.locator(f"#setting-{setting} input[type=number]")
