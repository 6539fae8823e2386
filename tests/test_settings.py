"""Settings are parsed by type and limits, never evaluated, and change all or none."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapp.chat import change_settings
from chatapp.engines.scripted import ScriptedEngine
from chatapp.errors import SettingError
from chatapp.settings import (
    MAX_SEED,
    SETTING_NAMES,
    GenerationSettings,
    check_supported,
    derive_seed,
    expected,
    limits,
    parse_assignments,
)

NUMBERS = [name for name in SETTING_NAMES if limits(name)[0] is not None]
WHOLE = [name for name in NUMBERS if GenerationSettings.model_fields[name].annotation is int]

NOT_NUMBERS = (
    *("", " ", "-", "+", ".", "e", "abc", "nan", "NaN", "-nan", "inf", "-inf", "Infinity"),
    *(
        "1e999",
        "-1e999",
        "1e400",
        "9" * 5000,
        "-" + "9" * 5000,
        "0x10",
        "0b1",
        "0o7",
        "1__0",
        "1,5",
    ),
    *("1 2", "1;2", "½", "²", "٣", "１", "१", "3️⃣", "🔟", "①", "Ⅳ", "一", "\ud800", "\0", "1\0"),
    *(
        "true",
        "false",
        "True",
        "None",
        "null",
        "[]",
        "[1]",
        "{}",
        '"1"',
        "'1'",
        "(1)",
        "1+1",
        "--1",
    ),
    *("[" * 10_000, "(" * 10_000, "{" * 10_000, '{"a":' * 10_000),
)

PAYLOADS = (
    "__import__('os')",
    "__import__('os').system('touch CANARY')",
    "__import__('subprocess').run(['touch','CANARY'])",
    "__builtins__",
    "__builtins__['__import__']('os').system('touch CANARY')",
    "__loader__",
    "__name__",
    "__file__",
    "().__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "().__class__.__mro__[1].__subclasses__()[104].__init__.__globals__",
    "''.__class__.__mro__[-1]",
    "[].__class__.__base__",
    "{}.__class__.__base__.__subclasses__()",
    "[x for x in ().__class__.__base__.__subclasses__()]",
    "(1).__class__",
    "1 .__class__",
    "type('X',(),{})",
    "type('X',(),{'__del__':lambda s:open('CANARY','w')})()",
    "open('CANARY','w')",
    "open('/etc/passwd').read()",
    "open(0).read()",
    "io.open('CANARY','w')",
    "os.system('touch CANARY')",
    "os.environ",
    "sys.exit(1)",
    "exit()",
    "quit()",
    "breakpoint()",
    "input()",
    "help()",
    "globals()",
    "locals()",
    "vars()",
    "dir()",
    "eval('1')",
    'exec(\'open("CANARY","w")\')',
    "compile('1','','eval')",
    "getattr(__builtins__,'open')('CANARY','w')",
    "setattr(GenerationSettings,'temperature',1)",
    "lambda: 1",
    "(lambda: open('CANARY','w'))()",
    "(x:=1)",
    "f'{1}'",
    'f\'{open("CANARY","w")}\'',
    "f\"{__import__('os').system('touch CANARY')}\"",
    "'{0.__class__}'.format(1)",
    "'%s'%1",
    "{temperature.__class__}",
    "{{7*7}}",
    "{% raw %}",
    "${7*7}",
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY",
    "| touch CANARY",
    "&& touch CANARY",
    "!touch CANARY",
    "9**9**9",
    "9**9**9**9",
    "2**63",
    "10**10**10",
    "[0]*10**10",
    "'a'*10**10",
    "1<<10**10",
    "sum(range(10**12))",
    "1/0",
    "1 if True else 0",
    "not 1",
    "0.7 or 1",
    "yield",
    "await x",
    "async def f(): pass",
    "import os",
    "from os import system",
    "while True: pass",
    "raise SystemExit",
    "@x",
    "*a",
    "...",
    "Ellipsis",
    "NotImplemented",
    "1_",
    "0.7#",
    "0.7\nimport os",
    "!!python/object/apply:os.system ['touch CANARY']",
    "cos\nsystem\n(S'touch CANARY'\ntR.",
    "${jndi:ldap://localhost/a}",
    "../../../../etc/passwd",
    "file:///etc/passwd",
    "<script>alert(1)</script>",
    "[red]1[/red]",
    "\x1b]0;title\x07",
    "\x1b[2J1",
)

FOREIGN_NAMES = (
    *("trust_remote_code", "streamer", "logits_processor", "assistant_model", "model", "device"),
    *("torch_dtype", "dtype", "num_beams", "num_return_sequences", "max_length", "min_length"),
    *("max_time", "use_cache", "cache_implementation", "pad_token_id", "eos_token_id", "bad_words"),
    *(
        "stopping_criteria",
        "prefix_allowed_tokens_fn",
        "synced_gpus",
        "custom_generate",
        "tokenizer",
    ),
    *("generation_config", "negative_prompt_ids", "compile_config", "__class__", "__dict__"),
    *("__init__", "__fields__", "model_config", "model_fields", "model_copy", "changed", "greedy"),
    *(
        "_parse_stop",
        "",
        " ",
        "Temperature",
        "TOP_P",
        "top-p",
        "top p",
        "temperature.x",
        "温度",
        "\0",
    ),
)


def changed(text: str) -> GenerationSettings:
    return GenerationSettings().changed(parse_assignments(text))


def test_every_default_is_within_its_own_limits() -> None:
    defaults = GenerationSettings()
    assert GenerationSettings().changed(defaults.model_dump()) == defaults
    assert all(field.description for field in GenerationSettings.model_fields.values())


def test_the_issues_settings_are_all_there_with_its_defaults() -> None:
    assert set(SETTING_NAMES) == {
        *("temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty"),
        *("presence_penalty", "frequency_penalty", "no_repeat_ngram_size", "do_sample"),
        *("max_new_tokens", "stop", "seed"),
    }
    assert GenerationSettings().seed == 1234
    assert GenerationSettings().max_new_tokens == 2048


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_taken_up_to_its_limits_and_refused_beyond(name: str) -> None:
    low, high = limits(name)
    assert low is not None and high is not None
    step = 1 if name in WHOLE else 1e-9
    for value in (low, high):
        assert getattr(changed(f"{name}={value}"), name) == value
    for value in (low - step, high + step, -(2**63), 2**64, 1e300, -1e300, math.inf, math.nan):
        for value_or_text in (value, str(value)):
            with pytest.raises(SettingError, match=name):
                GenerationSettings().changed({name: value_or_text})


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_never_anything_else(name: str) -> None:
    for value in (*NOT_NUMBERS, True, False, None, [], [1], {}, b"\xff", object(), 1j):
        with pytest.raises(SettingError, match=name):
            GenerationSettings().changed({name: value})


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_has_no_fraction(name: str) -> None:
    for value in ("1.5", 1.5, "0.1", "1e-3"):
        with pytest.raises(SettingError, match="a whole number from"):
            GenerationSettings().changed({name: value})


def test_the_notations_people_use_for_numbers_are_understood() -> None:
    assert changed("temperature=.5 top_k=+40 top_p=9e-1") == GenerationSettings(
        temperature=0.5, top_k=40, top_p=0.9
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [(text, True) for text in ("true", "True", "on", "yes", "1")]
    + [(text, False) for text in ("false", "False", "off", "no", "0")],
)
def test_a_switch_takes_the_usual_words(text: str, value: bool) -> None:
    assert changed(f"do_sample={text}").do_sample is value


@pytest.mark.parametrize("text", ["", "maybe", "2", "-1", "None", "真"])
def test_a_switch_takes_nothing_else(text: str) -> None:
    with pytest.raises(SettingError, match="do_sample takes true or false"):
        changed(f"do_sample={text}")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_code_as_a_value_is_a_sentence_naming_the_setting(payload: str) -> None:
    for name in (*NUMBERS, "do_sample"):
        begin = time.thread_time()
        with pytest.raises(SettingError, match=f"{name} takes "):
            GenerationSettings().changed({name: payload})
        assert time.thread_time() - begin < 0.05
    with pytest.raises(SettingError):
        changed(f"temperature={payload}")


def test_code_as_a_value_runs_nothing(tmp_path: Path) -> None:
    script = """
import json, sys
from chatapp.errors import SettingError
from chatapp.settings import GenerationSettings, SETTING_NAMES, parse_assignments

payloads = json.loads(sys.argv[1])
str(SettingError("setting-unknown", name="warm", known="up"))
seen = []
watched = ("exec", "compile", "open", "import", "os.", "subprocess", "socket", "pty", "ctypes")
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith(watched) else None)
for payload in payloads:
    for name in SETTING_NAMES:
        for given in ({name: payload}, f"{name}={payload}", f"{payload}={name}", payload):
            try:
                changes = parse_assignments(given) if isinstance(given, str) else given
                GenerationSettings().changed(changes)
            except SettingError as error:
                str(error)
heard = list(seen)
eval("1")
assert seen != heard, "the hook does not hear"
print(json.dumps(heard))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(PAYLOADS)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert list(tmp_path.iterdir()) == []


def test_the_example_of_the_issue_is_one_sentence() -> None:
    with pytest.raises(SettingError) as caught:
        changed("temperature=__import__('os')")
    assert str(caught.value) == (
        "temperature=__import__('os') does not work: temperature takes a number from 0 to 2."
    )


def test_an_error_repeats_a_long_or_unprintable_value_only_in_part() -> None:
    for text in ("temperature=" + "x" * 1_000_000, "y" * 1_000_000 + "=1", "z" * 1_000_000):
        with pytest.raises(SettingError) as caught:
            changed(text)
        assert len(str(caught.value)) < 500
    with pytest.raises(SettingError) as caught:
        changed("temperature=\x1b]0;title\x07\ud800")
    str(caught.value).encode()
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_a_name_outside_the_schema_is_refused(name: str) -> None:
    with pytest.raises(SettingError):
        GenerationSettings().changed({name: "1"})
    for value in ("1", "[", '["a"]'):
        with pytest.raises(SettingError):
            changed(f"{name}={value}")


def test_no_attribute_of_transformers_own_config_gets_in_by_its_name() -> None:
    generation = pytest.importorskip("transformers.generation.configuration_utils")
    for name in set(vars(generation.GenerationConfig())) - set(SETTING_NAMES):
        with pytest.raises(SettingError):
            GenerationSettings().changed({name: 1})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("temprature", "temperature"),
        ("Temperature", "temperature"),
        ("temp", "temperature"),
        ("topp", "top_p"),
        ("top-p", "top_p"),
        ("max_tokens", "max_new_tokens"),
        ("repeat_penalty", "repetition_penalty"),
        ("sead", "seed"),
    ],
)
def test_a_misspelt_name_is_asked_back(typed: str, meant: str) -> None:
    with pytest.raises(SettingError, match=f"did you mean {meant}"):
        GenerationSettings().changed({typed: "1"})


def test_a_name_like_none_of_ours_is_answered_with_the_list() -> None:
    with pytest.raises(SettingError) as caught:
        changed("xyz=1")
    assert all(name in str(caught.value) for name in SETTING_NAMES)


@pytest.mark.parametrize("bad", ["top_k=-1", "tpo_k=5", "top_k", "stop=[", "top_k="])
def test_several_changes_apply_all_or_none(bad: str) -> None:
    engine = ScriptedEngine()
    before = engine.defaults
    for text in (f"temperature=0.5 {bad}", f"temperature=0.5 {bad} seed=3"):
        with pytest.raises(SettingError):
            change_settings(engine, before, parse_assignments(text))
    assert before == engine.defaults == GenerationSettings(max_new_tokens=256)
    after = change_settings(engine, before, parse_assignments("temperature=0.5 top_k=5"))
    assert after.differences(before) == {"temperature", "top_k"}


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        GenerationSettings().temperature = 0.5  # type: ignore[misc]


def test_temperature_zero_is_greedy() -> None:
    settings_ = changed("temperature=0")
    assert settings_.greedy and not settings_.do_sample
    assert changed("do_sample=false").greedy
    assert changed("do_sample=true temperature=0").greedy
    assert not changed("temperature=0.1").greedy


@pytest.mark.parametrize(
    "text", ["temperature=0.5", "top_p=0.5", "top_k=5", "min_p=0.1", "typical_p=0.5"]
)
def test_choosing_how_to_sample_switches_sampling_on(text: str) -> None:
    greedy = GenerationSettings(do_sample=False)
    assert greedy.changed(parse_assignments(text)).do_sample
    assert not greedy.changed(parse_assignments(text + " do_sample=false")).do_sample


def test_choosing_something_else_leaves_sampling_as_it_is() -> None:
    for do_sample in (True, False):
        before = GenerationSettings(do_sample=do_sample)
        assert before.changed({"seed": "7", "stop": "END"}).do_sample is do_sample


def test_choosing_how_to_sample_at_temperature_zero_stays_greedy() -> None:
    assert changed("temperature=0").changed({"top_p": "0.5"}).greedy


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        ("stop=END", ("END",)),
        ("stop=", ()),
        ("stop=[]", ()),
        ('stop="two words"', ("two words",)),
        ('stop=["a", "b c"]', ("a", "b c")),
        ('stop=["a", "b"] top_k=5', ("a", "b")),
        (r'stop=["\n\n"]', ("\n\n",)),
        ("stop=用户：", ("用户：",)),
        ("stop=a=b", ("a=b",)),
        ('stop={"a"', ('{"a"',)),
    ],
)
def test_stop_texts_are_plain_or_json(text: str, stop: tuple[str, ...]) -> None:
    assert changed(text).stop == stop


@pytest.mark.parametrize(
    "value",
    [
        *("[", '"', '["a"', '["a",]', "[1]", "[null]", '[["a"]]', '[""]', '["a", 1]', '""'),
        *("[NaN]", "[" * 10_000, "[" * 100_000 + "]" * 100_000, "x" * 201),
        json.dumps(["a"] * 17),
        r'"\ud800"',
    ],
)
def test_bad_stop_texts_are_refused(value: str) -> None:
    with pytest.raises(SettingError, match="stop takes a text, or a list"):
        changed(f"stop={value}")
    with pytest.raises(SettingError, match="stop takes a text, or a list"):
        GenerationSettings().changed({"stop": value})


@pytest.mark.parametrize("text", ["temperature", "=1", "0.7", "temperature 0.7", "a b=1", "-t=1"])
def test_what_is_no_assignment_is_said_so(text: str) -> None:
    with pytest.raises(SettingError, match="is not of the form key=value"):
        parse_assignments(text)


def test_assignments_are_read_in_time_proportional_to_their_length() -> None:
    begin = time.thread_time()
    assert len(parse_assignments(" ".join(f"k{index}=1" for index in range(100_000)))) == 100_000
    assert time.thread_time() - begin < 5


@given(
    st.text()
    | st.lists(st.sampled_from(["stop", "top_k", "x", "=", "[", '"', " ", "1"])).map("".join)
)
@settings(max_examples=400)
def test_any_line_is_assignments_or_a_setting_error(text: str) -> None:
    try:
        changes = parse_assignments(text)
        assert changes or not text.strip()
        GenerationSettings().changed(changes)
    except SettingError as error:
        assert str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(SETTING_NAMES) | st.text(), json_values | st.binary()))
@settings(max_examples=400)
def test_any_change_is_valid_settings_or_a_setting_error(changes: dict[str, object]) -> None:
    try:
        after = GenerationSettings().changed(changes)
    except SettingError as error:
        assert str(error)
    else:
        assert GenerationSettings.model_validate(after.model_dump()) == after


def test_nesting_never_runs_into_a_recursion_error() -> None:
    nested: list[object] = []
    for _ in range(10_000):
        nested = [nested]
    for name in SETTING_NAMES:
        with pytest.raises(SettingError, match=name):
            GenerationSettings().changed({name: nested})


@pytest.mark.parametrize("name", SETTING_NAMES)
def test_what_a_setting_takes_is_said_with_its_limits(name: str) -> None:
    low, high = limits(name)
    sentence = expected(name)
    if name in NUMBERS:
        assert sentence.values == {"low": low, "high": high}
    else:
        assert sentence.key in ("expected-switch", "expected-texts")


def test_a_setting_the_engine_lacks_is_refused_with_what_it_has() -> None:
    with pytest.raises(SettingError) as caught:
        check_supported(["top_p", "min_p"], {"seed", "top_p"}, "tiny")
    assert str(caught.value) == "The engine tiny does not have min_p. It has: top_p, seed."
    check_supported(["top_p"], {"top_p"}, "tiny")


def test_seeds_derive_from_base_turn_and_version_and_from_nothing_else() -> None:
    assert derive_seed(1234, turn=1, version=0) == 2992097731
    seeds = {
        derive_seed(base, turn=turn, version=version)
        for base in (0, 1, 7, 1234, MAX_SEED)
        for turn in range(1, 21)
        for version in range(10)
    }
    assert len(seeds) == 5 * 20 * 10
    assert all(0 <= seed <= MAX_SEED for seed in seeds)
