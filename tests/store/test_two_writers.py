"""Two processes at one conversation: the later one branches, nothing of either is lost."""

from __future__ import annotations

from pathlib import Path

from chatapp.messages import Conversation, Message
from chatapp.store import Kept, Store


def one_conversation_opened_twice(folder: Path) -> tuple[Kept, Kept]:
    first = Store(folder).chats().add(Conversation("Be brief."))
    first.conversation.ask("one?").reply(Message("assistant", "It is"))
    first.keep()
    return first, Store(folder).chats().open(first.conversation.id)


def texts(kept: Kept) -> list[str]:
    return [message.content for message in kept.conversation.path]


def test_two_questions_at_the_same_place_become_versions_and_the_later_is_gone_on_with(
    tmp_path: Path,
) -> None:
    first, second = one_conversation_opened_twice(tmp_path)
    first.conversation.ask("earlier?")
    first.keep()
    second.conversation.ask("later?")
    second.keep()
    for kept in (first, second):
        kept.refresh()
        assert texts(kept) == ["one?", "It is", "later?"]
        assert [said.content for said in kept.conversation.path[2].versions] == [
            "earlier?",
            "later?",
        ]


def test_an_answer_that_two_write_on_at_becomes_two_versions(tmp_path: Path) -> None:
    first, second = one_conversation_opened_twice(tmp_path)
    for kept, more in ((first, " blue."), (second, " green.")):
        answer = kept.conversation.answer
        assert answer is not None
        answer.content += more
        kept.keep()
        answer.content += " Truly."
        kept.keep()
    for kept in (first, second, Store(tmp_path).chats().open(first.conversation.id)):
        kept.refresh()
        answer = kept.conversation.answer
        assert answer is not None
        assert sorted(said.content for said in answer.versions) == [
            "It is blue. Truly.",
            "It is green. Truly.",
        ]
        assert answer.content == "It is green. Truly."
