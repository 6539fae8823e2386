"""The list of chats as HTML, and what the page's script is told of each message."""

from __future__ import annotations

import datetime
import time

from chatapp.engines.scripted import ScriptedEngine
from chatapp.messages import AnswerRecord, Conversation, Feedback, Message
from chatapp.settings import GenerationSettings
from chatapp.store import ChatLine, Hit, Unkept
from chatapp.texts import Texts
from chatapp.web import shelf
from chatapp.web.chats import Chat
from chatapp.web.marks import labels, marks

TEXTS = Texts("en")
TODAY = datetime.date(2026, 11, 21)


def line(title: str, days_ago: int = 0, id: str = "a1") -> ChatLine:
    day = datetime.datetime.combine(TODAY, datetime.time(12)) - datetime.timedelta(days_ago)
    return ChatLine(id, title, "model", 1, day.timestamp())


def listed(lines: list[ChatLine], texts: Texts = TEXTS, current: str = "", **more: bool) -> str:
    return shelf.shelf(lines, current, {"busy"}, TODAY, texts, more=more.get("more", False))


def test_chats_stand_under_their_days() -> None:
    ages = [0, 0, 1, 2, 7, 8, 40]
    html = listed([line(f"chat {age}", age) for age in ages])
    days = [f"<h3>{day}" for day in ("Yesterday", "Previous 7 days", "2026-11", "2026-10")]
    order = ["<h3>Today", "chat 0", days[0], "chat 1", *days[1:]]
    places = [html.index(part) for part in order]
    assert places == sorted(places)
    assert html.count("<h3>") == 5
    assert "2026年10月" in listed([line("x", 40)], Texts("zh"))


def test_the_current_chat_and_those_being_answered_are_marked() -> None:
    html = listed([line("one", id="here"), line("two", id="busy")], current="here")
    assert html.count("aria-current") == 1
    assert html.count('class="answering"') == 1
    assert 'href="?chat=here"' in html


def test_more_is_offered_where_there_is_more() -> None:
    assert "More" in listed([line("one")], more=True)
    assert "More" not in listed([line("one")])
    assert "listed here" in listed([])


def test_a_chat_without_a_name_can_be_seen_and_clicked() -> None:
    for title in ("", " \n"):
        assert "<span>Untitled</span>" in listed([line(title)])
        assert "Untitled" in shelf.deleted(line(title), TEXTS)
        assert "Untitled" in shelf.found([Hit(line(title), "m", "x", [])], "", (), TEXTS)


def test_titles_and_hits_are_escaped_and_the_words_marked() -> None:
    evil = '"><img src=x onerror=alert(1)>'
    assert "<img" not in listed([line(evil)])
    assert "<img" not in shelf.deleted(line(evil), TEXTS)
    hits = [
        Hit(line("title <b>"), "m", "a <i>word</i>", [(5, 9)]),
        Hit(line("word here"), None, "word here", [(0, 4)]),
    ]
    html = shelf.found(hits, "", (), TEXTS)
    assert "&lt;i&gt;<mark>word</mark>&lt;/i&gt;" in html
    assert "<mark>word</mark> here" in html
    assert html.count("data-message=") == 1
    assert "<b>" not in html
    assert "Nothing found" in shelf.found([], "", (), TEXTS)


def chat() -> Chat:
    talk = Conversation("system")
    question = talk.ask("why?")
    record = AnswerRecord("scripted", "scripted", GenerationSettings())
    question.reply(Message("assistant", "one", record=record))
    question.reply(Message("assistant", "two", feedback=Feedback(False, "dull")))
    return Chat(ScriptedEngine(), Unkept(talk))


def test_marks_tell_versions_feedback_and_what_a_person_wrote() -> None:
    told = marks(chat(), TEXTS)
    question, answer = told["messages"]
    assert told["named"]
    assert (question["version"], question["versions"], question["text"]) == (1, 1, "why?")
    assert (answer["version"], answer["versions"]) == (2, 2)
    assert (answer["good"], answer["why"]) == (False, "dull")
    assert answer["note"] == "edited"


def test_an_interrupted_answer_is_marked() -> None:
    talk = chat()
    question = talk.conversation.path[0]
    talk.conversation.choose(question.replies[0])
    assert marks(talk, TEXTS)["messages"][1]["note"] == "interrupted"


def test_a_chat_without_a_question_is_not_named_in_the_address() -> None:
    empty = Chat(ScriptedEngine(), Unkept(Conversation()))
    assert marks(empty, TEXTS) == {"chat": empty.conversation.id, "named": False, "messages": []}
    assert all(labels(TEXTS).values())


def test_the_day_is_the_readers() -> None:
    now = ChatLine("id", "now", "", 1, time.time())
    assert "Today" in shelf.shelf([now], "", (), datetime.date.today(), TEXTS, more=False)
