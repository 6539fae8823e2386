"""Our own JSON: everything there is of a conversation, its versions included; nothing is lost.

The messages of a conversation stand in one flat list, each after the one it replies to: a tree of
ten thousand turns is no deeper than one of two, and no cycle can be written down.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chatapp.errors import ExchangeError
from chatapp.messages import Conversation, Message, new_id
from chatapp.records import (
    feedback_as_json,
    feedback_from_json,
    record_as_json,
    record_from_json,
    storable,
)
from chatapp.settings import GenerationSettings

FORMAT = "chatapp"
VERSION = 1

LATEST = 2.0**37
"""The latest time that a message may be from, in seconds since 1970: calendars end somewhere."""

_ID = re.compile("[0-9A-Za-z_-]{1,64}")


class _Message(BaseModel):
    """One message of the file. What a later version adds within version 1 is left out."""

    model_config = ConfigDict(strict=True)

    id: str
    parent: str | None = None
    role: Literal["system", "user", "assistant"]
    content: str = ""
    reasoning: str = ""
    summary: str = ""
    created: float = Field(ge=0, le=LATEST)
    chosen: str | None = None
    record: dict[str, Any] | None = None
    feedback: dict[str, Any] | None = None


class _Conversation(BaseModel):
    model_config = ConfigDict(strict=True)

    id: str
    title: str = ""
    messages: list[_Message] = Field(min_length=1)


class _Broken(Exception):
    """A message that is none; the text is its place."""


def export_json(conversations: Iterable[Conversation]) -> str:
    """The conversations, all versions, ids, times, records and feedback included."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "conversations": [
            {
                "id": conversation.id,
                "title": conversation.title,
                "messages": [_message_as_json(said) for said in conversation.root.tree()],
            }
            for conversation in conversations
        ],
    }
    return storable(json.dumps(document, ensure_ascii=False, indent=1)) + "\n"


def conversations_from(document: Mapping[str, Any], name: str) -> list[Conversation]:
    """The conversations of a parsed file of ours. Raises ExchangeError."""
    version = document.get("version")
    if type(version) is int and version > VERSION:
        raise ExchangeError("exchange-newer", name=name)
    listed = document.get("conversations")
    if version != VERSION or not isinstance(listed, list):
        raise ExchangeError("exchange-unknown", name=name)
    return [_conversation(found, name, number) for number, found in enumerate(listed, 1)]


def _message_as_json(message: Message) -> dict[str, Any]:
    following = message.following
    return {
        "id": message.id,
        "parent": message.parent.id if message.parent else None,
        "role": message.role,
        "content": message.content,
        "reasoning": message.reasoning,
        "summary": message.summary,
        "created": message.created,
        "chosen": following.id if following else None,
        "record": record_as_json(message.record) if message.record else None,
        "feedback": feedback_as_json(message.feedback) if message.feedback else None,
    }


def _conversation(found: object, name: str, number: int) -> Conversation:
    try:
        read = _Conversation.model_validate(found)
        root = _tree(read.messages)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "id"
        raise ExchangeError("exchange-broken", name=name, number=number, place=place) from error
    except _Broken as error:
        place = f"messages.{error}"
        raise ExchangeError("exchange-broken", name=name, number=number, place=place) from error
    conversation = Conversation(root=root)
    conversation.id = _safe_id(read.id)
    conversation.title = read.title
    return conversation


def _tree(listed: Sequence[_Message]) -> Message:
    """The messages below one another; returns their root. Raises _Broken."""
    messages: dict[str, Message] = {}
    for index, said in enumerate(listed):
        if (index == 0) != (said.role == "system"):
            raise _Broken(f"{index}.role")
        if said.id in messages:
            raise _Broken(f"{index}.id")
        if said.parent not in (messages if index else (None,)):
            raise _Broken(f"{index}.parent")
        try:
            message = messages[said.id] = _message(said)
        except ValueError as error:
            raise _Broken(f"{index}.record") from error
        if said.parent is not None:
            messages[said.parent].add(message)
    for index, said in enumerate(listed):
        if said.chosen is not None:
            message, chosen = messages[said.id], messages.get(said.chosen)
            if chosen is None or chosen.parent is not message:
                raise _Broken(f"{index}.chosen")
            message.chosen = message.replies.index(chosen)
    return messages[listed[0].id]


def _message(listed: _Message) -> Message:
    """Raises ValueError where its record or feedback is none."""
    return Message(
        listed.role,
        listed.content,
        listed.reasoning,
        None if listed.record is None else record_from_json(_with_valid_settings(listed.record)),
        None if listed.feedback is None else feedback_from_json(listed.feedback),
        listed.summary,
        id=_safe_id(listed.id),
        created=listed.created,
    )


def _with_valid_settings(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the settings that have impossible values: a file may come from anybody."""
    settings = record.get("settings")
    if not isinstance(settings, dict):
        raise ValueError("no record of an answer")
    try:
        GenerationSettings.model_validate(settings)
    except ValidationError as error:
        bad = {str(found["loc"][0]) for found in error.errors() if found["loc"]}
        kept = {name: value for name, value in settings.items() if name not in bad}
        return {**record, "settings": kept}
    return record


def _safe_id(id: str) -> str:
    """The id, which ends up in addresses and pages; another one where it is unfit for that."""
    return id if _ID.fullmatch(id) else new_id()
