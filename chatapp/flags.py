"""The command-line flags, each declared once, in groups; `options` reads them.

Knows what flags there are and how they are explained, nothing of what becomes of them. Imports
nothing heavy.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn

from chatapp import __version__
from chatapp.engines import ENGINES
from chatapp.hub import HUBS
from chatapp.settings import GenerationSettings
from chatapp.texts import LANGUAGES, Texts

Face = Literal["chat", "web"]

DEFAULT_SYSTEM = "You are a helpful assistant."
DEFAULT_PORT = 18003
DTYPES = ("auto", "float32", "float16", "bfloat16")
QUANTIZE = ("none", "8bit", "4bit")
ATTENTION = ("auto", "sdpa", "eager", "flash_attention_2")
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


def build_parser(face: Face, texts: Texts) -> argparse.ArgumentParser:
    """The parser of one face; every flag is declared here, in groups."""
    parser = Parser(
        prog=program(face),
        description=texts(f"about-{face}"),
        epilog=texts("examples") + "\n" + "\n".join(f"  {line}" for line in EXAMPLES[face]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
        exit_on_error=False,  # `options` says its mistakes in the reader's language
    )

    model = _Group(parser, texts, "model")
    _add_model_flags(model)
    _add_speed_flags(model)
    _add_device_flags(model)
    _add_chat_flags(_Group(parser, texts, "chat"), face)
    if face == "web":
        _add_page_flags(_Group(parser, texts, "page"))
    settings = parser.add_argument_group(texts("group-settings"), texts("group-settings-about"))
    _add_settings(settings, texts)
    _add_other_flags(_Group(parser, texts, "other"))
    return parser


class _Group:
    """Flags that stand together in the help, explained in the reader's language."""

    def __init__(self, parser: argparse.ArgumentParser, texts: Texts, name: str) -> None:
        self._flags = parser.add_argument_group(texts(f"group-{name}"))
        self._texts = texts

    def add(self, *flags: str, help: str, **options: Any) -> None:
        """Declare one flag: `help` is English, the catalogues know it by the flag's long name."""
        name = flags[-1].lstrip("-").replace("-", "_")
        explained = self._texts.describe(f"flag.{name}", help).replace("%", "%%")
        self._flags.add_argument(*flags, help=explained, **options)


def _add_model_flags(model: _Group) -> None:
    model.add(
        "-c",
        "--checkpoint-path",
        metavar="MODEL",
        help="a folder, a .gguf file, or a hub's [ms:|hf:]ORGANISATION/NAME[:QUANTISATION]; "
        "without: a demo model",
    )
    model.add(
        "--hub",
        choices=("auto", *HUBS),
        default="auto",
        help="where to download from; auto: ModelScope, then Hugging Face",
    )
    model.add(
        "--revision",
        metavar="NAME",
        help="a branch, tag or commit of the hub's repository; its main branch",
    )
    model.add(
        "--offline", action="store_true", help="ask no hub: only what is on this machine already"
    )
    model.add(
        "--allow-pickle",
        action="store_true",
        help="take weights in pickle files (.bin, .pt, .pth) too, which may hide programs: "
        "only from people you trust",
    )
    model.add(
        "--trust-remote-code",
        action="store_true",
        help="run the Python code that comes with the model, with all your rights: "
        "only from people you trust",
    )
    model.add(
        "--engine",
        choices=("auto", *ENGINES),
        default="auto",
        help="what runs the model; auto: llama.cpp for .gguf, else transformers",
    )
    model.add(
        "--dtype",
        choices=DTYPES,
        default="auto",
        help="number format of the weights; auto: what the device is good at",
    )
    model.add(
        "--quantize",
        choices=QUANTIZE,
        default="none",
        help="pack the weights while loading (bitsandbytes): a byte or half one",
    )
    model.add(
        "--adapter",
        metavar="ADAPTER",
        help="a LoRA adapter's folder or hub's name; without -c on the model it is for",
    )


def _add_speed_flags(model: _Group) -> None:
    model.add(
        "--attn",
        choices=ATTENTION,
        default="auto",
        help="implementation of attention; auto: transformers chooses",
    )
    model.add(
        "--kv-cache",
        choices=("auto", "quantized"),
        default="auto",
        help="quantized: keys and values in 4 bits, for long conversations",
    )
    model.add(
        "--compile",
        action="store_true",
        help="compile the model on a GPU: slow to begin, then faster",
    )
    model.add(
        "--draft-model",
        metavar="MODEL",
        help="a small model with the same tokens, which guesses ahead",
    )
    model.add(
        "--prompt-lookup",
        metavar="N",
        default="0",
        help="guess N tokens from the prompt, for answers that repeat it; 0: none",
    )
    model.add(
        "--prefix-cache",
        metavar="auto|SIZE",
        default="auto",
        help="memory for the keys and values of recent chats (512M, 2G, 0: none) in transformers; "
        "auto: a quarter of what is free",
    )


def _add_device_flags(model: _Group) -> None:
    model.add(
        "-g",
        "--gpus",
        metavar="auto|N,N",
        default="auto",
        help="which GPUs to use (0, or 0,1); auto: all there are, else the CPU",
    )
    model.add(
        "--gpu-memory",
        metavar="auto|SIZE",
        default="auto",
        help="most the weights may take of each GPU (20GiB); the rest in main memory",
    )
    model.add("--cpu-only", action="store_true", help="do not use a GPU")
    model.add(
        "--dry-run",
        action="store_true",
        help="tell what the model takes in each number format, load nothing",
    )


def _add_chat_flags(chat: _Group, face: Face) -> None:
    chat.add(
        "--system",
        metavar="TEXT",
        default=DEFAULT_SYSTEM,
        help=f'the system prompt ("{DEFAULT_SYSTEM}"); "" for none',
    )
    chat.add("--lang", choices=LANGUAGES, help="language of the messages; the locale's")

    chat.add(
        "--data-dir", metavar="FOLDER", help="where conversations are stored; or CHATAPP_DATA_DIR"
    )
    if face == "chat":
        chat.add(
            "--resume",
            metavar="N|WORDS",
            nargs="?",
            const="",
            help="go on with a stored conversation: the latest, the N-th of :sessions, "
            "or the one with these words in its title",
        )
        chat.add("--private", action="store_true", help="store nothing of this chat")
        chat.add(
            "-p",
            "--prompt",
            metavar="TEXT",
            help="answer this on standard output, then exit; so does piped text",
        )


def _add_page_flags(page: _Group) -> None:
    page.add(
        "--server-port",
        metavar="PORT",
        help=f"where the page is; without: {DEFAULT_PORT} or the next free",
    )
    page.add(
        "--server-name",
        default="127.0.0.1",
        metavar="NAME",
        help="the interface to listen on (127.0.0.1: this machine only)",
    )
    page.add(
        "--concurrency",
        metavar="N",
        help="how many chats are answered at once; without: 4 in llama.cpp, 1 in transformers",
    )
    page.add("--inbrowser", action="store_true", help="open the page in the browser")
    page.add(
        "--share",
        action="store_true",
        help="make a public link (through Gradio's servers), behind a password",
    )
    page.add(
        "--auth",
        metavar="NAME:PASSWORD",
        action="append",
        help="who may use the page, each with chats of their own (may be given several times); "
        "better in CHATAPP_AUTH, one a line, where ps does not see it",
    )


def _add_settings(settings: argparse._ArgumentGroup, texts: Texts) -> None:
    for name, declared in GenerationSettings.model_fields.items():
        settings.add_argument(
            *([SHORT_FLAGS[name]] if name in SHORT_FLAGS else []),
            "--" + name.replace("_", "-"),
            dest=name,
            metavar="X",
            help=texts.describe(f"setting.{name}", declared.description or "").replace("%", "%%"),
        )


def _add_other_flags(other: _Group) -> None:
    other.add("-h", "--help", action="help", help="show this and exit")
    other.add(
        "--version",
        action="version",
        version=f"chatapp {__version__}",
        help="show the version and exit",
    )


def program(face: str) -> str:
    """The command as the person typed it."""
    name = os.path.basename(sys.argv[0])
    return f"chatapp {face}" if name in ("chatapp", "__main__.py") else name


class Parser(argparse.ArgumentParser):
    """Answers a mistake with one sentence, not with a screen of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")
