"""What the page's handlers send, without a browser."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.messages import Conversation
from chatapp.options import parse
from chatapp.store import Store, open_store
from chatapp.web.guard import OWNER


async def built(engine: ScriptedEngine, store: Store) -> Any:
    """A page; Gradio wants an event loop, or leaves one of its own open."""
    from chatapp.web.page import Page

    return Page(engine, parse(["--lang", "en"], "web"), store)


@pytest.fixture
def request_of_a_page() -> Any:
    return SimpleNamespace(session_hash="page", request=SimpleNamespace(scope={OWNER: ""}))


def test_each_update_of_a_stream_has_all_that_is_shown_and_hidden(request_of_a_page: Any) -> None:
    """Gradio's client may lose what a following update does not have; see `Display.lasting`."""
    store = open_store()
    words = Script(["word "] * 20, seconds_per_token=0.02)
    page = asyncio.run(built(ScriptedEngine([words]), store))
    tab = page.tabs.of("", "page")
    tab.ask("go on", "")
    updates = [dict(update) for update in page._on_wake(request_of_a_page, "")]
    page.tabs.close_all()
    store.close()
    assert len(updates) > 2
    layout = page._layout
    buttons = {layout.send, layout.stop, layout.regenerate, layout.go_on, layout.undo}
    assert all(buttons <= set(update) for update in updates)
    assert any(update[layout.stop]["visible"] for update in updates)
    assert updates[-1][layout.send]["visible"]


def test_the_list_is_asked_for_again_only_where_it_may_have_changed() -> None:
    store = open_store()
    page = asyncio.run(built(ScriptedEngine([Script(["yes"])]), store))
    tab, display = page.tabs.of("", "page"), page._display
    kept = store.chats().add(Conversation())
    kept.conversation.ask("one?")
    kept.keep()
    asked = 0
    latest = tab.library.latest

    def counted(limit: int) -> Any:
        nonlocal asked
        asked += 1
        return latest(limit)

    tab.library.latest = counted
    for _ in range(3):
        assert "one?" in display.shelf(tab)
    assert asked == 1
    kept.conversation.title = "another title"
    kept.keep()
    assert "another title" in display.shelf(tab)
    tab.words = "nowhere"
    assert "another title" not in display.shelf(tab)
    page.tabs.close_all()
    store.close()
