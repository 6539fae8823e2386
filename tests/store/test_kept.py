"""What of a conversation is stored, and when."""

from __future__ import annotations

import threading
from pathlib import Path

from chatapp.chat import respond
from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.events import Finished
from chatapp.messages import Conversation
from chatapp.settings import GenerationSettings
from chatapp.store import Store
from tests.store.trees import tree_of


def test_an_answer_stopped_before_its_first_word_is_not_stored_whenever_one_stores(
    tmp_path: Path,
) -> None:
    chats, cancel = Store(tmp_path).chats(), threading.Event()
    kept = chats.add(Conversation("Be brief."))
    kept.conversation.ask("one?")
    cancel.set()
    engine = ScriptedEngine([Script(["never said"])])
    events = respond(engine, kept.conversation, GenerationSettings(), cancel, keep=kept.keep)
    reasons = []
    for event in events:
        reasons += [event.reason] if isinstance(event, Finished) else []
        kept.keep()  # a face may do so at any time
    assert reasons == ["stopped"]
    stored = chats.open(kept.conversation.id).conversation
    assert tree_of(stored) == tree_of(kept.conversation)
    assert [said.content for said in stored.root.tree()] == ["Be brief.", "one?"]
