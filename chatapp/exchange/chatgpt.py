"""A ChatGPT export (`conversations.json`): a tree of nodes for each conversation.

There an answer is a chain of nodes (thoughts, calls of tools, pieces of text); here it is one
message. Where the chain or the talk branches, the branches become versions. The node that was
last shown names the path. Pictures, files and what tools said are left out, and counted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatapp.messages import Conversation, Message

TEXTS = ("text", "multimodal_text")
"""Kinds of content with something for a person to read."""
HIDDEN = ("user_editable_context", "model_editable_context", "reasoning_recap")


@dataclass(eq=False)
class _Draft:
    """What was said after a message so far; it becomes a message once its end is reached."""

    parent: Message
    content: str = ""
    reasoning: str = ""
    created: float | None = None
    message: Message | None = None

    def made(self) -> Message:
        """The answer as a message of the tree; the one it replies to where nothing was said."""
        if not self.content and not self.reasoning:
            return self.parent
        if self.message is None:
            created = self.parent.created if self.created is None else self.created
            self.message = self.parent.reply(
                Message("assistant", self.content, self.reasoning, created=created)
            )
        return self.message

    def with_more(self, content: str, reasoning: str, created: float | None) -> _Draft:
        """A copy that goes on; other branches may go on from this one."""
        return _Draft(
            self.parent,
            "\n\n".join(text for text in (self.content, content) if text),
            "\n\n".join(text for text in (self.reasoning, reasoning) if text),
            self.created if created is None else created,
        )


@dataclass(frozen=True)
class _Said:
    """What one node says."""

    role: str
    content: str = ""
    reasoning: str = ""
    created: float | None = None
    left_out: int = 0


def conversation_from(item: Mapping[str, Any]) -> tuple[Conversation, int]:
    """The conversation, and how many parts were left out.

    Nodes that cannot be reached, or are no nodes, are ignored; one that is reached twice counts
    once.
    """
    nodes: dict[str, dict[str, Any]] = {
        id: node for id, node in item["mapping"].items() if isinstance(node, dict)
    }
    conversation = Conversation()
    begun = _time(item.get("create_time"))
    if begun is not None:
        conversation.root.created = begun
    skipped, systems = 0, []
    ends: dict[str, _Draft] = {}
    waiting = [(id, _Draft(conversation.root)) for id in reversed(_roots(nodes))]
    while waiting:
        id, draft = waiting.pop()
        if id in ends:
            continue
        said = _said(nodes[id].get("message"))
        skipped += said.left_out
        if said.role == "system" and said.content:
            systems.append(said.content)
        elif said.role == "user" and said.content:
            above = draft.made()
            created = above.created if said.created is None else said.created
            question = above.reply(Message("user", said.content, created=created))
            draft = _Draft(question)
        elif said.role == "assistant" and (said.content or said.reasoning):
            draft = draft.with_more(said.content, said.reasoning, said.created)
        ends[id] = draft
        below = _children(nodes, id)
        if not below:
            draft.made()
        waiting += [(child, draft) for child in reversed(below)]
    conversation.system = "\n\n".join(systems)
    current = item.get("current_node")
    if isinstance(current, str) and current in ends:
        shown = ends[current].made()
        if shown.parent is not None:
            conversation.choose(shown)
            shown.chosen = None
    return conversation, skipped


def _roots(nodes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        id
        for id, node in nodes.items()
        if not isinstance(node.get("parent"), str) or node["parent"] not in nodes
    ]


def _children(nodes: Mapping[str, Mapping[str, Any]], id: str) -> list[str]:
    children = nodes[id].get("children")
    if not isinstance(children, list):
        return []
    return [child for child in children if isinstance(child, str) and child in nodes]


def _said(message: Any) -> _Said:
    """What a node's message says; nothing where it is hidden, or none of a person's or model's."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), dict):
        return _Said("")
    author, content = message.get("author"), message["content"]
    role = author.get("role") if isinstance(author, dict) else None
    metadata = message.get("metadata")
    hidden = isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation")
    kind = content.get("content_type")
    created = _time(message.get("create_time"))
    if hidden or kind in HIDDEN or role not in ("system", "user", "assistant", "tool"):
        return _Said("")
    if kind == "thoughts" and role == "assistant":
        return _Said("assistant", reasoning=_thoughts(content.get("thoughts")), created=created)
    called = role == "assistant" and message.get("recipient", "all") != "all"
    if role == "tool" or called or kind not in TEXTS:
        return _Said("", left_out=1)
    parts = content.get("parts")
    parts = parts if isinstance(parts, list) else []
    texts = [part for part in parts if isinstance(part, str)]
    text = "\n\n".join(part for part in texts if part.strip())
    return _Said(str(role), text, "", created, len(parts) - len(texts))


def _thoughts(listed: Any) -> str:
    texts = []
    for thought in listed if isinstance(listed, list) else []:
        if isinstance(thought, dict):
            pair = (thought.get("summary"), thought.get("content"))
            texts += [text for text in pair if isinstance(text, str) and text.strip()]
    return "\n\n".join(texts)


def _time(value: Any) -> float | None:
    """Seconds since 1970, no later than now; None where it is no time."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return min(seconds, time.time()) if math.isfinite(seconds) and seconds >= 0 else None
