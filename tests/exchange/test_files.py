"""What is written is there whole or not at all, and nobody's file is written over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chatapp.errors import ExchangeError
from chatapp.exchange import files, read_text, write_atomic


def test_a_file_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    write_atomic(path, "你好\n")
    assert path.read_bytes() == "你好\n".encode()
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["x.md"]
    assert read_text(path) == "你好\n"


def test_an_existing_file_stays_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("mine")
    with pytest.raises(ExchangeError, match="it stays as it is"):
        write_atomic(path, "theirs")
    assert path.read_text() == "mine"
    write_atomic(path, "theirs", overwrite=True)
    assert path.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["x.md"]


def test_a_file_that_somebody_makes_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.md"
    monkeypatch.setattr(files.os, "fsync", lambda _: path.write_text("mine"))
    with pytest.raises(ExchangeError, match="it stays as it is"):
        write_atomic(path, "theirs")
    assert path.read_text() == "mine"
    assert os.listdir(tmp_path) == ["x.md"]


def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.md"
    path.write_text("mine")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(ExchangeError, match="No space left"):
        write_atomic(path, "theirs", overwrite=True)
    assert path.read_text() == "mine"
    assert os.listdir(tmp_path) == ["x.md"]


def test_places_that_cannot_be_written_or_read_are_sentences(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "x", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ExchangeError, match=r"cannot be written|stays as it is"):
            write_atomic(path, "x")
        with pytest.raises(ExchangeError, match="cannot be read"):
            read_text(path)


def test_what_is_no_utf8_and_what_is_too_large_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes("\ufeff{}".encode("utf-16"))
    with pytest.raises(ExchangeError, match="UTF-8"):
        read_text(path)
    monkeypatch.setattr(files, "LARGEST", 3)
    with pytest.raises(ExchangeError, match="more than"):
        read_text(path)
