"""EventStreamer and its parts: what tokens become on their way to the reader."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from chatapp.engines.transformers.streaming import (
    Cancelled,
    EventStreamer,
    ReasoningSplitter,
    StopCutter,
    StopText,
)
from chatapp.events import ReasoningDelta, TextDelta

TEXTS = [
    "plain words, and more",
    "你好，世界！今天天气怎么样？",
    "こんにちは、元気ですか。",
    "안녕하세요, 반갑습니다.",
    "👩‍👩‍👧‍👦 🇫🇷 👍🏽 1️⃣ é ñ \u0301",
    "\u202eright to left\u202c \u2028 \ufeff \x00 \ufffd",
    "line\nline\n\n    indented\ttab",
    "สวัสดีชาวโลก مرحبا בעולם",
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Callable[..., Path]) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_model("qwen2"))


def make(
    tokenizer: PreTrainedTokenizerBase,
    stop: tuple[str, ...] = (),
    cancelled: Callable[[], bool] = lambda: False,
    fast: bool = True,
) -> EventStreamer:
    streamer = EventStreamer(
        tokenizer,
        tokenizer._tokenizer if fast else None,
        stop=stop,
        stage="start",
        is_cancelled=cancelled,
    )
    streamer.put(torch.tensor([[1, 2, 3]]))  # the prompt
    return streamer


def said(streamer: EventStreamer) -> list[str]:
    """What has been put into the queue so far."""
    pieces = []
    while not streamer.text_queue.empty():
        event = streamer.text_queue.get()
        assert isinstance(event, TextDelta)
        pieces.append(event.text)
    return pieces


def feed(streamer: EventStreamer, ids: list[int]) -> str:
    for token in ids:
        streamer.put(torch.tensor([token]))
    streamer.end()
    return "".join(said(streamer))


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("text", TEXTS)
def test_what_streams_is_what_decoding_all_at_once_gives(
    tokenizer: PreTrainedTokenizerBase, text: str, fast: bool
) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert feed(make(tokenizer, fast=fast), ids) == tokenizer.decode(ids) == text


@given(data=st.data())
def test_any_tokens_stream_as_they_decode(
    tokenizer: PreTrainedTokenizerBase, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=12))
    streamed = feed(make(tokenizer), ids)
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    assert decoded.startswith(streamed)
    assert set(decoded[len(streamed) :]) <= {"\ufffd"}, "an incomplete character at the very end"


def test_a_character_cut_in_two_is_not_shown_at_the_end(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    ids = tokenizer.encode("fox ☂", add_special_tokens=False)
    assert feed(make(tokenizer), ids) == "fox ☂"
    assert feed(make(tokenizer), ids[:-1]) == "fox "


def test_a_complete_character_appears_with_its_last_token(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    for text in TEXTS[:4]:
        streamer = make(tokenizer)
        shown = ""
        ids = tokenizer.encode(text, add_special_tokens=False)
        for count, token in enumerate(ids, 1):
            streamer.put(torch.tensor([token]))
            shown += "".join(said(streamer))
            complete = tokenizer.decode(ids[:count]).rstrip("\ufffd")
            assert shown == complete, "nothing but an incomplete character is held back"


def test_tokens_outside_the_vocabulary_do_not_end_the_stream(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    (letter,) = tokenizer.encode("a", add_special_tokens=False)
    streamed = feed(make(tokenizer), [letter, len(tokenizer) + 5, letter])
    assert streamed == "aa"


def test_cancelling_raises_at_the_next_token(tokenizer: PreTrainedTokenizerBase) -> None:
    wanted = itertools.chain([False, False], itertools.repeat(True))
    streamer = make(tokenizer, cancelled=lambda: next(wanted))
    streamer.put(torch.tensor([10]))
    streamer.put(torch.tensor([11]))
    with pytest.raises(Cancelled):
        streamer.put(torch.tensor([12]))
    assert streamer.answer == [10, 11]


def test_a_stop_text_over_several_tokens_is_cut_out(tokenizer: PreTrainedTokenizerBase) -> None:
    streamer = make(tokenizer, stop=("STOP",))
    with pytest.raises(StopText):
        feed(streamer, tokenizer.encode("go on STOP here", add_special_tokens=False))
    assert "".join(said(streamer)) == "go on "


@given(
    pieces=st.lists(st.text("abc", max_size=4), max_size=10),
    stops=st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_stop_texts_are_cut_the_same_however_the_text_comes(
    pieces: list[str], stops: list[str]
) -> None:
    whole = "".join(pieces)
    cutter = StopCutter(tuple(stops))
    shown = ""
    for piece in pieces:
        shown += cutter.feed(piece)
        if cutter.met:
            break
    else:
        shown += cutter.rest()
    if cutter.met:
        assert any(whole.startswith(shown + stop) for stop in stops)
        assert not any(stop in shown for stop in stops)
    else:
        assert shown == whole
        assert not any(stop in whole for stop in stops)


def split(pieces: list[str], opened: bool = False) -> tuple[str, str]:
    splitter = ReasoningSplitter("reasoning" if opened else "start")
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.rest()
    thought = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    answer = "".join(event.text for event in events if isinstance(event, TextDelta))
    return thought, answer


@pytest.mark.parametrize(
    ("text", "opened", "expected"),
    [
        ("<think>\nwhy\n</think>\n\nbecause", False, ("\nwhy\n", "because")),
        ("\n<think>a</think>b", False, ("a", "b")),
        ("why\n</think>\nbecause", True, ("why\n", "because")),
        ("no tags at all", False, ("", "no tags at all")),
        ("<thin ice", False, ("", "<thin ice")),
        (
            "answer with <think>typed</think> later",
            False,
            ("", "answer with <think>typed</think> later"),
        ),
        ("<think>cut of", False, ("cut of", "")),
        ("<think></think>", False, ("", "")),
        ("  two spaces", False, ("", "  two spaces")),
        ("<think>a</think>b</think>c", False, ("a", "b</think>c")),
        ("<think>", False, ("", "")),
        ("<thi", False, ("", "<thi")),
    ],
)
def test_reasoning_comes_apart_however_the_text_comes(
    text: str, opened: bool, expected: tuple[str, str]
) -> None:
    assert split([text], opened) == expected
    assert split(list(text), opened) == expected
    for middle in range(len(text)):
        assert split([text[:middle], text[middle:]], opened) == expected
