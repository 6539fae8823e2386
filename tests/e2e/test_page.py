"""The page in a real browser: asking, stopping, tabs, several people, and what must not happen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, expect

from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import GenerationError
from chatapp.events import ReasoningDelta
from chatapp.messages import AnswerRecord, Conversation, Message
from chatapp.settings import GenerationSettings
from chatapp.store import open_store
from chatapp.web import chats
from chatapp.web.view import SHOWN_MESSAGES
from tests.e2e.browsing import Tab, endless, eventually
from tests.e2e.hostile import HOSTILE


def test_an_answer_streams_and_is_shown_with_its_figures(serve, new_tab) -> None:
    gate = Script(["Paris ", "is ", "the ", "capital."], seconds_per_token=0.3)
    tab = new_tab().open(serve(ScriptedEngine([gate])).url)
    assert tab.page.title() == "scripted"
    tab.ask("What is the capital of France?")
    expect(tab.users).to_have_text("What is the capital of France?")
    expect(tab.answers).to_have_text("Paris")  # a part: it streams
    expect(tab.stop).to_be_visible()
    expect(tab.answers).to_have_text("Paris is the capital.")
    tab.wait_until_idle()
    for figure in ("4 tokens", "tokens/s", "first after", "context", "/ 4,096"):
        expect(tab.stats).to_contain_text(figure)


def test_reasoning_stands_apart_above_its_answer(serve, new_tab) -> None:
    script = Script([ReasoningDelta("Let me think."), "Because."])
    tab = new_tab().open(serve(ScriptedEngine([script])).url)
    tab.ask("Why?")
    tab.wait_until_idle()
    expect(tab.page.get_by_text("Thoughts")).to_be_visible()
    expect(tab.page.get_by_text("Because.")).to_be_visible()


def test_whitespace_is_not_sent(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([Script(["Yes."])]))
    tab = new_tab().open(stage.url)
    tab.message.fill("   ")
    tab.message.press("Enter")
    tab.ask("a question")
    expect(tab.answers).to_have_text("Yes.")
    assert len(stage.engine.prompts) == 1


def test_a_quick_second_enter_does_not_ask_again(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([Script(["Yes."]), Script(["Again?"])]))
    tab = new_tab().open(stage.url)
    tab.message.fill("once")
    tab.page.evaluate("""() => { for (let count = 0; count < 5; count++)
        document.getElementById("send").click(); }""")
    expect(tab.answers).to_have_text("Yes.")
    tab.wait_until_idle()
    tab.ask("more")
    expect(tab.answers.last).to_have_text("Again?")
    assert len(stage.engine.prompts) == 2


def test_submitting_twice_asks_once(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([endless()]))
    tab = new_tab().open(stage.url)
    tab.message.fill("once")
    tab.page.evaluate("() => { const s = document.getElementById('send'); s.click(); s.click(); }")
    tab.message.press("Enter")
    expect(tab.answers).to_contain_text("word")
    tab.message.fill("typed meanwhile")
    with tab.page.expect_response("**/queue/join*"):
        tab.message.press("Enter")
    said = stage.engine.tokens
    eventually(lambda: stage.engine.tokens > said + 20, "the answer goes on")
    tab.click("stop")
    tab.wait_until_idle()
    assert len(stage.engine.prompts) == 1
    expect(tab.message).to_have_value("typed meanwhile")


@pytest.mark.parametrize("way", ["button", "key"])
def test_stop_ends_the_answer_within_a_token_and_keeps_it(serve, new_tab, way: str) -> None:
    stage = serve(ScriptedEngine([endless(), Script(["Next."])]))
    tab = new_tab().open(stage.url)
    tab.ask("go on")
    expect(tab.answers).to_contain_text("word word")
    tab.click("stop") if way == "button" else tab.message.press("Escape")
    tab.wait_until_idle()
    said = stage.engine.tokens
    expect(tab.stats).to_contain_text("stopped")
    expect(tab.answers).to_contain_text("word " * (said - 1) + "word")
    tab.ask("and now?")
    expect(tab.answers.last).to_have_text("Next.")
    assert stage.engine.tokens == said + 1


def test_regenerate_answers_again_and_undo_returns_the_question(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([Script(["first"]), Script(["second"])]))
    tab = new_tab().open(stage.url)
    expect(tab.page.locator("#regenerate")).to_be_disabled()
    tab.ask("the question")
    expect(tab.answers).to_have_text("first")
    tab.wait_until_idle()
    tab.click("regenerate")
    expect(tab.answers).to_have_text("second")
    expect(tab.users).to_have_count(1)
    tab.wait_until_idle()
    tab.click("undo")
    expect(tab.message).to_have_value("the question")
    expect(tab.users).to_have_count(0)
    expect(tab.page.locator("#undo")).to_be_disabled()


@pytest.mark.parametrize("action", ["regenerate", "undo", "new-chat"])
def test_actions_are_right_while_an_answer_is_written(serve, new_tab, action: str) -> None:
    stage = serve(ScriptedEngine([endless("old "), Script(["new "] * 5, 0.05)], places=2))
    tab = new_tab().open(stage.url)
    tab.ask("the question")
    expect(tab.answers).to_contain_text("old old")
    tab.click(action)
    if action == "regenerate":
        expect(tab.answers).to_have_text("new new new new new")
    else:
        expect(tab.users).to_have_count(0)
        expect(tab.message).to_have_value("the question" if action == "undo" else "")
    tab.wait_until_idle()
    said = stage.engine.tokens
    tab.ask("another")  # by its end, whatever the old stream had still to say would be here
    tab.wait_until_idle()
    expect(tab.users.last).to_have_text("another")
    expect(tab.page.locator("#chat")).not_to_contain_text("old")
    assert stage.engine.tokens > said


def test_a_changed_setting_reaches_the_engine_and_reset_takes_it_back(serve, new_tab) -> None:
    engine = RecordingEngine([Script(["one"]), Script(["two"])])
    tab = new_tab().open(serve(engine, "--temperature", "0.5").url)
    temperature = tab.number("temperature")
    expect(temperature).to_have_value("0.5")
    temperature.fill("0.25")
    tab.page.locator("#setting-max_new_tokens input").fill("77")
    tab.page.locator("#setting-stop textarea").fill("END")
    tab.page.locator("#system-prompt textarea").fill("Be brief.")
    tab.ask("one?")
    expect(tab.answers).to_have_text("one")
    tab.wait_until_idle()
    received = engine.received[-1]
    assert (received.temperature, received.max_new_tokens, received.stop) == (0.25, 77, ("END",))
    assert engine.prompts[-1][0].content == "Be brief."
    tab.click("reset")
    expect(temperature).to_have_value("1")
    tab.ask("two?")
    expect(tab.answers.last).to_have_text("two")
    assert engine.received[-1].max_new_tokens == engine.defaults.max_new_tokens
    assert engine.received[-1].stop == ()


def test_a_bad_setting_is_told_and_the_message_kept(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([Script(["fine"])]))
    tab = new_tab().open(stage.url)
    tab.page.locator("#setting-max_new_tokens input").fill("0")
    tab.message.fill("hello")
    tab.message.press("Enter")
    expect(tab.stats).to_contain_text("max_new_tokens takes a whole number")
    expect(tab.message).to_have_value("hello")
    tab.page.locator("#setting-max_new_tokens input").fill("9")
    tab.click("send")
    expect(tab.answers).to_have_text("fine")


def test_a_control_follows_what_another_one_implies(serve, new_tab) -> None:
    tab = new_tab().open(serve(ScriptedEngine()).url)
    switch = tab.page.locator("#setting-do_sample input")
    expect(switch).to_be_checked()
    tab.number("temperature").fill("0")
    expect(switch).not_to_be_checked()
    tab.number("temperature").fill("0.7")
    expect(switch).to_be_checked()


def test_those_who_wait_see_their_place_and_each_gets_an_answer(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([endless(), Script(["for b"]), Script(["for c"])]))
    a, b, c = (new_tab().open(stage.url) for _ in range(3))
    a.ask("a?")
    expect(a.answers).to_contain_text("word")
    b.ask("b?")
    expect(b.stats).to_contain_text("place 1 in line")
    c.ask("c?")
    expect(c.stats).to_contain_text("place 2 in line")
    a.click("stop")
    expect(b.answers).to_have_text("for b")
    expect(c.answers).to_have_text("for c")
    expect(a.answers).to_contain_text("word")


def test_tabs_of_one_browser_do_not_share_a_conversation(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([Script(["mine"]), Script(["yours"])]))
    one = new_tab().open(stage.url)
    two = new_tab(one.page.context).open(stage.url)
    one.number("temperature").fill("0.25")
    one.ask("one?")
    expect(one.answers).to_have_text("mine")
    two.ask("two?")
    expect(two.answers).to_have_text("yours")
    expect(one.users).to_have_text("one?")
    expect(two.number("temperature")).to_have_value("1")


def test_a_duplicated_tab_gets_a_conversation_of_its_own(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([Script(["said"])]))
    one = new_tab().open(stage.url)
    one.ask("one?")
    expect(one.answers).to_have_text("said")
    key = one.page.evaluate("() => sessionStorage.getItem('chatapp-tab')")
    two = new_tab(one.page.context)
    two.page.add_init_script(f"sessionStorage.setItem('chatapp-tab', '{key}')")
    two.page.goto(stage.url)
    two.page.wait_for_function("key => sessionStorage.getItem('chatapp-tab') !== key", arg=key)
    expect(two.users).to_have_count(0)
    expect(one.users).to_have_count(1)


def test_a_reload_shows_the_conversation_and_the_settings_again(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([Script(["said"]), endless()]))
    tab = new_tab().open(stage.url)
    tab.number("temperature").fill("0.25")
    tab.ask("one?")
    expect(tab.answers).to_have_text("said")
    tab.wait_until_idle()
    tab.ask("two?")
    expect(tab.answers.last).to_contain_text("word")
    tab.page.reload()  # in the middle of an answer: its part is kept
    tab.wait_until_shown()
    expect(tab.users).to_have_text(["one?", "two?"])
    expect(tab.answers.last).to_contain_text("word")
    expect(tab.number("temperature")).to_have_value("0.25")
    tab.click("stop")
    tab.wait_until_idle()
    tab.ask("three?")
    expect(tab.users).to_have_count(3)
    tab.wait_until_idle()
    assert len(stage.engine.prompts) == 3


def test_closing_the_tab_ends_its_generation_after_a_while(serve, new_tab, monkeypatch) -> None:
    monkeypatch.setattr(chats, "SECONDS_UNWATCHED", 0.5)
    stage = serve(ScriptedEngine([endless(), Script(["for another"])]))
    leaving, staying = new_tab().open(stage.url), new_tab().open(stage.url)
    leaving.ask("go on")
    expect(leaving.answers).to_contain_text("word")
    staying.ask("my turn?")
    expect(staying.stats).to_contain_text("place 1 in line")
    leaving.page.close()
    expect(staying.answers).to_have_text("for another")
    assert stage.engine.tokens < 1000


def test_a_failure_is_a_sentence_the_part_stays_and_the_next_question_works(serve, new_tab) -> None:
    scripts = [
        Script(["a part "], error=GenerationError("out-of-memory")),
        Script(["another "], error=RuntimeError("<img src=x onerror=window.__pwned=1>")),
        Script(["works"]),
    ]
    tab = new_tab().open(serve(ScriptedEngine(scripts)).url)
    tab.ask("one")
    expect(tab.stats).to_contain_text("ran out of memory")
    expect(tab.answers).to_have_text("a part")
    tab.ask("two")
    expect(tab.stats).to_contain_text("The model failed")
    tab.ask("three")
    expect(tab.answers.last).to_have_text("works")
    expect(tab.stats).not_to_contain_text("failed")


def test_a_message_that_is_too_long_goes_back_to_its_box(serve, new_tab) -> None:
    tab = new_tab().open(serve(ScriptedEngine([Script(["ok"])], context_length=40)).url)
    long = "word " * 60
    tab.message.fill(long)
    tab.message.press("Enter")
    expect(tab.stats).to_contain_text("too long")
    expect(tab.message).to_have_value(long)
    expect(tab.users).to_have_count(0)
    tab.ask("short")
    expect(tab.answers).to_have_text("ok")


def test_turns_that_no_longer_fit_are_told(serve, new_tab) -> None:
    engine = ScriptedEngine([Script(["word "] * 10)] * 3, context_length=40)
    tab = new_tab().open(serve(engine, "--max-new-tokens", "10").url)
    for number in range(3):
        tab.ask(f"question {number} with some more words in it")
        expect(tab.users).to_have_count(number + 1)
        tab.wait_until_idle()
    expect(tab.stats).to_contain_text("left out of the prompt")


def stored(directory: Path, said: Iterable[tuple[str, str]]) -> str:
    """Store a chat of these questions and answers; the end of its address."""
    talk = Conversation()
    record = AnswerRecord("scripted", "scripted", GenerationSettings())
    for question, answer in said:
        talk.ask(question).reply(Message("assistant", answer, record=record))
    store = open_store(directory)
    store.chats().take_in(talk)
    store.close()
    return f"?chat={talk.id}"


def test_only_the_last_messages_of_a_long_chat_are_shown(serve, new_tab, own_data_dir) -> None:
    said = [(f"question {number}", f"answer {number}") for number in range(22)]
    address = stored(own_data_dir, said)
    tab = new_tab().open(serve(ScriptedEngine([Script(["answer 22"])])).url + address)
    tab.ask("question 22")
    expect(tab.answers.last).to_have_text("answer 22")
    expect(tab.users).to_have_count(20)
    expect(tab.users.first).to_have_text("question 3")
    expect(tab.page.locator("#earlier")).to_contain_text("6 earlier messages")


def test_text_arrives_as_it_was_written(serve, new_tab) -> None:
    code = "```python\ndef f():\n    return 1\n\n        # eight\n```\n- a\n    - nested\n"
    tab = new_tab().open(serve(ScriptedEngine([Script(list(code)), Script(["ok"])])).url)
    tab.ask("code")
    tab.wait_until_idle()
    shown = tab.answers.locator("pre code").inner_text()
    assert shown == "def f():\n    return 1\n\n        # eight\n"
    expect(tab.answers.locator("li li")).to_have_text("nested")
    typed = "你好 😀 *a* <b>\n\n    \\(x^2\\)"
    tab.ask(typed)
    expect(tab.users.last).to_have_text(typed, use_inner_text=True)
    expect(tab.users.last).to_be_visible()
    expect(tab.page.locator("#chat [data-testid=user] .message-content").last).to_be_hidden()


def test_tags_in_an_answer_are_seen_and_copied_as_they_were_written(serve, new_tab) -> None:
    said = "Put <b>\n<script src=a></script> in `<head>`:\n\n```html\n<p>\n```\n\n\\(a<b\\)"
    tab = new_tab().open(serve(ScriptedEngine([Script([said])])).url)
    tab.ask("why?")
    tab.wait_until_idle()
    answer = tab.answers.last
    for part in ("Put <b>", "<script src=a></script> in <head>:", "<p>"):
        expect(answer).to_contain_text(part)
    expect(answer.locator(".katex").first).to_contain_text("a<b")
    expect(answer).not_to_contain_text("&lt;")
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.page.locator("#chat .message-buttons").last.locator("button:not(.tool)").first.click()
    eventually(
        lambda: tab.page.evaluate("() => navigator.clipboard.readText()") == said,
        "the clipboard has what was said",
    )


def test_nothing_leaves_the_machine_and_nothing_printed_runs(serve, new_tab, own_data_dir) -> None:
    at_once = SHOWN_MESSAGES // 2 - 2
    chats = [HOSTILE[first : first + at_once] for first in range(0, len(HOSTILE), at_once)]
    addresses = [stored(own_data_dir, [(text, text) for text in chat]) for chat in chats]
    streamed = ["\n\n".join(chat) for chat in chats]
    scripts = [
        Script([text[at : at + 40] for at in range(0, len(text), 40)], 0.005) for text in streamed
    ]
    tab = new_tab()
    page = tab.page
    asked: list[Request] = []
    alarms: list[str] = []
    page.on("request", lambda request: asked.append(request))  # it takes no built-in
    page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
    page.on("framenavigated", lambda frame: alarms.append(frame.url) if frame.parent_frame else 0)
    url = serve(ScriptedEngine([*scripts, Script(["the end"])], context_length=None)).url
    for chat, address, text in zip(chats, addresses, streamed, strict=True):
        tab.open(url + address)
        expect(tab.users).to_have_text(chat)  # a person's bubbles and a model's
        tab.ask(text)
        expect(tab.users).to_have_count(len(chat) + 1)
        tab.wait_until_idle()
        assert page.evaluate("() => window.__pwned") is None
        assert page.evaluate(DANGEROUS) == []
        expect(page.locator("#chat .prose :is(form, dialog, textarea)").last).to_be_hidden()
    tab.ask("still there?")
    expect(tab.answers.last).to_have_text("the end")
    assert page.url.partition("?")[0].rstrip("/") == url
    assert alarms == []
    # The policy stops a request before it is sent; Playwright reports it nonetheless.
    own = (url, "data:", "blob:")
    sent = [request for request in asked if request.failure != "csp"]
    assert [request.url for request in sent if not request.url.startswith(own)] == []


# No browser runs what an image's source says.
DANGEROUS = """() => [...document.querySelectorAll("#chat *")].flatMap((element) => [
    ...(/^(script|iframe|object|embed|base|meta|link|frame)$/i.test(element.tagName)
        ? [element.outerHTML] : []),
    ...[...element.attributes].filter(({name, value}) => /^on/i.test(name)
        || /^(href|src|action|formaction|xlink:href)$/i.test(name)
            && /^[\\s\\x00-\\x1f]*(javascript|vbscript|data:text)/i.test(value)
            && !(element.tagName === "IMG" && name === "src")
    ).map(({name, value}) => `${element.tagName} ${name}=${value}`),
])"""


def test_a_page_for_others_asks_for_the_password(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([Script(["in"])]), "--auth", "me:secret")
    tab = new_tab()
    tab.page.goto(stage.url)
    tab.page.fill("input[name=name]", "me")
    tab.page.fill("input[name=password]", "wrong")
    tab.page.click("button")
    expect(tab.page.locator("[role=alert]")).to_have_text("Name or password is wrong.")
    tab.page.fill("input[name=name]", "me")
    tab.page.fill("input[name=password]", "secret")
    tab.page.click("button")
    tab.wait_until_shown()
    tab.ask("am I in?")
    expect(tab.answers).to_have_text("in")


def test_on_a_narrow_screen_the_side_panel_is_closed_at_first(serve, browser: Browser) -> None:
    stage = serve(ScriptedEngine([Script(["ok"])]))
    with browser.new_context(viewport={"width": 390, "height": 800}) as context:
        tab = Tab(context.new_page()).open(stage.url)
        expect(tab.page.locator("#setting-temperature")).not_to_be_in_viewport()
        expect(tab.send).to_be_in_viewport()
        tab.ask("fits?")
        expect(tab.answers).to_have_text("ok")
        tab.page.locator("#chats .toggle-button").click()
        expect(tab.page.locator("#new-chat")).to_be_in_viewport()
        tab.page.locator("#shelf a").click()  # the list makes way for the chat
        expect(tab.page.locator("#new-chat")).not_to_be_in_viewport()
        expect(tab.send).to_be_in_viewport()
        assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= 390


class RecordingEngine(ScriptedEngine):
    """Notes the settings it is sent."""

    def __init__(self, scripts: list[Script]) -> None:
        super().__init__(scripts)
        self.received = []

    def stream(self, messages, settings, cancel):
        self.received.append(settings)
        return super().stream(messages, settings, cancel)
