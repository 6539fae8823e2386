"""Full-text search: which words a text has, how they are asked for, where they stand in it.

SQLite's FTS5 cuts texts at spaces, and Chinese has none: each of its characters is made a word of
its own here, and a word of several is searched for as a phrase.
"""

from __future__ import annotations

import re
import sqlite3

SNIPPET = 90
"""Characters of a text that are shown around what was found."""
PREFIX = 5
"""Characters of a word's begin up to which the schema has an index of begins."""

_UNSPACED = re.compile(
    "([\u1100-\u11ff\u2e80-\u2fdf\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9d"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff])"
)


def spaced(text: str) -> str:
    """The text with the characters of unspaced scripts apart."""
    return _UNSPACED.sub(r" \1 ", text)


def queries(words: str, owner: str) -> list[str]:
    """FTS5's questions for somebody's texts that have all the words, or words that begin so.

    Several are to be asked one after the other: for a long word FTS5 gathers all there is that
    begins so before it gives the first, so that the word itself is asked for before.
    """
    exact, begins = [], []
    has_long = False
    for word in words.split():
        tokens = re.findall(r"\w+", spaced(word))
        if tokens:
            phrase = '"' + " ".join(tokens) + '"'
            is_begin = len(tokens[-1]) > 1 and not _UNSPACED.search(tokens[-1])
            has_long = has_long or (is_begin and len(tokens[-1]) > PREFIX)
            exact.append(phrase)
            begins.append(f"{phrase} *" if is_begin else phrase)
    if not exact:
        return []
    asked = [exact, begins] if has_long else [begins]
    mine = f'owner : "{_owner_word(owner)}"'
    return [f"text : ({' AND '.join(phrases)}) AND {mine}" for phrases in asked]


def holds(text: str, words: str) -> bool:
    """Whether the text has all that is more than letters and digits in the words, such as C++."""
    return all(
        re.fullmatch(r"\w+", word) or word.casefold() in text.casefold() for word in words.split()
    )


def snippet(text: str, words: str) -> tuple[str, list[tuple[int, int]]]:
    """A piece of the text around the first of the words, in one line, and where the words are."""
    pattern = re.compile("|".join(map(re.escape, words.split())) or "$^", re.IGNORECASE)
    line = " ".join(text.split())
    found = pattern.search(line)
    begin = max(0, found.start() - SNIPPET // 3) if found else 0
    if begin:
        begin = line.rfind(" ", max(0, begin - 15), begin) + 1 or begin
    piece = line[begin : begin + SNIPPET]
    before, after = "…" if begin else "", "…" if begin + SNIPPET < len(line) else ""
    marks = [
        (match.start() + len(before), match.end() + len(before))
        for match in pattern.finditer(piece)
    ]
    return before + piece + after, marks


def add(connection: sqlite3.Connection, number: int, text: str) -> None:
    """Index the text of one message."""
    _tell(connection, "INSERT INTO words (rowid, text, owner)", number, text)


def remove(connection: sqlite3.Connection, number: int, text: str) -> None:
    """Take exactly the text that was indexed out again."""
    _tell(connection, "INSERT INTO words (words, rowid, text, owner)", number, text, "'delete', ")


def _tell(
    connection: sqlite3.Connection, statement: str, number: int, text: str, first: str = ""
) -> None:
    """The owner's name is a word of each of the owner's messages: among those of many people a
    search comes to the few of one of them at once.
    """
    (owner,) = connection.execute(
        "SELECT owner FROM messages JOIN chats ON chats.number = chat WHERE messages.number = ?",
        (number,),
    ).fetchone()
    connection.execute(
        f"{statement} VALUES ({first}?, ?, ?)", (number, spaced(text), _owner_word(owner))
    )


def _owner_word(owner: str) -> str:
    return "owner" + owner.encode("utf-8", "surrogatepass").hex()


def rebuild(connection: sqlite3.Connection) -> None:
    """Index again every message that is indexed."""
    connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
    for number, content in connection.execute("SELECT number, content FROM messages WHERE indexed"):
        add(connection, number, content)
