"""Other programs' formats, in samples shaped as they write them; and what is none of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapp.errors import ExchangeError
from chatapp.exchange import TRAINING_FORMATS, export_training, import_text, training
from chatapp.messages import Conversation, Message

SHAREGPT = [
    {
        "id": "QWJhYvA_0",
        "conversations": [
            {"from": "human", "value": "Summarize the report."},
            {"from": "gpt", "value": "It says:\n\n1. Sales rose."},
            {"from": "human", "value": "And costs?"},
            {"from": "gpt", "value": "They fell."},
        ],
    },
    {
        "conversations": [
            {"from": "system", "value": "你是一个助手。"},
            {"from": "user", "value": "你好"},
            {"from": "chatgpt", "value": "<think>\n打招呼\n</think>\n\n你好！"},
        ]
    },
]

OPENAI = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            ],
        },
        {"role": "assistant", "content": "A cat."},
    ]
}

TOOLS = [
    {"role": "user", "content": "Weather in Hangzhou?"},
    {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "w"}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": "24 degrees"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "2"}]},
    {"role": "tool", "tool_call_id": "2", "content": "sunny"},
    {"role": "assistant", "content": "24 degrees and sunny."},
]


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in conversation.path]


def test_a_sharegpt_list() -> None:
    first, second = import_text(json.dumps(SHAREGPT), "x.json").conversations
    assert said(first) == [
        ("user", "Summarize the report."),
        ("assistant", "It says:\n\n1. Sales rose."),
        ("user", "And costs?"),
        ("assistant", "They fell."),
    ]
    assert (first.system, second.system) == ("", "你是一个助手。")
    assert said(second) == [("user", "你好"), ("assistant", "你好！")]
    assert second.path[1].reasoning == "打招呼"


def test_sharegpt_in_lines() -> None:
    lines = "\r\n".join(json.dumps(item, ensure_ascii=False) for item in SHAREGPT) + "\n\n"
    assert len(import_text(lines, "x.jsonl").conversations) == 2


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert import_text("\ufeff" + json.dumps(SHAREGPT), "x.json").conversations


@pytest.mark.parametrize("shape", ["object", "list", "list of objects", "list of lists", "lines"])
def test_openai_messages(shape: str) -> None:
    shapes: dict[str, Any] = {
        "object": OPENAI,
        "list": OPENAI["messages"],
        "list of objects": [OPENAI],
        "list of lists": [OPENAI["messages"]],
    }
    if shape == "lines":
        text = "\n".join(json.dumps(message) for message in OPENAI["messages"])
    else:
        text = json.dumps(shapes[shape], indent=2)
    imported = import_text(text, "x.json")
    (conversation,) = imported.conversations
    assert conversation.system == "Be brief."
    assert said(conversation) == [("user", "What is this?"), ("assistant", "A cat.")]
    assert [note.values["count"] for note in imported.notes] == [1]


def test_what_tools_said_is_left_out_and_the_parts_of_an_answer_are_one() -> None:
    imported = import_text(json.dumps(TOOLS), "x.json")
    (conversation,) = imported.conversations
    assert said(conversation) == [
        ("user", "Weather in Hangzhou?"),
        ("assistant", "Let me look.\n\n24 degrees and sunny."),
    ]
    (note,) = imported.notes
    assert (note.key, note.values["count"]) == ("exchange-skipped", 4)


def test_the_reasoning_of_an_openai_message() -> None:
    messages = [
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "reasoning_content": "easy", "content": "4"},
    ]
    (conversation,) = import_text(json.dumps(messages), "x.json").conversations
    assert conversation.path[1].reasoning == "easy"


@pytest.mark.parametrize("format", TRAINING_FORMATS)
def test_what_we_export_for_training_can_be_imported(format: Any) -> None:
    conversation = Conversation("Be kind.")
    conversation.ask("a").reply(Message("assistant", "b", "because"))
    conversation.ask("c").reply(Message("assistant", "d"))
    text = export_training(training([conversation], format))
    (again,) = import_text(text, "x.json").conversations
    assert again.system == "Be kind."
    assert said(again) == said(conversation)
    assert again.path[1].reasoning == "because"


def node(id: str, parent: str | None, children: list[str], **message: Any) -> dict[str, Any]:
    return {"id": id, "parent": parent, "children": children, "message": message or None}


def text_of(role: str, *parts: object, time: float | None = None, **more: Any) -> dict[str, Any]:
    kind = "text" if all(isinstance(part, str) for part in parts) else "multimodal_text"
    return {
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": time,
        "content": {"content_type": kind, "parts": list(parts)},
        "status": "finished_successfully",
        "recipient": "all",
        "metadata": {},
        **more,
    }


def chatgpt(**changes: Any) -> dict[str, Any]:
    """An export with a first question that was answered twice, then one that used a tool."""
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1"}
    thoughts = text_of("assistant", time=1_700_000_041.0)
    thoughts["content"] = {
        "content_type": "thoughts",
        "thoughts": [{"summary": "Counting", "content": "One, two."}],
    }
    call = text_of("assistant", "search('x')", recipient="browser")
    call["content"] = {"content_type": "code", "language": "unknown", "text": "search('x')"}
    hidden = text_of("system", "")
    hidden["metadata"] = {"is_visually_hidden_from_conversation": True}
    mapping = {
        "root": node("root", None, ["s"]),
        "s": node("s", "root", ["q1"], **hidden),
        "q1": node("q1", "s", ["a1", "a2"], **text_of("user", "Hi", time=1_700_000_001.5)),
        "a1": node("a1", "q1", ["q2"], **text_of("assistant", "Hello!", time=1_700_000_002.5)),
        "a2": node("a2", "q1", [], **text_of("assistant", "Hey.", time=1_700_000_003.5)),
        "q2": node(
            "q2", "a1", ["t"], **text_of("user", picture, "What is it?", time=1_700_000_040)
        ),
        "t": node("t", "q2", ["a3"], **thoughts),
        "a3": node("a3", "t", ["c"], **text_of("assistant", "I look.", time=1_700_000_042)),
        "c": node("c", "a3", ["r"], **call),
        "r": node("r", "c", ["a4"], **text_of("tool", "found")),
        "a4": node("a4", "r", [], **text_of("assistant", "A cat.", time=1_700_000_050)),
    }
    return {
        "title": "Greeting and a cat",
        "create_time": 1_700_000_000.25,
        "update_time": 1_700_000_060.0,
        "mapping": mapping,
        "current_node": "a4",
        "conversation_id": "6f0c",
        **changes,
    }


def test_a_chatgpt_export() -> None:
    imported = import_text(json.dumps([chatgpt()]), "conversations.json")
    (conversation,) = imported.conversations
    assert conversation.title == "Greeting and a cat"
    assert conversation.created == 1_700_000_000.25
    assert said(conversation) == [
        ("user", "Hi"),
        ("assistant", "Hello!"),
        ("user", "What is it?"),
        ("assistant", "I look.\n\nA cat."),
    ]
    answer = conversation.path[1]
    assert [version.content for version in answer.versions] == ["Hello!", "Hey."]
    assert answer.created == 1_700_000_002.5
    assert conversation.path[3].reasoning == "Counting\n\nOne, two."
    assert [note.values["count"] for note in imported.notes] == [3]


def test_the_current_node_of_a_chatgpt_export_names_the_path() -> None:
    (conversation,) = import_text(json.dumps(chatgpt(current_node="a2")), "x").conversations
    assert said(conversation) == [("user", "Hi"), ("assistant", "Hey.")]
    assert len(list(conversation.root.tree())) == 6


@pytest.mark.parametrize("current", [None, "nobody", 7, [], "root"])
def test_without_a_current_node_the_latest_branch_is_the_path(current: object) -> None:
    (conversation,) = import_text(json.dumps(chatgpt(current_node=current)), "x").conversations
    assert said(conversation)[:2] == [("user", "Hi"), ("assistant", "Hey.")]


def test_cycles_and_strangers_in_a_mapping_are_survived() -> None:
    export = chatgpt()
    mapping = export["mapping"]
    mapping["a4"]["children"] = ["q1", "a4", "gone", 5, None]
    mapping["x"] = node("x", "y", ["y"], **text_of("user", "unreachable"))
    mapping["y"] = node("y", "x", ["x"], **text_of("user", "unreachable"))
    mapping["z"] = "no node"
    mapping["a2"]["message"]["content"] = "no content"
    (conversation,) = import_text(json.dumps(export), "x.json").conversations
    assert said(conversation)[-1] == ("assistant", "I look.\n\nA cat.")


def test_times_that_are_none_and_times_to_come_do_no_harm() -> None:
    for time in ("x", None, True, -5, 10**400, 1e200, []):
        export = chatgpt(create_time=time)
        export["mapping"]["q1"]["message"]["create_time"] = time
        (conversation,) = import_text(json.dumps(export), "x.json").conversations
        assert 0 <= conversation.created < 2**33
        assert all(0 <= said.created < 2**33 for said in conversation.root.tree())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "5",
        '"text"',
        "{}",
        "[]",
        "[[]]",
        "[5]",
        "[null, 5]",
        '{"messages": 5}',
        '{"messages": []}',
        '{"mapping": {}}',
        '{"mapping": []}',
        '{"format": "chatapp"}',
        '{"format": "chatapp", "version": true, "conversations": []}',
        '{"format": "chatapp", "version": 1, "conversations": {}}',
        '{"format": "chatapp", "version": 1, "conversations": []}',
        '{"format": "chatapp", "version": 1, "conversations": [5]}',
        '{"format": "chatapp", "version": NaN}',
        '[{"role": "user"}]',
        '[{"role": "user", "content": 5}]',
        '[{"role": 5, "content": "x"}]',
        '[{"role": ["user"], "content": "x"}]',
        '[{"role": "wizard", "content": "x"}]',
        '[{"role": "user", "content": "x"}, 5]',
        '[{"role": "user", "content": NaN}]',
        '[{"role": "user", "content": Infinity}]',
        '[{"role": "user", "content": 1e999}]',
        '[{"role": "user", "content": ' + "9" * 5_000 + "}]",
        '[{"instruction": "x", "output": "y", "history": [5]}]',
        "[" * 100_000,
        '{"messages":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a": 1}\n{"a": ',
        "# Markdown",
        "\x00",
    ],
    ids=lambda text: text[:30] or "empty",
)
def test_what_cannot_be_imported_is_one_sentence_that_names_the_file(text: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        import_text(text, "some.json")
    assert "some.json" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["user", "assistant", "system", "tool", "text", "chatapp", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "role content from value messages conversations mapping message author parts "
                "content_type children parent current_node create_time title system format "
                "version id a b instruction output history text thoughts metadata".split()
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(anything)
def test_whatever_the_json_it_is_imported_or_refused(document: Any) -> None:
    try:
        imported = import_text(json.dumps(document), "some.json")
    except ExchangeError as error:
        assert str(error)
    else:
        for conversation in imported.conversations:
            for message in conversation.root.tree():
                message.content.encode()
                message.reasoning.encode()
            assert conversation.path is not None


@given(anything, st.sampled_from(["mapping", "nodes", "message", "messages"]))
def test_whatever_stands_in_a_format_it_is_imported_or_refused(inner: Any, where: str) -> None:
    export = chatgpt()
    documents = {
        "mapping": {**export, "mapping": {"a": inner, "b": inner}},
        "nodes": {**export, "mapping": {**export["mapping"], "q2": inner, "a": inner}},
        "message": {"mapping": {"a": {"message": inner, "children": ["b"]}, "b": {"message": {}}}},
        "messages": {"messages": [{"role": "user", "content": inner}, inner]},
    }
    try:
        import_text(json.dumps(documents[where]), "some.json")
    except ExchangeError as error:
        assert str(error)
