"""What the command line says: its flags (see `flags`), checked. Imports nothing heavy."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatapp.engines import ModelOptions
from chatapp.errors import ChatError
from chatapp.flags import Face, build_parser
from chatapp.hub import Source
from chatapp.settings import SETTING_NAMES, GenerationSettings
from chatapp.texts import LANGUAGES, Language, Texts, preferred_language

SIZE = re.compile("([0-9]{1,9})([KMGT]?)(i?B)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Options:
    """What the flags say. The last group belongs to one face each."""

    model: ModelOptions
    changes: Mapping[str, str]
    """Settings given as flags: name -> text, checked by type and limits."""
    system: str
    language: Language

    dry_run: bool = False
    """Only tell what the model would take."""

    data_dir: str | None = None
    """Where conversations are stored; None: the usual place."""

    prompt: str | None = None
    resume: str | None = None
    """The stored conversation to go on with: "" the latest, else its number or words of it."""
    private: bool = False

    share: bool = False
    inbrowser: bool = False
    server_port: int | None = None
    """None: DEFAULT_PORT, or the next free one."""
    server_name: str = "127.0.0.1"
    auth: tuple[tuple[str, str], ...] = ()
    """Names and passwords of those who may use the page; none: nobody is asked."""


def parse(arguments: Sequence[str], face: Face) -> Options:
    """The options of one face. Leaves with a message and exit code 2 when a flag is wrong."""
    texts = Texts(language_asked(arguments))
    parser = build_parser(face, texts)
    try:
        found, unknown = read_flags(parser, arguments)
        changes = {
            name: getattr(found, name) for name in SETTING_NAMES if getattr(found, name) is not None
        }
        _check(parser, found, unknown)
        GenerationSettings().changed(changes)
    except ChatError as error:
        parser.error(texts(error.sentence))
    shared = {
        "model": ModelOptions(
            checkpoint_path=found.checkpoint_path,
            source=Source(
                hub=found.hub,
                revision=found.revision,
                offline=found.offline,
                allow_pickle=found.allow_pickle,
                trust_remote_code=found.trust_remote_code,
            ),
            engine=found.engine,
            gpus=found.gpus,
            gpu_memory=_bytes(found.gpu_memory),
            cpu_only=found.cpu_only,
            dtype=found.dtype,
            quantize=found.quantize,
            adapter=found.adapter,
            kv_cache=found.kv_cache,
            compile=found.compile,
            draft_model=found.draft_model,
            prompt_lookup=int(found.prompt_lookup),
            attn=found.attn,
            prefix_cache=_bytes(found.prefix_cache),
            concurrency=_concurrency(found, face),
        ),
        "changes": changes,
        "system": found.system,
        "language": texts.language,
        "dry_run": found.dry_run,
        "data_dir": found.data_dir,
    }
    if face == "chat":
        return Options(**shared, prompt=found.prompt, resume=found.resume, private=found.private)
    return Options(
        **shared,
        share=found.share,
        inbrowser=found.inbrowser,
        server_port=int(found.server_port) if found.server_port else None,
        server_name=found.server_name,
        auth=tuple((name, password) for name, _, password in _people(found)),
    )


def language_asked(arguments: Sequence[str]) -> Language:
    """The language for the help itself, known before the flags are parsed."""
    early = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    early.add_argument("--lang", choices=LANGUAGES)
    try:
        asked: Language | None = early.parse_known_args(arguments)[0].lang
    except argparse.ArgumentError:
        asked = None
    return asked or preferred_language()


def read_flags(
    parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> tuple[argparse.Namespace, list[str]]:
    """What the flags say. Raises ChatError where argparse would speak English."""
    try:
        return parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        flag = str(error.argument_name)
        action = parser._option_string_actions[flag.partition("/")[0]]
        if action.choices is not None:
            choices = ", ".join(map(str, action.choices))
            raise ChatError("flag-choice", flag=flag, choices=choices) from error
        if action.nargs == 0:
            raise ChatError("flag-no-value", flag=flag) from error
        raise ChatError("flag-needs-value", flag=flag, value=action.metavar) from error


def _check(
    parser: argparse.ArgumentParser, found: argparse.Namespace, unknown: Sequence[str]
) -> None:
    """Raises ChatError for what argparse cannot say in the reader's language."""
    refuse_unknown(parser, unknown)
    if found.gpus != "auto" and not re.fullmatch("[0-9]{1,3}(,[0-9]{1,3})*", found.gpus):
        raise ChatError("flag-gpus-shape", value=found.gpus)
    if not re.fullmatch("[0-9]{1,2}", found.prompt_lookup):
        raise ChatError("flag-lookup-shape", value=found.prompt_lookup)
    for flag, size in (
        ("--prefix-cache", found.prefix_cache),
        ("--gpu-memory", found.gpu_memory),
    ):
        if size != "auto" and not SIZE.fullmatch(size):
            raise ChatError("flag-size-shape", flag=flag, value=size)
    port = getattr(found, "server_port", None)
    if port is not None and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise ChatError("flag-port-shape", value=port)
    concurrency = getattr(found, "concurrency", None)
    if concurrency is not None and not re.fullmatch("[1-9][0-9]?", concurrency):
        raise ChatError("flag-concurrency-shape", value=concurrency)
    if getattr(found, "private", False) and found.resume is not None:
        raise ChatError("flags-apart", one="--private", other="--resume")
    if not all(name and password for name, _, password in _people(found)):
        raise ChatError("flag-auth-shape")


def refuse_unknown(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> None:
    """Raises ChatError for the first word that is no flag, with what it may have meant."""
    if unknown:
        flag = unknown[0].partition("=")[0]
        if not flag.startswith("-"):
            raise ChatError("flag-stray", text=flag)
        close = difflib.get_close_matches(flag, parser._option_string_actions, n=1, cutoff=0.75)
        if close:
            raise ChatError("flag-unknown-close", flag=flag, meant=close[0])
        raise ChatError("flag-unknown", flag=flag)


def _bytes(size: str) -> int | None:
    """The bytes of a size such as 512M or 2GiB (powers of 1024); None for auto."""
    found = SIZE.fullmatch(size)
    return int(found[1]) << 10 * " KMGT".index(found[2].upper() or " ") if found else None


def _people(found: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Name, colon, password of each --auth; without any, of each line of CHATAPP_AUTH."""
    given: list[str] | None = getattr(found, "auth", None)
    if given is None:
        given = os.environ.get("CHATAPP_AUTH", "").splitlines() if hasattr(found, "auth") else []
    return [person.partition(":") for person in given]


def _concurrency(found: argparse.Namespace, face: Face) -> int | None:
    """One chat in the terminal; on the page what was asked for, or (None) what suits the engine."""
    if face == "chat":
        return 1
    return int(found.concurrency) if found.concurrency else None
