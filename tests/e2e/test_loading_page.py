"""The page while the model loads, in a real browser: it is there at once, then it is the chat."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from chatapp import loading
from chatapp.engines import Engine, ModelOptions
from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import ChatError, LoadError
from chatapp.events import Progress
from chatapp.loading import Loading
from chatapp.options import parse
from chatapp.web.server import Site, listen

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SOON = 30.0
MIB = 2**20
STEP = Progress("downloading", 3 * MIB, 12 * MIB, files=(1, 5), rate=2.0 * MIB)


class Held:
    """A loading that stands still until it is told how it ends."""

    def __init__(self) -> None:
        self.ends: Future[Engine] = Future()

    def open(self, options: ModelOptions, on_progress: Callable[[Progress], None]) -> Engine:
        on_progress(STEP)
        return self.ends.result(SOON)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr(loading, "open_engine", held.open)
    return held


@contextmanager
def serving() -> Iterator[tuple[Site, list[ChatError]]]:
    """A site whose model is loading, and the error it ends with."""
    options = parse(["--lang", "en"], "web")
    ended: list[ChatError] = []

    def run(site: Site) -> None:
        try:
            site.run()
        except ChatError as error:
            ended.append(error)

    with listen(options.server_name, 0) as listener:
        site = Site(Loading(options.model), options, listener)
        thread = threading.Thread(target=run, args=[site])
        thread.start()
        try:
            yield site, ended
        finally:
            site.leave()
            thread.join(SOON)
            assert not thread.is_alive()


@pytest.fixture
def tab() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_page()
        browser.close()


def test_the_page_is_there_at_once_and_becomes_the_chat(held: Held, tab: Page) -> None:
    with serving() as (site, ended):
        tab.goto(site.url)
        shown = "downloading 3/12 MiB · 1/5 files · 2.0 MiB/s · 0:04 left"
        expect(tab.locator("#line")).to_have_text(shown)
        engine = ScriptedEngine([Script(["Here I am."])])
        held.ends.set_result(engine)
        expect(tab.get_by_placeholder("Message")).to_be_visible(timeout=SOON * 1000)
        tab.get_by_placeholder("Message").fill("Hello?")
        tab.keyboard.press("Enter")
        expect(tab.get_by_text("Here I am.")).to_be_visible()
    assert ended == []
    engine.close()


def test_why_there_is_no_chat_is_shown_before_the_program_ends(held: Held, tab: Page) -> None:
    with serving() as (site, ended):
        tab.goto(site.url)
        expect(tab.locator("#line")).to_contain_text("downloading")
        held.ends.set_exception(LoadError("disk-full", name="some/tiny"))
        expect(tab.get_by_role("alert")).to_contain_text("The disk is full: some/tiny needs")
    assert [error.sentence.key for error in ended] == ["disk-full"]


def test_programs_are_asked_to_come_back_and_leaving_does_not_wait(held: Held) -> None:
    with serving() as (site, ended):
        with httpx.Client(base_url=site.url, trust_env=False) as client:
            assert client.get("/loading").json()["ready"] is False
            answer = client.get("/config")
            assert answer.status_code == 503 and "Retry-After" in answer.headers
            assert client.get("/", headers={"Host": "evil.test"}).status_code == 421
        site.leave()
    assert ended == []
    held.ends.set_exception(LoadError("disk-full", name="some/tiny"))
