"""How the parts of a message that are not text are written down, as JSON: records and feedback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chatapp.events import Finished
from chatapp.messages import AnswerRecord, Feedback
from chatapp.settings import SETTING_NAMES, GenerationSettings

_FINISHED = TypeAdapter(Finished)
_FEEDBACK = TypeAdapter(Feedback)


def record_as_json(record: AnswerRecord) -> dict[str, Any]:
    """Plain values: strings, numbers, lists and mappings."""
    return {
        "engine": record.engine,
        "model": record.model,
        "settings": record.settings.model_dump(mode="json"),
        "finished": asdict(record.finished) if record.finished else None,
    }


def record_from_json(found: Mapping[str, Any]) -> AnswerRecord:
    """The record again. What another version of the program knew of the settings and this one
    does not is left out. Raises ValueError where it is none.
    """
    try:
        finished = found["finished"]
        return AnswerRecord(
            str(found["engine"]),
            str(found["model"]),
            _settings(found["settings"]),
            None if finished is None else _FINISHED.validate_python(finished),
        )
    except (KeyError, TypeError) as error:
        raise ValueError("no record of an answer") from error


def _settings(found: Mapping[str, Any]) -> GenerationSettings:
    known = {name: value for name, value in found.items() if name in SETTING_NAMES}
    try:
        return GenerationSettings.model_validate(known)
    except ValidationError:  # limits that have changed since
        return GenerationSettings.model_construct(**known)


def feedback_as_json(feedback: Feedback) -> dict[str, Any]:
    return asdict(feedback)


def feedback_from_json(found: Mapping[str, Any]) -> Feedback:
    """Raises ValueError where it is none."""
    return _FEEDBACK.validate_python(found)


def packed(value: Mapping[str, Any]) -> str:
    """JSON in one short line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def storable(text: str) -> str:
    """The text with halves of surrogate pairs, which no encoding takes, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
