"""A run as tables (Markdown, aligned to be read in a terminal too) and as a part of the README.

Everything is made from the run's JSON, so that a stored run can be told again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.bench import machine

Found = dict[str, Any]
"""A run as it stands in benchmark.json."""

MARKS = re.compile(r"<!-- benchmark -->\n.*?<!-- /benchmark -->", re.DOTALL)
PICTURE = "docs/benchmark.png"


def tables(found: Found) -> str:
    """All that was found, for a terminal."""
    parts = [heading(found)]
    parts += [f"## {_title(measure)}\n\n{figures(measure)}" for measure in found["measures"]]
    notes = [f"- {note}" for measure in found["measures"] for note in measure["notes"]]
    return "\n\n".join([*parts, "\n".join(notes), f"## Promises\n\n{promises(found)}"]) + "\n"


def heading(found: Found) -> str:
    """Which run this is."""
    quick = " A quick run: it shows that the benchmark works, no more." if found["quick"] else ""
    return (
        f"{found['model']} in {found['dtype']}, greedy, {found['machine']['threads']} threads, on "
        f"{machine.sentence(found['machine'])}.{quick}"
    )


def promises(found: Found) -> str:
    """What is required, what was measured, and whether it is met."""
    return table(
        ("Promise (ratios within one run)", "Measured", "Spread", "Target", "Met"),
        (
            (
                each["text"],
                _number(each["median"], each["unit"]),
                f"{_number(each['min'])} to {_number(each['max'])}",
                f"{'≥' if each['at_least'] else '≤'} {each['target']:g}{_unit(each['unit'])}",
                "yes" if each["met"] else "**no**",
            )
            for measure in found["measures"]
            for each in measure["requirements"]
        ),
    )


def figures(measure: Found) -> str:
    """The figures of one measure: a row for each contender, a column for each point of its axis."""
    found = measure["figures"]
    if not found:
        return "Nothing."
    names = list(dict.fromkeys(each["contender"] for each in found))
    points = list(dict.fromkeys(each["at"] for each in found))
    cells = {(each["contender"], each["at"]): _cell(each) for each in found}
    axis = measure["axis"]
    heads = [f"{point:,}" for point in points] if axis else [measure["unit"]]
    return table(
        (axis, *heads),
        ((name, *(cells.get((name, point), "") for point in points)) for name in names),
    )


def in_readme(found: Found) -> str:
    """What stands between the marks of the README."""
    plain = [measure for measure in found["measures"] if not measure["axis"]]
    rows = (
        (_title(measure) if not index else "", each["contender"], _cell(each))
        for measure in plain
        for index, each in enumerate(measure["figures"])
    )
    parts = (
        promises(found),
        f"![Waiting, speed and chats at once, beside others]({PICTURE})",
        table(("Measured", "By", "Median (least to most)"), rows),
        heading(found),
    )
    return "<!-- benchmark -->\n\n" + "\n\n".join(parts) + "\n\n<!-- /benchmark -->"


def write_readme(readme: Path, found: Found) -> None:
    """Put a run between the marks. Raises ValueError where there are none."""
    text = readme.read_text(encoding="utf-8")
    changed, times = MARKS.subn(lambda _: in_readme(found), text)
    if times != 1:
        raise ValueError(f"{readme} has the marks <!-- benchmark --> {times} times")
    readme.write_text(changed, encoding="utf-8")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; its columns are aligned."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)


def _title(measure: Found) -> str:
    return f"{measure['title']}, {measure['unit']}"


def _cell(figure: Found) -> str:
    middle = _number(figure["median"])
    if len(figure["values"]) == 1:
        return middle
    return f"{middle} ({_number(figure['min'])} to {_number(figure['max'])})"


def _number(value: float, unit: str = "x") -> str:
    """Three significant digits, without an exponent."""
    digits = max(0, 2 - len(str(int(abs(value)))) + (1 if abs(value) >= 1 else 0))
    if 0 < abs(value) < 1:
        digits = 3 if abs(value) >= 0.01 else 4
    return f"{value:,.{digits}f}{_unit(unit)}"


def _unit(unit: str) -> str:
    return "" if unit == "x" else f" {unit}"
