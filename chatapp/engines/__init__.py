"""Engine: what answers conversations; the table of engines; how one is opened.

An engine is one module and one row of ENGINES. Nothing here imports a heavy library: the module
of an engine is imported when it is opened.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, cast

from chatapp import hub
from chatapp.engines.adapters import find_adapter, is_adapter
from chatapp.engines.fit import Fit
from chatapp.errors import LoadError
from chatapp.events import EventStream, Progress
from chatapp.hub import ANYWHERE, ModelFiles, Source
from chatapp.messages import Message
from chatapp.settings import GenerationSettings
from chatapp.texts import Sentence

OnProgress = Callable[[Progress], None]

ENGINES: Mapping[str, str] = {
    "llamacpp": "chatapp.engines.llamacpp",
    "transformers": "chatapp.engines.transformers",
    "scripted": "chatapp.engines.scripted",
}
"""Name -> module with `load(files, options, on_progress) -> Engine`."""


def _only(engine: str, default: object, why: str = "why-unlike") -> Any:
    """An option that one engine alone honours; `why` is the sentence for the others' refusal."""
    return field(default=default, metadata={"engine": engine, "why": why})


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model to open, and how; the flags of the same names."""

    checkpoint_path: str | None = None
    source: Source = ANYWHERE
    """Where it may come from, and what of it is trusted."""
    engine: str = "auto"
    gpus: str = "auto"
    """`auto`, or the numbers of the cards with commas between."""
    gpu_memory: int | None = _only("transformers", None)
    """Bytes that the weights may take of each card; what is more stays in main memory."""
    cpu_only: bool = False
    dtype: str = _only("transformers", "auto", "why-quantized")
    quantize: str = _only("transformers", "none", "why-quantized")
    """none, 8bit or 4bit: what bitsandbytes makes of the weights while they are loaded."""
    kv_cache: str = _only("transformers", "auto")
    """auto, or quantized: keys and values in 4 bits."""
    compile: bool = _only("transformers", False)
    draft_model: str | None = _only("transformers", None)
    """A small model with the same tokens, which guesses ahead."""
    prompt_lookup: int = _only("transformers", 0)
    """How many tokens are guessed from earlier in the prompt; 0: none."""
    adapter: str | None = _only("transformers", None, "why-adapter")
    """A LoRA adapter's folder or hub's name."""
    attn: str = _only("transformers", "auto")
    """Which implementation of attention, by transformers' names."""
    prefix_cache: int | None = _only("transformers", None)
    """Bytes for the prefix cache of the transformers engine; None: a share of what is free."""
    concurrency: int | None = None
    """How many conversations are answered at the same time; None: what suits the engine."""

    @property
    def gpu_numbers(self) -> tuple[int, ...] | None:
        """The cards asked for; None: all there are."""
        if self.gpus == "auto":
            return None
        return tuple(sorted({int(number) for number in self.gpus.split(",")}))


class Engine(Protocol):
    """A loaded model that answers.

    `stream` may be called from any thread and for several conversations at once; setting its
    `cancel` ends that one stream within one token (one prompt chunk while reading) with
    `Finished("stopped")`, and so does closing the iterator, without the event. It yields
    something at least every 100 ms and raises GenerationError when the model fails.
    """

    name: str
    """The engine's row in ENGINES."""
    model: str
    """The model's name, for titles."""
    defaults: GenerationSettings
    """What the model recommends (its generation_config); neutral values where it is silent."""
    context_length: int | None
    """Tokens of prompt and answer together; None: unknown, nothing is left out."""
    supports: frozenset[str]
    """The settings it honours."""
    notices: Sequence[Sentence]
    """What a person should know about this model before chatting."""

    def details(self) -> Mapping[str, str]:
        """What `:info` adds: device, dtype, memory, ... as they are now."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """The length of the prompt for these messages in tokens, template and all.

        Where the last message is an answer, what it says already is part of the prompt.
        """

    def stream(
        self, messages: Sequence[Message], settings: GenerationSettings, cancel: threading.Event
    ) -> EventStream:
        """Answer the messages; `settings.seed` is this very answer's seed.

        Where the last message is an answer, go on writing it: no new turn begins in between, the
        deltas are only what is new, `usage` counts what was there as prompt. Reasoning goes on
        until there is content. Raises GenerationError where the model's template does not let it.
        """

    def close(self) -> None:
        """End all streams and free the model."""


class _EngineModule(Protocol):
    def load(self, files: ModelFiles, options: ModelOptions, on_progress: OnProgress) -> Engine: ...

    def estimate(self, files: ModelFiles, options: ModelOptions) -> Fit: ...

    def check_fits(self, files: ModelFiles, options: ModelOptions) -> None:
        """Raises LoadError for a model that cannot fit; the files may be an outline alone."""


def split_answer(messages: Sequence[Message]) -> tuple[Sequence[Message], Message | None]:
    """What is asked, and the answer to go on with: the last message, where it says something."""
    last = messages[-1]
    if last.role != "assistant":
        return messages, None
    return messages[:-1], last if last.said_something else None


def weigh(options: ModelOptions, on_progress: OnProgress = lambda progress: None) -> Fit:
    """What the model would take, without loading it. Raises LoadError."""
    if options.engine == "scripted":
        raise LoadError("fit-no-weights", engine=options.engine)
    options = _with_base(options, on_progress)
    with hub.outline(options.checkpoint_path, options.source) as files:
        if _is_apart(files, options):
            return weigh(_on_its_base(files, options), on_progress)
        return _module(files, options).estimate(files, options)


def open_engine(options: ModelOptions, on_progress: OnProgress = lambda progress: None) -> Engine:
    """Find the model's files and load them with the engine asked for. Raises LoadError."""

    def check(outline: ModelFiles) -> None:
        if not _is_apart(outline, options):
            _module(outline, options).check_fits(outline, options)

    options = _with_base(options, on_progress)
    if options.engine == "scripted":
        files = hub.SCRIPTED
    else:
        files = hub.find(options.checkpoint_path, on_progress, options.source, check)
        if _is_apart(files, options):
            return open_engine(_on_its_base(files, options), on_progress)
    engine = _module(files, options).load(files, options, on_progress)
    if files.is_demo:
        engine.notices = (Sentence("notice-demo", {"name": files.name}), *engine.notices)
    return engine


def _module(files: ModelFiles, options: ModelOptions) -> _EngineModule:
    """The engine asked for, or the one for these files. Raises LoadError for others' options."""
    name = choose_engine(files) if options.engine == "auto" else options.engine
    _refuse_others(options, name)
    return cast("_EngineModule", importlib.import_module(ENGINES[name]))


def _with_base(options: ModelOptions, on_progress: OnProgress) -> ModelOptions:
    """With an adapter's folder for its name, and its base model where no other is asked for."""
    if options.adapter is None:
        return options
    adapter = find_adapter(
        options.adapter, lambda name: hub.find(name, on_progress, options.source).path
    )
    if options.checkpoint_path is None and adapter.base is None:
        raise LoadError("adapter-no-base", adapter=adapter.name)
    base = options.checkpoint_path or adapter.base
    return replace(options, adapter=str(adapter.path), checkpoint_path=base)


def _is_apart(files: ModelFiles, options: ModelOptions) -> bool:
    """Whether it was an adapter that was named where a model belongs."""
    return options.adapter is None and is_adapter(files.path)


def _on_its_base(files: ModelFiles, options: ModelOptions) -> ModelOptions:
    return replace(options, adapter=str(files.path), checkpoint_path=None)


def choose_engine(files: ModelFiles) -> str:
    """llama.cpp for a GGUF file where xllamacpp is installed, else transformers."""
    if files.is_gguf and importlib.util.find_spec("xllamacpp"):
        return "llamacpp"
    return "transformers"


def _refuse_others(options: ModelOptions, engine: str) -> None:
    """Raises LoadError for an option that this engine does not honour."""
    for option in fields(options):
        own = option.metadata.get("engine", engine)
        if own != engine and getattr(options, option.name) != option.default:
            flag = "--" + option.name.replace("_", "-")
            why = Sentence(option.metadata["why"])
            raise LoadError("flag-of-other-engine", flag=flag, engine=engine, own=own, why=why)


def require(package: str, *, engine: str, install: str) -> None:
    """Raises LoadError naming the pip command when a package an engine stands on is missing."""
    if importlib.util.find_spec(package) is None:
        raise LoadError("package-missing", package=package, engine=engine, command=install)
