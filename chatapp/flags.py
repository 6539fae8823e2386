"""The command-line flags, each declared once, in groups; `options` reads them.

Knows what flags there are and how they are explained, nothing of what becomes of them. Imports
nothing heavy.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NoReturn, TypeAlias

from chatapp import __version__
from chatapp.engines import ENGINES
from chatapp.hub import HUBS
from chatapp.settings import GenerationSettings
from chatapp.texts import LANGUAGES, Texts

Face = Literal["chat", "web"]
Said: TypeAlias = Callable[[str, str], str]
"""A flag's name and its English explanation -> the explanation in the reader's language."""

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
    parser = _Parser(
        prog=_program(face),
        description=texts(f"about-{face}"),
        epilog=texts("examples") + "\n" + "\n".join(f"  {line}" for line in EXAMPLES[face]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
        exit_on_error=False,  # `options` says its mistakes in the reader's language
    )

    def said(name: str, english: str) -> str:
        return texts.describe(f"flag.{name}", english).replace("%", "%%")

    model = parser.add_argument_group(texts("group-model"))
    _add_model_flags(model, said)
    _add_speed_flags(model, said)
    _add_device_flags(model, said)
    _add_chat_flags(parser.add_argument_group(texts("group-chat")), said, face)
    if face == "web":
        _add_page_flags(parser.add_argument_group(texts("group-page")), said)
    settings = parser.add_argument_group(texts("group-settings"), texts("group-settings-about"))
    _add_settings(settings, texts)
    _add_other_flags(parser.add_argument_group(texts("group-other")), said)
    return parser


def _add_model_flags(model: argparse._ArgumentGroup, said: Said) -> None:
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


def _add_speed_flags(model: argparse._ArgumentGroup, said: Said) -> None:
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


def _add_device_flags(model: argparse._ArgumentGroup, said: Said) -> None:
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


def _add_chat_flags(chat: argparse._ArgumentGroup, said: Said, face: Face) -> None:
    chat.add_argument(
        "--system",
        metavar="TEXT",
        default=DEFAULT_SYSTEM,
        help=said("system", f'the system prompt ("{DEFAULT_SYSTEM}"); "" for none'),
    )
    chat.add_argument(
        "--lang", choices=LANGUAGES, help=said("lang", "language of the messages; the locale's")
    )

    chat.add_argument(
        "--data-dir",
        metavar="FOLDER",
        help=said("data_dir", "where conversations are stored; or CHATAPP_DATA_DIR"),
    )
    if face == "chat":
        chat.add_argument(
            "--resume",
            metavar="N|WORDS",
            nargs="?",
            const="",
            help=said(
                "resume",
                "go on with a stored conversation: the latest, the N-th of :sessions, "
                "or the one with these words in its title",
            ),
        )
        chat.add_argument(
            "--private", action="store_true", help=said("private", "store nothing of this chat")
        )
        chat.add_argument(
            "-p",
            "--prompt",
            metavar="TEXT",
            help=said("prompt", "answer this on standard output, then exit; so does piped text"),
        )


def _add_page_flags(page: argparse._ArgumentGroup, said: Said) -> None:
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


def _add_settings(settings: argparse._ArgumentGroup, texts: Texts) -> None:
    for name, declared in GenerationSettings.model_fields.items():
        settings.add_argument(
            *([SHORT_FLAGS[name]] if name in SHORT_FLAGS else []),
            "--" + name.replace("_", "-"),
            dest=name,
            metavar="X",
            help=texts.describe(f"setting.{name}", declared.description or "").replace("%", "%%"),
        )


def _add_other_flags(other: argparse._ArgumentGroup, said: Said) -> None:
    other.add_argument("-h", "--help", action="help", help=said("help", "show this and exit"))
    other.add_argument(
        "--version",
        action="version",
        version=f"chatapp {__version__}",
        help=said("version", "show the version and exit"),
    )


def _program(face: Face) -> str:
    """The command as the person typed it."""
    name = os.path.basename(sys.argv[0])
    return f"chatapp {face}" if name in ("chatapp", "__main__.py") else name


class _Parser(argparse.ArgumentParser):
    """Answers a mistake with one sentence, not with a screen of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")
