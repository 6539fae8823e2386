"""The errors a person may see.

ChatError                  one sentence that says what to do next
 ├─ LoadError              a model cannot be found, downloaded or loaded
 ├─ SettingError           a generation setting has a bad name or value
 ├─ GenerationError        the engine failed while answering
 │   ├─ ContextOverflow    one message alone does not fit into the model's context
 │   └─ LineFull           too many requests are waiting already
 ├─ StoreError             the stored conversations cannot be read or written
 ├─ ExchangeError          a file cannot be exported or imported
 ├─ CommandError           a :command is unknown or misused
 └─ LaunchError            the page cannot be served where it was asked to be

An error carries a catalogue key and its values, not a finished sentence, so that each face can
say it in the reader's language; `str(error)` is the English one.
"""

from __future__ import annotations

from chatapp.texts import Sentence, Texts


class ChatError(Exception):
    """Something a person should read; `key` names a line of the catalogues in `texts/`."""

    def __init__(self, key: str, **values: object) -> None:
        self.sentence = Sentence(key, values)
        super().__init__(key)

    def __str__(self) -> str:
        return Texts("en")(self.sentence)


class LoadError(ChatError):
    """A model cannot be found, downloaded or loaded."""


class SettingError(ChatError):
    """A generation setting has a bad name or value, or the engine does not honour it."""


class GenerationError(ChatError):
    """The engine failed while answering."""


class ContextOverflow(GenerationError):
    """One message alone does not fit into the model's context."""


class LineFull(GenerationError):
    """Too many requests are waiting for the model already."""


class StoreError(ChatError):
    """The stored conversations cannot be read or written, or lack the one asked for."""


class ExchangeError(ChatError):
    """A file cannot be exported to or imported from."""


class CommandError(ChatError):
    """A :command is unknown or misused."""


class LaunchError(ChatError):
    """The page cannot be served where it was asked to be."""
