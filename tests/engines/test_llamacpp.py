"""LlamaCppEngine on the demo model: its port, its limits, several chats, the header reader."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatapp import gguf, hub
from chatapp.engines import ModelOptions, open_engine
from chatapp.engines.fit import TOKENS
from chatapp.engines.llamacpp import LlamaCppEngine
from chatapp.errors import ContextOverflow, GenerationError, LoadError
from chatapp.events import Finished, Progress, ReasoningDelta, TextDelta
from chatapp.messages import Message

pytest.importorskip("xllamacpp", reason="the extra llamacpp is not installed")


@pytest.fixture(scope="module")
def engine() -> Iterator[LlamaCppEngine]:
    opened = open_engine(ModelOptions(hub.DEMO, engine="llamacpp", cpu_only=True, concurrency=4))
    assert isinstance(opened, LlamaCppEngine)
    with closing(opened):
        yield opened


@pytest.mark.parametrize("key", [None, "", "wrong"])
@pytest.mark.parametrize("path", ["/props", "/v1/models", "/slots", "/tokenize", "/completion"])
def test_its_port_answers_nobody_without_the_key(
    engine: LlamaCppEngine, path: str, key: str | None
) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    request = urllib.request.Request(engine._server.listening_address + path, headers=headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value:
        assert caught.value.code in (401, 404, 501)


def test_it_listens_on_loopback_only(engine: LlamaCppEngine) -> None:
    assert engine._server.listening_address.startswith("http://127.0.0.1:")


def test_a_message_longer_than_the_context_is_refused_with_both_numbers(
    engine: LlamaCppEngine,
) -> None:
    messages = [Message("user", "word " * 9000)]
    with pytest.raises(ContextOverflow, match=r"90.. tokens.* holds 8192"):
        list(engine.stream(messages, engine.defaults, threading.Event()))


def test_reading_a_long_prompt_is_told_and_can_be_stopped(engine: LlamaCppEngine) -> None:
    cancel = threading.Event()
    told: list[int] = []
    for event in engine.stream([Message("user", "word " * 4000)], engine.defaults, cancel):
        if isinstance(event, Progress) and event.total:
            told.append(event.done)
            if event.done >= 256:
                cancel.set()
    assert isinstance(event, Finished)
    assert event.reason == "stopped"
    assert told == sorted(told)
    assert told[-1] < 4000 / 2


def test_every_chat_has_the_models_whole_context(engine: LlamaCppEngine) -> None:
    assert engine.context_length == 8192


def test_four_chats_at_once_give_the_texts_they_give_alone(engine: LlamaCppEngine) -> None:
    def answer(number: int) -> str:
        settings = engine.defaults.changed({"temperature": 1, "max_new_tokens": 40, "seed": number})
        messages = [Message("user", f"Tell me about the number {number}.")]
        events = engine.stream(messages, settings, threading.Event())
        return "".join(event.text for event in events if isinstance(event, TextDelta))

    alone = [answer(number) for number in range(4)]
    together: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda number=number: together.update({number: answer(number)}))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [together[number] for number in range(4)] == alone


def test_the_next_turn_reads_only_what_is_new(engine: LlamaCppEngine) -> None:
    story = Message("user", "Once upon a time there was a fox. " * 40)
    settings = engine.defaults.changed({"max_new_tokens": 8})

    def finish(messages: list[Message]) -> Finished:
        *_, last = engine.stream(messages, settings, threading.Event())
        assert isinstance(last, Finished)
        return last

    finish([story])
    second = finish([story, Message("assistant", "Yes."), Message("user", "And then?")])
    assert second.usage.cached_tokens > 0.8 * second.usage.prompt_tokens


def written(engine: LlamaCppEngine, messages: list[Message], length: int) -> str:
    settings = engine.defaults.changed({"temperature": 0, "max_new_tokens": length})
    events = engine.stream(messages, settings, threading.Event())
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_cut_anywhere_and_gone_on_with_it_is_the_uncut_answer(engine: LlamaCppEngine) -> None:
    question = [Message("user", "What is photosynthesis?")]
    whole = written(engine, question, 40)
    for length in range(1, 40, 6):
        cut = written(engine, question, length)
        rest = written(engine, [*question, Message("assistant", cut)], 40 - length)
        assert cut + rest == whole


def test_reasoning_that_the_template_has_no_place_for_is_refused(engine: LlamaCppEngine) -> None:
    messages = [Message("user", "Why?"), Message("assistant", reasoning="Let me see")]
    with pytest.raises(GenerationError, match="does not let it go on"):
        engine.count_tokens(messages)
    with pytest.raises(GenerationError, match="does not let it go on"):
        list(engine.stream(messages, engine.defaults, threading.Event()))


REASONING = """{% for message in messages %}<|im_start|>{{ message.role }}
{% if message.role == 'assistant' and message.reasoning_content %}<think>
{{ message.reasoning_content.strip('\\n') }}
</think>

{% endif %}{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% endif %}{% endif %}"""


@pytest.fixture
def reasoner(monkeypatch: pytest.MonkeyPatch) -> Iterator[LlamaCppEngine]:
    """The demo model with a template as reasoning models have it."""
    import xllamacpp

    original = xllamacpp.Server

    def serve(parameters: xllamacpp.CommonParams) -> xllamacpp.Server:
        parameters.chat_template = REASONING
        return original(parameters)

    monkeypatch.setattr(xllamacpp, "Server", serve)
    opened = open_engine(ModelOptions(hub.DEMO, engine="llamacpp", cpu_only=True, concurrency=1))
    assert isinstance(opened, LlamaCppEngine)
    with closing(opened):
        yield opened


def test_reasoning_goes_on_until_there_is_content(reasoner: LlamaCppEngine) -> None:
    question = Message("user", "Why is the sky blue?")
    settings = reasoner.defaults.changed({"temperature": 0, "max_new_tokens": 6})

    def kinds(begun: Message) -> set[type]:
        events = reasoner.stream([question, begun], settings, threading.Event())
        return {type(event) for event in events if isinstance(event, TextDelta | ReasoningDelta)}

    assert kinds(Message("assistant", reasoning="The sky is blue because")) == {ReasoningDelta}
    assert kinds(Message("assistant", "It is blue", "The sky is up.\n")) == {TextDelta}
    body = reasoner._body([question, Message("assistant", "It is", "Up.\n")])
    prompt = reasoner._ask("POST", "/apply-template", body)["prompt"]
    assert prompt.endswith("<|im_start|>assistant\n<think>\nUp.\n</think>\n\nIt is")


def test_the_card_of_the_demo_model_sets_its_sampling(engine: LlamaCppEngine) -> None:
    assert engine.defaults.temperature == 0.2
    assert engine.defaults.top_p == 0.9
    assert [notice.key for notice in engine.notices] == ["notice-demo"]


def test_a_folder_is_no_model_for_llama_cpp(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(LoadError, match=r"reads \.gguf files only"):
        open_engine(ModelOptions(str(tmp_path), engine="llamacpp"))


@pytest.mark.parametrize("size", [0, 3, 4, 30, 5_000, 2_000_000, 40_000_000])
def test_a_file_that_is_cut_short_is_a_sentence(tmp_path: Path, size: int) -> None:
    whole = hub.find(hub.DEMO).path
    cut = tmp_path / "cut.gguf"
    with whole.open("rb") as source, cut.open("wb") as target:
        target.write(source.read(size))
    with pytest.raises(LoadError, match="cut could not be loaded"):
        open_engine(ModelOptions(str(cut), engine="llamacpp", cpu_only=True))


def test_a_file_of_another_kind_is_a_sentence(tmp_path: Path) -> None:
    other = tmp_path / "notes.gguf"
    shutil.copy(__file__, other)
    with pytest.raises(LoadError, match="notes could not be loaded"):
        open_engine(ModelOptions(str(other), engine="llamacpp", cpu_only=True))


MEASURED = """
import json, sys
import psutil
from chatapp.engines import ModelOptions, open_engine, weigh
options = ModelOptions(None, cpu_only=True, concurrency=int(sys.argv[1]))
fit = weigh(options)  # imports what an engine stands on
before = psutil.Process().memory_info().rss
engine = open_engine(options)
taken = psutil.Process().memory_info().rss - before
print(json.dumps([taken, fit.chosen.loaded, fit.kv, engine.context_length]))
engine.close()
"""


@pytest.mark.parametrize("chats", [1, 3])
def test_the_estimate_is_what_a_process_holds_within_a_tenth(chats: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(chats)], capture_output=True, text=True, timeout=100
    )
    taken, loaded, kv, context = json.loads(done.stdout)
    caches = chats * context * kv // TOKENS
    assert taken == pytest.approx(loaded + caches, rel=0.1)
    assert taken - caches == pytest.approx(loaded, rel=0.1), "the weights by themselves"


def test_the_header_tells_context_and_cache_without_the_weights() -> None:
    header = gguf.read_header(hub.find(hub.DEMO).path)
    assert gguf.context_length(header) == 8192
    layers, kv_heads, width = 30, 3, 64
    assert gguf.kv_bytes_per_token(header) == layers * kv_heads * (width + width) * 2
    assert "tokenizer.chat_template" in header
