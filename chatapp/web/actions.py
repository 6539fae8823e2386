"""What can be done to a chat: plain values, which a chat's performer carries out in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from chatapp.settings import GenerationSettings


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a question; `asked` is how many its page knew of: a double submit knows too few."""

    text: str
    asked: int


@dataclass(frozen=True, slots=True)
class Regenerate:
    """Answer the last question again."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """Write on at the last answer."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Take the last question back."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Put another version beside a message; a question is answered anew."""

    message: str
    text: str


@dataclass(frozen=True, slots=True)
class Choose:
    """Go on with another version of a message: the one so many places further on."""

    message: str
    step: int


@dataclass(frozen=True, slots=True)
class Compact:
    """Sum up the oldest turns."""


@dataclass(frozen=True, slots=True)
class Look:
    """Count anew how full the context is."""


Action: TypeAlias = Ask | Regenerate | GoOn | Undo | Edit | Choose | Compact | Look
GiveBack: TypeAlias = Callable[[str], None]
"""Takes a text that belongs into the message box again."""


@dataclass(frozen=True, slots=True)
class Job:
    """An action, with what its tab has set."""

    action: Action
    settings: GenerationSettings
    give_back: GiveBack
