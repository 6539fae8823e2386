"""Training data has the fields, columns and tags that LLaMA-Factory's data/README.md documents.

`converted` does what its converters do (src/llamafactory/data/parser.py and converter.py at
ff6d4d1): the entry names the columns, and one that it names is taken for granted.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapp.errors import ExchangeError
from chatapp.events import Finished, Reason, Timings, Usage
from chatapp.exchange import (
    TRAINING_FORMATS,
    TrainingFormat,
    add_dataset,
    dataset_info,
    export_training,
    training,
)
from chatapp.messages import AnswerRecord, Conversation, Feedback, Message
from chatapp.settings import GenerationSettings
from tests.exchange.trees import conversations

DEFAULTS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "system_tag": "system",
}
COLUMNS = ("prompt", "query", "response", "history", "messages", "system")


def converted(info: dict[str, Any], example: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """The system prompt, and role and text of each message, as LLaMA-Factory reads them."""
    column = {name: info["columns"].get(name) for name in COLUMNS}
    if info.get("formatting", "alpaca") == "alpaca":
        turns = [tuple(turn) for turn in example[column["history"]]]
        asked = [example[column[name]] for name in ("prompt", "query") if example[column[name]]]
        turns.append(("\n".join(asked), example[column["response"]]))
        roles = ("user", "assistant")
        return example[column["system"]], [
            pair for turn in turns for pair in zip(roles, turn, strict=True)
        ]
    tags = {name: info["tags"].get(name) for name in DEFAULTS} if "tags" in info else DEFAULTS
    listed = example[column["messages"]]
    system = example[column["system"]] if column["system"] else ""
    if tags["system_tag"] and listed[0][tags["role_tag"]] == tags["system_tag"]:
        system, listed = listed[0][tags["content_tag"]], listed[1:]
    roles_of = {tags["user_tag"]: "user", tags["assistant_tag"]: "assistant"}
    said = [(roles_of[item[tags["role_tag"]]], item[tags["content_tag"]]) for item in listed]
    assert [role for role, _ in said] == ["user", "assistant"] * (len(said) // 2)
    return system, said


def answer(
    text: str, good: bool | None = None, reason: Reason | None = "stop", reasoning: str = ""
) -> Message:
    finished = Finished(reason, Usage(1, 1), Timings(0.1, 1), 1) if reason else None
    record = AnswerRecord("scripted", "tiny", GenerationSettings(), finished)
    feedback = None if good is None else Feedback(good)
    return Message("assistant", text, reasoning, record, feedback)


def talk(*turns: tuple[str, Message]) -> Conversation:
    conversation = Conversation("Be kind.")
    for question, reply in turns:
        conversation.ask(question).reply(reply)
    return conversation


def texts(conversation: Conversation, *, good_only: bool = False) -> list[list[str]]:
    records = training([conversation], "sharegpt", good_only=good_only)
    return [[said["value"] for said in record["conversations"]] for record in records]


@pytest.mark.parametrize("format", TRAINING_FORMATS)
def test_llama_factory_reads_what_was_said(format: TrainingFormat) -> None:
    conversation = talk(("a", answer("b", reasoning="hm")), ("c", answer("d")))
    (record,) = json.loads(export_training(training([conversation], format)))
    assert converted(dataset_info("x.json", format), record) == (
        "Be kind.",
        [
            ("user", "a"),
            ("assistant", "<think>\nhm\n</think>\n\nb"),
            ("user", "c"),
            ("assistant", "d"),
        ],
    )


@pytest.mark.parametrize("format", TRAINING_FORMATS)
@given(listed=st.lists(conversations(), max_size=4), good_only=st.booleans())
def test_every_record_of_any_conversations_is_read(
    format: TrainingFormat, listed: list[Conversation], good_only: bool
) -> None:
    info = dataset_info("x.json", format)
    columns = set(info["columns"].values())
    for record in json.loads(export_training(training(listed, format, good_only=good_only))):
        assert set(record) == columns
        _, said = converted(info, record)
        assert said and all(text.strip() for _, text in said)


def test_the_fields_are_those_of_the_documentation() -> None:
    conversation = talk(("a", answer("b")))
    assert training([conversation], "sharegpt") == [
        {
            "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}],
            "system": "Be kind.",
        }
    ]
    assert training([conversation], "alpaca") == [
        {"instruction": "a", "input": "", "output": "b", "system": "Be kind.", "history": []}
    ]
    assert training([conversation], "openai") == [
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
            ]
        }
    ]
    assert dataset_info("x.json", "openai") == {
        "file_name": "x.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }


def test_turns_without_a_whole_answer_are_left_out() -> None:
    conversation = talk(
        ("cut off", answer("b", reason="length")),
        ("stopped", answer("b", reason="stopped")),
        ("interrupted", answer("b", reason=None)),
        ("cut off and good", answer("b", good=True, reason="length")),
        ("by a person", Message("assistant", "b")),
        ("empty", answer("")),
    )
    conversation.ask("unanswered")
    assert texts(conversation) == [["cut off and good", "b", "by a person", "b"]]
    assert texts(Conversation()) == []


def test_an_answer_marked_bad_ends_what_is_learned() -> None:
    conversation = talk(("a", answer("b")), ("c", answer("d", good=False)), ("e", answer("f")))
    assert texts(conversation) == [["a", "b"]]


def test_good_only_learns_what_led_to_the_last_good_answer() -> None:
    conversation = talk(
        ("a", answer("b", good=True)),
        ("c", answer("d")),
        ("e", answer("f", good=True)),
        ("g", answer("h")),
    )
    assert texts(conversation, good_only=True) == [["a", "b", "c", "d", "e", "f"]]
    assert texts(talk(("a", answer("b"))), good_only=True) == []


def test_a_good_answer_before_a_bad_one_is_learned_and_one_after_it_is_not() -> None:
    conversation = talk(
        ("a", answer("b", good=True)), ("c", answer("d", good=False)), ("e", answer("f", good=True))
    )
    assert texts(conversation, good_only=True) == [["a", "b"]]


def test_a_good_version_counts_though_the_conversation_went_on_with_another() -> None:
    conversation = talk(("a", answer("good", good=True)))
    conversation.path[0].reply(answer("other"))
    conversation.ask("c").reply(answer("d"))
    assert texts(conversation, good_only=True) == [["a", "good"]]
    assert texts(conversation) == [["a", "other", "c", "d"]]


def test_a_copy_of_a_conversation_is_not_learned_twice() -> None:
    conversation = talk(("a", answer("A", good=True)))
    other = talk(("a", answer("B", good=True)))
    for good_only in (False, True):
        found = training([conversation, conversation.fork(), other], "alpaca", good_only=good_only)
        assert [record["output"] for record in found] == ["A", "B"]


def test_a_list_of_datasets_keeps_its_entries() -> None:
    before = json.dumps({"identity": {"file_name": "identity.json"}, "中文": {"file_name": "z"}})
    info = dataset_info("chats.json", "alpaca")
    merged = add_dataset(before, "chats", info, "dataset_info.json")
    assert json.loads(merged) == {**json.loads(before), "chats": info}
    assert merged.isascii()
    assert json.loads(add_dataset("", "chats", info, "x")) == {"chats": info}


@pytest.mark.parametrize("text", ["[]", "5", "{", "[" * 100_000])
def test_what_is_no_list_of_datasets_is_left_alone(text: str) -> None:
    with pytest.raises(ExchangeError, match=r"dataset_info\.json is no list"):
        add_dataset(text, "chats", {}, "dataset_info.json")
