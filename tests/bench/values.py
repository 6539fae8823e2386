"""What a run finds: figures with their spread, and requirements that are ratios of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figures:
    """The same thing measured several times, one value a round."""

    contender: str
    values: tuple[float, ...]
    at: float | None = None
    """Where on the measure's axis (tokens of history, chats at once), if it has one."""

    @property
    def median(self) -> float:
        return median(self.values)

    def as_dict(self) -> dict[str, Any]:
        return {
            "contender": self.contender,
            "at": self.at,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
        }


@dataclass(frozen=True)
class Requirement:
    """A promise: the median of ratios (each of figures of one round) against a target."""

    text: str
    ratios: tuple[float, ...]
    target: float
    at_least: bool
    """Whether the figure must be at least the target, or at most."""
    unit: str = "x"

    @property
    def figure(self) -> float:
        return median(self.ratios)

    @property
    def is_met(self) -> bool:
        return self.figure >= self.target if self.at_least else self.figure <= self.target

    def as_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "median": self.figure,
            "min": min(self.ratios),
            "max": max(self.ratios),
            "target": self.target,
            "at_least": self.at_least,
            "unit": self.unit,
            "met": self.is_met,
        }


@dataclass
class Measure:
    """One table: figures of several contenders in one unit, and what is required of them."""

    name: str
    title: str
    unit: str
    axis: str = ""
    figures: list[Figures] = field(default_factory=list)
    requirements: list[Requirement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "axis": self.axis,
            "figures": [each.as_dict() for each in self.figures],
            "requirements": [each.as_dict() for each in self.requirements],
            "notes": self.notes,
        }


class Rounds:
    """Collects values round by round: `rounds.add("chatapp", 3.2, at=4000)`."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, float | None], list[float]] = {}

    def add(self, contender: str, value: float, at: float | None = None) -> None:
        self._values.setdefault((contender, at), []).append(value)

    def values(self, contender: str, at: float | None = None) -> list[float]:
        """The values of a contender in the order of the rounds."""
        return self._values[contender, at]

    def figures(self) -> list[Figures]:
        return [Figures(name, tuple(values), at) for (name, at), values in self._values.items()]


def ratios(over: Sequence[float], under: Sequence[float]) -> tuple[float, ...]:
    """Round by round, so that a machine that slows down slows both."""
    return tuple(one / other for one, other in zip(over, under, strict=True))
