"""The stored conversations: the list, a search and a chat opened among a million messages."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from chatapp import paths
from chatapp.messages import Conversation, Message, new_id
from chatapp.store import Store, words
from chatapp.store.file import FILE
from tests.bench.course import Course
from tests.bench.values import Measure, Requirement, Rounds

TARGET = 200.0
"""Milliseconds that a person does not wait for."""
GUEST = "guest"
"""Somebody with ten conversations, in the same file as all the others."""
RARE, COMMON = "zyzzyva", "the"
CITY = "杭州市"
LIST, OPENS, SEARCH = "the list appears", "a chat opens", "search: "
KEEPING = "a question is stored, in a chat of 1,000 messages"
SEARCHES: Mapping[str, str] = {
    "a rare word": RARE,
    "a common word": COMMON,
    "a long common word": "because",
    "the begin of a word": "conv",
    "the begin of a long word": "convoi",
    "the begin of many words": "co",
    "two words": f"{COMMON} {RARE}",
    "two common words": "and of",
    "a common word with a sign": "from+",
    "no hit": "xylophonistic",
    "杭州": "杭州",
    "杭州市": CITY,
    "common Chinese characters that stand together nowhere": "州国京的",
}


def measure(course: Course) -> Measure:
    """Milliseconds, each several times over; the worst is in the spread."""
    chats, messages, rounds = course.sizes.stored_chats, course.sizes.stored_messages, 7
    found = Rounds()
    folder = stored(chats, messages, course.say)
    course.say("searching")
    with closing(Store(folder)) as store:
        for name, act in _acts(store).items():
            for _ in range(rounds):
                found.add(name, _milliseconds(act))
    with (
        TemporaryDirectory(prefix="chatapp-bench-") as scratch,
        closing(Store(Path(scratch))) as new,
    ):
        kept = new.chats().add(_long())
        kept.keep()
        for number in range(rounds):
            kept.conversation.ask(f"And {number}?")
            found.add(KEEPING, _milliseconds(kept.keep))
    searches = [each.contender for each in found.figures() if each.contender.startswith(SEARCH)]
    slowest = max(searches, key=lambda name: median(found.values(name)))
    return Measure(
        "conversations",
        f"Stored conversations: {messages:,} messages in {chats:,} chats",
        "ms",
        figures=found.figures(),
        requirements=[
            Requirement(
                f"among {messages:,} messages: {text}",
                tuple(found.values(name)),
                TARGET,
                at_least=False,
                unit="ms",
            )
            for name, text in (
                (LIST, LIST),
                (OPENS, OPENS),
                (slowest, f"the slowest {slowest}"),
            )
        ],
    )


def _acts(store: Store) -> dict[str, Callable[[], object]]:
    chats, guest = store.chats(), store.chats(GUEST)
    newest = chats.latest()[0].id
    acts: dict[str, Callable[[], object]] = {
        LIST: chats.latest,
        OPENS: lambda: chats.open(newest),
    }
    for name, asked in SEARCHES.items():
        acts[f"{SEARCH}{name}"] = lambda asked=asked: chats.search(asked)
    acts[f"{SEARCH}a common word, by somebody with few chats"] = lambda: guest.search(COMMON)
    return acts


def _milliseconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - begin)


def _long() -> Conversation:
    conversation = Conversation()
    for turn in range(500):
        conversation.ask(f"What is {turn}?").reply(Message("assistant", "It is. " * 50))
    return conversation


# --- what is searched


def stored(chats: int, messages: int, say: Callable[[str], None]) -> Path:
    """The folder of so many conversations, made once."""
    folder = paths.cache_dir() / f"bench-conversations-2-{chats}-{messages}"
    if not (folder / "made").exists():
        say(f"storing {messages:,} messages, once; some minutes")
        folder.mkdir(exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        Store(folder).close()
        _fill(folder / FILE, chats, messages)
        (folder / "made").touch()
    return folder


def _fill(file: Path, chats: int, messages: int) -> None:
    """In bulk, as the store would have written them one by one."""
    source = random.Random(6)
    sentences = [_Language.english(source), _Language.chinese(source)]
    now, number, each = time.time(), 0, messages // chats
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    for chat in range(1, chats + 1):
        said = sentences[chat % 6 == 0]
        owner = GUEST if chat % (chats // 10) == 1 else ""
        begin = now - 3600 * (chats - chat)
        # The title has no word of the texts: hits in titles would spare the search in them.
        connection.execute(
            "INSERT INTO chats VALUES (?, ?, ?, ?, 0, 'demo', ?, ?, ?, NULL, 1)",
            (chat, new_id(), owner, f"No. {chat}", each // 2, begin, begin),
        )
        parent = None
        for place in range(each + 1):
            number += 1
            role = "user" if place % 2 else "assistant"
            text = said.text(source, 1 if place % 2 else source.randint(1, 8)) if place else ""
            if number % (messages // 5 + 1) == 7:
                text += f" {RARE} {CITY}"
            id = new_id()
            connection.execute(
                "INSERT INTO messages VALUES"
                " (?, ?, ?, ?, ?, ?, ?, '', NULL, NULL, '', NULL, NULL, ?)",
                (number, id, chat, parent, role if place else "system", begin, text, bool(place)),
            )
            if place:
                words.add(connection, number, text)
            if parent is not None:
                connection.execute("UPDATE messages SET chosen = ? WHERE id = ?", (id, parent))
            parent = id
    connection.execute("COMMIT")
    connection.close()


@dataclass(frozen=True)
class _Language:
    """Sentences of words as unevenly common as words are (Zipf's law)."""

    sentences: list[str]
    between: str

    def text(self, source: random.Random, count: int) -> str:
        return self.between.join(source.choices(self.sentences, k=count))

    @classmethod
    def english(cls, source: random.Random) -> _Language:
        common = "the of and to in is that it for as with on be this are or from at by not "
        common = (common + "because people should between there which about").split()
        begins = ("co", "con", "conv", "re", "in", "ex", "un", "pre", "st", "tra", "me", "al", "wo")
        made = [
            source.choice(begins) + "".join(source.choices("aeioulnrstdm", k=source.randint(1, 8)))
            for _ in range(30_000)
        ]
        return cls(list(_sentences(source, common + made, " ", 14)), " ")

    @classmethod
    def chinese(cls, source: random.Random) -> _Language:
        common = [*"的一是不了在人有我他这中大来上国", "杭州", "我们", "可以", "北京", "模型"]
        made = [chr(0x4E00 + source.randrange(3000)) for _ in range(3_000)]
        return cls(list(_sentences(source, common + made, "", 18)), "")


def _sentences(
    source: random.Random, vocabulary: list[str], between: str, length: int
) -> Iterator[str]:
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    for _ in range(20_000):
        said = source.choices(vocabulary, weights, k=source.randint(length // 2, 2 * length))
        yield between.join(said) + ("。" if not between else ".")
