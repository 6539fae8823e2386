"""Ways to generate other than the plain one: tokens guessed ahead, and other kinds of cache.

Sources: speculative decoding (Leviathan et al. 2023), prompt lookup (Saxena 2023), both as
transformers' assisted generation; KIVI (Liu et al. 2024) as its quantised cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from chatapp.engines import ModelOptions
from chatapp.engines.transformers.boundary import is_installed, require_packages
from chatapp.errors import LoadError

KV_LIBRARIES: Mapping[str, str] = {"optimum.quanto": "quanto", "hqq": "hqq"}
"""Module -> transformers' name of what quantises the cache."""


@dataclass(frozen=True, slots=True)
class Way:
    """How generate() is called; at most one thing differs from the plain way."""

    draft: PreTrainedModel | None = None
    """A small model that guesses some tokens, which the large one checks in one go."""
    lookup: int = 0
    """How many tokens are guessed from where the prompt said the same before."""
    cache: str | None = None
    """The kind of cache that generate() shall make, by transformers' name."""
    cache_config: Mapping[str, object] | None = None

    @property
    def guesses(self) -> bool:
        return self.draft is not None or self.lookup > 0

    def keeps_prefixes(self, config: PreTrainedConfig) -> bool:
        """Whether the prefix cache can be used: it needs a cache of its own kind, from which
        guesses can be taken back whatever its length, as a sliding window's cannot.
        """
        if self.cache is not None:
            return False
        layers = DynamicCache(config=config).layers if self.guesses else []
        return not any(getattr(layer, "is_sliding", False) for layer in layers)

    def settings(self) -> dict[str, object]:
        """For the GenerationConfig."""
        return {
            "prompt_lookup_num_tokens": self.lookup or None,
            "cache_implementation": self.cache,
            "cache_config": dict(self.cache_config) if self.cache_config else None,
        }


PLAIN = Way()


def check_apart(options: ModelOptions) -> None:
    """Raises LoadError for two ways at once."""
    asked = {
        "--draft-model": options.draft_model is not None,
        "--prompt-lookup": options.prompt_lookup > 0,
        "--kv-cache quantized": options.kv_cache == "quantized",
        "--compile": options.compile,
        "--concurrency": (options.concurrency or 1) > 1,
    }
    for one, other in combinations([flag for flag, is_asked in asked.items() if is_asked], 2):
        raise LoadError("flags-apart", one=one, other=other)


def other_cache(options: ModelOptions) -> Way:
    """The way for --kv-cache and --compile. Raises LoadError for a missing library."""
    if options.compile:  # transformers compiles the steps of a cache that does not grow
        return Way(cache="static")
    if options.kv_cache == "auto":
        return Way(lookup=options.prompt_lookup)
    backend = next((name for module, name in KV_LIBRARIES.items() if is_installed(module)), None)
    if backend is None:
        require_packages("--kv-cache quantized", ["optimum.quanto"])
    return Way(cache="quantized", cache_config={"backend": backend})


def check_guessing(options: ModelOptions, model: PreTrainedModel, name: str) -> None:
    """Raises LoadError for a model whose state cannot be taken back to before a wrong guess."""
    asked = {"--draft-model": options.draft_model, "--prompt-lookup": options.prompt_lookup}
    for flag, value in asked.items():
        if value and model._is_stateful:
            raise LoadError("guessing-stateful", flag=flag, name=name)


def check_draft(
    draft: PreTrainedTokenizerBase, tokenizer: PreTrainedTokenizerBase, name: str
) -> None:
    """Raises LoadError for a draft model with other tokens."""
    if draft.get_vocab() != tokenizer.get_vocab():
        raise LoadError("draft-other-tokens", name=name)
