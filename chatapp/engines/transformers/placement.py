"""Where a model runs and in which number format: GPUs, CPU, and what is free there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from chatapp.engines import ModelOptions
from chatapp.engines.device import free_memory
from chatapp.errors import LoadError
from chatapp.texts import Sentence

DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True, slots=True)
class Placement:
    """The devices for a model's layers, and the number format of its weights."""

    device: torch.device
    """The first device, which takes the tokens."""
    dtype: torch.dtype
    gpus: tuple[int, ...] = ()
    """CUDA's numbers of the cards in use."""
    gpu_memory: int | None = None
    """Bytes that the weights may take of each card; what is more stays in main memory."""

    @property
    def device_map(self) -> object:
        """For from_pretrained: `auto` lets accelerate split the layers."""
        return "auto" if self._splits else {"": self.device}

    @property
    def max_memory(self) -> dict[int | str, int] | None:
        """Bytes that from_pretrained may use of each device; devices left out are not used."""
        if not self._splits:
            return None
        limits: dict[int | str, int] = {card: self._free_on(card) for card in self.gpus}
        if self.gpu_memory is not None:
            limits["cpu"] = free_memory()
        return limits

    @property
    def free(self) -> int:
        """The bytes that the weights can have, on all devices together."""
        if not self.gpus:
            return free_memory()
        rest = free_memory() if self.gpu_memory is not None else 0
        return sum(map(self._free_on, self.gpus)) + rest

    @property
    def _splits(self) -> bool:
        return len(self.gpus) > 1 or self.gpu_memory is not None

    def _free_on(self, card: int) -> int:
        free = int(torch.cuda.mem_get_info(card)[0])
        return free if self.gpu_memory is None else min(free, self.gpu_memory)


def choose_placement(options: ModelOptions) -> Placement:
    """The devices asked for, or the best there are. Raises LoadError for what is not there."""
    device, gpus = _devices(options)
    for flag, asked in (("--gpu-memory", options.gpu_memory), ("--compile", options.compile)):
        if asked and not gpus:
            raise LoadError("flag-needs-gpu", flag=flag, device=device.type)
    return Placement(device, choose_dtype(options.dtype, device), gpus, options.gpu_memory)


def _devices(options: ModelOptions) -> tuple[torch.device, tuple[int, ...]]:
    if options.cpu_only:
        return torch.device("cpu"), ()
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = options.gpu_numbers if options.gpu_numbers is not None else tuple(range(count))
    missing = [str(card) for card in gpus if card >= count]
    if missing:
        known: object = ", ".join(
            f"{card} ({torch.cuda.get_device_name(card)})" for card in range(count)
        )
        asked = ", ".join(missing)
        raise LoadError("gpu-missing", asked=asked, known=known or Sentence("gpu-none"))
    if gpus:
        return torch.device("cuda", gpus[0]), gpus
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu"), ()


def choose_dtype(asked: str, device: torch.device) -> torch.dtype:
    """The number format asked for; `auto`: bfloat16 where the device computes in it."""
    if asked != "auto":
        return DTYPES[asked]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    if device.type == "mps":
        return torch.float16
    has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_bfloat16 else torch.float32
