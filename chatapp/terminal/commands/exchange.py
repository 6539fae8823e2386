"""The :commands that take conversations out into files, and bring them in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from chatapp.errors import CommandError
from chatapp.exchange import (
    export_json,
    export_markdown,
    file_stem,
    import_text,
    read_text,
    write_atomic,
)
from chatapp.terminal.commands.conversations import show_resumed
from chatapp.terminal.commands.registry import COMMANDS, command
from chatapp.terminal.listing import print_chats
from chatapp.terminal.session import Session

MARKDOWN, JSON = (".md", ".markdown"), (".json",)


def _files(session: Session, argument: str) -> Iterable[str]:
    begun = argument.rpartition(" ")[2]
    folder, slash, name = begun.rpartition("/")
    try:
        with os.scandir(os.path.expanduser(folder + slash) or ".") as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                is_hidden = entry.name.startswith(".") and not name.startswith(".")
                if entry.name.startswith(name) and not is_hidden:
                    yield folder + slash + entry.name + ("/" if entry.is_dir() else "")
    except OSError:
        return


@command("conversations", "export", arguments="[file]", complete=_files)
def export(session: Session, argument: str) -> None:
    """Write this conversation into a file or folder: .md for reading, .json with all versions."""
    conversation = session.conversation
    if not conversation.root.replies:
        raise CommandError("export-nothing")
    if argument:
        path = Path(argument).expanduser()
        if path.is_dir() or argument.endswith(("/", os.sep)):
            path = _free_name(conversation.name, path)
        elif not path.suffix:
            path = path.with_name(f"{path.name}.md")
    else:
        path = _free_name(conversation.name, Path())
    kind = path.suffix.lower()
    if kind not in MARKDOWN + JSON:
        raise CommandError("export-kind", path=path)
    is_json = kind in JSON
    text = export_json([conversation]) if is_json else export_markdown(conversation, session.texts)
    write_atomic(path, text)
    session.say("exported", path=path.absolute())


def _free_name(title: str, folder: Path) -> Path:
    """A file in a folder that is not there yet, named after a title."""
    stem = file_stem(title)
    path, count = folder / f"{stem}.md", 1
    while path.exists():
        count += 1
        path = folder / f"{stem}-{count}.md"
    return path


@command("conversations", "import", arguments="file", complete=_files)
def bring_in(session: Session, argument: str) -> None:
    """Store the conversations of a file: ours, ShareGPT, OpenAI messages, a ChatGPT export."""
    if not argument:
        raise CommandError("command-misused", usage=COMMANDS["import"].usage)
    chats, path = session.stored(), Path(argument).expanduser()
    imported = import_text(read_text(path), path.name)
    for note in imported.notes:
        session.warn(note)
    kept = [chats.take_in(conversation) for conversation in imported.conversations]
    session.say("imported", name=path.name, count=len(kept))
    if len(kept) == 1:
        session.take(kept[0])
        show_resumed(session)
        return
    lines = (chats.find(one.conversation.id) for one in kept)
    print_chats(session, [line for line in lines if line is not None])
    session.say("list-resume")
