"""What the file consists of. MIGRATIONS lead from each version of it to the next; never edit one
that was released.
"""

from __future__ import annotations

from collections.abc import Sequence

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        """
        CREATE TABLE chats (
            number INTEGER PRIMARY KEY AUTOINCREMENT, -- never of two conversations
            id TEXT NOT NULL UNIQUE,
            owner TEXT NOT NULL,    -- "": whoever uses this machine
            title TEXT NOT NULL,
            named INTEGER NOT NULL, -- whether a person gave the title
            model TEXT NOT NULL,    -- of the last answer
            turns INTEGER NOT NULL,
            created REAL NOT NULL,
            changed REAL NOT NULL,
            deleted REAL,           -- when; it is gone for good some days later
            revision INTEGER NOT NULL
        )
        """,
        "CREATE INDEX chats_by_age ON chats (owner, changed) WHERE deleted IS NULL",
        """
        CREATE TABLE messages (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            chat INTEGER NOT NULL REFERENCES chats (number) ON DELETE CASCADE,
            parent TEXT,
            role TEXT NOT NULL,
            created REAL NOT NULL,
            content TEXT NOT NULL,
            reasoning TEXT NOT NULL,
            record TEXT,            -- JSON, see records.py
            feedback TEXT,          -- JSON
            summary TEXT NOT NULL,
            writing TEXT,           -- which process is at work on it
            chosen TEXT,            -- the reply that the conversation goes on with
            indexed INTEGER NOT NULL
        )
        """,
        "CREATE INDEX messages_of_chat ON messages (chat)",
        "CREATE INDEX messages_in_writing ON messages (number) WHERE writing IS NOT NULL",
        # The words of every message that has `indexed`; the texts themselves are in `messages`.
        """
        CREATE VIRTUAL TABLE words USING fts5 (
            text, owner, content='', prefix='2 3 4 5', tokenize="unicode61 remove_diacritics 2"
        )
        """,
    ),
)
