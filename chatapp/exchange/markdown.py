"""A conversation as a Markdown document, for people to read.

Every text stands in a block quote of its own: whatever it begins and does not end (a fence, a
list, a table), and whatever headings it has, stay inside (https://spec.commonmark.org/0.31.2/#block-quotes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from chatapp.messages import Conversation, Message
from chatapp.records import storable
from chatapp.texts import Texts

_LINE_END = re.compile("\r\n|\r|\n")
_FENCE = re.compile("\\s*(`{3,}(?=[^`]*$)|~{3,})")
_CODE_SPAN = re.compile("(?<!`)(`+)(?!`).+?(?<!`)\\1(?!`)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_SIGNS = re.compile(r"([\\`*_\[\]<>#|~&])")


def export_markdown(conversation: Conversation, texts: Texts | None = None) -> str:
    """Title, model, date, system prompt and the path as it is now; reasoning is folded in."""
    texts = texts or Texts("en")
    parts = [f"# {_plain(conversation.name or texts('export-untitled'))}"]
    models = dict.fromkeys(said.record.model for said in conversation.path if said.record)
    facts = [(texts("export-date"), _date(conversation.created))]
    if models:
        facts.insert(0, (texts("export-model"), ", ".join(map(_plain, models))))
    parts.append("\n".join(f"- {name}: {value}" for name, value in facts))
    if conversation.system:
        parts += [f"## {texts('export-system')}", quoted(conversation.system)]
    turn = 0
    for message in conversation.path:
        turn += message.role == "user"
        who = "export-question" if message.role == "user" else "export-answer"
        parts += [f"## {texts(who, turn=turn)}", *_body(message, texts)]
    return storable("\n\n".join(parts)) + "\n"


def quoted(text: str) -> str:
    """The text in a block quote. HTML outside of code is shown as it was typed, not obeyed."""
    return "\n".join(f"> {line}".rstrip(" ") for line in _without_tags(_LINE_END.split(text)))


def _body(message: Message, texts: Texts) -> Iterator[str]:
    if message.reasoning.strip():
        folded = f"<details><summary>{texts('export-reasoning')}</summary>"
        yield f"{folded}\n\n{quoted(message.reasoning.strip())}\n\n</details>"
    if message.content:
        yield quoted(message.content)
    if message.feedback is not None:
        said = texts("export-good" if message.feedback.good else "export-bad")
        why = f": {_plain(message.feedback.why)}" if message.feedback.why.strip() else ""
        yield f"*{said}*{why}"
    if message.interrupted or (message.finished and message.finished.reason != "stop"):
        yield f"*{texts('export-unfinished')}*"


def _without_tags(lines: list[str]) -> Iterator[str]:
    fence = ""
    for line in lines:
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence) and not line[found.end() :].strip():
                fence = ""
            yield line
        elif found:
            fence = found[1]
            yield line
        else:
            yield _without_tags_in_line(line)


def _without_tags_in_line(line: str) -> str:
    pieces, begin = [], 0
    for code in _CODE_SPAN.finditer(line):
        pieces += [_TAG.sub("&lt;", line[begin : code.start()]), code[0]]
        begin = code.end()
    return "".join([*pieces, _TAG.sub("&lt;", line[begin:])])


def _plain(text: str) -> str:
    """One line in which no sign means anything to Markdown."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))


def _date(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):  # a clock that was far off
        return "?"
