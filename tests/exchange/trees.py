"""Random conversations, and when two are equal."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from chatapp.events import Finished, Timings, Usage
from chatapp.messages import AnswerRecord, Conversation, Feedback, Message
from chatapp.records import feedback_as_json, record_as_json
from chatapp.settings import GenerationSettings

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
words = texts.filter(bool)

settings = st.builds(
    GenerationSettings,
    temperature=st.floats(0, 2),
    top_k=st.integers(0, 1000),
    do_sample=st.booleans(),
    stop=st.lists(st.text("ab<>", min_size=1, max_size=5), max_size=3).map(tuple),
    seed=st.integers(0, 2**32 - 1),
)
finished = st.builds(
    Finished,
    st.sampled_from(["stop", "length", "stopped"]),
    st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6)),
    st.builds(Timings, st.none() | st.floats(0, 1e6), st.floats(0, 1e6)),
    st.integers(0, 2**32 - 1),
)
records = st.builds(AnswerRecord, words, texts, settings, st.none() | finished)
feedback = st.builds(Feedback, st.booleans(), texts)
questions = st.builds(Message, st.just("user"), words, summary=texts)
answers = st.builds(
    Message,
    st.just("assistant"),
    words,
    texts,
    st.none() | records,
    st.none() | feedback,
)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A tree of up to a dozen messages with branches, some of them chosen."""
    conversation = Conversation(draw(texts))
    conversation.title = draw(words.map(str.strip) | st.just(""))
    messages = [conversation.root]
    for number in range(draw(st.integers(1, 12))):
        above = draw(st.sampled_from(messages))
        message = draw(answers if above.role == "user" else questions)
        message.created = conversation.created + number
        above.add(message)
        messages.append(message)
    for message in messages:
        message.chosen = draw(st.sampled_from([None, *range(len(message.replies))]))
    return conversation


def everything(conversation: Conversation, *, ids: bool = True) -> list[Any]:
    """All there is of a conversation, as plain values: equal ones are equal conversations."""
    tree = list(conversation.root.tree())
    numbers: dict[str | None, object] = {said.id: place for place, said in enumerate(tree)}
    if ids:
        numbers = {id: id for id in numbers}
    numbers[None] = None
    return [
        conversation.title,
        conversation.id if ids else None,
        *(
            (
                numbers[said.id],
                numbers[said.parent.id if said.parent else None],
                said.role,
                said.content,
                said.reasoning,
                said.summary,
                said.created,
                said.chosen,
                record_as_json(said.record) if said.record else None,
                feedback_as_json(said.feedback) if said.feedback else None,
                [numbers[reply.id] for reply in said.replies],
            )
            for said in tree
        ),
    ]
