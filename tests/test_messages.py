"""The conversation is a tree: views show its path, nothing that was said is lost."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatapp.events import Finished, Reason, Timings, Usage
from chatapp.messages import AnswerRecord, Conversation, Feedback, Message, cut_at_word
from chatapp.settings import GenerationSettings


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in conversation.path]


def answered(conversation: Conversation, question: str, answer: str) -> Message:
    return conversation.ask(question).reply(Message("assistant", answer))


def everything(message: Message) -> list[Message]:
    return [message, *(below for reply in message.replies for below in everything(reply))]


def test_a_new_conversation_has_no_question_and_nothing_to_send() -> None:
    conversation = Conversation()
    assert conversation.path == []
    assert conversation.question is conversation.answer is conversation.undo() is None
    assert conversation.turn == 0
    assert conversation.prompt() == []


def test_questions_and_answers_follow_one_another() -> None:
    conversation = Conversation("Be brief.")
    answered(conversation, "one?", "1")
    last = answered(conversation, "two?", "2")
    assert said(conversation) == [
        ("user", "one?"),
        ("assistant", "1"),
        ("user", "two?"),
        ("assistant", "2"),
    ]
    assert conversation.turn == 2
    assert conversation.question is not None and conversation.question.content == "two?"
    assert conversation.answer is last


def test_undo_takes_back_the_last_question_with_its_answer_and_returns_it() -> None:
    conversation = Conversation()
    answered(conversation, "one?", "1")
    answered(conversation, "two?", "2")
    taken = conversation.undo()
    assert taken is not None and taken.content == "two?"
    assert said(conversation) == [("user", "one?"), ("assistant", "1")]
    conversation.undo()
    assert conversation.path == []
    assert conversation.undo() is None


def test_undo_takes_back_an_unanswered_question_alone() -> None:
    conversation = Conversation()
    answered(conversation, "one?", "1")
    conversation.ask("two?")
    conversation.undo()
    assert said(conversation) == [("user", "one?"), ("assistant", "1")]


def test_what_was_undone_or_cleared_stays_in_the_tree() -> None:
    conversation = Conversation()
    answered(conversation, "one?", "1")
    conversation.undo()
    answered(conversation, "two?", "2")
    conversation.clear()
    assert conversation.path == []
    answered(conversation, "three?", "3")
    assert {message.content for message in everything(conversation.root)} == {
        *("", "one?", "1", "two?", "2", "three?", "3")
    }
    assert said(conversation) == [("user", "three?"), ("assistant", "3")]


def test_another_answer_is_a_version_beside_the_earlier_one() -> None:
    conversation = Conversation()
    first = answered(conversation, "one?", "1")
    question = conversation.question
    assert question is not None
    second = question.reply(Message("assistant", "one"))
    assert conversation.answer is second
    assert question.replies == [first, second]
    question.chosen = 0
    assert conversation.answer is first


def test_a_withdrawn_reply_gives_its_place_back_to_the_earlier_one() -> None:
    question = Message("user", "?")
    first = question.reply(Message("assistant", "1"))
    second = question.reply(Message("assistant"))
    question.withdraw(second, earlier=first)
    assert question.following is first


def test_a_withdrawn_reply_leaves_the_one_chosen_meanwhile_in_place() -> None:
    question = Message("user", "?")
    first = question.reply(Message("assistant"))
    second = question.reply(Message("assistant", "2"))
    question.withdraw(first, earlier=None)
    assert question.following is second


def test_a_withdrawn_reply_does_not_bring_back_a_question_that_was_undone() -> None:
    question = Message("user", "?")
    first = question.reply(Message("assistant", "1"))
    second = question.reply(Message("assistant"))
    question.chosen = None
    question.withdraw(second, earlier=first)
    assert question.following is None


def test_two_replies_withdrawn_in_any_order_leave_nothing() -> None:
    for newest_first in (True, False):
        question = Message("user", "?")
        first = question.reply(Message("assistant"))
        second = question.reply(Message("assistant"))
        pair = [(second, first), (first, None)]
        for reply, earlier in pair if newest_first else reversed(pair):
            question.withdraw(reply, earlier)
        assert question.replies == []
        assert question.following is None


def test_the_prompt_is_the_answered_turns_and_the_last_question() -> None:
    conversation = Conversation("Be brief.")
    answered(conversation, "one?", "1")
    conversation.ask("two?")
    assert [message.content for message in conversation.prompt()] == [
        "Be brief.",
        "one?",
        "1",
        "two?",
    ]


def test_the_prompt_for_another_answer_leaves_the_present_one_out() -> None:
    conversation = Conversation()
    answered(conversation, "one?", "1")
    assert [message.content for message in conversation.prompt()] == ["one?"]


def test_a_question_that_never_got_an_answer_is_shown_but_not_sent_again() -> None:
    conversation = Conversation()
    answered(conversation, "one?", "1")
    conversation.ask("what it failed at")
    conversation.ask("two?")
    assert conversation.path[2].content == "what it failed at"
    assert [message.content for message in conversation.prompt()] == ["one?", "1", "two?"]


def test_the_system_prompt_is_sent_only_where_there_is_one_and_can_be_changed() -> None:
    conversation = Conversation()
    conversation.ask("one?")
    assert [message.role for message in conversation.prompt()] == ["user"]
    conversation.system = "Be brief."
    assert [message.role for message in conversation.prompt()] == ["system", "user"]
    assert conversation.system == conversation.root.content == "Be brief."


def three_turns() -> Conversation:
    conversation = Conversation("Be brief.")
    for question, answer in (("one?", "1"), ("two?", "2"), ("three?", "3")):
        answered(conversation, question, answer)
    return conversation


def test_undo_takes_back_as_many_turns_as_are_asked_for() -> None:
    for count, left, taken in ((0, 6, None), (1, 4, "three?"), (2, 2, "two?"), (9, 0, "one?")):
        conversation = three_turns()
        earliest = conversation.undo(count)
        assert len(conversation.path) == left
        assert (earliest.content if earliest else None) == taken


def test_an_edited_question_is_another_version_and_what_followed_stays_with_the_earlier() -> None:
    conversation = three_turns()
    second = conversation.path[2]
    edited = conversation.edit(second, "zwei?")
    assert [text for _, text in said(conversation)] == ["one?", "1", "zwei?"]
    assert edited.versions == [second, edited]
    conversation.choose(second)
    assert [text for _, text in said(conversation)] == ["one?", "1", "two?", "2", "three?", "3"]


def test_an_edited_answer_is_a_persons() -> None:
    conversation = three_turns()
    answer = conversation.path[1]
    answer.record = AnswerRecord("scripted", "m", GenerationSettings())
    edited = conversation.edit(answer, "uno")
    assert said(conversation) == [("user", "one?"), ("assistant", "uno")]
    assert edited.record is None and not edited.interrupted and answer.record is not None


def test_a_version_off_the_path_can_be_edited_and_is_gone_on_with() -> None:
    conversation = three_turns()
    conversation.undo(2)
    off = next(one for one in conversation.root.tree() if one.content == "3")
    conversation.edit(off, "three!")
    assert [text for _, text in said(conversation)] == [
        "one?",
        "1",
        "two?",
        "2",
        "three?",
        "three!",
    ]


def test_the_system_prompt_has_no_versions() -> None:
    conversation = Conversation("Be brief.")
    with pytest.raises(ValueError, match="no versions"):
        conversation.edit(conversation.root, "Be long.")


def test_three_answers_and_the_branch_below_each_are_all_reachable() -> None:
    conversation = Conversation()
    first = answered(conversation, "one?", "1")
    question = conversation.path[0]
    others = [question.reply(Message("assistant", text)) for text in ("uno", "eins")]
    for answer in (first, *others):
        conversation.choose(answer)
        answered(conversation, f"after {answer.content}?", "yes")
    for answer in first.versions:
        conversation.choose(answer)
        assert [text for _, text in said(conversation)] == [
            *("one?", answer.content, f"after {answer.content}?", "yes")
        ]


def test_replies_stand_in_the_order_of_their_age() -> None:
    question = Message("user", "?")
    late = question.reply(Message("assistant", "late", created=3.0))
    for created in (1.0, 2.0, 4.0):
        question.add(Message("assistant", str(created), created=created))
    assert [reply.created for reply in question.replies] == [1.0, 2.0, 3.0, 4.0]
    assert question.following is late


def test_a_fork_is_a_copy_of_the_path_that_shares_nothing() -> None:
    conversation = three_turns()
    conversation.path[1].feedback = Feedback(True)
    conversation.path[3].writing = True
    fork = conversation.fork(conversation.path[3])
    assert said(fork) == said(conversation)[:4]
    assert fork.system == "Be brief." and fork.id != conversation.id
    ids = {message.id for message in everything(conversation.root)}
    assert not ids & {message.id for message in everything(fork.root)}
    assert fork.path[1].feedback == Feedback(True) and not fork.path[3].writing
    answered(fork, "more?", "!")
    assert len(conversation.path) == 6
    assert len(conversation.fork().path) == 6


def test_a_summary_stands_in_the_prompt_for_what_came_before_it() -> None:
    conversation = three_turns()
    conversation.path[4].summary = "They counted."
    system, *sent = conversation.prompt(Message("user", "four?"))
    assert system.content == "Be brief.\n\nSummary of the conversation so far:\nThey counted."
    assert [message.content for message in sent] == ["three?", "3", "four?"]
    conversation.system = ""
    assert conversation.prompt()[0].content == "Summary of the conversation so far:\nThey counted."


def test_before_its_question_and_on_another_branch_a_summary_is_not_sent() -> None:
    conversation = three_turns()
    question = conversation.path[4]
    question.summary = "They counted."
    until = conversation.prompt(Message("user", "sum up"), until=question)
    assert [message.content for message in until] == [
        "Be brief.",
        *("one?", "1", "two?", "2"),
        "sum up",
    ]
    conversation.edit(conversation.path[2], "zwei?")
    assert conversation.prompt()[0].content == "Be brief."


def test_an_edited_question_keeps_the_summary_of_what_came_before_it() -> None:
    conversation = three_turns()
    conversation.path[4].summary = "They counted."
    conversation.edit(conversation.path[4], "drei?")
    system, *sent = conversation.prompt()
    assert system.content.endswith("They counted.")
    assert [message.content for message in sent] == ["drei?"]


def record(reason: Reason | None = None) -> AnswerRecord:
    end = Finished(reason, Usage(1, 1), Timings(None, 1.0), seed=1) if reason else None
    return AnswerRecord("scripted", "m", GenerationSettings(), end)


@pytest.mark.parametrize(
    ("answer", "goes_on", "interrupted"),
    [
        (Message("assistant", "by a person"), True, False),
        (Message("assistant", "a", record=record()), True, True),
        (Message("assistant", "a", record=record(), writing=True), False, False),
        (Message("assistant", "a", record=record("stop")), False, False),
        (Message("assistant", "a", record=record("length")), True, False),
        (Message("assistant", "a", record=record("stopped")), True, False),
        (Message("assistant", "", "thought", record=record("stopped")), True, False),
        (Message("assistant", "", record=record("stopped")), False, False),
        (Message("user", "a"), False, False),
    ],
)
def test_which_answers_can_go_on_and_which_were_interrupted(
    answer: Message, goes_on: bool, interrupted: bool
) -> None:
    assert (answer.can_go_on, answer.interrupted) == (goes_on, interrupted)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""),
        ("\n  \n", ""),
        ("\n  What is   it?\nmore", "What is it?"),
        ("```python\nprint()\n```", "print()"),
        ("word " * 30, "word word word…"),
        ("x" * 30, "x" * 14 + "…"),
        ("杭州" * 20, "杭州" * 7 + "…"),
        ("fifteen letters", "fifteen letters"),
    ],
)
def test_a_name_is_the_first_line_that_says_anything_cut_at_a_word(text: str, name: str) -> None:
    assert cut_at_word(text, 15) == name
    assert len(cut_at_word(text, 15)) <= 15


def test_a_conversation_is_named_by_its_title_or_by_its_first_question() -> None:
    conversation = three_turns()
    assert conversation.name == "one?"
    conversation.title = "Counting"
    assert conversation.name == "Counting"
    assert Conversation("system").name == ""


def test_what_was_taken_back_still_names_a_conversation() -> None:
    conversation = Conversation("system")
    conversation.ask("one?")
    conversation.undo()
    assert conversation.name == "one?"
    conversation.ask("two?")
    assert conversation.name == "two?"


class Chatting(RuleBasedStateMachine):
    """Anything a person may do, in any order, beside a plain list of what should be shown."""

    def __init__(self) -> None:
        super().__init__()
        self.conversation = Conversation("system")
        self.expected: list[tuple[str, str]] = []
        self.ever: set[Message] = set()
        self.count = 0

    def text(self) -> str:
        self.count += 1
        return f"text {self.count}"

    def asked(self) -> bool:
        return bool(self.expected)

    @rule()
    def ask(self) -> None:
        self.ever.add(self.conversation.ask(text := self.text()))
        self.expected.append(("user", text))

    def begin_answer(self) -> Message:
        question = self.conversation.question
        assert question is not None
        return question.reply(Message("assistant"))

    @rule()
    @precondition(asked)
    def answer_or_regenerate(self) -> None:
        answer = self.begin_answer()
        answer.content = self.text()
        self.ever.add(answer)
        if self.expected[-1][0] == "assistant":
            self.expected.pop()
        self.expected.append(("assistant", answer.content))

    @rule()
    @precondition(asked)
    def begin_an_answer_that_never_comes(self) -> None:
        question = self.conversation.question
        assert question is not None
        earlier = question.following
        question.withdraw(self.begin_answer(), earlier)

    @rule()
    def undo(self) -> None:
        taken = self.conversation.undo()
        assert (taken is not None) == bool(self.expected)
        while self.expected and self.expected.pop()[0] == "assistant":
            pass

    @rule()
    def clear(self) -> None:
        self.conversation.clear()
        self.expected = []

    @rule(text=st.text(max_size=5))
    def change_the_system_prompt(self, text: str) -> None:
        self.conversation.system = text

    @invariant()
    def the_path_is_what_was_said(self) -> None:
        assert said(self.conversation) == self.expected

    @invariant()
    def nothing_that_was_said_is_lost(self) -> None:
        assert self.ever <= set(everything(self.conversation.root))

    @invariant()
    def an_answer_follows_only_a_question(self) -> None:
        roles = [role for role, _ in self.expected]
        assert all(
            before == "user"
            for before, role in zip(["system", *roles], roles, strict=False)
            if role == "assistant"
        )

    @invariant()
    @precondition(asked)
    def what_is_sent_alternates_and_ends_with_the_last_question(self) -> None:
        sent = [message for message in self.conversation.prompt() if message.role != "system"]
        assert [message.role for message in sent] == [
            "assistant" if index % 2 else "user" for index in range(len(sent))
        ]
        assert sent[-1] is self.conversation.question


TestChatting = Chatting.TestCase
TestChatting.settings = settings(max_examples=60, stateful_step_count=25)
