"""A text in the person's own editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from chatapp.errors import CommandError
from chatapp.terminal.signals import interrupts_ignored, usual_keys

USUAL = ("sensible-editor", "nano", "vim", "vi") if sys.platform != "win32" else ("notepad",)
"""Tried in turn where neither VISUAL nor EDITOR says which one."""


def edited(text: str) -> str:
    """What a person makes of a text; the newline that editors put at its end is taken off.

    Raises CommandError when there is no editor, or it fails.
    """
    command = _editor()
    with tempfile.TemporaryDirectory(prefix="chatapp-") as folder:
        file = Path(folder) / "message.md"  # only its owner may look into the folder
        file.write_text(text, encoding="utf-8")
        try:
            with usual_keys(sys.stdin), interrupts_ignored():
                status = subprocess.call([*command, str(file)])
            changed = file.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            cause = error.strerror or error
            raise CommandError("editor-failed", editor=command[0], cause=cause) from error
    if status != 0:
        raise CommandError("editor-failed", editor=command[0], cause=status)
    return changed.replace("\r\n", "\n").removesuffix("\n")


def _editor() -> list[str]:
    asked = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if asked:
        try:
            return shlex.split(asked, posix=sys.platform != "win32")
        except ValueError as error:
            raise CommandError("editor-failed", editor=asked, cause=error) from error
    for name in USUAL:
        if found := shutil.which(name):
            return [found]
    raise CommandError("editor-none")
