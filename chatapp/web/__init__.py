"""placeholder until the face is built."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    raise NotImplementedError
