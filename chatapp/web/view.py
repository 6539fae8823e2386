"""What the page shows, computed from plain values: pure functions, no Gradio."""

from __future__ import annotations

import html
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from chatapp.context import Outlook
from chatapp.errors import ChatError
from chatapp.events import Finished, Progress
from chatapp.messages import Conversation, Message, cut_at_word
from chatapp.settings import SETTING_NAMES, GenerationSettings, limits
from chatapp.stats import progress_line, stats_line
from chatapp.texts import Sentence, Texts
from chatapp.web.tags import escape_tags

SHOWN_MESSAGES = 40
"""A browser gets slow with more; the earlier ones stay in the conversation."""
SLIDER_RANGE = 1000
"""The widest range of numbers that a slider can still be aimed at."""
SLOWEST_PAUSE = 0.4
SHARE_IN_WORDS = 0.7
"""How full the context is when the meter says it in words: what an answer's figures name is what
was sent for it, which is less once turns are left out.
"""

Kind = Literal["checkbox", "slider", "number", "text"]
ShownMessage: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Control:
    """How one setting is shown in the side panel."""

    name: str
    kind: Kind
    description: str
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None


def controls(supports: Collection[str], texts: Texts) -> list[Control]:
    """A control for every setting that the engine honours, in the schema's order."""
    return [_control(name, texts) for name in SETTING_NAMES if name in supports]


def _control(name: str, texts: Texts) -> Control:
    declared = GenerationSettings.model_fields[name]
    description = texts.describe(f"setting.{name}", declared.description or "")
    if declared.annotation is bool:
        return Control(name, "checkbox", description)
    low, high = limits(name)
    if low is None or high is None:
        return Control(name, "text", description)
    step = 1 if declared.annotation is int else 0.01
    kind: Kind = "slider" if high - low <= SLIDER_RANGE else "number"
    return Control(name, kind, description, low, high, step)


def value(settings: GenerationSettings, name: str) -> bool | float | str:
    """What the control of a setting shows; several texts stand as a JSON list."""
    held: bool | float | tuple[str, ...] = getattr(settings, name)
    if not isinstance(held, tuple):
        return held
    if len(held) == 1 and held[0][0] not in '["':
        return held[0]
    return json.dumps(held, ensure_ascii=False) if held else ""


def differences(settings: GenerationSettings, values: Mapping[str, object]) -> dict[str, object]:
    """Those of the controls' values that a person changed."""
    return {
        name: "" if shown is None else shown  # an emptied number field
        for name, shown in values.items()
        if shown != value(settings, name)
    }


def messages(path: Sequence[Message], texts: Texts) -> list[ShownMessage]:
    """The last messages as Gradio's chatbot takes them, each answer after its reasoning.

    Texts go in blocks: a bare string would be dedented and its tabs expanded.
    """
    shown: list[ShownMessage] = []
    for message in path[hidden(path) :]:
        if message.reasoning:
            pending = message.writing and not message.content
            title = texts("page-thinking" if pending else "page-thought")
            metadata = {"title": title, "status": "pending" if pending else "done"}
            shown.append(_shown("assistant", message.reasoning) | {"metadata": metadata})
        if message.content:
            shown.append(_shown(message.role, message.content))
    return shown


def _shown(role: str, text: str) -> ShownMessage:
    if role == "assistant":  # questions are shown as they were typed, see `assets/page.js`
        text = escape_tags(text)
    return {"role": role, "content": [{"type": "text", "text": text}]}


def hidden(path: Sequence[Message]) -> int:
    """How many of the first messages are not shown; the first that is shown is a question."""
    first = max(0, len(path) - SHOWN_MESSAGES)
    while 0 < first < len(path) - 1 and path[first].role != "user":
        first += 1
    return first


def earlier_line(path: Sequence[Message], private: bool, texts: Texts) -> str:
    """HTML above the messages: how many are not shown, and whether they are stored."""
    count = hidden(path)
    said = _paragraph("earlier", texts("page-earlier", count=count)) if count else ""
    return said + (_paragraph("note", texts("page-is-private")) if private and path else "")


def status(
    finished: Finished | None,
    context_length: int | None,
    progress: Progress | None,
    turns_left_out: int,
    errors: Iterable[ChatError | None],
    texts: Texts,
    notes: Iterable[Sentence] = (),
) -> str:
    """HTML under the conversation: what goes on or went wrong, else the last answer's figures."""
    lines = []
    for error in filter(None, errors):
        lines.append(_paragraph("error", texts(error.sentence), role="alert"))
    lines += [_paragraph("note", texts(note)) for note in notes]
    if turns_left_out:
        lines.append(_paragraph("note", texts("turns-left-out", count=turns_left_out)))
    if progress is not None:
        lines.append(_paragraph("progress", progress_line(progress, texts)))
    elif finished is not None:
        lines.append(_paragraph("figures", stats_line(finished, context_length, texts)))
    return "".join(lines)


def taken_back(conversation: Conversation, texts: Texts) -> str:
    """HTML: a question that was asked where the conversation ends now, and how to have it back."""
    end = conversation.path[-1] if conversation.path else conversation.root
    answered = [question for question in end.replies if question.replies]
    if end.following is not None or not answered:
        return ""
    question = answered[-1]
    said = html.escape(texts("page-taken-back", question=cut_at_word(question.content)))
    redo = html.escape(texts("page-redo"))
    return (
        f'<p class="taken-back" role="status">{said} '
        f'<button data-do="redo" data-message="{html.escape(question.id)}">{redo}</button></p>'
    )


def meter(outlook: Outlook | None, texts: Texts) -> str:
    """HTML: how full the context is, and a warning before something is left out."""
    if outlook is None or not outlook.context:
        return ""
    said = texts("page-meter", used=outlook.used, context=outlook.context)
    share = min(1.0, outlook.share or 0.0)
    kind = "meter full" if outlook.is_nearly_full else "meter"
    bar = (
        f'<div class="{kind}" role="meter" aria-valuemin="0" aria-valuemax="{outlook.context}" '
        f'aria-valuenow="{outlook.used}" aria-label="{html.escape(said)}" '
        f'title="{html.escape(said)}"><span style="width: {share:.1%}"></span></div>'
    )
    if share >= SHARE_IN_WORDS:
        bar += _paragraph("figures", said)
    if outlook.turns_left_out:
        bar += _paragraph("note", texts("page-left-out-next", count=outlook.turns_left_out))
    elif outlook.is_nearly_full:
        bar += _paragraph("note", texts("page-nearly-full"))
    return bar


def downloads(id: str, texts: Texts) -> str:
    """HTML: a chat's files to fetch."""
    links = "".join(
        f'<a href="export/{html.escape(id)}.{kind}" download>{name}</a>'
        for kind, name in (("md", "Markdown"), ("json", "JSON"))
    )
    summary = html.escape(texts("page-download"))
    return f"<details><summary>{summary}</summary><div>{links}</div></details>"


def header(model: str, notices: Sequence[str], logo: str) -> str:
    """HTML at the top: the logo (SVG), the model's name, what to know about it."""
    said = "".join(_paragraph("note", notice) for notice in notices)
    return f"<div>{logo}<h1>{html.escape(model)}</h1></div>{said}"


def _paragraph(kind: str, text: str, role: str = "status") -> str:
    return f'<p class="{kind}" role="{role}">{html.escape(text)}</p>'


def pause(shown: int) -> float:
    """Seconds between two updates of a page with so many messages."""
    return min(SLOWEST_PAUSE, 0.09 + 0.002 * min(shown, SHOWN_MESSAGES))
