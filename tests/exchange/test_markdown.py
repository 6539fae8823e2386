"""The Markdown export is read by a Markdown parser: whatever was said, the outline is ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatapp.exchange import export_markdown
from chatapp.messages import AnswerRecord, Conversation, Feedback, Message
from chatapp.settings import GenerationSettings
from chatapp.texts import Texts
from tests.exchange.trees import conversations

AWKWARD = (
    "# A heading",
    "```python\nnever closed",
    "~~~~\n```\n~~~~\n# x",
    "<details>\n<!-- never closed",
    "</details></details>",
    "- a\n    - b\n\n        code",
    "a\n===\nb\n---",
    "> quoted\nlazily",
    "[x]: http://x\n[x]",
    "| a |\n|---|\n| b",
    "\x0b\x0c\u2028# x\r# y\r\n# z",
    "1) x",
    "\\",
    "`",
    "<script>",
)


def outline(document: str) -> list[tuple[str, str]]:
    """The headings that stand in no quote, with their levels."""
    tokens = MarkdownIt().parse(document)
    return [
        (token.tag, tokens[index + 1].content)
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]


@given(
    st.lists(
        st.tuples(*[st.sampled_from(AWKWARD) | st.text(max_size=30)] * 3), min_size=1, max_size=4
    )
)
def test_no_text_breaks_the_outline(turns: list[tuple[str, str, str]]) -> None:
    conversation = Conversation("```\n# system")
    conversation.title = "t"
    for question, answer, reasoning in turns:
        conversation.ask(question).reply(Message("assistant", answer, reasoning))
    expected = [("h1", "t"), ("h2", "System prompt")]
    for number in range(1, len(turns) + 1):
        expected += [("h2", f"{number}. Question"), ("h2", "Answer")]
    assert outline(export_markdown(conversation)) == expected


@given(conversations())
def test_any_conversation_can_be_exported_and_written(conversation: Conversation) -> None:
    conversation.ask("half \ud800")
    export_markdown(conversation).encode()


def test_a_document_has_all_there_is_to_read() -> None:
    conversation = Conversation("Be kind.")
    record = AnswerRecord("transformers", "Qwen3-0.6B", GenerationSettings())
    answer = Message(
        "assistant",
        "```html\n<b>4</b>\n```\nor `<i>` or <i>",
        "2 and 2 make\n4",
        record,
        Feedback(False, "too *short*"),
    )
    conversation.ask("What is 2 + 2?").reply(answer)
    conversation.root.created = 0
    document = export_markdown(conversation)
    date = document.partition("- Date: ")[2].partition("\n")[0]
    assert (
        document
        == f"""\
# What is 2 + 2?

- Model: Qwen3-0.6B
- Date: {date}

## System prompt

> Be kind.

## 1. Question

> What is 2 + 2?

## Answer

<details><summary>Reasoning</summary>

> 2 and 2 make
> 4

</details>

> ```html
> <b>4</b>
> ```
> or `<i>` or &lt;i>

*Marked bad*: too \\*short\\*

*This answer was not finished.*
"""
    )


def test_a_document_is_in_the_readers_language() -> None:
    conversation = Conversation("善良")
    conversation.ask("你好")
    assert "## 系统提示词\n\n> 善良\n\n## 1. 问题\n\n> 你好" in export_markdown(
        conversation, Texts("zh")
    )
