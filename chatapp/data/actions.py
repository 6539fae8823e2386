"""What `chatapp data` does. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from io import TextIOWrapper
from pathlib import Path

from chatapp.data.export import export
from chatapp.errors import ChatError
from chatapp.exchange import import_text, read_text
from chatapp.store import Store, open_existing_store, open_store, store_path
from chatapp.texts import Texts


def run(action: str, found: argparse.Namespace, texts: Texts) -> int:
    """One action; an error is one sentence. Returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a locale that lacks some signs is no failure
            stream.reconfigure(errors="replace")
    try:
        code = RUNS[action](found, texts)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ChatError as error:
        note(texts(error.sentence))
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def path(found: argparse.Namespace, texts: Texts) -> int:
    """Where the conversations are, whether there are any or not."""
    show(str(store_path(found.data_dir)))
    return 0


def check(found: argparse.Namespace, texts: Texts) -> int:
    """Whether the file is sound; what can be saved of a damaged one is brought into a new one."""
    with closing(_open(found, texts)) as store:
        if store.notices:
            return 1
        wrong = store.check()
        if not wrong:
            chats, messages = store.counts()
            size = _size(store.path)
            values = {"path": store.path, "chats": chats, "messages": messages, "size": size}
            show(texts("data-sound", **values))
            return 0
        for said in wrong[:10]:
            note(said)
        note(texts("data-damaged", path=store.path))
        for notice in store.replace_damaged():
            note(texts(notice))
        return 1


def vacuum(found: argparse.Namespace, texts: Texts) -> int:
    """Give the room of what was deleted back."""
    with closing(_open(found, texts)) as store:
        before = _size(store.path)
        store.vacuum()
        show(texts("data-vacuumed", before=before, after=_size(store.path)))
    return 0


def export_conversations(found: argparse.Namespace, texts: Texts) -> int:
    """Write all conversations, or those that were asked for, into files."""
    with closing(_open(found, texts)) as store:
        done = export(store.chats(found.owner), found, texts)
    if done.files:
        shown = ", ".join(map(str, done.files[:3])) + (", …" if len(done.files) > 3 else "")
        note(texts("data-exported", count=done.count, files=shown))
    return 0


def import_files(found: argparse.Namespace, texts: Texts) -> int:
    """Take in what files hold; one that cannot be read does not stop the others."""
    if not found.files:
        raise ChatError("data-no-files")
    code = 0
    with closing(_told(open_store(found.data_dir), texts)) as store:
        chats = store.chats(found.owner)
        for file in found.files:
            try:
                imported = import_text(read_text(Path(file)), file)
                for conversation in imported.conversations:
                    chats.take_in(conversation)
            except ChatError as error:
                note(texts(error.sentence))
                code = 1
                continue
            for said in imported.notes:
                note(texts(said))
            show(texts("data-imported", count=len(imported.conversations), file=file))
    return code


RUNS: Mapping[str, Callable[[argparse.Namespace, Texts], int]] = {
    "path": path,
    "check": check,
    "vacuum": vacuum,
    "export": export_conversations,
    "import": import_files,
}


def show(text: str) -> None:
    """A result."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Something to know beside the result."""
    sys.stderr.write(text + "\n")


def _open(found: argparse.Namespace, texts: Texts) -> Store:
    """The file that is there; a folder that was misspelt is not made."""
    return _told(open_existing_store(found.data_dir), texts)


def _told(store: Store, texts: Texts) -> Store:
    for notice in store.notices:
        note(texts(notice))
    return store


def _size(path: Path) -> str:
    """The file and its log, in MiB."""
    files = (path, path.with_name(path.name + "-wal"))
    return f"{sum(file.stat().st_size for file in files if file.exists()) / 2**20:.1f} MiB"
