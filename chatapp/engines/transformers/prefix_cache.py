"""PrefixCache: the keys and values of recent conversations, kept so that the next turn reads only
what is new. Knows tokens and caches, nothing of messages or generation.

What is reused was computed in the pieces in which it would be computed again: of a prompt that was
read in chunks only whole chunks are reused. So the same conversation gives the same numbers,
rounding included, whatever else the cache holds, and a seed holds in bfloat16 too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from transformers import DynamicCache, PreTrainedConfig

from chatapp.engines.transformers.growing_cache import growing_cache


@dataclass(slots=True, eq=False)
class CachedPrefix:
    """The keys and values of `ids`; `chunks` (begin, end) of them were each read in one go."""

    cache: DynamicCache
    ids: list[int] = field(default_factory=list)
    chunks: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of keys, values and states: of all memory they keep, what was cropped included."""
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for layer in self.cache.layers
            for tensor in _tensors(layer)
        }
        return sum(storages.values())

    def grown(self, prompt: Sequence[int], answer: Sequence[int], chunk: int) -> None:
        """Note what generate() has put into the cache: the prompt's rest, read in chunks of that
        many tokens, and the answer token by token; the last it gave, and what it never came to,
        are not in there.
        """
        held = self.cache.get_seq_length()
        read = min(held, len(prompt))
        self.chunks += [
            (begin, min(begin + chunk, read)) for begin in range(len(self.ids), read, chunk)
        ]
        self.ids = [*prompt, *answer][:held]

    def even_out(self) -> bool:
        """Take back what only some layers have read of a chunk that was broken off.

        False where that cannot be: this is no prefix of anything then.
        """
        lengths = [layer.get_seq_length() for layer in self.cache.layers if layer.is_croppable]
        if len(set(lengths)) <= 1:
            return True
        if not self._can_crop():
            return False
        for layer, length in zip(self.cache.layers, lengths, strict=True):
            if length > min(lengths):
                layer.crop(min(lengths) - length)
        return True

    def forget_after(self, length: int) -> None:
        """Take guesses back that generate() had no time to take back itself."""
        surplus = self.cache.get_seq_length() - length
        if surplus > 0:
            self.cache.crop(-surplus)

    def usable(self, ids: Sequence[int]) -> int:
        """How many tokens of this are a beginning of `ids`, one of which must stay to be read."""
        shared = _common(self.ids, ids[:-1])
        for begin, end in self.chunks:
            if begin < shared < end:
                shared = begin
        return shared if shared == len(self.ids) or self._can_crop() else 0

    def crop(self, length: int) -> None:
        """Forget all but the first tokens."""
        if length < len(self.ids):
            self.cache.crop(length - len(self.ids))
            del self.ids[length:]
            self.chunks = [chunk for chunk in self.chunks if chunk[1] <= length]

    def _can_crop(self) -> bool:
        """Recurrent states cannot be taken back, nor a sliding window that has moved on."""
        return self.cache.is_croppable and not any(
            getattr(layer, "is_sliding", False) and layer.get_seq_length() >= layer.sliding_window
            for layer in self.cache.layers
        )

    def copied(self, length: int, config: PreTrainedConfig) -> CachedPrefix:
        """The first tokens of this, apart: every layer copies what it is given."""
        cache = growing_cache(config)
        for index, layer in enumerate(self.cache.layers):
            keys, values = layer.keys[..., :length, :], layer.values[..., :length, :]
            cache.update(keys, values, index)
        chunks = [chunk for chunk in self.chunks if chunk[1] <= length]
        return CachedPrefix(cache, self.ids[:length], chunks)


class PrefixCache:
    """The prefixes of recent conversations, the last used last, within a budget of bytes."""

    def __init__(self, budget: int, config: PreTrainedConfig) -> None:
        self.budget = budget
        self._config = config
        self._prefixes: list[CachedPrefix] = []

    def __len__(self) -> int:
        return len(self._prefixes)

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(prefix.size for prefix in self._prefixes)

    def take(self, ids: Sequence[int]) -> CachedPrefix:
        """The longest beginning of `ids` there is (perhaps empty), for the taker to grow and put.

        A prefix that would lose more than it gives belongs to another conversation: it stays, and
        what the two share is copied.
        """
        usable, best = max(
            ((prefix.usable(ids), prefix) for prefix in reversed(self._prefixes)),
            key=lambda each: each[0],
            default=(0, None),
        )
        if best is None or usable == 0:
            return CachedPrefix(growing_cache(self._config))
        if usable < len(best.ids) / 2:
            return best.copied(usable, self._config)
        self._prefixes.remove(best)
        best.crop(usable)
        return best

    def put(self, prefix: CachedPrefix) -> None:
        """Keep a prefix; the least recently used ones go until all fit into the budget."""
        if prefix.ids:
            self._prefixes.append(prefix)
        while self._prefixes and self.size > self.budget:
            del self._prefixes[0]

    def clear(self) -> None:
        """Forget everything: the memory is needed."""
        self._prefixes.clear()


def _tensors(layer: object) -> Iterator[torch.Tensor]:
    """What a cache layer holds; recurrent ones hold some of their states by number."""
    for value in vars(layer).values():
        for held in value.values() if isinstance(value, dict) else (value,):
            if isinstance(held, torch.Tensor):
                yield held


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the beginning that two sequences share."""
    shortest = min(len(one), len(other))
    if one[:shortest] == other[:shortest]:
        return shortest
    return next(index for index in range(shortest) if one[index] != other[index])
