"""The read tool through the real program: windows, their notices, and what is not text."""

import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from program import Done, Program, measures_memory


@pytest.fixture
def nanocode(tmp_path: Path) -> Program:
    return Program(tmp_path)


def read(nanocode: Program, path: str, **more: object) -> Done:
    return nanocode.run("tool", "read", json.dumps({"path": path, **more}))


SHOWN = [
    (b"one\ntwo\n", {}, "   1| one\n   2| two\n"),
    (b"one\r\ntwo\rthree", {}, "   1| one\n   2| two\n   3| three\n"),
    (b"\xef\xbb\xbfone\n", {}, "   1| one\n"),
    (b"a\x0bb\x0cc\xc2\x85d\xe2\x80\xa8e\n", {}, "   1| a\x0bb\x0cc\x85d\u2028e\n"),
    (b"a\n\n\nb", {"offset": 3}, "   3| \n   4| b\n"),
    (
        b"a\nb\nc\nd\n",
        {"offset": 2, "limit": 2},
        "   2| b\n   3| c\n[Showing lines 2-3 of 4. Use offset=4 to continue.]\n",
    ),
    (b"a\nb\nc", {"offset": "2", "limit": None}, "   2| b\n   3| c\n"),
    (b"", {}, "[`file` is empty]\n"),
    (
        b"caf\xe9\n",
        {},
        "   1| caf\ufffd\n[Not UTF-8: other bytes are shown as \ufffd; edit keeps them as they are.]\n",
    ),
    (b"PK\x03\x04\x00\x00", {}, "[`file` is a binary file of 6B; its bytes are not shown]\n"),
    ("größer\nzwei\n".encode("utf-16"), {"offset": 2}, "   2| zwei\n[Shown from UTF-16.]\n"),
    (b"\x89PNG\r\n\x1a\n....", {}, "[`file`: image/png, 12B; this model does not take images]\n"),
]


@pytest.mark.parametrize(("data", "more", "out"), SHOWN)
def test_what_the_model_reads(nanocode: Program, data: bytes, more: dict[str, object], out: str) -> None:
    (nanocode.cwd / "file").write_bytes(data)
    done = read(nanocode, "file", **more)
    assert (done.code, done.out) == (0, out), done.err


def test_two_thousand_lines_and_a_notice_to_go_on(nanocode: Program) -> None:
    (nanocode.cwd / "file").write_text("".join(f"{number}\n" for number in range(1, 9105)))
    lines = read(nanocode, "file").out.splitlines()
    assert lines[1999:] == ["2000| 2000", "[Showing lines 1-2000 of 9104. Use offset=2001 to continue.]"]
    lines = read(nanocode, "file", offset=9001, limit=5000).out.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("9001| 9001", "9104| 9104", 104)


def test_fifty_kilobytes_in_whole_lines(nanocode: Program) -> None:
    (nanocode.cwd / "file").write_text("".join(f"{number:04d} {'x' * 994}\n" for number in range(1, 201)))
    lines = read(nanocode, "file").out.splitlines()
    assert lines[-2].startswith("  51| 0051 x")
    assert lines[-1] == "[Showing lines 1-51 of 200. Use offset=52 to continue.]"


def test_a_line_too_long_to_show_names_the_command_that_shows_it(nanocode: Program) -> None:
    (nanocode.cwd / "a file").write_bytes("é".encode() * 200_000 + b"\nlast\n")
    assert read(nanocode, "a file").out.splitlines() == [
        "[Line 1 is longer than 50KB. Use bash to see its start: sed -n '1p' 'a file' | head -c 51200]",
        "[Showing lines 1-1 of 2. Use offset=2 to continue.]",
    ]
    assert read(nanocode, "a file", offset=2).out == "   2| last\n"


@pytest.mark.parametrize(
    ("path", "more", "words"),
    [
        ("file", {"offset": 4}, "offset 4 is past the end: `file` has 3 lines"),
        ("file", {"offset": 0}, "argument `offset` must be at least 1, not 0"),
        ("file", {"limit": "many"}, "argument `limit` must be an integer, not a string"),
        ("none", {}, "No such file or directory: `"),
        ("pipe", {}, "`pipe` is not a regular file: it is a pipe, socket or device, and is not read"),
    ],
)
def test_what_cannot_be_read_says_why(nanocode: Program, path: str, more: dict[str, object], words: str) -> None:
    (nanocode.cwd / "file").write_text("a\nb\nc\n")
    os.mkfifo(nanocode.cwd / "pipe")
    done = read(nanocode, path, **more)
    assert done.code != 0 and words in done.out + done.err


def test_a_folder_is_listed(nanocode: Program) -> None:
    (nanocode.cwd / "sub/deep").mkdir(parents=True)
    (nanocode.cwd / "sub/a.txt").touch()
    assert read(nanocode, "sub").out == "[`sub` is a folder; ls and find show more of it]\na.txt\ndeep/\n"


@pytest.mark.parametrize("path", ["@file", "~/file", "./sub/../file", "{cwd}/file"])
def test_paths_are_what_models_write(nanocode: Program, path: str) -> None:
    (nanocode.cwd / "sub").mkdir()
    (nanocode.cwd / "file").write_text("here")
    (nanocode.home / "file").write_text("here")
    assert read(nanocode, path.format(cwd=nanocode.cwd)).out == "   1| here\n"


@measures_memory
def test_memory_does_not_grow_with_the_file(nanocode: Program) -> None:
    # 400 MB in 200 KB on disk: lines at both ends, a hole of NULs between them.
    with open(nanocode.cwd / "file", "wb") as file:
        file.write(b"first\n" * 20_000)
        file.seek(400 << 20)
        file.write(b"\nlast\n")
    command = [sys.executable, "-m", "nanocode", "tool", "read", json.dumps({"path": "file", "offset": 20002})]
    limited = f"ulimit -v {512 << 10}; exec {shlex.join(command)}"
    done = nanocode.run("tool", "bash", json.dumps({"command": limited}))
    assert done.out == "20002| last\n", done.err
