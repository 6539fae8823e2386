"""One conversation in a real terminal and a real browser."""

from __future__ import annotations

import sys

import pytest
from playwright.sync_api import expect

from chatapp.engines.scripted import Script, ScriptedEngine
from tests.e2e.browsing import Tab, endless, eventually
from tests.e2e.pty_person import SCRIPTED, Sit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

SIZE = (100, 70)


def chats(tab: Tab):
    return tab.page.locator("#shelf a")


def test_a_chat_of_the_terminal_goes_on_in_the_browser_and_then_in_the_terminal(
    sit: Sit, serve, new_tab
) -> None:
    person = sit(*SCRIPTED, size=SIZE)
    screen = person.says("What is a river?")
    stage = serve(ScriptedEngine([Script(["said ", "on ", "the ", "page"])]))
    tab = new_tab().open(stage.url)
    expect(chats(tab)).to_have_text(["What is a river?"])
    chats(tab).click()
    expect(tab.users).to_have_text(["What is a river?"])
    answer = tab.answers.inner_text()
    assert " ".join(answer.split()) in " ".join(screen.split())
    tab.ask("And a lake?")
    expect(tab.answers.last).to_have_text("said on the page")
    person.sees(r"^2 > And a lake\?\n(Elsewhere .*\n\n)?said on the page$")
    assert stage.engine.prompts[0][2].content.strip() == answer, (
        "the model read the terminal's part"
    )
    person.says("And the sea?")
    expect(tab.users).to_have_text(["What is a river?", "And a lake?", "And the sea?"])
    expect(tab.answers).to_have_count(3)
    expect(chats(tab)).to_have_count(1)
    assert person.leaves() == 0
    again = sit(*SCRIPTED, "--resume", size=SIZE)
    again.sees(r"^2 > And a lake\?\nsaid on the page$")
    again.sees(r"^3 > And the sea\?$")


def test_an_answer_stopped_on_the_page_is_continued_in_the_terminal(
    sit: Sit, serve, new_tab
) -> None:
    tab = new_tab().open(serve(ScriptedEngine([endless()])).url)
    tab.ask("Who are you?")
    expect(tab.answers).to_contain_text("word word")
    person = sit(*SCRIPTED, "--resume", size=SIZE)
    person.sees("being written elsewhere")
    tab.click("stop")
    tab.wait_until_idle()
    expect(tab.page.locator("#continue")).to_be_visible()
    part = tab.answers.inner_text()
    person.says(":continue")
    expect(tab.page.locator("#continue")).to_be_hidden()
    history = "".join(person.says(":history").rpartition(":history")[2].split())

    def has_grown() -> bool:
        whole = tab.answers.inner_text()
        return (
            whole.startswith(part) and len(whole) > len(part) and "".join(whole.split()) in history
        )

    eventually(has_grown, "the page shows what the terminal wrote on")
    expect(tab.answers).to_have_count(1)


def test_after_regenerating_on_the_page_all_branches_are_reachable_in_both_faces(
    sit: Sit, serve, new_tab
) -> None:
    words = ("one", "two", "three", "four")
    scripts = [Script([f"the answer {word}"]) for word in (*words, "follow")]
    tab = new_tab().open(serve(ScriptedEngine(scripts)).url)
    tab.ask("the question")
    expect(tab.answers).to_have_text("the answer one")
    for word in words[1:]:
        tab.wait_until_idle()
        tab.click("regenerate")
        expect(tab.answers).to_have_text(f"the answer {word}")
    for word in reversed(words[:-1]):
        tab.turn("earlier")
        expect(tab.answers).to_have_text(f"the answer {word}")
    tab.ask("and then?")
    expect(tab.answers).to_have_text(["the answer one", "the answer follow"])
    tab.wait_until_idle()

    person = sit(*SCRIPTED, "--resume", size=SIZE)
    person.sees(r"^1 > the question\nthe answer one$")
    person.sees(r"^2 > and then\?\nthe answer follow$")
    for number, word in ((2, "two"), (3, "three"), (4, "four")):
        person.says(":clear")
        assert f"the answer {word}" in person.says(f":versions {number}")
    person.says(":clear")
    assert "the answer follow" in person.says(":versions 1")

    for word in words[1:]:
        tab.turn("later")
        expect(tab.answers).to_have_text([f"the answer {word}"])
    for word in reversed(words[1:-1]):
        tab.turn("earlier")
        expect(tab.answers).to_have_text([f"the answer {word}"])
    tab.turn("earlier")
    expect(tab.answers).to_have_text(["the answer one", "the answer follow"])
