"""GGUF files through llama.cpp: xllamacpp's in-process server, with its slots and prompt cache.

The server also listens on a loopback port, which counts tokens for us; a random key closes it to
others. The model's own template and reasoning format are llama.cpp's business. Source of the
request fields: llama.cpp, tools/server/README.md. Where the last message is an answer, llama.cpp
goes on with it, and finds out from the template how reasoning is written in it.
"""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from chatapp import gguf
from chatapp.engines import ModelOptions, OnProgress, require, split_answer
from chatapp.engines.device import free_memory, process_memory
from chatapp.engines.fit import TOKENS, Fit, Footprint
from chatapp.engines.line import Line
from chatapp.engines.relay import Relay, read, run
from chatapp.errors import ContextOverflow, GenerationError, LoadError
from chatapp.events import (
    EventStream,
    Finished,
    Progress,
    Reason,
    ReasoningDelta,
    TextDelta,
    Timings,
    Usage,
)
from chatapp.hub import ModelFiles
from chatapp.hub.files import parts
from chatapp.messages import Message
from chatapp.settings import GenerationSettings
from chatapp.texts import Sentence

if TYPE_CHECKING:
    from xllamacpp import CommonParams, Server

PROMPT_CHUNK = 128
"""Prompt tokens read at a time on a CPU: Stop and the progress wait for one such chunk. Measured:
5 % slower than llama.cpp's 2048."""
PROMPT_CACHE_MIB = 1024
LEAST_CONTEXT = 2048
EMBEDDING = "token_embd.weight"
"""A row for each token of the vocabulary."""
FLOAT32 = 4
"""Bytes of a score."""
SLOTS = 4
"""How many chats are answered at once unless --concurrency says it."""
RANDOM_SEED = 2**32 - 1
"""llama.cpp takes this one seed to mean "draw one"."""

DIALECT: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repeat_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "max_new_tokens": "max_tokens",
    "stop": "stop",
}
"""Our names of settings -> llama.cpp's; `do_sample` and `seed` are translated by hand."""


class LlamaCppEngine:
    """A GGUF model in llama.cpp."""

    name = "llamacpp"
    supports = frozenset(DIALECT) | {"do_sample", "seed"}

    def __init__(
        self,
        server: Server,
        key: str,
        files: ModelFiles,
        header: Mapping[str, object],
        *,
        device: str,
        places: int,
    ) -> None:
        self._server = server
        self._key = key
        self._device = device
        self._line = Line(places)
        self._workers = ThreadPoolExecutor(places, "llamacpp")
        properties = self._ask("GET", "/props")
        self._file_type = str(properties["model_ftype"])
        advised = properties["default_generation_settings"]
        self.model = files.name
        self.context_length: int | None = advised["n_ctx"]
        self.defaults = _defaults(advised["params"], files.recommended)
        self.notices: Sequence[Sentence] = _notices(header, properties["chat_template_caps"])

    def details(self) -> Mapping[str, str]:
        return {"device": self._device, "dtype": self._file_type, "memory": process_memory()}

    def count_tokens(self, messages: Sequence[Message]) -> int:
        counted = self._ask("POST", "/v1/chat/completions/input_tokens", self._body(messages))
        return int(counted["input_tokens"])

    def stream(
        self, messages: Sequence[Message], settings: GenerationSettings, cancel: threading.Event
    ) -> EventStream:
        begin = time.monotonic()
        relay: Relay = SimpleQueue()
        with self._line.join(cancel) as request:
            answer = _Answer(settings, relay, begin, request.is_cancelled)
            yield from request
            if request.is_cancelled():
                yield answer.finished("stopped")
                return
            body = self._body(messages) | _request(settings)
            self._workers.submit(run, relay, lambda: self._answer(body, answer))
            yield from read(relay)

    def close(self) -> None:
        self._line.close()
        self._workers.shutdown()
        del self._server

    def _answer(self, request: dict[str, object], answer: _Answer) -> Finished:
        self._server.handle_chat_completions(request, answer.hear)
        return answer.conclude()

    def _body(self, messages: Sequence[Message]) -> dict[str, object]:
        """Raises GenerationError where the template leaves out the answer to go on with."""
        asked, answer = split_answer(messages)
        sent = [{"role": each.role, "content": each.content} for each in asked]
        if answer is None:
            return {"messages": sent}
        body: dict[str, object] = {"messages": [*sent, _begun(answer)]}
        prompt = str(self._ask("POST", "/apply-template", body)["prompt"])
        if not prompt.endswith(answer.content or answer.reasoning):
            raise GenerationError("go-on-unsupported", name=self.model)
        return body

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """The server's answer over its port. Raises GenerationError with what it says."""
        address = urlsplit(self._server.listening_address)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answered = json.loads(connection.getresponse().read())
        except (OSError, ValueError) as error:
            raise GenerationError("generation-failed", cause=error) from error
        finally:
            connection.close()
        if "error" in answered:
            raise _translate(answered["error"])
        return answered


class _Answer:
    """One answer being heard: translates llama.cpp's chunks into events for the relay."""

    def __init__(
        self,
        settings: GenerationSettings,
        relay: Relay,
        begin: float,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self.relay = relay
        self._settings = settings
        self._begin = begin
        self._is_cancelled = is_cancelled
        self._first: float | None = None
        self._usage = Usage(0, 0)
        self._reason: str | None = None  # llama.cpp's words: stop, length
        self._error: Mapping[str, Any] | None = None

    def hear(self, chunk: Mapping[str, Any]) -> bool:
        """Called by llama.cpp with each chunk; returns whether to stop."""
        self._error = chunk.get("error")
        if (reading := chunk.get("prompt_progress")) is not None:
            self.relay.put(Progress("reading", reading["processed"], reading["total"]))
        if (counted := chunk.get("timings")) is not None:
            self._usage = Usage(
                prompt_tokens=counted["cache_n"] + counted["prompt_n"],
                completion_tokens=counted["predicted_n"],
                cached_tokens=counted["cache_n"],
            )
        for choice in chunk.get("choices", ()):
            self._reason = choice["finish_reason"] or self._reason
            self._say(ReasoningDelta, choice["delta"].get("reasoning_content"))
            self._say(TextDelta, choice["delta"].get("content"))
        return self._is_cancelled()

    def _say(self, kind: type[ReasoningDelta] | type[TextDelta], text: str | None) -> None:
        if text:
            if self._first is None:
                self._first = time.monotonic() - self._begin
            self.relay.put(kind(text))

    def conclude(self) -> Finished:
        """The end, once llama.cpp has returned. Raises GenerationError if it failed."""
        if self._error is not None:
            raise _translate(self._error)
        if self._reason is None and not self._is_cancelled():
            raise GenerationError("generation-failed", cause="llama.cpp ended without a reason")
        return self.finished(self._reason or "stopped")

    def finished(self, reason: str) -> Finished:
        timings = Timings(self._first, time.monotonic() - self._begin)
        return Finished(cast("Reason", reason), self._usage, timings, self._settings.seed)


def _begun(answer: Message) -> dict[str, str]:
    """An answer to go on with. llama.cpp writes the line breaks around reasoning itself, but for
    templates where it left those after the reasoning to the content.
    """
    reasoning = answer.reasoning
    if answer.content and not answer.content.startswith("\n"):
        reasoning = reasoning.strip("\n")
    begun = {"role": "assistant", "content": answer.content}
    return begun | {"reasoning_content": reasoning} if reasoning else begun


def _request(settings: GenerationSettings) -> dict[str, object]:
    """Our settings in llama.cpp's dialect."""
    request: dict[str, object] = {
        theirs: getattr(settings, ours) for ours, theirs in DIALECT.items()
    }
    if settings.greedy:
        request["temperature"] = 0.0
    return request | {
        "seed": settings.seed % RANDOM_SEED,
        "stream": True,
        "return_progress": True,
        "timings_per_token": True,
    }


def _defaults(advised: Mapping[str, Any], card: Mapping[str, object]) -> GenerationSettings:
    """llama.cpp's defaults, with what the file says over them and the model's card over that."""
    found = {ours: advised[theirs] for ours, theirs in DIALECT.items() if theirs in advised}
    rounded = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in found.items()
        if name not in ("max_new_tokens", "stop")
    }
    return GenerationSettings().changed(rounded).changed(card)


def _notices(header: Mapping[str, object], template: Mapping[str, Any]) -> list[Sentence]:
    if "tokenizer.chat_template" not in header:
        return [Sentence("notice-no-template")]
    if not template.get("supports_system_role", True):
        return [Sentence("notice-no-system")]
    return []


def _translate(error: Mapping[str, Any]) -> GenerationError:
    if error.get("type") == "exceed_context_size_error":
        return ContextOverflow(
            "context-overflow", tokens=error["n_prompt_tokens"], context=error["n_ctx"]
        )
    message = str(error.get("message", "no reason given"))
    return GenerationError("generation-failed", cause=message)


def load(files: ModelFiles, options: ModelOptions, on_progress: OnProgress) -> LlamaCppEngine:
    """Load a GGUF file. Raises LoadError."""
    if not files.is_gguf:
        raise LoadError("llamacpp-needs-gguf", path=files.path)
    require("xllamacpp", engine="llamacpp", install="python -m pip install 'chatapp[llamacpp]'")
    import xllamacpp

    on_progress(Progress("loading"))
    key = secrets.token_urlsafe(32)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(files.path)
    parameters.model_alias = {files.name}
    parameters.api_keys = [key]
    places = options.concurrency or SLOTS
    parameters.n_parallel = places
    # Each chat its own cache: in a shared one they change each other's rounding, so that no seed
    # would give the same text twice, and together they can fill it up.
    parameters.kv_unified = False
    parameters.cache_ram_mib = PROMPT_CACHE_MIB
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.verbosity = -1
    device, free = _choose_device(parameters, options, xllamacpp)
    try:
        check_fits(files, options)
        header = gguf.read_header(files.path)
        parameters.n_ctx = places * _context(header, files, free, places)
        server = xllamacpp.Server(parameters)
    except (OSError, ValueError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else Sentence("cause-gguf-damaged")
        raise LoadError("model-broken", name=files.name, cause=cause, path=files.path) from error
    return LlamaCppEngine(server, key, files, header, device=device, places=places)


def estimate(files: ModelFiles, options: ModelOptions) -> Fit:
    """What a GGUF file takes: its length, and the scores of a chunk of the prompt for every token.

    The KV caches of all chats are taken at the start, LEAST_CONTEXT of each at least.
    Raises LoadError.
    """
    if not files.is_gguf:
        raise LoadError("llamacpp-needs-gguf", path=files.path)
    require("xllamacpp", engine="llamacpp", install="python -m pip install 'chatapp[llamacpp]'")
    import xllamacpp

    taken = xllamacpp.CommonParams()
    device, free = _choose_device(taken, options, xllamacpp)
    try:
        header = gguf.read_header(files.path)
        shapes = [gguf.read_shapes(path) for path in parts(files.path)]
    except (OSError, ValueError) as error:
        cause = Sentence("cause-gguf-damaged")
        raise LoadError("model-broken", name=files.name, cause=cause, path=files.path) from error
    size = sum(path.stat().st_size for path in parts(files.path))
    vocabulary = max((part[EMBEDDING][-1] for part in shapes if EMBEDDING in part), default=0)
    scores = taken.n_ubatch * vocabulary * FLOAT32
    stored = Footprint("GGUF", "", size, size + scores)
    kv = (gguf.kv_bytes_per_token(header) or 0) * TOKENS
    parameters = sum(prod(shape) for part in shapes for shape in part.values())
    tokens = (options.concurrency or SLOTS) * LEAST_CONTEXT
    return Fit(files.name, parameters, (stored,), stored, kv, device, free, tokens=tokens)


def check_fits(files: ModelFiles, options: ModelOptions) -> None:
    """Raises LoadError for a file that cannot fit."""
    estimate(files, options).check()


def _context(header: Mapping[str, object], files: ModelFiles, free: int, places: int) -> int:
    """The context of each chat in tokens: what the model was trained with, if memory allows.

    The caches may take half of what is free (bytes) beside the weights; 0 leaves it to llama.cpp.
    """
    trained = gguf.context_length(header)
    token_bytes = gguf.kv_bytes_per_token(header)
    if trained is None or token_bytes is None:
        return 0
    room = max(0, free - sum(path.stat().st_size for path in parts(files.path))) // 2
    return min(trained, max(LEAST_CONTEXT, room // (places * token_bytes)))


def _choose_device(
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
