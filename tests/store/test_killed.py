"""`kill -9` at random moments of writing: what was said to be stored is there afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chatapp.messages import Message
from chatapp.store import Store
from tests.store.trees import words_agree

KILLS_PER_FILE = 20


@dataclass
class Chatting:
    """The program, and what it said was stored: characters and whether it was the end, by id."""

    process: subprocess.Popen[str]
    kept: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def chat_and_be_killed(self, folder: Path, face: str, source: random.Random) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{folder} {face} {source.randrange(10**9)}\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline().removeprefix("pid "))
        for _ in range(source.randint(1, 30)):  # a machine may be slow: no time says how far it is
            self._hear(self.process.stdout.readline())
        time.sleep(source.uniform(0, 0.005))
        os.kill(child, signal.SIGKILL)
        while (line := self.process.stdout.readline()) != "gone\n":
            self._hear(line)

    def _hear(self, line: str) -> None:
        said, id, characters, finished = line.split()
        assert said == "kept", line
        self.kept[id] = (int(characters), finished == "1")


@pytest.fixture
def chatting(here: Path) -> Iterator[Chatting]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.killed"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=here,
    )
    with process:
        yield Chatting(process)


def is_whole(message: Message) -> bool:
    """Whether its words are those of one answer, in order, from the first on."""
    words = message.content.split()
    tag = message.content.partition("x")[0]
    return message.role != "assistant" or words == [f"{tag}x{n}" for n in range(len(words))]


def looked_through(folder: Path, kept: dict[str, tuple[int, bool]]) -> int:
    """Start again after a crash and see that all is there; how many answers were interrupted."""
    with closing(Store(folder)) as store:
        assert store.notices == [] and store.check() == []
        assert words_agree(store.path)
        found: dict[str, Message] = {}
        for line in store.chats().latest(limit=1000):
            conversation = store.chats().open(line.id).conversation
            found |= {message.id: message for message in conversation.root.tree()}
            assert conversation.path, "a chat is stored with its question"
        for id, (characters, finished) in kept.items():
            message = found[id]
            assert len(message.content) >= characters and is_whole(message)
            assert message.finished is not None or not finished
        interrupted = [message for message in found.values() if message.interrupted]
        assert not any(message.writing for message in found.values())
        for message in found.values():
            assert message.role != "assistant" or message.interrupted or message.finished
        for message in interrupted[-3:]:
            hits = store.chats().search(message.content.split()[-1])
            assert message.id in {hit.message_id for hit in hits}
        with store._database.reading() as connection:
            assert not connection.execute(
                "SELECT id FROM messages AS said WHERE parent NOT NULL AND NOT EXISTS"
                " (SELECT 1 FROM messages WHERE id = said.parent AND chat = said.chat)"
            ).fetchall()
        return len(interrupted)


def killed(chatting: Chatting, folder: Path, kills: int, seed: int) -> Counter[str]:
    source, counted = random.Random(seed), Counter[str]()
    for number in range(kills):
        place = folder / str(number // KILLS_PER_FILE)
        if not number % KILLS_PER_FILE:
            place.mkdir()
            chatting.kept.clear()
            counted["before"] = 0
        face = "page" if number % 2 else "terminal"
        chatting.chat_and_be_killed(place, face, source)
        interrupted = looked_through(place, chatting.kept)
        counted[face] += interrupted > counted["before"]
        counted["before"] = interrupted
        counted["promises"] += len(chatting.kept)
    return counted


def test_forty_kills_lose_nothing_that_was_stored(chatting: Chatting, tmp_path: Path) -> None:
    counted = killed(chatting, tmp_path, 40, seed=1)
    assert counted["terminal"] > 3 and counted["page"] > 3, "answers were hit"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_hundred_kills_lose_nothing_that_was_stored(chatting: Chatting, tmp_path: Path) -> None:
    counted = killed(chatting, tmp_path, 200, seed=2)
    print(counted)
    assert counted["terminal"] > 20 and counted["page"] > 20
