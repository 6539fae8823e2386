"""Of a damaged file all that can be read comes over, and the file itself is left as it is."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatapp.messages import Conversation, Feedback, Message
from chatapp.store import Store
from tests.exchange.trees import everything

PAGE = 4096


def fill(folder: Path, count: int = 60) -> dict[str, Conversation]:
    store = Store(folder)
    made = {}
    for number in range(count):
        conversation = Conversation(f"system {number}")
        conversation.title = f"title {number}" if number % 2 else ""
        for turn in range(4):
            question = conversation.ask(f"question {number} {turn} " + "x" * 300)
            question.reply(Message("assistant", f"answer {turn}", feedback=Feedback(True, "why")))
            question.reply(Message("assistant", f"other answer {turn} " + "杭州" * 100))
            question.chosen = turn % 2
        made[conversation.id] = conversation
        store.chats("ann" if number % 3 else "").take_in(conversation)
    store.close()
    return made


def damaged(folder: Path, name: str) -> bytes:
    """The file, damaged; what was written is what stays aside."""
    path = folder / "chats.db"
    whole = path.read_bytes()
    chance = random.Random(4)
    if name == "a page":
        whole = whole[: 60 * PAGE] + chance.randbytes(PAGE) + whole[61 * PAGE :]
    elif name == "cut off":
        whole = whole[: len(whole) * 4 // 5 + 100]
    elif name == "its header":
        whole = chance.randbytes(100) + whole[100:]
    path.write_bytes(whole)
    return whole


@pytest.mark.parametrize(
    ("name", "least"), [("a page", 0.9), ("cut off", 0.5), ("its header", 1.0)]
)
def test_what_can_be_read_comes_over(tmp_path: Path, name: str, least: float) -> None:
    made = fill(tmp_path)
    bytes_of_it = damaged(tmp_path, name)
    store = Store(tmp_path)
    assert [notice.key for notice in store.notices] == ["store-set-aside", "store-salvaged"]
    aside = Path(str(store.notices[0].values["aside"]))
    assert aside.read_bytes() == bytes_of_it
    assert not list(tmp_path.glob(".salvage*"))
    count = store.notices[1].values["count"]
    assert isinstance(count, int) and count >= least * len(made)
    whole = 0
    for owner in ("", "ann"):
        for line in store.chats(owner).latest(limit=-1):
            found = store.chats(owner).open(line.id).conversation
            if line.id in made and everything(found) == everything(made[line.id]):
                whole += 1
                assert owner == ("ann" if int(found.system.split()[1]) % 3 else "")
    assert whole >= least * len(made) - 2
    assert store.check() == []
    assert store.chats("ann").search("杭州")
    store.close()


def test_a_message_whose_place_is_lost_goes_below_the_one_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    conversation = Conversation("system")
    for turn in range(3):
        conversation.ask(f"question {turn}").reply(Message("assistant", f"answer {turn}"))
    store.chats().take_in(conversation)
    store.close()
    lost = [conversation.root.id, conversation.path[1].id]
    with closing(sqlite3.connect(tmp_path / "chats.db")) as connection:
        connection.executemany("DELETE FROM messages WHERE id = ?", [(id,) for id in lost])
        connection.execute("DELETE FROM chats")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged(tmp_path, "its header")
    store = Store(tmp_path)
    (line,) = store.chats().latest()
    found = store.chats().open(line.id).conversation
    assert found.system == ""
    assert [said.content for said in found.path] == [
        "question 0",
        "question 1",
        "answer 1",
        "question 2",
        "answer 2",
    ]
    store.close()


def test_what_is_no_database_at_all_gives_nothing_and_does_no_harm(tmp_path: Path) -> None:
    for number, text in enumerate((b"hello" * 1000, b"SQLite format 3\0" + bytes(9000))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "chats.db").write_bytes(text)
        store = Store(folder)
        assert [notice.values.get("count") for notice in store.notices] == [None, 0]
        store.close()


def test_deleted_conversations_do_not_come_back(tmp_path: Path) -> None:
    made = fill(tmp_path, 6)
    store = Store(tmp_path)
    gone = store.chats().latest()[0].id
    store.chats().delete(gone)
    store.close()
    damaged(tmp_path, "its header")
    store = Store(tmp_path)
    lines = [line.id for who in ("", "ann") for line in store.chats(who).latest()]
    assert sorted(lines) == sorted(set(made) - {gone})
    store.close()
