"""Where a GGUF model goes: the CPU, or which GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatapp.engines import ModelOptions
from chatapp.engines.device import free_memory
from chatapp.errors import LoadError
from chatapp.texts import Sentence

if TYPE_CHECKING:
    from xllamacpp import CommonParams

PROMPT_CHUNK = 128
"""Prompt tokens read at a time on a CPU: Stop and the progress wait for one such chunk. Measured:
5 % slower than llama.cpp's 2048."""


def choose_device(
    parameters: CommonParams, options: ModelOptions, xllamacpp: Any
) -> tuple[str, int]:
    """Set the device in the parameters; returns its name and free bytes. Raises LoadError."""
    devices = xllamacpp.get_device_info()
    kinds = xllamacpp.ggml_backend_dev_type
    gpus = [found for found in devices if found["type"] != kinds.GGML_BACKEND_DEVICE_TYPE_CPU]
    chosen = options.gpu_numbers if options.gpu_numbers is not None else tuple(range(len(gpus)))
    missing = [str(number) for number in chosen if number >= len(gpus)]
    if missing and not options.cpu_only:
        known: object = ", ".join(
            f"{index} ({gpu['description']})" for index, gpu in enumerate(gpus)
        )
        asked = ", ".join(missing)
        raise LoadError("gpu-missing", asked=asked, known=known or Sentence("gpu-none"))
    if options.cpu_only or not gpus:
        parameters.n_gpu_layers = 0
        parameters.n_batch = parameters.n_ubatch = PROMPT_CHUNK
        return "cpu", free_memory()
    parameters.n_gpu_layers = -1
    if len(chosen) == 1:
        parameters.main_gpu = chosen[0]
        parameters.split_mode = xllamacpp.llama_split_mode.LLAMA_SPLIT_MODE_NONE
    elif options.gpu_numbers is not None:  # the layers by what is free on each; 0: none of them
        split = [0.0] * len(parameters.tensor_split)
        for number in chosen:
            split[number] = float(gpus[number]["memory_free"])
        parameters.tensor_split = split
    gpus = [gpus[number] for number in chosen]
    names = ", ".join(str(gpu["description"]) for gpu in gpus)
    return names, sum(int(gpu["memory_free"]) for gpu in gpus)
