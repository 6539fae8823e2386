"""The command-line flags both faces share, and each face's own. Imports nothing heavy."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from chatapp import __version__
from chatapp.engines import ENGINES, ModelOptions
from chatapp.errors import ChatError
from chatapp.hub import Source
from chatapp.hub_clients import HUBS
from chatapp.settings import SETTING_NAMES, GenerationSettings
from chatapp.texts import LANGUAGES, Language, Texts, preferred_language

Face = Literal["chat", "web"]

DEFAULT_SYSTEM = "You are a helpful assistant."
DEFAULT_PORT = 18003
DTYPES = ("auto", "float32", "float16", "bfloat16")
QUANTIZE = ("none", "8bit", "4bit")
ATTENTION = ("auto", "sdpa", "eager", "flash_attention_2")
SIZE = re.compile("([0-9]{1,9})([KMGT]?)(i?B)?", re.IGNORECASE)
SHORT_FLAGS = {"seed": "-s"}

EXAMPLES: Mapping[Face, Sequence[str]] = {
    "chat": (
        "python cli_demo.py",
        "python cli_demo.py -c ~/models/Qwen2.5-1.5B-Instruct --temperature 0.3",
        "git diff | python cli_demo.py -c ~/models/Qwen2.5-7B-Q4_K_M.gguf --system 'Review this.'",
    ),
    "web": (
        "python web_demo.py --inbrowser",
        "python web_demo.py -c ~/models/Qwen2.5-1.5B-Instruct --server-port 8080",
        "python web_demo.py --server-name 0.0.0.0 --auth me:secret",
    ),
}


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

    prompt: str | None = None

    share: bool = False
    inbrowser: bool = False
    server_port: int | None = None
    """None: DEFAULT_PORT, or the next free one."""
    server_name: str = "127.0.0.1"
    auth: tuple[str, str] | None = None


def parse(arguments: Sequence[str], face: Face) -> Options:
    """The options of one face. Leaves with a message and exit code 2 when a flag is wrong."""
    texts = Texts(_language_asked(arguments))
    parser = build_parser(face, texts)
    found, unknown = parser.parse_known_args(arguments)
    changes = {
        name: getattr(found, name) for name in SETTING_NAMES if getattr(found, name) is not None
    }
    try:
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
    }
    if face == "chat":
        return Options(**shared, prompt=found.prompt)
    name, _, password = (found.auth or "").partition(":")
    return Options(
        **shared,
        share=found.share,
        inbrowser=found.inbrowser,
        server_port=int(found.server_port) if found.server_port else None,
        server_name=found.server_name,
        auth=(name, password) if found.auth else None,
    )


def build_parser(face: Face, texts: Texts) -> argparse.ArgumentParser:
    """The parser of one face; every flag is declared here, in groups."""
    parser = _Parser(
        prog=_program(face),
        description=texts(f"about-{face}"),
        epilog=texts("examples") + "\n" + "\n".join(f"  {line}" for line in EXAMPLES[face]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )

    def said(name: str, english: str) -> str:
        return texts.describe(f"flag.{name}", english).replace("%", "%%")

    model = parser.add_argument_group(texts("group-model"))
    model.add_argument(
        "-c",
        "--checkpoint-path",
        metavar="MODEL",
        help=said(
            "checkpoint_path",
            "a folder, a .gguf file, or a hub's [ms:|hf:]ORGANISATION/NAME[:QUANTISATION]; "
            "without: a demo model",
        ),
    )
    _add_source_flags(model, texts)
    model.add_argument(
        "--engine",
        choices=("auto", *ENGINES),
        default="auto",
        help=said("engine", "what runs the model; auto: llama.cpp for .gguf, else transformers"),
    )
    model.add_argument(
        "--dtype",
        choices=DTYPES,
        default="auto",
        help=said("dtype", "number format of the weights; auto: what the device is good at"),
    )
    model.add_argument(
        "--quantize",
        choices=QUANTIZE,
        default="none",
        help=said("quantize", "pack the weights while loading (bitsandbytes): a byte or half one"),
    )
    model.add_argument(
        "--adapter",
        metavar="ADAPTER",
        help=said(
            "adapter", "a LoRA adapter's folder or hub's name; without -c on the model it is for"
        ),
    )
    model.add_argument(
        "--attn",
        choices=ATTENTION,
        default="auto",
        help=said("attn", "implementation of attention; auto: transformers chooses"),
    )
    model.add_argument(
        "--kv-cache",
        choices=("auto", "quantized"),
        default="auto",
        help=said("kv_cache", "quantized: keys and values in 4 bits, for long conversations"),
    )
    model.add_argument(
        "--compile",
        action="store_true",
        help=said("compile", "compile the model on a GPU: slow to begin, then faster"),
    )
    model.add_argument(
        "--draft-model",
        metavar="MODEL",
        help=said("draft_model", "a small model with the same tokens, which guesses ahead"),
    )
    model.add_argument(
        "--prompt-lookup",
        metavar="N",
        default="0",
        help=said(
            "prompt_lookup", "guess N tokens from the prompt, for answers that repeat it; 0: none"
        ),
    )
    model.add_argument(
        "--prefix-cache",
        metavar="auto|SIZE",
        default="auto",
        help=said(
            "prefix_cache",
            "memory for the keys and values of recent chats (512M, 2G, 0: none) in transformers; "
            "auto: a quarter of what is free",
        ),
    )
    model.add_argument(
        "-g",
        "--gpus",
        metavar="auto|N,N",
        default="auto",
        help=said("gpus", "which GPUs to use (0, or 0,1); auto: all there are, else the CPU"),
    )
    model.add_argument(
        "--gpu-memory",
        metavar="auto|SIZE",
        default="auto",
        help=said(
            "gpu_memory", "most the weights may take of each GPU (20GiB); the rest in main memory"
        ),
    )
    model.add_argument("--cpu-only", action="store_true", help=said("cpu_only", "do not use a GPU"))

    model.add_argument(
        "--dry-run",
        action="store_true",
        help=said("dry_run", "tell what the model takes in each number format, load nothing"),
    )

    chat = parser.add_argument_group(texts("group-chat"))
    chat.add_argument(
        "--system",
        metavar="TEXT",
        default=DEFAULT_SYSTEM,
        help=said("system", f'the system prompt ("{DEFAULT_SYSTEM}"); "" for none'),
    )
    chat.add_argument(
        "--lang", choices=LANGUAGES, help=said("lang", "language of the messages; the locale's")
    )

    if face == "chat":
        chat.add_argument(
            "-p",
            "--prompt",
            metavar="TEXT",
            help=said("prompt", "answer this on standard output, then exit; so does piped text"),
        )
    else:
        _add_page_flags(parser, texts)

    settings = parser.add_argument_group(texts("group-settings"), texts("group-settings-about"))
    for name, declared in GenerationSettings.model_fields.items():
        settings.add_argument(
            *([SHORT_FLAGS[name]] if name in SHORT_FLAGS else []),
            "--" + name.replace("_", "-"),
            dest=name,
            metavar="X",
            help=texts.describe(f"setting.{name}", declared.description or "").replace("%", "%%"),
        )
    other = parser.add_argument_group(texts("group-other"))
    other.add_argument("-h", "--help", action="help", help=said("help", "show this and exit"))
    other.add_argument(
        "--version",
        action="version",
        version=f"chatapp {__version__}",
        help=said("version", "show the version and exit"),
    )
    return parser


def _add_source_flags(model: argparse._ArgumentGroup, texts: Texts) -> None:
    def said(name: str, english: str) -> str:
        return texts.describe(f"flag.{name}", english).replace("%", "%%")

    model.add_argument(
        "--hub",
        choices=("auto", *HUBS),
        default="auto",
        help=said("hub", "where to download from; auto: ModelScope, then Hugging Face"),
    )
    model.add_argument(
        "--revision",
        metavar="NAME",
        help=said("revision", "a branch, tag or commit of the hub's repository; its main branch"),
    )
    model.add_argument(
        "--offline",
        action="store_true",
        help=said("offline", "ask no hub: only what is on this machine already"),
    )
    model.add_argument(
        "--allow-pickle",
        action="store_true",
        help=said(
            "allow_pickle",
            "take weights in pickle files (.bin, .pt, .pth) too, which may hide programs: "
            "only from people you trust",
        ),
    )
    model.add_argument(
        "--trust-remote-code",
        action="store_true",
        help=said(
            "trust_remote_code",
            "run the Python code that comes with the model, with all your rights: "
            "only from people you trust",
        ),
    )


def _add_page_flags(parser: argparse.ArgumentParser, texts: Texts) -> None:
    page = parser.add_argument_group(texts("group-page"))

    def said(name: str, english: str) -> str:
        return texts.describe(f"flag.{name}", english).replace("%", "%%")

    page.add_argument(
        "--server-port",
        metavar="PORT",
        help=said("server_port", f"where the page is; without: {DEFAULT_PORT} or the next free"),
    )
    page.add_argument(
        "--server-name",
        default="127.0.0.1",
        metavar="NAME",
        help=said("server_name", "the interface to listen on (127.0.0.1: this machine only)"),
    )
    page.add_argument(
        "--concurrency",
        metavar="N",
        help=said(
            "concurrency",
            "how many chats are answered at once; without: 4 in llama.cpp, 1 in transformers",
        ),
    )
    page.add_argument(
        "--inbrowser", action="store_true", help=said("inbrowser", "open the page in the browser")
    )
    page.add_argument(
        "--share",
        action="store_true",
        help=said("share", "make a public link (through Gradio's servers), behind a password"),
    )
    page.add_argument(
        "--auth",
        metavar="NAME:PASSWORD",
        default=os.environ.get("CHATAPP_AUTH") or None,
        help=said("auth", "who may use the page; better in CHATAPP_AUTH, where ps does not see it"),
    )


def _language_asked(arguments: Sequence[str]) -> Language:
    """The language for the help itself, known before the flags are parsed."""
    early = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    early.add_argument("--lang", choices=LANGUAGES)
    try:
        asked: Language | None = early.parse_known_args(arguments)[0].lang
    except argparse.ArgumentError:
        asked = None
    return asked or preferred_language()


def _program(face: Face) -> str:
    """The command as the person typed it."""
    name = os.path.basename(sys.argv[0])
    return f"chatapp {face}" if name in ("chatapp", "__main__.py") else name


class _Parser(argparse.ArgumentParser):
    """Answers a mistake with one sentence, not with a screen of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _check(
    parser: argparse.ArgumentParser, found: argparse.Namespace, unknown: Sequence[str]
) -> None:
    """Raises ChatError for what argparse cannot say in the reader's language."""
    if unknown:
        flag = unknown[0].partition("=")[0]
        if not flag.startswith("-"):
            raise ChatError("flag-stray", text=flag)
        close = difflib.get_close_matches(flag, parser._option_string_actions, n=1, cutoff=0.75)
        if close:
            raise ChatError("flag-unknown-close", flag=flag, meant=close[0])
        raise ChatError("flag-unknown", flag=flag)
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
    auth = getattr(found, "auth", None)
    if auth is not None and not re.fullmatch("[^:]+:.+", auth, re.DOTALL):
        raise ChatError("flag-auth-shape")


def _bytes(size: str) -> int | None:
    """The bytes of a size such as 512M or 2GiB (powers of 1024); None for auto."""
    found = SIZE.fullmatch(size)
    return int(found[1]) << 10 * " KMGT".index(found[2].upper() or " ") if found else None


def _concurrency(found: argparse.Namespace, face: Face) -> int | None:
    """One chat in the terminal; on the page what was asked for, or (None) what suits the engine."""
    if face == "chat":
        return 1
    return int(found.concurrency) if found.concurrency else None
