"""Runs the terminal face: one answer, or the loop of a chat. Knows when to leave, and how."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import closing
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from chatapp.engines import Engine
from chatapp.errors import ChatError
from chatapp.options import Options
from chatapp.stats import progress_line
from chatapp.terminal.loading import Loading
from chatapp.terminal.oneshot import answer_once, read_prompt
from chatapp.terminal.plain import StatusLine, tell
from chatapp.terminal.signals import (
    BROKEN_PIPE,
    INTERRUPTED,
    TERMINATED,
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
    loading = Loading(options.model)
    try:
        with termination_leaves():
            (_chat if is_chat else _answer)(options, loading, texts)
        code = 0
    except ChatError as error:
        tell(sys.stderr, texts(error.sentence))
        code = 1
    except BrokenPipeError:  # whoever read the answer has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit:
        code = TERMINATED
    if loading.is_pending:
        os._exit(code)  # the interpreter may crash when it ends around a library at work
    return code


def _answer(options: Options, loading: Loading, texts: Texts) -> None:
    prompt = read_prompt(options.prompt, sys.stdin, sys.stderr, texts)
    loading.begin()
    with closing(_load(loading, texts)) as engine:
        answer_once(engine, prompt, options, sys.stdout, StatusLine(sys.stderr), texts)


def _chat(options: Options, loading: Loading, texts: Texts) -> None:
    with silent_keys(sys.stdin):
        loading.begin()
        # These take their time to import; the model loads meanwhile.
        from rich.console import Console

        from chatapp.terminal.markdown import THEME
        from chatapp.terminal.prompt import build_prompt, open_history
        from chatapp.terminal.session import Session

        console = Console(theme=THEME, highlight=False, markup=False, emoji=False)
        with closing(_load(loading, texts)) as engine:
            session = Session(
                engine, console, texts, system=options.system, changes=options.changes
            )
            session.greet()
            prompt = build_prompt(session, open_history(session))
            converse(session, prompt)


def _load(loading: Loading, texts: Texts) -> Engine:
    status = StatusLine(sys.stderr)
    try:
        return loading.wait(lambda progress: status.show(progress_line(progress, texts)))
    finally:
        status.erase()


def converse(session: Session, prompt: PromptSession[str]) -> None:
    """Read and obey until the person leaves."""
    interrupted = False
    while not session.leaving:
        try:
            line = prompt.prompt()
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted:
                return
            interrupted = True
            session.say("terminal-leave")
            continue
        interrupted = False
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
    session.console.print()


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
