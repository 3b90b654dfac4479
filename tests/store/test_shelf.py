"""Finding sessions: by folder, by age, by the start of an id."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from nanocode.errors import UsageError
from nanocode.events import MessageAdded, RunStarted
from nanocode.messages import User
from nanocode.settings import Settings
from nanocode.store import shelf
from nanocode.store.transcript import Transcript

CWD = Path("/home/me/code")


def keep(directory: Path, id: str, words: str, *, at: int, cwd: Path = CWD, parent: str = "") -> Path:
    settings = Settings(cwd=cwd, home=directory, directory=directory, parent_session=parent)
    transcript = shelf.new(settings, id)
    transcript(RunStarted("kimi"))
    transcript(MessageAdded(User(words)))
    path = transcript.path
    assert path is not None
    transcript.close()
    os.utime(path, (at, at))
    return path


def test_a_listing_is_newest_first_with_what_a_person_chooses_by(tmp_path: Path) -> None:
    keep(tmp_path, "aaaa", "fix the\ntests", at=100)
    path = keep(tmp_path, "bbbb", "write docs", at=200)
    keep(tmp_path, "cccc", "elsewhere", at=300, cwd=Path("/home/me-code"))
    (path.parent / "2026_dddd.jsonl").write_text("no session")
    (path.parent / "notes.txt").write_text("")
    found = shelf.listing(tmp_path, CWD)
    assert [(entry.id, entry.title, entry.time) for entry in found] == [
        ("bbbb", "write docs", 200),
        ("aaaa", "fix the tests", 100),
    ]
    assert (found[0].model, found[0].cwd, found[0].size, found[0].path) == ("kimi", str(CWD), path.stat().st_size, path)
    assert [entry.id for entry in shelf.listing(tmp_path)] == ["cccc", "bbbb", "aaaa"]


@pytest.mark.parametrize("size", [500, 8 << 10, 12 << 10, 16 << 10, 24 << 10, 100 << 10])
@pytest.mark.parametrize("more", [-1, 0, 1, 300])
def test_title_and_name_are_found_in_a_file_of_any_size(tmp_path: Path, size: int, more: int) -> None:
    path = keep(tmp_path, "aaaa", "first words", at=100)
    record = '{"type":"message","id":2,"parentId":1,"role":"user","text":"%s"}\n'
    with open(path, "a") as file:
        file.write(record % ("x" * max(size + more - path.stat().st_size - len(record) + 2, 0)))
    (entry,) = shelf.listing(tmp_path, CWD)
    assert entry.title == "first words" and (size == 500 or entry.size == size + more)
    shelf.rename(entry, "a name")
    (entry,) = shelf.listing(tmp_path, CWD)
    assert entry.title == "a name"


def test_no_folder_is_no_session(tmp_path: Path) -> None:
    assert shelf.listing(tmp_path, CWD) == [] and shelf.newest(tmp_path, CWD) is None


def test_the_last_one_is_never_a_childs(tmp_path: Path) -> None:
    keep(tmp_path, "aaaa", "mine", at=100)
    keep(tmp_path, "bbbb", "a child's", at=200, parent="aaaa")
    last = shelf.newest(tmp_path, CWD)
    assert last is not None and last.id == "aaaa"
    assert [entry.parent for entry in shelf.listing(tmp_path, CWD)] == ["aaaa", ""]


def test_a_path_in_the_home_of_no_one_is_below_the_working_folder(tmp_path: Path) -> None:
    settings = Settings(cwd=tmp_path, home=tmp_path / "home", session="~nobody-here/a.jsonl")
    assert shelf.opened(settings, "aaaa").path == tmp_path / "~nobody-here/a.jsonl"
    settings = replace(settings, session="~/a.jsonl")
    assert shelf.opened(settings, "aaaa").path == tmp_path / "home/a.jsonl"


def test_an_id_is_found_by_its_start_here_first(tmp_path: Path) -> None:
    keep(tmp_path, "ab12", "here", at=100)
    keep(tmp_path, "ab99", "elsewhere", at=200, cwd=Path("/other"))
    keep(tmp_path, "cd77", "elsewhere", at=200, cwd=Path("/other"))
    assert shelf.find(tmp_path, CWD, "ab").title == "here"
    assert shelf.find(tmp_path, CWD, "cd").title == "elsewhere"
    with pytest.raises(UsageError, match="no session `ff`"):
        shelf.find(tmp_path, CWD, "ff")
    keep(tmp_path, "ab34", "here too", at=100)
    with pytest.raises(UsageError, match="several sessions begin with `ab`"):
        shelf.find(tmp_path, CWD, "ab")


def test_a_session_is_found_by_what_it_is_called_where_only_one_is(tmp_path: Path) -> None:
    keep(tmp_path, "ab12", "Fix the parser", at=100)
    keep(tmp_path, "ab34", "fix the parser of dates", at=200)
    keep(tmp_path, "ab56", "write about cafe", at=300)
    keep(tmp_path, "ab78", "about docs elsewhere", at=400, cwd=Path("/other"))
    assert shelf.find(tmp_path, CWD, "DATES").id == "ab34"
    assert shelf.find(tmp_path, CWD, "fix the parser").id == "ab12", "all of a name is more than a part of one"
    assert shelf.find(tmp_path, CWD, "about").id == "ab56"
    with pytest.raises(UsageError, match="several sessions are called `parser`: ab34 `fix the parser of dates`, ab12"):
        shelf.find(tmp_path, CWD, "parser")
    for no_name in ("elsewhere", "cafe"):
        with pytest.raises(UsageError, match="no session"):
            shelf.find(tmp_path, CWD, no_name)


def test_folders_of_alike_paths_differ() -> None:
    alike = [
        Path("/a/b-c"),
        Path("/a-b/c"),
        Path("/a/b/c"),
        Path("/a/b c"),
        Path("/" + "x" * 300),
        Path("/" + "x" * 301),
    ]
    names = [shelf.folder(Path("/d"), path).name for path in alike]
    assert len(set(names)) == len(alike) and all(len(name) < 100 for name in names)


def test_a_name_replaces_the_first_words_and_delete_takes_all(tmp_path: Path) -> None:
    path = keep(tmp_path, "aaaa", "fix the tests", at=100)
    (entry,) = shelf.listing(tmp_path, CWD)
    shelf.rename(entry, "green again")
    (entry,) = shelf.listing(tmp_path, CWD)
    assert entry.title == "green again"
    path.with_suffix(".undo").mkdir()
    held = Transcript.resume(path)
    with pytest.raises(UsageError, match="open in another"):
        shelf.delete(entry)
    held.close()
    shelf.delete(entry)
    assert not list(path.parent.iterdir())
