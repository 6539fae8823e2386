"""Which files of a repository are downloaded, and which GGUF file a few letters mean."""

from __future__ import annotations

import pytest

from chatapp.errors import LoadError
from chatapp.hub.files import needed

GGUF = [
    "README.md",
    "mmproj-tiny-f16.gguf",
    "tiny-Q4_K_M.gguf",
    "tiny-Q4_K_S.gguf",
    "Q8_0/tiny-Q8_0-00001-of-00002.gguf",
    "Q8_0/tiny-Q8_0-00002-of-00002.gguf",
]


def chosen(files: list[str], choice: str | None = None, **trusted: bool) -> list[str]:
    options = {"allow_pickle": False, "with_code": False} | trusted
    return needed(files, choice, "some/tiny", **options)


def test_only_what_loading_needs_is_downloaded_and_weights_come_last() -> None:
    files = [
        *("model.safetensors", "model.bin", "config.json", "tokenizer.json", "merges.txt"),
        *("logo.png", "README.md", "onnx/model.onnx", "onnx/config.json", "code.py"),
        *("consolidated.safetensors", "additional_chat_templates/tool.jinja", "pytorch_model.pth"),
    ]
    assert chosen(files) == [
        *("additional_chat_templates/tool.jinja", "config.json", "merges.txt", "tokenizer.json"),
        "model.safetensors",
    ]
    assert "code.py" in chosen(files, with_code=True)
    assert "model.bin" not in chosen(files, allow_pickle=True), "safetensors are there"


def test_pickled_weights_are_refused_with_the_flag_that_allows_them() -> None:
    files = ["config.json", "pytorch_model.bin"]
    with pytest.raises(LoadError, match="use --allow-pickle if you trust"):
        chosen(files)
    assert chosen(files, allow_pickle=True) == files


@pytest.mark.parametrize("choice", ["Q4_K_M", "q4_k_m", "tiny-Q4_K_M.gguf", None])
def test_a_quantisation_or_a_file_name_picks_one_file(choice: str | None) -> None:
    assert chosen(GGUF, choice) == ["tiny-Q4_K_M.gguf"]


@pytest.mark.parametrize(
    "choice", ["q8_0", "tiny-Q8_0", "Q8_0/tiny-Q8_0", "tiny-Q8_0-00001-of-00002.gguf"]
)
def test_all_parts_of_a_split_file_are_taken(choice: str) -> None:
    assert chosen(GGUF, choice) == GGUF[-2:]


@pytest.mark.parametrize(
    ("files", "choice", "said"),
    [
        (GGUF, "Q5", "there are tiny-Q8_0, tiny-Q4_K_M, tiny-Q4_K_S"),
        (GGUF, "Q4_K", "does not fit any"),
        (GGUF, "tiny", "fits several models"),
        (["a-Q2_K.gguf", "a-Q3_K.gguf"], None, "such as some/tiny:a-Q2_K. There are: a-Q2_K, a-Q3"),
        (["model.safetensors", "config.json"], "Q4_K_M", "leave out what follows the colon"),
        (["README.md"], None, "holds no weights"),
    ],
)
def test_none_or_several_are_a_sentence_that_lists_what_there_is(
    files: list[str], choice: str | None, said: str
) -> None:
    with pytest.raises(LoadError, match="(?s)" + said):
        chosen(files, choice)
