"""LlamaCppEngine: a running llama.cpp server as an engine.

The server also listens on a loopback port, which counts tokens for us; a random key closes it to
others. The model's own template and reasoning format are llama.cpp's business. Source of the
request fields: llama.cpp, tools/server/README.md. Where the last message is an answer, llama.cpp
goes on with it, and finds out from the template how reasoning is written in it.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chatapp.engines import split_answer
from chatapp.engines.device import process_memory
from chatapp.engines.line import Line
from chatapp.engines.llamacpp.answer import Answer, translate
from chatapp.engines.relay import Relay, read, run
from chatapp.errors import GenerationError
from chatapp.events import EventStream, Finished
from chatapp.hub import ModelFiles
from chatapp.messages import Message
from chatapp.settings import GenerationSettings
from chatapp.texts import Sentence

if TYPE_CHECKING:
    from xllamacpp import Server

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
            answer = Answer(settings, relay, begin, request.is_cancelled)
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

    def _answer(self, request: dict[str, object], answer: Answer) -> Finished:
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
            raise translate(answered["error"])
        return answered


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
