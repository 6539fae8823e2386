"""A program that chats until it is killed, and says what it has been promised to be on disk.

Reads `FOLDER FACE SEED` lines; for each a child of its own chats, so that starting one takes no
time. What it says is one line each: `pid N`, then `kept ID CHARACTERS ENDED`, at last `gone`.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import uuid
from itertools import count
from pathlib import Path

from chatapp import chat
from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.messages import Conversation, Feedback, Message
from chatapp.settings import GenerationSettings
from chatapp.store import Kept, Store
from chatapp.store.writers import this_process


def main() -> None:
    for line in sys.stdin:
        folder, face, seed = line.split()
        child = os.fork()
        if not child:
            try:
                until_killed(Path(folder), face, random.Random(int(seed)))
            finally:
                os._exit(3)
        say(f"pid {child}")
        os.waitpid(child, 0)
        say("gone")


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def until_killed(folder: Path, face: str, source: random.Random) -> None:
    this_process.cache_clear()  # known of the parent
    chat.SECONDS_UNSTORED = 0.001  # stored after nearly every word: there is more to be hit
    chats = Store(folder).chats()
    lines = chats.latest(limit=3)
    kept = chats.open(source.choice(lines).id) if lines and source.random() < 0.7 else None
    kept = kept or chats.add(Conversation("Be brief."))
    if face == "page":
        threading.Thread(target=look_on, args=(kept, folder), daemon=True).start()
    while True:
        one_act(kept, source)


def one_act(kept: Kept, source: random.Random) -> None:
    """A question, another answer to the last one, or more of the last answer."""
    conversation, tag = kept.conversation, uuid.uuid4().hex
    answer = conversation.answer
    act = source.choice(["ask", "ask", "again", "more"]) if answer else "ask"
    if act == "more" and answer is not None and answer.can_go_on:
        tag, begun = answer.content.partition("x")[0][1:], len(answer.content.split())
        answering = chat.go_on
    else:
        if act == "ask":
            conversation.ask(f"q{tag}")
        answering, begun = chat.respond, 0
    end = begun + source.randint(1, 12)
    pieces = [f"a{tag}x{number} " for number in range(begun, end)]
    engine = ScriptedEngine([Script(pieces, seconds_per_token=0.002)])
    settings = GenerationSettings(max_new_tokens=source.choice([4, 100]))
    for _ in answering(engine, conversation, settings, threading.Event(), keep=lambda: told(kept)):
        pass


def told(kept: Kept) -> None:
    kept.keep()
    if kept.failure is not None:
        say(f"failure {kept.failure}")
    for message in kept.conversation.path[-2:]:
        if message.role == "user" or message.said_something:
            # an answer that was cut may be gone on with, and is not at its end then
            ended = message.finished is not None and not message.can_go_on
            say(f"kept {message.id} {len(message.content)} {int(ended)}")


def look_on(kept: Kept, folder: Path) -> None:
    """As the page does: another thread looks for news, and a thumb goes up now and then."""
    second = Store(folder).chats()
    for number in count():
        kept.refresh()
        second.latest()
        answers: list[Message] = [said for said in kept.conversation.path if said.finished]
        if number % 5 == 0 and answers:
            answers[-1].feedback = Feedback(bool(number % 2))
            kept.keep()


if __name__ == "__main__":
    main()
