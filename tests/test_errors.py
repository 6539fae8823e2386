"""Errors are one tree, drawn at its top, and each is one sentence."""

from __future__ import annotations

import inspect

from chatapp import errors
from chatapp.errors import ChatError, ContextOverflow, GenerationError, LineFull
from chatapp.texts import Texts


def test_the_tree_drawn_in_the_docstring_is_the_one_of_the_classes() -> None:
    drawn = {
        line.split("─ ")[-1].split()[0]
        for line in str(errors.__doc__).splitlines()
        if "─ " in line or line.startswith("ChatError ")
    }
    classes = {
        name
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, ChatError)
    }
    assert drawn == classes


def test_a_reader_who_catches_generation_errors_catches_those_of_waiting_and_of_length() -> None:
    assert issubclass(ContextOverflow, GenerationError)
    assert issubclass(LineFull, GenerationError)


def test_an_error_is_said_in_english_and_in_the_readers_language() -> None:
    error = LineFull("line-full", waiting=64)
    assert str(error) == "64 requests are waiting for the model already. Try again in a moment."
    assert Texts("zh")(error.sentence).startswith("已有 64 个请求")
