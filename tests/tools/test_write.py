"""The write tool through the real program: new files, old files, and places where none can be."""

import json
import os
from pathlib import Path

import pytest
from program import Done, Program


@pytest.fixture
def nanocode(tmp_path: Path) -> Program:
    return Program(tmp_path)


def write(nanocode: Program, path: str, content: str) -> Done:
    return nanocode.run("tool", "write", json.dumps({"path": path, "content": content}))


def test_a_new_file_comes_with_its_folders(nanocode: Program) -> None:
    done = write(nanocode, "a/b/c.txt", "größer\r\nzwei\n\tdrei")
    assert done.out == "wrote new file `a/b/c.txt` (3 lines, 20B)\n"
    assert (nanocode.cwd / "a/b/c.txt").read_bytes() == "größer\r\nzwei\n\tdrei".encode()


def test_an_old_file_keeps_mode_and_link(nanocode: Program) -> None:
    (nanocode.cwd / "real").write_text("one")
    (nanocode.cwd / "real").chmod(0o700)
    (nanocode.cwd / "link").symlink_to("real")
    assert write(nanocode, "link", "two\n").out == "overwrote `link` (1 line, 4B)\n"
    assert (nanocode.cwd / "link").is_symlink() and (nanocode.cwd / "real").read_text() == "two\n"
    assert (nanocode.cwd / "real").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("sub", "`sub` is a folder; name a file in it"),
        ("new/", "`new/` is a folder; name a file in it"),
        ("file/under", "/file` is no folder"),
        ("file/deep/under", "/file` is no folder"),
        ("dangling/under", "/dangling` is no folder"),
        ("pipe", "not a regular file: `"),
    ],
)
def test_where_no_file_can_be_nothing_is_written(nanocode: Program, path: str, words: str) -> None:
    (nanocode.cwd / "sub").mkdir()
    (nanocode.cwd / "file").write_text("one")
    os.mkfifo(nanocode.cwd / "pipe")
    (nanocode.cwd / "dangling").symlink_to("nowhere")
    done = write(nanocode, path, "two")
    assert done.code == 1 and words in done.out
    assert sorted(os.listdir(nanocode.cwd)) == ["dangling", "file", "pipe", "sub"]
    assert (nanocode.cwd / "file").read_text() == "one"


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        ('{"file_path": "a", "content": "x"}', b"x"),
        ('{"path": "a", "text": "x"}', b"x"),
        ('{"path": "a", "content": ""}', b""),
        ('{"path": "a", "content": 42}', b"42"),
        ('{"path": "a", "content": "\\ud83d\\ude00 \\ud83d"}', "😀 \ufffd".encode()),
    ],
)
def test_content_as_models_send_it(nanocode: Program, arguments: str, content: bytes) -> None:
    done = nanocode.run("tool", "write", arguments)
    assert (done.code, (nanocode.cwd / "a").read_bytes()) == (0, content), done.err
