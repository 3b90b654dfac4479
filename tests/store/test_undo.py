"""Taking back what tools wrote: bytes, modes, absence; and never a later change."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from nanocode.errors import UsageError
from nanocode.events import RunStarted, ToolStarted
from nanocode.store import images
from nanocode.store import undo as module
from nanocode.store.undo import Undo

START = RunStarted("m")


def write(undo: Undo, path: Path, data: bytes) -> None:
    with undo.changing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture(params=["folder", "memory"])
def undo(request: pytest.FixtureRequest, tmp_path: Path) -> Undo:
    return Undo(tmp_path / "kept" if request.param == "folder" else None, covers=lambda name: name != "bash")


def test_turns_are_taken_back_and_brought_back_one_by_one(undo: Undo, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "new" / "deep" / "b"
    a.write_bytes(b"\xff\r\none")
    a.chmod(0o751)
    undo(START)
    write(undo, a, b"two")
    write(undo, a, b"three")
    undo(START)
    write(undo, b, b"created")
    undo(START)
    undo.undo()
    assert not b.exists() and not (tmp_path / "new").exists()
    a.chmod(0o751)
    undo.undo()
    assert a.read_bytes() == b"\xff\r\none" and stat.S_IMODE(a.stat().st_mode) == 0o751
    with pytest.raises(UsageError, match="nothing to undo"):
        undo.undo()
    undo.redo()
    undo.redo()
    assert (a.read_bytes(), b.read_bytes()) == (b"three", b"created")
    with pytest.raises(UsageError, match="nothing to redo"):
        undo.redo()


def test_folders_that_were_made_one_in_the_other_all_go(undo: Undo, tmp_path: Path) -> None:
    undo(START)
    write(undo, tmp_path / "new" / "a", b"one")
    write(undo, tmp_path / "new" / "deep" / "b", b"two")
    undo.undo()
    assert not (tmp_path / "new").exists()
    undo.redo()
    assert (tmp_path / "new" / "deep" / "b").read_bytes() == b"two"


def test_a_mode_comes_back(undo: Undo, tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_bytes(b"one")
    path.chmod(0o755)
    undo(START)
    with undo.changing(path):
        path.unlink()
        path.write_bytes(b"two")
        path.chmod(0o600)
    undo.undo()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o755)
    undo.redo()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o600)


@pytest.mark.parametrize("later", ["edited", "removed", "chmod"])
def test_a_later_change_is_left_alone_and_so_is_the_rest_of_the_turn(undo: Undo, tmp_path: Path, later: str) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    undo(START)
    write(undo, a, b"a")
    write(undo, b, b"b")
    if later == "edited":
        b.write_bytes(b"mine")
    elif later == "removed":
        b.unlink()
        b.mkdir()
    else:
        b.chmod(0o700)
    with pytest.raises(UsageError, match=r"changed after that turn: `.*b`"):
        undo.undo()
    assert a.read_bytes() == b"a" and b.exists()


def test_what_a_person_already_took_back_is_no_conflict(undo: Undo, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    undo(START)
    write(undo, a, b"a")
    write(undo, b, b"b")
    a.unlink()
    undo.undo()
    assert not a.exists() and not b.exists()


def test_a_write_that_changed_nothing_is_no_turn(undo: Undo, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"same")
    undo(START)
    write(undo, path, b"same")
    with pytest.raises(ZeroDivisionError), undo.changing(path):
        raise ZeroDivisionError
    assert not undo.done


def test_a_new_change_ends_redo(undo: Undo, tmp_path: Path) -> None:
    undo(START)
    write(undo, tmp_path / "a", b"a")
    undo.undo()
    undo(START)
    write(undo, tmp_path / "b", b"b")
    assert not undo.undone


def test_a_symlink_stays_one(undo: Undo, tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"one")
    link.symlink_to(real)
    undo(START)
    write(undo, link, b"two")
    undo.undo()
    assert link.is_symlink() and real.read_bytes() == b"one"


def test_it_tells_which_tools_it_does_not_cover(undo: Undo, tmp_path: Path) -> None:
    undo(START)
    write(undo, tmp_path / "a", b"a")
    for name in ("read", "bash", "bash"):
        undo(ToolStarted("1", name, {}))
    assert undo.undo().others == {"bash": 2}


def test_a_new_process_can_undo(tmp_path: Path) -> None:
    a = tmp_path / "a"
    a.write_bytes(b"one")
    first = Undo(tmp_path / "kept", covers=lambda name: name != "bash")
    first(START)
    write(first, a, b"two")
    first(ToolStarted("1", "bash", {}))
    first(START)
    write(first, a, b"three")
    first.undo()
    second = Undo(tmp_path / "kept")
    second(START)
    write(second, tmp_path / "b", b"b")
    second.undo()
    assert second.undo().others == {"bash": 1}
    assert a.read_bytes() == b"one"
    third = Undo(tmp_path / "kept")
    assert [turn.number for turn in third.undone] == [3, 1]
    third.redo()
    assert a.read_bytes() == b"two"


def test_a_crash_between_the_images_is_no_licence_to_overwrite(tmp_path: Path) -> None:
    a, kept = tmp_path / "a", tmp_path / "kept"
    a.write_bytes(b"one")
    undo = Undo(kept)
    undo(START)
    write(undo, a, b"two")
    journal = kept / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().split(b"\n\n")[0])
    with pytest.raises(UsageError, match="changed after"):
        Undo(kept).undo()
    assert a.read_bytes() == b"two"


def test_torn_and_foreign_journal_lines_are_passed_over(tmp_path: Path) -> None:
    undo = Undo(tmp_path / "kept")
    undo(START)
    write(undo, tmp_path / "a", b"a")
    with open(tmp_path / "kept" / "journal.jsonl", "ab") as file:
        file.write(b'[]\n{"undone": 1, "x"\n{"turn": 4}\n{"turn":')
    again = Undo(tmp_path / "kept")
    again.undo()
    assert not (tmp_path / "a").exists()
    Undo(tmp_path / "kept").redo()
    assert (tmp_path / "a").read_bytes() == b"a", "what follows a torn line is whole"


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    undo = Undo(tmp_path / "kept")
    undo(START)
    (tmp_path / "a").write_bytes(b"before")
    write(undo, tmp_path / "a", b"after")
    files = list((tmp_path / "kept").iterdir())
    assert len(files) == 3 and {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_what_cannot_be_kept_is_said_once_and_still_done(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("in the way")
    said: list[str] = []
    undo = Undo(tmp_path / "kept", warn=said.append)
    undo(START)
    for name in "ab":
        (tmp_path / name).write_bytes(b"old")
        write(undo, tmp_path / name, b"new")
    assert len(said) == 1 and "does not cover" in said[0]
    assert (tmp_path / "b").read_bytes() == b"new" and not undo.done


def test_a_pipe_is_not_opened(undo: Undo, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    undo(START)
    with undo.changing(tmp_path / "pipe"):
        pass
    assert not undo.done


def test_a_huge_file_is_not_kept(undo: Undo, tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with open(path, "wb") as file:
        file.truncate(module.FILE_LIMIT + 1)
    undo(START)
    write(undo, path, b"small")
    assert not undo.done


def test_the_oldest_turns_go_when_the_room_is_full(undo: Undo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOTAL_LIMIT", 3500)
    for number in range(6):
        undo(START)
        write(undo, tmp_path / "a", b"%d" % number * 1000)
    assert undo._images.total <= 3500
    assert [turn.number for turn in undo.done] == [5, 6]
    while undo.done:
        undo.undo()
    assert (tmp_path / "a").read_bytes() == b"3" * 1000


def test_images_of_old_sessions_go(tmp_path: Path) -> None:
    old, young = tmp_path / "old.undo", tmp_path / "young.undo"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (1, 1))
    images.Images(tmp_path / "this.undo").put(b"x")
    assert not old.exists() and young.exists()


def test_lost_images_refuse_the_undo(tmp_path: Path) -> None:
    undo = Undo(tmp_path / "kept")
    (tmp_path / "a").write_bytes(b"old")
    undo(START)
    write(undo, tmp_path / "a", b"new")
    shutil.rmtree(tmp_path / "kept")
    with pytest.raises(UsageError, match="contents are gone"):
        undo.undo()
    assert (tmp_path / "a").read_bytes() == b"new"
