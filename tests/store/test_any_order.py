"""Anything a person may do, in any order, in two windows at once: nothing is lost or mixed up.

The two windows are two stores of one file, as two processes have them. What was said is compared
in memory, on disk, and in the index of the words.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chatapp.chat import compact, go_on, respond
from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import CommandError, GenerationError, StoreError
from chatapp.events import ChatStream
from chatapp.messages import Conversation, Feedback, Message
from chatapp.settings import GenerationSettings
from chatapp.store import Kept, Store
from tests.store.trees import tree_of, words_agree

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where waiting for the disk takes no time; no crash of the machine is tested here."""
Who = st.integers(0, 1)
Which = st.integers(0, 1000)


class Window:
    """A face: its store, the conversation as it has it, and the answer that is being written."""

    def __init__(self, folder: Path, conversation: Conversation | str) -> None:
        self.store = Store(folder)
        chats = self.store.chats()
        new = isinstance(conversation, Conversation)
        self.kept: Kept = chats.add(conversation) if new else chats.open(conversation)  # type: ignore[arg-type]
        self.cancel = threading.Event()
        self.answering: ChatStream | None = None

    @property
    def conversation(self) -> Conversation:
        return self.kept.conversation

    def pick(self, which: int, fits: Callable[[Message], bool] = lambda _: True) -> Message | None:
        tree = [said for said in self.conversation.root.tree() if said.parent and fits(said)]
        return tree[which % len(tree)] if tree else None

    def end_answer(self) -> None:
        if self.answering is not None:
            self.answering.close()
            self.answering = None


class TwoWindows(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="chatapp-test-", dir=MEMORY))
        self.patch = patch("chatapp.chat.SECONDS_UNSTORED", 0.0)
        self.patch.start()
        self.said = 0
        self.ever: set[str] = set()
        """What was stored, and never deleted for good."""
        first = Window(self.folder, Conversation("Be brief."))
        self.windows = [first]
        self.ask(0, again=False)
        self.windows.append(Window(self.folder, first.conversation.id))

    # --- what they do

    def text(self, words: int = 2) -> str:
        self.said += 1
        return f"text{self.said} " + "杭州 said " * words

    def keep(self, window: Window) -> None:
        window.kept.keep()
        assert window.kept.failure is None
        with window.store._database.reading() as connection:
            self.ever.update(
                content
                for (content,) in connection.execute(
                    "SELECT content FROM messages JOIN chats ON chats.number = chat"
                    " WHERE chats.id = ?",
                    (window.conversation.id,),
                )
            )

    @rule(who=Who, again=st.booleans())
    def ask(self, who: int, again: bool) -> None:
        window = self.windows[who]
        if again:
            window.kept.refresh()
        window.conversation.ask(self.text())
        self.keep(window)

    @rule(who=Who, kind=st.sampled_from(["respond", "go on"]), words=st.integers(0, 4))
    def begin_an_answer(self, who: int, kind: str, words: int) -> None:
        window = self.windows[who]
        conversation, answer = window.conversation, window.conversation.answer
        if window.answering is not None or conversation.question is None:
            return
        pieces = [self.text(0) for _ in range(words)]
        error = GenerationError("engine-closed") if words == 4 else None
        engine = ScriptedEngine([Script(pieces, error=error)])
        call = respond
        if kind == "go on" and answer is not None and answer.can_go_on:
            call = go_on
        window.cancel = threading.Event()
        window.answering = call(
            engine, conversation, GenerationSettings(), window.cancel, keep=window.kept.keep
        )

    @rule(who=Who, steps=st.integers(1, 8), stop=st.booleans())
    def hear_more_of_it(self, who: int, steps: int, stop: bool) -> None:
        window = self.windows[who]
        if window.answering is None:
            return
        if stop:
            window.cancel.set()
        try:
            for _ in range(steps):
                next(window.answering)
        except (StopIteration, GenerationError, ValueError):  # undone before it began
            window.answering = None

    @rule(who=Who)
    def close_the_answer(self, who: int) -> None:
        self.windows[who].end_answer()

    @rule(who=Who, which=Which)
    def edit(self, who: int, which: int) -> None:
        window = self.windows[who]
        message = window.pick(which)
        if message is not None:
            window.conversation.edit(message, self.text())
            self.keep(window)

    @rule(who=Who, count=st.integers(1, 3))
    def undo(self, who: int, count: int) -> None:
        self.windows[who].conversation.undo(count)
        self.keep(self.windows[who])

    @rule(who=Who, which=Which)
    def choose_a_version(self, who: int, which: int) -> None:
        window = self.windows[who]
        message = window.pick(which)
        if message is not None:
            window.conversation.choose(message)
            self.keep(window)

    @rule(who=Who, which=Which)
    def give_feedback(self, who: int, which: int) -> None:
        window = self.windows[who]
        message = window.pick(which, lambda said: said.role == "assistant")
        if message is not None:
            message.feedback = Feedback(bool(which % 2), self.text(0))
            self.keep(window)

    @rule(who=Who, title=st.sampled_from(["", "a title", "另一个"]))
    def rename(self, who: int, title: str) -> None:
        self.windows[who].conversation.title = title
        self.keep(self.windows[who])

    @rule(who=Who)
    def clear(self, who: int) -> None:
        self.windows[who].conversation.clear()
        self.keep(self.windows[who])

    @rule(who=Who, context=st.sampled_from([None, 40, 80]), fails=st.booleans())
    def sum_up(self, who: int, context: int | None, fails: bool) -> None:
        window = self.windows[who]
        before = [said.content for said in window.conversation.path]
        error = GenerationError("engine-closed") if fails else None
        engine = ScriptedEngine(
            [Script([self.text(0)], error=error) for _ in range(9)], context_length=context
        )
        try:
            list(
                compact(
                    engine,
                    window.conversation,
                    GenerationSettings(max_new_tokens=8),
                    threading.Event(),
                    keep=window.kept.keep,
                )
            )
        except (CommandError, GenerationError):
            pass
        assert [said.content for said in window.conversation.path] == before

    @rule(who=Who, which=Which)
    def fork(self, who: int, which: int) -> None:
        window = self.windows[who]
        path = window.conversation.path
        if not path:
            return
        last = path[which % len(path)]
        copy = window.conversation.fork(last)
        chats = window.store.chats()
        chats.add(copy).keep()
        expected = [said.content for said in path[: path.index(last) + 1]]
        if len(expected) > 1 or expected[0]:
            opened = chats.open(copy.id).conversation
            assert tree_of(opened) == tree_of(copy)
            assert [said.content for said in opened.path] == expected

    @rule(who=Who)
    def chat_in_private(self, who: int) -> None:
        copy = self.windows[who].conversation.fork()
        copy.ask("a secret")
        for _ in respond(ScriptedEngine(), copy, GenerationSettings(), threading.Event()):
            pass
        assert self.windows[who].store.chats().find(copy.id) is None
        assert self.windows[who].store.chats().search("secret") == []

    @rule(who=Who)
    def cannot_write_for_a_while(self, who: int) -> None:
        window = self.windows[who]
        with window.store._database.outside_transactions() as connection:
            connection.execute("PRAGMA query_only=ON")
            window.conversation.ask(self.text())
            window.kept.keep()
            assert window.kept.failure is not None
            connection.execute("PRAGMA query_only=OFF")

    @rule(who=Who)
    def delete(self, who: int) -> None:
        window = self.windows[who]
        chats, id = window.store.chats(), window.conversation.id
        try:
            chats.delete(id)
        except StoreError:  # for good
            return
        assert chats.find(id) is None
        assert id not in {line.id for line in chats.latest(limit=1000)}
        assert id not in {hit.chat.id for hit in chats.search("said", limit=1000)}

    @rule(who=Who)
    def restore(self, who: int) -> None:
        chats, id = self.windows[who].store.chats(), self.windows[who].conversation.id
        try:
            chats.restore(id)
        except StoreError:  # deleted for good
            return
        assert chats.find(id) is not None

    @rule(who=Who)
    def drop_what_is_deleted_for_good(self, who: int) -> None:
        window = self.windows[who]
        window.store.vacuum()
        with window.store._database.reading() as connection:
            if not connection.execute(
                "SELECT 1 FROM chats WHERE id = ?", (window.conversation.id,)
            ).fetchone():
                self.ever.clear()

    @rule(who=Who)
    def look_for_news(self, who: int) -> None:
        self.windows[who].kept.refresh()

    @rule(who=Who)
    def start_the_program_again(self, who: int) -> None:
        window = self.windows[who]
        if window.store.chats().find(window.conversation.id) is None:
            return
        window.end_answer()
        self.keep(window)
        window.store.close()
        self.windows[who] = Window(self.folder, window.conversation.id)

    # --- what must hold

    @invariant()
    def every_tree_is_one(self) -> None:
        for window in self.windows:
            tree = list(window.conversation.root.tree())
            assert len({message.id for message in tree}) == len(tree)
            for message in tree:
                assert all(reply.parent is message for reply in message.replies)
                assert message.chosen is None or 0 <= message.chosen < len(message.replies)
                assert not message.summary or message.role == "user"
            assert set(window.conversation.path) < set(tree)

    @invariant()
    def what_is_sent_alternates_and_holds_the_summary(self) -> None:
        for window in self.windows:
            conversation = window.conversation
            if conversation.question is None:
                continue
            system, *sent = conversation.prompt()
            assert [said.role == "assistant" for said in sent] == [
                bool(index % 2) for index in range(len(sent))
            ]
            assert sent[-1] is conversation.question
            summaries = [said.summary for said in conversation.path if said.summary]
            assert not summaries or system.content.endswith(summaries[-1])

    @rule()
    @precondition(lambda self: not any(window.answering for window in self.windows))
    def all_agree(self) -> None:
        for _ in range(2):  # twice: what was dropped for good begins again with what one had
            for window in self.windows:
                self.keep(window)
            for window in self.windows:
                window.kept.refresh()
        store, id = self.windows[0].store, self.windows[0].conversation.id
        assert words_agree(store.path)
        with store._database.reading() as connection:
            contents = [row[0] for row in connection.execute("SELECT content FROM messages")]
            assert not connection.execute(
                "SELECT id FROM messages AS said WHERE parent NOT NULL AND NOT EXISTS"
                " (SELECT 1 FROM messages WHERE id = said.parent AND chat = said.chat)"
            ).fetchall()
        lost = {text for text in self.ever if not any(one.startswith(text) for one in contents)}
        assert not lost
        if store.chats().find(id) is not None:
            opened = store.chats().open(id).conversation
            for window in self.windows:
                assert tree_of(window.conversation) == tree_of(opened)

    def teardown(self) -> None:
        try:
            for window in self.windows:
                window.end_answer()
            self.all_agree()
            assert self.windows[0].store.check() == []
        finally:
            self.patch.stop()
            for window in self.windows:
                window.store.close()
            shutil.rmtree(self.folder)


TestTwoWindows = TwoWindows.TestCase
TestTwoWindows.settings = settings(max_examples=100, stateful_step_count=25)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_ten_thousand_sequences() -> None:
    run_state_machine_as_test(
        TwoWindows,
        settings=settings(max_examples=10_000, stateful_step_count=25, report_multiple_bugs=False),
    )
