"""What stands in a row is what the message had, whatever the text is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapp.events import Finished, Timings, Usage
from chatapp.messages import AnswerRecord, Conversation, Feedback, Message
from chatapp.settings import GenerationSettings
from chatapp.store import Chats, Store
from tests.store.trees import tree_of, words_agree

FINISHED = Finished("length", Usage(7, 5, 2), Timings(0.25, 1.5), seed=2**64 + 1)
RECORD = AnswerRecord("scripted", "a/模型", GenerationSettings(temperature=0.5), FINISHED)


def test_every_field_of_every_message_comes_back(tmp_path: Path) -> None:
    conversation = Conversation("Be brief.")
    question = conversation.ask("one?")
    question.summary = "They said hello."
    first = question.reply(Message("assistant", "1", "Hm.", RECORD, Feedback(False, "wrong")))
    question.reply(Message("assistant", "uno", record=replace(RECORD, finished=None)))
    conversation.choose(first)
    conversation.ask("two?")
    conversation.undo()
    Store(tmp_path).chats().add(conversation).keep()
    opened = Store(tmp_path).chats().open(conversation.id).conversation
    assert tree_of(opened) == tree_of(conversation)
    assert opened.answer is not None and opened.answer.record == RECORD
    assert opened.answer.record.finished is not None
    assert opened.answer.record.finished.timings == FINISHED.timings  # which == leaves out


ODD = {
    "NUL": "a\0b",
    "half of a surrogate pair": "a\ud83db",
    "both halves apart": "a\ud83d\ude00b",
    "a byte that is no UTF-8": b"caf\xe9".decode("utf-8", "surrogateescape"),
    "SQL": "'); DROP TABLE messages; --",
    "operators of the search": '" AND NEAR( * ^ : {a b} OR NOT -',
    "right to left": "שלום \u202e abc",
    "line ends": "\r\n a \r b \u2028 c \x85",
    "emoji": "👩‍👩‍👧‍👦 🇨🇳",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_texts_are_stored_everywhere_a_text_may_stand(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    conversation = Conversation(text)
    kept = store.chats().add(conversation)
    record = replace(RECORD, model=text, engine=text)
    answer = Message("assistant", text, text, record, Feedback(True, text), text)
    conversation.ask(text).reply(answer)
    conversation.title = text
    for _ in range(2):  # added, then changed
        kept.keep()
        assert kept.failure is None
        answer.content += text
    store.chats().rename(conversation.id, text)
    store.chats().latest(text)
    store.chats().search(text)
    opened = Store(tmp_path).chats().open(conversation.id).conversation
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert opened.path[0].content == opened.system == opened.title == expected
    assert opened.path[1].record == replace(RECORD, model=expected, engine=expected)
    assert store.check() == [] and words_agree(store.path)


def test_a_message_of_ten_megabytes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    conversation = Conversation()
    conversation.ask(text := "杭州 is a city. " * 700_000)
    store.chats().add(conversation).keep()
    opened = Store(tmp_path).chats().open(conversation.id).conversation
    assert opened.path[0].content == text
    assert [hit.chat.id for hit in store.chats().search("杭州")] == [conversation.id]


@given(st.lists(st.text(st.characters(codec=None), max_size=30), min_size=1, max_size=4))
@settings(max_examples=60)
def test_any_text_comes_back_and_can_be_taken_out_again(texts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        store = Store(Path(folder))
        kept = store.chats().add(Conversation())
        question = kept.conversation.ask("?")
        for text in texts:
            question.content = text
            kept.keep()
            assert kept.failure is None
        opened = store.chats().open(kept.conversation.id).conversation
        encoded = texts[-1].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert opened.path[0].content == encoded
        assert store.check() == [] and words_agree(store.path)
        store.chats().delete(kept.conversation.id)
        store.vacuum()
        assert words_agree(store.path)
        store.close()


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Chats:
    chats = Store(tmp_path_factory.mktemp("searched")).chats()
    conversation = Conversation()
    conversation.ask("Is C++ older than _foo_bar? 50% of 杭州 says so.")
    chats.add(conversation).keep()
    return chats


@given(asked=st.text(st.characters(codec=None), max_size=40))
@settings(max_examples=300)
def test_whatever_is_searched_for_is_answered(chats: Chats, asked: str) -> None:
    chats.search(asked)
    chats.latest(asked)
