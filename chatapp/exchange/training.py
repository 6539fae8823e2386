"""Training data from conversations, as LLaMA-Factory reads it.

The names of fields, columns and tags are those of its `data/README.md`
(https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md); every record has every
column, since its converters take one that is named in `dataset_info.json` for granted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

from chatapp.errors import ExchangeError
from chatapp.messages import Conversation, Message
from chatapp.records import storable

TrainingFormat = Literal["sharegpt", "alpaca", "openai"]
TRAINING_FORMATS: tuple[TrainingFormat, ...] = get_args(TrainingFormat)

Turn: TypeAlias = tuple[str, str]
"""A question and its answer."""


def training(
    conversations: Iterable[Conversation], format: TrainingFormat, *, good_only: bool = False
) -> list[dict[str, Any]]:
    """One record for each conversation that has an answered question: the path as it is now, once
    where a copy (`:fork`) says the same.

    Left out are turns without an answer, or whose answer was interrupted, stopped or cut off (and
    was not marked good), and whatever follows an answer that was marked bad, with its turn.

    With `good_only`, one record for each answer that was marked good, wherever in the tree it
    stands: all that led to it, and nothing after it. Where a later good answer follows, the
    earlier ones are part of its record and have none of their own.

    Reasoning stands in front of an answer as `<think>` block, which is where LLaMA-Factory
    expects it.
    """
    made = {"sharegpt": _sharegpt, "alpaca": _alpaca, "openai": _openai}[format]
    said: dict[tuple[str, tuple[Turn, ...]], None] = {}
    for conversation in conversations:
        ends = _good_ends(conversation.root) if good_only else [_end_of_path(conversation)]
        for end in ends:
            turns = _turns(end)
            if turns:
                said[conversation.system, tuple(turns)] = None
    return [made(system, turns) for system, turns in said]


def export_training(records: Sequence[dict[str, Any]]) -> str:
    """The records as the JSON file that LLaMA-Factory loads."""
    return storable(json.dumps(records, ensure_ascii=False, indent=2)) + "\n"


def dataset_info(file_name: str, format: TrainingFormat) -> dict[str, Any]:
    """What `dataset_info.json` says of a data file beside it."""
    if format == "alpaca":
        columns = {
            "prompt": "instruction",
            "query": "input",
            "response": "output",
            "system": "system",
            "history": "history",
        }
        return {"file_name": file_name, "columns": columns}
    if format == "sharegpt":
        return {
            "file_name": file_name,
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system"},
            "tags": {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": "human",
                "assistant_tag": "gpt",
            },
        }
    return {
        "file_name": file_name,
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


def add_dataset(text: str, name: str, info: dict[str, Any], path: object) -> str:
    """`dataset_info.json` with one more entry (or that one anew); "" where there is none yet.

    In ASCII: LLaMA-Factory reads it in the encoding of the machine's locale. Raises ExchangeError
    where the text of the file at `path` is no such file.
    """
    try:
        entries = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ExchangeError("exchange-dataset-info", path=path) from error
    if not isinstance(entries, dict):
        raise ExchangeError("exchange-dataset-info", path=path)
    entries[name] = info
    return json.dumps(entries, indent=2) + "\n"


def _sharegpt(system: str, turns: Sequence[Turn]) -> dict[str, Any]:
    said = []
    for question, answer in turns:
        said += [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"conversations": said, "system": system}


def _alpaca(system: str, turns: Sequence[Turn]) -> dict[str, Any]:
    *history, (question, answer) = turns
    return {
        "instruction": question,
        "input": "",
        "output": answer,
        "system": system,
        "history": [list(turn) for turn in history],
    }


def _openai(system: str, turns: Sequence[Turn]) -> dict[str, Any]:
    said = [{"role": "system", "content": system}] if system else []
    for question, answer in turns:
        said.append({"role": "user", "content": question})
        said.append({"role": "assistant", "content": answer})
    return {"messages": said}


def _end_of_path(conversation: Conversation) -> Message:
    """The last message before the first answer that was marked bad."""
    end = conversation.root
    for message in conversation.path:
        if _is_bad(message):
            break
        end = message
    return end


def _good_ends(root: Message) -> list[Message]:
    """The good answers that no good one follows and that no bad one precedes."""
    good = [message for message in _up_to_bad(root) if _is_good(message)]
    followed: set[int] = set()
    for message in good:
        above = message.parent
        while above is not None and id(above) not in followed:
            followed.add(id(above))
            above = above.parent
    return [message for message in good if id(message) not in followed]


def _up_to_bad(root: Message) -> Iterator[Message]:
    """The messages below, without bad answers and what follows them."""
    waiting = [root]
    while waiting:
        message = waiting.pop()
        if not _is_bad(message):
            yield message
            waiting += reversed(message.replies)


def _turns(end: Message) -> list[Turn]:
    """The questions with a whole answer that lead to a message."""
    return [
        (message.parent.content, _with_reasoning(message))
        for message in _line(end)
        if message.role == "assistant"
        and message.parent is not None
        and message.parent.role == "user"
        and message.parent.content.strip()
        and _is_whole(message)
    ]


def _line(end: Message) -> list[Message]:
    """From the root to a message, itself included."""
    line, above = [end], end.parent
    while above is not None:
        line.append(above)
        above = above.parent
    return line[::-1]


def _with_reasoning(answer: Message) -> str:
    if not answer.reasoning.strip():
        return answer.content
    return f"<think>\n{answer.reasoning.strip()}\n</think>\n\n{answer.content}"


def _is_whole(answer: Message) -> bool:
    if not answer.content.strip() or answer.writing:
        return False
    if answer.record is None or _is_good(answer):
        return True
    return answer.finished is not None and answer.finished.reason == "stop"


def _is_good(message: Message) -> bool:
    return message.feedback is not None and message.feedback.good and message.said_something


def _is_bad(message: Message) -> bool:
    return message.feedback is not None and not message.feedback.good
