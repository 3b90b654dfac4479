"""A file gets its new content at once or not at all, and stays what it was in all else."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nanocode import atomic

ROOT = os.geteuid() == 0 if hasattr(os, "geteuid") else False


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic.replace(tmp_path / "new", b"one")
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == b"one"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_mode_and_symlinks_stay(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"one")
    (tmp_path / "real").chmod(0o4750)
    (tmp_path / "link").symlink_to("other")
    (tmp_path / "other").symlink_to("real")
    atomic.replace(tmp_path / "link", b"two")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "other").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o4750
    assert sorted(os.listdir(tmp_path)) == ["link", "other", "real"]


def test_a_dangling_symlink_leads_to_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    atomic.replace(tmp_path / "link", b"one")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"one"


def test_a_reader_keeps_the_content_it_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    with open(tmp_path / "a", "rb") as reader:
        atomic.replace(tmp_path / "a", b"two")
        assert reader.read() == b"one"


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("木" * 85)
    atomic.replace(path, b"one")
    atomic.replace(path, b"two")
    assert path.read_bytes() == b"two" and len(os.listdir(tmp_path)) == 1


@pytest.mark.skipif(not ROOT, reason="only root may give a file away")
def test_the_owner_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    os.chown(tmp_path / "a", 1234, 2345)
    (tmp_path / "a").chmod(0o6755)
    atomic.replace(tmp_path / "a", b"two")
    facts = (tmp_path / "a").stat()
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (1234, 2345, 0o6755)


@pytest.mark.skipif(not ROOT, reason="only root may give a file away")
def test_an_owner_that_a_user_namespace_does_not_know_does_not_keep_a_file_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    os.chown(tmp_path / "a", 1234, 2345)
    code = (
        "import sys; from pathlib import Path; from nanocode import atomic; atomic.replace(Path(sys.argv[1]), b'two')"
    )
    inside = ["unshare", "--user", "--map-root-user"]
    if not shutil.which(inside[0]) or subprocess.run([*inside, "true"], check=False).returncode:
        pytest.skip("needs user namespaces")
    subprocess.run([*inside, sys.executable, "-c", code, tmp_path / "a"], check=True)
    assert (tmp_path / "a").read_bytes() == b"two"


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="not a regular file"):
            atomic.replace(tmp_path / name, b"one")
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_without_its_folder_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        atomic.replace(tmp_path / "gone/a", b"one")
    assert caught.value.errno == errno.ENOENT
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(ROOT, reason="nothing is forbidden to root")
def test_where_the_folder_takes_no_file_it_is_written_in_place(tmp_path: Path) -> None:
    path = tmp_path / "closed/a"
    path.parent.mkdir()
    path.write_bytes(b"one and more")
    path.parent.chmod(0o555)
    try:
        atomic.replace(path, b"two")
    finally:
        path.parent.chmod(0o755)
    assert path.read_bytes() == b"two"


FULL = """
import resource, sys
from pathlib import Path
from nanocode import atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
WRITE(Path(sys.argv[1]), bytes(5000))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs limits of a process")
@pytest.mark.parametrize("write", ["atomic.replace", "atomic._write_in_place"])
def test_a_disk_that_fills_up_leaves_the_old_content(tmp_path: Path, write: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one and more\n" * 70)
    done = subprocess.run([sys.executable, "-c", FULL.replace("WRITE", write), path], capture_output=True, text=True)
    assert done.returncode == 1 and "File too large" in done.stderr
    assert path.read_bytes() == b"one and more\n" * 70 and os.listdir(tmp_path) == ["a"]
