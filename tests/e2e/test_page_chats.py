"""Conversations that last, in a real browser: reloads, branches, the list, and whose they are."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.options import parse
from chatapp.store import Store
from chatapp.web.server import Site, listen
from tests.e2e.browsing import Tab, endless, eventually, running


def answered(tab: Tab, text: str, answer: str) -> None:
    tab.ask(text)
    expect(tab.answers.last).to_have_text(answer)
    tab.wait_until_idle()


def rows(tab: Tab):
    return tab.page.locator("#shelf a")


def row(tab: Tab, title: str):
    return tab.page.locator("#shelf li", has_text=title)


def place(tab: Tab):
    return tab.page.locator("#chat .version").last


def test_a_reload_in_the_middle_of_an_answer_goes_on_with_it(serve, new_tab) -> None:
    words = [f"w{number} " for number in range(60)]
    stage = serve(ScriptedEngine([Script(words, seconds_per_token=0.05)]))
    tab = new_tab().open(stage.url)
    tab.ask("go on")
    expect(tab.answers).to_contain_text("w3")
    tab.page.reload()
    tab.wait_until_shown()
    expect(tab.answers).to_contain_text("w3")
    expect(tab.stop).to_be_visible()
    expect(tab.answers).to_have_text("".join(words).strip())
    tab.wait_until_idle()
    expect(tab.users).to_have_count(1)
    expect(tab.answers).to_have_count(1)
    assert len(stage.engine.prompts) == 1


def test_two_tabs_on_one_chat_show_the_same_running_answer(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([endless(), Script(["after"])]))
    one = new_tab().open(stage.url)
    one.ask("go on")
    expect(one.answers).to_contain_text("word word")
    two = new_tab(one.page.context)
    two.open(one.page.url)
    expect(two.answers).to_contain_text("word word")
    two.click("stop")
    one.wait_until_idle()
    expect(one.stats).to_contain_text("stopped")
    answered(two, "and?", "after")
    expect(one.answers.last).to_have_text("after")  # within a second, without a click
    assert len(stage.engine.prompts) == 2


def test_the_address_names_the_chat_and_back_returns_to_it(serve, new_tab) -> None:
    stage = serve(ScriptedEngine([Script(["one"]), Script(["two"])]))
    tab = new_tab().open(stage.url)
    answered(tab, "first", "one")
    tab.page.wait_for_url(re.compile(r"\?chat=[0-9a-f]{32}$"))
    first = tab.page.url
    tab.click("new-chat")
    expect(tab.users).to_have_count(0)
    answered(tab, "second", "two")
    tab.page.wait_for_url(lambda url: "chat=" in url and url != first)
    tab.page.go_back()
    expect(tab.users).to_have_text("first")
    assert tab.page.url == first
    tab.page.go_forward()
    expect(tab.users).to_have_text("second")
    tab.page.goto(stage.url + "?chat=" + "0" * 32)
    tab.wait_until_shown()
    expect(tab.stats).to_contain_text("no such conversation")
    expect(tab.users).to_have_count(0)


def test_a_chat_outlives_the_server(serve, new_tab) -> None:
    tab = new_tab().open(serve(ScriptedEngine([Script(["one"])])).url)
    answered(tab, "first", "one")
    tab.page.wait_for_url(re.compile("chat="))
    query = tab.page.url.partition("?")[2]
    later = new_tab().open(f"{serve(ScriptedEngine([Script(['two'])])).url}?{query}")
    expect(later.users).to_have_text("first")
    answered(later, "second", "two")


def test_an_open_page_comes_back_when_the_server_does(new_tab) -> None:
    options = parse(["--lang", "en"], "web")
    tab = new_tab()
    with listen(options.server_name, 0) as listener:
        port = listener.getsockname()[1]
        with running(Site(ScriptedEngine([Script(["one"]), endless()]), options, listener)) as site:
            answered(tab.open(site.url), "first", "one")
            tab.ask("second")
            expect(tab.answers.last).to_contain_text("word word")
            tab.message.fill("a draft")
    with (
        listen(options.server_name, port) as listener,
        running(Site(ScriptedEngine([Script(["three"])] * 2), options, listener)),
    ):
        tab.wait_until_idle()
        expect(tab.users).to_have_text(["first", "second"])
        expect(tab.answers.last).to_contain_text("word word")
        expect(tab.page.locator("#continue")).to_be_visible()
        expect(tab.message).to_have_value("a draft")
        tab.message.press("End")
        tab.message.press_sequentially("!")
        tab.message.press("Enter")
        expect(tab.users.last).to_have_text("a draft!")
        expect(tab.answers.last).to_have_text("three")
        tab.click("undo")
        expect(tab.users).to_have_count(2)
        tab.ask("third")
        expect(tab.answers.last).to_have_text("three")
        expect(tab.users).to_have_text(["first", "second", "third"])


def test_all_branches_are_reachable_after_regenerating_and_asking_on(serve, new_tab) -> None:
    scripts = [Script([word]) for word in ("one", "two", "three", "four", "follow")]
    tab = new_tab().open(serve(ScriptedEngine(scripts)).url)
    answered(tab, "the question", "one")
    for number, word in enumerate(("two", "three", "four"), 2):
        tab.click("regenerate")
        expect(tab.answers).to_have_text(word)
        expect(place(tab)).to_have_text(f"{number}/{number}")
        tab.wait_until_idle()
    for word in ("three", "two", "one"):
        tab.turn("earlier")
        expect(tab.answers).to_have_text(word)
    expect(place(tab)).to_have_text("1/4")
    answered(tab, "and then?", "follow")
    for word in ("two", "three", "four"):
        tab.turn("later")
        expect(tab.answers).to_have_text([word])
    for _ in range(3):
        place_before = place(tab).text_content()
        tab.turn("earlier")
        expect(place(tab)).not_to_have_text(place_before or "")
    expect(tab.answers).to_have_text(["one", "follow"])


def test_the_pencil_edits_questions_and_answers_and_keeps_the_earlier_branch(
    serve, new_tab
) -> None:
    stage = serve(ScriptedEngine([Script(["one"]), Script(["two"])]))
    tab = new_tab().open(stage.url)
    answered(tab, "first", "one")
    tab.page.locator("#chat .edit").first.click()
    tab.page.locator("dialog textarea").fill("changed")
    tab.page.locator("dialog .save").click()
    expect(tab.users).to_have_text("changed")
    expect(tab.answers).to_have_text("two")
    tab.wait_until_idle()
    tab.page.locator("#chat .edit").last.click()
    tab.page.locator("dialog textarea").fill("better")
    tab.page.locator("dialog .save").click()
    expect(tab.answers).to_have_text("better")
    expect(tab.page.locator("#chat .mark")).to_have_text("edited")
    tab.turn("earlier")
    expect(tab.users).to_have_text("first")
    expect(tab.answers).to_have_text("one")
    assert len(stage.engine.prompts) == 2


def test_redo_brings_back_the_turn_that_undo_took(serve, new_tab) -> None:
    tab = new_tab().open(serve(ScriptedEngine([Script(["one"])])).url)
    answered(tab, "first", "one")
    tab.click("undo")
    expect(tab.message).to_have_value("first")
    tab.page.locator("#stats").get_by_role("button", name="Redo").click()
    expect(tab.answers).to_have_text("one")
    expect(tab.message).to_have_value("")
    tab.message.fill("a draft")
    tab.click("undo")
    expect(tab.users).to_have_count(0)
    expect(tab.message).to_have_value("a draft")


def test_a_click_on_a_search_hit_opens_the_version_with_the_words(serve, new_tab) -> None:
    scripts = [Script(["the river Seine"]), Script(["something else"])]
    tab = new_tab().open(serve(ScriptedEngine(scripts)).url)
    answered(tab, "first", "the river Seine")
    tab.click("regenerate")
    expect(tab.answers).to_have_text("something else")
    tab.wait_until_idle()
    tab.page.locator("#search textarea").fill("Seine")
    expect(tab.page.locator("#shelf mark")).to_have_text("Seine")
    rows(tab).click()
    expect(tab.answers).to_have_text("the river Seine")


def test_thumbs_and_fork(serve, new_tab) -> None:
    tab = new_tab().open(serve(ScriptedEngine([Script(["one"]), Script(["two"])])).url)
    answered(tab, "first", "one")
    answered(tab, "second", "two")
    good, bad = (tab.page.locator(f"#chat .{name}").first for name in ("good", "bad"))
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")
    bad.click()
    tab.page.locator("dialog textarea").fill("too short")
    tab.page.locator("dialog .save").click()
    expect(bad).to_have_attribute("aria-pressed", "true")
    expect(good).to_have_attribute("aria-pressed", "false")
    tab.page.reload()
    tab.wait_until_shown()
    expect(bad).to_have_attribute("title", "too short")
    tab.page.locator("#chat .fork").first.click()
    expect(tab.users).to_have_text(["first"])
    expect(rows(tab)).to_have_count(2)


def test_search_rename_delete_and_undo(serve, new_tab) -> None:
    scripts = [Script(["the river Seine"]), Script(["西湖在杭州市"])]
    tab = new_tab().open(serve(ScriptedEngine(scripts)).url)
    answered(tab, "first", "the river Seine")
    tab.click("new-chat")
    expect(tab.users).to_have_count(0)
    answered(tab, "second", "西湖在杭州市")
    expect(rows(tab)).to_have_text(["second", "first"])
    expect(row(tab, "second").locator("[aria-current]")).to_be_visible()
    search = tab.page.locator("#search textarea")
    search.fill("杭州")
    expect(tab.page.locator("#shelf mark")).to_have_text("杭州")
    expect(rows(tab)).to_have_count(1)
    search.fill("")
    expect(rows(tab)).to_have_count(2)
    row(tab, "first").hover()
    row(tab, "first").get_by_title("Rename").click()
    tab.page.locator("dialog input").fill("Paris <b>")
    tab.page.locator("dialog .save").click()
    expect(rows(tab)).to_have_text(["second", "Paris <b>"])
    row(tab, "second").hover()
    row(tab, "second").get_by_title("Delete").click()
    expect(rows(tab)).to_have_text(["Paris <b>"])
    expect(tab.users).to_have_count(0)
    tab.page.locator("#shelf .deleted button").click()
    expect(rows(tab)).to_have_count(2)
    expect(tab.users).to_have_text("second")


def test_what_another_program_stores_appears(serve, new_tab, own_data_dir) -> None:
    tab = new_tab().open(serve(ScriptedEngine([Script(["one"])])).url)
    answered(tab, "first", "one")
    other = Store(own_data_dir)
    line = other.chats().latest()[0]
    kept = other.chats().open(line.id)
    kept.conversation.ask("from the terminal")
    kept.keep()
    expect(tab.users).to_have_text(["first", "from the terminal"])
    other.chats().rename(line.id, "renamed")
    expect(rows(tab)).to_have_text(["renamed"])
    other.close()


def test_a_stopped_answer_is_continued_in_place(serve, new_tab) -> None:
    words = [f"w{number} " for number in range(30)]
    stage = serve(ScriptedEngine([Script(words, seconds_per_token=0.05)]))
    tab = new_tab().open(stage.url)
    tab.ask("go on")
    expect(tab.answers).to_contain_text("w3")
    tab.click("stop")
    tab.wait_until_idle()
    tab.click("continue")
    expect(tab.answers).to_have_text("".join(words).strip())
    tab.wait_until_idle()
    expect(tab.page.locator("#continue")).to_be_hidden()


def test_a_private_chat_is_not_listed(serve, new_tab) -> None:
    tab = new_tab().open(serve(ScriptedEngine([Script(["one"]), Script(["two"])])).url)
    tab.page.locator("#private input").check()
    answered(tab, "secret", "one")
    expect(tab.page.locator("#earlier")).to_contain_text("private")
    expect(tab.page.locator("#private")).to_be_hidden()
    tab.click("new-chat")
    expect(tab.page.locator("#private input")).not_to_be_checked()
    answered(tab, "open", "two")
    expect(rows(tab)).to_have_text(["open"])


def test_the_meter_warns_and_compact_sums_up(serve, new_tab) -> None:
    scripts = [Script(["word "] * 10) for _ in range(4)]
    engine = ScriptedEngine([*scripts, Script(["In short: words."])], context_length=80)
    stage = serve(engine, "--max-new-tokens", "10")
    tab = new_tab().open(stage.url)
    for number in range(4):
        tab.ask(f"question {number} with some words")
        expect(tab.users).to_have_count(number + 1)
        tab.wait_until_idle()
    expect(tab.page.locator("#meter")).to_contain_text("Compact")
    used = tab.page.locator("#meter .meter").get_attribute("aria-valuenow")
    tab.click("compact")
    eventually(
        lambda: tab.page.locator("#meter .meter").get_attribute("aria-valuenow") != used,
        "the meter falls",
    )
    expect(tab.users).to_have_count(4)


def enter(tab: Tab, url: str, name: str, password: str) -> Tab:
    tab.page.goto(url)
    tab.page.fill("input[name=name]", name)
    tab.page.fill("input[name=password]", password)
    tab.page.click("button")
    tab.wait_until_shown()
    return tab


def test_people_with_different_names_see_nothing_of_each_other(serve, new_tab) -> None:
    engine = ScriptedEngine([Script(["for ann"]), Script(["for bob"])])
    stage = serve(engine, "--auth", "ann:a", "--auth", "bob:b")
    ann = enter(new_tab(), stage.url, "ann", "a")
    bob = enter(new_tab(), stage.url, "bob", "b")
    answered(ann, "a secret of ann", "for ann")
    expect(rows(ann)).to_have_count(1)
    ann.page.wait_for_url(re.compile("chat="))
    bob.page.goto(ann.page.url)
    bob.wait_until_shown()
    expect(bob.stats).to_contain_text("no such conversation")
    expect(bob.users).to_have_count(0)
    stolen = stage.url + "/export/" + ann.page.url.partition("chat=")[2]
    stranger = new_tab().page.request
    for kind in ("md", "json"):
        assert ann.page.request.get(f"{stolen}.{kind}").status == 200
        assert bob.page.request.get(f"{stolen}.{kind}").status == 404
        assert stranger.get(f"{stolen}.{kind}").status == 401
    bob.page.locator("#search textarea").fill("secret")
    expect(bob.page.locator("#shelf")).to_contain_text("Nothing found")
    bob.page.locator("#search textarea").fill("")
    answered(bob, "hello from bob", "for bob")
    expect(rows(bob)).to_have_text(["hello from bob"])
    expect(rows(ann)).to_have_text(["a secret of ann"])
    again = enter(new_tab(), stage.url, "ann", "a")  # another browser, the same name
    expect(rows(again)).to_have_text(["a secret of ann"])


def test_a_download_can_be_uploaded_again(serve, new_tab, tmp_path) -> None:
    scripts = [Script(["one"]), Script(["two"])]
    tab = new_tab().open(serve(ScriptedEngine(scripts)).url)
    answered(tab, "first <b>?", "one")
    tab.click("regenerate")
    expect(tab.answers).to_have_text("two")
    for name, words in (("Markdown", "# first"), ("JSON", '"one"')):
        tab.page.locator("#downloads summary").click()
        with tab.page.expect_download() as waiting:
            tab.page.get_by_role("link", name=name).click()
        fetched = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(fetched)
        assert words in fetched.read_text("utf-8")
        expect(tab.page.get_by_role("link", name=name)).to_be_hidden()
    tab.click("new-chat")
    expect(tab.users).to_have_count(0)
    with tab.page.expect_file_chooser() as choosing:
        tab.click("upload")
    choosing.value.set_files(fetched)
    expect(tab.users).to_have_text("first <b>?")
    expect(tab.answers).to_have_text("two")
    expect(place(tab)).to_have_text("2/2")
    expect(rows(tab)).to_have_count(2)
    (tmp_path / "bad.json").write_text("{")
    with tab.page.expect_file_chooser() as choosing:
        tab.click("upload")
    choosing.value.set_files(tmp_path / "bad.json")
    expect(tab.stats).to_contain_text("bad.json is no JSON")
