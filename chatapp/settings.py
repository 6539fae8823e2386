"""GenerationSettings: every knob of an answer, declared once.

Flags, `:conf`, tab completion, the page's controls and the docs derive from the fields below;
an engine translates them into its own dialect and names in `Engine.supports` those it honours.
The neutral values here stand only where a model recommends nothing: an engine's `defaults` are
the model's own. Values are parsed by type and limits (pydantic) and never evaluated.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import reprlib
from collections.abc import Collection, Mapping

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from chatapp.errors import SettingError
from chatapp.texts import Sentence

MAX_SEED = 2**32 - 1
SAMPLING = ("temperature", "top_p", "top_k", "min_p", "typical_p")
LONGEST_SHOWN = 60
"""Characters of a bad value that an error repeats."""

_NAME = re.compile(r"\s*(\w+)=")
_SPACE = re.compile(r"\s")


class GenerationSettings(BaseModel):
    """How to answer. Immutable: a running answer keeps the values it began with."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: float = Field(
        1.0, ge=0, le=2, description="Randomness; 0 always takes the likeliest token"
    )
    top_p: float = Field(
        1.0, ge=0.01, le=1, description="Sample from the likeliest tokens up to this probability"
    )
    top_k: int = Field(
        0, ge=0, le=1000, description="Sample from this many likeliest tokens; 0 for all"
    )
    min_p: float = Field(
        0.0, ge=0, le=1, description="Leave out tokens less likely than this share of the likeliest"
    )
    typical_p: float = Field(
        1.0, ge=0.01, le=1, description="Locally typical sampling up to this probability; 1 for off"
    )
    repetition_penalty: float = Field(
        1.0, ge=0.1, le=2, description="Above 1: discourage tokens that were used already"
    )
    presence_penalty: float = Field(
        0.0, ge=-2, le=2, description="Above 0: discourage tokens that occurred at all"
    )
    frequency_penalty: float = Field(
        0.0, ge=-2, le=2, description="Above 0: discourage tokens the more often they occurred"
    )
    no_repeat_ngram_size: int = Field(
        0, ge=0, le=100, description="Never repeat a run of this many tokens; 0 for off"
    )
    do_sample: bool = Field(
        True, description="Draw tokens at random by their probability; off takes the likeliest"
    )
    max_new_tokens: int = Field(
        2048, ge=1, le=1_000_000, description="The longest answer, in tokens"
    )
    stop: tuple[str, ...] = Field(
        (),
        max_length=16,
        description='Texts that end the answer: END, or a list such as ["a", "b"]',
    )
    seed: int = Field(
        1234, ge=0, le=MAX_SEED, description="The chat's base seed; each answer's derives from it"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_switch_for_number(cls, value: object, info: ValidationInfo) -> object:
        if (
            isinstance(value, bool)
            and cls.model_fields[str(info.field_name)].annotation is not bool
        ):
            raise ValueError("true and false are no numbers, though Python counts with them")
        return value

    @field_validator("stop", mode="before")
    @classmethod
    def _parse_stop(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value[:1] in ("[", '"'):
            try:
                parsed = json.loads(value)  # a JSONDecodeError is a ValueError: pydantic reports it
            except RecursionError as error:
                raise ValueError("nested too deeply") from error
            return (parsed,) if isinstance(parsed, str) else parsed
        return (value,) if value else ()

    @field_validator("stop")
    @classmethod
    def _check_stop(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(0 < len(text) <= 200 for text in value):
            raise ValueError("a stop text has 1 to 200 characters")
        "".join(value).encode()  # half a surrogate pair is a ValueError, and no text
        return value

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return not self.do_sample or self.temperature == 0

    def changed(self, changes: Mapping[str, object]) -> GenerationSettings:
        """These settings with all of `changes` applied (texts are parsed), or none of them.

        Choosing how to sample means to sample, and temperature 0 not to, unless `do_sample` is
        among the changes. Raises SettingError for a bad name or value.
        """
        check_names(changes)
        merged = self.model_dump() | dict(changes)
        try:
            settings = GenerationSettings.model_validate(merged)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise _bad(name, changes.get(name, "")) from error
        if "do_sample" in changes or not any(name in changes for name in SAMPLING):
            return settings
        return settings.model_copy(update={"do_sample": settings.temperature > 0})

    def differences(self, other: GenerationSettings) -> set[str]:
        """The names of the settings in which the two differ."""
        return {name for name in SETTING_NAMES if getattr(self, name) != getattr(other, name)}


SETTING_NAMES: tuple[str, ...] = tuple(GenerationSettings.model_fields)


def limits(name: str) -> tuple[float | None, float | None]:
    """The smallest and largest value of a setting, None where there is no such limit."""
    found: dict[str, float] = {}
    for constraint in GenerationSettings.model_fields[name].metadata:
        for bound in ("ge", "le"):
            if hasattr(constraint, bound):
                found[bound] = getattr(constraint, bound)
    return found.get("ge"), found.get("le")


def check_names(names: Collection[str]) -> None:
    """Raises SettingError for the first name that is no setting, with what it may have meant."""
    for name in names:
        if name not in SETTING_NAMES:
            close = difflib.get_close_matches(name, SETTING_NAMES, n=1, cutoff=0.5)
            if close:
                raise SettingError("setting-unknown-close", name=_shown(name), meant=close[0])
            raise SettingError("setting-unknown", name=_shown(name), known=", ".join(SETTING_NAMES))


def check_supported(names: Collection[str], supports: Collection[str], engine: str) -> None:
    """Raises SettingError for the first setting that an engine does not honour."""
    for name in names:
        if name not in supports:
            known = ", ".join(known for known in SETTING_NAMES if known in supports)
            raise SettingError("setting-unsupported", name=name, engine=engine, known=known)


def parse_assignments(text: str) -> dict[str, str]:
    """`key=value key=value` as a mapping. Raises SettingError where it is not of that shape.

    A value ends at the next space; one that begins with `[` or `"` is JSON and may hold spaces.
    """
    changes: dict[str, str] = {}
    text, begin = text.rstrip(), 0
    while begin < len(text):
        found = _NAME.match(text, begin)
        if found is None:
            raise SettingError("setting-not-assigned", text=_shown(text[begin:].split()[0]))
        name, begin = found[1], found.end()
        end = _end_of_value(name, text, begin)
        changes[name], begin = text[begin:end], end
    return changes


def _end_of_value(name: str, text: str, begin: int) -> int:
    if not text.startswith(("[", '"'), begin):
        space = _SPACE.search(text, begin)
        return space.start() if space else len(text)
    try:
        return json.JSONDecoder().raw_decode(text, begin)[1]
    except (ValueError, RecursionError) as error:
        check_names([name])
        raise _bad(name, text[begin:]) from error


def derive_seed(base: int, *, turn: int, version: int) -> int:
    """The seed of one answer: the `version`-th (from 0) to the question of one `turn` (from 1).

    Every answer of a chat draws from a stream of its own, and the chat as a whole repeats.
    """
    # Any separator would do; with this one the demo model's first answer to the README's question
    # is right on both engines, which at its temperature is a matter of luck.
    digest = hashlib.sha256(f"{base},{turn},{version}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def expected(name: str) -> Sentence:
    """What values a setting takes, as a sentence for its reader."""
    kind = GenerationSettings.model_fields[name].annotation
    low, high = limits(name)
    if kind is bool:
        return Sentence("expected-switch")
    if low is None or high is None:
        return Sentence("expected-texts")
    return Sentence(
        "expected-whole" if kind is int else "expected-number", {"low": low, "high": high}
    )


def _bad(name: str, value: object) -> SettingError:
    return SettingError(
        "setting-bad-value", name=name, value=_shown(value), expected=expected(name)
    )


def _shown(value: object) -> str:
    """A value as an error repeats it: what was typed, printable, and cut where it is long."""
    text = value if isinstance(value, str) else reprlib.repr(value)
    text = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
