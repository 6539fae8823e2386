"""Every flag of the house, what it defaults to, and what is said where one is wrong."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from chatapp.flags import DEFAULT_PORT, EXAMPLES, Face, build_parser
from chatapp.options import Options, parse
from chatapp.settings import SETTING_NAMES
from chatapp.texts import Texts

FACES: tuple[Face, ...] = get_args(Face)

LOADED_BY_HELP = """
import json, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as left:
    print(json.dumps([left.code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def refused(arguments: list[str], face: Face, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said when the flags are wrong."""
    with pytest.raises(SystemExit) as left:
        parse(arguments, face)
    assert left.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1, "a mistake is one sentence"
    return captured.err


def help_of(face: Face, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        parse([*arguments, "--help"], face)
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("face", FACES)
def test_without_flags_the_demo_model_runs_with_the_defaults_of_the_issue(face: Face) -> None:
    options = parse([], face)
    assert options.model.checkpoint_path is None
    assert (options.model.engine, options.model.gpus) == ("auto", "auto")
    assert (options.model.cpu_only, options.model.dtype) == (False, "auto")
    assert options.changes == {}
    assert options.system == "You are a helpful assistant."
    assert options.language == "en"
    assert options.prompt is None
    assert (options.share, options.inbrowser, options.auth) == (False, False, ())
    assert (options.server_port, options.server_name) == (None, "127.0.0.1")
    assert DEFAULT_PORT == 18003


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("short", [True, False])
def test_the_flags_of_both_faces_have_their_long_and_short_names(face: Face, short: bool) -> None:
    arguments = (
        ["-c", "some/model", "-g", "1", "-s", "7"]
        if short
        else ["--checkpoint-path", "some/model", "--gpus", "1", "--seed", "7"]
    )
    options = parse([*arguments, "--cpu-only", "--dtype", "float32", "--system", ""], face)
    assert options.model.checkpoint_path == "some/model"
    assert (options.model.gpus, options.model.cpu_only) == ("1", True)
    assert options.model.dtype == "float32"
    assert options.changes == {"seed": "7"}
    assert options.system == ""


@pytest.mark.parametrize("engine", ["auto", "llamacpp", "transformers", "scripted"])
def test_every_engine_can_be_asked_for(engine: str) -> None:
    assert parse(["--engine", engine], "chat").model.engine == engine


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", SETTING_NAMES)
def test_every_setting_is_a_flag(face: Face, name: str) -> None:
    value = {"stop": "END", "do_sample": "false"}.get(name, "1")
    assert parse(["--" + name.replace("_", "-"), value], face).changes == {name: value}


def test_the_terminals_own_flags() -> None:
    assert parse(["-p", "你好"], "chat").prompt == "你好"
    assert parse(["--prompt", "hi"], "chat").prompt == "hi"


def test_the_pages_own_flags() -> None:
    flags = "--share --inbrowser --server-port 8080 --server-name 0.0.0.0 --auth me:se:cret"
    options = parse(flags.split(), "web")
    assert (options.share, options.inbrowser) == (True, True)
    assert (options.server_port, options.server_name) == (8080, "0.0.0.0")
    assert options.auth == (("me", "se:cret"),)


def test_a_password_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATAPP_AUTH", "me:secret")
    assert parse([], "web").auth == (("me", "secret"),)
    assert parse(["--auth", "you:other"], "web").auth == (("you", "other"),)
    monkeypatch.setenv("CHATAPP_AUTH", "")
    assert parse([], "web").auth == ()


def test_neither_face_has_the_others_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no flag --share. --help" in refused(["--share"], "chat", capsys)
    assert "no flag --prompt. --help" in refused(["--prompt", "hi"], "web", capsys)


def test_a_private_chat_goes_on_with_no_stored_one(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["--private", "--resume"], "chat", capsys)
    assert "--private and --resume do not work together" in said
    found = parse(["--resume", "two words", "--data-dir", "x"], "chat")
    assert (found.resume, found.data_dir, found.private) == ("two words", "x", False)
    assert parse(["--resume"], "chat").resume == "" and parse(["--private"], "chat").private


@pytest.mark.parametrize("auth", ["", ":", "me", "me:", ":secret", "me secret"])
def test_a_password_has_the_shape_name_colon_password(
    auth: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--auth takes NAME:PASSWORD" in refused(["--auth", auth], "web", capsys)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--temperature", "hot"], "temperature takes a number from 0 to 2"),
        (["--temperature", "__import__('os')"], "temperature takes a number from 0 to 2"),
        (["-s", "-1"], "seed takes a whole number from 0 to 4294967295"),
        (["--max-new-tokens", "0"], "max_new_tokens takes a whole number from 1"),
        (["--stop", "["], "stop takes a text, or a list"),
        (["-g", "first"], "--gpus first does not work"),
        (["-g", "-1"], "--gpus -1 does not work"),
        (["--seeds", "7"], "no flag --seeds; did you mean --seed?"),
        (["--top_p=1"], "no flag --top_p; did you mean --top-p?"),
        (["--load-in-9bit"], "There is no flag --load-in-9bit"),
        (["model.gguf"], "model.gguf stands alone: -c goes before"),
        (["--engine", "foo"], "--engine takes one of: auto, llamacpp, transformers"),
        (["--dtype", "int3"], "--dtype takes one of: auto, float32"),
        (["--lang", "xx"], "--lang takes one of: en, zh."),
        (["--temp", "1"], "There is no flag --temp"),
        (["-c"], "-c/--checkpoint-path stands without its MODEL"),
        (["--lang"], "--lang takes one of: en, zh."),
        (["--offline=1"], "--offline takes no value"),
        (["--help=me"], "-h/--help takes no value"),
        (["-c", "--cpu-only"], "stands without its MODEL"),
    ],
)
@pytest.mark.parametrize("face", FACES)
def test_a_wrong_flag_is_one_sentence_and_exit_code_2(
    face: Face, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(arguments, face, capsys)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "", "8080.0", "9" * 5000, "１"])
def test_a_port_is_a_number_that_exists(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "takes a number from 1 to 65535" in refused(["--server-port", port], "web", capsys)


def test_mistakes_are_said_in_chinese_too(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["--lang", "zh", "--temperature", "9"], "chat", capsys)
    assert "temperature=9 无效。temperature 的取值：0 到 2 的数。" in said
    for mistake in (["--engine", "foo"], ["-c"], ["--offline=1"]):
        said = refused(["--lang", "zh", *mistake], "chat", capsys)
        assert mistake[0].partition("=")[0] in said and "。" in said and "invalid" not in said


@pytest.mark.parametrize("face", FACES)
def test_help_groups_the_flags_and_gives_three_examples(
    face: Face, capsys: pytest.CaptureFixture[str]
) -> None:
    said = help_of(face, [], capsys)
    groups = ["model", "conversation", "settings of an answer"]
    if face == "web":
        groups.insert(2, "page")
    headings = [line[:-1] for line in said.splitlines() if line and line[0] != " "]
    assert [heading for heading in headings if heading in groups] == groups
    assert len(EXAMPLES[face]) == 3
    for example in EXAMPLES[face]:
        assert f"\n  {example}\n" in said


@pytest.mark.parametrize("face", FACES)
def test_help_speaks_chinese_where_it_is_asked_to(
    face: Face, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = help_of(face, ["--lang", "zh"], capsys)
    assert "生成参数" in asked and "示例" in asked
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert help_of(face, [], capsys) == asked
    assert "examples:" in help_of(face, ["--lang", "en"], capsys)
    for action in build_parser(face, Texts("zh"))._actions:
        assert any(sign > "\u2e80" for sign in str(action.help)), action.option_strings


@pytest.mark.parametrize("face", FACES)
def test_the_examples_are_understood_by_the_parser(face: Face) -> None:
    for example in EXAMPLES[face]:
        words = shlex.split(example.rpartition(" | ")[2])
        assert isinstance(parse(words[2:], face), Options)


@pytest.mark.parametrize("face", FACES)
def test_every_flag_is_described(face: Face) -> None:
    for action in build_parser(face, Texts("en"))._actions:
        assert action.help, action.option_strings


@pytest.mark.parametrize("script", ["cli_demo.py", "web_demo.py"])
def test_help_imports_nothing_heavy(script: str, here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED_BY_HELP, script, "--help"],
        cwd=here,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "usage: " + script in done.stdout, done.stderr
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    heavy = {
        *("torch", "transformers", "gradio", "numpy", "rich", "prompt_toolkit", "xllamacpp"),
        *("modelscope", "huggingface_hub", "openai", "fastapi", "httpx", "requests", "asyncio"),
    }
    assert not heavy & set(loaded)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("auto", None), ("0", 0), ("512M", 512 << 20), ("2g", 2 << 30), ("3GiB", 3 << 30), ("7", 7)],
)
def test_the_prefix_cache_takes_a_size(said: str, meant: int | None) -> None:
    assert parse(["--prefix-cache", said], "chat").model.prefix_cache == meant


@pytest.mark.parametrize("said", ["much", "-1", "1.5G", "", "2X", "٣G"])
def test_a_size_of_another_shape_is_a_sentence(
    said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([f"--prefix-cache={said}"], "web")
    assert "it takes auto, or a size" in capsys.readouterr().err
