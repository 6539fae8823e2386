"""`chatapp data`: what a person types, what is said, what is in the files afterwards."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from chatapp.data import main
from chatapp.data.flags import ACTIONS, FORMATS
from chatapp.exchange import export_json
from chatapp.messages import Conversation, Feedback, Message
from chatapp.store import Store
from tests.exchange.trees import everything


@pytest.fixture
def chats(own_data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of two stored conversations, one of them with a good answer; elsewhere to write."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    own_data_dir.mkdir(exist_ok=True)
    store = Store(own_data_dir)
    ids = []
    for city, good in (("杭州 lake", True), ("Paris tower", None)):
        conversation = Conversation("Be kind.")
        feedback = None if good is None else Feedback(good)
        answer = Message("assistant", f"{city}!", feedback=feedback)
        conversation.ask(f"Where is the {city}?").reply(answer)
        store.chats().take_in(conversation)
        ids.append(conversation.id)
    store.close()
    return ids


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chatapp", "data", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def test_the_command_needs_no_model_and_says_where_the_file_is(own_data_dir: Path) -> None:
    done = run("path")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{own_data_dir / 'chats.db'}\n"
    assert not (own_data_dir / "chats.db").exists()


def test_help_is_there_for_all_and_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    for action in ACTIONS:
        assert action in shown
        for language in ("en", "zh"):
            with pytest.raises(SystemExit) as left:
                main([action, "--help", "--lang", language])
            assert left.value.code == 0
            assert ("conversation" in capsys.readouterr().out) == (language == "en")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["exprt"], "did you mean export?"),
        (["serve"], "but: path, check"),
        (["serve", "--lang", "zh"], "可用的有：path"),
        (["--loud"], "There is no flag --loud"),
        (["path", "x"], "takes flags alone, and not x"),
        (["export", "--format", "xml"], "--format"),
        (["export", "--formt", "json"], "did you mean --format"),
        (["check", "--data-dir"], "--data-dir"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(arguments)
    except SystemExit as left:
        code = int(str(left.code))
    shown = capsys.readouterr()
    assert code == 2
    assert shown.out == ""
    assert said in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import"], "Name the files"),
        (["import", "nowhere.json"], "nowhere.json cannot be read"),
        (["export", "Atlantis"], "no such conversation"),
        (["export", "--good-only"], "--good-only is for training data"),
        (["export", "--format", "openai", "--output", "x.txt"], "goes into a .json file"),
        (["export", "--format", "openai", "--good-only", "Paris"], "No answer is marked good"),
        (["export", "--output", "no/where.json"], "cannot be written"),
        (["export", "--owner", "ann"], "No conversation of ann is stored"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(
    arguments: list[str], said: str, chats: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert os.listdir() == []


@pytest.mark.parametrize("action", ["check", "export", "vacuum"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_conversations_is_refused_and_nothing_is_made(
    action: str, exists: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "misspelt"
    if exists:
        folder.mkdir()
    assert main([action, "--data-dir", str(folder)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"No conversations are stored in {folder}" in shown.err
    assert folder.exists() == exists and list(tmp_path.glob("misspelt/*")) == []


def test_an_empty_file_has_nothing_to_export_and_says_so(
    own_data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_data_dir.mkdir(exist_ok=True)
    Store(own_data_dir).close()
    assert main(["export"]) == 1
    assert capsys.readouterr().err == (
        "There is nothing to export yet: no conversation is stored. Chat first, or name another "
        "folder with --data-dir.\n"
    )


def test_a_sound_file_is_counted(chats: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert "is sound. Conversations: 2, messages: 4, size: 0." in capsys.readouterr().out
    assert main(["vacuum"]) == 0
    assert "Size before: 0." in capsys.readouterr().out


def test_a_file_damaged_inside_is_replaced_by_what_can_be_read_of_it(
    chats: list[str], own_data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage_an_index(own_data_dir / "chats.db", chats[0])
    before = (own_data_dir / "chats.db").read_bytes()
    assert main(["check"]) == 1
    said = capsys.readouterr().err
    assert "is damaged inside" in said
    assert "It is kept as" in said
    assert "are in the new file: 2." in said
    assert before in {path.read_bytes() for path in own_data_dir.glob("*.damaged-*")}
    assert main(["check"]) == 0


def damage_an_index(path: Path, id: str) -> None:
    """Change an entry in the index of the conversations' ids: a quick check does not look there."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_chats_1'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    whole = bytearray(path.read_bytes())
    place = whole.index(id.encode(), (page - 1) * size) + len(id) - 1
    assert place < page * size
    whole[place] ^= 1
    path.write_bytes(whole)


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_goes_into_this_folder_and_can_be_told_apart(
    format: str, chats: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--format", format]) == 0
    names = sorted(os.listdir())
    assert capsys.readouterr().err.startswith("Exported: 2, to ")
    if format == "markdown":
        assert sorted(os.listdir(names[0])) == [
            "Where-is-the-Paris-tower.md",
            "Where-is-the-杭州-lake.md",
        ]
    elif format == "json":
        assert [name.partition("-2")[0] for name in names] == ["chatapp-json"]
    else:
        assert [name.partition("-2")[0] for name in names] == [
            f"chatapp-{format}",
            "dataset_info.json",
        ]
        info = json.loads(Path("dataset_info.json").read_text())
        assert info[names[0].removesuffix(".json")]["file_name"] == names[0]
        assert len(json.loads(Path(names[0]).read_text())) == 2


def test_training_data_keeps_the_other_entries_of_a_list_of_datasets(chats: list[str]) -> None:
    Path("dataset_info.json").write_text('{"identity": {"file_name": "identity.json"}}')
    command = ["export", "--format", "sharegpt", "--good-only", "--output", "mine.json"]
    assert main(command) == 0
    assert set(json.loads(Path("dataset_info.json").read_text())) == {"identity", "mine"}
    (record,) = json.loads(Path("mine.json").read_text())
    assert record["conversations"][1] == {"from": "gpt", "value": "杭州 lake!"}
    assert main(command) == 1
    assert main([*command, "--overwrite"]) == 0


def test_training_data_goes_into_a_folder_or_a_json_file(
    chats: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--format", "openai", "--output", "new"]) == 0
    assert "dataset_info.json" in os.listdir("new") and len(os.listdir("new")) == 2
    assert main(["export", "--format", "openai", "--output", "data.txt"]) == 1
    assert "goes into a .json file" in capsys.readouterr().err


def test_a_list_of_datasets_that_is_none_stops_the_export_and_stays(
    chats: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dataset_info.json").write_text("[]")
    assert main(["export", "--format", "alpaca", "--output", "mine.json"]) == 1
    assert "is no list of datasets" in capsys.readouterr().err
    assert os.listdir() == ["dataset_info.json"]


@pytest.mark.parametrize("by", ["word", "id", "words around a flag"])
def test_only_what_is_asked_for_is_exported(
    by: str, chats: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"word": ["paris"], "id": [chats[1]], "words around a flag": ["tower"]}[by]
    more = ["paris"] if by == "words around a flag" else []
    assert main(["export", *asked, "--output", "-", "--format", "markdown", *more]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# Where is the Paris tower?") and "杭州" not in shown


def test_one_conversation_in_markdown_goes_into_the_file_that_is_named(chats: list[str]) -> None:
    assert main(["export", "杭州", "--format", "markdown", "--output", "lake.md"]) == 0
    assert Path("lake.md").read_text(encoding="utf-8").startswith("# Where is the 杭州 lake?")


def test_what_is_exported_is_equal_in_another_store(
    chats: list[str], own_data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--output", "all.json"]) == 0
    for _ in range(2):
        assert main(["import", "all.json", "--data-dir", str(tmp_path / "other")]) == 0
    assert capsys.readouterr().out.count("Conversations imported from all.json: 2.") == 2
    one, other = Store(own_data_dir), Store(tmp_path / "other")
    for id in chats:
        assert everything(one.chats().open(id).conversation) == everything(
            other.chats().open(id).conversation
        )
    assert len(other.chats().latest()) == 4
    one.close()
    other.close()


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    chats: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.json").write_text("{")
    Path("good.json").write_text('[{"role": "user", "content": "hello"}]')
    assert main(["import", "bad.json", "good.json"]) == 1
    shown = capsys.readouterr()
    assert "bad.json is no JSON" in shown.err
    assert "imported from good.json: 1" in shown.out


def test_what_a_pipe_no_longer_reads_is_no_traceback(chats: list[str], tmp_path: Path) -> None:
    many = [Conversation("x" * 10_000) for _ in range(50)]
    for conversation in many:
        conversation.ask("hello")
    Path("many.json").write_text(export_json(many))
    assert main(["import", "many.json"]) == 0
    piped = subprocess.run(
        f"{sys.executable} -m chatapp data export --output - | head -c 10",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert len(piped.stdout) == 10
    assert piped.stderr == ""
