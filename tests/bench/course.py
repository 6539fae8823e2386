"""The course all measures run on: the engine, who takes part, how much, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from chatapp.engines.transformers import TransformersEngine
from tests.bench.contenders import Contender
from tests.bench.sizes import Sizes

Item = TypeVar("Item")


@dataclass(frozen=True)
class Course:
    engine: TransformersEngine
    contenders: Mapping[str, Contender]
    folder: Path
    """The model's, for those who load it themselves."""
    dtype: str
    sizes: Sizes
    beside_serve: bool
    """Whether `transformers serve` takes part."""
    say: Callable[[str], None]
    """Tells what is being measured now."""

    def rounds(self, count: int, names: Iterable[Item]) -> Iterator[tuple[int, list[Item]]]:
        """Rounds, in each of which everyone takes a turn, each time beginning with another."""
        order = list(names)
        for number in range(count):
            shift = number % len(order)
            yield number, order[shift:] + order[:shift]

    def now(self, what: str, number: int, of: int) -> None:
        self.say(f"{what}, round {number + 1} of {of}")
