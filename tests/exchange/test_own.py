"""Our own JSON loses nothing, and takes nothing that is not whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapp.errors import ExchangeError
from chatapp.events import Finished, Timings, Usage
from chatapp.exchange import export_json, import_text
from chatapp.messages import AnswerRecord, Conversation, Message
from chatapp.settings import GenerationSettings
from chatapp.store import open_store
from tests.exchange.trees import conversations, everything


@given(st.lists(conversations(), min_size=1, max_size=3))
def test_what_is_exported_and_imported_is_equal(given: list[Conversation]) -> None:
    imported = import_text(export_json(given), "x.json")
    assert [everything(found) for found in imported.conversations] == [
        everything(conversation) for conversation in given
    ]
    assert imported.notes == []


@given(st.lists(conversations(), min_size=1, max_size=3))
def test_it_is_equal_in_an_empty_store_and_out_of_it_again(
    tmp_path_factory: pytest.TempPathFactory, given: list[Conversation]
) -> None:
    store = open_store(str(tmp_path_factory.mktemp("data")))
    for conversation in import_text(export_json(given), "x.json").conversations:
        store.chats().take_in(conversation)
    store.close()
    store = open_store(str(store.path.parent))
    stored = [store.chats().open(conversation.id).conversation for conversation in given]
    again = import_text(export_json(stored), "y.json").conversations
    store.close()
    assert [everything(found) for found in again] == [everything(said) for said in given]


def test_what_is_imported_twice_is_there_twice_and_changes_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    conversation = Conversation("Be kind.")
    conversation.ask("Hello?").reply(Message("assistant", "Hello!"))
    text = export_json([conversation])
    first = store.chats("ann").take_in(conversation).conversation
    (copy,) = import_text(text, "x.json").conversations
    second = store.chats("bob").take_in(copy).conversation
    assert everything(first, ids=False) == everything(second, ids=False)
    ids = [said.id for found in (first, second) for said in found.root.tree()]
    assert len(set(ids)) == len(ids) == 6
    assert [line.id for line in store.chats("ann").latest()] == [first.id]
    assert [line.id for line in store.chats("bob").latest()] == [second.id]
    store.close()


def test_a_long_conversation_is_no_deeper_than_a_short_one() -> None:
    conversation = Conversation()
    for number in range(5_000):
        conversation.ask(f"question {number}").reply(Message("assistant", f"answer {number}"))
    (again,) = import_text(export_json([conversation]), "x.json").conversations
    assert len(again.path) == 10_000


def test_a_newer_file_is_refused_with_a_sentence() -> None:
    text = json.dumps({"format": "chatapp", "version": 2, "conversations": []})
    with pytest.raises(ExchangeError, match=r"A newer chatapp has written x\.json"):
        import_text(text, "x.json")


def document() -> dict[str, Any]:
    conversation = Conversation("Be kind.")
    record = AnswerRecord(
        "scripted", "tiny", GenerationSettings(), Finished("stop", Usage(1, 2), Timings(0.1, 1), 7)
    )
    conversation.ask("Hello?").reply(Message("assistant", "Hello!", record=record))
    found: dict[str, Any] = json.loads(export_json([conversation]))
    return found


def put(place: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        at: Any = document["conversations"][0]
        *way, last = [int(step) if step.isdigit() else step for step in place.split(".")]
        for step in way:
            at = at[step]
        at[last] = value

    return change


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("messages", []),
        ("messages", {}),
        ("title", 3),
        ("id", None),
        ("messages.0.role", "user"),
        ("messages.1.role", "system"),
        ("messages.1.role", "tool"),
        ("messages.1.parent", "nobody"),
        ("messages.1.parent", None),
        ("messages.0.parent", "nobody"),
        ("messages.1.content", None),
        ("messages.1.content", ["a"]),
        ("messages.1.created", "yesterday"),
        ("messages.1.created", -1),
        ("messages.1.created", 1e300),
        ("messages.1.created", 10**400),
        ("messages.1.created", True),
        ("messages.1.chosen", "nobody"),
        ("messages.2.record", {"engine": "x"}),
        ("messages.2.record", []),
        ("messages.2.record.settings", 5),
        ("messages.2.record.finished", {"reason": "who knows"}),
        ("messages.2.feedback", {"good": "perhaps"}),
    ],
)
def test_a_file_that_was_tampered_with_is_refused_by_place(place: str, value: object) -> None:
    changed = document()
    put(place, value)(changed)
    with pytest.raises(ExchangeError) as caught:
        import_text(json.dumps(changed), "x.json")
    assert "conversation 1, " in str(caught.value), str(caught.value)
    assert place.partition(".")[0] in str(caught.value)


def test_two_messages_of_one_name_are_refused() -> None:
    changed = document()
    messages = changed["conversations"][0]["messages"]
    messages[2]["id"] = messages[1]["id"]
    with pytest.raises(ExchangeError, match=r"messages\.2\.id"):
        import_text(json.dumps(changed), "x.json")


def test_impossible_settings_of_an_answer_are_left_out_and_the_answer_is_kept() -> None:
    changed = document()
    put("messages.2.record.settings.temperature", {"a": 1})(changed)
    put("messages.2.record.settings.top_k", 7)(changed)
    (conversation,) = import_text(json.dumps(changed), "x.json").conversations
    assert conversation.answer is not None and conversation.answer.record is not None
    assert conversation.answer.record.settings == GenerationSettings(top_k=7)


def test_an_id_that_is_unfit_for_an_address_is_replaced() -> None:
    changed = document()
    put("id", "'><script>")(changed)
    (conversation,) = import_text(json.dumps(changed), "x.json").conversations
    assert len(conversation.id) == 32


def test_halves_of_surrogate_pairs_are_replaced(tmp_path: Path) -> None:
    changed = document()
    put("messages.1.content", "a\ud800b")(changed)
    put("messages.2.record.engine", "\udc00")(changed)
    (conversation,) = import_text(json.dumps(changed), "x.json").conversations
    assert conversation.path[0].content == "a\N{REPLACEMENT CHARACTER}b"
    store = open_store(str(tmp_path))
    store.chats().take_in(conversation)
    store.close()
    conversation.ask("c\ud800")
    export_json([conversation]).encode()
