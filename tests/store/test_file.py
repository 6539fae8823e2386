"""The file of the conversations: who may read it, who else is at it, and whatever befalls it."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from chatapp.errors import StoreError
from chatapp.messages import Conversation, Message
from chatapp.store import Kept, Store, database, open_store, schema
from chatapp.store.file import DAYS_DELETED, FILE
from tests.store.trees import words_agree

PAGE = 4096


def filled(folder: Path, turns: int = 3) -> str:
    """A store with one conversation, closed again; gives the conversation's id."""
    with closing(Store(folder)) as store:
        kept = store.chats().add(Conversation("Be brief."))
        for turn in range(turns):
            kept.conversation.ask(f"What is {turn}? " + "words " * 200).reply(
                Message("assistant", f"It is {turn}.")
            )
            kept.keep()
        assert kept.failure is None
        return kept.conversation.id


def one(store: Store, question: str = "one?") -> Kept:
    kept = store.chats().add(Conversation())
    kept.conversation.ask(question)
    kept.keep()
    return kept


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- who may read it


def test_only_its_owner_may_read_the_folder_and_every_file_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        store = open_store(str(tmp_path / "data"))
        one(store)
    finally:
        os.umask(before)
    names = {path.name for path in store.path.parent.iterdir()}
    assert names == {"chats.db", "chats.db-wal", "chats.db-shm"}
    assert rights(store.path.parent) == 0o700
    assert {rights(path) for path in store.path.parent.iterdir()} == {0o600}
    store.close()


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    Store(tmp_path)
    assert rights(tmp_path / FILE) == 0o600


# --- what is on disk, and when


def test_what_was_kept_is_on_disk_before_keep_returns(tmp_path: Path) -> None:
    kept = one(Store(tmp_path), "What is it?")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (FILE, FILE + "-wal"):  # as a crash would leave them
        shutil.copyfile(tmp_path / name, copy / name)
    opened = Store(copy).chats().open(kept.conversation.id).conversation
    assert [said.content for said in opened.path] == ["What is it?"]


def test_every_commit_is_waited_for(tmp_path: Path) -> None:
    """FULL: https://www.sqlite.org/pragma.html#pragma_synchronous"""
    with Store(tmp_path)._database.outside_transactions() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_what_is_deleted_for_good_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    kept = one(store, "Where is the qzxcanaryvw? 杭州 " + "filling " * 5000)
    kept.conversation.question.reply(Message("assistant", "qzxcanaryvw", "qzxcanaryvw"))  # type: ignore[union-attr]
    kept.keep()
    one(store, "another")
    store.chats().delete(kept.conversation.id)
    store.close()
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + DAYS_DELETED * 86_400 + 1)  # type: ignore[misc]
    store = Store(tmp_path)  # drops what was deleted a week ago
    with pytest.raises(StoreError):
        store.chats().restore(kept.conversation.id)
    store.vacuum()
    for path in tmp_path.iterdir():
        assert b"qzxcanaryvw" not in path.read_bytes(), path.name
    assert len(store.chats().latest()) == 1
    store.close()


def test_what_was_deleted_can_be_brought_back_for_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    kept = one(store)
    store.chats().delete(kept.conversation.id)
    store.close()
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + DAYS_DELETED * 86_400 - 9)  # type: ignore[misc]
    store = Store(tmp_path)
    store.chats().restore(kept.conversation.id)
    assert [hit.chat.id for hit in store.chats().search("one")] == [kept.conversation.id]
    store.close()


# --- older and newer versions of it

SECOND = ("ALTER TABLE chats ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",)


def test_an_older_file_is_brought_up_to_date_and_a_copy_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = filled(tmp_path)
    monkeypatch.setattr(database, "MIGRATIONS", (*schema.MIGRATIONS, SECOND))
    for _ in range(2):  # brought up to date, then found so
        with closing(Store(tmp_path)) as store:
            assert len(store.chats().open(id).conversation.path) == 6
            with store._database.reading() as connection:
                assert connection.execute("SELECT pinned FROM chats").fetchall() == [(0,)]
    copy = tmp_path / f"{FILE}.version-1"
    assert rights(copy) == 0o600
    monkeypatch.undo()
    (tmp_path / "older").mkdir()
    copy.rename(tmp_path / "older" / FILE)
    with closing(Store(tmp_path / "older")) as older:
        assert len(older.chats().open(id).conversation.path) == 6
        assert older.check() == []


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = filled(tmp_path)
    monkeypatch.setattr(database, "MIGRATIONS", (*schema.MIGRATIONS, (*SECOND, "no statement")))
    with pytest.raises(StoreError):
        Store(tmp_path)
    monkeypatch.undo()
    with closing(Store(tmp_path)) as store, store._database.reading() as connection:
        columns = connection.execute("PRAGMA table_info(chats)").fetchall()
        assert "pinned" not in {column[1] for column in columns}
        assert connection.execute("SELECT id FROM chats").fetchall() == [(id,)]


def test_a_newer_file_is_refused_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = Store(tmp_path)
    kept = one(older)
    monkeypatch.setattr(database, "MIGRATIONS", (*schema.MIGRATIONS, SECOND))
    Store(tmp_path).close()
    monkeypatch.undo()
    with pytest.raises(StoreError, match="newer chatapp"):
        Store(tmp_path)
    kept.conversation.ask("two?")
    kept.keep()  # the older program was running all the while
    assert "newer chatapp" in str(kept.failure)
    older.close()
    connection = sqlite3.connect(tmp_path / FILE)
    assert connection.execute("SELECT count(*) FROM messages").fetchone() == (2,)
    connection.close()


# --- several processes

OPENING = """
import sys, time
from pathlib import Path
from chatapp.messages import Conversation
from chatapp.store import Store
while time.time() < float(sys.argv[2]):
    pass
store = Store(Path(sys.argv[1]))
kept = store.chats().add(Conversation())
kept.conversation.ask("a question of " + sys.argv[3])
kept.keep()
assert kept.failure is None, kept.failure
print(len(store.notices))
"""


def opened_at_once(folder: Path, count: int = 3) -> list[str]:
    """Several processes open the same file at the same moment; gives what each said."""
    at = str(time.time() + 1.5)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, str(folder), at, str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    said = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0] * count, said
    return [output.strip() for output, _ in said]


def test_several_processes_make_one_new_file_at_once(tmp_path: Path) -> None:
    assert opened_at_once(tmp_path) == ["0", "0", "0"]
    with closing(Store(tmp_path)) as store:
        assert len(store.chats().latest()) == 3
        assert store.check() == []


def test_several_processes_find_one_damaged_file_and_one_sets_it_aside(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / FILE).write_bytes(b"no database " * 1000)
    assert sorted(opened_at_once(tmp_path)) == ["0", "0", "2"], "the file, what came over"
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1
    with closing(Store(tmp_path)) as store:
        assert len(store.chats().latest()) == 3
        assert store.check() == []


@contextmanager
def at_the_file(folder: Path) -> Iterator[None]:
    other = sqlite3.connect(folder / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_while_another_process_is_at_the_file_the_chat_goes_on_and_is_stored_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SECONDS_FOR_OTHERS", 0.4)
    store = Store(tmp_path)
    kept = one(store)
    with at_the_file(tmp_path):
        with closing(Store(tmp_path)) as second:  # another window, opened meanwhile
            assert [line.id for line in second.chats().latest()] == [kept.conversation.id]
            assert "locked" in str(second.notices[0].values["cause"])
        answer = kept.conversation.path[0].reply(Message("assistant", "It "))
        begin = time.monotonic()
        for _ in range(3):
            kept.keep()
            assert kept.failure is not None and "stays in memory" in str(kept.failure)
            answer.content += "goes on. "
        assert time.monotonic() - begin < 0.4 + 2 * 0.1 + 1.0, "one long wait, then short ones"
        assert store.chats().find(kept.conversation.id) is not None
    kept.keep()
    assert kept.failure is None
    opened = Store(tmp_path).chats().open(kept.conversation.id).conversation
    assert opened.path[1].content == "It goes on. goes on. goes on. "


def test_who_is_at_the_file_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    kept = one(Store(tmp_path))
    kept.conversation.ask("two?")
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    timer.start()
    kept.keep()
    assert kept.failure is None
    timer.join()
    other.close()


# --- no room, no rights


def test_on_a_full_disk_the_chat_goes_on_and_is_stored_once_there_is_room(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = one(store)
    with store._database.outside_transactions() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 2}")
    kept.conversation.path[0].reply(Message("assistant", "words " * 10_000))
    for _ in range(2):
        kept.keep()
        assert "disk is full" in str(kept.failure)
        kept.conversation.ask("and?")
    assert len(kept.conversation.path) == 4, "the chat goes on in memory"
    stored = Store(tmp_path).chats().open(kept.conversation.id).conversation
    assert len(stored.path) == 1, "what was stored before is whole"
    with store._database.outside_transactions() as connection:
        connection.execute("PRAGMA max_page_count=1000000")
    kept.keep()
    assert kept.failure is None
    stored = Store(tmp_path).chats().open(kept.conversation.id).conversation
    assert [said.content for said in stored.path] == [
        said.content for said in kept.conversation.path
    ]
    assert store.check() == []


FULL = """
import resource, sys
from pathlib import Path
from chatapp.messages import Conversation, Message
from chatapp.store import Store
store = Store(Path(sys.argv[1]))
kept = store.chats().add(Conversation())
kept.conversation.ask("one?")
kept.keep()
assert kept.failure is None
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
failed = 0
for room in range(0, 400_000, 7919):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
    kept.conversation.ask("more " * 300)
    kept.keep()
    failed += kept.failure is not None
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
kept.conversation.ask("the last")
kept.keep()
assert kept.failure is None, kept.failure
assert store.check() == []
assert len(Store(Path(sys.argv[1])).chats().open(kept.conversation.id).conversation.path) == 53
print(failed)
"""


def test_files_that_may_not_grow_at_any_size_lose_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5


REFUSED = """
import os, sys
from chatapp.errors import StoreError
from chatapp.store import open_store
os.setgid(65534), os.setuid(65534)
try:
    open_store(sys.argv[1])
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="must be able to become somebody else")
@pytest.mark.parametrize("inside", ["", "new/"])
def test_where_nothing_may_be_written_a_sentence_says_what_to_do(here: Path, inside: str) -> None:
    folder = Path("/var/lib")  # everybody may look, and only root may write
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, str(folder / inside)],
        capture_output=True,
        text=True,
        cwd=here,
        timeout=60,
    )
    assert "cannot be opened (Permission denied)" in done.stdout, done.stderr
    assert "--private" in done.stdout


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(StoreError, match="--data-dir"):
        open_store(str(tmp_path / "data"))


# --- damage


def set_aside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"{FILE}*.damaged-*"))


@pytest.mark.parametrize("size", [2, 100, PAGE, 50_000])
def test_what_is_no_database_is_set_aside_as_it_is(tmp_path: Path, size: int) -> None:
    noise = random.Random(size).randbytes(size)
    (tmp_path / FILE).write_bytes(noise)
    for _ in range(2):
        with closing(Store(tmp_path)) as store:
            one(store)
            assert store.check() == []
    (aside,) = set_aside(tmp_path)
    assert aside.read_bytes() == noise


def test_the_person_is_told_where_the_damaged_file_is(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"garbage" * 999)
    with closing(Store(tmp_path)) as store:
        notice, salvaged = store.notices
    assert (notice.key, salvaged.key) == ("store-set-aside", "store-salvaged")
    assert notice.values["aside"] in set_aside(tmp_path)


def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with closing(Store(tmp_path)) as store:
        one(store)
        assert store.notices == []


def test_two_damaged_files_of_the_same_second_are_both_kept(tmp_path: Path) -> None:
    for _ in range(3):
        (tmp_path / FILE).write_bytes(b"garbage" * 999)
        Store(tmp_path).close()
    assert len(set_aside(tmp_path)) == 3


def starts_and_keeps_what_was_there(folder: Path, id: str, bytes_before: bytes) -> bool:
    """Open a file that may be damaged; whether it was set aside."""
    with closing(Store(folder)) as store:
        kept = one(store, "after")
        assert kept.failure is None
        assert store.check() == []
        found = store.chats().find(id)
    aside = [path for path in set_aside(folder) if path.stat().st_size]  # the log was empty
    if aside or found is None:
        assert [path.read_bytes() for path in aside] == [bytes_before], "as it was found"
    return bool(aside)


def test_a_file_cut_off_anywhere_is_set_aside_or_whole(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    id = filled(tmp_path / "whole", turns=9)
    whole = (tmp_path / "whole" / FILE).read_bytes()
    source = random.Random(4)
    cuts = [*range(PAGE, len(whole), PAGE), *(source.randrange(1, len(whole)) for _ in range(40))]
    assert len(cuts) > 50
    for number, cut in enumerate(cuts):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / FILE).write_bytes(whole[:cut])
        assert starts_and_keeps_what_was_there(folder, id, whole[:cut]), cut


def test_flipped_bytes_anywhere_never_stop_the_program(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    id = filled(tmp_path / "whole", turns=9)
    whole = (tmp_path / "whole" / FILE).read_bytes()
    source = random.Random(7)
    for number in range(60):
        broken = bytearray(whole)
        begin = source.choice([0, 100, source.randrange(len(whole))])
        length = source.choice([1, 16, PAGE])
        broken[begin : begin + length] = source.randbytes(len(broken[begin : begin + length]))
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / FILE).write_bytes(broken)
        starts_and_keeps_what_was_there(folder, id, bytes(broken))


def test_a_damaged_index_is_made_again_by_a_check(tmp_path: Path) -> None:
    id = filled(tmp_path)
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("UPDATE words_data SET block = zeroblob(50) WHERE id > 10")
    other.commit()
    other.close()
    with closing(Store(tmp_path)) as store:
        assert store.chats().search("It") == []
        assert store.check() == []
        assert [hit.chat.id for hit in store.chats().search("It")] == [id]
        assert words_agree(store.path)


def crashed(folder: Path, into: Path) -> bytes:
    """What a crash leaves of a store: its file and its log, in another folder; gives the log."""
    store = Store(folder)
    one(store)
    into.mkdir()
    for name in (FILE, FILE + "-wal"):
        shutil.copyfile(folder / name, into / name)
    return (into / f"{FILE}-wal").read_bytes()


def test_a_log_that_begins_with_garbage_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    log = crashed(tmp_path / "a", tmp_path / "b")
    noise = random.Random(1).randbytes(len(log))
    (tmp_path / "b" / f"{FILE}-wal").write_bytes(noise)
    with closing(Store(tmp_path / "b")) as store:
        one(store)
        assert [notice.key for notice in store.notices] == ["store-log-set-aside"]
        assert store.check() == []
    (aside,) = set_aside(tmp_path / "b")
    assert aside.read_bytes() == noise and rights(aside) == 0o600


def test_a_log_cut_off_or_broken_anywhere_never_stops_the_program(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    log = crashed(tmp_path / "a", tmp_path / "b")
    file = (tmp_path / "b" / FILE).read_bytes()
    source = random.Random(3)
    for number in range(50):
        broken = bytearray(log)
        if number % 2:
            del broken[source.randrange(len(log)) :]
        else:
            begin = source.randrange(len(log))
            broken[begin : begin + 16] = source.randbytes(16)
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / FILE).write_bytes(file)
        (folder / f"{FILE}-wal").write_bytes(broken)
        with closing(Store(folder)) as store:
            assert one(store).failure is None
            assert store.check() == []


def test_the_log_of_a_damaged_file_is_set_aside_with_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    filled(tmp_path / "a", turns=20)  # whose pages are in the file, and no longer in the log
    log = crashed(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / FILE).write_bytes(b"garbage" * 5000)
    with closing(Store(tmp_path / "b")) as store:
        assert store.chats().latest() == []
        one(store)
    files = {path.name.partition(".damaged-")[2][15:]: path for path in set_aside(tmp_path / "b")}
    assert set(files) == {"", "-wal"}
    assert files["-wal"].read_bytes() == log
