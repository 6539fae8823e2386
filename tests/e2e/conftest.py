"""A browser for the tests of the page, pages for it, and people at terminals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from chatapp.engines.scripted import ScriptedEngine
from chatapp.options import parse
from chatapp.web.server import Site, listen
from tests.e2e.browsing import CHROMIUM, SOON, SWITCHES, WITH_IMPORTS, Stage, Tab, running
from tests.e2e.pty_person import Person, Sit


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("there is no chromium here")
    assert CHROMIUM, "install chromium: CI must not skip the page"
    expect.set_options(timeout=SOON * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Stage]]:
    """Serves an engine's page until the test ends."""
    with ExitStack() as stack:

        def serve(engine: ScriptedEngine, *flags: str) -> Stage:
            options = parse(["--lang", "en", *flags], "web")
            listener = stack.enter_context(listen(options.server_name, 0))
            return Stage(stack.enter_context(running(Site(engine, options, listener))), engine)

        yield serve


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """A tab in a browser of its own, or in one that is given."""
    contexts: list[BrowserContext] = []

    def new_tab(context: BrowserContext | None = None) -> Tab:
        if context is None:
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.set_default_timeout(SOON * 1000)
            context.set_default_navigation_timeout(WITH_IMPORTS * 1000)
            contexts.append(context)
        return Tab(context.new_page())

    yield new_tab
    for context in contexts:
        context.close()


@pytest.fixture
def sit(here: Path) -> Iterator[Sit]:
    """Sits someone down in front of a program, and waits for its prompt."""
    people: list[Person] = []

    def down(
        *command: str, size: tuple[int, int] = (80, 24), ready: bool = True, reports: bool = False
    ) -> Person:
        people.append(Person(command, here, size, reports))
        if ready:
            people[-1].is_asked()
        return people[-1]

    yield down
    for person in people:
        person.child.close(force=True)
