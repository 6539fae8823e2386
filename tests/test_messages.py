"""The conversation is a tree: views show its path, nothing that was said is lost."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatapp.messages import Conversation, Message


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
