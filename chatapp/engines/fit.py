"""Will it fit? What a model takes in each number format, beside what is free. Plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

from chatapp.errors import LoadError
from chatapp.texts import Sentence

GB = 10**9
TOKENS = 1000
"""The keys and values of so many tokens are told."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The bytes of all weights in one number format."""

    format: str
    flags: str
    """What a person types to get it; empty: the files are so already."""
    nominal: int
    """Parameters times bits."""
    loaded: int
    """What is really taken: scales are added, and some layers are never packed."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A model, before its weights are read, and the device that it is for."""

    name: str
    parameters: int
    formats: tuple[Footprint, ...]
    """From the largest to the smallest."""
    chosen: Footprint
    """The one that the flags ask for."""
    kv: int
    """Bytes of the KV cache for TOKENS tokens."""
    device: str
    free: int
    """Bytes free on the device."""
    splittable: int = 0
    """Bytes free on GPU and in main memory together, where the layers may be split."""
    tokens: int = TOKENS
    """The keys and values of so many tokens must have room beside the weights."""

    def takes(self, footprint: Footprint) -> int:
        """Bytes of the weights in one number format, with the least of a KV cache."""
        return footprint.loaded + self.kv * self.tokens // TOKENS

    def holds(self, footprint: Footprint) -> bool:
        """Whether the weights fit, and a short conversation beside them."""
        return self.takes(footprint) <= self.free

    def advice(self) -> Sentence:
        """What to type: nothing where the choice fits, else the flag that would make it fit."""
        if self.holds(self.chosen):
            return Sentence("fit-fits", {"free": _gb(self.free)})
        smaller = [each for each in self.formats if each.loaded < self.chosen.loaded]
        for footprint in smaller:
            if footprint.flags and self.holds(footprint):
                return Sentence("fit-flags", {"flags": footprint.flags})
        if self.takes(self.chosen) <= self.splittable:
            limit = self.free * 8 // 10 // 2**30
            return Sentence("fit-flags", {"flags": f"--gpu-memory {limit}GiB"})
        return Sentence("fit-nothing")

    def check(self) -> None:
        """Raises LoadError where the choice cannot fit."""
        if not self.holds(self.chosen):
            raise LoadError(
                "model-does-not-fit",
                name=self.name,
                needed=_gb(self.takes(self.chosen)),
                format=self.chosen.format,
                device=self.device,
                free=_gb(self.free),
                advice=self.advice(),
            )


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"
