"""The edit tool through the real program: files of every kind keep all bytes but those that were to change."""

# ruff: noqa: RUF001 - how quotes look matters here
import json
import os
from pathlib import Path
from typing import Any

import pytest
from peer import Peer, Reply, Request, call, reply, text
from program import Done, Program, assert_grammar

BOM = b"\xef\xbb\xbf"


def edit(nanocode: Program, path: str, *edits: tuple[str, str]) -> Done:
    given = [{"oldText": old, "newText": new} for old, new in edits]
    return nanocode.run("tool", "edit", json.dumps({"path": path, "edits": given}))


BYTES = {
    "CRLF": (b"one\r\ntwo\r\nthree\r\n", ("one\ntwo", "1\n2"), b"1\r\n2\r\nthree\r\n"),
    "mixed": (b"one\r\ntwo\nthree\rfour\r\n", ("two\nthree\n", "two\n3\n"), b"one\r\ntwo\n3\rfour\r\n"),
    "lone CR": (b"one\rtwo\rthree", ("two", "2\n2"), b"one\r2\r2\rthree"),
    "BOM": (BOM + b"one\ntwo\n", ("one", "1"), BOM + b"1\ntwo\n"),
    "latin-1": (b"caf\xe9\nna\xefve = 1\n", ("= 1", "= 2"), b"caf\xe9\nna\xefve = 2\n"),
    "invalid UTF-8": (b"\x80\xfe\xff one \xc3\x28\x00", ("one", "two"), b"\x80\xfe\xff two \xc3\x28\x00"),
    "no final newline": (b"one\ntwo", ("two", "2"), b"one\n2"),
    "special words": (b"value\n", ("value", "$& $1 \\1 \\n \\g<0> %s {0}"), b"$& $1 \\1 \\n \\g<0> %s {0}\n"),
    "quotes outside": ("‘a’\n“b”\nc\n".encode(), ("c", "d"), "‘a’\n“b”\nd\n".encode()),
}


@pytest.mark.parametrize("kind", BYTES)
def test_only_the_bytes_of_the_edit_change(nanocode: Program, kind: str) -> None:
    before, change, after = BYTES[kind]
    (nanocode.cwd / "file").write_bytes(before)
    done = edit(nanocode, "file", change)
    assert (done.code, (nanocode.cwd / "file").read_bytes()) == (0, after), done.err


REFUSED = {
    "not unique": (b"aaa\n", ("aa", "b"), "`oldText` occurs 2 times (lines 1, 1); add surrounding lines"),
    "every line": (b"x\ny\r\nx\rx", ("x", "b"), "`oldText` occurs 3 times (lines 1, 3, 4); add surrounding"),
    "UTF-16": ("one\n".encode("utf-16"), ("one", "two"), "the file is UTF-16, which edit does not change"),
    "indentation": (
        b"if a:\n        b()\n",
        ("if a:\n    b()", "c"),
        "nearest is lines 1-2, 100 % alike: only the i",
    ),
    "applied": (b"a\nsize = 2\n", ("size = 1", "size = 2"), "already applied at line 2"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_edit_without_a_place_of_its_own_leaves_the_file(nanocode: Program, kind: str) -> None:
    before, change, words = REFUSED[kind]
    (nanocode.cwd / "file").write_bytes(before)
    done = edit(nanocode, "file", change)
    assert done.code == 1
    assert done.out.startswith("`file` is unchanged: ") and words in done.out
    assert (nanocode.cwd / "file").read_bytes() == before
    assert os.listdir(nanocode.cwd) == ["file"]


def test_one_bad_edit_undoes_the_batch_and_all_bad_ones_are_named(nanocode: Program) -> None:
    before = b"one\ntwo\nthree\nthree\n"
    (nanocode.cwd / "file").write_bytes(before)
    done = edit(nanocode, "file", ("one", "1"), ("three", "3"), ("nowhere to be seen", "x"))
    assert done.code == 1
    assert "`edits[1].oldText` occurs 2 times (lines 3, 4)" in done.out
    assert "`edits[2].oldText` is not in the file" in done.out
    assert (nanocode.cwd / "file").read_bytes() == before
    done = edit(nanocode, "file", ("one\ntwo", "a"), ("two\nthree", "b"))
    assert "`edits[0]` and `edits[1]` overlap (lines 1-2 and 2-3)" in done.out


def test_the_answer_is_the_diff_that_was_written(nanocode: Program) -> None:
    (nanocode.cwd / "a.txt").write_bytes(b"one\ntwo\nthree\n")
    done = edit(nanocode, "a.txt", ("two", "2"))
    assert done.out == "edited `a.txt` (1 replacement)\n--- a.txt\n+++ a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"


def test_a_loose_match_says_what_it_ignored(nanocode: Program) -> None:
    (nanocode.cwd / "a.txt").write_bytes(b"one  \r\ntwo\r\n")
    done = edit(nanocode, "a.txt", ("one\ntwo", "1\n2"))
    assert done.out.startswith("edited `a.txt` (1 replacement; matched ignoring trailing whitespace and the looks of ")


def test_new_text_in_another_encoding_than_the_file_is_said(nanocode: Program) -> None:
    (nanocode.cwd / "a").write_bytes(b"caf\xe9 one\n")
    assert "[The file is not UTF-8, and the new text was written as UTF-8.]" in edit(nanocode, "a", ("one", "é")).out
    assert (nanocode.cwd / "a").read_bytes() == b"caf\xe9 \xc3\xa9\n"
    assert "UTF-8" not in edit(nanocode, "a", ("caf", "bar")).out


def test_a_huge_diff_is_cut_to_whole_lines_and_says_so(nanocode: Program) -> None:
    (nanocode.cwd / "a").write_bytes(b"one\n")
    done = edit(nanocode, "a", ("one", "".join(f"line {number}\n" for number in range(9000))))
    assert len(done.out) < 51 << 10
    assert done.out.endswith("\n[7,005 lines of the diff left out]\n")


def test_symlink_and_mode_stay(nanocode: Program) -> None:
    target, link = nanocode.cwd / "run.sh", nanocode.cwd / "link"
    target.write_bytes(b"echo one\n")
    target.chmod(0o751)
    link.symlink_to("run.sh")
    assert edit(nanocode, "link", ("one", "two")).code == 0
    assert link.is_symlink() and target.read_bytes() == b"echo two\n"
    assert target.stat().st_mode & 0o777 == 0o751


def answers(request: Request) -> list[str]:
    return [message["content"] for message in request.messages if message["role"] == "tool"]


def change(path: str, old: str, new: str) -> dict[str, Any]:
    return call("edit", {"path": path, "edits": [{"oldText": old, "newText": new}]}, id=f"call_{old}_{new}")


def conversation(path: Path, *calls: Any) -> Any:
    """A server that asks for the calls one after the other; a function among them is run instead, on the file."""

    def script(request: Request) -> Reply:
        number = len(answers(request))
        while number < len(steps) and callable(steps[number]):
            steps.pop(number)(path)
        return reply(steps[number]) if number < len(steps) else reply(text("done"))

    steps = list(calls)
    return script


def test_a_file_that_someone_else_changed_is_read_again_first(nanocode: Program) -> None:
    path = nanocode.cwd / "a.txt"
    path.write_bytes(b"one\ntwo\n")
    script = conversation(
        path,
        call("read", {"path": "a.txt"}, id="call_r1"),
        lambda file: file.write_bytes(b"one\ntwo\nthree\n"),
        change("a.txt", "one", "1"),
        call("read", {"path": "./a.txt"}, id="call_r2"),
        change("a.txt", "one", "1"),
        change("a.txt", "two", "2"),
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "go")
    assert_grammar(done.events)
    _, refused, _, first, second = answers(peer.requests[-1])
    assert refused == "`a.txt` changed on disk since it was last read or written here; read it again first"
    assert first.startswith("edited `a.txt`") and second.startswith("edited `a.txt`")
    assert path.read_bytes() == b"1\n2\nthree\n"


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "a", "edits": [{"oldText": "one", "newText": "two"}]},
        {"path": "a", "edits": {"oldText": "one", "newText": "two"}},
        {"path": "a", "edits": '[{"oldText": "one", "newText": "two"}]'},
        {"path": "a", "edits": '{"oldText": "one", "newText": "two"}'},
        {"path": "a", "oldText": "one", "newText": "two"},
        {"file_path": "a", "old_string": "one", "new_string": "two"},
        {"filePath": "@a", "old": "one", "new": "two"},
        {"path": "a", "edits": [{"old_text": "one", "new_text": "two"}]},
    ],
    ids=str,
)
def test_all_spellings_of_the_arguments_are_taken(nanocode: Program, arguments: dict[str, Any]) -> None:
    (nanocode.cwd / "a").write_bytes(b"one\n")
    done = nanocode.run("tool", "edit", json.dumps(arguments))
    assert (done.code, (nanocode.cwd / "a").read_bytes()) == (0, b"two\n"), done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "a"}, "argument `edits` is missing"),
        ({"path": "a", "edits": []}, "`edits` is empty; give at least one replacement"),
        ({"path": "a", "edits": [{"oldText": "one"}]}, "argument `edits[0].newText` is missing"),
        ({"path": "a", "edits": [{"oldText": "one", "newText": "x", "all": 1}]}, "unknown argument `edits[0].all`"),
        ({"path": "a", "edits": "[{"}, "argument `edits` must be a list"),
        ({"path": "none", "oldText": "one", "newText": "x"}, "`none` does not exist; use write to create it"),
        ({"path": ".", "oldText": "one", "newText": "x"}, "`.` is not a regular file"),
    ],
)
def test_a_bad_argument_is_named_and_nothing_runs(nanocode: Program, arguments: dict[str, Any], words: str) -> None:
    (nanocode.cwd / "a").write_bytes(b"one\n")
    done = nanocode.run("tool", "edit", json.dumps(arguments))
    assert done.code != 0 and words in done.out + done.err
    assert (nanocode.cwd / "a").read_bytes() == b"one\n"
