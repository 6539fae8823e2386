"""The header of a GGUF file: what the model is, without reading its weights.

Source: ggml, docs/gguf.md. The `gguf` package reads headers too, but takes seconds for a large
vocabulary, which is most of the start-up time.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
UINT32, UINT64 = 4, 10
NUMBERS: Mapping[int, struct.Struct] = {
    kind: struct.Struct("<" + code)
    for kind, code in zip((*range(8), 10, 11, 12), "BbHhIif?Qqd", strict=True)
}
KV_BYTES = 2
"""llama.cpp keeps keys and values in half precision."""


def read_header(path: Path) -> dict[str, object]:
    """The metadata of a GGUF file by key; arrays of texts (the vocabulary) are left out.

    Raises ValueError where it is no GGUF file or is cut short.
    """
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise ValueError("not a GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Reader(data).metadata()
            except (struct.error, KeyError, UnicodeDecodeError) as error:
                raise ValueError("damaged header") from error


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor by name, columns first. Raises ValueError as read_header does."""
    with path.open("rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Reader(data).shapes()
            except (struct.error, KeyError, UnicodeDecodeError) as error:
                raise ValueError("damaged header") from error


def context_length(header: Mapping[str, object]) -> int | None:
    """The context the model was trained with, in tokens."""
    return _number(header, "context_length")


def kv_bytes_per_token(header: Mapping[str, object]) -> int | None:
    """The bytes llama.cpp's KV cache takes for one token; None where the header does not say."""
    layers = _number(header, "block_count")
    heads = _number(header, "attention.head_count")
    width = _number(header, "embedding_length")
    if not (layers and heads and width):
        return None
    kv_heads = _number(header, "attention.head_count_kv") or heads
    key = _number(header, "attention.key_length") or width // heads
    value = _number(header, "attention.value_length") or width // heads
    return layers * kv_heads * (key + value) * KV_BYTES


def _number(header: Mapping[str, object], name: str) -> int | None:
    """An architecture's number; the largest where each layer has its own."""
    value = header.get(f"{header.get('general.architecture')}.{name}")
    if isinstance(value, list):
        value = max(value, default=None)
    return value if isinstance(value, int) else None


class _Reader:
    """Walks through the bytes of a header."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = len(MAGIC)

    def metadata(self) -> dict[str, object]:
        self._read(NUMBERS[UINT32])  # version
        self.tensors = int(self._read(NUMBERS[UINT64]))
        found = {}
        for _ in range(int(self._read(NUMBERS[UINT64]))):
            key = self._text()
            found[key] = self._value(int(self._read(NUMBERS[UINT32])))
        return found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        self.metadata()
        found = {}
        for _ in range(self.tensors):
            name = self._text()
            sizes = range(int(self._read(NUMBERS[UINT32])))
            found[name] = tuple(int(self._read(NUMBERS[UINT64])) for _ in sizes)
            self._read(NUMBERS[UINT32])  # type
            self._read(NUMBERS[UINT64])  # offset
        return found

    def _read(self, number: struct.Struct) -> int | float | bool:
        (value,) = number.unpack_from(self._data, self._at)
        self._at += number.size
        return value  # type: ignore[no-any-return]  # struct knows its format, mypy does not

    def _text(self) -> str:
        size = int(self._read(NUMBERS[UINT64]))
        begin, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise struct.error("cut short")
        return self._data[begin : self._at].decode()

    def _value(self, kind: int) -> object:
        if kind == STRING:
            return self._text()
        if kind != ARRAY:
            return self._read(NUMBERS[kind])
        inner, count = int(self._read(NUMBERS[UINT32])), int(self._read(NUMBERS[UINT64]))
        if inner != STRING:
            return [self._read(NUMBERS[inner]) for _ in range(count)]
        size = NUMBERS[UINT64]
        for _ in range(count):  # skipping is quicker than reading
            self._at += size.size + size.unpack_from(self._data, self._at)[0]
        return None
