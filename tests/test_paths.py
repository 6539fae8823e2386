"""What is kept on this machine lies where the person says, for their eyes only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chatapp.paths import cache_dir, data_dir


def test_the_data_folder_is_made_on_demand_for_its_owner_only(own_data_dir: Path) -> None:
    assert not own_data_dir.exists()
    assert data_dir() == own_data_dir
    assert stat.S_IMODE(own_data_dir.stat().st_mode) == 0o700
    assert data_dir() == own_data_dir


def test_the_cache_of_the_tests_is_one_for_the_session(session_cache: Path) -> None:
    assert cache_dir() == session_cache


def test_the_folders_can_be_written_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CHATAPP_DATA_DIR", "~/chats")
    assert data_dir() == tmp_path / "chats"


def test_without_a_word_they_lie_where_the_platform_keeps_such_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CHATAPP_DATA_DIR", "CHATAPP_CACHE_DIR", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for folder in (data_dir(), cache_dir()):
        assert folder.is_relative_to(tmp_path) and folder.name == "chatapp"
