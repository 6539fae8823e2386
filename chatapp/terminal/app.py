"""Runs the terminal face: one answer, or the loop of a chat. Knows when to leave, and how."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from chatapp.errors import ChatError
from chatapp.events import Progress
from chatapp.loading import Loading
from chatapp.options import Options
from chatapp.stats import progress_line
from chatapp.store import ChatLine, Chats, open_store
from chatapp.terminal.oneshot import answer_once, kept_for_one, read_prompt
from chatapp.terminal.plain import StatusLine, tell
from chatapp.terminal.shelf import candidates, nothing_found
from chatapp.terminal.signals import (
    BROKEN_PIPE,
    INTERRUPTED,
    signals_end_at_once,
    silent_keys,
    termination_leaves,
)
from chatapp.texts import Sentence, Texts

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from chatapp.terminal.session import Session

logger = logging.getLogger(__name__)


def run(options: Options) -> int:
    """Answer the prompt there is, or chat; returns the exit code."""
    texts = Texts(options.language)
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    is_chat = options.prompt is None and _is_terminal(sys.stdin) and _is_terminal(sys.stdout)
    try:
        with termination_leaves():
            (_chat if is_chat else _answer)(options, texts)
    except ChatError as error:
        tell(sys.stderr, texts(error.sentence))
        return 1
    except BrokenPipeError:  # whoever read the answer has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _answer(options: Options, texts: Texts) -> None:
    prompt = read_prompt(options.prompt, sys.stdin, sys.stderr, texts)
    status = StatusLine(sys.stderr)
    with signals_end_at_once(status.erase):
        kept = kept_for_one(options, sys.stderr, texts)
        engine = Loading(options.model).wait(_shown_in(status, texts))
    with closing(engine):
        answer_once(engine, prompt, options, kept, sys.stdout, status, texts)
    if kept.failure is not None:
        tell(sys.stderr, texts(kept.failure.sentence))


def _chat(options: Options, texts: Texts) -> None:
    status = StatusLine(sys.stderr)
    with ExitStack() as opened, silent_keys(sys.stdin) as restore:

        def clean_up() -> None:
            status.erase()
            restore()

        with signals_end_at_once(clean_up):
            # What is wrong with the stored conversations is told before a model is loaded.
            store = None if options.private else open_store(options.data_dir)
            chats = None if store is None else store.chats()
            resumed = _resumed(options, chats)
            loading = Loading(options.model)
            # What takes a while to import comes in while the model loads.
            from rich.console import Console

            from chatapp.terminal.markdown import THEME
            from chatapp.terminal.prompt import build_prompt, open_history
            from chatapp.terminal.session import Session

            engine = opened.enter_context(closing(loading.wait(_shown_in(status, texts))))
        console = Console(theme=THEME, highlight=False, markup=False, emoji=False)
        session = Session(
            engine, console, texts, system=options.system, changes=options.changes, chats=chats
        )
        session.greet()
        if store is not None:
            opened.callback(store.close)
            for notice in store.notices:
                session.warn(notice)
        _begin(session, resumed)
        converse(session, build_prompt(session, open_history(session, options.data_dir)))


def _resumed(options: Options, chats: Chats | None) -> list[ChatLine]:
    """The conversations that --resume may mean. Raises CommandError where there is none."""
    if options.resume is None or chats is None:
        return []
    found = candidates(chats, options.resume)
    if not found:
        raise nothing_found(options.resume)
    return found


def _begin(session: Session, resumed: Sequence[ChatLine]) -> None:
    """Go on with the conversation that --resume means; where several fit, show which."""
    from chatapp.terminal.commands.conversations import show_resumed
    from chatapp.terminal.listing import print_chats

    if session.chats is None or not resumed:
        return
    if len(resumed) == 1:
        session.take(session.chats.open(resumed[0].id))
        show_resumed(session)
    else:
        session.say("resume-several")
        print_chats(session, resumed)
    session.console.print()


def _shown_in(status: StatusLine, texts: Texts) -> Callable[[Progress | None], None]:
    """Shows progress in a line, and None by taking the line away."""

    def show(progress: Progress | None) -> None:
        if progress is None:
            status.erase()
        else:
            status.show(progress_line(progress, texts))

    return show


def converse(session: Session, prompt: PromptSession[str]) -> None:
    """Read and obey until the person leaves."""
    from chatapp.terminal.others import Others

    others = Others(session)
    interrupted = False
    while not session.leaving:
        others.catch_up()
        session.outlook()  # for the line below the prompt
        try:
            line = prompt.prompt(pre_run=others.watch)
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted:
                return
            interrupted = True
            session.say("terminal-leave")
            continue
        interrupted = False
        others.catch_up()
        obey(session, line)


def obey(session: Session, line: str) -> None:
    """Ask what was typed, or run the :command it is. Whatever goes wrong becomes a sentence."""
    from chatapp.terminal.commands import run_command

    text = line.strip("\r\n").rstrip()
    if not text:
        return
    first = text.lstrip()
    try:
        if first.startswith("::"):
            session.ask(first[1:])
        elif first.startswith(":"):
            run_command(session, first)
        else:
            session.ask(text)
    except ChatError as error:
        session.complain(error.sentence)
    except KeyboardInterrupt:
        pass  # a command that took too long
    except Exception as error:
        logger.debug("a command failed", exc_info=True)
        cause = f"{type(error).__name__}: {error}"
        session.complain(Sentence("terminal-unexpected", {"cause": cause}))
    finally:
        session.keep()
    session.console.print()


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
