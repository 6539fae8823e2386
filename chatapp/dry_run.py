"""`--dry-run`: the table of what a model would take, for both faces, and nothing loaded."""

from __future__ import annotations

import sys

from chatapp.engines import weigh
from chatapp.engines.fit import GB, TOKENS, Fit
from chatapp.errors import ChatError
from chatapp.options import Options
from chatapp.texts import Texts

HEADS = ("fit-format", "fit-weights", "fit-loaded", "fit-does", "fit-flag")


def dry_run(options: Options) -> int:
    """Print the table and a recommendation; returns the exit code."""
    texts = Texts(options.language)
    try:
        lines = describe(weigh(options.model), texts)
    except ChatError as error:
        sys.stderr.write(texts(error.sentence) + "\n")
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def describe(fit: Fit, texts: Texts) -> list[str]:
    """The lines of the table, in one language."""
    rows = [tuple(map(texts, HEADS))]
    for each in fit.formats:
        rows.append(
            (
                each.format + (" *" if each == fit.chosen else ""),
                _gb(each.nominal),
                _gb(each.loaded),
                texts("fit-yes" if fit.holds(each) else "fit-no"),
                each.flags,
            )
        )
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        texts("fit-model", name=fit.name, parameters=f"{fit.parameters / 1e9:.3g}"),
        *(
            "  ".join(
                cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
            ).rstrip()
            for row in rows
        ),
        texts("fit-kv", tokens=f"{TOKENS:,}", megabytes=f"{fit.kv / 1e6:.1f}"),
        texts("fit-free", device=fit.device, free=_gb(fit.free)),
        texts(fit.advice()),
    ]


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / GB:.2g} GB"


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if ord(sign) > 0x2E7F else 1 for sign in text)
