"""What other programs write: which format a text is in, and its conversations.

Lists of messages come in two dialects, `role` and `content` (OpenAI's) or `from` and `value`
(ShareGPT's), alone or inside an object, one or many, as one JSON document or as a line each.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from chatapp.errors import ExchangeError
from chatapp.exchange import chatgpt, own
from chatapp.messages import Conversation, Message
from chatapp.records import storable
from chatapp.texts import Sentence

LONGEST_TITLE = 200

ROLES: Mapping[str, Literal["system", "user", "assistant", "tool"]] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "bing", "bard"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "function_call", "ipython"), "tool"),
}
LISTS = ("messages", "conversations", "conversation")
"""Under which names an object has its messages."""

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Imported:
    """The conversations of a file, and what a person should know of them."""

    conversations: list[Conversation]
    notes: list[Sentence] = field(default_factory=list)


class Broken(ValueError):
    """Something is missing or not what it should be; the text is its place, such as `0.role`."""


def import_text(text: str, name: str) -> Imported:
    """The conversations of a text in any format that is known; `name` is for the errors.

    Raises ExchangeError: then nothing of it is taken.
    """
    document = _parsed(text, name)
    if isinstance(document, dict) and document.get("format") == own.FORMAT:
        return _counted(own.conversations_from(document, name), 0, name)
    conversations, skipped = [], 0
    for number, item in enumerate(_items(document), 1):
        try:
            conversation, left_out = _conversation(item)
        except Broken as error:
            place = str(error)
            if not place:
                raise ExchangeError("exchange-unknown", name=name) from error
            raise ExchangeError("exchange-broken", name=name, number=number, place=place) from error
        conversations.append(conversation)
        skipped += left_out
    return _counted(conversations, skipped, name)


def _counted(conversations: list[Conversation], skipped: int, name: str) -> Imported:
    some = [found for found in conversations if found.root.replies]
    if not some:
        raise ExchangeError("exchange-empty", name=name)
    notes = []
    if skipped:
        notes.append(Sentence("exchange-skipped", {"name": name, "count": skipped}))
    return Imported(some, notes)


def _parsed(text: str, name: str) -> Any:
    """The document, or the list of those that stand in a line each. Raises ExchangeError."""
    text = text.lstrip("\ufeff")
    try:
        try:
            document = _json(text)
        except json.JSONDecodeError as error:
            lines = [line for line in text.split("\n") if line.strip()]
            if error.msg != "Extra data" or len(lines) < 2:
                raise
            document = [_json(line) for line in lines]
        if _HALF.search(text):
            document = json.loads(storable(json.dumps(document, ensure_ascii=False)))
    except json.JSONDecodeError as error:
        line = error.lineno
        raise ExchangeError("exchange-not-json", name=name, line=line, cause=error.msg) from error
    except (ValueError, RecursionError) as error:
        raise ExchangeError("exchange-unknown", name=name) from error
    return document


def _json(text: str) -> Any:
    """Raises ValueError, and RecursionError where it is nested too deeply."""
    return json.loads(text, parse_constant=_no_number, parse_float=_finite)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("a number too large")
    return value


def _items(document: Any) -> Sequence[Any]:
    """One item for each conversation."""
    if isinstance(document, dict):
        return [document]
    if not isinstance(document, list) or not document:
        return [None]
    return [document] if _is_message(document[0]) else document


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and ("role" in item or "from" in item)


def _conversation(item: Any) -> tuple[Conversation, int]:
    """A conversation, and how much of it was left out. Raises Broken."""
    if isinstance(item, list):
        return _from_messages(item)
    if not isinstance(item, dict):
        raise Broken("")
    if isinstance(item.get("mapping"), dict):
        conversation, skipped = chatgpt.conversation_from(item)
    elif isinstance(item.get("output"), str) and isinstance(item.get("instruction"), str):
        conversation, skipped = _from_messages(_alpaca_messages(item))
    else:
        listed = next((item[key] for key in LISTS if isinstance(item.get(key), list)), None)
        if listed is None:
            raise Broken("")
        conversation, skipped = _from_messages(listed)
    system, title = item.get("system"), item.get("title")
    if isinstance(system, str) and not conversation.system:
        conversation.system = system
    if isinstance(title, str):
        conversation.title = " ".join(title.split())[:LONGEST_TITLE]
    return conversation, skipped


def _alpaca_messages(item: Mapping[str, Any]) -> list[Any]:
    history = item.get("history") or []
    question = "\n".join(text for text in (item["instruction"], item.get("input")) if text)
    messages = []
    for turn in [*history, (question, item["output"])] if isinstance(history, list) else []:
        if not isinstance(turn, (list, tuple)) or len(turn) != 2:
            raise Broken("history")
        messages.append({"role": "user", "content": turn[0]})
        messages.append({"role": "assistant", "content": turn[1]})
    return messages


def _from_messages(listed: Sequence[Any]) -> tuple[Conversation, int]:
    """One after another; what a tool said between two parts of an answer is left out."""
    conversation, skipped = Conversation(), 0
    end, systems = conversation.root, []
    for index, found in enumerate(listed):
        role, text, reasoning, left_out = _message(found, index)
        skipped += left_out
        if role == "system":
            systems.append(text)
        elif role != "tool" and (text or reasoning):
            if role == "assistant" == end.role:
                end.content = joined(end.content, text)
                end.reasoning = joined(end.reasoning, reasoning)
            else:
                end = end.reply(Message(role, text, reasoning))
    conversation.system = "\n\n".join(text for text in systems if text)
    return conversation, skipped


def _message(
    found: Any, index: int
) -> tuple[Literal["system", "user", "assistant", "tool"], str, str, int]:
    """Role, text, reasoning, and how many parts were left out. Raises Broken."""
    if not isinstance(found, dict):
        raise Broken(f"{index}")
    key = "role" if "role" in found else "from"
    role = ROLES.get(str(found.get(key)).lower())
    if role is None:
        raise Broken(f"{index}.{key}")
    key = next((key for key in ("content", "value", "text") if key in found), "content")
    if role == "tool":
        return role, "", "", 1
    calls = bool(found.get("tool_calls") or found.get("function_call"))
    text, left_out = _text(found.get(key, "" if calls else 0), f"{index}.{key}")
    thought = found.get("reasoning_content") or found.get("reasoning")
    reasoning = thought if isinstance(thought, str) and role == "assistant" else ""
    if role == "assistant" and not reasoning:
        reasoning, text = split_thought(text)
    return role, text, reasoning, left_out + calls


def _text(content: Any, place: str) -> tuple[str, int]:
    """The text of a message, and how many parts of it are something else. Raises Broken."""
    if content is None:
        return "", 0
    if isinstance(content, str):
        return content, 0
    if not isinstance(content, list):
        raise Broken(place)
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
    return "\n".join(texts), len(content) - len(texts)


def split_thought(text: str) -> tuple[str, str]:
    """Reasoning and answer of a text that begins with a `<think>` block."""
    found = _THOUGHT.match(text)
    return (found[1].strip(), text[found.end() :]) if found else ("", text)


def joined(first: str, second: str) -> str:
    """Two texts as paragraphs of one."""
    return f"{first}\n\n{second}" if first and second else first or second
