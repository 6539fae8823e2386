"""One prompt, one answer: no prompt_toolkit, no rich; nothing but the answer on the output."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TextIO

from chatapp.chat import initial_settings, respond
from chatapp.engines import Engine
from chatapp.errors import CommandError, StoreError
from chatapp.events import Progress, TextDelta
from chatapp.messages import Conversation
from chatapp.options import Options
from chatapp.stats import progress_line
from chatapp.store import Kept, Unkept, open_store
from chatapp.terminal.plain import StatusLine, clean, first_line, join_texts, tell, whole
from chatapp.terminal.shelf import candidates, nothing_found
from chatapp.texts import Texts


def read_prompt(
    asked: str | None, source: TextIO | None, errors: TextIO | None, texts: Texts
) -> str:
    """What -p says, a blank line, and all that is piped in; whichever of the two there is.

    Where there is neither because only the output is redirected, the message is typed, up to
    Ctrl-D. Raises CommandError when nothing is there to be answered.
    """
    piped = None
    if source is not None and (asked is None or not source.isatty()):
        if source.isatty():
            tell(errors, texts("terminal-type-prompt"))
        piped = source.read()
    prompt = whole(join_texts([asked, piped]))
    if not prompt:
        raise CommandError("terminal-empty-prompt")
    return prompt


def kept_for_one(options: Options, errors: TextIO | None, texts: Texts) -> Kept | Unkept:
    """The conversation that one prompt is asked in; where it cannot be stored, that is told.

    Raises ChatError where one was asked for that there is not.
    """
    conversation = Conversation(whole(options.system))
    if options.private:
        return Unkept(conversation)
    try:
        store = open_store(options.data_dir)
    except StoreError as error:
        if options.resume is not None:
            raise
        tell(errors, texts(error.sentence))
        return Unkept(conversation)
    for notice in store.notices:
        tell(errors, texts(notice))
    chats = store.chats()
    if options.resume is None:
        return chats.add(conversation)
    found = candidates(chats, options.resume)
    if not found:
        raise nothing_found(options.resume)
    if len(found) > 1:
        titles = "; ".join(first_line(line.title, 40) for line in found)
        raise CommandError("resume-ambiguous", asked=options.resume, titles=titles)
    return chats.open(found[0].id)


def answer_once(
    engine: Engine,
    prompt: str,
    options: Options,
    kept: Kept | Unkept,
    output: TextIO,
    status: StatusLine,
    texts: Texts,
) -> None:
    """Stream the answer to a prompt into `output`. Raises ChatError, BrokenPipeError."""
    settings = initial_settings(engine, dict(options.changes))
    conversation = kept.conversation
    conversation.ask(prompt)
    said = ""
    stream = respond(engine, conversation, settings, threading.Event(), keep=kept.keep)
    try:
        with closing(stream) as events:
            for event in events:
                match event:
                    case TextDelta(text):
                        status.erase()
                        said = clean(text) or said
                        output.write(clean(text))
                        output.flush()
                    case Progress() if not said:
                        status.show(progress_line(event, texts))
    finally:
        status.erase()
        if not said.endswith("\n"):
            output.write("\n")
            output.flush()
