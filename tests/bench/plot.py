"""A run as a picture for the README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

SHOWN = ("turns", "crowd", "document", "decode")
COLOURS = {
    "chatapp": "#2563eb",
    "chatapp, batched": "#1e3a8a",
    "chatapp, prefix cache off": "#93c5fd",
    "bare generate()": "#6b7280",
    "the demos' way": "#dc2626",
    "transformers serve": "#fbbf24",
    "transformers serve, batched": "#b45309",
}
OTHER_COLOUR = "#9ca3af"


def draw(found: dict[str, Any], file: Path) -> None:
    """Write a PNG with a panel for each of the measures SHOWN that was taken."""
    measures = {each["name"]: each for each in found["measures"] if each["figures"]}
    shown = [measures[name] for name in SHOWN if name in measures]
    columns = min(2, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(5.6 * columns, 3.8 * rows), dpi=110, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for panel, measure in zip(panels, shown, strict=False):
        (_lines if measure["axis"] else _bars)(panel, measure)
        panel.set_title(measure["title"], fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    figure.savefig(file)


def _lines(panel: Axes, measure: dict[str, Any]) -> None:
    """Medians over the axis, with the spread as a band."""
    names = dict.fromkeys(each["contender"] for each in measure["figures"])
    for name in names:
        points = [each for each in measure["figures"] if each["contender"] == name]
        colour = COLOURS.get(name, OTHER_COLOUR)
        at = _of(points, "at")
        panel.plot(at, _of(points, "median"), "o-", ms=4, color=colour, label=name)
        panel.fill_between(at, _of(points, "min"), _of(points, "max"), color=colour, alpha=0.15)
    panel.set_xticks(at)
    panel.set_xlabel(measure["axis"])
    panel.set_ylabel(measure["unit"])
    panel.set_ylim(bottom=0)
    panel.legend(fontsize=8, frameon=False)


def _bars(panel: Axes, measure: dict[str, Any]) -> None:
    """Medians as bars, with the spread as a line."""
    points = measure["figures"]
    names, medians = _of(points, "contender"), _of(points, "median")
    below = [each["median"] - each["min"] for each in points]
    above = [each["max"] - each["median"] for each in points]
    colours = [COLOURS.get(name, OTHER_COLOUR) for name in names]
    panel.barh(names, medians, xerr=(below, above), color=colours, height=0.6, capsize=3)
    panel.invert_yaxis()
    panel.set_xlabel(measure["unit"])


def _of(points: Sequence[dict[str, Any]], name: str) -> list[Any]:
    return [each[name] for each in points]
